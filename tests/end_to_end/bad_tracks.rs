//! Invalid keypoint files.

use crate::support::{Workshop, track};

/// Three frames and their track; `refuses` takes a modified track.
struct Tracked {
    workshop: Workshop,
    text: String,
}

impl Tracked {
    fn new() -> Self {
        let workshop = Workshop::new();
        workshop.mouse(3, "mouse.mkv").mouse_track(0, 3, "good.csv");
        let text = String::from_utf8(workshop.read("good.csv")).unwrap();
        Self { workshop, text }
    }

    /// Checks that `track.csv` with these contents is refused with a message that names the file
    /// and contains these parts.
    fn refuses(&self, contents: impl AsRef<[u8]>, told: &[&str]) {
        self.workshop.write("track.csv", contents);
        let told = [&["track.csv"], told].concat();
        self.workshop.refuses("mouse.mkv", &["--keypoints", "track.csv"], &told);
    }

    /// Checks that `track.csv` with these contents gives the same masks as the good one.
    fn is_as_good(&self, contents: impl AsRef<[u8]>) {
        self.workshop.write("track.csv", contents);
        let mut pages = ["good.csv", "track.csv"].map(|track| {
            self.workshop.segment("mouse.mkv", &["--keypoints", track, "--overwrite"]);
            self.workshop.masks().pages
        });
        assert_eq!(std::mem::take(&mut pages[0]), pages[1]);
    }
}

#[test]
fn a_track_that_is_not_there() {
    let workshop = Workshop::new();
    workshop.mouse(1, "mouse.mkv");
    workshop.refuses("mouse.mkv", &["--keypoints", "missing.csv"], &["missing.csv"]);
}

#[test]
fn a_track_that_is_a_folder() {
    let workshop = Workshop::new();
    workshop.mouse(1, "mouse.mkv").folder("tracks");
    workshop.refuses("mouse.mkv", &["--keypoints", "tracks"], &["tracks"]);
}

#[test]
fn an_empty_track() {
    Tracked::new().refuses("", &["header"]);
}

#[test]
fn a_track_of_blank_lines() {
    Tracked::new().refuses("\n\n\n", &[]);
}

#[test]
fn a_track_with_a_header_and_no_rows() {
    Tracked::new().refuses(track(&["body"], &[]), &["no rows"]);
}

#[test]
fn a_track_without_its_header() {
    let tracked = Tracked::new();
    let rows: Vec<&str> = tracked.text.lines().skip(3).collect();
    tracked.refuses(rows.join("\n"), &["line 1", "header"]);
}

#[test]
fn a_table_of_another_kind() {
    Tracked::new().refuses("frame,area\n0,12\n1,13\n2,14\n", &["line 1", "header"]);
}

#[test]
fn a_track_with_a_word_for_a_number() {
    let tracked = Tracked::new();
    let lines: Vec<String> = tracked.text.lines().map(str::to_owned).collect();
    let text = format!("{}\n1,oops,2,1,1,1,1,1,1,1\n{}\n", lines[..4].join("\n"), lines[5]);
    tracked.refuses(text, &["line 5", "oops", "snout"]);
}

#[test]
fn a_track_with_bytes_that_are_no_text_for_a_number() {
    let tracked = Tracked::new();
    let mut bytes = tracked.text.clone().into_bytes();
    let at = bytes.iter().rposition(|&byte| byte == b'.').unwrap();
    bytes[at] = 0xff;
    tracked.refuses(bytes, &["line 6"]);
}

#[test]
fn a_track_with_a_frame_twice() {
    let tracked = Tracked::new();
    let text = tracked.text.replace("\n2,", "\n1,");
    tracked.refuses(text, &["line 6", "frame 1", "twice"]);
}

#[test]
fn a_track_separated_by_semicolons() {
    let tracked = Tracked::new();
    // As saved by Excel where a comma is the decimal separator.
    tracked.is_as_good(tracked.text.replace(',', ";").replace('.', ","));
}

#[test]
fn a_track_in_utf_16() {
    let tracked = Tracked::new();
    let text = format!("\u{feff}{}", tracked.text);
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    tracked.is_as_good(bytes);
}

#[test]
fn a_track_of_random_bytes() {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(5000)
    .collect();
    Tracked::new().refuses(noise, &[]);
}

#[test]
fn a_video_given_as_track() {
    let tracked = Tracked::new();
    tracked.refuses(tracked.workshop.read("mouse.mkv"), &[]);
}

#[test]
fn a_header_cell_with_a_line_break() {
    Tracked::new().refuses("\"two\nlines\",1,2\n", &["line 1"]);
}

