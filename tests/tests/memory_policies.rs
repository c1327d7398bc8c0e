//! Memory policies in sessions: what they change, what they must not change, and what they cost.

#![allow(missing_docs, clippy::unwrap_used)]

use std::num::NonZeroUsize;
use std::sync::Arc;

use sam2_engine::model::{MemoryFeatures, MemorySelection};
use sam2_engine::{
    Dam4samOptions, Direction, EngineError, FrameRecord, FrameSource, GuardedOptions, MemoryPolicy,
    MemoryPolicyChoice, MemoryReach, MemoryRetention, MemoryView, ObjectId, OfficialPolicy, Point,
    Retained, RgbFrame, Sam2, Sam2longOptions, Sam3Options, SessionFileError, SessionOptions,
    StreamOptions, StreamSession, VideoSession,
};
use sam2_frame_provider::MemoryFrames;
use sam2_frame_provider::resize::resize;
use sam2_tests::clips;
use sam2_tests::fixture::Fixture;
use sam2_tests::hard_clips::{Kind, generate};
use sam2_tests::policy_runs::{FirstPrompt, bundled_clip, hard_clip, mean};
use sam2_tests::saved::{self, flat, frames, model, recording};

const GUARDED: fn() -> MemoryPolicyChoice =
    || MemoryPolicyChoice::Guarded(GuardedOptions::default());

/// Returns the guarded policy with all of its guards switched off.
fn trusting() -> MemoryPolicyChoice {
    MemoryPolicyChoice::Guarded(GuardedOptions {
        min_object_score: None,
        min_predicted_iou: None,
        distrust_flagged: false,
        distractor_iou: None,
        ..GuardedOptions::default()
    })
}

/// Everything that a session with prompts on two frames shows, forward and back, and again after a correction.
fn shown(mut session: VideoSession<MemoryFrames>) -> Vec<u32> {
    session.add_points(5, ObjectId(4), &[Point::positive(75.0, 104.0)]).unwrap();
    session.add_points(20, ObjectId(2), &[Point::positive(160.0, 118.0)]).unwrap();
    let mut shown = flat(session.propagate(Direction::Forward));
    session.add_points(saved::FRAMES - 2, ObjectId(4), &[Point::positive(120.0, 120.0)]).unwrap();
    shown.extend(flat(session.propagate(Direction::Reverse)));
    shown
}

fn with_policy(model: &Sam2, memory_policy: MemoryPolicyChoice, stride: usize) -> Vec<u32> {
    let options = SessionOptions::default()
        .memory_policy(memory_policy)
        .memory_temporal_stride(stride)
        .max_conditioning_frames((stride > 1).then_some(2));
    shown(VideoSession::builder(model).options(options).open(recording()).unwrap())
}

#[test]
fn where_everything_is_trusted_the_guarded_policy_is_the_official_one() {
    let model = model();
    for stride in [1, 3] {
        let official = with_policy(&model, MemoryPolicyChoice::Official, stride);
        assert!(official.len() > 100_000);
        assert!(with_policy(&model, trusting(), stride) == official, "stride {stride}");
        let strict = GuardedOptions { min_predicted_iou: Some(0.9), ..GuardedOptions::default() };
        let strict = MemoryPolicyChoice::Guarded(strict);
        assert!(with_policy(&model, strict, stride) != official, "nothing was doubted");
    }
}

/// The official policy under another name.
#[derive(Debug)]
struct Own(&'static str);

impl MemoryPolicy for Own {
    fn name(&self) -> &str {
        self.0
    }

    fn retains(&self, reach: &MemoryReach) -> Retained {
        OfficialPolicy.retains(reach)
    }

    fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
        OfficialPolicy.select(view)
    }
}

