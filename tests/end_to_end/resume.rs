//! Interruptions of any kind, and resuming: the outputs must be those of an uninterrupted run.

use crate::support::{Outcome, Workshop, scaled_track};

/// Sixty frames in batches of six, each prompted in its middle.
const BATCHES: [&str; 4] = ["--keypoints", "track.csv", "--batch-size", "6"];
/// One batch, tracked forward from its first frame, with a checkpoint every seven frames.
const ONE_BATCH: [&str; 4] = ["--point", "0:122,40", "--checkpoint-frames", "7"];
/// The outputs that are compared.
const OUTPUTS: [&str; 6] =
    ["-o", "masks.sam2run", "--contact-sheet", "sheet.png", "--compression", "none"];
const FILES: [&str; 3] = ["masks.btf", "masks.sam2run", "sheet.png"];
const JOURNAL: &str = "masks.btf.sam2run.part";

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(60, "mouse.mkv");
    workshop.write("track.csv", scaled_track(0, 60, 0.5));
    workshop
}

fn arguments<'a>(how: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [how, &OUTPUTS, more].concat()
}

/// Returns the outputs of an uninterrupted run.
fn expected(how: &[&str]) -> Vec<Vec<u8>> {
    let workshop = workshop();
    workshop.segment("mouse.mkv", &arguments(how, &[]));
    assert!(!workshop.path(JOURNAL).exists(), "nothing is left of the journal");
    FILES.iter().map(|name| workshop.read(name)).collect()
}

fn came_out(workshop: &Workshop, expected: &[Vec<u8>]) {
    for (name, bytes) in FILES.iter().zip(expected) {
        assert!(workshop.read(name) == *bytes, "{name} differs");
    }
    let left = workshop.names().into_iter().filter(|name| name.contains(".sam2run."));
    // Temporary files of outputs are hidden; a killed process leaves them behind.
    assert_eq!(left.filter(|name| !name.starts_with('.')).count(), 0);
}

fn resume(workshop: &Workshop, how: &[&str]) -> Outcome {
    workshop.segment("mouse.mkv", &arguments(how, &["--resume"]))
}

/// Returns the number of frames in the journal of an interrupted run.
fn resumed_frames(outcome: &Outcome) -> usize {
    let told = outcome.stderr.lines().filter_map(|line| line.split_once("frames 0 to "));
    told.filter(|(_, rest)| rest.contains("done already"))
        .map(|(_, rest)| rest.split_whitespace().next().unwrap().parse::<usize>().unwrap() + 1)
        .max()
        .unwrap_or(0)
}

#[test]
fn after_kills_at_any_moment_the_outputs_are_those_of_an_uninterrupted_run() {
    for how in [BATCHES, ONE_BATCH] {
        let expected = expected(&how);
        let workshop = workshop();
        let mut kept = 0;
        // Kill the run later each time, until one finishes.
        for attempt in 0..40 {
            let wanted = 600 * attempt;
            let mut running = workshop.start("mouse.mkv", &arguments(&how, &["--resume"]));
            running.wait_until(|| {
                std::fs::metadata(workshop.path(JOURNAL)).map_or(0, |file| file.len()) > wanted
            });
            let outcome = running.stop("KILL");
            for name in ["masks.btf", "sheet.png", "masks.sam2run"] {
                assert!(outcome.code.is_some() || !workshop.path(name).exists(), "{name}");
            }
            if outcome.code.is_some() {
                break;
            }
            kept = kept.max(journal_bytes(&workshop));
            if attempt % 4 == 3 {
                tear(&workshop);
            }
        }
        if !workshop.path("masks.btf").exists() {
            resume(&workshop, &how);
        }
        assert!(kept > 0, "some of it was taken up");
        came_out(&workshop, &expected);
    }
}

/// Returns the number of bytes of the journal after its header.
fn journal_bytes(workshop: &Workshop) -> u64 {
    workshop.frame_bytes(JOURNAL)
}

/// Truncates the end of the journal, as a crash of the whole machine would.
fn tear(workshop: &Workshop) {
    let bytes = workshop.read(JOURNAL);
    workshop.write(JOURNAL, &bytes[..bytes.len().saturating_sub(11)]);
}

