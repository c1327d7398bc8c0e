//! Terminal output, and the contents of log files.

use crate::support::{ON_THE_MOUSE, Workshop};

const RUN: [&str; 6] = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE];
const ESCAPE: char = '\u{1b}';

fn mouse() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    workshop
}

/// Returns whether the text contains a sequence that sets a colour or weight.
fn is_coloured(text: &str) -> bool {
    let codes = text.split(ESCAPE).skip(1).filter_map(|rest| rest.strip_prefix('['));
    let mut ends =
        codes.map(|code| code.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
    ends.any(|end| end.starts_with('m'))
}

#[test]
fn a_terminal_has_a_bar_and_colours() {
    let workshop = mouse();
    let shown = workshop.sam2_on_a_terminal(&[], &RUN).succeeded().stdout;
    assert!(shown.contains("/6 frames"), "{shown:?}");
    assert!(is_coloured(&shown), "{shown:?}");
    let plain = workshop.sam2(&[&RUN[..], &["--overwrite"]].concat()).succeeded();
    assert!(
        !plain.stderr.contains("/6 frames") && !plain.stderr.contains(ESCAPE),
        "{:?}",
        plain.stderr
    );
}

#[test]
fn no_color_leaves_no_colour_anywhere() {
    let workshop = mouse();
    let no_color = [("NO_COLOR", "1")];
    let shown = workshop.sam2_on_a_terminal(&no_color, &RUN).succeeded().stdout;
    assert!(shown.contains("/6 frames") && !is_coloured(&shown), "{shown:?}");
    for arguments in [
        &["segment", "--nonsense"][..],
        &["--help"],
        &["segment", "none.mkv", "-o", "a.btf", "--point", "0:1,1"],
    ] {
        let coloured = workshop.sam2_on_a_terminal(&[], arguments).stdout;
        let plain = workshop.sam2_on_a_terminal(&no_color, arguments).stdout;
        assert!(!is_coloured(&plain), "{arguments:?}: {plain:?}");
        assert!(!plain.is_empty() && !coloured.is_empty());
    }
    // By convention, an empty variable counts as unset.
    let shown = workshop.sam2_on_a_terminal(&[("NO_COLOR", "")], &["segment", "--nonsense"]).stdout;
    assert!(is_coloured(&shown), "{shown:?}");
    let again = [&RUN[..], &["--overwrite"]].concat();
    let shown = workshop.sam2_on_a_terminal(&[("NO_COLOR", "")], &again).succeeded().stdout;
    assert!(is_coloured(&shown), "{shown:?}");
}

#[test]
fn quiet_shows_no_bar_and_verbose_says_more() {
    let workshop = mouse();
    let quiet = workshop.sam2_on_a_terminal(&[], &[&RUN[..], &["-q"]].concat()).succeeded().stdout;
    assert!(!quiet.contains("frames  "), "{quiet:?}");
    let again = [&RUN[..], &["--overwrite"]].concat();
    let count = |more: &[&str]| {
        let outcome = workshop.sam2(&[&again[..], more].concat()).succeeded();
        outcome.stderr.lines().count()
    };
    let (quiet, plain, verbose) = (count(&["-q"]), count(&[]), count(&["-v"]));
    assert!(quiet < plain && plain < verbose, "{quiet} {plain} {verbose}");
    workshop.refused(2, &["probe", "mouse.mkv", "-q", "-v"], &["--quiet", "--verbose"]);
}

#[test]
fn a_warning_stands_above_the_bar() {
    let workshop = Workshop::new();
    workshop.mouse(8, "mouse.mkv").folder("frames");
    workshop.ffmpeg("-i mouse.mkv frames/%d.png");
    workshop.truncate("frames/6.png", 0.5, "frames/6.png");
    let arguments =
        ["segment", "frames", "-o", "m.btf", "--point", ON_THE_MOUSE, "--on-bad-frame", "repeat"];
    let shown = workshop.sam2_on_a_terminal(&[("NO_COLOR", "1")], &arguments).succeeded().stdout;
    let warnings: Vec<&str> = shown.lines().filter(|line| line.contains("WARN")).collect();
    let damaged: Vec<&&str> = warnings.iter().filter(|line| line.contains("frame 5")).collect();
    assert!(!damaged.is_empty(), "{shown:?}");
    for line in damaged {
        // The previous text of the line was erased.
        let visible = line.rsplit("\u{1b}[2K").next().unwrap();
        assert!(!visible.contains("frames  "), "{line:?}");
    }
}

#[test]
fn a_log_that_nobody_reads_or_that_is_full_changes_nothing() {
    for (log, code) in [("2>&1 | head -1", 0), ("2>/dev/full", 0), ("2>&-", 0)] {
        let workshop = mouse();
        workshop.mouse(4, "second.mkv");
        let script = format!(
            "SAM2 -v segment mouse.mkv second.mkv -o '{{stem}}.btf' --point 0:122,40 --stats s.json {log}; \
             exit ${{PIPESTATUS[0]}}"
        );
        assert_eq!(workshop.shell(&script).code, Some(code), "{log}");
        assert_eq!(workshop.stack("mouse.btf").pages.len(), 6, "{log}");
        assert_eq!(workshop.stack("second.btf").pages.len(), 4, "{log}");
        assert!(workshop.path("s.json").exists(), "{log}");
    }
    // An error gives its own exit code, even if the message cannot be written.
    let workshop = mouse();
    let script = "SAM2 segment none.mkv -o m.btf --point 0:1,1 2>/dev/full";
    assert_eq!(workshop.shell(script).code, Some(1));
}

#[test]
fn names_cannot_colour_the_terminal_or_forge_log_lines() {
    let workshop = mouse();
    let name = "a\u{1b}[31mred\nINFO forged\u{202e}.mkv";
    let outcome = workshop.sam2(&["segment", name, "-o", "m.btf", "--point", "0:1,1"]).failed(1);
    let forged = outcome.stderr.lines().any(|line| line.starts_with("INFO forged"));
    assert!(!outcome.stderr.contains(ESCAPE) && !forged, "{:?}", outcome.stderr);
    std::fs::rename(workshop.path("mouse.mkv"), workshop.path(name)).unwrap();
    let outcome = workshop.sam2(&["segment", name, "-o", "m.btf", "--point", "0:122,40"]);
    let outcome = outcome.succeeded();
    let forged = outcome.stderr.lines().any(|line| line.starts_with("INFO forged"));
    assert!(!outcome.stderr.contains(ESCAPE) && !forged, "{:?}", outcome.stderr);
    assert!(outcome.stderr.contains("\\u{1b}[31mred\\nINFO"), "{:?}", outcome.stderr);
    let probed = workshop.sam2(&["probe", name]).succeeded().stdout;
    assert!(!probed.contains(ESCAPE) && !probed.contains("\nINFO"), "{probed:?}");
}
