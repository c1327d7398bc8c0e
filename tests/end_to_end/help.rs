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
fn short_help_of_every_command_fits_one_screen() {
    let workshop = Workshop::new();
    for columns in [80, 120] {
        for command in commands(&workshop) {
            let width = columns.to_string();
            let help = workshop.sam2_where(&[("COLUMNS", &width)], &[&command, "-h"]);
            let help = help.succeeded().stdout;
            let lines = help.lines().count();
            assert!(lines <= 50, "{command} at {columns} columns: {lines} lines:\n{help}");
            for line in help.lines() {
                assert!(line.chars().count() <= columns, "{command} at {columns} columns: {line}");
            }
        }
    }
}

#[test]
fn long_help_says_nothing_twice() {
    let workshop = Workshop::new();
    for command in commands(&workshop) {
        let help = workshop.sam2_where(&[("COLUMNS", "200")], &[&command, "--help"]);
        let help = help.succeeded().stdout;
        let sentences: Vec<&str> =
            help.lines().map(|line| line.trim().trim_end_matches('.')).collect();
        for pair in sentences.windows(3).filter(|three| three[1].is_empty()) {
            let start: String = pair[0].chars().take(16).collect();
            let repeats = start.len() > 8 && pair[2].starts_with(&start);
            assert!(!repeats || start.contains("sam2"), "{command}: {} / {}", pair[0], pair[2]);
        }
    }
}

