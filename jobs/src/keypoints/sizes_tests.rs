//! Tests of picture sizes, of DeepLabCut's crops, and of animals that a file names but never shows.

use std::path::{Path, PathBuf};

use sam2_frame_provider::FrameSize;

use super::{KeypointSelection, KeypointTrack, LocatedTrack, TrackNotice, TrackedRecording};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tracks").join(name)
}

fn recording(width: u32, height: u32) -> TrackedRecording {
    TrackedRecording {
        name: "base.mp4".into(),
        frame_count: 24,
        size: FrameSize { width, height },
        region: None,
        images: Vec::new(),
        times: (0..24).map(|frame| f64::from(frame) / 25.0).collect(),
    }
}

/// Returns frame, body part, x and y of every point that was seen of an individual.
fn seen(track: &LocatedTrack, individual: usize) -> Vec<(usize, String, f32, f32)> {
    let frames = track.frames_of(individual, 0..usize::MAX).iter();
    let points = frames.flat_map(|&frame| {
        let usable = track.usable(frame, individual, 0.0);
        usable.map(move |(part, point)| (frame, part.to_owned(), point.x, point.y))
    });
    points.collect()
}

fn told(track: &LocatedTrack) -> Vec<String> {
    track.notices().iter().map(ToString::to_string).collect()
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing in: {text}");
    }
}

/// Returns a track with a nose at (50, 70), with DeepLabCut's note of this name next to it.
fn cropped(
    note: &str,
    recording: &TrackedRecording,
    selection: &KeypointSelection,
) -> LocatedTrack {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crop.csv");
    std::fs::write(&path, "scorer,n,n\nbodyparts,nose,nose\ncoords,x,y\n0,50,70\n").unwrap();
    std::fs::copy(fixture(note), folder.path().join("crop_meta.pickle")).unwrap();
    KeypointTrack::read(&path, selection).unwrap().locate(recording).unwrap()
}

#[test]
fn numpys_numbers_and_arrays_in_deeplabcuts_note_are_read() {
    for note in [
        "crop_meta.pickle",
        "crop_numpy_numbers.pickle",
        "crop_numpy_numbers_old.pickle",
        "crop_numpy_arrays.pickle",
        "crop_numpy_arrays_old.pickle",
    ] {
        let track = cropped(note, &recording(256, 192), &KeypointSelection::default());
        assert_eq!(seen(&track, 0), [(0, "nose".to_owned(), 150.0, 130.0)], "{note}");
        let [TrackNotice::Info(notice)] = track.notices() else {
            panic!("{note}: {:?}", track.notices())
        };
        says(notice, &["column 100 and row 60", "--keypoints-offset 0,0"]);
    }
}

#[test]
fn a_recording_that_is_the_crop_is_not_moved() {
    // Columns 100 to 256 and rows 60 to 192 are 156 x 132.
    let selection = KeypointSelection::default();
    let track = cropped("crop_meta.pickle", &recording(156, 132), &selection);
    assert_eq!(seen(&track, 0), [(0, "nose".to_owned(), 50.0, 70.0)]);
    let [TrackNotice::Warning(notice)] = track.notices() else { panic!("{:?}", track.notices()) };
    says(notice, &["156 x 132", "nothing is added", "--keypoints-offset 100,60"]);
    // It still is after enlarging.
    let twice = KeypointSelection { scale: 2.0, ..KeypointSelection::default() };
    let track = cropped("crop_meta.pickle", &recording(312, 264), &twice);
    assert_eq!(seen(&track, 0), [(0, "nose".to_owned(), 100.0, 140.0)]);
    let track = cropped("crop_meta.pickle", &recording(512, 384), &twice);
    assert_eq!(seen(&track, 0), [(0, "nose".to_owned(), 300.0, 260.0)]);
    // The user's offset has priority.
    let moved = KeypointSelection { offset: Some([10.0, 20.0]), ..KeypointSelection::default() };
    let track = cropped("crop_meta.pickle", &recording(256, 192), &moved);
    assert_eq!(seen(&track, 0), [(0, "nose".to_owned(), 60.0, 90.0)]);
    assert!(track.notices().is_empty(), "{:?}", track.notices());
}

