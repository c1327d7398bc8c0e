//! What one object's past looks like to the frames to come.
//!
//! The official predictor keeps every frame's output for ever. Later frames only ever read the conditioning frames, the
//! six frames before them and sixteen pointers; [`MemoryBank`] keeps what can still be read and lets the rest go.

use std::collections::{BTreeMap, BTreeSet};

use sam2_model::{
    MaskPrediction, MemoryFeatures, MemorySelection, PointerMemory, Sam2Config, Tensor,
};

use crate::session::Direction;

/// How much of the past a session keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MemoryRetention {
    /// What propagation onwards from where it is, or from any prompted frame in either direction, can read. Does not grow
    /// with the recording. Anything else is refused with an error, never answered from an incomplete past.
    #[default]
    Bounded,
    /// Everything, as the official predictor does: about 1.5 MB a frame and object at 1024 x 1024.
    All,
}

/// The result of one frame for one object, as later frames see it. All tensors have batch 1.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Logits, scores and pointer.
    pub prediction: MaskPrediction,
    /// The memory; `None` until it is encoded (prompted frames) or after it was let go.
    pub memory: Option<MemoryFeatures>,
}

impl Outcome {
    /// The mask logits, `[1, 1, S / 4, S / 4]`.
    pub fn low_res_logits(&self) -> Tensor<4> {
        self.prediction.low_res_logits.clone()
    }
}

/// One object's conditioning and tracked frames.
#[derive(Clone, Debug, Default)]
pub struct MemoryBank {
    /// In order of insertion, which is the order of their tokens.
    conditioning: Vec<(usize, Outcome)>,
    tracked: BTreeMap<usize, Outcome>,
}

