//! Tracks a clip with a model, prompted from the ground truth.

use sam2_engine::{Direction, Mask, ObjectId, Sam2, SessionOptions, VideoSession};

use super::clip::HeldOut;
use super::scores::Scores;
use crate::policy_runs::bounds;

/// Tracks every animal from the bounding box of its ground truth on frame 0 to the end. Returns the
/// scores of all frames but the prompted one. Object `n` of the scores is animal `n`.
///
/// # Panics
/// If an animal does not show on frame 0, or the session fails.
pub fn tracked_from_boxes(model: &Sam2, clip: &HeldOut, options: SessionOptions) -> Scores {
    let mut session = VideoSession::builder(model).options(options).open(clip.clone()).unwrap();
    for (number, truth) in (1..).zip(clip.truth(0)) {
        session.add_box(0, ObjectId(number), bounds(&truth)).unwrap();
    }
    let mut scores = Scores::default();
    for frame in session.propagate(Direction::Forward).skip(1) {
        let frame = frame.unwrap();
        let masks: Vec<Mask> = frame.objects.into_iter().map(|object| object.mask).collect();
        scores.add(frame.frame_index, &clip.truth(frame.frame_index), &masks);
    }
    assert!(scores.verdicts().len() + clip.animals() == clip.frame_count() * clip.animals());
    scores
}
