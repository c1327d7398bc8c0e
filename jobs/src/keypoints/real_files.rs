//! Tests of tracks as programs really write them, from `tests/cases`. Each case there says what is
//! right.

use std::path::{Path, PathBuf};

use sam2_frame_provider::FrameSize;

use super::{
    KeypointError, KeypointSelection, KeypointTrack, LocatedTrack, TrackKind, TrackNotice,
    TrackedRecording,
};

/// The size of `base.mp4`, which most cases are about. It has 24 frames, an animal at (50+4t,
/// 140-t) and a decoy at (200-t, 45+t).
const SIZE: FrameSize = FrameSize { width: 256, height: 192 };
const FRAMES: usize = 24;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(name)
}

fn recording(name: &str, images: Vec<String>) -> TrackedRecording {
    TrackedRecording {
        name: name.into(),
        frame_count: FRAMES,
        size: SIZE,
        region: None,
        images,
        times: Vec::new(),
    }
}

fn video() -> TrackedRecording {
    recording("base.mp4", Vec::new())
}

fn read(name: &str) -> Result<KeypointTrack, KeypointError> {
    KeypointTrack::read(&case(name), &KeypointSelection::default())
}

/// Returns the track on `base.mp4`.
fn on_video(name: &str) -> LocatedTrack {
    read(name).unwrap().locate(&video()).unwrap()
}

/// Returns a track with this text, on a recording.
fn located(text: &str, recording: &TrackedRecording) -> Result<LocatedTrack, KeypointError> {
    let selection = KeypointSelection::default();
    KeypointTrack::parse(Path::new("t.csv"), text.into(), &selection).unwrap().locate(recording)
}

/// Returns the frames with a row, and the first body part's position in each.
fn firsts(track: &LocatedTrack, individual: usize) -> Vec<(usize, f32, f32)> {
    let frames = track.frames_of(individual, 0..usize::MAX).iter();
    let first = |&frame: &usize| {
        let (_, keypoint) = track.usable(frame, individual, 0.0).next()?;
        Some((frame, keypoint.x, keypoint.y))
    };
    frames.filter_map(first).collect()
}

