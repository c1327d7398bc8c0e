//! Guarantees of a session beyond parity: bounded memory changes nothing, prompts can be added and
//! removed, errors are reported.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{
    BoxPrompt, Direction, EngineError, FrameMasks, FrameSource, Mask, MemoryRetention, ObjectId,
    ObjectMask, Point, SessionOptions, VideoSession,
};
use sam2_frame_provider::{MemoryFrames, RgbFrame};
use sam2_tests::clips;
use sam2_tests::fixture::to_values;

type Session = VideoSession<MemoryFrames>;

/// Returns the first `count` frames of a clip, in memory.
fn clip(name: &str, count: usize) -> MemoryFrames {
    let frames = clips::frames(name);
    let frames: Vec<RgbFrame> = (0..count).map(|i| (*frames.frame(i).unwrap()).clone()).collect();
    MemoryFrames::new(frames).unwrap()
}

fn options(retention: MemoryRetention) -> SessionOptions {
    SessionOptions::default().retention(retention)
}

/// Returns everything that a caller can see of a run, exactly.
fn observe(run: impl Iterator<Item = Result<FrameMasks, EngineError>>) -> Vec<(usize, Vec<u32>)> {
    run.map(|frame| {
        let frame = frame.unwrap();
        let bits = frame.objects.iter().flat_map(|object| {
            let logits = to_values(object.low_res_logits.clone());
            logits
                .into_iter()
                .chain([object.object_score, object.predicted_iou])
                .map(f32::to_bits)
                .chain(object.mask.runs().to_vec())
                .collect::<Vec<_>>()
        });
        (frame.frame_index, bits.collect())
    })
    .collect()
}

/// Checks that the same actions show the same results, bit for bit, in a bounded and an unpruned
/// session.
fn bounded_equals_unpruned(
    name: &str,
    count: usize,
    act: impl Fn(&mut Session) -> Vec<(usize, Vec<u32>)>,
) {
    let model = clips::micro_model();
    let run = |retention| {
        let frames = clip(name, count);
        let mut session =
            VideoSession::builder(&model).options(options(retention)).open(frames).unwrap();
        let seen = act(&mut session);
        let kept: usize = session
            .object_ids()
            .into_iter()
            .map(|id| session.memory_bank(id).unwrap().tracked_len())
            .sum();
        (seen, kept)
    };
    let (bounded, kept) = run(MemoryRetention::Bounded);
    let (unpruned, all) = run(MemoryRetention::All);
    assert!(!bounded.is_empty());
    assert!(bounded == unpruned, "bounded and unpruned sessions differ");
    assert!(kept < all, "{kept} of {all} kept: nothing was pruned, so nothing was shown");
}

#[test]
fn bounded_memory_changes_nothing_in_either_direction() {
    bounded_equals_unpruned("mouse-arena", 60, |session| {
        session.add_points(25, ObjectId(1), &[Point::positive(150.0, 120.0)]).unwrap();
        let mut seen = observe(session.propagate(Direction::Forward));
        seen.extend(observe(session.propagate(Direction::Reverse)));
        seen.extend(observe(session.propagate(Direction::Forward)));
        seen
    });
}

#[test]
fn bounded_memory_changes_nothing_with_prompts_added_on_the_way() {
    bounded_equals_unpruned("mouse-arena", 60, |session| {
        session.add_points(2, ObjectId(1), &[Point::positive(240.0, 85.0)]).unwrap();
        let mut seen = observe(session.propagate_from(None, Direction::Forward, Some(41)));
        // A second object in the middle, then onwards from there in pieces, then the whole clip in
        // reverse.
        session.add_points(44, ObjectId(2), &[Point::positive(110.0, 160.0)]).unwrap();
        seen.extend(observe(session.propagate_from(Some(44), Direction::Forward, Some(5))));
        seen.extend(observe(session.propagate_from(Some(50), Direction::Forward, None)));
        seen.extend(observe(session.propagate(Direction::Reverse)));
        seen
    });
}

#[test]
fn a_start_whose_past_was_released_is_refused() {
    let model = clips::micro_model();
    let mut session = VideoSession::new(&model, clip("mouse-arena", 50)).unwrap();
    session.add_points(0, ObjectId(1), &[Point::positive(244.0, 80.0)]).unwrap();
    session.propagate(Direction::Forward).for_each(|frame| drop(frame.unwrap()));
    let mut run = session.propagate_from(Some(28), Direction::Forward, Some(1));
    assert!(matches!(run.next(), Some(Err(EngineError::MemoriesReleased { start: 28 }))));
    assert!(run.next().is_none());
    drop(run);
    let corrected = session.add_points(28, ObjectId(1), &[Point::negative(10.0, 10.0)]);
    assert!(matches!(corrected, Err(EngineError::ResultReleased { frame: 28, .. })));
    // A correction near the end is still possible, and so is a new run from the prompt.
    session.add_points(48, ObjectId(1), &[Point::positive(120.0, 200.0)]).unwrap();
    assert_eq!(session.propagate_from(None, Direction::Forward, Some(2)).count(), 3);
}

