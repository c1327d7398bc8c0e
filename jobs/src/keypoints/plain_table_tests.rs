//! Tests of plain tables with a column that could be overlooked or mistaken for another.

use std::path::Path;

use sam2_frame_provider::FrameSize;

use super::{KeypointSelection, KeypointTrack, TrackKind, TrackedRecording};

fn parse(table: &str) -> Result<KeypointTrack, String> {
    let selection = KeypointSelection::default();
    let track = KeypointTrack::parse(Path::new("t"), table.as_bytes().to_vec(), &selection);
    track.map_err(|error| error.to_string())
}

fn refused(table: &str, words: &[&str]) {
    let message = parse(table).unwrap_err();
    for word in words {
        assert!(message.contains(word), "{table}: {message}");
    }
}

/// Returns the number of frames of a table that is used for `mouse.mp4`, and the notices.
fn located(table: &str) -> (usize, String) {
    let recording = TrackedRecording {
        name: "mouse.mp4".into(),
        frame_count: 24,
        size: FrameSize { width: 256, height: 192 },
        region: None,
        images: Vec::new(),
        times: Vec::new(),
    };
    let track = parse(table).unwrap().locate(&recording).unwrap();
    let told: Vec<String> = track.notices().iter().map(|notice| notice.to_string()).collect();
    (track.len(), told.join("; "))
}

#[test]
fn rows_of_other_recordings_are_left_out() {
    for column in ["video_path", "video", "video_name", "Recording", "filename"] {
        let table =
            format!("frame,x,y,{column}\n0,9,9,rat.mp4\n1,9,9,rat.mp4\n4,20,30,mouse.mp4\n");
        let (rows, told) = located(&table);
        assert_eq!(rows, 1, "{column}");
        assert!(told.contains("2 of 3 rows") && told.contains("rat"), "{column}: {told}");
        let (rows, told) = located(&format!("frame,x,y,{column}\n0,9,9,rat.mp4\n1,9,9,rat.mp4\n"));
        assert!(rows == 2 && told.contains("is it the right track?"), "{column}: {told}");
    }
    // The frame's own image.
    let (rows, told) = located("frame,x,y,filename\n0,9,9,a0.png\n1,9,9,a1.png\n");
    assert_eq!((rows, told.as_str()), (2, ""));
}

#[test]
fn videos_that_sleap_numbers_are_asked_for() {
    let table = "video_idx,track,frame_idx,instance.score,a.x,a.y,a.score\n\
        0,t,0,1,20,30,1\n0,t,1,1,20,30,1\n";
    assert_eq!(located(table), (2, String::new()));
    let two = table.replace("\n0,t,1", "\n1,t,0");
    let selection =
        KeypointSelection { video: Some("video_idx 1".into()), ..KeypointSelection::default() };
    let track = KeypointTrack::parse(Path::new("t"), two.clone().into_bytes(), &selection);
    let recording = TrackedRecording {
        name: "mouse.mp4".into(),
        frame_count: 24,
        size: FrameSize { width: 256, height: 192 },
        region: None,
        images: Vec::new(),
        times: Vec::new(),
    };
    assert_eq!(track.unwrap().locate(&recording).unwrap().len(), 1);
    let message = parse(&two).unwrap().locate(&recording).unwrap_err().to_string();
    assert!(message.contains("video_idx 0") && message.contains("--keypoints-video"), "{message}");
}

#[test]
fn corners_of_boxes_are_no_animals() {
    for header in ["frame,x1,y1,x2,y2", "frame,xmin,ymin,xmax,ymax", "frame,X1,Y1,X2,Y2"] {
        refused(&format!("{header}\n0,10,20,50,60\n"), &["a table of boxes", "the middle"]);
    }
    refused("frame,x1,y1,x2,y2,class\n0,10,20,50,60,1\n", &["a table of boxes"]);
    for header in ["time,x1,y1,x2,y2", "seconds,x1,y1,x2,y2"] {
        let track = parse(&format!("{header}\n0,10,20,50,60\n")).unwrap();
        assert_eq!((track.kind(), track.individuals().len()), (TrackKind::IdtrackerCsv, 2));
    }
    assert_eq!(parse("frame,x1,y1,x2,y2,x3,y3\n0,1,2,3,4,5,6\n").unwrap().individuals().len(), 3);
}

#[test]
fn two_columns_for_one_thing_are_refused() {
    refused("frame,x,y,x,y\n0,1,2,3,4\n", &["'x' (column 2)", "'x' (column 4)"]);
    refused("frame,frame,x,y\n0,3,1,2\n", &["'frame' (column 1)", "'frame' (column 2)"]);
    refused("frame,x,y,likelihood,p\n0,1,2,.1,.9\n", &["'likelihood'", "'p'"]);
    refused("frame,x,y,object,track\n0,1,2,a,b\n", &["'object'", "'track'"]);
    let turned = "image,frame,x,y\nimg0.png,9,1,2\nimg1.png,8,1,2\n";
    refused(turned, &["line 3", "'frame'", "'image'", "contradict"]);
    let alike = "image,frame,x,y\nimg0.png,0,1,2\nimg1.png,1,1,2\n";
    assert_eq!(located(alike), (2, String::new()));
    let (rows, told) = located("image,frame,x,y\nimg1.png,0,1,2\nimg2.png,1,1,2\n");
    assert!(rows == 2 && told.contains("+1"), "{told}");
}

#[test]
fn trex_is_known_by_its_own_columns() {
    refused("frame,X,Y,SPEED,missing,midline_length\n0,1,2,3,0,9\n", &["a table of TRex"]);
    refused("frame,X,Y,SPEED,ANGLE\n0,1,2,3,0\n", &["a table of TRex", "#wcentroid"]);
    // A single word may belong to any program.
    assert!(parse("frame,x,y,missing\n0,1,2,0\n").is_ok());
}

#[test]
fn a_frame_that_is_there_twice_is_no_matter_of_the_kind() {
    let table = "scorer,me,me\nbodyparts,a,a\ncoords,x,y\n0,1,2\n0,1,2\n";
    let message = parse(table).unwrap_err();
    assert!(message.contains("appears twice") && !message.contains("SLEAP"), "{message}");
}
