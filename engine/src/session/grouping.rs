//! Grouping of objects: those whose memories have the same layout go through the network together.

use std::num::NonZeroUsize;

use sam2_model::kernels::join;
use sam2_model::{
    FrameFeatures, MaskPrediction, MemoryFeatures, MemoryQueries, MemorySelection, PointerMemory,
    Sam2,
};

use super::cores::on_cores;
use super::direction::Direction;
use super::distractors::distractors;
use super::features::Frames;
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::Outcome;
use crate::memory_policy::MemoryPolicy;

/// Objects that go through the network as one batch.
pub(super) struct Pass {
    /// Their indices among the session's objects.
    members: Vec<usize>,
    /// The memories of each of them, all of the same layout.
    selections: Vec<MemorySelection>,
}

/// The result of tracking one object on one frame.
pub(super) struct Tracked {
    /// Index among the session's objects.
    pub(super) index: usize,
    pub(super) outcome: Outcome,
    /// Whether another object was in sight.
    pub(super) distractor: bool,
}

impl<F: Frames> Tracker<F> {
    /// Groups the objects into passes: objects whose memories have the same layout, as many at a
    /// time as the session allows.
    pub(super) fn passes(
        &self,
        objects: &[usize],
        frame: usize,
        direction: Direction,
    ) -> Vec<Pass> {
        type Layout = (Vec<usize>, Vec<i64>);
        let most = self.options.limits.objects_per_pass.map_or(usize::MAX, NonZeroUsize::get);
        let mut passes: Vec<(Layout, Pass)> = Vec::new();
        for &index in objects {
            let selection = self.select(&self.objects[index], frame, direction);
            let layout: Layout = (
                selection.spatial.iter().map(|(time, _)| *time).collect(),
                selection.pointers.iter().map(|p| p.distance).collect(),
            );
            let open =
                |(known, pass): &&mut (Layout, Pass)| *known == layout && pass.members.len() < most;
            match passes.iter_mut().find(open) {
                Some((_, pass)) => {
                    pass.members.push(index);
                    pass.selections.push(selection);
                }
                None => {
                    passes
                        .push((layout, Pass { members: vec![index], selections: vec![selection] }));
                }
            }
        }
        passes.into_iter().map(|(_, pass)| pass).collect()
    }

    /// Tracks the objects of one pass. Their memories are concatenated only now, so that only one
    /// pass's batch is in memory at a time.
    ///
    /// On the CPU every core takes a share of the objects: for an object's many small steps, one
    /// core is about as fast as several together, and two cores with an object each are about twice
    /// as fast.
    pub(super) fn track_pass(
        &self,
        features: &FrameFeatures,
        queries: &MemoryQueries,
        pass: Pass,
    ) -> Result<Vec<Tracked>, EngineError> {
        let (model, policy) = (&self.model, self.policy.as_ref());
        let shares = pass.shares(model.parallel_batches());
        let tracked =
            on_cores(model, shares, |share| share.track(model, features, queries, policy))?;
        Ok(tracked.into_iter().flatten().collect())
    }
}

impl Pass {
    /// Cuts the pass into `count` parts of about the same size, or into single objects if there are
    /// fewer.
    fn shares(mut self, count: usize) -> Vec<Self> {
        let mut shares = Vec::new();
        for left in (1..=count.max(1)).rev() {
            let size = self.members.len().div_ceil(left);
            if size > 0 {
                let rest = Self {
                    members: self.members.split_off(size),
                    selections: self.selections.split_off(size),
                };
                shares.push(std::mem::replace(&mut self, rest));
            }
        }
        shares
    }

    /// Tracks each object of the pass on the frame.
    fn track(
        self,
        model: &Sam2,
        features: &FrameFeatures,
        queries: &MemoryQueries,
        policy: &dyn MemoryPolicy,
    ) -> Result<Vec<Tracked>, EngineError> {
        let conditioned = match model.memory_tokens(&batch_selections(self.selections)) {
            Some(memory) => model.condition_queries(queries, &memory),
            None => model.condition_without_memory(features),
        };
        let prompts = model.embed_prompts(&[], None);
        let outputs = model.decode(features, &conditioned, &prompts);
        let prediction = model.predict_mask(&outputs, true);
        let distractors = distractors(policy, &outputs)?;
        let memory = model.encode_memory(
            features,
            prediction.low_res_logits.clone(),
            prediction.object_score_logits.clone(),
            false,
        );
        let one = |(position, index)| {
            let prediction = slice_prediction(&prediction, position);
            let memory = MemoryFeatures(memory.0.clone().slice_dim(0, position..position + 1));
            let outcome = Outcome { prediction, memory: Some(memory) };
            Tracked { index, outcome, distractor: distractors.get(position) == Some(&true) }
        };
        Ok(self.members.into_iter().enumerate().map(one).collect())
    }
}

/// Combines selections of the same layout into one with a batch dimension.
fn batch_selections(mut selections: Vec<MemorySelection>) -> MemorySelection {
    if selections.len() == 1 {
        return selections.remove(0);
    }
    let first = &selections[0];
    let spatial = (0..first.spatial.len())
        .map(|i| {
            let memories = selections.iter().map(|s| s.spatial[i].1.0.clone()).collect();
            (first.spatial[i].0, MemoryFeatures(join(memories, 0)))
        })
        .collect();
    let pointers = (0..first.pointers.len())
        .map(|i| PointerMemory {
            distance: first.pointers[i].distance,
            pointer: join(selections.iter().map(|s| s.pointers[i].pointer.clone()).collect(), 0),
        })
        .collect();
    MemorySelection { spatial, pointers, pointer_time_scale: first.pointer_time_scale }
}

/// Returns entry `position` of a batch.
fn slice_prediction(prediction: &MaskPrediction, position: usize) -> MaskPrediction {
    let one = position..position + 1;
    MaskPrediction {
        low_res_logits: prediction.low_res_logits.clone().slice_dim(0, one.clone()),
        iou: prediction.iou.clone().slice_dim(0, one.clone()),
        object_score_logits: prediction.object_score_logits.clone().slice_dim(0, one.clone()),
        object_pointer: prediction.object_pointer.clone().slice_dim(0, one),
    }
}
