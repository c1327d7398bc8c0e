//! Tests of tracks from programs other than DeepLabCut's and SLEAP's exports, with the values that
//! they were made with. In the clip, object `a` is at (50 + 4t, 140 - t) and object `b` at (200 -
//! t, 45 + t). A `tail` is five columns and three rows from its `nose`.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sam2_frame_provider::FrameSize;

use super::{
    KeypointError, KeypointSelection, KeypointTrack, LocatedTrack, TrackKind, TrackedRecording,
};

const FRAMES: usize = 24;
const SIZE: FrameSize = FrameSize { width: 256, height: 192 };

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tracks").join(name)
}

/// Returns the clip as a video.
fn video() -> TrackedRecording {
    TrackedRecording {
        name: "base.mp4".into(),
        frame_count: FRAMES,
        size: SIZE,
        region: None,
        images: Vec::new(),
        times: (0..FRAMES).map(|frame| frame as f64 / 25.0).collect(),
    }
}

/// Returns the clip as images `img0001.png` to `img0024.png`, so that frame 4 is img0005.
fn images() -> TrackedRecording {
    let images = (1..=FRAMES).map(|number| format!("img{number:04}.png")).collect();
    TrackedRecording { name: "frames".into(), images, times: Vec::new(), ..video() }
}

fn read(name: &str, selection: &KeypointSelection) -> Result<KeypointTrack, KeypointError> {
    KeypointTrack::read(&path(name), selection)
}

fn on(name: &str, recording: &TrackedRecording) -> LocatedTrack {
    read(name, &KeypointSelection::default()).unwrap().locate(recording).unwrap()
}

fn refusal(text: impl AsRef<[u8]>) -> String {
    let bytes = text.as_ref().to_vec();
    let track = KeypointTrack::parse(Path::new("t"), bytes, &KeypointSelection::default());
    track.unwrap_err().to_string()
}

fn names(track: &LocatedTrack) -> Vec<&str> {
    track.individuals().iter().map(|one| one.name.as_deref().unwrap_or("-")).collect()
}

/// Returns frame, body part, x and y of every point that was seen of an individual.
fn seen(track: &LocatedTrack, individual: usize) -> Vec<(usize, String, f32, f32)> {
    let frames = track.frames_of(individual, 0..usize::MAX);
    let points = frames.iter().flat_map(|&frame| {
        let usable = track.usable(frame, individual, 0.0);
        usable.map(move |(part, point)| (frame, part.to_owned(), point.x, point.y))
    });
    points.collect()
}

/// Returns the true points of an animal.
fn truth(
    animal: char,
    frames: impl IntoIterator<Item = usize>,
    parts: &[&str],
) -> Vec<(usize, String, f32, f32)> {
    let mut found = Vec::new();
    for frame in frames {
        let t = frame as f32;
        let (x, y) =
            if animal == 'a' { (50.0 + 4.0 * t, 140.0 - t) } else { (200.0 - t, 45.0 + t) };
        for part in parts {
            let (dx, dy) = if *part == "tail" { (5.0, 3.0) } else { (0.0, 0.0) };
            found.push((frame, (*part).to_owned(), x + dx, y + dy));
        }
    }
    found
}

const BOTH: [&str; 2] = ["nose", "tail"];

#[cfg(feature = "hdf5")]
mod hdf5 {
    use super::*;