/// Returns what bash offers for the last of these words.
fn offered_by_bash(workshop: &Workshop, words: &[&str]) -> Vec<String> {
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let complete = format!(
        "source ./sam2.bash; COMP_WORDS=({}); COMP_CWORD={}; _sam2 sam2 '{last}' '{before}'; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1,
    );
    let output = std::process::Command::new("bash")
        .args(["--norc", "-c", &complete])
        .current_dir(workshop.path(""))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_offers_words_files_and_folders_as_values() {
    let workshop = Workshop::new();
    let script = workshop.sam2(&["completions", "bash"]).succeeded().stdout;
    workshop.write("sam2.bash", script);
    workshop.write("mouse 1.avi", "");
    workshop.folder("weights");
    let cases: [(&[&str], &[&str]); 15] = [
        (&["segment", "--memory", ""], &["official", "guarded", "dam4sam", "sam3", "sam2long"]),
        (&["segment", "--memory", "gu"], &["guarded"]),
        (&["segment", "--device", "c"], &["cpu", "cuda"]),
        (&["bench", "--precision", ""], &["auto", "f32", "bf16", "f16"]),
        (&["segment", "--passes", ""], &["own", "nearest", "agreed", "official"]),
        (&["segment", "--compression", ""], &["none", "deflate", "packbits"]),
        (&["segment", "--on-bad-frame", "r"], &["repeat"]),
        (&["segment", "--frames-mode", "l"], &["lazy"]),
        (&["segment", "--resize", "p"], &["pillow-bicubic"]),
        (&["segment", "--prompt-frames", "b"], &["best"]),
        (&["convert", "--config", "la"], &["large", "large-2.0"]),
        (&["download", "sm"], &["small", "small-2.0"]),
        (&["config", "do"], &["doctor", "download"]),
        (&["segment", "-o", "mo"], &["mouse 1.avi"]),
        // A number is not a file.
        (&["segment", "--batch-size", ""], &[]),
    ];
    for (words, expected) in cases {
        let mut offered = offered_by_bash(&workshop, &[&["sam2"], words].concat());
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        offered.sort();
        expected.sort();
        assert_eq!(offered, expected, "{words:?}");
    }
    // Either a name or a file.
    let offered = offered_by_bash(&workshop, &["sam2", "segment", "--model", ""]);
    for told in ["large", "tiny-2.0", "weights", "mouse 1.avi"] {
        assert!(offered.iter().any(|word| word == told), "{told} in {offered:?}");
    }
}

#[test]
fn zsh_and_fish_are_given_the_same_words() {
    let workshop = Workshop::new();
    let zsh = workshop.sam2(&["completions", "zsh"]).succeeded().stdout;
    for told in [
        ":POLICY:(official guarded dam4sam sam3 sam2long)'",
        ":DEVICE:(auto cpu cuda vulkan)'",
        ":FILE|NAME:{compadd -- tiny small ",
        // A colon in a name would end it.
        ":[FORMAT\\:]PATH:_files'",
        ":FOLDER:_files -/'",
    ] {
        assert!(zsh.contains(told), "{told}");
    }
    let fish = workshop.sam2(&["completions", "fish"]).succeeded().stdout;
    for told in [
        "-r -f -a \"official\\t''\nguarded\\t''\ndam4sam\\t''\nsam3\\t''\nsam2long\\t''\"",
        "-r -F -a \"tiny\\t''\n",
    ] {
        assert!(fish.contains(told), "{told}");
    }
    workshop.write("sam2.fish", fish);
    let complete = "source sam2.fish; complete -C 'sam2 segment --memory '";
    let output = std::process::Command::new("fish")
        .args(["--no-config", "-c", complete])
        .current_dir(workshop.path(""))
        .output();
    match output {
        Ok(output) => {
            let offered = String::from_utf8_lossy(&output.stdout).into_owned();
            let words: Vec<&str> = offered.split_whitespace().collect();
            assert_eq!(words, ["dam4sam", "guarded", "official", "sam2long", "sam3"], "{offered}");
        }
        Err(error) => println!("not tested in fish itself: {error}"),
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

/// Writes the pages of all commands, and returns their names.
fn pages(workshop: &Workshop) -> Vec<String> {
    workshop.sam2(&["man", "--out", "pages/man1"]).succeeded();
    let commands = commands(workshop).into_iter().map(|command| format!("sam2-{command}.1"));
    std::iter::once("sam2.1".to_owned()).chain(commands).collect()
}

#[test]
fn manual_pages_are_written_for_each_command() {
    let workshop = Workshop::new();
    let page = workshop.sam2(&["man"]).succeeded().stdout;
    assert!(page.contains(".TH SAM2 1") && page.contains("sam2\\-segment"), "{page}");
    let pages = pages(&workshop);
    assert!(pages.len() > 12, "{pages:?}");
    for name in pages {
        let page = workshop.read(&format!("pages/man1/{name}"));
        let page = String::from_utf8(page).unwrap();
        let two_words = ["\"EXIT STATUS\"", "\"SEE ALSO\""];
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"].into_iter().chain(two_words) {
            assert!(page.contains(&format!(".SH {section}")), "{name}: {section}");
        }
        // Every option, argument, command and exit code has a text of its own.
        let lines: Vec<&str> = page.lines().collect();
        for three in lines.windows(3).filter(|three| three[0] == ".TP") {
            let is_text = !three[2].is_empty() && !three[2].starts_with('.');
            assert!(is_text, "{name}: {} has no text", three[1]);
        }
    }
    workshop.write("file", "");
    workshop.refused(1, &["man", "--out", "file/man1"], &["file/man1"]);
}

#[test]
fn manual_pages_show_examples_tables_and_exit_codes_line_by_line() {
    let workshop = Workshop::new();
    for name in pages(&workshop) {
        let output = std::process::Command::new("groff")
            .args(["-man", "-Tascii", "-rLL=80n", "-P-cbou", "-ww"])
            .arg(workshop.path(&format!("pages/man1/{name}")))
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                println!("pages are not looked at as groff shows them: {error}");
                return;
            }
        };
        let (page, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(errors, "", "{name}");
        let lines: Vec<&str> = page.lines().map(str::trim).collect();
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
        for code in ["0", "1", "2", "3", "4", "129", "130", "143"] {
            let is_alone = |line: &&str| line.split_whitespace().next() == Some(code);
            assert!(lines.iter().any(is_alone), "{name}: {code}\n{page}");
        }
        let Some(command) = name.strip_prefix("sam2-").and_then(|name| name.strip_suffix(".1"))
        else {
            continue;
        };
        let help = workshop.sam2_where(&[("COLUMNS", "80")], &[command, "--help"]).succeeded();
        let (_, examples) = help.stdout.split_once("Example").unwrap();
        for example in examples.lines().skip(1) {
            assert!(lines.contains(&example.trim()), "{name}: {example}\n{page}");
        }
        if command == "segment" {
            let tables = [
                ".png              contact-sheet: an overview picture",
                "davis:FOLDER          palette images, as in DAVIS",
                "every:N   the first usable frame in each N frames",
            ];
            for row in tables {
                assert!(lines.contains(&row), "{row}\n{page}");
            }
        }
    }
}