#[test]
fn a_signal_says_how_to_go_on_and_going_on_computes_only_the_rest() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        for how in [BATCHES, ONE_BATCH] {
            let workshop = workshop();
            let mut running = workshop.start("mouse.mkv", &arguments(&how, &[]));
            // Some frames are on the disk.
            running.wait_until(|| journal_bytes(&workshop) > 2_500);
            let outcome = running.stop(signal).failed(code);
            let message = outcome.error();
            for part in ["stopped after", "of 60 frames", "frames are kept", "--resume`"] {
                assert!(message.contains(part), "'{part}' is missing in: {message}");
            }
            assert!(message.contains("sam2 segment mouse.mkv -o masks.btf"), "{message}");
            assert!(workshop.path(JOURNAL).exists());
            assert!(FILES.iter().all(|name| !workshop.path(name).exists()));
            let outcome = resume(&workshop, &how);
            assert!(resumed_frames(&outcome) > 0, "{}", outcome.stderr);
            came_out(&workshop, &expected(&how));
        }
    }
}

/// Makes a workshop with the journal of an interrupted run.
fn interrupted(how: &[&str]) -> Workshop {
    let workshop = workshop();
    let mut running = workshop.start("mouse.mkv", &arguments(how, &[]));
    running.wait_until(|| journal_bytes(&workshop) > 2_500);
    running.stop("INT").failed(130);
    workshop
}

#[test]
fn going_on_with_other_settings_is_refused_and_says_what_differs() {
    let workshop = interrupted(&BATCHES);
    let with = |how: &[&'static str], more: &[&'static str]| {
        [&["segment", "mouse.mkv", "-o", "masks.btf", "--resume"], how, &OUTPUTS, more].concat()
    };
    let cases: [(Vec<&str>, &str); 9] = [
        (with(&BATCHES, &["--min-likelihood", "1"]), "(no prompts are left; --min-likelihood: 1 "),
        (with(&BATCHES, &["--letterbox"]), "--letterbox was off and is now on"),
        (with(&BATCHES, &["--memory", "guarded"]), "--memory was official and is now guarded"),
        (with(&BATCHES, &["--roi", "0,0,180,140"]), "--roi was not given and is now 0,0,180,140"),
        (with(&BATCHES, &["--fill-holes", "3"]), "fill hole area was 8 and is now 3"),
        (with(&["--keypoints", "track.csv", "--batch-size", "5"], &[]), "batches was"),
        (
            with(&BATCHES, &["--min-likelihood", "0.999"]),
            "--min-likelihood: 0.999 instead of nothing",
        ),
        (with(&BATCHES, &["--image-size", "320"]), "image size was 256 and is now 320"),
        (with(&BATCHES, &["--frames", "0..30"]), "frames was 0..60 and is now 0..30"),
    ];
    for (arguments, told) in cases {
        let outcome = workshop.refused(
            1,
            &arguments,
            &["belongs to another job", told, "leave out --resume"],
        );
        // The command that was just refused must not be suggested for resuming.
        assert!(!outcome.error().contains("to go on, run"), "{}", outcome.stderr);
    }
    workshop.write("track.csv", scaled_track(0, 60, 0.4));
    let told = ["on frame", "the options are the same, so 'track.csv' has changed"];
    workshop.refused(1, &with(&BATCHES, &[]), &told);
    workshop.mouse(59, "mouse.mkv");
    workshop.write("track.csv", scaled_track(0, 59, 0.5));
    workshop.refused(1, &with(&BATCHES, &[]), &["number of frames was 60 and is now 59"]);
}

#[test]
fn a_journal_that_is_damaged_or_none_costs_time_only() {
    let expected = expected(&BATCHES);
    let workshop = interrupted(&BATCHES);
    let whole = workshop.read(JOURNAL);
    let last = whole.len() - 1;
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [Change<'_>; 5] = [
        &|bytes| bytes[last / 2] ^= 1,
        &|bytes| bytes.truncate(last / 2),
        &|bytes| bytes.truncate(9),
        &|bytes| bytes.clear(),
        &|bytes| bytes.extend([7; 5000]),
    ];
    for change in cases {
        let mut bytes = whole.clone();
        change(&mut bytes);
        workshop.write(JOURNAL, bytes);
        let more = ["--resume", "--overwrite"];
        workshop.segment("mouse.mkv", &arguments(&BATCHES, &more));
        came_out(&workshop, &expected);
    }
}

#[test]
fn without_resume_a_job_begins_anew_and_says_so() {
    let workshop = interrupted(&BATCHES);
    let outcome = workshop.segment("mouse.mkv", &arguments(&BATCHES, &[]));
    outcome.warns(&["masks.btf.sam2run.part", "--resume"]);
    assert_eq!(resumed_frames(&outcome), 0);
    came_out(&workshop, &expected(&BATCHES));
}