    #[test]
    fn sleap_labels_with_corrections_and_two_videos() {
        let track = on("sleap.slp", &video());
        assert_eq!(names(&track), ["a", "b"]);
        let mut a = truth('a', 5..16, &BOTH);
        // A person has corrected frame 7, without a tail. The prediction there was on the other
        // animal.
        a.retain(|point| !(point.0 == 7 && point.1 == "tail"));
        assert_eq!(seen(&track, 0), a);
        let mut b = truth('b', 5..16, &BOTH);
        b.retain(|point| !(point.0 == 9 && point.1 == "tail"));
        assert_eq!(seen(&track, 1), b);
        let scores: Vec<f32> = track.usable(8, 0, 0.0).map(|(_, point)| point.likelihood).collect();
        assert_eq!(scores, [0.9, 0.8]);
        assert_eq!(track.usable(7, 0, 0.0).next().unwrap().1.likelihood, 1.0);
        let notices: Vec<String> = track.notices().iter().map(ToString::to_string).collect();
        assert!(notices.iter().any(|n| n.contains("1 predicted instances")), "{notices:?}");
        assert!(notices.iter().any(|n| n.contains("other.mp4")), "{notices:?}");
        let other = TrackedRecording { name: "other.mp4".into(), ..video() };
        let only = vec![(5, "nose".to_owned(), 1.0, 1.0), (5, "tail".to_owned(), 2.0, 2.0)];
        assert_eq!(seen(&on("sleap.slp", &other), 0), only);
        let selection =
            KeypointSelection { bodyparts: vec!["tail".into()], ..KeypointSelection::default() };
        let track = read("sleap.slp", &selection).unwrap();
        assert_eq!(track.kind(), TrackKind::SleapLabels);
        let track = track.locate(&video()).unwrap();
        assert_eq!(seen(&track, 1)[0], (5, "tail".to_owned(), 200.0, 53.0));
    }

    #[test]
    fn sleap_labels_old_packaged_and_without_tracks() {
        // Half a pixel is subtracted.
        assert_eq!(seen(&on("sleap-old.slp", &video()), 1), truth('b', [3, 4], &BOTH));
        // Frames are those of the packed video, whose name the track has.
        let track = on("sleap.pkg.slp", &video());
        assert_eq!(seen(&track, 0), truth('a', [5, 10], &BOTH));
        // The video from which the fixture was made is no larger than necessary.
        let [notice] = track.notices() else { panic!("{:?}", track.notices()) };
        let notice = notice.to_string();
        assert!(notice.contains("16 x 16") && notice.contains("256x192"), "{notice}");
        let message = refusal(std::fs::read(path("sleap-untracked.slp")).unwrap());
        assert!(message.contains("frame 3") && message.contains("without a track"), "{message}");
    }

    #[test]
    fn nwb_by_rate_by_time_stamps_and_by_numbers() {
        let track = on("nwb-rate.nwb", &video());
        assert_eq!(names(&track), ["a", "b"]);
        assert_eq!(seen(&track, 0), truth('a', 0..FRAMES, &BOTH));
        assert_eq!(seen(&track, 1), truth('b', 0..FRAMES, &BOTH));
        assert_eq!(track.default_min_likelihood(), 0.6);
        assert_eq!(track.usable(3, 0, 0.0).last().unwrap().1.likelihood, 0.8);
        // The same rows fit no recording of another length or rate.
        for (frame_count, rate) in [(FRAMES + 1, 30.0), (FRAMES - 1, 25.0)] {
            let times = (0..frame_count).map(|frame| frame as f64 / rate).collect();
            let other = TrackedRecording { frame_count, times, ..video() };
            let track = read("nwb-rate.nwb", &KeypointSelection::default()).unwrap();
            let message = track.locate(&other).unwrap_err().to_string();
            assert!(message.contains("--keypoints-first-frame"), "{message}");
        }
        assert_eq!(seen(&on("nwb-stamps.nwb", &video()), 1), truth('b', [5, 6, 10], &BOTH));
        let track = read("nwb-stamps.nwb", &KeypointSelection::default()).unwrap();
        assert!(track.locate(&images()).is_err(), "images have no times");

        // sleap-io writes seconds for frames, and leaves out missing samples.
        let track = on("nwb-sleap.nwb", &video());
        assert_eq!(names(&track), ["a", "b"]);
        assert_eq!(seen(&track, 0), truth('a', 0..20, &BOTH));
        let frames = (0..20).filter(|frame| ![4, 11].contains(frame));
        assert_eq!(seen(&track, 1), truth('b', frames, &BOTH));
        assert_eq!(track.default_min_likelihood(), 0.0);
    }
}