impl MemoryBank {
    /// Conditioning frames in the order they were added.
    pub fn conditioning_frames(&self) -> impl Iterator<Item = usize> + '_ {
        self.conditioning.iter().map(|(frame, _)| *frame)
    }

    /// The outcome of a conditioning frame.
    pub fn conditioning(&self, frame: usize) -> Option<&Outcome> {
        self.conditioning.iter().find(|(f, _)| *f == frame).map(|(_, outcome)| outcome)
    }

    /// The outcome of a frame that is no conditioning frame, if it is still kept.
    pub fn tracked(&self, frame: usize) -> Option<&Outcome> {
        self.tracked.get(&frame)
    }

    /// Adds or replaces a conditioning frame, which then is no ordinary frame any more.
    pub fn insert_conditioning(&mut self, frame: usize, outcome: Outcome) {
        self.tracked.remove(&frame);
        match self.conditioning.iter_mut().find(|(f, _)| *f == frame) {
            Some((_, old)) => *old = outcome,
            None => self.conditioning.push((frame, outcome)),
        }
    }

    /// Adds or replaces an ordinary frame.
    pub fn insert_tracked(&mut self, frame: usize, outcome: Outcome) {
        self.tracked.insert(frame, outcome);
    }

    /// Frames other than conditioning frames that are kept, for tests and statistics.
    pub fn tracked_len(&self) -> usize {
        self.tracked.len()
    }

    /// The memories that `frame` looks at when travelling in `direction` through a recording of `frame_count` frames
    /// (the selection in `_prepare_memory_conditioned_features`).
    pub fn select(
        &self,
        frame: usize,
        direction: Direction,
        frame_count: usize,
        config: &Sam2Config,
    ) -> MemorySelection {
        let mut spatial = Vec::new();
        for (_, outcome) in &self.conditioning {
            if let Some(memory) = &outcome.memory {
                spatial.push((0, memory.clone()));
            }
        }
        for time in 1..config.num_maskmem {
            let memory = direction
                .back(frame, config.num_maskmem - time)
                .and_then(|earlier| self.tracked.get(&earlier))
                .and_then(|outcome| outcome.memory.clone());
            if let Some(memory) = memory {
                spatial.push((time, memory));
            }
        }

        let pointer_limit = frame_count.min(config.max_object_pointers);
        let mut pointers = Vec::new();
        for (conditioning, outcome) in &self.conditioning {
            // Negative: still to come in this direction. Their pointers are left out, their memories above are not.
            let distance = direction.distance(*conditioning, frame);
            if distance >= 0 {
                let pointer = outcome.prediction.object_pointer.clone();
                pointers.push(PointerMemory { distance, pointer });
            }
        }
        for distance in 1..pointer_limit {
            let Some(earlier) = direction.back(frame, distance).filter(|&f| f < frame_count) else {
                break;
            };
            if let Some(outcome) = self.tracked.get(&earlier) {
                let pointer = outcome.prediction.object_pointer.clone();
                pointers.push(PointerMemory { distance: distance as i64, pointer });
            }
        }
        MemorySelection { spatial, pointers, pointer_time_scale: pointer_limit.saturating_sub(1) }
    }

    /// Lets go of everything that no propagation onwards from `position` and none from an `anchor` can read.
    ///
    /// Around an anchor both sides stay, because a pass in one direction reads what the pass in the other left there.
    pub(crate) fn prune(
        &mut self,
        anchors: &BTreeSet<usize>,
        position: usize,
        config: &Sam2Config,
    ) {
        let near = |frame: usize, reach: usize| {
            frame.abs_diff(position) <= reach
                || anchors
                    .range(frame.saturating_sub(reach)..=frame.saturating_add(reach))
                    .next()
                    .is_some()
        };
        self.tracked.retain(|&frame, _| near(frame, config.max_object_pointers - 1));
        for (&frame, outcome) in &mut self.tracked {
            if outcome.memory.is_some() && !near(frame, config.num_maskmem - 1) {
                outcome.memory = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_model::{Device, ModelVersion, Variant};

    fn outcome(value: f32) -> Outcome {
        let device = Device::flex();
        Outcome {
            prediction: MaskPrediction {
                low_res_logits: Tensor::full([1, 1, 2, 2], value, &device),
                iou: Tensor::full([1, 1], value, &device),
                object_score_logits: Tensor::full([1, 1], value, &device),
                object_pointer: Tensor::full([1, 4], value, &device),
            },
            memory: Some(MemoryFeatures(Tensor::full([1, 4, 2], value, &device))),
        }
    }

    fn config() -> Sam2Config {
        Sam2Config::new(Variant::Micro, ModelVersion::V2_1)
    }

    fn times(selection: &MemorySelection) -> Vec<usize> {
        selection.spatial.iter().map(|(time, _)| *time).collect()
    }

    fn distances(selection: &MemorySelection) -> Vec<i64> {
        selection.pointers.iter().map(|p| p.distance).collect()
    }

    #[test]
    fn selects_conditioning_frames_then_oldest_to_newest_then_pointers() {
        let mut bank = MemoryBank::default();
        bank.insert_conditioning(0, outcome(0.0));
        for frame in 1..30 {
            bank.insert_tracked(frame, outcome(frame as f32));
        }
        let selection = bank.select(30, Direction::Forward, 100, &config());
        assert_eq!(times(&selection), [0, 1, 2, 3, 4, 5, 6]);
        let newest: f32 = selection.spatial[6].1.0.clone().mean().into_scalar();
        assert_eq!(newest, 29.0);
        let expected: Vec<i64> = std::iter::once(30).chain(1..16).collect();
        assert_eq!(distances(&selection), expected);
        assert_eq!(selection.pointer_time_scale, 15);
    }

    #[test]
    fn a_reverse_pass_reads_what_the_forward_pass_left_ahead() {
        let mut bank = MemoryBank::default();
        bank.insert_conditioning(10, outcome(10.0));
        for frame in 11..20 {
            bank.insert_tracked(frame, outcome(frame as f32));
        }
        let selection = bank.select(9, Direction::Reverse, 20, &config());
        // Frame 10 is a conditioning frame, so the time position of the newest memory (6) stays empty.
        assert_eq!(times(&selection), [0, 1, 2, 3, 4, 5]);
        assert_eq!(distances(&selection), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn pointers_of_conditioning_frames_to_come_are_left_out_but_not_their_memories() {
        let mut bank = MemoryBank::default();
        bank.insert_conditioning(5, outcome(5.0));
        bank.insert_conditioning(0, outcome(0.0));
        let selection = bank.select(3, Direction::Forward, 10, &config());
        assert_eq!(times(&selection), [0, 0]);
        assert_eq!(distances(&selection), [3]);
        assert_eq!(selection.pointer_time_scale, 9);
    }

    #[test]
    fn pruning_changes_no_selection_that_can_still_be_made() {
        let config = config();
        let mut kept = MemoryBank::default();
        kept.insert_conditioning(40, outcome(40.0));
        let mut pruned = kept.clone();
        let anchors = BTreeSet::from([40]);
        for frame in 41..100 {
            for bank in [&mut kept, &mut pruned] {
                bank.insert_tracked(frame, outcome(frame as f32));
            }
            pruned.prune(&anchors, frame, &config);
            let same = |at: usize, direction| {
                let (a, b) = (
                    kept.select(at, direction, 200, &config),
                    pruned.select(at, direction, 200, &config),
                );
                assert_eq!((times(&a), distances(&a)), (times(&b), distances(&b)), "at {at}");
            };
            same(frame + 1, Direction::Forward);
            same(39, Direction::Reverse);
        }
        assert!(pruned.tracked_len() <= 2 * 16, "{}", pruned.tracked_len());
    }
}
