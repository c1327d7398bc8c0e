//! Helpers for the tests of banks and policies.

use sam2_model::{
    Device, MaskPrediction, MemoryFeatures, MemorySelection, ModelVersion, Sam2Config, Tensor,
    Variant,
};

use super::{Candidates, MemoryPolicy, MemoryQuery, MemoryView, Retained};
use crate::frame_record::FrameRecord;
use crate::memory_bank::{MemoryBank, MemoryReach, Outcome};
use crate::session::Direction;

/// Returns an outcome whose every value is `value`.
pub(crate) fn outcome(value: f32) -> Outcome {
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

/// Returns a record that every policy trusts.
pub(crate) fn record(area: u64) -> FrameRecord {
    FrameRecord { object_score: 9.0, predicted_iou: 0.9, area, ..FrameRecord::default() }
}

/// Returns masks of 16 x 16, each covering the columns `first..last` of all rows, with their predicted
/// IoUs.
pub(crate) fn candidates(columns: &[(usize, usize, f32)]) -> Candidates {
    let logits: Vec<f32> = columns
        .iter()
        .flat_map(|&(first, last, _)| {
            (0..256).map(move |i| if (first..last).contains(&(i % 16)) { 1.0 } else { -1.0 })
        })
        .collect();
    let ious: Vec<f32> = columns.iter().map(|c| c.2).collect();
    Candidates::new(&logits, &ious, 16)
}

/// Returns a bank prompted on frame 0 and tracked from 1 to `last`, with these records of the tracked
/// frames.
pub(crate) fn tracked_bank(last: usize, record: impl Fn(usize) -> FrameRecord) -> MemoryBank {
    let mut bank = MemoryBank::default();
    bank.insert_conditioning(0, outcome(0.0));
    for frame in 1..=last {
        bank.insert_tracked(frame, outcome(frame as f32));
        bank.insert_record(frame, record(frame));
    }
    bank
}

pub(crate) fn reach() -> MemoryReach {
    MemoryReach::new(&Sam2Config::new(Variant::Micro, ModelVersion::V2_1), 1, None)
}

/// Returns a policy's view of a bank from `frame` in a recording of 200 frames.
pub(crate) fn view<'a>(
    bank: &'a MemoryBank,
    policy: &dyn MemoryPolicy,
    frame: usize,
    direction: Direction,
    reach: MemoryReach,
) -> MemoryView<'a> {
    let query = MemoryQuery { frame, direction, frame_count: 200, reach };
    MemoryView::new(bank, Retained::of(policy, &reach), query)
}

pub(crate) fn times(selection: &MemorySelection) -> Vec<usize> {
    selection.spatial.iter().map(|(time, _)| *time).collect()
}

/// Returns the values that the spatial memories were made with by [`outcome`].
pub(crate) fn values(selection: &MemorySelection) -> Vec<f32> {
    selection.spatial.iter().map(|(_, memory)| memory.0.clone().mean().into_scalar()).collect()
}

pub(crate) fn distances(selection: &MemorySelection) -> Vec<i64> {
    selection.pointers.iter().map(|p| p.distance).collect()
}