#[test]
fn what_is_done_is_not_done_again() {
    let workshop = workshop();
    workshop.mouse(6, "mouse.mkv").mouse_track(0, 6, "track.csv");
    let all = arguments(&BATCHES, &["--resume"]);
    workshop.segment("mouse.mkv", &all);
    let before = workshop.snapshot();
    let outcome = workshop.segment("mouse.mkv", &all);
    assert!(outcome.stderr.contains("there already"), "{}", outcome.stderr);
    assert!(workshop.snapshot() == before);
}

#[test]
fn two_processes_do_not_write_one_journal() {
    let workshop = workshop();
    let running = workshop.start("mouse.mkv", &BATCHES);
    let second = ["segment", "mouse.mkv", "-o", "masks.btf", "--resume"];
    let outcome = workshop.sam2(&[&second[..], &BATCHES].concat());
    let told = outcome.failed(1).error().to_owned();
    assert!(told.contains("another sam2"), "{told}");
    running.stop("INT");
}

#[test]
fn a_full_disk_loses_nothing_that_is_done() {
    let expected = expected(&BATCHES);
    let workshop = workshop();
    let all =
        [&["segment", "mouse.mkv", "-o", "masks.btf"], &arguments(&BATCHES, &[])[..]].concat();
    // One page takes 27 kB without compression.
    let outcome = workshop.sam2_with_room(1000, &all);
    let message = outcome.failed(1).error().to_owned();
    for part in
        ["masks.btf", "raise the file size limit (`ulimit -f`)", "frames are kept", "--resume`"]
    {
        assert!(message.contains(part), "'{part}' is missing in: {message}");
    }
    assert!(!workshop.path("masks.btf").exists());
    let outcome = resume(&workshop, &BATCHES);
    assert!(resumed_frames(&outcome) >= 24, "{}", outcome.stderr);
    came_out(&workshop, &expected);
}

#[test]
fn a_journal_whose_head_is_damaged_is_not_thrown_away() {
    let workshop = interrupted(&BATCHES);
    let whole = workshop.read(JOURNAL);
    let head = u64::from_le_bytes(whole[9..17].try_into().unwrap()) as usize;
    // In the kind, the length, the checksum and the text of the header.
    for at in [8, 9, 12, 18, 21, 21 + head / 2, 20 + head] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        workshop.write(JOURNAL, &bytes);
        let again = arguments(&BATCHES, &["--resume"]);
        workshop.refuses("mouse.mkv", &again, &[JOURNAL, "is damaged", "leave out --resume"]);
    }
    workshop.write(JOURNAL, &whole);
    assert!(resumed_frames(&resume(&workshop, &BATCHES)) > 0);
}

#[test]
fn what_is_not_a_journal_is_never_emptied() {
    let workshop = workshop();
    workshop.mouse(6, "mouse.mkv").mouse_track(0, 6, "track.csv");
    workshop.write("notes.txt", "weeks of work");
    workshop.write(JOURNAL, "weeks of work");
    let told = [JOURNAL, "another kind of file"];
    workshop.refuses("mouse.mkv", &arguments(&BATCHES, &[]), &told);
    std::fs::remove_file(workshop.path(JOURNAL)).unwrap();
    std::os::unix::fs::symlink("notes.txt", workshop.path(JOURNAL)).unwrap();
    workshop.refuses("mouse.mkv", &arguments(&BATCHES, &[]), &[JOURNAL, "a link"]);
    assert_eq!(workshop.read("notes.txt"), b"weeks of work");
}

#[test]
fn a_recording_that_changes_while_it_is_read_keeps_what_is_done() {
    let expected = expected(&BATCHES);
    let workshop = workshop();
    let whole = workshop.read("mouse.mkv");
    let mut running = workshop.start("mouse.mkv", &arguments(&BATCHES, &[]));
    running.wait_until(|| journal_bytes(&workshop) > 2_500);
    workshop.write("mouse.mkv", &whole[..whole.len() / 2]);
    let outcome = running.wait().failed(1);
    let told = outcome.error();
    for part in ["changed while it was read", "mouse.mkv", "frames are kept", "--resume`"] {
        assert!(told.contains(part), "'{part}' is missing in: {told}");
    }
    assert!(!workshop.path("masks.btf").exists());
    // Half of the recording differs now.
    let again = arguments(&BATCHES, &["--resume"]);
    let outcome =
        workshop.sam2(&[&["segment", "mouse.mkv", "-o", "masks.btf"], &again[..]].concat());
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    workshop.write("mouse.mkv", &whole);
    let outcome = resume(&workshop, &BATCHES);
    assert!(resumed_frames(&outcome) > 0, "{}", outcome.stderr);
    came_out(&workshop, &expected);
}
