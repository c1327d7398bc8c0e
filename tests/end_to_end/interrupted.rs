//! Signals and races: nothing incomplete is ever left under the output's name. `resume.rs` tests
//! what is left for resuming.

use crate::support::{Workshop, asset_text};

const PROMPT_IN_THE_MIDDLE: [&str; 4] = ["--point", "20:240,80", "--contact-sheet", "sheet.png"];
const PROMPT_AT_THE_START: [&str; 4] = ["--point", "0:245,80", "--contact-sheet", "sheet.png"];

/// Returns a recording that takes seconds, to leave time for a signal.
fn long_recording() -> String {
    asset_text("clips/mouse-arena.mp4")
}

/// Stops a run by a signal and expects this exit code, one error line, and an unchanged folder.
fn stops(signal: &str, code: i32, arguments: &[&str]) {
    let workshop = Workshop::new();
    // Before the first checkpoint or the end of a batch there is nothing to resume from.
    let arguments = [arguments, &["--checkpoint-frames", "0"]].concat();
    let run = || workshop.start(&long_recording(), &arguments).stop(signal);
    workshop.fails(code, &["stopped", "of 60 frames"], run);
}

#[test]
fn an_interrupt_leaves_nothing() {
    stops("INT", 130, &PROMPT_IN_THE_MIDDLE);
    stops("INT", 130, &PROMPT_AT_THE_START);
}

#[test]
fn a_request_to_terminate_leaves_nothing() {
    stops("TERM", 143, &PROMPT_IN_THE_MIDDLE);
    stops("TERM", 143, &PROMPT_AT_THE_START);
}

#[test]
fn a_closed_terminal_stops_like_a_request_to_terminate() {
    // Under nohup, the program ignores the signal as it should.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    if u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 == 1 {
        println!("left out: the tests themselves run under nohup");
        return;
    }
    stops("HUP", 129, &PROMPT_IN_THE_MIDDLE);
}

#[test]
fn under_nohup_a_closed_terminal_stops_nothing() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    // The signal arrives while the program starts, and again shortly after.
    let script = "trap '' HUP; SAM2 segment mouse.mkv -o masks.btf --point 0:122,40 & \
                  for i in 1 2 3 4 5 6; do sleep 0.1; kill -HUP $!; done 2>/dev/null; wait $!";
    workshop.shell(script).succeeded();
    assert_eq!(workshop.masks().pages.len(), 6);
}

#[test]
fn an_interrupt_leaves_an_older_output_alone() {
    let workshop = Workshop::new();
    workshop.write("masks.btf", "masks of another day");
    workshop.write("sheet.png", "a sheet of another day");
    let arguments =
        [&PROMPT_AT_THE_START[..], &["--overwrite", "--checkpoint-frames", "0"]].concat();
    let run = || workshop.start(&long_recording(), &arguments).stop("INT");
    workshop.fails(130, &["stopped"], run);
}

#[test]
fn a_kill_leaves_nothing_under_the_final_names_and_the_next_run_goes_well() {
    let workshop = Workshop::new();
    let outcome = workshop.start(&long_recording(), &PROMPT_AT_THE_START).stop("KILL");
    assert_eq!(outcome.code, None, "killed by a signal");
    // Leftovers are recognisable by their names; temporary files of outputs are hidden.
    let left: Vec<String> = workshop.names().into_iter().filter(|name| name != "tmp").collect();
    for name in &left {
        let journal = name == "masks.btf.sam2run.part";
        assert!(journal || name.starts_with('.') && name.ends_with(".part"), "{left:?}");
    }
    // Make the leftovers old, because a recent file might belong to another process.
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    for name in &left {
        std::fs::File::open(workshop.path(name)).unwrap().set_modified(hour_ago).unwrap();
    }
    workshop.write(".masks.btf.backup", "mine");
    workshop.mouse(3, "mouse.mkv");
    workshop.segment("mouse.mkv", &["--point", "0:122,40", "--contact-sheet", "sheet.png"]);
    assert_eq!(workshop.masks().pages.len(), 3);
    let now: Vec<String> = workshop.names().into_iter().filter(|name| name != "tmp").collect();
    let receipt = ".masks.btf.sam2job";
    assert_eq!(now, [".masks.btf.backup", receipt, "masks.btf", "mouse.mkv", "sheet.png"]);
}

#[test]
fn an_output_that_somebody_else_makes_meanwhile_is_not_replaced() {
    let workshop = Workshop::new();
    workshop.mouse(25, "mouse.mkv");
    let running = workshop.start("mouse.mkv", &["--point", "0:122,40"]);
    workshop.write("masks.btf", "masks of somebody else");
    let outcome = running.wait();
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.error().contains("masks.btf"), "{}", outcome.error());
    // The work is not lost: the journal still contains all of it, to be used under another name or
    // with --overwrite.
    let journal = "masks.btf.sam2run.part";
    let receipt = ".masks.btf.sam2job";
    assert_eq!(workshop.names(), [receipt, "masks.btf", journal, "mouse.mkv", "tmp"]);
    let all = ["segment", "mouse.mkv", "-o", "masks.btf", "--point", "0:122,40", "--resume"];
    workshop.refused(1, &all, &["masks.btf", "--overwrite"]);
    assert_eq!(workshop.read("masks.btf"), b"masks of somebody else");
    let outcome = workshop.sam2(&[&all[..], &["--overwrite"]].concat()).succeeded();
    assert!(outcome.stderr.contains("frames 0 to 24 are done already"), "{}", outcome.stderr);
    assert_eq!(workshop.masks().pages.len(), 25);
    assert!(!workshop.path(journal).exists());
}
