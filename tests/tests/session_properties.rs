//! Random sequences of all user actions, on a bounded session and, in step, on one that releases
//! nothing.
//!
//! Results of the bounded session must be identical bit for bit. If it refuses an action, it must
//! do so with one of the two documented errors and continue as if it had not been asked.
//! `PROPTEST_CASES` sets the number of sequences.

#![allow(missing_docs, clippy::unwrap_used)]

use std::cell::Cell;
use std::num::NonZeroUsize;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use sam2_engine::{
    BoxPrompt, Dam4samOptions, Direction, EngineError, FrameMasks, FrameSource, GuardedOptions,
    Mask, MemoryPolicyChoice, MemoryReach, MemoryRetention, ObjectId, ObjectMask, Passes, Point,
    RgbFrame, Sam2, Sam2longOptions, Sam3Options, SessionOptions, StreamOptions, StreamSession,
    VideoSession,
};
use sam2_frame_provider::MemoryFrames;
use sam2_tests::clips;
use sam2_tests::exact::bits;
use sam2_tests::scenario::ellipse_mask;

/// Longer than twice what is kept around one frame, so that much is released.
const FRAMES: usize = 96;
const POINTERS: usize = 15;

/// A frame index, chosen as users choose it.
#[derive(Clone, Copy, Debug)]
enum At {
    Number(usize),
    /// This many frames before the last tracked one, in tracking order.
    Behind(usize),
    /// The frame after the last tracked one, in tracking order.
    Next,
}

#[derive(Clone, Debug)]
enum Prompt {
    Points { points: Vec<Point>, replace: bool },
    Box(BoxPrompt),
    Mask([f64; 4]),
}

#[derive(Clone, Debug)]
enum Action {
    Prompt(At, u32, Prompt),
    Clear(At, u32),
    ClearObject(u32),
    Remove(u32),
    Reset,
    Propagate {
        start: Option<At>,
        direction: Direction,
        limit: Option<usize>,
    },
    /// Saves, drops and restores the bounded session.
    Reload,
}

fn frames() -> Vec<RgbFrame> {
    let clip = clips::frames("two-crossing");
    let last = clip.info().frame_count - 1;
    let there_and_back = (0..last).chain((1..=last).rev()).cycle();
    there_and_back.take(FRAMES).map(|i| (*clip.frame(i).unwrap()).clone()).collect()
}

/// Loads the model with the smallest input that has whole windows. Most masks are poor, but no bit
/// of them may change.
fn model() -> Sam2 {
    clips::micro_model().with_image_size(64).unwrap()
}

fn point() -> impl Strategy<Value = Point> {
    (0.0..=320.0_f32, 0.0..=240.0_f32, prop::bool::weighted(0.75)).prop_map(|(x, y, positive)| {
        if positive { Point::positive(x, y) } else { Point::negative(x, y) }
    })
}