#[test]
fn a_policy_of_ones_own_is_asked_and_belongs_to_its_saved_sessions() {
    let model = model();
    let (options, own) = (SessionOptions::default(), || Arc::new(Own("own")));
    let session = VideoSession::builder(&model)
        .options(options)
        .memory_policy(own())
        .open(recording())
        .unwrap();
    assert!(shown(session) == with_policy(&model, MemoryPolicyChoice::Official, 1));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.session");
    let mut session = VideoSession::builder(&model)
        .options(options)
        .memory_policy(own())
        .open(recording())
        .unwrap();
    session.add_points(5, ObjectId(4), &[Point::positive(75.0, 104.0)]).unwrap();
    assert_eq!(session.propagate_from(None, Direction::Forward, Some(12)).count(), 13);
    session.save(&path).unwrap();
    let other = Arc::new(Own("another"));
    for (refused, given) in [
        (VideoSession::builder(&model).restore(recording(), &path), "'official'"),
        (
            VideoSession::builder(&model).memory_policy(other).restore(recording(), &path),
            "'another'",
        ),
    ] {
        let error = refused.err().unwrap();
        let message = error.to_string();
        assert!(message.contains("'own'") && message.contains(given), "{message}");
        assert!(matches!(
            error,
            EngineError::SessionFile(SessionFileError::OtherMemoryPolicy { .. })
        ));
    }
    let mut restored =
        VideoSession::builder(&model).memory_policy(own()).restore(recording(), &path).unwrap();
    let rest = |session: &mut VideoSession<_>| {
        flat(session.propagate_from(Some(18), Direction::Forward, None))
    };
    assert!(rest(&mut session) == rest(&mut restored));

    let streamed = StreamOptions::default();
    let mut stream = StreamSession::builder(&model).options(streamed).memory_policy(own()).open();
    let mut official = StreamSession::builder(&model).options(streamed).open();
    for (index, frame) in frames()[..12].iter().enumerate() {
        let push = |session: &mut StreamSession| {
            let shown = flat(std::iter::once(session.push(frame)));
            if index == 0 {
                session.add_points(ObjectId(3), &[Point::positive(54.0, 101.0)]).unwrap();
            }
            shown
        };
        assert!(push(&mut stream) == push(&mut official), "frame {index}");
        stream.save(&path).unwrap();
        assert!(StreamSession::builder(&model).restore(&path).is_err());
        stream = StreamSession::builder(&model).memory_policy(own()).restore(&path).unwrap();
    }
}

/// Keeps every third frame in reserve, with a memory as of a prompted frame, whatever the candidates
/// show.
#[derive(Debug)]
struct EveryThird;

impl MemoryPolicy for EveryThird {
    fn name(&self) -> &str {
        "every third"
    }

    fn retains(&self, reach: &MemoryReach) -> Retained {
        Retained { apart: 2, ..OfficialPolicy.retains(reach) }
    }

    fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
        OfficialPolicy.select(view)
    }

    fn keeps_apart(&self, view: &MemoryView<'_>, _record: &FrameRecord) -> bool {
        view.query().frame.is_multiple_of(3)
    }

    fn encodes_apart_as_prompted(&self) -> bool {
        true
    }
}

#[test]
fn every_frame_in_reserve_has_the_memory_that_the_policy_asks_for() {
    let model = clips::micro_model();
    let policy = Arc::new(EveryThird);
    let mut session =
        VideoSession::builder(&model).memory_policy(policy).open(recording()).unwrap();
    session.add_points(0, ObjectId(1), &[Point::positive(54.0, 101.0)]).unwrap();
    let pass = session.propagate_from(None, Direction::Forward, Some(6));
    assert_eq!(pass.filter(Result::is_ok).count(), 7);
    let bank = session.memory_bank(ObjectId(1)).unwrap();
    let values = |memory: Option<&MemoryFeatures>| -> Vec<f32> {
        memory.unwrap().0.clone().into_data().convert::<f32>().try_to_vec::<f32>().unwrap()
    };
    let kept: Vec<usize> = bank.kept_apart().map(|(frame, _)| frame).collect();
    assert_eq!(kept, [3, 6]);
    for (frame, apart) in bank.kept_apart() {
        let tracked = bank.tracked(frame).unwrap();
        // A prompted frame's memory is of the mask itself, not of its logits.
        assert!(values(apart.memory.as_ref()) != values(tracked.memory.as_ref()), "frame {frame}");
    }
}

/// Returns a recording of many frames that needs little memory.
fn long_recording(count: usize) -> Vec<RgbFrame> {
    let clip = clips::frames("two-crossing");
    let last = clip.info().frame_count - 1;
    let there_and_back = (0..last).chain((1..=last).rev()).cycle();
    there_and_back.take(count).map(|i| (*clip.frame(i).unwrap()).clone()).collect()
}

