//! Several recordings in one call, and job files.

use crate::support::{Workshop, scaled_track, track};

/// Makes a folder with three short recordings and their tracks.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.folder("day1");
    for (name, frames) in [("a", 3), ("b", 4), ("c", 5)] {
        workshop.mouse(frames, &format!("day1/{name}.mkv"));
        workshop.write(&format!("day1/{name}DLC_net.csv"), scaled_track(0, frames, 0.5));
    }
    workshop
}

const TEMPLATES: [&str; 4] = ["-o", "{stem}.btf", "--keypoints", "{folder}/{stem}DLC*.csv"];

#[test]
fn many_recordings_are_segmented_with_one_model_and_one_summary() {
    let workshop = workshop();
    let all = [&["segment", "day1/*.mkv"], &TEMPLATES[..]].concat();
    let outcome = workshop.sam2(&all).succeeded();
    for (name, frames) in [("a", 3), ("b", 4), ("c", 5)] {
        assert_eq!(workshop.stack(&format!("{name}.btf")).pages.len(), frames);
        let line = format!("day1/{name}.mkv: {frames} frames, ");
        assert!(outcome.stderr.contains(&line), "{}", outcome.stderr);
    }
    let loads =
        outcome.stderr.lines().filter(|line| line.contains(" on CPU") || line.contains("micro"));
    assert_eq!(loads.filter(|line| line.contains("INFO")).count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("summary of 3 recordings"), "{}", outcome.stderr);
    // The same result as for the recording alone.
    let alone = ["--keypoints", "day1/bDLC_net.csv"];
    workshop.segment_to("alone.btf", "day1/b.mkv", &alone);
    assert!(workshop.read("alone.btf") == workshop.read("b.btf"));
}

#[test]
fn one_bad_recording_does_not_stop_the_others() {
    let workshop = workshop();
    workshop.write("day1/b.mkv", "no video");
    let all = [&["segment", "day1/a.mkv", "day1/b.mkv", "day1/c.mkv"], &TEMPLATES[..]].concat();
    let outcome = workshop.sam2(&all);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    assert!(workshop.path("a.btf").exists() && workshop.path("c.btf").exists());
    assert!(!workshop.path("b.btf").exists());
    assert!(outcome.stderr.contains("day1/b.mkv: failed: "), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("day1/b.mkv: day1/b.mkv"), "{}", outcome.stderr);
    // The retry does only what is left.
    workshop.mouse(4, "day1/b.mkv");
    let outcome = workshop.sam2(&[&all[..], &["--resume"]].concat()).succeeded();
    assert_eq!(outcome.stderr.matches("there already").count(), 2, "{}", outcome.stderr);
    assert_eq!(workshop.stack("b.btf").pages.len(), 4);
}

#[test]
fn when_all_fail_or_one_is_flawed_the_code_says_so() {
    let workshop = workshop();
    let all = ["segment", "x.mkv", "y.mkv", "-o", "{stem}.btf", "--point", "0:1,1"];
    assert_eq!(workshop.sam2(&all).code, Some(1));
    let rows = vec![",,"; 4];
    workshop.write("day1/bDLC_net.csv", track(&["body"], &rows));
    let all = [&["segment", "day1/a.mkv", "day1/b.mkv"], &TEMPLATES[..]].concat();
    assert_eq!(workshop.sam2(&all).code, Some(3));
}