fn prompt() -> impl Strategy<Value = Prompt> {
    prop_oneof![
        4 => (prop::collection::vec(point(), 1..4), any::<bool>())
            .prop_map(|(points, replace)| Prompt::Points { points, replace }),
        2 => (0.0..250.0_f32, 0.0..180.0_f32, -4.0..80.0_f32, 5.0..60.0_f32)
            .prop_map(|(x0, y0, width, height)| {
                // A few boxes are empty, which is an error in both sessions.
                Prompt::Box(BoxPrompt { x0, y0, x1: (x0 + width).max(0.0), y1: y0 + height })
            }),
        2 => (40.0..280.0, 40.0..200.0, 5.0..60.0, 5.0..60.0)
            .prop_map(|(x, y, rx, ry)| Prompt::Mask([x, y, rx, ry])),
    ]
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![
        2 => (0..FRAMES).prop_map(At::Number),
        3 => (0..14_usize).prop_map(At::Behind),
        1 => Just(At::Next),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let object = || 0..3_u32;
    let direction = prop::bool::weighted(0.6)
        .prop_map(|forward| if forward { Direction::Forward } else { Direction::Reverse });
    let start = prop_oneof![3 => Just(None), 2 => Just(Some(At::Next)), 2 => at().prop_map(Some)];
    let limit = prop_oneof![1 => Just(None), 4 => (0..50_usize).prop_map(Some)];
    prop_oneof![
        10 => (at(), object(), prompt()).prop_map(|(at, id, prompt)| Action::Prompt(at, id, prompt)),
        2 => (at(), object()).prop_map(|(at, id)| Action::Clear(at, id)),
        1 => object().prop_map(Action::ClearObject),
        1 => object().prop_map(Action::Remove),
        1 => Just(Action::Reset),
        10 => (start, direction, limit)
            .prop_map(|(start, direction, limit)| Action::Propagate { start, direction, limit }),
        1 => Just(Action::Reload),
    ]
}

fn memory_policy() -> impl Strategy<Value = MemoryPolicyChoice> {
    // At this size most frames are distrusted; a low limit makes many distractors.
    let limit = || prop::option::weighted(0.8, 0.0..0.9_f32);
    let look_back = prop_oneof![4 => 0..20_usize, 1 => Just(usize::MAX)];
    let guarded = (limit(), limit(), any::<bool>(), look_back, 0..3_usize, 1..4_usize).prop_map(
        |(min_predicted_iou, distractor_iou, distrust_flagged, look_back, apart, spacing)| {
            MemoryPolicyChoice::Guarded(GuardedOptions {
                min_predicted_iou,
                distrust_flagged,
                look_back,
                max_distractor_frames: apart,
                distractor_spacing: spacing,
                distractor_iou,
                ..GuardedOptions::default()
            })
        },
    );
    // Everything that the areas and scores of such masks would prevent is often off.
    let seen = || prop::option::weighted(0.3, 0.0..0.9_f32);
    let numbers = (1..6_usize, 0..8_usize, 0..3_usize, 1..4_usize);
    let dam4sam = (numbers, seen(), seen(), limit()).prop_map(
        |((update_every, look_back, apart, spacing), min_predicted_iou, area_change, box_iou)| {
            MemoryPolicyChoice::Dam4sam(Dam4samOptions {
                update_every,
                look_back,
                max_distractor_frames: apart,
                distractor_spacing: spacing,
                min_predicted_iou,
                area_change,
                distractor_box_iou: box_iou,
                ..Dam4samOptions::default()
            })
        },
    );
    let look_back = prop_oneof![4 => 0..20_usize, 1 => Just(usize::MAX)];
    let sam3 = (limit(), look_back).prop_map(|(min_confidence, look_back)| {
        MemoryPolicyChoice::Sam3(Sam3Options { min_confidence, look_back })
    });
    let look_back = prop_oneof![4 => 0..20_usize, 1 => Just(usize::MAX)];
    let unsure = prop::option::weighted(0.7, 0.0..12.0_f32);
    let sam2long = (1..5_usize, unsure, limit(), limit(), look_back).prop_map(
        |(pathways, unsure_below, min_object_score, min_predicted_iou, look_back)| {
            MemoryPolicyChoice::Sam2long(Sam2longOptions {
                pathways,
                unsure_below,
                min_object_score,
                min_predicted_iou,
                look_back,
            })
        },
    );
    let official = Just(MemoryPolicyChoice::Official);
    prop_oneof![1 => official, 2 => guarded, 2 => dam4sam, 2 => sam3, 2 => sam2long]
}

fn options() -> impl Strategy<Value = SessionOptions> {
    let cap = prop_oneof![2 => Just(None), 1 => (2..4_usize).prop_map(Some)];
    let often_off = || prop::bool::weighted(0.25);
    let correctable = prop_oneof![2 => Just(4), 1 => 0..12_usize];
    let switches = (often_off(), often_off(), often_off());
    (switches, 1..4_usize, cap, correctable, 0..3_usize, memory_policy(), often_off()).prop_map(
        |(switches, stride, cap, correctable, pass, memory_policy, own)| {
            let (corrections_condition, non_overlap_masks, clears) = switches;
            SessionOptions::default()
                .memory_policy(memory_policy)
                .passes(if own { Passes::Own } else { Passes::Official })
                .corrections_condition(corrections_condition)
                .non_overlap_masks(non_overlap_masks)
                .clear_memories_around_prompts(clears)
                .memory_temporal_stride(if stride == 3 { 2 } else { 1 })
                .max_conditioning_frames(cap)
                .correctable_frames(correctable)
                .objects_per_pass(NonZeroUsize::new(pass))
                // Encoding takes most of the time, so every frame is encoded only once.
                .feature_cache_frames(FRAMES)
        },
    )
}

/// The result of a prompt, for comparison.
type Given = Result<Vec<u32>, String>;

fn given(result: Result<ObjectMask, EngineError>) -> Given {
    result.map(|mask| bits(&[mask])).map_err(|error| error.to_string())
}

fn is_refusal(error: &EngineError) -> bool {
    matches!(error, EngineError::MemoriesReleased { .. } | EngineError::ResultReleased { .. })
}

/// Two sessions that perform the same actions.
struct Pair<'m> {
    model: &'m Sam2,
    source: &'m MemoryFrames,
    bounded: VideoSession<&'m MemoryFrames>,
    reference: VideoSession<&'m MemoryFrames>,
    frames: usize,
    /// Number of those frames on which any mask has pixels.
    seen: usize,
    refusals: usize,
    /// Largest number of frames kept in reserve for one object.
    apart: usize,
}

