//! Masks that a person should check are flagged, by whichever route they are obtained.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{
    Direction, FrameMasks, FrameSource, Mask, MemoryRetention, ObjectId, Point, QualityFlag,
    QualityFlags, QualityOptions, RgbFrame, Sam2, SessionOptions, StreamOptions, StreamSession,
    VideoSession,
};
use sam2_frame_provider::MemoryFrames;
use sam2_tests::clips;

const OBJECT: ObjectId = ObjectId(1);
const CLICK: Point = Point { x: 245.0, y: 80.0, label: sam2_model::PointLabel::Positive };

fn clip(count: usize) -> MemoryFrames {
    let frames = clips::frames("mouse-arena");
    let frames: Vec<RgbFrame> = (0..count).map(|i| (*frames.frame(i).unwrap()).clone()).collect();
    MemoryFrames::new(frames).unwrap()
}

fn session(model: &Sam2, options: SessionOptions) -> VideoSession<MemoryFrames> {
    VideoSession::builder(model).options(options).open(clip(24)).unwrap()
}

fn flags(frames: &[FrameMasks]) -> Vec<(usize, Vec<QualityFlag>)> {
    let one = |frame: &FrameMasks| (frame.frame_index, frame.objects[0].flags.iter().collect());
    frames.iter().map(one).collect()
}

fn run(
    session: &mut VideoSession<MemoryFrames>,
    start: Option<usize>,
    direction: Direction,
) -> Vec<FrameMasks> {
    session.propagate_from(start, direction, None).map(Result::unwrap).collect()
}

/// Tracks in both directions from a prompt in the middle, and then forward once more.
fn everywhere(model: &Sam2, options: SessionOptions) -> Vec<FrameMasks> {
    let mut session = session(model, options);
    let shown = session.add_points(8, OBJECT, &[CLICK]).unwrap();
    let mut all = vec![session.masks_on(8).unwrap()];
    assert_eq!(all[0].objects[0].flags, shown.flags);
    all.extend(run(&mut session, None, Direction::Forward));
    all.extend(run(&mut session, None, Direction::Reverse));
    all.extend(run(&mut session, Some(8), Direction::Forward));
    all
}

#[test]
fn an_object_that_the_model_does_not_see_is_lost_in_every_frame() {
    let model = clips::micro_model_shifted(-40.0).with_image_size(128).unwrap();
    let frames = everywhere(&model, SessionOptions::default());
    assert_eq!(frames.len(), 1 + 16 + 9 + 16);
    for frame in frames {
        let shown = &frame.objects[0];
        assert!(shown.object_score <= 0.0 && shown.area() == 0);
        assert_eq!(shown.flags.iter().collect::<Vec<_>>(), [QualityFlag::Lost]);
    }
}

#[test]
fn an_object_that_vanishes_jumps_once_and_is_lost_from_then_on() {
    let options = SessionOptions::default();
    let path = tempfile::tempdir().unwrap();
    let seen = clips::micro_model();
    let mut session = session(&seen, options);
    session.add_points(0, OBJECT, &[CLICK]).unwrap();
    let before: Vec<FrameMasks> =
        session.propagate(Direction::Forward).take(6).map(Result::unwrap).collect();
    assert!(flags(&before).iter().all(|(_, flags)| flags.is_empty()), "{:?}", flags(&before));
    // Simulates that the object has gone: an empty result set from outside must be flagged as lost
    // and as a jump.
    let mut outcome = session.memory_bank(OBJECT).unwrap().tracked(5).unwrap().clone();
    outcome.prediction.low_res_logits = outcome.prediction.low_res_logits.zeros_like() - 1024.0;
    session.set_outcome(5, OBJECT, outcome).unwrap();
    let shown = session.masks_on(5).unwrap();
    let expected: QualityFlags = [QualityFlag::Lost, QualityFlag::AreaJump].into_iter().collect();
    assert_eq!(shown.objects[0].flags, expected);
    // Later calls show the flags found at the time, even after the session is restored.
    let file = path.path().join("session");
    session.save(&file).unwrap();
    let restored = VideoSession::builder(&seen).restore(clip(24), &file).unwrap();
    assert_eq!(restored.masks_on(5).unwrap().objects[0].flags, expected);
    assert!(restored.masks_on(4).unwrap().objects[0].flags.is_empty());
}

