//! Helpers for the tests of several sinks.

use crate::quality_flags::{QualityFlag, QualityFlags};
use crate::{LabelledMask, Mask, MaskFacts, MaskFrame, MaskSink};

/// Returns a mask drawn with 0 and 1, rows separated by blanks.
pub(crate) fn mask(drawn: &str) -> Mask {
    let rows: Vec<&str> = drawn.split(' ').collect();
    let pixels: Vec<bool> = rows.concat().bytes().map(|byte| byte == b'1').collect();
    Mask::from_pixels(rows[0].len() as u32, rows.len() as u32, pixels.into_iter()).unwrap()
}

/// Returns objects with differing facts.
pub(crate) fn masks(drawn: &[(u32, &str)]) -> Vec<LabelledMask> {
    let facts = |object: u32| MaskFacts {
        object_score: object as f32 + 0.25,
        predicted_iou: 0.5,
        prompted: object == 1,
        flags: match object {
            1 => [QualityFlag::Lost, QualityFlag::AreaJump].into_iter().collect(),
            _ => QualityFlags::NONE,
        },
        agreement: (object == 2).then_some(0.25),
    };
    drawn
        .iter()
        .map(|&(object, drawn)| LabelledMask {
            facts: Some(facts(object)),
            ..LabelledMask::new(object, mask(drawn))
        })
        .collect()
}

/// Writes all frames, at ten per second, and publishes the output.
pub(crate) fn run(sink: impl MaskSink, frames: &[Vec<LabelledMask>]) {
    let mut sink = Box::new(sink);
    for (index, objects) in frames.iter().enumerate() {
        let frame = MaskFrame::new(index, objects).with_seconds(Some(index as f64 / 10.0));
        sink.write(&frame).unwrap();
    }
    sink.finish().unwrap().publish().unwrap();
}
