//! The effects of a session's options, and what they must leave unchanged.

#![allow(missing_docs, clippy::unwrap_used)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sam2_engine::{
    Direction, EncodedImage, EngineError, FrameError, FrameMasks, FrameSource, ImagePredictor,
    LazyFrames, Mask, ObjectId, ObjectMask, Point, Propagation, RgbFrame, Sam2, SessionOptions,
    StreamSession, VideoSession, remove_islands,
};
use sam2_frame_provider::{MemoryFrames, SourceInfo};
use sam2_tests::clips;
use sam2_tests::exact::bits;
use sam2_tests::fixture::to_values;
use sam2_tests::scenario::ellipse_mask;

const TWO: [Point; 2] = [
    Point { x: 54.0, y: 101.0, label: sam2_model::PointLabel::Positive },
    Point { x: 258.0, y: 149.0, label: sam2_model::PointLabel::Positive },
];

fn model() -> Sam2 {
    clips::micro_model().with_image_size(128).unwrap()
}

fn clip(count: usize) -> MemoryFrames {
    let frames = clips::frames("two-crossing");
    let frames: Vec<RgbFrame> = (0..count).map(|i| (*frames.frame(i).unwrap()).clone()).collect();
    MemoryFrames::new(frames).unwrap()
}

fn run<S: FrameSource>(session: &mut VideoSession<S>, direction: Direction) -> Vec<FrameMasks> {
    session.propagate(direction).map(Result::unwrap).collect()
}

/// Tracks two objects from the middle in both directions.
fn both_ways(model: &Sam2, options: SessionOptions) -> Vec<FrameMasks> {
    let mut session = VideoSession::builder(model).options(options).open(clip(16)).unwrap();
    for (id, click) in TWO.iter().enumerate() {
        session.add_points(4, ObjectId(id as u32), &[*click]).unwrap();
    }
    let mut all = run(&mut session, Direction::Forward);
    all.extend(run(&mut session, Direction::Reverse));
    all
}

fn all_bits(frames: &[FrameMasks]) -> Vec<Vec<u32>> {
    frames.iter().map(|frame| bits(&frame.objects)).collect()
}

/// A source that counts reads and, if `unreadable` names a frame, cannot read that frame.
struct Watched {
    frames: MemoryFrames,
    reads: Arc<AtomicUsize>,
    unreadable: Option<usize>,
}

impl FrameSource for Watched {
    fn info(&self) -> SourceInfo {
        self.frames.info()
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let is_there = self.unreadable != Some(index);
        self.frames.frame(if is_there { index } else { self.info().frame_count })
    }
}

#[test]
fn kept_features_are_not_encoded_again() {
    let model = model();
    let reads = |feature_cache_frames| {
        let count = Arc::new(AtomicUsize::new(0));
        let options = SessionOptions::default().feature_cache_frames(feature_cache_frames);
        let source = Watched { frames: clip(6), reads: Arc::clone(&count), unreadable: None };
        let mut session = VideoSession::builder(&model).options(options).open(source).unwrap();
        // Back and forth between frames, as a user does.
        let mut shown = Vec::new();
        for frame in [0, 1, 0, 2, 1, 0] {
            shown.push(session.add_points(frame, ObjectId(1), &TWO[..1]).unwrap());
        }
        let mut shown = vec![bits(&shown)];
        shown.extend(all_bits(&run(&mut session, Direction::Forward)));
        shown.extend(all_bits(&run(&mut session, Direction::Reverse)));
        (shown, count.load(Ordering::Relaxed))
    };
    let (one, one_read) = reads(1);
    // Six reads for the prompts, two for the memories of the three prompted frames (one of them is
    // still cached), and three for the tracked frames.
    assert_eq!(one_read, 11);
    // With no cache at all, reads would differ from the official behaviour, so 0 means 1.
    assert!(reads(0) == (one.clone(), one_read));
    let (three, three_read) = reads(3);
    assert!(one == three);
    assert_eq!(three_read, 6);
    let (many, many_read) = reads(usize::MAX);
    assert!(one == many);
    assert_eq!(many_read, 6);
}

#[test]
fn threads_that_encode_ahead_give_the_same() {
    let model = model();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| all_bits(&both_ways(&model, SessionOptions::default())))
    };
    // With one thread, all steps run one after the other.
    let one = with(1);
    assert!(one == with(2) && one == with(5));
}

