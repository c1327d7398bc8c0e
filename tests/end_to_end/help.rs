//! Help that fits on a screen, completions and manual pages.

use crate::support::Workshop;

/// Returns the commands that help lists or hides.
fn commands(workshop: &Workshop) -> Vec<String> {
    let bash = workshop.sam2(&["completions", "bash"]).succeeded().stdout;
    let start = "sam2,";
    let mut found: Vec<String> = bash
        .lines()
        .filter_map(|line| line.trim().strip_prefix(start)?.strip_suffix(')'))
        .map(str::to_owned)
        .collect();
    found.retain(|name| name != "help");
    found.sort();
    found.dedup();
    found
}

#[test]
fn help_fits_one_screen() {
    let workshop = Workshop::new();
    for columns in ["80", "200"] {
        let help = workshop.sam2_where(&[("COLUMNS", columns)], &["--help"]).succeeded().stdout;
        assert!(help.lines().count() <= 24, "{} lines:\n{help}", help.lines().count());
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        }
        for told in [
            "segment",
            "doctor",
            "config",
            "--config-file",
            "-v",
            "-q",
            "completions",
            "Exit codes:",
        ] {
            assert!(help.contains(told), "{told} in {help}");
        }
    }
}

#[test]
fn every_command_has_examples_that_name_it() {
    let workshop = Workshop::new();
    let commands = commands(&workshop);
    assert!(commands.len() > 8, "{commands:?}");
    for command in commands {
        let help = workshop.sam2(&[&command, "--help"]).succeeded().stdout;
        let (_, examples) =
            help.split_once("Example").unwrap_or_else(|| panic!("{command}: {help}"));
        assert!(examples.contains(&format!("sam2 {command}")), "{command}: {examples}");
    }
}

#[test]
fn completions_are_scripts_that_know_commands_and_options() {
    let workshop = Workshop::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = workshop.sam2(&["completions", shell]).succeeded().stdout;
        for word in ["segment", "keypoints", "batch-size", "doctor"] {
            assert!(script.contains(word), "{word} in the script for {shell}");
        }
    }
    // Bash itself completes with the script.
    let script = workshop.sam2(&["completions", "bash"]).succeeded().stdout;
    workshop.write("sam2.bash", script);
    let complete = "source ./sam2.bash; COMP_WORDS=(sam2 segment --batch); COMP_CWORD=2; \
        _sam2 sam2 --batch segment; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = std::process::Command::new("bash")
        .args(["--norc", "-c", complete])
        .current_dir(workshop.path(""))
        .output()
        .unwrap();
    let completed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(completed.trim(), "--batch-size", "{}", String::from_utf8_lossy(&output.stderr));
    let other = workshop.refused(2, &["completions", "tcsh"], &["tcsh"]);
    assert!(other.stderr.contains("bash, "), "{}", other.stderr);
}

#[test]
fn manual_pages_are_written_for_each_command() {
    let workshop = Workshop::new();
    let page = workshop.sam2(&["man"]).succeeded().stdout;
    assert!(page.contains(".TH sam2 1") && page.contains("sam2\\-segment"), "{page}");
    workshop.sam2(&["man", "--out", "pages/man1"]).succeeded();
    for command in commands(&workshop) {
        let page = workshop.read(&format!("pages/man1/sam2-{command}.1"));
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains(&command), "{page}");
    }
    assert!(workshop.path("pages/man1/sam2.1").is_file());
    workshop.write("file", "");
    workshop.refused(1, &["man", "--out", "file/man1"], &["file/man1"]);
}
