//! The number of pages equals the number of decodable frames, whatever the container claims.

use crate::support::{Outcome, Workshop, claimed_frames, decodable_frames, packets, scaled_track};

/// A point on the mouse at 160x120.
const POINT: [&str; 2] = ["--point", "0:102,33"];
const SMALL: &str = "-vf scale=160:120 -pix_fmt yuv420p";
const X264: &str = "-c:v libx264 -preset ultrafast -bf 2 -b_strategy 0 -g 6";

/// Segments the recording and compares the number of pages with the number of frames that `ffmpeg`
/// decodes. Returns it.
fn pages_are_frames(workshop: &Workshop, recording: &str) -> usize {
    let expected = decodable_frames(&workshop.path(recording));
    let output = format!("{recording}.btf");
    workshop.segment_to(&output, recording, &POINT);
    assert_eq!(workshop.stack(&output).pages.len(), expected, "{recording}");
    expected
}

/// Segments a recording that claims more frames than it has, which gives exit code 3.
fn segment_flawed(workshop: &Workshop, recording: &str, arguments: &[&str]) -> Outcome {
    let all = [&["segment", recording, "-o", "masks.btf"], arguments].concat();
    workshop.sam2(&all).ended(3)
}

/// Fills the payload of these packets with zeros. The demuxer does not notice, but the decoder
/// cannot produce frames from them.
fn destroy_packets(workshop: &Workshop, source: &str, numbers: &[usize], name: &str) {
    let mut bytes = workshop.read(source);
    let packets = packets(&workshop.path(source));
    for &number in numbers {
        let (position, size) = packets[number];
        bytes[position..position + size].fill(0);
    }
    workshop.write(name, bytes);
}

/// Makes twelve frames of motion JPEG, one of which cannot be decoded.
fn damaged(destroyed: usize) -> Workshop {
    let workshop = Workshop::new();
    let arguments = "-vf scale=160:120 -c:v mjpeg -q:v 3 -pix_fmt yuvj420p";
    workshop.cut("mouse-arena", 12, arguments, "sound.mov");
    destroy_packets(&workshop, "sound.mov", &[destroyed], "damaged.mov");
    let file = workshop.path("damaged.mov");
    assert_eq!((claimed_frames(&file), decodable_frames(&file)), (Some(12), 11));
    workshop
}

#[test]
fn containers_that_claim_nothing() {
    let workshop = Workshop::new();
    workshop.cut("mouse-arena", 5, &format!("{SMALL} {X264}"), "a.mkv");
    workshop.ffmpeg("-i a.mkv -c copy a.ts").ffmpeg("-i a.mkv -c copy a.h264");
    workshop.ffmpeg("-i a.mkv -c copy -movflags frag_keyframe+empty_moov a.mp4");
    for name in ["a.mkv", "a.ts", "a.h264", "a.mp4"] {
        assert_eq!(claimed_frames(&workshop.path(name)), None, "{name} claims something");
        assert_eq!(pages_are_frames(&workshop, name), 5);
    }
}

#[test]
fn an_edit_list_hides_frames() {
    let workshop = Workshop::new();
    workshop.cut("mouse-arena", 20, &format!("{SMALL} -c:v libx264 -g 20"), "whole.mp4");
    workshop.ffmpeg("-ss 0.3 -i whole.mp4 -c copy edited.mp4");
    let claimed = claimed_frames(&workshop.path("edited.mp4"));
    let frames = pages_are_frames(&workshop, "edited.mp4");
    assert!(claimed.is_some_and(|claimed| claimed > frames), "{claimed:?} and {frames}");
}

#[test]
fn a_truncated_matroska_file() {
    let workshop = Workshop::new();
    workshop.cut("mouse-arena", 24, &format!("{SMALL} {X264}"), "whole.mkv");
    workshop.truncate("whole.mkv", 0.6, "cut.mkv");
    let frames = decodable_frames(&workshop.path("cut.mkv"));
    segment_flawed(&workshop, "cut.mkv", &POINT).warns(&["cut.mkv", "frames are missing"]);
    assert_eq!(workshop.masks().pages.len(), frames);
    assert!((5..20).contains(&frames), "{frames}");
}