#[test]
fn flags_depend_neither_on_what_is_let_go_nor_on_a_stop_in_between() {
    // A low factor makes nearly every frame a jump, so that flags depend on the areas of earlier
    // frames.
    let quality = QualityOptions { area_factor: Some(1.02), ..QualityOptions::default() };
    let model = clips::micro_model().with_image_size(128).unwrap();
    let with = |retention| SessionOptions::default().quality(quality).retention(retention);
    let bounded = flags(&everywhere(&model, with(MemoryRetention::Bounded)));
    assert_eq!(bounded, flags(&everywhere(&model, with(MemoryRetention::All))));
    let jumps = bounded.iter().filter(|(_, f)| f.contains(&QualityFlag::AreaJump)).count();
    assert!(jumps > 4, "{jumps} of {}", bounded.len());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session");
    let mut first = session(&model, with(MemoryRetention::Bounded));
    first.add_points(8, OBJECT, &[CLICK]).unwrap();
    let begun: Vec<FrameMasks> =
        first.propagate(Direction::Forward).take(9).map(Result::unwrap).collect();
    first.save(&file).unwrap();
    let mut second = VideoSession::builder(&model).restore(clip(24), &file).unwrap();
    let mut all = flags(&begun);
    all.extend(flags(&run(&mut second, Some(17), Direction::Forward)));
    assert_eq!(all, bounded[1..17]);
}

#[test]
fn a_stream_has_the_flags_of_a_recording() {
    let quality = QualityOptions { area_factor: Some(1.02), ..QualityOptions::default() };
    let session_options = SessionOptions::default().quality(quality);
    let model = clips::micro_model().with_image_size(128).unwrap();
    let mut recording = session(&model, session_options);
    recording.add_points(0, OBJECT, &[CLICK]).unwrap();
    let expected = flags(&run(&mut recording, None, Direction::Forward));
    let options = StreamOptions { session: session_options, total_frames: None };
    let mut stream = StreamSession::builder(&model).options(options).open();
    let frames = clip(24);
    for (index, flags_there) in &expected {
        let masks = stream.push(&frames.frame(*index).unwrap()).unwrap();
        if *index == 0 {
            stream.add_points(OBJECT, &[CLICK]).unwrap();
        } else {
            assert_eq!(flags(&[masks]), [(*index, flags_there.clone())]);
        }
    }
    assert!(expected.iter().any(|(_, flags)| !flags.is_empty()));
}

#[test]
fn a_mask_over_everything_is_flagged_where_it_is_asked_for() {
    let model = clips::micro_model().with_image_size(128).unwrap();
    let mut session = session(&model, SessionOptions::default());
    let size = session.size();
    let pixels = (size.width * size.height) as usize;
    let all = Mask::from_pixels(size.width, size.height, vec![true; pixels].into_iter()).unwrap();
    let shown = session.add_mask(3, OBJECT, &all).unwrap();
    assert_eq!(shown.flags.iter().collect::<Vec<_>>(), [QualityFlag::NearlyFull]);
    assert_eq!(session.masks_on(3).unwrap().objects[0].flags, shown.flags);
    // With another prompted frame to compare with, the mask is taken for the background.
    session.add_points(8, OBJECT, &[CLICK]).unwrap();
    let frames = run(&mut session, Some(3), Direction::Forward);
    let first = &frames[0].objects[0];
    assert!(first.prompted && first.flags.contains(QualityFlag::Inverted), "{:?}", first.flags);
}