/// Returns every policy that looks back, with limits so low that the reserve fills.
fn crowded() -> [(&'static str, MemoryPolicyChoice); 4] {
    let guarded = GuardedOptions {
        min_predicted_iou: None,
        distrust_flagged: false,
        distractor_iou: Some(0.0),
        ..GuardedOptions::default()
    };
    let dam4sam = Dam4samOptions {
        min_predicted_iou: None,
        area_change: None,
        distractor_box_iou: Some(1.0),
        ..Dam4samOptions::default()
    };
    [
        ("guarded", MemoryPolicyChoice::Guarded(guarded)),
        ("dam4sam", MemoryPolicyChoice::Dam4sam(dam4sam)),
        ("sam3", MemoryPolicyChoice::Sam3(Sam3Options::default())),
        ("sam2long", sam2long(3)),
    ]
}

#[test]
fn what_a_session_keeps_does_not_grow_with_the_recording() {
    let model = clips::micro_model().with_image_size(64).unwrap();
    let source = MemoryFrames::new(long_recording(300)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.session");
    for (name, memory_policy) in crowded() {
        let session = SessionOptions::default().memory_policy(memory_policy);
        let retained = memory_policy.policy().retains(&MemoryReach::new(model.config(), 1, None));
        let both_sides = 2 * retained.memories + session.limits.correctable_frames + 1;

        let mut video = VideoSession::builder(&model).options(session).open(&source).unwrap();
        let mut stream = StreamSession::builder(&model)
            .options(StreamOptions { session, total_frames: None })
            .open();
        video.add_points(0, ObjectId(1), &[Point::positive(54.0, 101.0)]).unwrap();
        let (mut sizes, mut apart) = (Vec::new(), 0);
        for index in 0..source.info().frame_count {
            let tracked = flat(video.propagate_from(Some(index), Direction::Forward, Some(0)));
            let pushed = flat(std::iter::once(stream.push(&source.frame(index).unwrap())));
            if index == 0 {
                stream.add_points(ObjectId(1), &[Point::positive(54.0, 101.0)]).unwrap();
            } else {
                assert!(tracked == pushed, "{name}: frame {index}");
            }
            for bank in [video.memory_bank(ObjectId(1)), stream.memory_bank(ObjectId(1))] {
                let Some(bank) = bank else { continue };
                let kept = bank.tracked_len();
                assert!(kept <= both_sides, "{name}: {kept} at {index}");
                let now = bank.kept_apart().count();
                assert!(now <= retained.apart, "{name}: {now} at {index}");
                apart = apart.max(now);
            }
            if index >= 100 && index % 50 == 0 {
                stream.save(&path).unwrap();
                sizes.push(std::fs::metadata(&path).unwrap().len());
            }
        }
        assert_eq!(apart, retained.apart, "{name}: nothing was kept apart");
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        assert!(most - least < least / 10, "{name}: {sizes:?}");

        // A pass in one go has one start, and keeps what lies around that and around where it is.
        let mut video = VideoSession::builder(&model).options(session).open(&source).unwrap();
        video.add_points(0, ObjectId(1), &[Point::positive(54.0, 101.0)]).unwrap();
        let mut run = video.propagate(Direction::Forward);
        while let Some(masks) = run.next() {
            masks.unwrap();
            let kept = run.memory_bank(ObjectId(1)).unwrap().tracked_len();
            assert!(kept <= both_sides, "{name}: {kept}");
        }
    }
}

#[test]
fn with_every_frame_and_no_distractor_dam4sam_is_the_official_policy() {
    let model = model();
    let run = |memory_policy| {
        let options = SessionOptions::default().memory_policy(memory_policy);
        let mut session = VideoSession::builder(&model).options(options).open(recording()).unwrap();
        session.add_points(0, ObjectId(4), &[Point::positive(75.0, 104.0)]).unwrap();
        flat(session.propagate(Direction::Forward))
    };
    let official = run(MemoryPolicyChoice::Official);
    let each = Dam4samOptions { update_every: 1, distractor_box_iou: None, ..Default::default() };
    assert!(run(MemoryPolicyChoice::Dam4sam(each)) == official);
    let fifth = Dam4samOptions { update_every: 5, ..each };
    assert!(run(MemoryPolicyChoice::Dam4sam(fifth)) != official);
}

/// Numbers of a tensor.
fn numbers<const D: usize>(tensor: &sam2_engine::model::Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().try_to_vec().unwrap()
}

#[test]
fn a_distractor_frame_of_dam4sam_is_encoded_like_a_prompted_one() {
    let model = model();
    let [_, (_, dam4sam), ..] = crowded();
    let options = SessionOptions::default()
        .memory_policy(dam4sam)
        .fill_hole_area(0)
        .retention(MemoryRetention::All);
    let frames = recording();
    let mut session = VideoSession::builder(&model).options(options).open(frames.clone()).unwrap();
    session.add_points(0, ObjectId(1), &[Point::positive(54.0, 101.0)]).unwrap();
    assert_eq!(session.propagate(Direction::Forward).count(), saved::FRAMES);
    let bank = session.memory_bank(ObjectId(1)).unwrap();
    let mut count = 0;
    for (frame, apart) in bank.kept_apart() {
        let tracked = bank.tracked(frame).unwrap();
        let side = model.config().image_size as u32;
        let input = resize(&frames.frame(frame).unwrap(), side, side, options.resize).unwrap();
        let features = model.encode_image(input.data());
        let score = tracked.prediction.object_score_logits.clone();
        let expected = |prompted| {
            let memory =
                model.encode_memory(&features, tracked.low_res_logits(), score.clone(), prompted);
            numbers(&memory.0)
        };
        assert!(numbers(&apart.memory.as_ref().unwrap().0) == expected(true), "frame {frame}");
        assert!(numbers(&tracked.memory.as_ref().unwrap().0) == expected(false), "frame {frame}");
        count += 1;
    }
    assert_eq!(count, 4, "as many as are kept");
}

/// Returns SAM2Long's policy with this many pathways, of which the best go on whatever the model is
/// sure of.
fn sam2long(pathways: usize) -> MemoryPolicyChoice {
    let sure = Sam2longOptions { pathways, unsure_below: None, ..Sam2longOptions::default() };
    MemoryPolicyChoice::Sam2long(sure)
}

#[test]
fn one_pathway_that_trusts_every_frame_is_the_official_policy() {
    let model = model();
    let trusting = MemoryPolicyChoice::Sam2long(Sam2longOptions {
        pathways: 1,
        min_object_score: None,
        min_predicted_iou: None,
        ..Sam2longOptions::default()
    });
    for stride in [1, 3] {
        let official = with_policy(&model, MemoryPolicyChoice::Official, stride);
        assert!(with_policy(&model, trusting, stride) == official, "stride {stride}");
    }
}

#[test]
fn what_is_kept_and_how_much_is_computed_at_a_time_changes_no_pathway() {
    let model = model();
    let three = MemoryPolicyChoice::Sam2long(Sam2longOptions::default());
    let options = SessionOptions::default().memory_policy(three);
    let run = |options: SessionOptions| {
        shown(VideoSession::builder(&model).options(options).open(recording()).unwrap())
    };
    let all = run(options.retention(MemoryRetention::All));
    for (name, options) in [
        ("bounded", options),
        ("one at a time", options.objects_per_pass(NonZeroUsize::new(1))),
        ("two at a time", options.objects_per_pass(NonZeroUsize::new(2))),
    ] {
        assert!(run(options) == all, "{name}");
    }
    let one = Sam2longOptions { pathways: 1, ..Sam2longOptions::default() };
    assert!(with_policy(&model, MemoryPolicyChoice::Sam2long(one), 1) != all, "one is enough");
}

#[test]
fn a_stream_follows_the_pathways_of_a_session() {
    let model = model();
    let session = SessionOptions::default().memory_policy(sam2long(3));
    let mut video = VideoSession::builder(&model).options(session).open(recording()).unwrap();
    let mut stream = StreamSession::builder(&model)
        .options(StreamOptions { session, total_frames: Some(saved::FRAMES) })
        .open();
    for (index, frame) in frames().iter().enumerate() {
        let pushed = flat(std::iter::once(stream.push(frame)));
        if index > 0 {
            let next = video.propagate_from(Some(index), Direction::Forward, Some(0));
            assert!(flat(next) == pushed, "frame {index}");
        }
        // An object, a second one, and a correction of the first.
        let prompt = match index {
            0 => Some((ObjectId(4), Point::positive(75.0, 104.0))),
            9 => Some((ObjectId(2), Point::positive(160.0, 118.0))),
            20 => Some((ObjectId(4), Point::positive(120.0, 120.0))),
            _ => None,
        };
        if let Some((object, point)) = prompt {
            video.add_points(index, object, &[point]).unwrap();
            stream.add_points(object, &[point]).unwrap();
        }
        for object in video.object_ids() {
            assert_eq!(video.pathway_count(object), stream.pathway_count(object), "frame {index}");
        }
    }
    assert_eq!(stream.pathway_count(ObjectId(4)), Some(3));
    assert_eq!(stream.pathway_count(ObjectId(5)), None);
}

#[test]
fn prompts_and_new_passes_leave_only_the_pathway_that_was_shown() {
    let model = model();
    // Of one pathway come three, and of these nine.
    let options = SessionOptions::default().memory_policy(sam2long(9));
    let mut session = VideoSession::builder(&model).options(options).open(recording()).unwrap();
    let (object, other) = (ObjectId(4), ObjectId(2));
    session.add_points(5, object, &[Point::positive(75.0, 104.0)]).unwrap();
    session.add_points(12, object, &[Point::positive(75.0, 104.0)]).unwrap();
    session.add_points(5, other, &[Point::positive(160.0, 118.0)]).unwrap();
    let after = |session: &mut VideoSession<_>, frame, direction| {
        let run = session.propagate_from(Some(frame), direction, Some(0));
        assert_eq!(run.filter(Result::is_ok).count(), 1, "frame {frame}");
        [object, other].map(|object| session.pathway_count(object).unwrap())
    };
    let forward = Direction::Forward;
    let counts: Vec<[usize; 2]> = (5..9).map(|frame| after(&mut session, frame, forward)).collect();
    assert_eq!(counts, [[1, 1], [3, 3], [9, 9], [9, 9]]);
    // A correction ends those of its object.
    session.add_points(8, object, &[Point::positive(120.0, 120.0)]).unwrap();
    assert_eq!(after(&mut session, 9, forward), [3, 9]);
    assert_eq!(after(&mut session, 10, forward), [9, 9]);
    assert_eq!(after(&mut session, 11, forward), [9, 9]);
    // So does a prompt that the pass comes to.
    assert_eq!(after(&mut session, 12, forward), [1, 9]);
    assert_eq!(after(&mut session, 13, forward), [3, 9]);
    // A pass in the other direction, or from elsewhere, begins with what was shown.
    assert_eq!(after(&mut session, 12, Direction::Reverse), [1, 3]);
    assert_eq!(after(&mut session, 11, Direction::Reverse), [3, 9]);
    assert_eq!(after(&mut session, 11, Direction::Reverse), [3, 3]);
    // Taking prompts back, and a result from elsewhere.
    assert_eq!(after(&mut session, 10, Direction::Reverse), [9, 9]);
    session.clear_prompts(12, object).unwrap();
    assert_eq!(session.pathway_count(object), Some(1));
    let outcome = session.memory_bank(other).unwrap().tracked(10).unwrap().clone();
    session.set_outcome(10, other, outcome).unwrap();
    assert_eq!(session.pathway_count(other), Some(1));
}

#[test]
fn the_pathway_that_is_shown_is_the_one_that_is_remembered() {
    let model = model();
    let options =
        SessionOptions::default().memory_policy(sam2long(3)).retention(MemoryRetention::All);
    let mut session = VideoSession::builder(&model).options(options).open(recording()).unwrap();
    session.add_points(0, ObjectId(4), &[Point::positive(75.0, 104.0)]).unwrap();
    for frame in 0..12 {
        let run = session.propagate_from(Some(frame), Direction::Forward, Some(0));
        let masks = run.map(Result::unwrap).next().unwrap();
        let again = session.masks_on(frame).unwrap();
        assert_eq!(masks.objects[0].mask, again.objects[0].mask, "frame {frame}");
        let record = *session.memory_bank(ObjectId(4)).unwrap().record(frame).unwrap();
        let expected = (masks.objects[0].area(), masks.objects[0].predicted_iou);
        assert_eq!((record.area, record.predicted_iou), expected, "frame {frame}");
    }
}

/// Limit on the mean J that a policy may lose against the official predictor on the
/// bundled clips, one of which is a crossing.
const MOST_LOST: f64 = 0.01;

#[test]
fn on_the_bundled_clips_it_is_hardly_worse_than_the_official_predictor() {
    let fixture = Fixture::open("micro_truth");
    let model = clips::micro_model();
    for name in ["mouse-arena", "worm", "two-crossing"] {
        let official = fixture.number(&format!("{}.mean_j", name.replace('-', "_")));
        let guarded = mean(&bundled_clip(&model, name, GUARDED()));
        println!("{name}: guarded {guarded:.4}, official {official:.4}");
        assert!(guarded >= official - MOST_LOST, "{name}: {guarded} against {official}");
    }
}

#[test]
fn it_finds_an_object_again_that_left_while_a_look_alike_stayed() {
    let model = clips::micro_model();
    // One of the clips on which the options were chosen; `docs/memory-policies.md` lists the
    // others.
    let clip = generate(Kind::Return, 4);
    let run = |policy| hard_clip(&model, &clip, policy, FirstPrompt::Box);
    let (official, guarded) = (run(MemoryPolicyChoice::Official), run(GUARDED()));
    let (official, guarded) = (mean(&official), mean(&guarded));
    println!("official {official:.3}, guarded {guarded:.3}");
    assert!(guarded > 0.9 && guarded > official + 0.2, "{guarded} against {official}");
}