#[test]
fn cvat_points_and_skeletons() {
    let track = on("cvat-points.xml", &video());
    assert_eq!(names(&track), ["a", "b"]);
    let points = |animal| {
        let seen = truth(animal, 4..8, &["nose"]).into_iter();
        // The last frame is outside. A point without a skeleton is named after its track.
        seen.map(|(frame, _, x, y)| (frame, animal.to_string(), x, y)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&track, 0), points('a'));
    assert_eq!(seen(&track, 1), points('b'));
    assert!(track.notices().is_empty(), "{:?}", track.notices());

    let track = on("cvat-skeletons.xml", &video());
    assert_eq!(names(&track), ["mouse 0", "mouse 1"]);
    let selection =
        KeypointSelection { bodyparts: BOTH.map(str::to_owned).to_vec(), ..Default::default() };
    let track = read("cvat-skeletons.xml", &selection).unwrap().locate(&video()).unwrap();
    let mut a = truth('a', 4..8, &BOTH);
    a.retain(|point| !(point.0 == 6 && point.1 == "tail"));
    assert_eq!(seen(&track, 0), a);

    let message = read("cvat-boxes.xml", &KeypointSelection::default()).unwrap_err().to_string();
    assert!(message.contains("CVAT") && message.contains("--prompts"), "{message}");
    let other = TrackedRecording { name: "other.mp4".into(), ..video() };
    assert!(on("cvat-points.xml", &other).notices()[0].to_string().contains("base.mp4"));
}

