//! `--resume` with existing outputs: they count as finished only if this very job made them.

use crate::support::{ON_THE_MOUSE, Workshop, track};

const CLICK: [&str; 4] = ["-o", "masks.btf", "--point", ON_THE_MOUSE];

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    workshop
}

fn command<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    [&["segment", "mouse.mkv"], &parts.concat()[..], &["--resume"]].concat()
}

#[test]
fn outputs_of_another_job_are_refused_with_what_differs() {
    let workshop = workshop();
    workshop.sam2(&command(&[&CLICK])).succeeded();
    let outcome = workshop.sam2(&command(&[&CLICK])).succeeded();
    assert!(outcome.stderr.contains("there already"), "{}", outcome.stderr);
    let refused = |how: &[&'static str], told: &str| {
        workshop.refused(1, &command(&[how]), &["'masks.btf'", told, "--overwrite"]);
    };
    refused(
        &["-o", "masks.btf", "--point", "0:100,40"],
        "point 1 of object 1 on frame 0 was 122,40 and is now 100,40 (--point: 0:100,40:1 instead of 0:122,40:1)",
    );
    refused(
        &[&CLICK[..], &["--box", "2:10,10,50,50"]].concat(),
        "the box of object 1 on frame 2 was none and is now 10,10,50,50 (1 boxes in all instead of 0; --box: 2:10,10,50,50:1 instead",
    );
    refused(&[&CLICK[..], &["--fill-holes", "0"]].concat(), "fill hole area was 8 and is now 0");
    refused(&[&CLICK[..], &["--image-size", "320"]].concat(), "image size was 256 and is now 320");
    refused(&[&CLICK[..], &["--frames", "0..4", "--batch-size", "2"]].concat(), "batches was");
    // Options that do not affect masks may differ.
    let same = workshop.sam2(&command(&[&CLICK, &["--cache-frames", "9"]])).succeeded();
    assert!(same.stderr.contains("there already"), "{}", same.stderr);
    // With --overwrite, the job starts afresh.
    let other = command(&[&["-o", "masks.btf", "--point", "0:100,40", "--overwrite"]]);
    let outcome = workshop.sam2(&other).succeeded();
    assert!(!outcome.stderr.contains("there already"), "{}", outcome.stderr);
}

#[test]
fn other_prompts_in_the_same_file_are_told_with_object_and_frame() {
    let workshop = workshop();
    let document = |x: u32| format!("frame,object,x,y,label\n0,1,122,40,1\n2,2,{x},41,1\n");
    workshop.write("clicks.csv", document(120));
    let how = ["-o", "masks.btf", "--prompts", "clicks.csv"];
    workshop.sam2(&command(&[&how])).succeeded();
    workshop.write("clicks.csv", document(121));
    let told = "point 1 of object 2 on frame 2 was 120,41 and is now 121,41 (the options are the same, so 'clicks.csv' has changed)";
    workshop.refused(1, &command(&[&how]), &["'masks.btf'", told, "--overwrite"]);
    workshop.write("clicks.csv", document(120) + "2,2,9,9,0\n");
    let told = "point 2 of object 2 on frame 2 was none and is now 9,9 (negative) (3 points in all instead of 2; ";
    workshop.refused(1, &command(&[&how]), &["'masks.btf'", told, "'clicks.csv' has changed"]);
}

#[test]
fn another_recording_of_the_same_name_is_noticed() {
    let workshop = workshop();
    workshop.sam2(&command(&[&CLICK])).succeeded();
    // The same number of frames, size and rate.
    workshop.cut("mouse-arena", 4, "-vf scale=192:144,hflip -c:v ffv1 -g 1", "mouse.mkv");
    workshop.refused(1, &command(&[&CLICK]), &["content of the recording", "'masks.btf'"]);
    let folder = Workshop::new();
    folder.folder("frames");
    folder.cut("mouse-arena", 3, "-vf scale=192:144 -start_number 0", "frames/%03d.png");
    let all = ["segment", "frames", "-o", "m.btf", "--point", ON_THE_MOUSE, "--resume"];
    folder.sam2(&all).succeeded();
    folder.cut("mouse-arena", 3, "-vf scale=192:144,vflip -start_number 0", "frames/%03d.png");
    folder.refused(1, &all, &["content of the recording"]);
}

#[test]
fn outputs_of_which_nothing_is_known_are_not_taken_for_done() {
    let workshop = workshop();
    workshop.sam2(&command(&[&CLICK])).succeeded();
    let page = workshop.read("masks.btf");
    // Changed after it was written.
    workshop.write("masks.btf", &page[..page.len() - 1]);
    workshop.refused(1, &command(&[&CLICK]), &["not what the job wrote", "bytes"]);
    workshop.write("masks.btf", &page);
    workshop.sam2(&command(&[&CLICK])).succeeded();
    // An unrelated file of the same name.
    workshop.write("masks.csv", "frame,area\n");
    let two = command(&[&CLICK, &["-o", "masks.csv"]]);
    workshop.refused(1, &two, &["'masks.csv' exists", "--overwrite"]);
    // From elsewhere, or from an older version.
    std::fs::remove_file(workshop.path(".masks.btf.sam2job")).unwrap();
    workshop.refused(1, &command(&[&CLICK]), &["'masks.btf' exists", "how it was made"]);
}

#[test]
fn what_ended_with_3_ends_with_3_again() {
    let workshop = workshop();
    let rows = ["122,40,0.9", ",,", ",,", ",,"].map(|row| row.to_owned());
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    workshop.write("track.csv", track(&["body"], &rows));
    let how = ["-o", "masks.btf", "--keypoints", "track.csv", "--batch-size", "2"];
    workshop.sam2(&command(&[&how])).ended(3);
    let outcome = workshop.sam2(&command(&[&how])).ended(3);
    assert!(outcome.stderr.contains("there already"), "{}", outcome.stderr);
}

#[test]
fn outputs_that_were_deleted_or_are_new_are_made_and_the_others_stay() {
    let workshop = workshop();
    let two = command(&[&CLICK, &["-o", "masks.csv"]]);
    workshop.sam2(&two).succeeded();
    let (stack, table) = (workshop.read("masks.btf"), workshop.read("masks.csv"));
    std::fs::remove_file(workshop.path("masks.csv")).unwrap();
    let modified = || std::fs::metadata(workshop.path("masks.btf")).unwrap().modified().unwrap();
    let before = modified();
    let outcome = workshop.sam2(&two).succeeded();
    assert!(outcome.stderr.contains("'masks.btf' of the same job is there"), "{}", outcome.stderr);
    assert!(workshop.read("masks.csv") == table);
    let three = command(&[&CLICK, &["-o", "masks.csv", "-o", "masks.json"]]);
    workshop.sam2(&three).succeeded();
    assert!(modified() == before && workshop.read("masks.btf") == stack);
    let outcome = workshop.sam2(&three).succeeded();
    assert!(outcome.stderr.contains("there already"), "{}", outcome.stderr);
}

#[test]
fn how_outputs_are_written_counts_too() {
    let workshop = workshop();
    workshop.sam2(&command(&[&CLICK])).succeeded();
    let with = |option: &[&'static str]| command(&[&CLICK, option]);
    workshop.refused(1, &with(&["--ids"]), &["--ids was false and is now true", "masks.btf"]);
    let none = with(&["--compression", "none"]);
    workshop.refused(1, &none, &["--compression was deflate and is now none", "masks.btf"]);
}