/// Returns the true positions of the animal's nose.
fn nose(frames: impl IntoIterator<Item = usize>) -> Vec<(usize, f32, f32)> {
    let at = |frame: usize| (frame, 50.0 + 4.0 * frame as f32, 140.0 - frame as f32);
    frames.into_iter().map(at).collect()
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

fn frames_from_1() -> Vec<String> {
    (1..=FRAMES).map(|number| format!("img{number:04}.png")).collect()
}

#[test]
fn rows_that_name_images_belong_to_those_images() {
    let folder = recording("frames", frames_from_1());
    let name = "track-by-image-name-folder-from-1/images_onebased";
    let whole = read(&format!("{name}.csv")).unwrap().locate(&folder).unwrap();
    assert_eq!(firsts(&whole, 0), nose(0..24));
    assert!(whole.check_rows().is_ok() && whole.notices().is_empty(), "{:?}", whole.notices());
    let one = read(&format!("{name}_one.csv")).unwrap().locate(&folder).unwrap();
    assert_eq!(firsts(&one, 0), nose([4]));
}

const BY_IMAGE: &str = "scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\n";

#[test]
fn images_that_the_recording_lacks_are_counted_or_refused() {
    let folder = recording("frames", frames_from_1());
    let rows = format!("{BY_IMAGE}img0003.jpg,1,2\nimg0099.png,3,4\nother.png,5,6\n");
    let track = located(&rows, &folder).unwrap();
    assert_eq!(firsts(&track, 0), [(2, 1.0, 2.0)], "an image of another format by its stem");
    says(&warnings(&track)[0], &["2 of 3 images", "t.csv", "'img0099.png', 'other.png'"]);
    let none = located(&format!("{BY_IMAGE}a/x1.png,1,2\n"), &folder).unwrap_err();
    says(&none.to_string(), &["t.csv", "'a/x1.png'", "'img0001.png'", "'frames'"]);
    // An image appears twice, once under another name.
    let twice = located(&format!("{BY_IMAGE}img0003.jpg,1,2\nimg0003.png,3,4\n"), &folder);
    says(&twice.unwrap_err().to_string(), &["frame 2", "twice"]);
}

#[test]
fn in_a_video_the_number_in_an_images_name_is_the_frame() {
    let rows = format!("{BY_IMAGE}img0003.png,1,2\n");
    let track = located(&rows, &video()).unwrap();
    assert_eq!(firsts(&track, 0), [(3, 1.0, 2.0)]);
    says(
        &warnings(&track)[0],
        &["'base.mp4' is not a folder of images", "'img0003.png'", "frame 3"],
    );
    let rows = rows.replace("img0003", "labeled-data/base/img0003");
    let track = located(&rows, &video()).unwrap();
    assert_eq!(firsts(&track, 0), [(3, 1.0, 2.0)]);
    assert!(track.notices().is_empty(), "its own folder leaves nothing to guess");
    let none = located(&format!("{BY_IMAGE}a.png,1,2\n"), &video()).unwrap_err();
    says(&none.to_string(), &["'a.png'", "frame number"]);
}

#[test]
fn rows_of_other_videos_are_left_out_and_counted() {
    let name = "labelled-data-of-several-videos/CollectedData_two_videos";
    let track = on_video(&format!("{name}.csv"));
    assert_eq!(firsts(&track, 0), nose([0, 10]));
    says(&warnings(&track)[0], &["2 of 4 rows", "other recordings ('othervideo')"]);
    assert_eq!(firsts(&on_video(&format!("{name}2.csv")), 0), nose([12]));

    let several = read(&format!("{name}.csv")).unwrap();
    let error = several.clone().locate(&recording("third.avi", Vec::new())).unwrap_err();
    says(&error.to_string(), &["base, othervideo", "'third.avi'", "--keypoints-video"]);
    let named = |video: &str| {
        let selection =
            KeypointSelection { video: Some(video.into()), ..KeypointSelection::default() };
        let track = KeypointTrack::read(&case(&format!("{name}.csv")), &selection).unwrap();
        track.locate(&recording("third.avi", Vec::new()))
    };
    assert_eq!(firsts(&named("base").unwrap(), 0), nose([0, 10]));
    says(&named("basement").unwrap_err().to_string(), &["'basement'", "base, othervideo"]);
}

#[test]
fn one_other_video_is_used_with_a_warning() {
    let rows = format!("{BY_IMAGE}labeled-data/mouse/img0003.png,1,2\n");
    let track = located(&rows, &video()).unwrap();
    assert_eq!(firsts(&track, 0), [(3, 1.0, 2.0)]);
    says(&warnings(&track)[0], &["'mouse'", "'base.mp4'"]);
}

#[test]
fn three_leading_columns_are_a_path() {
    let rows = "scorer,,,me,me\nbodyparts,,,nose,nose\ncoords,,,x,y\n\
                labeled-data,base,img010.png,1,2\nlabeled-data,other,img005.png,3,4\n";
    let track = located(rows, &video()).unwrap();
    assert_eq!(firsts(&track, 0), [(10, 1.0, 2.0)]);
    says(&warnings(&track)[0], &["1 of 2 rows", "'other'"]);
    let numbered = rows.replace("scorer", ",scorer").replace("bodyp", ",bodyp");
    let numbered = numbered.replace("coords", ",coords").replace("labeled-data", "7,labeled-data");
    assert_eq!(firsts(&located(&numbered, &video()).unwrap(), 0), [(10, 1.0, 2.0)]);
}

#[test]
fn images_named_by_numbers_are_images() {
    let images = (9_999..10_004).map(|number| format!("{number:05}.png")).collect();
    let folder = recording("frames", images);
    let rows = format!("{BY_IMAGE}09999,1,2\n10001,3,4\n");
    assert_eq!(firsts(&located(&rows, &folder).unwrap(), 0), [(0, 1.0, 2.0), (2, 3.0, 4.0)]);
    let track = located(&format!("{BY_IMAGE}003,1,2\n"), &video()).unwrap();
    assert_eq!(firsts(&track, 0), [(3, 1.0, 2.0)]);
    assert!(track.notices().is_empty());
}

#[test]
fn numbers_and_images_do_not_mix() {
    let rows = format!("{BY_IMAGE}3,1,2\nimg4.png,1,2\n");
    let selection = KeypointSelection::default();
    let error = KeypointTrack::parse(Path::new("t.csv"), rows.into(), &selection).unwrap_err();
    says(&error.to_string(), &["line 5", "'img4.png'"]);
}

#[test]
fn coordinates_in_a_cropped_part_are_moved_then_scaled() {
    let path = case("dlc-analysed-with-cropping/crop.csv");
    let read = |offset, scale| {
        let selection = KeypointSelection { offset, scale, ..KeypointSelection::default() };
        let track = KeypointTrack::read(&path, &selection).unwrap();
        let big = FrameSize { width: 2000, height: 2000 };
        let recording =
            TrackedRecording { name: "crop.mp4".into(), frame_count: 12, size: big, ..video() };
        firsts(&track.locate(&recording).unwrap(), 0)[0]
    };
    assert_eq!(read(Some([100.0, 60.0]), 1.0), (0, 150.0, 130.0));
    assert_eq!(read(Some([100.0, 60.0]), 2.0), (0, 300.0, 260.0));
    assert_eq!(read(None, 1.0), (0, 50.0, 70.0));
}

#[test]
fn deeplabcuts_note_on_cropping_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let track = folder.path().join("crop_filtered.csv");
    std::fs::copy(case("dlc-analysed-with-cropping/crop.csv"), &track).unwrap();
    let note = folder.path().join("crop_meta.pickle");
    std::fs::copy(case("../fixtures/tracks/crop_meta.pickle"), &note).unwrap();
    let recording = TrackedRecording { frame_count: 12, ..video() };
    let first = |offset| {
        let selection = KeypointSelection { offset, ..KeypointSelection::default() };
        let track = KeypointTrack::read(&track, &selection).unwrap().locate(&recording).unwrap();
        (firsts(&track, 0)[0], track.notices().to_vec())
    };
    let (place, notices) = first(None);
    assert_eq!(place, (0, 150.0, 130.0));
    let [TrackNotice::Info(told)] = notices.as_slice() else { panic!("{notices:?}") };
    says(told, &["crop_meta.pickle", "column 100 and row 60", "--keypoints-offset"]);
    assert_eq!(first(Some([0.0, 0.0])), ((0, 50.0, 70.0), Vec::new()));
    std::fs::write(&note, "what?").unwrap();
    let (place, notices) = first(None);
    assert_eq!(place, (0, 50.0, 70.0));
    let [TrackNotice::Warning(told)] = notices.as_slice() else { panic!("{notices:?}") };
    says(told, &["crop_meta.pickle", "damaged", "--keypoints-offset"]);
}