#[test]
fn a_picture_of_another_size_is_told() {
    let selection = KeypointSelection::default();
    let track = cropped("crop_meta.pickle", &recording(640, 480), &selection);
    let warning = told(&track).pop().unwrap();
    says(&warning, &["256 x 192", "640x480", "--downsample-factor", "--keypoints-offset"]);
    let smaller = KeypointSelection { scale: 2.5, ..KeypointSelection::default() };
    let track = cropped("crop_meta.pickle", &recording(640, 480), &smaller);
    assert_eq!(told(&track).len(), 1, "only that the corner was added: {:?}", told(&track));
    let wrong = KeypointSelection { scale: 2.0, ..KeypointSelection::default() };
    let track = cropped("crop_meta.pickle", &recording(640, 480), &wrong);
    says(&told(&track)[1], &["256 x 192", "640x480"]);
}

#[cfg(feature = "hdf5")]
#[test]
fn slp_and_nwb_say_how_large_their_pictures_are() {
    let on = |name: &str, recording: &TrackedRecording| {
        let track = KeypointTrack::read(&fixture(name), &KeypointSelection::default()).unwrap();
        told(&track.locate(recording).unwrap())
    };
    let of_size = |told: &[String], size: &str| told.iter().any(|line| line.contains(size));
    assert!(of_size(&on("sleap-unlinked.slp", &recording(256, 192)), "512 x 384"));
    assert!(!of_size(&on("sleap-unlinked.slp", &recording(512, 384)), "512 x 384"));
    assert!(of_size(&on("nwb-rate.nwb", &recording(640, 480)), "256 x 192"));
    assert!(!of_size(&on("nwb-rate.nwb", &recording(256, 192)), "picture"));
    // Some programs write height and width.
    assert!(!of_size(&on("nwb-rate.nwb", &recording(192, 256)), "picture"));
}

#[test]
fn sizes_are_those_of_the_recordings_own_images() {
    let image = |id: usize, name: &str, width: u32| {
        format!(r#"{{"id": {id}, "file_name": "{name}", "width": {width}, "height": 192}}"#)
    };
    let text = format!(
        r#"{{"images": [{}, {}], "categories": [{{"id": 1, "name": "m", "keypoints": ["nose"]}}], "annotations": [
            {{"image_id": 1, "category_id": 1, "keypoints": [1, 1, 2]}}, {{"image_id": 2, "category_id": 1, "keypoints": [2, 2, 2]}}]}}"#,
        image(1, "other_frame_5.png", 999),
        image(2, "base_frame_5.png", 256)
    );
    let parse = || KeypointTrack::parse(Path::new("t"), text.clone().into(), &Default::default());
    let track = parse().unwrap().locate(&recording(256, 192)).unwrap();
    assert!(!told(&track).iter().any(|line| line.contains("999")), "{:?}", told(&track));
    let other = TrackedRecording { name: "other.mp4".into(), ..recording(256, 192) };
    let track = parse().unwrap().locate(&other).unwrap();
    assert!(told(&track).iter().any(|line| line.contains("999 x 192")), "{:?}", told(&track));
}

#[cfg(feature = "hdf5")]
#[test]
fn a_persons_instance_counts_where_nothing_links_it_to_the_prediction() {
    let track = KeypointTrack::read(&fixture("sleap-unlinked.slp"), &Default::default()).unwrap();
    let track = track.locate(&recording(512, 384)).unwrap();
    let nose = |frame: usize, x: f32, y: f32| {
        [(frame, "nose".to_owned(), x, y), (frame, "tail".to_owned(), x + 5.0, y + 3.0)]
    };
    let expected = [nose(5, 70.0, 135.0), nose(6, 74.0, 134.0), nose(7, 78.0, 133.0)].concat();
    assert_eq!(seen(&track, 0), expected);
    let told = told(&track);
    let told = told.iter().find(|line| line.contains("nothing links")).unwrap();
    says(told, &["1 frames (the first: frame 6)", "tracks in SLEAP"]);
}

