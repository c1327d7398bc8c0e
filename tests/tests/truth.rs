//! The bundled clips against their truth: no worse than the official predictor.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{Direction, Mask, ObjectId, Point, VideoSession};
use sam2_tests::clips;
use sam2_tests::fixture::Fixture;

/// How much lower than the official predictor's the mean J may be.
const ALLOWANCE: f64 = 0.005;

/// Mean J over all frames and objects, prompted as the official run was.
fn mean_j(name: &str) -> f64 {
    let fixture = Fixture::open("micro_truth");
    let key = name.replace('-', "_");
    let model = clips::micro_model();
    let mut session = VideoSession::new(&model, clips::frames(name)).unwrap();
    let shape = fixture.shape(&format!("{key}.points"));
    let values = fixture.values(&format!("{key}.points"));
    let frame = fixture.number(&format!("{key}.prompt_frame")) as usize;
    for (object, points) in values.chunks(2 * shape[1]).enumerate() {
        let points: Vec<Point> = points.chunks(2).map(|p| Point::positive(p[0], p[1])).collect();
        session.add_points(frame, ObjectId(object as u32 + 1), &points).unwrap();
    }
    let objects = shape[0];
    let mut masks: Vec<Vec<Option<Mask>>> = vec![vec![None; session.frame_count()]; objects];
    for direction in [Direction::Forward, Direction::Reverse] {
        for result in session.propagate(direction) {
            let frame = result.unwrap();
            for (index, object) in frame.objects.into_iter().enumerate() {
                masks[index][frame.frame_index] = Some(object.mask);
            }
        }
    }
    let mut scores = Vec::new();
    for (index, masks) in masks.into_iter().enumerate() {
        let truth = clips::truth(name, index as u8 + 1);
        assert_eq!(truth.len(), masks.len());
        scores.extend(masks.into_iter().zip(truth).map(|(mask, truth)| mask.unwrap().iou(&truth)));
    }
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let official = fixture.number(&format!("{key}.mean_j"));
    println!("{name}: mean J {mean:.4}, official {official:.4}");
    assert!(mean >= official - ALLOWANCE, "{name}: {mean} against {official}");
    mean
}

#[test]
fn mouse_arena() {
    mean_j("mouse-arena");
}

#[test]
fn worm() {
    mean_j("worm");
}

#[test]
fn two_crossing() {
    mean_j("two-crossing");
}
