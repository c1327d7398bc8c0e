//! A stream gives the same results as a session on the recording, and its memory does not grow.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{
    BoxPrompt, Direction, EngineError, FrameMasks, FrameSource, MemoryRetention, ObjectId,
    ObjectMask, Point, RgbFrame, Sam2, SessionOptions, StreamOptions, StreamSession, VideoSession,
};
use sam2_frame_provider::MemoryFrames;
use sam2_tests::clips;
use sam2_tests::exact::bits;
use sam2_tests::scenario::ellipse_mask;

/// An action on a frame after it was pushed.
type Action = (usize, Prompt);

#[derive(Clone)]
enum Prompt {
    Points(u32, Vec<Point>),
    More(u32, Vec<Point>),
    Box(u32, BoxPrompt),
    Ellipse(u32, [f64; 4]),
    Clear(u32),
    Remove(u32),
}

/// Returns the first `count` frames of a clip played to its end, then in reverse, and so on.
fn frames(name: &str, count: usize) -> Vec<RgbFrame> {
    let clip = clips::frames(name);
    let last = clip.info().frame_count - 1;
    let there_and_back = (0..last).chain((1..=last).rev()).cycle();
    there_and_back.take(count).map(|i| (*clip.frame(i).unwrap()).clone()).collect()
}

/// Everything shown for each frame, then for each prompt, exactly.
type Shown = (Vec<(usize, Vec<u32>)>, Vec<Vec<u32>>);

fn stream(model: &Sam2, frames: &[RgbFrame], actions: &[Action], options: StreamOptions) -> Shown {
    let mut session = StreamSession::builder(model).options(options).open();
    let mut shown = Shown::default();
    for (index, frame) in frames.iter().enumerate() {
        let masks = session.push(frame).unwrap();
        assert_eq!(masks.frame_index, index);
        if !masks.objects.is_empty() {
            shown.0.push((index, bits(&masks.objects)));
        }
        for (_, prompt) in actions.iter().filter(|(at, _)| *at == index) {
            let mask = match prompt.clone() {
                Prompt::Points(id, points) => session.add_points(ObjectId(id), &points),
                Prompt::More(id, points) => {
                    session.add_points_or_box(ObjectId(id), &points, None, false)
                }
                Prompt::Box(id, bounds) => session.add_box(ObjectId(id), bounds),
                Prompt::Ellipse(id, ellipse) => {
                    let size = session.size().unwrap();
                    let mask = ellipse_mask(ellipse, size.width, size.height);
                    session.add_mask(ObjectId(id), &mask)
                }
                Prompt::Clear(id) => {
                    session.clear_prompts(ObjectId(id)).unwrap();
                    continue;
                }
                Prompt::Remove(id) => {
                    session.remove_object(ObjectId(id)).unwrap();
                    continue;
                }
            };
            shown.1.push(bits(&[mask.unwrap()]));
        }
    }
    shown
}

/// Returns the same from a session on the whole recording: tracked up to each frame with an action,
/// then onwards from the next.
fn video(model: &Sam2, frames: &[RgbFrame], actions: &[Action], options: SessionOptions) -> Shown {
    let count = frames.len();
    let source = MemoryFrames::new(frames.to_vec()).unwrap();
    let mut session = VideoSession::builder(model).options(options).open(source).unwrap();
    let mut shown = Shown::default();
    let mut at = 0;
    for stop in 0..count {
        let here: Vec<&Action> = actions.iter().filter(|(at, _)| *at == stop).collect();
        if here.is_empty() && stop + 1 < count {
            continue;
        }
        if at <= stop && !session.object_ids().is_empty() {
            let run = session.propagate_from(Some(at), Direction::Forward, Some(stop - at));
            shown.0.extend(run.map(|masks| {
                let FrameMasks { frame_index, objects, .. } = masks.unwrap();
                (frame_index, bits(&objects))
            }));
        }
        at = stop + 1;
        for (_, prompt) in here {
            let mask: Result<ObjectMask, EngineError> = match prompt.clone() {
                Prompt::Points(id, points) => session.add_points(stop, ObjectId(id), &points),
                Prompt::More(id, points) => {
                    session.add_points_or_box(stop, ObjectId(id), &points, None, false)
                }
                Prompt::Box(id, bounds) => session.add_box(stop, ObjectId(id), bounds),
                Prompt::Ellipse(id, ellipse) => {
                    let size = session.size();
                    let mask = ellipse_mask(ellipse, size.width, size.height);
                    session.add_mask(stop, ObjectId(id), &mask)
                }
                Prompt::Clear(id) => {
                    session.clear_prompts(stop, ObjectId(id)).unwrap();
                    continue;
                }
                Prompt::Remove(id) => {
                    session.remove_object(ObjectId(id)).unwrap();
                    continue;
                }
            };
            shown.1.push(bits(&[mask.unwrap()]));
        }
    }
    shown
}

fn equal(name: &str, count: usize, actions: &[Action], session: SessionOptions, side: usize) {
    let model = clips::micro_model().with_image_size(side).unwrap();
    let frames = frames(name, count);
    let total_frames = (count < 16).then_some(count);
    let streamed = stream(&model, &frames, actions, StreamOptions { session, total_frames });
    // The unpruned session also shows that the stream keeps enough.
    for retention in [MemoryRetention::Bounded, MemoryRetention::All] {
        let expected = video(&model, &frames, actions, session.retention(retention));
        let first = actions[0].0;
        assert_eq!(streamed.0.len(), count - 1 - first);
        assert!(streamed.0 == expected.0, "{name}: the frames of the stream differ");
        assert!(streamed.1 == expected.1, "{name}: the prompts of the stream differ");
    }
}