#[test]
fn an_unknown_body_part_lists_those_there_are() {
    let tracked = Tracked::new();
    let arguments = ["--keypoints", "good.csv", "--bodyparts", "snout,nose"];
    let told = ["good.csv", "'nose'", "snout, body, tailbase"];
    tracked.workshop.refuses("mouse.mkv", &arguments, &told);
}

#[test]
fn points_outside_the_frame_name_the_track() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    workshop.write("track.csv", track(&["body"], &["1,1,0.1", "250,40,0.9", "1,1,0.1"]));
    let told = ["body", "250", "frame 1", "192x144", "track.csv", "--downsample-factor"];
    workshop.refuses("mouse.mkv", &["--keypoints", "track.csv"], &told);
}

#[test]
fn a_downsample_factor_that_leads_out_of_the_frame() {
    let tracked = Tracked::new();
    let arguments = ["--keypoints", "good.csv", "--downsample-factor", "20"];
    let told = ["192x144", "good.csv", "--downsample-factor"];
    tracked.workshop.refuses("mouse.mkv", &arguments, &told);
}

#[test]
fn coordinates_that_are_shares_of_the_picture() {
    let rows = ["0.63,0.28,0.9", "0.64,0.29,0.9", "0.65,0.29,0.9"];
    Tracked::new().refuses(track(&["body"], &rows), &["between 0 and 1", "not pixels"]);
    let table = "frame,object,x,y\n0,1,0.63,0.28\n1,1,0.64,0.29\n";
    Tracked::new().refuses(table, &["between 0 and 1", "multiply"]);
}

#[test]
fn tables_of_boxes_and_of_trex_are_not_tables_of_points() {
    Tracked::new().refuses("frame,id,x,y,w,h\n0,1,100,20,40,40\n", &["a table of boxes"]);
    let trex = "frame,X,Y,X#wcentroid,Y#wcentroid,SPEED\n0,1,2,122,40,0\n";
    Tracked::new().refuses(trex, &["TRex", "X#wcentroid"]);
}

#[test]
fn tables_of_mot_and_simba_are_refused_by_name() {
    let tracked = Tracked::new();
    for table in [
        "1,1,100,20,40,40,1,-1,-1,-1\n",
        "1,-1,100,20,40,40,0.9,-1,-1,-1\n",
        "1,1,100,20,40,40,1,1,0.5\n",
        "frame,id,bb_left,bb_top,bb_width,bb_height,conf,x,y,z\n1,1,100,20,40,40,1,-1,-1,-1\n",
    ] {
        tracked.refuses(table, &["a table of MOT", "count from 1"]);
    }
    tracked.refuses(",Nose_1_x,Nose_1_y,Nose_1_p\n0,122,40,1\n", &["a table of SimBA"]);
}

#[test]
fn columns_of_two_scorers() {
    let text = "scorer,ann,ann,bob,bob\nbodyparts,nose,nose,nose,nose\ncoords,x,y,x,y\n0,1,2,3,4\n";
    Tracked::new().refuses(text, &["several scorers ('ann' and 'bob')", "columns of one"]);
}

#[test]
fn a_row_after_the_end_is_named() {
    let table = "frame,object,x,y\n0,1,122,40\n7,1,122,40\n";
    let told = ["2 rows, the last of which is on frame 7", "has 3 frames", "--allow-row-mismatch"];
    Tracked::new().refuses(table, &told);
}

#[test]
fn individuals_that_are_separated_by_spaces() {
    let tracked = Tracked::new();
    let words = ["segment", "--keypoints", "good.csv", "--individual", "ann", "bob", "mouse.mkv"];
    let words = [&words[..], &["-o", "masks.btf"]].concat();
    let told = ["no recording 'bob'", "--individual ann,bob"];
    tracked.workshop.refused(1, &words, &told);
    let blank = ["segment", "mouse.mkv", "--keypoints", "good.csv", "--individual", ""];
    let blank = [&blank[..], &["-o", "masks.btf"]].concat();
    tracked.workshop.refused(2, &blank, &["--individual is empty"]);
}

#[test]
fn frames_counted_from_one() {
    let table = "frame,object,x,y\n1,1,122,40\n2,1,122,40\n3,1,122,40\n";
    Tracked::new().refuses(table, &["numbered from 1 to 3", "count from 0", "-first-frame -1"]);
}

#[test]
fn a_likelihood_of_nothing_is_not_the_best_there_is() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    workshop.write("zero.csv", track(&["body"], &["0,0,0", "0,0,0", "0,0,0"]));
    let all = ["segment", "mouse.mkv", "-o", "m.btf", "--keypoints", "zero.csv"];
    let outcome = workshop.sam2(&all).ended(3);
    outcome.warns(&["frames 0 to 2", "no usable prompt"]);
    assert_eq!(workshop.stack("m.btf").areas(), [0; 3]);
}
