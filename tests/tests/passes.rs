//! `Passes::Own`: each object is tracked both ways from its own prompts, whatever others do.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use sam2_engine::{
    BoxPrompt, Direction, Mask, MemoryRetention, ObjectId, Passes, Sam2, SessionOptions,
    VideoSession,
};
use sam2_tests::clips;

const EARLY: ObjectId = ObjectId(1);
const LATE: ObjectId = ObjectId(2);
const CLIP: &str = "two-crossing";
/// The frame of the second object's first prompt.
const AT: usize = 42;

fn bounds(mask: &Mask) -> BoxPrompt {
    let [x0, y0, x1, y1] = mask.bounds().unwrap().map(|edge| edge as f32);
    BoxPrompt { x0, y0, x1, y1 }
}

/// Tracks the objects forward and then in reverse. The masks of the first pass win, as in a job.
fn masks(
    model: &Sam2,
    objects: &[(ObjectId, usize)],
    options: SessionOptions,
) -> BTreeMap<(ObjectId, usize), Mask> {
    let frames = clips::frames(CLIP);
    let mut session = VideoSession::builder(model).options(options).open(frames).unwrap();
    for &(object, frame) in objects {
        let truth = clips::truth(CLIP, object.0 as u8);
        session.add_box(frame, object, bounds(&truth[frame])).unwrap();
    }
    let mut all = BTreeMap::new();
    for direction in [Direction::Forward, Direction::Reverse] {
        for masks in session.propagate(direction) {
            let masks = masks.unwrap();
            for shown in &masks {
                let place = (shown.object, masks.frame_index);
                all.entry(place).or_insert_with(|| shown.mask.clone());
            }
        }
    }
    all
}

fn of(object: ObjectId, all: &BTreeMap<(ObjectId, usize), Mask>) -> Vec<Mask> {
    all.iter().filter(|((one, _), _)| *one == object).map(|(_, mask)| mask.clone()).collect()
}

fn mean_j(found: &[Mask], object: ObjectId) -> f64 {
    let truth = clips::truth(CLIP, object.0 as u8);
    assert_eq!(found.len(), truth.len());
    found.iter().zip(&truth).map(|(a, b)| a.iou(b)).sum::<f64>() / truth.len() as f64
}

#[test]
fn a_late_object_is_tracked_as_alone_and_the_early_one_too() {
    let model = clips::micro_model();
    let both = [(EARLY, 0), (LATE, AT)];
    let own = SessionOptions::default().passes(Passes::Own);
    let together = masks(&model, &both, own);
    for (object, prompt) in both {
        let alone = masks(&model, &[(object, prompt)], SessionOptions::default());
        assert!(of(object, &together) == of(object, &alone), "object {object} differs from alone");
    }
    // Nothing that was released is missed.
    let all = masks(&model, &both, own.retention(MemoryRetention::All));
    assert!(all == together);
    // One at a time, they are the same.
    assert!(masks(&model, &both, own.objects_per_pass(std::num::NonZeroUsize::new(1))) == together);
    let official = masks(&model, &both, SessionOptions::default());
    let (late, before) = (mean_j(&of(LATE, &together), LATE), mean_j(&of(LATE, &official), LATE));
    println!("mean J of the late object: {late:.3}, official passes {before:.3}");
    // Official: the late object is looked for from frame 0 on, and takes the other one.
    assert!(late > before + 0.2, "{late} {before}");
    // The early object is not affected in either way.
    assert!(of(EARLY, &official) == of(EARLY, &together));
}

#[test]
fn objects_with_the_same_first_prompt_are_tracked_as_officially() {
    let model = clips::micro_model();
    let both = [(EARLY, 8), (LATE, 8)];
    let own = SessionOptions::default().passes(Passes::Own);
    assert!(masks(&model, &both, own) == masks(&model, &both, SessionOptions::default()));
}