#[test]
fn what_no_one_can_click_on_is_refused_by_name() {
    let refused = |name: &str, parts: &[&str]| {
        if name.ends_with(".h5") && !cfg!(feature = "hdf5") {
            return;
        }
        says(&read(name).unwrap_err().to_string(), parts);
    };
    refused("dlc-3d-csv/trial_DLC_3D.csv", &["3D coordinates", "not pixels"]);
    refused("dlc-3d-csv/trial_DLC_3D.h5", &["3D coordinates", "not pixels"]);
    refused("duplicate-bodypart/duplicate_part2.csv", &["'left_paw'", "twice", "--bodyparts"]);
    let parsed = |text: &str| {
        let selection = KeypointSelection::default();
        let error = KeypointTrack::parse(Path::new("t.csv"), text.into(), &selection).unwrap_err();
        error.to_string()
    };
    let pair = "scorer,n,n,n,n,n,n\nindividuals,ann,ann,bob,bob,bob,bob\n\
                bodyparts,nose,nose,nose,nose,nose,nose\ncoords,x,y,x,y,x,y\n0,1,2,3,4,5,6\n";
    says(&parsed(pair), &["'nose' of 'bob'", "twice"]);
    says(&parsed("frame_idx,track,n.x,n.y,n.x,n.y\n0,a,1,2,3,4\n"), &["node 'n'", "twice"]);
    says(&parsed("frame_idx,track,n.x,n.y,n.z\n0,a,1,2,3\n"), &["3D coordinates"]);
    // Which of the two is meant does not matter, as neither was requested.
    let bodyparts = vec!["nose".to_owned()];
    let selection = KeypointSelection { bodyparts, ..KeypointSelection::default() };
    let path = case("duplicate-bodypart/duplicate_part2.csv");
    let track = KeypointTrack::read(&path, &selection).unwrap().locate(&video()).unwrap();
    assert_eq!(firsts(&track, 0), nose(0..24));
}