#[test]
fn objects_in_a_batch_are_the_objects_alone() {
    let model = clips::micro_model();
    let alone = |index: usize| {
        let points = [Point::positive(54.0, 101.0), Point::positive(258.0, 149.0)];
        let mut session = VideoSession::new(&model, clip("two-crossing", 12)).unwrap();
        session.add_points(0, ObjectId(7), &points[index..=index]).unwrap();
        let masks: Vec<Mask> = session
            .propagate(Direction::Forward)
            .map(|frame| frame.unwrap().objects[0].mask.clone())
            .collect();
        masks
    };
    let mut session = VideoSession::new(&model, clip("two-crossing", 12)).unwrap();
    session.add_points(0, ObjectId(1), &[Point::positive(54.0, 101.0)]).unwrap();
    session.add_points(0, ObjectId(2), &[Point::positive(258.0, 149.0)]).unwrap();
    let together: Vec<FrameMasks> =
        session.propagate(Direction::Forward).map(Result::unwrap).collect();
    for index in 0..2 {
        for (frame, alone) in together.iter().zip(alone(index)) {
            let iou = frame.objects[index].mask.iou(&alone);
            assert!(iou >= 0.999, "object {index}, frame {}: {iou}", frame.frame_index);
        }
    }
}

#[test]
fn prompts_and_objects_come_and_go() {
    let model = clips::micro_model();
    let mut session = VideoSession::new(&model, clip("two-crossing", 10)).unwrap();
    let none = session.propagate(Direction::Forward).next();
    assert!(matches!(none, Some(Err(EngineError::NoPrompts))));

    session.add_points(2, ObjectId(1), &[Point::positive(60.0, 103.0)]).unwrap();
    session.add_points(2, ObjectId(2), &[Point::positive(250.0, 145.0)]).unwrap();
    let first: Vec<usize> =
        session.propagate(Direction::Forward).map(|f| f.unwrap().objects.len()).collect();
    assert_eq!(first, [2; 8]);

    session.remove_object(ObjectId(1)).unwrap();
    assert!(matches!(
        session.remove_object(ObjectId(1)),
        Err(EngineError::UnknownObject(ObjectId(1)))
    ));
    assert_eq!(session.object_ids(), [ObjectId(2)]);
    let second: Vec<usize> =
        session.propagate(Direction::Reverse).map(|f| f.unwrap().objects.len()).collect();
    assert_eq!(second, [1; 3]);

    session.clear_prompts(2, ObjectId(2)).unwrap();
    let bare = session.propagate(Direction::Forward).next();
    assert!(matches!(bare, Some(Err(EngineError::ObjectWithoutPrompt(ObjectId(2))))));
    session.reset();
    assert!(session.object_ids().is_empty());
}

#[test]
fn a_correction_of_a_conditioning_frame_shows_but_is_not_remembered() {
    // This is the official predictor's behaviour, unless `corrections_condition` is set.
    let model = clips::micro_model();
    let run = |corrects: bool, corrections_condition: bool| {
        let options = SessionOptions::default().corrections_condition(corrections_condition);
        let mut session =
            VideoSession::builder(&model).options(options).open(clip("mouse-arena", 16)).unwrap();
        let click = Point::positive(222.5, 100.0);
        let first = session.add_points(5, ObjectId(1), &[click]).unwrap();
        observe(session.propagate_from(None, Direction::Forward, Some(6)));
        if corrects {
            let clicks = [Point::negative(250.0, 60.0), click];
            let corrected = session.add_points(5, ObjectId(1), &clicks).unwrap();
            let logits = |mask: &ObjectMask| to_values(mask.low_res_logits.clone());
            assert_ne!(logits(&first), logits(&corrected));
        }
        observe(session.propagate(Direction::Forward))
    };
    assert!(run(true, false) == run(false, false));
    assert!(run(true, true) != run(false, true));
}