#[test]
fn a_frame_that_cannot_be_read_is_an_error_in_its_turn() {
    let model = model();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let until_the_end = |unreadable: Option<usize>| {
        let reads = Arc::new(AtomicUsize::new(0));
        let source = Watched { frames: clip(8), reads: Arc::clone(&reads), unreadable };
        let mut session = VideoSession::new(&model, source).unwrap();
        session.add_points(0, ObjectId(1), &TWO[..1]).unwrap();
        let frames: Vec<_> = session.propagate(Direction::Forward).collect();
        let (position, count) = (session.position(), reads.load(Ordering::Relaxed));
        // A retry reads the frame again.
        if unreadable.is_some() {
            assert!(
                session.propagate_from(Some(5), Direction::Forward, None).next().unwrap().is_err()
            );
            assert_eq!(reads.load(Ordering::Relaxed), count + 1);
        }
        (frames, position, count)
    };
    let (whole, _, reads) = pool.install(|| until_the_end(None));
    assert_eq!(reads, 8);
    let (mut short, position, reads) = pool.install(|| until_the_end(Some(5)));
    assert!(short.pop().unwrap().is_err());
    assert_eq!((position, reads), (Some((4, Direction::Forward)), 6), "each frame is read once");
    let bits = |frames: Vec<Result<FrameMasks, EngineError>>| {
        all_bits(&frames.into_iter().map(Result::unwrap).collect::<Vec<_>>())
    };
    let (whole, short) = (bits(whole), bits(short));
    assert_eq!(short.len(), 5);
    assert!(whole.len() == 8 && whole[..5] == short);
}

#[test]
fn fewer_objects_at_a_time_give_the_same() {
    for (side, limits) in [(128, &[1, 2, 3, 5, 64][..]), (256, &[2])] {
        fewer_at_a_time(&clips::micro_model().with_image_size(side).unwrap(), limits);
    }
}

fn fewer_at_a_time(model: &Sam2, limits: &[usize]) {
    let tracked = |objects_per_pass: Option<usize>| {
        let objects_per_pass = objects_per_pass.and_then(NonZeroUsize::new);
        let options = SessionOptions::default().objects_per_pass(objects_per_pass);
        let mut session = VideoSession::builder(model).options(options).open(clip(10)).unwrap();
        for id in 0..5 {
            let click = Point::positive(40.0 + 50.0 * id as f32, 100.0 + 9.0 * id as f32);
            session.add_points(2, ObjectId(id), &[click]).unwrap();
        }
        let mut all = run(&mut session, Direction::Forward);
        all.extend(run(&mut session, Direction::Reverse));
        all
    };
    let together = tracked(None);
    for &limit in limits {
        let parts = tracked(Some(limit));
        let mut worst = 0.0_f32;
        for (a, b) in together.iter().zip(&parts) {
            for (a, b) in a.objects.iter().zip(&b.objects) {
                let (a, b) =
                    (to_values(a.low_res_logits.clone()), to_values(b.low_res_logits.clone()));
                worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
            }
        }
        assert!(all_bits(&together) == all_bits(&parts), "{limit} at a time: {worst}");
    }
}

#[test]
fn small_islands_go_from_the_masks_and_not_from_the_memories() {
    let model = model();
    let with = |remove_island_area| {
        let options = SessionOptions::default().remove_island_area(remove_island_area);
        let mut session = VideoSession::builder(&model).options(options).open(clip(16)).unwrap();
        // Masks without islands: the memory of a prompted frame is made from what the user saw.
        let prompts = [[70.0, 101.0, 60.0, 40.0], [250.0, 149.0, 50.0, 50.0]];
        for (id, ellipse) in prompts.into_iter().enumerate() {
            let mask = ellipse_mask(ellipse, 320, 240);
            session.add_mask(4, ObjectId(id as u32), &mask).unwrap();
        }
        let mut all = run(&mut session, Direction::Forward);
        all.extend(run(&mut session, Direction::Reverse));
        all
    };
    let (plain, cleaned) = (with(0), with(12));
    let mut removed = 0;
    for (a, b) in plain.iter().zip(&cleaned).flat_map(|(a, b)| a.objects.iter().zip(&b.objects)) {
        // Later frames see the same memories, so everything else is equal.
        assert_eq!(a.object_score.to_bits(), b.object_score.to_bits());
        assert_eq!(a.predicted_iou.to_bits(), b.predicted_iou.to_bits());
        let mut expected = to_values(a.low_res_logits.clone());
        removed += remove_islands(&mut expected, 32, 12);
        assert_eq!(expected, to_values(b.low_res_logits.clone()));
    }
    assert!(removed > 0, "no island was there, so nothing was shown");
}

#[test]
fn logits_at_the_recordings_size_are_there_on_request() {
    let model = model();
    let plain = both_ways(&model, SessionOptions::default());
    assert!(plain.iter().flat_map(|f| &f.objects).all(|object| object.video_logits.is_none()));
    let options = SessionOptions::default().keep_video_logits(true).non_overlap_masks(true);
    let kept = both_ways(&model, options);
    for object in kept.iter().flat_map(|frame| &frame.objects) {
        let logits = object.video_logits.as_ref().unwrap();
        assert_eq!(logits.len(), 320 * 240);
        assert_eq!(Mask::from_logits(320, 240, logits).unwrap(), object.mask);
        assert_eq!(object.area(), logits.iter().filter(|logit| **logit > 0.0).count() as u64);
    }
    assert!(kept.iter().flat_map(|frame| &frame.objects).any(|object| object.area() > 0));
}