#[test]
fn cvat_shapes_that_are_not_tracks_are_told_apart_by_label() {
    // CVAT writes each shape as a track of its own, with an end on the next frame.
    let track = |id: usize, label: &str, frame: usize, x: usize| {
        let points = |frame, outside| {
            format!(
                r#"<points frame="{frame}" keyframe="1" outside="{outside}" occluded="0" points="{x},9.00"/>"#
            )
        };
        let (there, gone) = (points(frame, 0), points(frame + 1, 1));
        format!(r#"<track id="{id}" label="{label}">{there}{gone}</track>"#)
    };
    let document = |tracks: &[String]| format!("<annotations>{}</annotations>", tracks.concat());
    let parse = |text: String| {
        KeypointTrack::parse(Path::new("t"), text.into(), &KeypointSelection::default())
    };
    let tracks = [track(0, "a", 3, 1), track(1, "b", 3, 2), track(2, "a", 8, 3)];
    let found = parse(document(&tracks)).unwrap().locate(&video()).unwrap();
    assert_eq!(names(&found), ["a", "b"]);
    assert_eq!(
        seen(&found, 0).iter().map(|p| (p.0, p.2)).collect::<Vec<_>>(),
        [(3, 1.0), (8, 3.0)]
    );
    let tracks = [track(0, "a", 3, 1), track(1, "a", 3, 2), track(2, "a", 8, 3)];
    let message = parse(document(&tracks)).unwrap_err().to_string();
    assert!(message.contains("frame 3") && message.contains("'a'"), "{message}");
}

#[test]
fn coco_labelme_and_label_studio_find_images_by_name() {
    let track = on("coco-keypoints.json", &images());
    assert_eq!(names(&track), ["mouse 1", "mouse 2"]);
    assert_eq!(seen(&track, 0), truth('a', [4, 9], &BOTH));
    assert_eq!(seen(&track, 1), truth('b', [4, 9], &BOTH));
    assert!(track.notices().is_empty(), "{:?}", track.notices());

    let track = on("labelme", &images());
    assert_eq!(names(&track), ["group 1", "group 2"]);
    assert_eq!(seen(&track, 0), truth('a', [4, 9], &BOTH));
    assert_eq!(seen(&track, 1), truth('b', [4, 9], &BOTH));
    assert_eq!(seen(&on("labelme/img0010.json", &images()), 1), truth('b', [9], &BOTH));

    let track = on("label-studio.json", &images());
    assert_eq!(names(&track), ["a", "b"]);
    assert_eq!(seen(&track, 0), truth('a', [4, 9], &BOTH));
    assert_eq!(seen(&track, 1), truth('b', [4, 9], &BOTH));
    let track = on("label-studio-min.json", &images());
    assert_eq!(names(&track), ["a", "b"]);
    let noses: Vec<_> = truth('b', [4, 9], &["nose"])
        .into_iter()
        .map(|(f, _, x, y)| (f, "b".into(), x, y))
        .collect();
    assert_eq!(seen(&track, 1), noses);
    // sleap-io's export names the video and the frame.
    assert_eq!(seen(&on("label-studio-sleap.json", &video()), 0), truth('a', [4, 9], &BOTH));

    // Pictures of another size.
    let larger = TrackedRecording { size: FrameSize { width: 512, height: 384 }, ..images() };
    let notice = on("labelme", &larger).notices()[0].to_string();
    assert!(notice.contains("256 x 192") && notice.contains("--downsample-factor"), "{notice}");
}

#[test]
fn who_is_who_is_said_or_asked() {
    let document = |shapes: &str| {
        format!(
            r#"{{"version": "5", "shapes": [{shapes}], "imagePath": "img0005.png", "imageData": null}}"#
        )
    };
    let point = |label: &str, x: i32| {
        format!(
            r#"{{"label": "{label}", "points": [[{x}, 9]], "group_id": null, "shape_type": "point"}}"#
        )
    };
    let parse = |text: String, parts: &[&str]| {
        let bodyparts = parts.iter().map(|part| (*part).to_owned()).collect();
        let selection = KeypointSelection { bodyparts, ..Default::default() };
        KeypointTrack::parse(Path::new("t"), text.into(), &selection)
    };
    let both = [point("left", 1), point("right", 2)].join(",");
    // Labels are animals ...
    let track = parse(document(&both), &[]).unwrap();
    assert_eq!(track.individuals().len(), 2);
    // ... unless the user says that they are body parts.
    let track = parse(document(&both), &["right", "left"]).unwrap();
    assert_eq!(track.individuals().len(), 1);
    assert_eq!(track.individuals()[0].bodyparts, ["right", "left"]);
    let twice = [point("mouse", 1), point("mouse", 2)].join(",");
    let message = parse(document(&twice), &[]).unwrap_err().to_string();
    assert!(message.contains("img0005.png") && message.contains("--prompts"), "{message}");
}

#[test]
fn napari_idtracker_and_plain_tables() {
    let track = on("napari-points.csv", &video());
    let points = |part: &str| {
        let noses = truth('a', [4, 9], &["nose"]).into_iter();
        noses.map(|(frame, _, x, y)| (frame, part.to_owned(), x, y)).collect::<Vec<_>>()
    };
    assert_eq!((names(&track), seen(&track, 0)), (vec!["-"], points("point")));
    let message = refusal("index,axis-0,axis-1,axis-2\n0,3,1,1\n1,3,9,9\n");
    assert!(message.contains("napari") && message.contains("line 3"), "{message}");
    let message = refusal("index,shape-type,vertex-index,axis-0,axis-1\n0,polygon,0,1,2\n");
    assert!(message.contains("shapes layer"), "{message}");

    let track = on("idtracker.csv", &video());
    assert_eq!(names(&track), ["1", "2"]);
    let frames = (0..FRAMES).filter(|frame| *frame != 6);
    let b: Vec<_> = truth('b', frames, &["nose"]).into_iter().map(|p| (p.2, p.3)).collect();
    assert_eq!(seen(&track, 1).iter().map(|p| (p.2, p.3)).collect::<Vec<_>>(), b);
    assert_eq!(seen(&track, 0)[23], (23, "centroid".to_owned(), 142.0, 117.0));
    assert!(track.check_rows().is_ok());
    let longer = TrackedRecording { frame_count: 30, ..video() };
    assert!(on("idtracker.csv", &longer).check_rows().is_err());

    let table = "frame;object;bodypart;x;y;likelihood\n4;a;nose;66,5;136;0,9\n4;b;nose;196;49;\n9;a;tail;91;134;0,5\n";
    let track = KeypointTrack::parse(Path::new("t"), table.into(), &Default::default()).unwrap();
    assert_eq!(track.kind(), TrackKind::PointsTable);
    let track = track.locate(&video()).unwrap();
    assert_eq!(names(&track), ["a", "b"]);
    let a = [(4, "nose".to_owned(), 66.5, 136.0), (9, "tail".to_owned(), 91.0, 134.0)];
    assert_eq!(seen(&track, 0), a);
    assert!(refusal("frame,object,x,y,label\n0,1,2,3,1\n").contains("--prompts"));
    // Images by name.
    let table = "image,x,y\nimg0005.png,66,136\n";
    let track = KeypointTrack::parse(Path::new("t"), table.into(), &Default::default()).unwrap();
    let found = seen(&track.locate(&images()).unwrap(), 0);
    assert_eq!(found, [(4, "point".to_owned(), 66.0, 136.0)]);
}

#[test]
fn deeplabcut_and_sleap_tables_of_other_countries() {
    let plain = on("dlc-plain.csv", &video());
    assert_eq!(seen(&plain, 0)[0], (0, "nose".to_owned(), 50.25, 140.25));
    for name in ["dlc-semicolons.csv", "dlc-unicode-text.txt"] {
        assert_eq!(seen(&on(name, &video()), 0), seen(&plain, 0), "{name}");
    }
    let sleap = "track;frame_idx;instance.score;nose.x;nose.y;nose.score\na;5;0,9;70,5;135;0,8\n";
    let track = KeypointTrack::parse(Path::new("t"), sleap.into(), &Default::default()).unwrap();
    assert_eq!(track.kind(), TrackKind::SleapCsv);
    let found = seen(&track.locate(&video()).unwrap(), 0);
    assert_eq!(found, [(5, "nose".to_owned(), 70.5, 135.0)]);
    // Lines keep their numbers.
    let broken = "scorer;n;n\n\nbodyparts;p;p\ncoords;x;y\n0;1,5;oops\n";
    assert!(refusal(broken).contains("line 5"), "{}", refusal(broken));
}

#[test]
fn bombs_are_duds() {
    let deep = |open: &str, times: usize| open.repeat(times);
    for text in [
        deep("[", 1_000_000),
        deep("{\"shapes\":[", 200_000),
        format!("<annotations>{}", deep("<track>", 300_000)),
        "<!DOCTYPE a [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><annotations>&b;</annotations>"
            .into(),
        format!("[{{\"annotations\":[{}", deep("[", 100_000)),
    ] {
        refusal(text);
    }
}

/// Reads and uses a file, whether or not that succeeds.
fn use_all(bytes: Vec<u8>) {
    let Ok(track) = KeypointTrack::parse(Path::new("x"), bytes, &KeypointSelection::default())
    else {
        return;
    };
    for recording in [video(), images()] {
        if let Ok(track) = track.clone().locate(&recording) {
            let _ = track.check_rows();
            (0..track.individuals().len()).for_each(|individual| drop(seen(&track, individual)));
        }
    }
}

const ALL: [&str; 18] = [
    "cvat-points.xml",
    "cvat-skeletons.xml",
    "cvat-boxes.xml",
    "cvat-images.xml",
    "coco-keypoints.json",
    "coco-shapes.json",
    "labelme/img0005.json",
    "labelme-shapes.json",
    "label-studio.json",
    "label-studio-min.json",
    "label-studio-video.json",
    "napari-points.csv",
    "idtracker.csv",
    "dlc-unicode-text.txt",
    "sleap.slp",
    "sleap.pkg.slp",
    "nwb-stamps.nwb",
    "nwb-sleap.nwb",
];

proptest! {
    #[test]
    fn damaged_files_never_panic(
        file in 0..ALL.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = std::fs::read(path(ALL[file])).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        use_all(bytes);
    }
}
