//! Keeps the loaded model across recordings.

use std::time::Instant;

use anyhow::Result;
use sam2_engine::Sam2;

use crate::args::ModelArgs;
use crate::model;
use crate::stats::Stats;

/// The model that was used last. A recording that needs another model evicts it.
#[derive(Default)]
pub struct LoadedModels {
    last: Option<(ModelArgs, Sam2)>,
}

impl LoadedModels {
    /// Returns the model for a recording; loads it unless it is the one used last.
    pub fn get(&mut self, wanted: &ModelArgs, stats: &mut Stats) -> Result<&Sam2> {
        let last = match self.last.take() {
            Some(last) if last.0 == *wanted => last,
            other => {
                // Dropped before the next model is loaded: memory never holds two models.
                drop(other);
                let started = Instant::now();
                let (model, device) = model::load(wanted)?;
                stats.loaded(&model, device, started.elapsed());
                (wanted.clone(), model)
            }
        };
        Ok(&self.last.insert(last).1)
    }
}
