//! Tests of files with images of several recordings, and of files whose program renamed the images.
//! In `base.mp4`, the animal's nose is at (50 + 4t, 140 - t); in the others it is at (1, 1).

use crate::KnownObjects;
use std::path::Path;

use sam2_frame_provider::FrameSize;

use super::{
    KeypointError, KeypointSelection, KeypointTrack, LocatedTrack, TrackNotice, TrackedRecording,
    read_annotations,
};

fn recording(name: &str, images: &[&str]) -> TrackedRecording {
    TrackedRecording {
        name: name.into(),
        frame_count: 24,
        size: FrameSize { width: 256, height: 192 },
        region: None,
        images: images.iter().map(|image| (*image).to_owned()).collect(),
        times: Vec::new(),
    }
}

/// Returns COCO's key points. Each image has a file name, further fields, and the position of the
/// nose.
fn coco(images: &[(&str, &str, [f32; 2])]) -> String {
    let image = |(id, (name, more, _)): (usize, &(&str, &str, [f32; 2]))| {
        format!(r#"{{"id": {id}, "file_name": "{name}", "width": 256, "height": 192{more}}}"#)
    };
    let annotation = |(id, (_, _, [x, y])): (usize, &(&str, &str, [f32; 2]))| {
        format!(
            r#"{{"id": {id}, "image_id": {id}, "category_id": 1, "keypoints": [{x}, {y}, 2], "bbox": [0, 0, 5, 5]}}"#
        )
    };
    let listed = |parts: Vec<String>| parts.join(", ");
    format!(
        r#"{{"images": [{}], "annotations": [{}], "videos": [{{"id": 7, "name": "base.mp4"}}, {{"id": 8, "name": "other"}}],
            "categories": [{{"id": 1, "name": "mouse", "keypoints": ["nose"]}}]}}"#,
        listed(images.iter().enumerate().map(image).collect()),
        listed(images.iter().enumerate().map(annotation).collect())
    )
}

fn parse(text: &str, video: Option<&str>) -> Result<KeypointTrack, KeypointError> {
    let selection =
        KeypointSelection { video: video.map(str::to_owned), ..KeypointSelection::default() };
    KeypointTrack::parse(Path::new("t"), text.into(), &selection)
}

fn located(text: &str, recording: &TrackedRecording) -> Result<LocatedTrack, KeypointError> {
    parse(text, None)?.locate(recording)
}

/// Returns frame, x and y of every point that was seen.
fn seen(track: &LocatedTrack) -> Vec<(usize, f32, f32)> {
    let frames = track.frames_of(0, 0..usize::MAX).iter();
    let points = frames.flat_map(|&frame| {
        track.usable(frame, 0, 0.0).map(move |(_, point)| (frame, point.x, point.y))
    });
    points.collect()
}

fn warnings(track: &LocatedTrack) -> Vec<String> {
    let is_warning = |notice: &&TrackNotice| matches!(notice, TrackNotice::Warning(_));
    track.notices().iter().filter(is_warning).map(ToString::to_string).collect()
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing in: {text}");
    }
}

const OF_TWO: [(&str, &str, [f32; 2]); 3] = [
    ("base_frame_000005.png", "", [70.0, 135.0]),
    ("other_frame_000005.png", "", [1.0, 1.0]),
    ("base_frame_000010.png", "", [90.0, 130.0]),
];

#[test]
fn images_named_after_their_videos_belong_to_those() {
    let track = located(&coco(&OF_TWO), &recording("base.mp4", &[])).unwrap();
    assert_eq!(seen(&track), [(5, 70.0, 135.0), (10, 90.0, 130.0)]);
    says(&warnings(&track)[0], &["1 of 3 rows", "other recordings ('other')"]);
    // It is still a guess that numbers count from 0.
    says(&warnings(&track)[1], &["'base_frame_000005.png' is frame 5", "counted from 0"]);
    let track = located(&coco(&OF_TWO), &recording("other.avi", &[])).unwrap();
    assert_eq!(seen(&track), [(5, 1.0, 1.0)]);
    let error = located(&coco(&OF_TWO), &recording("third.mp4", &[])).unwrap_err();
    says(&error.to_string(), &["base, other", "'third.mp4'", "--keypoints-video"]);
    let track = parse(&coco(&OF_TWO), Some("base")).unwrap();
    let track = track.locate(&recording("third.mp4", &[])).unwrap();
    assert_eq!(seen(&track), [(5, 70.0, 135.0), (10, 90.0, 130.0)]);
    // One recording of another name.
    let track = located(&coco(&OF_TWO[1..2]), &recording("base.mp4", &[])).unwrap();
    says(&warnings(&track)[0], &["'other'", "'base.mp4'", "is it the right track?"]);
}

#[test]
fn they_do_as_prompts_too() {
    let read = || read_annotations(&coco(&OF_TWO)).unwrap().unwrap();
    let (set, notices) = read()
        .into_prompts(Path::new("t"), &recording("base.mp4", &[]), &KnownObjects::default())
        .unwrap();
    let frames: Vec<usize> = set.prompts().iter().map(|prompt| prompt.frame).collect();
    assert_eq!(frames, [5, 10]);
    assert!(notices.iter().any(|notice| notice.to_string().contains("1 of 3 rows")));
    let error = read()
        .into_prompts(Path::new("t"), &recording("third.mp4", &[]), &KnownObjects::default())
        .unwrap_err();
    says(&error, &["base, other", "third.mp4"]);
}

