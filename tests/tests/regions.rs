//! Regions and aspect ratios: a region is treated as a recording of its own, and its masks are
//! returned in place.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{
    BoxPrompt, Direction, EngineError, Fit, FrameMasks, FrameSource, Mask, ObjectId, Point, Region,
    RgbFrame, SessionOptions, StreamOptions, StreamSession, VideoSession,
};
use sam2_frame_provider::MemoryFrames;
use sam2_tests::clips;
use sam2_tests::exact::bits;
use sam2_tests::fixture::Fixture;
use sam2_tests::scenario::ellipse_mask;

/// The position of the mouse in the first frames.
const REGION: Region = Region { x: 110, y: 20, width: 250, height: 201 };

fn mouse(count: usize) -> Vec<RgbFrame> {
    let frames = clips::frames("mouse-arena");
    (0..count).map(|i| (*frames.frame(i).unwrap()).clone()).collect()
}

fn cut(frame: &RgbFrame, region: Region) -> RgbFrame {
    let Region { x, y, width, height } = region;
    let places = (y..y + height).flat_map(|row| (x..x + width).map(move |column| (column, row)));
    let data = places.flat_map(|(x, y)| frame.pixel(x, y).unwrap()).collect();
    RgbFrame::new(width, height, data).unwrap()
}

fn paste(mask: &Mask, region: Region, width: u32, height: u32) -> Mask {
    let small = mask.to_bytes(1);
    let inside = |i: u32| {
        let (x, y) = ((i % width).wrapping_sub(region.x), (i / width).wrapping_sub(region.y));
        x < region.width && y < region.height && small[(y * region.width + x) as usize] > 0
    };
    let pixels: Vec<bool> = (0..width * height).map(inside).collect();
    Mask::from_pixels(width, height, pixels.into_iter()).unwrap()
}

/// Prompts a click, a box on another object and a mask on a third, and tracks forward and in
/// reverse. `by` is the origin of the coordinates.
fn run(frames: Vec<RgbFrame>, options: SessionOptions, by: (f32, f32)) -> Vec<FrameMasks> {
    let size = frames[0].size();
    let model = clips::micro_model();
    let source = MemoryFrames::new(frames).unwrap();
    let mut session = VideoSession::builder(&model).options(options).open(source).unwrap();
    let point = |x: f32, y: f32| Point::positive(x - by.0, y - by.1);
    session.add_points(3, ObjectId(1), &[point(244.0, 80.0), point(232.0, 95.0)]).unwrap();
    let bounds = BoxPrompt { x0: 130.0 - by.0, y0: 40.0 - by.1, x1: 180.0 - by.0, y1: 90.0 - by.1 };
    session.add_box(3, ObjectId(2), bounds).unwrap();
    let ellipse = [f64::from(300.0 - by.0), f64::from(150.0 - by.1), 30.0, 20.0];
    session.add_mask(4, ObjectId(3), &ellipse_mask(ellipse, size.width, size.height)).unwrap();
    let mut all: Vec<FrameMasks> =
        session.propagate(Direction::Forward).map(Result::unwrap).collect();
    all.extend(session.propagate(Direction::Reverse).map(Result::unwrap));
    all
}

#[test]
fn a_region_equals_a_cut_recording_pasted_back() {
    let frames = mouse(10);
    let small: Vec<RgbFrame> = frames.iter().map(|frame| cut(frame, REGION)).collect();
    for fit in [Fit::Squash, Fit::Letterbox] {
        let options = SessionOptions::default().fit(fit);
        let whole = options.region(Some(REGION));
        let in_place = run(frames.clone(), whole, (0.0, 0.0));
        let apart = run(small.clone(), options, (REGION.x as f32, REGION.y as f32));
        assert_eq!(in_place.len(), apart.len());
        for (ours, theirs) in in_place.iter().zip(&apart) {
            assert_eq!(ours.frame_index, theirs.frame_index);
            for (a, b) in ours.objects.iter().zip(&theirs.objects) {
                assert_eq!((a.mask.width(), a.mask.height()), (384, 288));
                assert_eq!(a.mask, paste(&b.mask, REGION, 384, 288), "frame {}", ours.frame_index);
                assert_eq!(a.object_score.to_bits(), b.object_score.to_bits());
            }
        }
        let area: u64 = in_place.iter().map(|frame| frame.objects[0].area()).sum();
        assert!(area > 0, "{fit:?}: nothing was found");
    }
}