#[test]
fn a_row_of_several_animals_is_several_animals() {
    let track = on_video("sleap-io-frames-csv/s_csv_frames.csv");
    let names: Vec<&str> = track.individuals().iter().filter_map(|i| i.name.as_deref()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(track.individuals()[0].bodyparts, ["nose", "tail"]);
    assert_eq!(firsts(&track, 0), nose(0..firsts(&track, 0).len()));
    assert_eq!(firsts(&track, 1)[3], (3, 197.0, 48.0));

    let header = "frame_idx,inst0.track,inst0.track_score,inst0.score,inst0.n.x,inst0.n.y,inst0.n.score,\
                  inst1.track,inst1.track_score,inst1.score,inst1.n.x,inst1.n.y,inst1.n.score\n";
    // The order of animals in a row says nothing.
    let crossed =
        format!("{header}0,a,,1,1,2,,b,,1,3,4,1\n1,b,,1,5,6,1,a,,1,7,8,1\n2,b,,1,9,9,1,,,,,,\n");
    let track = located(&crossed, &video()).unwrap();
    assert_eq!(firsts(&track, 0), [(0, 1.0, 2.0), (1, 7.0, 8.0)]);
    assert_eq!(firsts(&track, 1), [(0, 3.0, 4.0), (1, 5.0, 6.0), (2, 9.0, 9.0)]);
    let untracked = crossed.replace(['a', 'b'], "").replace("frme_idx", "frame_idx");
    let untracked = untracked.replace("trck", "track");
    let selection = KeypointSelection::default();
    let error = KeypointTrack::parse(Path::new("t.csv"), untracked.into(), &selection).unwrap_err();
    says(&error.to_string(), &["line 2", "without a track"]);
}

#[test]
fn a_blank_likelihood_beside_coordinates_is_certain() {
    let track = on_video("sleap-io-dlc-csv-blank-likelihood/s_csv_dlc.csv");
    assert_eq!(firsts(&track, 0), nose(0..firsts(&track, 0).len()));
    assert!(track.usable(0, 0, 1.0).count() == 2 && warnings(&track).is_empty());
}

#[test]
#[cfg(feature = "hdf5")]
fn a_file_that_does_not_say_where_it_starts_is_asked_for() {
    let whole = on_video("sleap-h5-not-all-frames/s_part.h5");
    assert_eq!((whole.check_rows().is_ok(), firsts(&whole, 0)), (true, nose(5..16)));
    let cut = on_video("sleap-h5-not-all-frames/s_part_notall.h5");
    let message = cut.check_rows().unwrap_err().to_string();
    says(&message, &["19 rows", "24 frames", "--keypoints-first-frame 5", "all frames"]);
    let first_frame = Some(5);
    let selection = KeypointSelection { first_frame, ..KeypointSelection::default() };
    let path = case("sleap-h5-not-all-frames/s_part_notall.h5");
    let moved = KeypointTrack::read(&path, &selection).unwrap().locate(&video()).unwrap();
    assert_eq!((moved.check_rows().is_ok(), firsts(&moved, 0)), (true, nose(5..16)));
}

#[test]
#[cfg(feature = "hdf5")]
fn a_file_of_another_video_says_so() {
    let track = on_video("sleap-h5-other-video/s_twovideos.h5");
    says(&warnings(&track)[0], &["rot180.mp4", "'base.mp4'"]);
    let track = read("sleap-h5-other-video/s_twovideos.h5").unwrap();
    let right = track.locate(&recording("rot180.avi", Vec::new())).unwrap();
    assert!(right.notices().is_empty());
    assert_eq!(right.individuals().len(), 1);
    assert_eq!(read("sleap-h5-other-video/s_twovideos.h5").unwrap().kind(), TrackKind::SleapHdf5);
}

#[test]
fn deeplabcuts_likelihoods_have_its_threshold() {
    let track = on_video("dlc-low-likelihood-default/lowlik.csv");
    assert_eq!(track.default_min_likelihood(), 0.6);
    let names: Vec<&str> = track.usable(0, 0, 0.6).map(|(name, _)| name).collect();
    assert_eq!(names, ["nose", "body"]);
    let sleap = on_video("sleap-io-frames-csv/s_csv_frames.csv");
    assert_eq!(sleap.default_min_likelihood(), 0.0, "SLEAP's scores are on another scale");
}