impl<'m> Pair<'m> {
    fn new(model: &'m Sam2, source: &'m MemoryFrames, options: SessionOptions) -> Self {
        let open = |retention| {
            let options = options.retention(retention);
            VideoSession::builder(model).options(options).open(source).unwrap()
        };
        let (bounded, reference) = (open(MemoryRetention::Bounded), open(MemoryRetention::All));
        Self { model, source, bounded, reference, frames: 0, seen: 0, refusals: 0, apart: 0 }
    }

    fn frame(&self, at: At) -> usize {
        let position = self.reference.position().unwrap_or((FRAMES / 2, Direction::Forward));
        let frame = match (at, position) {
            (At::Number(frame), _) => frame,
            (At::Behind(steps), (frame, Direction::Forward)) => frame.saturating_sub(steps),
            (At::Behind(steps), (frame, Direction::Reverse)) => frame + steps,
            (At::Next, (frame, Direction::Forward)) => frame + 1,
            (At::Next, (frame, Direction::Reverse)) => frame.saturating_sub(1),
        };
        frame.min(FRAMES - 1)
    }

    /// Performs an action in the bounded session and, unless it refuses, in the other one.
    fn both<T: PartialEq>(
        &mut self,
        act: impl Fn(&mut VideoSession<&'m MemoryFrames>) -> Result<T, EngineError>,
    ) -> TestCaseResult {
        let bounded = act(&mut self.bounded);
        if bounded.as_ref().is_err_and(is_refusal) {
            self.refusals += 1;
            return Ok(());
        }
        let (bounded, reference) = (
            bounded.map_err(|error| error.to_string()),
            act(&mut self.reference).map_err(|error| error.to_string()),
        );
        prop_assert!(bounded == reference, "{:?} and {:?}", bounded.err(), reference.err());
        Ok(())
    }

    fn act(&mut self, action: &Action) -> TestCaseResult {
        match action {
            Action::Prompt(at, id, prompt) => {
                let (frame, object) = (self.frame(*at), ObjectId(*id));
                self.both(|session| {
                    let mask = match prompt {
                        Prompt::Points { points, replace } => {
                            session.add_points_or_box(frame, object, points, None, *replace)
                        }
                        Prompt::Box(bounds) => session.add_box(frame, object, *bounds),
                        Prompt::Mask(ellipse) => session.add_mask(frame, object, &mask(*ellipse)),
                    };
                    mask.map(|mask| bits(&[mask]))
                })
            }
            Action::Clear(at, id) => {
                let frame = self.frame(*at);
                self.both(|session| session.clear_prompts(frame, ObjectId(*id)))
            }
            Action::ClearObject(id) => {
                self.both(|session| session.clear_object_prompts(ObjectId(*id)))
            }
            Action::Remove(id) => self.both(|session| session.remove_object(ObjectId(*id))),
            Action::Reset => self.both(|session| {
                session.reset();
                Ok(())
            }),
            Action::Propagate { start, direction, limit } => {
                self.propagate(start.map(|at| self.frame(at)), *direction, *limit)
            }
            Action::Reload => {
                let file = tempfile::NamedTempFile::new().unwrap();
                self.bounded.save(file.path()).unwrap();
                self.bounded =
                    VideoSession::builder(self.model).restore(self.source, file.path()).unwrap();
                Ok(())
            }
        }
    }

    fn propagate(
        &mut self,
        start: Option<usize>,
        direction: Direction,
        limit: Option<usize>,
    ) -> TestCaseResult {
        let mut tracked = 0;
        let mut bounded = self.bounded.propagate_from(start, direction, limit).peekable();
        if let Some(Err(error)) = bounded.peek()
            && is_refusal(error)
        {
            self.refusals += 1;
            return Ok(());
        }
        let mut reference = self.reference.propagate_from(start, direction, limit);
        let shown = |masks: Result<FrameMasks, EngineError>| match masks {
            Ok(FrameMasks { frame_index, objects, .. }) => {
                let area: u64 = objects.iter().map(ObjectMask::area).sum();
                Ok((frame_index, area, bits(&objects)))
            }
            Err(error) => Err(error.to_string()),
        };
        let mut seen = 0;
        loop {
            let (ours, theirs) = (bounded.next().map(shown), reference.next().map(shown));
            prop_assert!(
                ours == theirs,
                "{:?} and {:?} differ",
                ours.map(|r| r.map(|(frame, ..)| frame)),
                theirs.map(|r| r.map(|(frame, ..)| frame))
            );
            match ours {
                None => break,
                Some(Ok((_, area, _))) => {
                    tracked += 1;
                    seen += usize::from(area > 0);
                }
                Some(Err(_)) => {}
            }
        }
        drop((bounded, reference));
        self.frames += tracked;
        self.seen += seen;
        if tracked > 0 { self.check_bound(start) } else { Ok(()) }
    }

    /// Checks that nothing is kept except near the newest frame, a prompted frame or the start.
    fn check_bound(&mut self, start: Option<usize>) -> TestCaseResult {
        let options = self.bounded.options();
        let banks: Vec<_> = self
            .bounded
            .object_ids()
            .into_iter()
            .map(|id| self.bounded.memory_bank(id).unwrap())
            .collect();
        let (position, _) = self.bounded.position().unwrap();
        let prompted = banks.iter().flat_map(|bank| bank.conditioning_frames());
        let anchors: Vec<usize> = prompted.chain(start).collect();
        let config = self.model.config();
        let reach = MemoryReach::new(config, options.memory_temporal_stride, None);
        let kept = options.memory_policy.policy().retains(&reach);
        let (memories, frames) = (kept.memories, POINTERS.max(kept.memories).max(kept.frames));
        let near = |frame: usize, reach: usize| {
            frame.abs_diff(position) <= reach.saturating_add(options.limits.correctable_frames)
                || anchors.iter().any(|anchor| frame.abs_diff(*anchor) <= reach)
        };
        let mut most_apart = 0;
        for bank in banks {
            for frame in 0..FRAMES {
                let Some(outcome) = bank.tracked(frame) else { continue };
                prop_assert!(near(frame, frames), "{frame} at {position}");
                prop_assert!(
                    outcome.memory.is_none() || near(frame, memories),
                    "the memory of {frame} at {position}"
                );
            }
            let apart = bank.kept_apart().count();
            prop_assert!(apart <= kept.apart, "{apart} are kept apart");
            most_apart = most_apart.max(apart);
        }
        self.apart = self.apart.max(most_apart);
        Ok(())
    }
}

fn mask(ellipse: [f64; 4]) -> Mask {
    ellipse_mask(ellipse, 320, 240)
}

fn runner(cases: u32) -> TestRunner {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    config.max_shrink_iters = 200;
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return TestRunner::new(config);
    }
    // With so few cases, the sequences are the same every time: random ones might by chance cover
    // too little, which is asserted below.
    config.cases = cases;
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn a_bounded_session_is_the_unpruned_one_or_refuses() {
    let (model, source) = (model(), MemoryFrames::new(frames()).unwrap());
    let (frames, seen, refusals) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let apart = Cell::new(0);
    let sequences = (options(), prop::collection::vec(action(), 6..24));
    runner(32)
        .run(&sequences, |(options, actions)| {
            let mut pair = Pair::new(&model, &source, options);
            for action in &actions {
                pair.act(action)?;
            }
            frames.set(frames.get() + pair.frames);
            seen.set(seen.get() + pair.seen);
            refusals.set(refusals.get() + pair.refusals);
            apart.set(apart.get().max(pair.apart));
            Ok(())
        })
        .unwrap();
    // Otherwise the sequences would prove nothing.
    assert!(frames.get() > 300, "{} frames", frames.get());
    assert!(seen.get() > frames.get() / 4, "{} of {} frames", seen.get(), frames.get());
    assert!(refusals.get() > 0, "nothing was refused");
    assert!(apart.get() > 0, "nothing was kept apart");
    println!("{} frames, {} with masks, {} refusals", frames.get(), seen.get(), refusals.get());
}

/// Generates actions on a frame of a stream after it was pushed.
fn stream_action() -> impl Strategy<Value = Action> {
    let object = || 0..3_u32;
    prop_oneof![
        8 => (object(), prompt()).prop_map(|(id, prompt)| Action::Prompt(At::Behind(0), id, prompt)),
        1 => object().prop_map(|id| Action::Clear(At::Behind(0), id)),
        1 => object().prop_map(Action::ClearObject),
        1 => object().prop_map(Action::Remove),
        1 => Just(Action::Reload),
    ]
}

fn on_stream(session: &mut StreamSession, action: &Action) -> Given {
    let unit = |result: Result<(), EngineError>| {
        result.map(|()| Vec::new()).map_err(|error| error.to_string())
    };
    match action {
        Action::Prompt(_, id, Prompt::Points { points, replace }) => {
            given(session.add_points_or_box(ObjectId(*id), points, None, *replace))
        }
        Action::Prompt(_, id, Prompt::Box(bounds)) => {
            given(session.add_box(ObjectId(*id), *bounds))
        }
        Action::Prompt(_, id, Prompt::Mask(ellipse)) => {
            given(session.add_mask(ObjectId(*id), &mask(*ellipse)))
        }
        Action::Clear(_, id) => unit(session.clear_prompts(ObjectId(*id))),
        Action::ClearObject(id) => unit(session.clear_object_prompts(ObjectId(*id))),
        Action::Remove(id) => unit(session.remove_object(ObjectId(*id))),
        _ => Ok(Vec::new()),
    }
}

fn on_video(session: &mut VideoSession<&MemoryFrames>, frame: usize, action: &Action) -> Given {
    let unit = |result: Result<(), EngineError>| {
        result.map(|()| Vec::new()).map_err(|error| error.to_string())
    };
    match action {
        Action::Prompt(_, id, Prompt::Points { points, replace }) => {
            given(session.add_points_or_box(frame, ObjectId(*id), points, None, *replace))
        }
        Action::Prompt(_, id, Prompt::Box(bounds)) => {
            given(session.add_box(frame, ObjectId(*id), *bounds))
        }
        Action::Prompt(_, id, Prompt::Mask(ellipse)) => {
            given(session.add_mask(frame, ObjectId(*id), &mask(*ellipse)))
        }
        Action::Clear(_, id) => unit(session.clear_prompts(frame, ObjectId(*id))),
        Action::ClearObject(id) => unit(session.clear_object_prompts(ObjectId(*id))),
        Action::Remove(id) => unit(session.remove_object(ObjectId(*id))),
        _ => Ok(Vec::new()),
    }
}

#[test]
fn a_stream_is_the_unpruned_session() {
    let (model, all) = (model(), frames());
    let source = MemoryFrames::new(all.clone()).unwrap();
    let shown = Cell::new(0);
    let actions = prop::collection::vec((0..40_usize, stream_action()), 2..14);
    runner(12)
        .run(&(options(), actions), |(options, actions)| {
            let open = StreamOptions { session: options, total_frames: None };
            let mut stream = StreamSession::builder(&model).options(open).open();
            let retention = MemoryRetention::All;
            let options = options.retention(retention);
            let mut video = VideoSession::builder(&model).options(options).open(&source).unwrap();
            for (index, frame) in all.iter().enumerate().take(44) {
                let pushed = stream.push(frame);
                if video.object_ids().is_empty() {
                    prop_assert!(pushed.unwrap().objects.is_empty());
                } else {
                    let next = Some(index);
                    let expected =
                        video.propagate_from(next, Direction::Forward, Some(0)).next().unwrap();
                    match (pushed, expected) {
                        (Ok(a), Ok(b)) => {
                            prop_assert_eq!(a.frame_index, b.frame_index);
                            prop_assert!(bits(&a.objects) == bits(&b.objects), "frame {}", index);
                            shown.set(shown.get() + 1);
                        }
                        (a, b) => {
                            let (a, b) = (a.unwrap_err().to_string(), b.unwrap_err().to_string());
                            prop_assert_eq!(a, b);
                            return Ok(());
                        }
                    }
                }
                for (_, action) in actions.iter().filter(|(at, _)| *at == index) {
                    if matches!(action, Action::Reload) {
                        let file = tempfile::NamedTempFile::new().unwrap();
                        stream.save(file.path()).unwrap();
                        stream = StreamSession::builder(&model).restore(file.path()).unwrap();
                    }
                    let (ours, theirs) =
                        (on_stream(&mut stream, action), on_video(&mut video, index, action));
                    prop_assert!(ours == theirs, "{:?} and {:?}", ours.err(), theirs.err());
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(shown.get() > 100, "{} frames", shown.get());
}