#[test]
fn a_header_that_promises_more_than_is_there_is_reported() {
    let workshop = Workshop::new();
    let arguments = format!("{SMALL} {X264} -movflags +faststart");
    workshop.cut("mouse-arena", 24, &arguments, "whole.mp4");
    workshop.truncate("whole.mp4", 0.6, "cut.mp4");
    let file = workshop.path("cut.mp4");
    let expected = decodable_frames(&file);
    assert!(claimed_frames(&file) == Some(24) && expected < 20, "{expected}");
    let outcome = segment_flawed(&workshop, "cut.mp4", &POINT);
    assert_eq!(workshop.masks().pages.len(), expected);
    outcome.warns(&["cut.mp4", "truncated", "24"]);
}

#[test]
fn a_header_that_promises_less_than_is_there() {
    let workshop = Workshop::new();
    let arguments = "-vf scale=160:120 -c:v mjpeg -pix_fmt yuvj420p";
    workshop.cut("mouse-arena", 7, arguments, "true.avi");
    let mut bytes = workshop.read("true.avi");
    // The fields of the AVI headers that hold the number of frames: dwTotalFrames, and the stream's
    // dwLength.
    for (header, offset) in [(b"avih", 24), (b"strh", 40)] {
        let at = bytes.windows(4).position(|window| window == header).unwrap() + offset;
        bytes[at..at + 4].copy_from_slice(&3_u32.to_le_bytes());
    }
    workshop.write("lie.avi", bytes);
    assert_eq!(claimed_frames(&workshop.path("lie.avi")), Some(3));
    assert_eq!(pages_are_frames(&workshop, "lie.avi"), 7);
}

#[test]
fn a_variable_frame_rate() {
    let workshop = Workshop::new();
    let arguments = format!("-vf select='mod(n,3)',scale=160:120 -vsync vfr {X264}");
    workshop.cut("mouse-arena", 8, &arguments, "variable.mp4");
    assert_eq!(pages_are_frames(&workshop, "variable.mp4"), 8);
}

#[test]
fn a_damaged_frame_found_on_the_way_with_a_prompt_at_the_start() {
    let workshop = damaged(5);
    let outcome = segment_flawed(&workshop, "damaged.mov", &POINT);
    assert_eq!(workshop.masks().pages.len(), 11);
    outcome.warns(&["damaged.mov", "11", "12"]);
}

#[test]
fn a_damaged_frame_found_on_the_way_with_a_prompt_behind_it() {
    let workshop = damaged(5);
    let outcome = segment_flawed(&workshop, "damaged.mov", &["--point", "8:102,33"]);
    assert_eq!(workshop.masks().pages.len(), 11);
    outcome.warns(&["damaged.mov", "11", "12"]);
}

#[test]
fn a_damaged_last_frame() {
    let workshop = damaged(11);
    segment_flawed(&workshop, "damaged.mov", &POINT);
    assert_eq!(workshop.masks().pages.len(), 11);
}

#[test]
fn a_damaged_frame_found_on_the_way_in_batches() {
    let workshop = damaged(5);
    workshop.write("track.csv", scaled_track(0, 12, 160.0 / 384.0));
    let batches = ["--keypoints", "track.csv", "--batch-size", "4", "--allow-row-mismatch"];
    segment_flawed(&workshop, "damaged.mov", &batches);
    assert_eq!(workshop.masks().pages.len(), 11);
}

#[test]
fn a_track_with_as_many_rows_as_a_damaged_recording_has_true_frames() {
    let workshop = damaged(5);
    workshop.write("track.csv", scaled_track(0, 11, 160.0 / 384.0));
    segment_flawed(&workshop, "damaged.mov", &["--keypoints", "track.csv", "--batch-size", "4"]);
    assert_eq!(workshop.masks().pages.len(), 11);
}

#[test]
fn a_damaged_recording_with_a_track_of_the_claimed_length_is_refused_with_both_counts() {
    let workshop = damaged(5);
    workshop.write("track.csv", scaled_track(0, 12, 160.0 / 384.0));
    let arguments = ["--keypoints", "track.csv", "--batch-size", "4"];
    let told = ["track.csv", "12 rows", "11 frames", "--allow-row-mismatch"];
    workshop.refuses("damaged.mov", &arguments, &told);
}