#[cfg(feature = "hdf5")]
#[test]
fn a_sleap_table_the_other_way_round_is_recognised() {
    let track = KeypointTrack::read(&fixture("sleap-reversed.h5"), &Default::default()).unwrap();
    let track = track.locate(&recording(256, 192)).unwrap();
    assert_eq!(track.check_rows().map_err(|error| error.to_string()), Ok(()));
    let names: Vec<_> = track.individuals().iter().map(|one| one.name.as_deref()).collect();
    assert_eq!(names, [Some("a"), Some("b")]);
    let of_b: Vec<_> = seen(&track, 1).into_iter().filter(|point| point.0 == 3).collect();
    let at = |part: &str, x: f32, y: f32| (3, part.to_owned(), x, y);
    assert_eq!(of_b, [at("nose", 197.0, 48.0), at("tail", 202.0, 51.0), at("again", 197.0, 48.0)]);
    assert_eq!(track.usable(3, 1, 0.0).next().unwrap().1.likelihood, 0.5);
}

#[test]
fn an_animal_that_is_never_seen_is_no_object() {
    // sleap-io writes this for a project with a track that was emptied (format="dlc").
    let text = "scorer,s,s,s,s,s,s\nindividuals,a,a,old,old,b,b\nbodyparts,n,n,n,n,n,n\ncoords,x,y,x,y,x,y\n\
                labeled-data/base/img0003.png,1,2,,,3,4\n";
    let read = |individuals: &[&str]| {
        let individuals = individuals.iter().map(|name| (*name).to_owned()).collect();
        let selection = KeypointSelection { individuals, ..KeypointSelection::default() };
        let track = KeypointTrack::parse(Path::new("t"), text.into(), &selection).unwrap();
        let track = track.locate(&recording(256, 192)).unwrap();
        let objects =
            track.objects().map(|(id, one)| format!("{id}{}", one.name.as_deref().unwrap_or("-")));
        (objects.collect::<Vec<_>>(), told(&track))
    };
    let (objects, told) = read(&[]);
    assert_eq!(objects, ["1a", "2b"]);
    says(&told[0], &["no point of 'old'", "not an object"]);
    assert_eq!(read(&["old", "a"]), (vec!["1a".to_owned(), "2old".to_owned()], Vec::new()));
}

#[test]
fn a_track_that_counts_from_one_can_be_moved() {
    let text = "frame,object,x,y\n1,1,54,139\n2,1,58,138\n";
    let read = |first_frame| {
        let selection = KeypointSelection { first_frame, ..KeypointSelection::default() };
        let track = KeypointTrack::parse(Path::new("t"), text.into(), &selection).unwrap();
        track.locate(&TrackedRecording { frame_count: 2, ..recording(256, 192) })
    };
    let message = read(None).unwrap().check_rows().unwrap_err().to_string();
    says(&message, &["numbered from 1 to 2", "--keypoints-first-frame -1"]);
    let track = read(Some(-1)).unwrap();
    assert!(track.check_rows().is_ok());
    let points: Vec<_> = seen(&track, 0).into_iter().map(|(f, _, x, y)| (f, x, y)).collect();
    assert_eq!(points, [(0, 54.0, 139.0), (1, 58.0, 138.0)]);
    let track = read(Some(-2)).unwrap();
    says(&told(&track)[0], &["1 rows", "before the recording's first frame"]);
    says(&read(Some(-3)).unwrap_err().to_string(), &["--keypoints-first-frame -3", "before"]);
    let message = read(Some(5)).unwrap().check_rows().unwrap_err().to_string();
    says(&message, &["2 rows, the last of which is on frame 7", "has 2 frames"]);
}