#[test]
fn overlaps_go_to_one_object_only() {
    let model = clips::micro_model();
    let options = SessionOptions::default().non_overlap_masks(true);
    let frames = clip("two-crossing", 6);
    let mut session = VideoSession::builder(&model).options(options).open(frames).unwrap();
    // The same object twice: without the option the masks would be equal.
    session.add_points(0, ObjectId(1), &[Point::positive(54.0, 101.0)]).unwrap();
    session.add_points(0, ObjectId(2), &[Point::positive(54.0, 101.0)]).unwrap();
    for frame in session.propagate(Direction::Forward) {
        let frame = frame.unwrap();
        let (first, second) = (&frame.objects[0].mask, &frame.objects[1].mask);
        assert!(first.area() > 0);
        let both =
            first.to_bytes(1).iter().zip(second.to_bytes(1)).filter(|(a, b)| **a + b == 2).count();
        assert_eq!(both, 0);
    }
}

#[test]
fn forgetting_around_prompts_forgets_and_goes_on() {
    let model = clips::micro_model();
    let options = SessionOptions::default().clear_memories_around_prompts(true);
    let frames = clip("mouse-arena", 20);
    let mut session = VideoSession::builder(&model).options(options).open(frames).unwrap();
    session.add_points(0, ObjectId(1), &[Point::positive(244.0, 80.0)]).unwrap();
    assert_eq!(session.propagate(Direction::Forward).filter(Result::is_ok).count(), 20);
    // Part of what frame 12 was tracked with has been released, so a correction is refused rather
    // than computed from what remains.
    let refused = session.add_points(12, ObjectId(1), &[Point::positive(200.0, 100.0)]);
    assert!(matches!(refused, Err(EngineError::ResultReleased { frame: 12, .. })));
    session.add_points(15, ObjectId(1), &[Point::positive(200.0, 100.0)]).unwrap();
    let mut run = session.propagate_from(Some(15), Direction::Forward, None);
    assert!(run.next().unwrap().is_ok());
    let bank = run.memory_bank(ObjectId(1)).unwrap();
    assert!(bank.tracked(7).is_some() && (8..15).all(|frame| bank.tracked(frame).is_none()));
    assert_eq!(run.filter(Result::is_ok).count(), 4);
}

#[test]
fn bad_prompts_are_refused_and_change_nothing() {
    let model = clips::micro_model();
    let mut session = VideoSession::new(&model, clip("worm", 3)).unwrap();
    let id = ObjectId(1);
    let inside = Point::positive(10.0, 10.0);
    let outside = Point::positive(320.5, 10.0);
    let bounds = BoxPrompt { x0: 20.0, y0: 5.0, x1: 10.0, y1: 50.0 };
    let nan = Point::positive(f32::NAN, 0.0);
    assert!(matches!(
        session.add_points(3, id, &[inside]),
        Err(EngineError::FrameOutOfRange { frame: 3, count: 3 })
    ));
    assert!(matches!(session.add_points(0, id, &[]), Err(EngineError::EmptyPrompt { .. })));
    assert!(matches!(session.add_points(0, id, &[outside]), Err(EngineError::PointOutside { .. })));
    assert!(matches!(session.add_points(0, id, &[nan]), Err(EngineError::PointOutside { .. })));
    assert!(matches!(session.add_box(0, id, bounds), Err(EngineError::EmptyBox { .. })));
    let small = Mask::empty(10, 10);
    assert!(matches!(session.add_mask(0, id, &small), Err(EngineError::MaskPromptSize { .. })));
    assert!(session.object_ids().is_empty());
}

#[test]
fn one_frame_and_an_empty_mask_prompt_work() {
    let model = clips::micro_model();
    let mut session = VideoSession::new(&model, clip("worm", 1)).unwrap();
    session.add_mask(0, ObjectId(1), &Mask::empty(320, 240)).unwrap();
    let run: Vec<FrameMasks> = session.propagate(Direction::Forward).map(Result::unwrap).collect();
    assert_eq!(run.len(), 1);
    assert_eq!(run[0].objects[0].mask.area(), 0);
    assert!(run[0].objects[0].object_score < 0.0);
    assert_eq!(session.propagate(Direction::Reverse).count(), 0);
}

#[test]
fn other_image_sizes_run_and_impossible_ones_are_refused() {
    let model = clips::micro_model();
    for wrong in [0, 100, 260] {
        assert!(model.with_image_size(wrong).is_none(), "{wrong}");
    }
    let larger = model.with_image_size(512).unwrap();
    let mut session = VideoSession::new(&larger, clip("worm", 2)).unwrap();
    let first = session.add_points(0, ObjectId(1), &[Point::positive(137.0, 110.0)]).unwrap();
    assert_eq!(first.low_res_logits.dims(), [1, 1, 128, 128]);
    assert_eq!(session.propagate(Direction::Forward).filter(Result::is_ok).count(), 2);
}
