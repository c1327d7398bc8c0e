//! Passes other than the official predictor's: each object is tracked from its own prompts, whatever
//! others do, and each frame from the prompts next to it.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use sam2_engine::{
    BoxPrompt, Direction, GuardedOptions, Mask, MemoryPolicyChoice, MemoryRetention, ObjectId,
    Passes, Sam2, Sam2longOptions, SessionOptions, VideoSession,
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

/// Returns the masks of a pass by object and frame.
fn pass(
    model: &Sam2,
    objects: &[(ObjectId, &[usize])],
    options: SessionOptions,
    direction: Direction,
) -> BTreeMap<(ObjectId, usize), Mask> {
    let frames = clips::frames(CLIP);
    let mut session = VideoSession::builder(model).options(options).open(frames).unwrap();
    for &(object, prompts) in objects {
        let truth = clips::truth(CLIP, object.0 as u8);
        for &frame in prompts {
            session.add_box(frame, object, bounds(&truth[frame])).unwrap();
        }
    }
    let mut all = BTreeMap::new();
    for masks in session.propagate(direction) {
        let masks = masks.unwrap();
        all.extend(
            masks.iter().map(|shown| ((shown.object, masks.frame_index), shown.mask.clone())),
        );
    }
    all
}

/// What a session with several prompts and these passes gives is what sessions with one prompt each
/// give, bit for bit.
#[test]
fn each_frame_sees_only_the_last_prompt_behind_it() {
    let model = clips::micro_model();
    let prompts: [(ObjectId, &[usize]); 2] = [(EARLY, &[0, 20, 41]), (LATE, &[12, 30])];
    let count = clips::truth(CLIP, 1).len();
    for memory_policy in [
        MemoryPolicyChoice::Official,
        MemoryPolicyChoice::Guarded(GuardedOptions::default()),
        // A prompt leaves one pathway, whose sum does not matter.
        MemoryPolicyChoice::Sam2long(Sam2longOptions { pathways: 2, ..Default::default() }),
    ] {
        let options = SessionOptions::default().memory_policy(memory_policy);
        for passes in [Passes::Nearest, Passes::Agreed] {
            let both = options.passes(passes);
            for direction in [Direction::Forward, Direction::Reverse] {
                let together = pass(&model, &prompts, both, direction);
                let kept = both.retention(MemoryRetention::All);
                assert!(pass(&model, &prompts, kept, direction) == together, "unbounded differs");
                let mut expected = BTreeMap::new();
                for (object, frames) in prompts {
                    for (index, &frame) in frames.iter().enumerate() {
                        let alone = pass(&model, &[(object, &[frame])], options, direction);
                        // The frames that belong to this prompt.
                        let (before, after) = (
                            index.checked_sub(1).map(|before| frames[before]),
                            frames.get(index + 1).copied(),
                        );
                        let half = passes == Passes::Nearest;
                        let first = before.map_or(0, |before| match half {
                            true => (before + frame) / 2 + 1,
                            false => before + 1,
                        });
                        let last = after.map_or(count - 1, |after| match half {
                            true => (frame + after) / 2,
                            false => after - 1,
                        });
                        let own = alone.into_iter().filter(|((_, at), _)| match direction {
                            Direction::Forward => (frame..=last).contains(at),
                            Direction::Reverse => (first..=frame).contains(at),
                        });
                        expected.extend(own);
                    }
                }
                // A pass shows prompted frames too, those of other directions among them.
                let prompted = |object: ObjectId, frame: usize| {
                    prompts.iter().any(|(o, frames)| *o == object && frames.contains(&frame))
                };
                let all: Vec<_> = together.keys().chain(expected.keys()).collect();
                for &(object, frame) in all {
                    let (found, wanted) =
                        (together.get(&(object, frame)), expected.get(&(object, frame)));
                    assert!(
                        found == wanted || (wanted.is_none() && prompted(object, frame)),
                        "{passes:?} {direction:?} object {object} frame {frame}: {} {}",
                        found.is_some(),
                        wanted.is_some()
                    );
                }
            }
        }
    }
}

/// A session that is given its prompts on the way, and releases what is behind it, tracks as one that
/// has them all from the start.
#[test]
fn what_is_behind_can_be_released() {
    let model = clips::micro_model();
    let agreed = SessionOptions::default().passes(Passes::Agreed);
    let frames = [0_usize, 10, 20, 30, 40];
    let whole = pass(&model, &[(EARLY, &frames)], agreed, Direction::Forward);
    let truth = clips::truth(CLIP, EARLY.0 as u8);
    let source = clips::frames(CLIP);
    let mut session = VideoSession::builder(&model).options(agreed).open(source).unwrap();
    let mut found = BTreeMap::new();
    for (index, &frame) in frames.iter().enumerate() {
        session.add_box(frame, EARLY, bounds(&truth[frame])).unwrap();
        let limit = frames.get(index + 1).map(|next| next - frame - 1);
        for masks in session.propagate_from(Some(frame), Direction::Forward, limit) {
            let masks = masks.unwrap();
            found.insert((EARLY, masks.frame_index), masks.objects[0].mask.clone());
        }
        session.release_before(frame + 1);
        let bank = session.memory_bank(EARLY).unwrap();
        assert_eq!(bank.conditioning_frames().collect::<Vec<_>>(), [frame]);
        assert!(bank.tracked_len() <= 40, "{}", bank.tracked_len());
    }
    assert!(found == whole);
}
