//! Models that are loaded once, however many recordings they are for.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use sam2_engine::{DeviceChoice, Precision, Sam2};

use crate::args::SegmentArgs;
use crate::model;
use crate::stats::Stats;

/// What decides about a model.
#[derive(PartialEq)]
struct Wanted {
    weights: Option<PathBuf>,
    config: Option<String>,
    device: DeviceChoice,
    precision: Precision,
    image_size: Option<usize>,
}

/// The model that was used last; recordings that want another one let go of it.
#[derive(Default)]
pub struct LoadedModels {
    last: Option<(Wanted, Sam2)>,
}

impl LoadedModels {
    /// The model that a recording wants.
    pub fn get(&mut self, args: &SegmentArgs, stats: &mut Stats) -> Result<&Sam2> {
        let wanted = Wanted {
            weights: args.model.clone(),
            config: args.config.clone(),
            device: args.device,
            precision: args.precision,
            image_size: args.image_size,
        };
        let last = match self.last.take() {
            Some(last) if last.0 == wanted => last,
            other => {
                // Before the next one takes its place in memory.
                drop(other);
                let started = Instant::now();
                let (model, device) = load(args)?;
                stats.loaded(&model, device, started.elapsed());
                (wanted, model)
            }
        };
        Ok(&self.last.insert(last).1)
    }
}

fn load(args: &SegmentArgs) -> Result<(Sam2, String)> {
    let (weights, config) = (args.model.as_deref(), args.config.as_deref());
    let (model, device) = model::load(weights, config, args.device, args.precision)?;
    let Some(size) = args.image_size else { return Ok((model, device)) };
    let model = model.with_image_size(size).with_context(|| {
        format!("--image-size {size} does not fit the model's windows: use a multiple of 32, such as 512 or 768")
    })?;
    Ok((model, device))
}
