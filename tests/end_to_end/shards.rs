//! Parts of a recording, and merging them: the result has the bytes of a single process, or is
//! refused.

use crate::support::{Workshop, scaled_track};

const TRACK: [&str; 4] = ["--keypoints", "track.csv", "--batch-size", "2"];

/// Makes twelve frames in six batches.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(12, "mouse.mkv");
    workshop.write("track.csv", scaled_track(0, 12, 0.5));
    workshop
}

fn part(workshop: &Workshop, frames: &str, name: &str) {
    let arguments = [&TRACK[..], &["--frames", frames]].concat();
    workshop.segment_to(name, "mouse.mkv", &arguments);
}

#[test]
fn six_parts_make_the_whole_byte_for_byte() {
    let workshop = workshop();
    let all = ["-o", "whole.sam2run", "--contact-sheet", "whole.png"];
    workshop.segment_to("whole.btf", "mouse.mkv", &[&TRACK[..], &all].concat());
    let mut merge = vec!["merge".to_owned()];
    for start in [4, 0, 10, 2, 8, 6] {
        let (name, end) = (format!("{start}.sam2run"), start + 2);
        // The last part has no end.
        let frames = if end == 12 { format!("{start}..") } else { format!("{start}..{end}") };
        part(&workshop, &frames, &name);
        merge.push(name);
    }
    merge.extend(["-o", "m.btf", "-o", "m.sam2run", "-o", "m.png"].map(str::to_owned));
    merge.extend(["--recording", "mouse.mkv"].map(str::to_owned));
    let merge: Vec<&str> = merge.iter().map(String::as_str).collect();
    workshop.sam2(&merge).succeeded();
    for ending in ["btf", "sam2run", "png"] {
        let (one, other) = (format!("whole.{ending}"), format!("m.{ending}"));
        assert!(workshop.read(&one) == workshop.read(&other), "{other} differs");
    }
}

#[test]
fn a_parts_stack_holds_its_frames_only() {
    let workshop = workshop();
    workshop.segment_to("whole.btf", "mouse.mkv", &TRACK);
    part(&workshop, "4..8", "part.btf");
    assert!(workshop.stack("part.btf").pages == workshop.stack("whole.btf").pages[4..8]);
}

#[test]
fn an_interrupted_part_goes_on() {
    let workshop = workshop();
    let arguments = [&TRACK[..], &["--frames", "4..12", "--resume"]].concat();
    let mut running = workshop.start("mouse.mkv", &arguments);
    running.wait_until(|| workshop.frame_bytes("masks.btf.sam2run.part") > 1_000);
    running.stop("KILL");
    workshop.segment("mouse.mkv", &arguments);
    workshop.segment_to("whole.btf", "mouse.mkv", &TRACK);
    assert!(workshop.masks().pages == workshop.stack("whole.btf").pages[4..]);
}

#[test]
fn parts_that_are_no_whole_batches_are_refused_with_the_borders() {
    let workshop = workshop();
    let with = |more: &[&'static str]| {
        [&["segment", "mouse.mkv", "-o", "p.sam2run"], &TRACK[..], more].concat()
    };
    let refused = |more: &[&'static str], told: &[&str]| {
        workshop.refused(1, &with(more), told);
    };
    refused(&["--frames", "3..8"], &["frame 3", "use 2 or 4", "--frames"]);
    refused(&["--frames", "2..7"], &["frame 7", "use 6 or 8"]);
    refused(&["--frames", "8..14"], &["12 frames"]);
    refused(&["--frames", "12.."], &["12 frames"]);
    refused(&["--frames", "4..8", "--carry-over"], &["begins at frame 4", "--carry-over"]);
    workshop.refused(2, &with(&["--frames", "8..4"]), &["expected A..B"]);
    let click = ["segment", "mouse.mkv", "-o", "p.btf", "--point", "0:122,40", "--frames", "2..4"];
    workshop.refused(1, &click, &["use 0 or 12"]);
}

