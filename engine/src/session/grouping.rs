//! Objects whose memories lie alike go through the network together.

use sam2_model::{
    FrameFeatures, MaskPrediction, MemoryFeatures, MemorySelection, PointerMemory, Tensor,
};

use super::direction::Direction;
use super::features::Frames;
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::Outcome;

impl<F: Frames> Tracker<'_, F> {
    /// Objects whose memories lie alike go through the network as one batch.
    pub(super) fn group_by_layout(
        &self,
        objects: &[usize],
        frame: usize,
        direction: Direction,
    ) -> Vec<(Vec<usize>, MemorySelection)> {
        type Layout = (Vec<usize>, Vec<i64>);
        let mut groups: Vec<(Layout, Vec<usize>, Vec<MemorySelection>)> = Vec::new();
        for &index in objects {
            let selection = self.select(&self.objects[index], frame, direction);
            let layout: Layout = (
                selection.spatial.iter().map(|(time, _)| *time).collect(),
                selection.pointers.iter().map(|p| p.distance).collect(),
            );
            match groups.iter_mut().find(|(known, ..)| *known == layout) {
                Some((_, members, selections)) => {
                    members.push(index);
                    selections.push(selection);
                }
                None => groups.push((layout, vec![index], vec![selection])),
            }
        }
        groups
            .into_iter()
            .map(|(_, members, selections)| (members, batch_selections(selections)))
            .collect()
    }

    pub(super) fn track_group(
        &mut self,
        frame: usize,
        features: &FrameFeatures,
        members: &[usize],
        selection: &MemorySelection,
    ) -> Result<(), EngineError> {
        let conditioned = self.condition(features, selection);
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
            let one = self.post_process.fill_holes(slice_prediction(&prediction, position))?;
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