#[test]
fn images_of_listed_videos_belong_to_those() {
    let listed = [
        ("a_000005.png", r#", "video_id": 7"#, [70.0, 135.0]),
        ("b_000005.png", r#", "video_id": 8"#, [1.0, 1.0]),
    ];
    let track = located(&coco(&listed), &recording("base.mp4", &[])).unwrap();
    assert_eq!(seen(&track), [(5, 70.0, 135.0)]);
    says(&warnings(&track)[0], &["1 of 2 rows", "'other'"]);
}

#[test]
fn roboflows_names_are_those_of_the_images() {
    let (hash, extra) = (".rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg", r#", "extra": {"name": "#);
    let extra = |name: &str| format!(r#"{extra}"{name}"}}"#);
    let hashed = |stem: &str| format!("{stem}{hash}");
    let (three, mine) = (hashed("img0003_png"), hashed("my-image_png"));
    let (first, second) = (extra("img0003.png"), extra("my image.png"));
    let images = [(&three[..], &first[..], [58.0, 138.0]), (&mine, &second, [62.0, 136.0])];
    let folder = recording("frames", &["img0001.png", "img0003.png", "my image.png"]);
    let track = located(&coco(&images), &folder).unwrap();
    assert_eq!(seen(&track), [(1, 58.0, 138.0), (2, 62.0, 136.0)]);
    assert!(warnings(&track).is_empty(), "{:?}", warnings(&track));
    // The folder that Roboflow exported.
    let exported = recording("train", &[&mine, &three]);
    assert_eq!(
        seen(&located(&coco(&images), &exported).unwrap()),
        [(0, 62.0, 136.0), (1, 58.0, 138.0)]
    );
    // Older exports have no 'extra'.
    let old = [(&three[..], "", [58.0, 138.0])];
    assert_eq!(seen(&located(&coco(&old), &folder).unwrap()), [(1, 58.0, 138.0)]);
    // In a video, the number is that of the image, not one at the end of the hash.
    assert_eq!(
        seen(&located(&coco(&old), &recording("base.mp4", &[])).unwrap()),
        [(3, 58.0, 138.0)]
    );
    let named = hashed("base_frame_000003_png");
    let of_two =
        [(&named[..], "", [58.0, 138.0]), ("other_frame_000003_png.rf.1.jpg", "", [1.0; 2])];
    let track = located(&coco(&of_two), &recording("base.mp4", &[])).unwrap();
    assert_eq!(seen(&track), [(3, 58.0, 138.0)]);
}

#[test]
fn images_that_roboflow_has_made_of_one_are_refused() {
    let twice = [
        ("img0003_png.rf.01.jpg", r#", "extra": {"name": "img0003.png"}"#, [58.0, 138.0]),
        ("img0003_png.rf.02.jpg", r#", "extra": {"name": "img0003.png"}"#, [9.0, 9.0]),
    ];
    let folder = recording("frames", &["img0003.png"]);
    let error = located(&coco(&twice), &folder).unwrap_err().to_string();
    says(&error, &["frame 0", "twice", "without augmentation"]);
    let read = read_annotations(&coco(&twice)).unwrap().unwrap();
    let error = read.into_prompts(Path::new("t"), &folder, &KnownObjects::default()).unwrap_err();
    says(&error, &["frame 0", "twice", "without augmentation"]);
}

const LABELLED: &str = "scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\n";

#[test]
fn two_projects_with_a_video_of_one_name_are_told_apart_or_refused() {
    let rows = format!(
        "{LABELLED}/data/first/labeled-data/base/img005.png,70,135\n\
         D:\\second\\labeled-data\\base\\img007.png,1,1\n"
    );
    let base = recording("base.mp4", &[]);
    let error = located(&rows, &base).unwrap_err().to_string();
    says(&error, &["several recordings of that name", "/data/first/labeled-data/base"]);
    says(&error, &["second", "--keypoints-video FOLDER/NAME"]);
    assert!(parse(&rows, Some("base")).unwrap().locate(&base).is_err());
    for (which, expected) in
        [("first/labeled-data/base", (5, 70.0, 135.0)), ("second/labeled-data/base", (7, 1.0, 1.0))]
    {
        let track = parse(&rows, Some(which)).unwrap().locate(&base).unwrap();
        assert_eq!(seen(&track), [expected], "{which}");
        says(&warnings(&track)[0], &["1 of 2 rows", "other recordings"]);
    }
    // The end of a path is the same place.
    let rows = rows.replace("D:\\second\\", "");
    assert_eq!(seen(&located(&rows, &base).unwrap()).len(), 2);
}

#[test]
fn columns_of_two_scorers_are_refused() {
    let refused = |text: &str| parse(text, None).unwrap_err().to_string();
    let two = "scorer,ann,ann,bob,bob\nbodyparts,nose,nose,nose,nose\ncoords,x,y,x,y\n0,1,2,3,4\n";
    says(&refused(two), &["several scorers ('ann' and 'bob')", "keep the columns of one"]);
    // This also holds if they have placed different body parts.
    let apart = two.replacen("nose,nose,nose,nose", "nose,nose,tail,tail", 1);
    says(&refused(&apart), &["'ann' and 'bob'"]);
    let one = two.replacen("ann,ann,bob,bob", "ann,ann.1,ann.2,ann.3", 1);
    let one = one.replacen("nose,nose,nose,nose", "nose,nose,tail,tail", 1);
    assert_eq!(parse(&one, None).unwrap().individuals()[0].bodyparts, ["nose", "tail"]);
}
