//! Tracks the bundled clips as the official predictor tracked them, and compares the masks with the
//! ground truth.

use sam2_engine::{Direction, Mask, ObjectId, Point, Sam2, VideoSession};

use crate::clips;
use crate::fixture::Fixture;

/// Returns the masks of each object on each frame, with the prompts of the official run.
pub fn track(model: &Sam2, name: &str) -> Vec<Vec<Mask>> {
    let fixture = Fixture::open("micro_truth");
    let key = name.replace('-', "_");
    let mut session = VideoSession::new(model, clips::frames(name)).unwrap();
    let shape = fixture.shape(&format!("{key}.points"));
    let values = fixture.values(&format!("{key}.points"));
    let frame = fixture.number(&format!("{key}.prompt_frame")) as usize;
    for (object, points) in values.chunks(2 * shape[1]).enumerate() {
        let points: Vec<Point> = points.chunks(2).map(|p| Point::positive(p[0], p[1])).collect();
        session.add_points(frame, ObjectId(object as u32 + 1), &points).unwrap();
    }
    let mut masks: Vec<Vec<Option<Mask>>> = vec![vec![None; session.frame_count()]; shape[0]];
    for direction in [Direction::Forward, Direction::Reverse] {
        for result in session.propagate(direction) {
            let frame = result.unwrap();
            for (index, object) in frame.objects.into_iter().enumerate() {
                masks[index][frame.frame_index] = Some(object.mask);
            }
        }
    }
    masks.into_iter().map(|masks| masks.into_iter().map(Option::unwrap).collect()).collect()
}

/// Returns the mean J of such masks over all frames and objects.
pub fn mean_j(name: &str, masks: &[Vec<Mask>]) -> f64 {
    let mut scores = Vec::new();
    for (index, masks) in masks.iter().enumerate() {
        let truth = clips::truth(name, index as u8 + 1);
        assert_eq!(truth.len(), masks.len());
        scores.extend(masks.iter().zip(truth).map(|(mask, truth)| mask.iou(&truth)));
    }
    scores.iter().sum::<f64>() / scores.len() as f64
}