#[test]
fn a_stream_equals_a_session_with_one_object_and_a_correction() {
    let click = Point::positive(244.0, 80.0);
    equal(
        "mouse-arena",
        64,
        &[
            (0, Prompt::Points(1, vec![click])),
            // A tracked frame is corrected twice, the second time with one more click.
            (30, Prompt::Points(1, vec![Point::positive(150.0, 120.0)])),
            (30, Prompt::More(1, vec![Point::negative(20.0, 20.0)])),
        ],
        SessionOptions::default(),
        256,
    );
}

#[test]
fn a_stream_equals_a_session_with_objects_that_come_and_go() {
    let bounds = BoxPrompt { x0: 225.0, y0: 120.0, x1: 290.0, y1: 180.0 };
    equal(
        "two-crossing",
        60,
        &[
            (3, Prompt::Points(1, vec![Point::positive(54.0, 101.0)])),
            (20, Prompt::Box(2, bounds)),
            (27, Prompt::Ellipse(7, [160.0, 120.0, 30.0, 20.0])),
            (33, Prompt::Points(1, vec![Point::positive(150.0, 120.0)])),
            (40, Prompt::Remove(7)),
            (45, Prompt::Points(2, vec![Point::positive(100.0, 100.0)])),
            (45, Prompt::Clear(2)),
        ],
        SessionOptions::default(),
        256,
    );
}

#[test]
fn a_stream_equals_a_session_with_every_option() {
    let options = SessionOptions::default()
        .corrections_condition(true)
        .non_overlap_masks(true)
        .clear_memories_around_prompts(true)
        .memory_temporal_stride(2)
        .max_conditioning_frames(Some(2));
    let click = |x: f32| vec![Point::positive(x, 100.0)];
    let mut actions =
        vec![(0, Prompt::Points(1, click(54.0))), (0, Prompt::Points(2, click(258.0)))];
    // More conditioning frames than are used, some near enough to serve as ordinary memories.
    actions.extend([8, 10, 12, 30, 31, 32, 33, 50].map(|at| (at, Prompt::Points(1, click(100.0)))));
    equal("two-crossing", 60, &actions, options, 128);
}

#[test]
fn a_short_stream_of_known_length_equals_a_session() {
    let actions = [(0, Prompt::Points(1, vec![Point::positive(54.0, 101.0)]))];
    equal("two-crossing", 9, &actions, SessionOptions::default(), 256);
    // If the length is unknown, pointers count as older than they would otherwise.
    let model = clips::micro_model();
    let frames = frames("two-crossing", 9);
    let endless = stream(&model, &frames, &actions, StreamOptions::default());
    let known = StreamOptions { total_frames: Some(9), ..StreamOptions::default() };
    assert!(endless.0 != stream(&model, &frames, &actions, known).0);
}

#[test]
fn nothing_grows_with_the_number_of_frames() {
    let model = clips::micro_model().with_image_size(128).unwrap();
    let frames = frames("two-crossing", 8);
    let mut session = StreamSession::builder(&model)
        .options(StreamOptions {
            session: SessionOptions::default()
                .max_conditioning_frames(Some(3))
                .corrections_condition(true),
            total_frames: None,
        })
        .open();
    let mut most = (0, 0);
    for (index, frame) in frames.iter().cycle().take(200).enumerate() {
        session.push(frame).unwrap();
        if index % 20 == 0 {
            // Prompts continue for ever, too.
            session.remove_object(ObjectId(index as u32)).unwrap_err();
            let mask = ellipse_mask([60.0, 100.0, 20.0, 10.0], 320, 240);
            session.add_mask(ObjectId(1), &mask).unwrap();
            session.remove_object(ObjectId(2)).ok();
            session.add_mask(ObjectId(2), &mask).unwrap();
        }
        for id in session.object_ids() {
            let bank = session.memory_bank(id).unwrap();
            most.0 = most.0.max(bank.tracked_len());
            most.1 = most.1.max(bank.conditioning_frames().count());
        }
    }
    assert_eq!(session.frame_count(), 200);
    // Fifteen frames before the newest, and the newest; the cap on conditioning frames, and one.
    assert_eq!(most, (16, 4));
}

#[test]
fn wrong_use_is_an_error_and_changes_nothing() {
    let model = clips::micro_model();
    let frames = frames("worm", 4);
    let id = ObjectId(1);
    let click = [Point::positive(137.0, 110.0)];
    let options = StreamOptions { total_frames: Some(3), ..StreamOptions::default() };
    let mut session = StreamSession::builder(&model).options(options).open();
    assert!(matches!(session.add_points(id, &click), Err(EngineError::NoFrameYet)));
    assert_eq!((session.frame_count(), session.size()), (0, None));
    assert!(session.push(&frames[0]).unwrap().objects.is_empty());
    session.add_points(id, &click).unwrap();

    let small = RgbFrame::new(2, 2, vec![0; 12]).unwrap();
    let size = session.push(&small);
    assert!(matches!(size, Err(EngineError::StreamFrameSize { frame: 1, .. })));
    assert_eq!(session.push(&frames[1]).unwrap().objects.len(), 1);

    // An object whose only prompt was removed stops the stream until it is prompted or removed.
    session.add_points(ObjectId(2), &click).unwrap();
    session.clear_prompts(ObjectId(2)).unwrap();
    let bare = session.push(&frames[2]);
    assert!(matches!(bare, Err(EngineError::ObjectWithoutPrompt(ObjectId(2)))));
    assert_eq!(session.frame_count(), 2);
    session.remove_object(ObjectId(2)).unwrap();
    assert_eq!(session.push(&frames[2]).unwrap().frame_index, 2);
    let end = session.push(&frames[3]);
    assert!(matches!(end, Err(EngineError::FrameOutOfRange { frame: 3, count: 3 })));
}