#[test]
fn prompts_of_one_object_are_taken_back_on_all_frames() {
    let model = model();
    let mut session = VideoSession::new(&model, clip(12)).unwrap();
    let (first, second) = (ObjectId(1), ObjectId(2));
    session.add_points(1, first, &TWO[..1]).unwrap();
    session.add_points(6, first, &TWO[..1]).unwrap();
    session.add_points(1, second, &TWO[1..]).unwrap();
    run(&mut session, Direction::Forward);
    session.add_points(11, first, &[Point::positive(100.0, 110.0)]).unwrap();
    session.clear_object_prompts(first).unwrap();
    let bank = session.memory_bank(first).unwrap();
    assert_eq!((bank.conditioning_frames().count(), bank.tracked_len()), (0, 0));
    assert!(session.pending_outcome(11, first).is_none());
    let next = session.propagate(Direction::Forward).next();
    assert!(matches!(next, Some(Err(EngineError::ObjectWithoutPrompt(ObjectId(1))))));

    // A new prompt starts afresh, as for a new object; the other object was not affected.
    session.add_points(3, first, &TWO[..1]).unwrap();
    let masks = run(&mut session, Direction::Forward);
    assert_eq!((masks.len(), masks[0].frame_index), (11, 1));
    let mut fresh = VideoSession::new(&model, clip(12)).unwrap();
    fresh.add_points(3, first, &TWO[..1]).unwrap();
    fresh.add_points(1, second, &TWO[1..]).unwrap();
    assert!(all_bits(&masks) == all_bits(&run(&mut fresh, Direction::Forward)));
    assert!(matches!(
        session.clear_object_prompts(ObjectId(9)),
        Err(EngineError::UnknownObject(ObjectId(9)))
    ));
    assert!(session.discard_object(first));
    assert!(!session.discard_object(first));
    assert_eq!(session.object_ids(), [second]);
}

#[test]
fn the_masks_of_a_frame_can_be_asked_for() {
    let model = model();
    let mut session = VideoSession::new(&model, clip(8)).unwrap();
    assert!(session.masks_on(0).unwrap().objects.is_empty());
    let prompted = session.add_points(0, ObjectId(1), &TWO[..1]).unwrap();
    let shown = |masks: FrameMasks| bits(&masks.objects);
    assert_eq!(shown(session.masks_on(0).unwrap()), bits(&[prompted]));
    session.add_points(0, ObjectId(2), &TWO[1..]).unwrap();
    let tracked = run(&mut session, Direction::Forward);
    for masks in tracked {
        let again = session.masks_on(masks.frame_index).unwrap();
        assert_eq!(shown(masks), shown(again));
    }
    let before = session.masks_on(7).unwrap();
    let corrected: ObjectMask =
        session.add_points(7, ObjectId(2), &[Point::positive(200.0, 140.0)]).unwrap();
    let now = session.masks_on(7).unwrap();
    assert_eq!(bits(&now.objects[..1]), bits(&before.objects[..1]));
    assert_eq!(bits(&now.objects[1..]), bits(&[corrected]));
    session.clear_prompts(7, ObjectId(2)).unwrap();
    assert_eq!(shown(session.masks_on(7).unwrap()), shown(before));
    assert!(matches!(session.masks_on(8), Err(EngineError::FrameOutOfRange { .. })));
}

#[test]
fn a_pass_says_how_far_it_is_and_can_be_left() {
    let model = model();
    let mut session = VideoSession::new(&model, clip(8)).unwrap();
    let mut none = session.propagate(Direction::Forward);
    assert_eq!((none.frames_done(), none.frames_total()), (0, 0));
    assert!(none.next().unwrap().is_err());
    assert_eq!(none.frames_done(), 0);
    drop(none);
    session.add_points(2, ObjectId(1), &TWO[..1]).unwrap();
    assert_eq!(session.position(), None);
    let mut run = session.propagate(Direction::Forward);
    assert_eq!((run.frames_done(), run.frames_total(), run.size_hint().1), (0, 6, Some(6)));
    run.next().unwrap().unwrap();
    run.next().unwrap().unwrap();
    assert_eq!((run.frames_done(), run.frames_total(), run.size_hint().1), (2, 6, Some(4)));
    drop(run);
    assert_eq!(session.position(), Some((3, Direction::Forward)));
    let rest = session.propagate_from(Some(4), Direction::Forward, Some(1));
    assert_eq!(rest.frames_total(), 2);
    let back = session.propagate(Direction::Reverse);
    assert_eq!(back.frames_total(), 3);
}

/// Compiles only if all types can be moved to another thread.
#[test]
fn everything_may_be_sent_to_another_thread() {
    fn sent<T: Send>() {}
    sent::<Sam2>();
    sent::<VideoSession<LazyFrames>>();
    sent::<VideoSession<Box<dyn FrameSource>>>();
    sent::<Propagation<'_, LazyFrames>>();
    sent::<StreamSession>();
    sent::<FrameMasks>();
    sent::<ImagePredictor>();
    sent::<EncodedImage>();
    sent::<EngineError>();
    // A session also works on the other thread.
    let model = model();
    let mut session = VideoSession::new(&model, clip(3)).unwrap();
    session.add_points(0, ObjectId(1), &TWO[..1]).unwrap();
    let count = std::thread::scope(|scope| {
        scope.spawn(|| run(&mut session, Direction::Forward).len()).join().unwrap()
    });
    assert_eq!(count, 3);
}