#[test]
fn the_whole_frame_as_a_region_changes_nothing() {
    let all = Region { x: 0, y: 0, width: 384, height: 288 };
    let plain = run(mouse(6), SessionOptions::default(), (0.0, 0.0));
    let options = SessionOptions::default().region(Some(all));
    for (a, b) in plain.iter().zip(run(mouse(6), options, (0.0, 0.0))) {
        assert_eq!(bits(&a.objects), bits(&b.objects));
    }
}

#[test]
fn a_stream_takes_a_region_too() {
    let frames = mouse(8);
    let session = SessionOptions::default().region(Some(REGION)).fit(Fit::Letterbox);
    let model = clips::micro_model();
    let clicks = [Point::positive(244.0, 80.0)];
    let mut stream = StreamSession::builder(&model)
        .options(StreamOptions { session, total_frames: Some(frames.len()) })
        .open();
    let source = MemoryFrames::new(frames.clone()).unwrap();
    let mut video = VideoSession::builder(&model).options(session).open(source).unwrap();
    video.add_points(0, ObjectId(1), &clicks).unwrap();
    let expected: Vec<FrameMasks> =
        video.propagate(Direction::Forward).map(Result::unwrap).collect();
    for (index, frame) in frames.iter().enumerate() {
        let masks = stream.push(frame).unwrap();
        if index == 0 {
            let first = stream.add_points(ObjectId(1), &clicks).unwrap();
            assert_eq!(first.mask, expected[0].objects[0].mask);
        } else {
            assert_eq!(bits(&masks.objects), bits(&expected[index].objects), "frame {index}");
        }
    }
}

#[test]
fn prompts_outside_and_impossible_regions_are_refused() {
    let model = clips::micro_model();
    let open = |region| {
        let options = SessionOptions::default().region(Some(region));
        VideoSession::builder(&model).options(options).open(MemoryFrames::new(mouse(1)).unwrap())
    };
    let mut session = open(REGION).unwrap();
    let error = session.add_points(0, ObjectId(1), &[Point::positive(20.0, 20.0)]).unwrap_err();
    assert!(matches!(error, EngineError::PointOutsideRegion { .. }), "{error}");
    assert!(error.to_string().contains("110,20,250,201"), "{error}");
    let error = session.add_points(0, ObjectId(1), &[Point::positive(500.0, 20.0)]).unwrap_err();
    assert!(matches!(error, EngineError::PointOutside { .. }), "{error}");
    session.add_points(0, ObjectId(1), &[Point::positive(110.0, 20.0)]).unwrap();
    for wrong in [Region { x: 200, ..REGION }, Region { height: 0, ..REGION }] {
        let error = open(wrong).err().unwrap();
        assert!(matches!(error, EngineError::RegionOutside { .. }), "{error}");
    }
}

/// Returns the mean J of the mouse, tracked from its three body parts.
fn mean_j(options: SessionOptions) -> f64 {
    let fixture = Fixture::open("micro_truth");
    let frame = fixture.number("mouse_arena.prompt_frame") as usize;
    let points = fixture.values("mouse_arena.points");
    let points: Vec<Point> = points.chunks(2).map(|p| Point::positive(p[0], p[1])).collect();
    let model = clips::micro_model();
    let source = clips::frames("mouse-arena");
    let mut session = VideoSession::builder(&model).options(options).open(source).unwrap();
    session.add_points(frame, ObjectId(1), &points).unwrap();
    let truth = clips::truth("mouse-arena", 1);
    let scores: Vec<f64> = session
        .propagate(Direction::Forward)
        .map(Result::unwrap)
        .map(|masks| masks.objects[0].mask.iou(&truth[masks.frame_index]))
        .collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

#[test]
fn a_letterbox_finds_the_mouse_as_well() {
    let squashed = mean_j(SessionOptions::default());
    let boxed = mean_j(SessionOptions::default().fit(Fit::Letterbox));
    println!("mean J forward: squashed {squashed:.4}, letterbox {boxed:.4}");
    assert!(boxed > squashed - 0.15, "{boxed} against {squashed}");
}
