//! Objects whose memories lie alike go through the network together.

use std::num::NonZeroUsize;

use sam2_model::{
    FrameFeatures, MaskPrediction, MemoryFeatures, MemorySelection, PointerMemory, Tensor,
};

use super::direction::Direction;
use super::features::Frames;
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::Outcome;

/// Objects that go through the network as one batch.
pub(super) struct Pass {
    /// Their places among the session's objects.
    members: Vec<usize>,
    /// What each of them looks at, all of one layout.
    selections: Vec<MemorySelection>,
}

impl<F: Frames> Tracker<'_, F> {
    /// What goes through the network together: objects whose memories lie alike, as many at a time as the session may.
    pub(super) fn passes(
        &self,
        objects: &[usize],
        frame: usize,
        direction: Direction,
    ) -> Vec<Pass> {
        type Layout = (Vec<usize>, Vec<i64>);
        let most = self.options.objects_per_pass.map_or(usize::MAX, NonZeroUsize::get);
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

    /// Tracks the objects of one pass. Memories are laid together only now, so that one pass's are there at a time.
    pub(super) fn track_pass(
        &mut self,
        frame: usize,
        features: &FrameFeatures,
        pass: Pass,
    ) -> Result<(), EngineError> {
        let Pass { members, selections } = pass;
        let conditioned = self.condition(features, &batch_selections(selections));
        let prompts = self.model.embed_prompts(&[], None);
        let outputs = self.model.decode(features, &conditioned, &prompts);
        let prediction = self.model.predict_mask(&outputs, true);
        let memory = self.model.encode_memory(
            features,
            prediction.low_res_logits.clone(),
            prediction.object_score_logits.clone(),
            false,
        );
        for (position, &index) in members.iter().enumerate() {
            let one = self.post_process.clean(slice_prediction(&prediction, position))?;
            let memory = MemoryFeatures(memory.0.clone().slice_dim(0, position..position + 1));
            let outcome = Outcome { prediction: one, memory: Some(memory) };
            self.objects[index].insert_tracked(frame, outcome);
        }
        Ok(())
    }
}

/// Selections of the same layout as one selection with a batch.
fn batch_selections(mut selections: Vec<MemorySelection>) -> MemorySelection {
    if selections.len() == 1 {
        return selections.remove(0);
    }
    let first = &selections[0];
    let spatial = (0..first.spatial.len())
        .map(|i| {
            let memories = selections.iter().map(|s| s.spatial[i].1.0.clone()).collect();
            (first.spatial[i].0, MemoryFeatures(Tensor::cat(memories, 0)))
        })
        .collect();
    let pointers = (0..first.pointers.len())
        .map(|i| PointerMemory {
            distance: first.pointers[i].distance,
            pointer: Tensor::cat(
                selections.iter().map(|s| s.pointers[i].pointer.clone()).collect(),
                0,
            ),
        })
        .collect();
    MemorySelection { spatial, pointers, pointer_time_scale: first.pointer_time_scale }
}

/// Entry `position` of a batch.
fn slice_prediction(prediction: &MaskPrediction, position: usize) -> MaskPrediction {
    let one = position..position + 1;
    MaskPrediction {
        low_res_logits: prediction.low_res_logits.clone().slice_dim(0, one.clone()),
        iou: prediction.iou.clone().slice_dim(0, one.clone()),
        object_score_logits: prediction.object_score_logits.clone().slice_dim(0, one.clone()),
        object_pointer: prediction.object_pointer.clone().slice_dim(0, one),
    }
}
