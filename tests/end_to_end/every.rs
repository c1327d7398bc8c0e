//! `--every`: only some frames are computed, and every frame is written.

use crate::support::{Workshop, asset_text};

/// Returns the frames of a table whose rows have a score.
fn scored(table: &[u8]) -> (Vec<usize>, usize) {
    let text = String::from_utf8(table.to_vec()).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let of = |cells: &[&str], name: &str| {
        cells[names.iter().position(|known| *known == name).unwrap()].to_owned()
    };
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let with_score = rows.iter().filter(|cells| !of(cells, "object_score").is_empty());
    (with_score.map(|cells| of(cells, "frame").parse().unwrap()).collect(), rows.len())
}

#[test]
fn every_frame_has_a_mask_and_computed_ones_have_scores() {
    let workshop = Workshop::new();
    let clip = asset_text("clips/mouse-arena.mp4");
    let command =
        ["--point", "2:122,40", "--every", "7", "--batch-size", "30", "--point", "40:136,164"];
    let outputs = ["-o", "some.csv", "-o", "some.html", "-o", "some.sam2run"];
    let run = workshop.segment_to("some.btf", &clip, &[&command[..], &outputs].concat());
    assert!(run.stderr.contains("60 frames (14 computed) in 2 batches"), "{}", run.stderr);
    let computed = vec![0, 2, 7, 14, 21, 28, 29, 30, 37, 40, 44, 51, 58, 59];
    assert_eq!(scored(&workshop.read("some.csv")), (computed.clone(), 60));
    let areas = workshop.stack("some.btf").areas();
    assert_eq!(areas.len(), 60);
    assert!(areas.iter().all(|&area| area > 0), "{areas:?}");
    // The run file gives the same outputs again.
    workshop.sam2(&["merge", "some.sam2run", "-o", "again.csv", "-o", "again.btf"]).succeeded();
    assert!(workshop.read("again.csv") == workshop.read("some.csv"));
    assert!(workshop.read("again.btf") == workshop.read("some.btf"));
    // Nothing between: empty pages, and rows without scores.
    let none = [&command[..], &["--between", "none", "-o", "none.csv"]].concat();
    workshop.segment_to("none.btf", &clip, &none);
    assert_eq!(scored(&workshop.read("none.csv")), (computed, 60));
    let areas = workshop.stack("none.btf").areas();
    assert_eq!((areas.len(), areas.iter().filter(|&&area| area > 0).count()), (60, 14));
    // In between, masks are nearer to those of a run of every frame than the nearest ones are.
    workshop.segment_to("nearest.btf", &clip, &[&command[..], &["--between", "nearest"]].concat());
    let whole = ["--point", "2:122,40", "--batch-size", "30", "--point", "40:136,164"];
    workshop.segment_to("whole.btf", &clip, &whole);
    let score = |name: &str| -> f64 {
        let told = workshop.sam2(&["score", name, "whole.btf"]).succeeded().stdout;
        let number = told.split_whitespace().nth(2).unwrap();
        number.parse().unwrap_or_else(|_| panic!("{told}"))
    };
    let (between, nearest) = (score("some.btf"), score("nearest.btf"));
    assert!(between > nearest && between > 0.7, "{between} {nearest}");
}

#[test]
fn a_job_with_another_step_is_not_continued_and_parts_add_up() {
    let workshop = Workshop::new();
    workshop.mouse(12, "mouse.mkv");
    let command =
        ["--point", "2:122,40", "--point", "8:122,40", "--batch-size", "6", "--every", "3"];
    workshop.segment_to("whole.sam2run", "mouse.mkv", &command);
    for (frames, name) in [("0..6", "a.sam2run"), ("6..12", "b.sam2run")] {
        workshop.segment_to(name, "mouse.mkv", &[&command[..], &["--frames", frames]].concat());
    }
    workshop.sam2(&["merge", "a.sam2run", "b.sam2run", "-o", "merged.sam2run"]).succeeded();
    assert!(workshop.read("merged.sam2run") == workshop.read("whole.sam2run"));
    let other = ["segment", "mouse.mkv", "-o", "whole.sam2run", "--resume", "--batch-size", "6"];
    let other =
        [&other[..], &["--point", "2:122,40", "--point", "8:122,40", "--every", "2"]].concat();
    workshop.refused(1, &other, &["computed frames was every 3", "every 2"]);
}

#[test]
fn what_every_does_not_go_with_is_refused_before_the_work() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let command = ["segment", "mouse.mkv", "--point", "2:122,40", "--every", "2", "-o", "l.npy"];
    workshop.refused(1, &command, &["no logits", "--every"]);
    let zero = ["segment", "mouse.mkv", "--point", "2:122,40", "--every", "0", "-o", "m.btf"];
    workshop.refused(2, &zero, &["--every"]);
    let misspelt = ["--every", "2", "--between", "interpolated", "-o", "m.btf"];
    let misspelt = [&["segment", "mouse.mkv", "--point", "2:122,40"], &misspelt[..]].concat();
    workshop.refused(2, &misspelt, &["interpolate"]);
}