#[test]
fn gaps_overlaps_and_parts_of_other_jobs_are_refused() {
    let workshop = workshop();
    for (frames, name) in [("0..4", "a"), ("4..8", "b"), ("8..12", "c"), ("2..6", "over")] {
        part(&workshop, frames, &format!("{name}.sam2run"));
    }
    workshop.segment_to(
        "other.sam2run",
        "mouse.mkv",
        &[&TRACK[..], &["--frames", "8..12", "--fill-holes", "0"]].concat(),
    );
    workshop.cut("mouse-arena", 12, "-vf scale=96:72 -c:v ffv1 -g 1", "small.mkv");
    let small = ["--point", "0:61,20", "--frames", "0..12"];
    workshop.segment_to("small.sam2run", "small.mkv", &small);
    let bytes = workshop.read("b.sam2run");
    workshop.write("torn.sam2run", &bytes[..bytes.len() - 30]);
    workshop.write("endless.sam2run", &bytes[..bytes.len() - 2]);
    let mut bad = bytes.clone();
    bad[bytes.len() - 60] ^= 1;
    workshop.write("bad.sam2run", bad);
    let cases: [(&[&str], &[&str]); 10] = [
        (&["a", "c"], &["frames 4 to 7 are in no part"]),
        (&["b", "c"], &["frames 0 to 3 are in no part"]),
        (&["a", "b"], &["frames 8 to 11 are in no part"]),
        (&["a", "over", "b", "c"], &["frames 2 to 3", "a.sam2run", "over.sam2run"]),
        (&["a", "b", "b", "c"], &["frames 4 to 7", "b.sam2run"]),
        (&["a", "b", "other"], &["other.sam2run", "fill hole area is 0, not 8"]),
        (&["a", "b", "small"], &["small.sam2run"]),
        (&["a", "torn", "c"], &["torn.sam2run", "4 frames", "--resume"]),
        (&["a", "endless", "c"], &["all 4 frames but lacks its end", "copy it again", "--resume"]),
        (&["a", "bad", "c"], &["bad.sam2run", "damaged"]),
    ];
    for (parts, told) in cases {
        let names: Vec<String> = parts.iter().map(|name| format!("{name}.sam2run")).collect();
        let mut all = vec!["merge"];
        all.extend(names.iter().map(String::as_str));
        all.extend(["-o", "m.btf"]);
        workshop.refused(1, &all, told);
    }
    workshop.refused(1, &["merge", "mouse.mkv", "-o", "m.btf"], &["not a run file"]);
    let picture = ["merge", "a.sam2run", "b.sam2run", "c.sam2run", "-o", "m.png"];
    workshop.refused(1, &picture, &["--recording"]);
    for (other, told) in [("small.mkv", "96x72"), ("short.mkv", "11 frames")] {
        workshop.mouse(11, "short.mkv");
        let command = [&picture[..], &["--recording", other]].concat();
        workshop.refused(
            1,
            &command,
            &[other, told, "not the recording of the parts", "mouse.mkv"],
        );
    }
    let logits = ["merge", "a.sam2run", "b.sam2run", "c.sam2run", "-o", "m.npy"];
    workshop.refused(1, &logits, &["m.npy", "logits", "segment again"]);
}

#[test]
fn identity_survives_the_borders_of_batches_when_masks_are_carried_over() {
    let workshop = workshop();
    // The second batch has no track, so it is empty unless masks are carried over.
    let rows: Vec<&str> = vec!["122,40,0.9"; 2];
    let rest = vec![",,"; 10];
    let csv = crate::support::track(&["body"], &[rows, rest].concat());
    workshop.write("two.csv", csv);
    let with = |more: &[&'static str], output| {
        let all =
            ["segment", "mouse.mkv", "-o", output, "--keypoints", "two.csv", "--batch-size", "2"];
        workshop.sam2(&[&all[..], more].concat())
    };
    with(&[], "without.btf").ended(3);
    with(&["--carry-over"], "with.btf").succeeded();
    let (without, with) =
        (workshop.stack("without.btf").areas(), workshop.stack("with.btf").areas());
    assert!(without[2..].iter().all(|&area| area == 0), "{without:?}");
    assert!(with.iter().all(|&area| area > 0), "{with:?}");
    assert_eq!(with[..2], without[..2]);
}

#[test]
fn parts_and_journals_of_other_kernels_are_mixed_only_when_asked() {
    let workshop = workshop();
    let plain = [("SAM2_CPU_TIER", "generic")];
    let of = |frames: &'static str, name: &'static str, more: &[&'static str]| {
        let all = ["segment", "mouse.mkv", "-o", name, "--frames", frames];
        [&all[..], &TRACK, more].concat()
    };
    workshop.sam2_where(&plain, &of("0..6", "a.sam2run", &[])).succeeded();
    workshop.sam2(&of("6..12", "b.sam2run", &[])).succeeded();
    let merge = ["merge", "a.sam2run", "b.sam2run", "-o", "m.btf"];
    workshop.refused(1, &merge, &["computed with", "generic kernels", "--mixed-processors"]);
    workshop.sam2(&[&merge[..], &["--mixed-processors"]].concat()).succeeded();
    assert_eq!(workshop.stack("m.btf").pages.len(), 12);
    // Finished outputs, and the parts made for them.
    let again = of("0..6", "a.sam2run", &["--resume"]);
    workshop.refused(1, &again, &["computed with was generic kernels", "a.sam2run"]);
    let mixed = of("0..6", "a.sam2run", &["--resume", "--mixed-processors"]);
    assert!(workshop.sam2(&mixed).succeeded().stderr.contains("there already"));
    workshop.sam2(&of("6..12", "c.sam2run", &["--mixed-processors"])).succeeded();
    workshop.sam2(&["merge", "a.sam2run", "c.sam2run", "-o", "n.btf"]).succeeded();
    assert!(workshop.read("n.btf") == workshop.read("m.btf"));
}
