//! Tests of the documents. The tutorial's commands are run in order and must print what it quotes,
//! and the program must accept every command line in every document.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Outcome, Workshop, asset};

/// Returns a document of the repository.
fn document(name: &str) -> String {
    let path = asset("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// Returns the names of all documents that show command lines.
fn documents() -> Vec<String> {
    let mut names = vec!["README.md".to_owned(), "workflow/README.md".to_owned()];
    for entry in std::fs::read_dir(asset("../docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names
}

/// Returns the code blocks of a document, fenced or indented, without their indentation.
fn code_blocks(text: &str) -> Vec<Vec<String>> {
    let mut blocks = vec![Vec::new()];
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
            blocks.push(Vec::new());
        } else if fenced {
            blocks.last_mut().unwrap().push(line.to_owned());
        } else if let Some(line) = line.strip_prefix("    ") {
            blocks.last_mut().unwrap().push(line.to_owned());
        } else if !line.trim().is_empty() {
            blocks.push(Vec::new());
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Joins each line that ends in a backslash with the next one.
fn joined(block: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block {
        let (text, more) =
            line.strip_suffix('\\').map_or((line.as_str(), false), |text| (text, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(&format!("{} ", text.trim())),
            None => lines.push(format!("{text} ")),
        }
        goes_on = more;
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

// The tutorial.

/// A command of the tutorial, and the part of its output that is shown.
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The options that `...` stands for in the tutorial.
const USUAL: &str =
    " --keypoints assets/clips/mouse-arenaDLC_synthetic_micro.csv --bodyparts snout,body,tailbase ";

fn steps(block: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in joined(block) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.replace(" ... ", USUAL), shown: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            step.shown.push(line);
        }
    }
    steps
}

/// Parts of a line: numbers, letters, and wildcards.
#[derive(Debug, PartialEq)]
enum Piece {
    Number(String),
    Letter(char),
    Anything,
}

fn pieces(line: &str) -> Vec<Piece> {
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut pieces = Vec::new();
    let mut rest = words.as_str();
    while let Some(letter) = rest.chars().next() {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let whole = digits(rest);
        let end = if let Some(behind) = rest.strip_prefix("...") {
            pieces.push(Piece::Anything);
            rest.len() - behind.len()
        } else if whole > 0 {
            let fraction = rest[whole..].strip_prefix('.').map_or(0, digits);
            let end = if fraction > 0 { whole + 1 + fraction } else { whole };
            pieces.push(Piece::Number(rest[..end].to_owned()));
            end
        } else {
            pieces.push(Piece::Letter(letter));
            letter.len_utf8()
        };
        rest = &rest[end..];
    }
    pieces
}

/// Returns whether a line matches what the tutorial shows. Words must be equal. Whole numbers may
/// differ by half a percent, so that counts are exact. Other numbers may differ by three percent,
/// because kernels of different processors round differently. Durations may differ arbitrarily, and
/// `...` matches anything.
fn says(shown: &[Piece], line: &[Piece]) -> bool {
    const DURATION: [Piece; 3] = [Piece::Letter(' '), Piece::Letter('s'), Piece::Letter(',')];
    match (shown, line) {
        ([], []) => true,
        ([Piece::Anything, rest @ ..], _) => (0..=line.len()).any(|from| says(rest, &line[from..])),
        ([Piece::Number(a), after @ ..], [Piece::Number(b), others @ ..]) => {
            (after.starts_with(&DURATION) || close(a, b)) && says(after, others)
        }
        ([Piece::Letter(a), after @ ..], [Piece::Letter(b), others @ ..]) => {
            a == b && says(after, others)
        }
        _ => false,
    }
}

fn close(a: &str, b: &str) -> bool {
    let is_whole = !a.contains('.');
    let (a, b): (f64, f64) = (a.parse().unwrap(), b.parse().unwrap());
    let allowed = if is_whole { 0.005 * a } else { (0.03 * a).max(0.021) };
    (a - b).abs() <= allowed
}

/// Runs a line of the tutorial as a shell would. A line with the comment `# Ctrl-C` is interrupted
/// in its second batch.
fn run(workshop: &Workshop, line: &str) -> Outcome {
    let (line, interrupted) = match line.split_once('#') {
        Some((line, remark)) => (line, remark.contains("Ctrl-C")),
        None => (line, false),
    };
    let messages = workshop.path("tmp/messages");
    let program = Path::new(env!("CARGO_BIN_EXE_sam2")).parent().unwrap();
    let paths = std::env::var("PATH").unwrap_or_default();
    let single = line.starts_with("sam2 ");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{}{line}", if single { "exec " } else { "" })]);
    let process = workshop
        .prepare(&mut shell)
        .env("PATH", format!("{}:{paths}", program.display()))
        .stderr(Stdio::from(File::create(&messages).unwrap()))
        .spawn()
        .unwrap();
    if interrupted {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !std::fs::read_to_string(&messages).unwrap().contains("batch 2 of") {
            assert!(Instant::now() < deadline, "it does not come to its second batch");
            std::thread::sleep(Duration::from_millis(5));
        }
        let kill = format!("kill -INT {}", process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
    let mut outcome = Outcome::from(process.wait_with_output().unwrap());
    outcome.stderr = std::fs::read_to_string(&messages).unwrap();
    outcome
}

/// Places the repository's files where the tutorial expects them.
fn tutorial_folder() -> Workshop {
    let workshop = Workshop::new();
    std::os::unix::fs::symlink(asset(""), workshop.path("assets")).unwrap();
    std::os::unix::fs::symlink(asset("../tests"), workshop.path("tests")).unwrap();
    workshop
}

#[test]
fn the_tutorial_prints_what_it_shows() {
    let workshop = tutorial_folder();
    let text = document("docs/tutorial.md");
    let mut commands = 0;
    let mut stale = Vec::new();
    for block in code_blocks(&text) {
        let first = block[0].as_str();
        // The program was built before this test.
        if first.starts_with("make ") {
            continue;
        }
        if let Some(shown) =
            block.iter().find_map(|line| line.strip_prefix("Against the bundled truth: "))
        {
            stale.extend(demo_difference(&workshop, shown));
            continue;
        }
        assert!(
            first.starts_with("$ "),
            "a block that shows an answer shows the command too: {block:?}"
        );
        for step in steps(&block) {
            let outcome = run(&workshop, &step.command);
            stale.extend(difference(&step, &outcome));
            commands += 1;
        }
    }
    assert!(commands > 15, "{commands} commands were found");
    stale.extend(stale_figures(&workshop, &text));
    assert!(stale.is_empty(), "docs/tutorial.md:\n{}", stale.join("\n\n"));
}

/// Lists the rows of the table of options, mean J and lowest J that are out of date.
fn stale_figures(workshop: &Workshop, tutorial: &str) -> Vec<String> {
    let rows = tutorial.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match cells[..] {
            ["", options, mean, lowest, ""] if mean.starts_with("0.") => {
                Some((options, mean, lowest))
            }
            _ => None,
        }
    });
    let mut stale = Vec::new();
    for (options, mean, lowest) in rows {
        let options = options.strip_prefix('`').map_or("", |options| options.trim_end_matches('`'));
        let line = format!(
            "sam2 segment assets/clips/mouse-arena.mp4 {USUAL} {options} --overwrite -o row.btf"
        );
        run(workshop, &line).succeeded();
        let score =
            run(workshop, "sam2 score row.btf assets/clips/mouse-arena-truth-1.tif").succeeded();
        let shown = format!("mean J {mean} over 60 frames; lowest {lowest} in frame ...");
        if !says(&pieces(&shown), &pieces(&score.stdout)) {
            stale.push(format!(
                "the table shows for '{options}'\n{shown}\nand this is\n{}",
                score.stdout
            ));
        }
    }
    assert!(
        !tutorial.contains("| mean J |") || tutorial.matches("| 0.").count() >= 6,
        "the table is found"
    );
    stale
}

/// Describes how the end of `make demo` differs, if it does.
fn demo_difference(workshop: &Workshop, shown: &str) -> Option<String> {
    let line =
        format!("sam2 segment assets/clips/mouse-arena.mp4 {USUAL} --batch-size 400 -o demo.btf");
    run(workshop, &line).succeeded();
    let score =
        run(workshop, "sam2 score demo.btf assets/clips/mouse-arena-truth-1.tif").succeeded();
    let differs = !says(&pieces(shown), &pieces(&score.stdout));
    differs.then(|| format!("make demo shows\n{shown}\nand this is\n{}", score.stdout))
}

/// Describes how the output of a command differs from the tutorial's, if it does.
fn difference(step: &Step, outcome: &Outcome) -> Option<String> {
    outcome.did_not_panic();
    let told = format!("{}\n{}", outcome.stdout, outcome.stderr);
    let whole = format!("$ {}\nends with {:?} and says\n{told}", step.command, outcome.code);
    let fails = step.shown.iter().any(|line| line.starts_with("error:"));
    let expected: &[i32] = if fails { &[1, 130] } else { &[0, 3] };
    if !outcome.code.is_some_and(|code| expected.contains(&code)) {
        return Some(format!("an exit code of {expected:?} is expected: {whole}"));
    }
    if step.command == "sam2 doctor" {
        // The results depend on this machine; the list of checks does not.
        let checks = step
            .shown
            .iter()
            .filter(|line| !line.trim().starts_with("->") && !line.starts_with("problems"));
        let second = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
        let unknown = checks
            .filter_map(|line| second(line))
            .find(|check| !told.lines().any(|line| second(line).as_ref() == Some(check)));
        return unknown.map(|check| format!("'{check}' is not checked: {whole}"));
    }
    let mut lines = told.lines();
    let missing = step.shown.iter().find(|shown| {
        let wanted = pieces(shown);
        wanted != [Piece::Anything] && !lines.any(|line| says(&wanted, &pieces(line)))
    });
    missing.map(|shown| format!("it does not say, or not in this order:\n{shown}\n{whole}"))
}

#[test]
fn lines_are_compared_with_some_tolerance() {
    let same = |a: &str, b: &str| says(&pieces(a), &pieces(b));
    assert!(same(" INFO a.btf: 60 frames, 6.6 MB", "INFO a.btf: 60 frames, 6.62 MB"));
    assert!(!same("INFO a.btf: 60 frames, 6.6 MB", "INFO a.btf: 61 frames, 6.6 MB"));
    assert!(!same("INFO a.btf: 60 frames", "INFO b.btf: 60 frames"));
    assert!(same("60 frames, 2.3 s, 0 masks", "60 frames, 17.9 s, 0 masks"));
    assert!(same(
        "mean J 0.8241; lowest 0.72 in frame 52",
        "mean J 0.8239; lowest 0.7251 in frame 52"
    ));
    assert!(!same("mean J 0.8241", "mean J 0.61"));
    assert!(same(
        "run `sam2 segment a.mp4 ... -o r.btf`)",
        "run `sam2 segment a.mp4 --keypoints b.csv -o r.btf`)"
    ));
    assert!(!same(
        "run `sam2 segment a.mp4 ... -o r.btf`)",
        "run `sam2 segment a.mp4 --keypoints b.csv -o q.btf`)"
    ));
}

// Tests of all command lines.

/// A command line in a document, and whether it may be incomplete, as within a sentence.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    words: Vec<String>,
    in_sentence: bool,
    document: String,
}

/// Splits a command line into words as a POSIX shell does, up to a comment, a pipe or a
/// redirection.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    // The only variable with a default that the documents show.
    let line = line.replace("${CUDA_VISIBLE_DEVICES:-0}", "0");
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, '|' | '>' | '<' | ';' | '&') => break,
            (None, '#' | '(') if word.is_none() => break,
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Returns the command lines of a document other than the tutorial: those in code blocks, and those
/// in sentences and tables.
fn command_lines(text: &str, document: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut add = |line: &str, in_sentence| {
        let cut = in_sentence || line.contains("...");
        let words: Vec<String> =
            words(line).into_iter().filter(|word| word != "..." && word != "\u{2026}").collect();
        found.push(Shown { words, in_sentence: cut, document: document.to_owned() });
    };
    for line in code_blocks(text).iter().flat_map(|block| joined(block)) {
        let line = line.trim().trim_start_matches("$ ");
        if line.starts_with("sam2 ") {
            add(line, false);
        }
    }
    let prose: Vec<&str> = text.lines().filter(|line| !line.starts_with("    ")).collect();
    for span in prose.join("\n").split('`').skip(1).step_by(2) {
        let span = span.replace("\\|", "|").replace('\n', " ");
        if span.starts_with("sam2 ") {
            add(&span, true);
        } else if let Some(options) = span.strip_prefix("... -") {
            add(&format!("sam2 segment -{options}"), true);
        }
    }
    found
}

/// Commands that would measure, load or install something, and so are only parsed.
const NOT_RUN: [&str; 7] =
    ["download", "bench", "doctor", "devices", "config", "man", "completions"];

#[test]
fn every_command_line_of_the_documents_is_understood() {
    let workshop = Workshop::new();
    let jobs = document("docs/jobs.md");
    let job = code_blocks(&jobs).into_iter().find(|block| block.concat().contains("[[recording]]"));
    workshop.write("recordings.toml", job.expect("docs/jobs.md shows a job file").join("\n"));
    let mut all = BTreeSet::new();
    for name in documents() {
        all.extend(command_lines(&document(&name), &name));
    }
    for command in [
        "segment",
        "merge",
        "report",
        "probe",
        "score",
        "convert",
        "inspect",
        "bench",
        "download",
        "legacy-pipeline",
    ] {
        let help = workshop.sam2(&[command, "--help"]).succeeded().stdout;
        let examples = help.split_once("Example").expect("help has examples").1;
        // Join the wrapped lines of the help.
        let mut block: Vec<String> = Vec::new();
        for line in examples.lines().map(str::trim) {
            match block.last_mut().filter(|_| !line.starts_with("sam2 ")) {
                Some(last) => *last = format!("{} {line}", last.trim_end_matches('\\')),
                None => block.push(format!("    {line}")),
            }
        }
        all.extend(command_lines(&block.join("\n"), &format!("sam2 {command} --help")));
    }
    assert!(all.len() > 60, "{} command lines were found", all.len());
    let mut wrong = Vec::new();
    for Shown { words, in_sentence, document } in &all {
        // `sam2 COMMAND --help`
        if words.iter().any(|word| word == "COMMAND") {
            continue;
        }
        let mut arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        if arguments.iter().any(|word| NOT_RUN.contains(word)) {
            arguments.push("--help");
        }
        // The files they name do not exist, so that they end at once. The exit code still differs
        // from that of a command line that is not understood.
        let outcome = workshop.sam2(&arguments);
        outcome.did_not_panic();
        let is_cut = *in_sentence
            && ["required", "requires a subcommand", "Usage: sam2"]
                .iter()
                .any(|text| outcome.stderr.contains(text));
        let is_unknown = ["unexpected argument", "invalid value", "unrecognized subcommand"]
            .iter()
            .any(|text| outcome.stderr.contains(text));
        if outcome.code == Some(2) && (is_unknown || !is_cut) {
            wrong.push(format!("{document} shows `{}`:\n{}", words.join(" "), outcome.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_settings_file_of_the_documents_is_understood() {
    let workshop = Workshop::new();
    let settings = document("docs/settings.md");
    let file = code_blocks(&settings).into_iter().find(|block| block[0].starts_with("model = "));
    workshop.write("config.toml", file.expect("docs/settings.md shows a file").join("\n"));
    let shown = workshop.sam2(&["--config-file", "config.toml", "config"]).succeeded();
    for (option, value) in [("batch-size", "300"), ("bodyparts", "snout"), ("model", "large-2.0")] {
        let line = shown.stdout.lines().find(|line| line.contains(option)).unwrap_or_default();
        assert!(line.contains(value), "{option}: {line}");
    }
}

#[test]
fn words_are_read_as_by_a_shell() {
    let line = r#"sam2 segment 'day 1/*.avi' -o "a b".btf --x=\ y  # a remark"#;
    assert_eq!(words(line), ["sam2", "segment", "day 1/*.avi", "-o", "a b.btf", "--x= y"]);
    assert_eq!(words("sam2 man | man -l -"), ["sam2", "man"]);
    let text = "Say `sam2 probe a.avi\n--verify`, or\n\n    $ sam2 score a.btf \\\n        b.tif    # both\n    mean J 1\n";
    let found = command_lines(text, "x.md");
    let lines: Vec<String> = found.iter().map(|shown| shown.words.join(" ")).collect();
    assert_eq!(lines, ["sam2 score a.btf b.tif", "sam2 probe a.avi --verify"]);
}