#[test]
fn what_is_ambiguous_is_refused() {
    let workshop = workshop();
    let with = |more: &[&'static str]| [&["segment", "day1/a.mkv", "day1/b.mkv"], more].concat();
    let one = with(&["-o", "masks.btf", "--point", "0:122,40"]);
    workshop.refused(1, &one, &["masks.btf", "day1/a.mkv", "day1/b.mkv", "{stem}"]);
    workshop.write("day1/aDLC_other.csv", "");
    let tracks = with(&TEMPLATES);
    // Only that recording fails.
    let outcome = workshop.sam2(&tracks);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    for told in ["error: day1/a.mkv: 2 tracks match", "aDLC_other.csv", "day1/b.mkv: 4 frames"] {
        assert!(outcome.stderr.contains(told), "'{told}' is missing in {}", outcome.stderr);
    }
    assert!(!workshop.path("a.btf").exists() && workshop.path("b.btf").exists());
    let none = ["segment", "day2/*.mkv", "-o", "{stem}.btf", "--point", "0:1,1"];
    workshop.refused(1, &none, &["nothing matches 'day2/*.mkv'"]);
}

#[test]
fn a_job_file_has_defaults_and_recordings_of_its_own() {
    let workshop = workshop();
    workshop.write(
        "job.toml",
        r#"
        [defaults]
        output = ["{stem}.btf"]
        keypoints = "{folder}/{stem}DLC_net.csv"
        batch-size = 2

        [[recording]]
        path = "day1/a.mkv"

        [[recording]]
        path = "day1/c.mkv"
        batch-size = 5
        output = ["c.btf", "c.png"]
        "#,
    );
    let outcome = workshop.sam2(&["segment", "--job", "job.toml"]).succeeded();
    assert!(outcome.stderr.contains("batch 1 of 2: frames 0 to 1"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("batch 1 of 1: frames 0 to 4"), "{}", outcome.stderr);
    assert_eq!(workshop.stack("a.btf").pages.len(), 3);
    assert!(workshop.path("c.png").exists());
    // A job file named by the environment applies only to calls without recordings.
    let named = ["segment", "day1/b.mkv", "-o", "b.btf", "--point", "0:122,40"];
    workshop.sam2_where(&[("SAM2_JOB", "job.toml")], &named).succeeded();
    assert_eq!(workshop.stack("b.btf").pages.len(), 4);
    // Typed options apply to all recordings.
    let again = ["segment", "--job", "job.toml", "--overwrite", "--batch-size", "1"];
    let outcome = workshop.sam2(&again).succeeded();
    assert!(outcome.stderr.contains("batch 1 of 3") && outcome.stderr.contains("batch 1 of 5"));
}

#[test]
fn a_wrong_job_file_is_a_wrong_command_line() {
    let workshop = workshop();
    for (text, told) in [
        ("[[recording]]\npath = 'day1/a.mkv'\nkepoints = 'x'", "unknown option 'kepoints'"),
        ("[[recording]", "line 1"),
        ("jobs = 3", "no recordings"),
    ] {
        workshop.write("job.toml", text);
        let outcome = workshop.sam2(&["segment", "--job", "job.toml"]).failed(2);
        assert!(outcome.error().contains(told), "{}", outcome.error());
        assert!(outcome.error().contains("job.toml"), "{}", outcome.error());
    }
    workshop.sam2(&["segment", "--job", "missing.toml"]).failed(2);
    workshop.sam2(&["segment", "a.mkv", "--job", "job.toml"]).failed(2);
    workshop.sam2(&["segment"]).failed(2);
}

#[test]
fn an_interrupt_stops_all_and_resuming_ends_in_the_same_files() {
    let workshop = Workshop::new();
    workshop.mouse(3, "a.mkv").mouse(60, "b.mkv").mouse(3, "c.mkv");
    let all =
        ["b.mkv", "c.mkv", "-o", "{stem}.btf", "--point", "0:122,40", "--checkpoint-frames", "5"];
    let mut running = workshop.start_bare(&[&["segment", "a.mkv"], &all[..]].concat());
    running.wait_until(|| workshop.frame_bytes("b.btf.sam2run.part") > 1_000);
    let outcome = running.stop("TERM");
    assert_eq!(outcome.code, Some(143), "{}", outcome.stderr);
    for part in ["b.mkv: stopped after", "1 more recordings were not begun", "--resume"] {
        assert!(outcome.stderr.contains(part), "'{part}' is missing in {}", outcome.stderr);
    }
    assert!(workshop.path("a.btf").exists() && !workshop.path("b.btf").exists());
    workshop.sam2(&[&["segment", "a.mkv"], &all[..], &["--resume"]].concat()).succeeded();
    for name in ["a", "b", "c"] {
        let recording = format!("{name}.mkv");
        workshop.segment_to("alone.btf", &recording, &["--point", "0:122,40", "--overwrite"]);
        assert!(workshop.read("alone.btf") == workshop.read(&format!("{name}.btf")), "{name}");
    }
}

#[test]
fn one_track_for_several_recordings_is_said() {
    let workshop = workshop();
    let all = ["segment", "day1/a.mkv", "day1/b.mkv", "-o", "{stem}.btf", "--allow-row-mismatch"];
    let outcome = workshop.sam2(&[&all[..], &["--keypoints", "day1/aDLC_net.csv"]].concat());
    outcome.warns(&["aDLC_net.csv", "the track of 2 recordings", "{stem}"]);
    outcome.warns(&["by its name the track of 'a'", "b.mkv"]);
}
