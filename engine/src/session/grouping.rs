//! Grouping of objects and their pathways: those whose memories have the same layout go through the
//! network together.

use std::num::NonZeroUsize;

use sam2_model::kernels::join;
use sam2_model::mask_decoder::DecoderOutputs;
use sam2_model::{
    FrameFeatures, MaskPrediction, MemoryFeatures, MemoryQueries, MemorySelection, PointerMemory,
    Sam2,
};

use super::cores::on_cores;
use super::direction::Direction;
use super::distractors::distractors;
use super::features::Frames;
use super::pathway::Step;
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::Outcome;
use crate::memory_policy::MemoryPolicy;

/// A pathway of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    /// Index among the session's objects.
    pub(super) object: usize,
    /// Index among the object's pathways, 0 being the shown one.
    pub(super) pathway: usize,
}

/// Pathways that go through the network as one batch.
pub(super) struct Pass {
    pub(super) members: Vec<Member>,
    /// The memories of each of them, all of the same layout.
    selections: Vec<MemorySelection>,
}

impl<F: Frames> Tracker<F> {
    /// Groups the pathways of the objects into passes: pathways whose memories have the same layout,
    /// as many at a time as the session allows.
    pub(super) fn passes(
        &self,
        objects: &[usize],
        frame: usize,
        direction: Direction,
    ) -> Vec<Pass> {
        type Layout = (Vec<usize>, Vec<i64>);
        let most = self.options.limits.objects_per_pass.map_or(usize::MAX, NonZeroUsize::get);
        let mut passes: Vec<(Layout, Pass)> = Vec::new();
        let all = objects.iter().flat_map(|&object| {
            let pathways = 0..self.objects[object].pathway_count();
            pathways.map(move |pathway| Member { object, pathway })
        });
        for member in all {
            let state = &self.objects[member.object];
            let selection = self.select(state, state.bank_of(member.pathway), frame, direction);
            let layout: Layout = (
                selection.spatial.iter().map(|(time, _)| *time).collect(),
                selection.pointers.iter().map(|p| p.distance).collect(),
            );
            let open =
                |(known, pass): &&mut (Layout, Pass)| *known == layout && pass.members.len() < most;
            match passes.iter_mut().find(open) {
                Some((_, pass)) => {
                    pass.members.push(member);
                    pass.selections.push(selection);
                }
                None => {
                    passes.push((
                        layout,
                        Pass { members: vec![member], selections: vec![selection] },
                    ));
                }
            }
        }
        passes.into_iter().map(|(_, pass)| pass).collect()
    }

    /// Tracks the objects of one pass, each of which has a single pathway. Their memories are
    /// concatenated only now, so that only one pass's batch is in memory at a time.
    ///
    /// On the CPU every core takes a share of the objects: for an object's many small steps, one
    /// core is about as fast as several together, and two cores with an object each are about twice
    /// as fast.
    pub(super) fn track_pass(
        &self,
        features: &FrameFeatures,
        queries: &MemoryQueries,
        pass: Pass,
    ) -> Result<Vec<(usize, Step)>, EngineError> {
        let (model, policy) = (&self.model, self.policy.as_ref());
        let shares = pass.shares(model.parallel_batches());
        let tracked =
            on_cores(model, shares, |share| share.track(model, features, queries, policy))?;
        Ok(tracked.into_iter().flatten().collect())
    }
}

impl Pass {
    /// Cuts the pass into `count` parts of about the same size, or into single pathways if there are
    /// fewer.
    pub(super) fn shares(mut self, count: usize) -> Vec<Self> {
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

    /// Runs memory attention and mask decoder.
    pub(super) fn decode(
        &mut self,
        model: &Sam2,
        features: &FrameFeatures,
        queries: &MemoryQueries,
    ) -> DecoderOutputs {
        let selections = std::mem::take(&mut self.selections);
        let conditioned = match model.memory_tokens(&batch_selections(selections)) {
            Some(memory) => model.condition_queries(queries, &memory),
            None => model.condition_without_memory(features),
        };
        let prompts = model.embed_prompts(&[], None);
        model.decode(features, &conditioned, &prompts)
    }

    /// Tracks each object of the pass on the frame.
    fn track(
        mut self,
        model: &Sam2,
        features: &FrameFeatures,
        queries: &MemoryQueries,
        policy: &dyn MemoryPolicy,
    ) -> Result<Vec<(usize, Step)>, EngineError> {
        let outputs = self.decode(model, features, queries);
        let prediction = model.predict_mask(&outputs, true);
        let distractors = distractors(policy, &outputs)?;
        let memory = model.encode_memory(
            features,
            prediction.low_res_logits.clone(),
            prediction.object_score_logits.clone(),
            false,
        );
        let one = |(position, member): (usize, Member)| {
            let prediction = slice_prediction(&prediction, position);
            let memory = Some(slice_memory(&memory, position));
            let outcome = Outcome { prediction, memory };
            let distractor = distractors.get(position) == Some(&true);
            (member.object, Step { continues: 0, sum: 0.0, outcome, distractor })
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

/// Returns the memory of entry `position` of a batch.
pub(super) fn slice_memory(memory: &MemoryFeatures, position: usize) -> MemoryFeatures {
    MemoryFeatures(memory.0.clone().slice_dim(0, position..position + 1))
}

/// Returns entry `position` of a batch.
pub(super) fn slice_prediction(prediction: &MaskPrediction, position: usize) -> MaskPrediction {
    let one = position..position + 1;
    MaskPrediction {
        low_res_logits: prediction.low_res_logits.clone().slice_dim(0, one.clone()),
        iou: prediction.iou.clone().slice_dim(0, one.clone()),
        object_score_logits: prediction.object_score_logits.clone().slice_dim(0, one.clone()),
        object_pointer: prediction.object_pointer.clone().slice_dim(0, one),
    }
}
