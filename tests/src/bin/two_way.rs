//! Measures what passes, the pose track and flags do for the masks of held-out clips.
//!
//! `two_way [--seeds FROM..TO] [--kinds NAME,NAME...] [--reprompt] [--verbose] [--write]`
//!
//! Thresholds were chosen on the seeds from 0; without `--seeds` others are measured ([`REPORTED`]).
//! `--write` puts the tables into `docs/passes.md`.

#![allow(clippy::unwrap_used)] // A test program: a failure is a failed run.

use std::ops::Range;

use sam2_engine::{Passes, QualityFlag, SessionOptions};
use sam2_jobs::{JobOptions, KeypointPrompts, Reprompt};
use sam2_tests::clips;
use sam2_tests::held_out::{FlagScore, HeldOut, Kind};
use sam2_tests::measuring::{on_workers, put_table, range};
use sam2_tests::two_way_runs::{Run, evidence, prompts_near, run};

/// Seeds that are reported.
const REPORTED: Range<u64> = 100..104;

/// The runs of a clip, in the order of [`WAYS`].
type Row = (Kind, u64, Vec<Run>);

/// A way to segment a clip.
struct Way {
    name: &'static str,
    passes: Passes,
    /// Whether there is a second prompt, at the end.
    two_prompts: bool,
    /// Whether masks are compared with a pose track.
    track: bool,
    /// The flags where the track prompts again.
    again: Option<&'static [QualityFlag]>,
}

impl Way {
    const fn new(name: &'static str, passes: Passes, (two_prompts, track, again): Told) -> Self {
        Self { name, passes, two_prompts, track, again }
    }
}

/// Two prompts, a track, flags where the track prompts again.
type Told = (bool, bool, Option<&'static [QualityFlag]>);

const WAYS: [Way; 7] = [
    Way::new("official, first prompt", Passes::Official, (false, false, None)),
    Way::new("official", Passes::Official, (true, false, None)),
    Way::new("own", Passes::Own, (true, false, None)),
    Way::new("nearest", Passes::Nearest, (true, false, None)),
    Way::new("nearest, track", Passes::Nearest, (true, true, None)),
    Way::new("agreed", Passes::Agreed, (true, false, None)),
    Way::new("agreed, track", Passes::Agreed, (true, true, None)),
];

/// The ways that are compared with `--reprompt`: a track that prompts with points, boxes and negative
/// points.
const AGAIN: [Way; 3] = [
    Way::new("agreed, track", Passes::Agreed, (true, true, None)),
    Way::new("`--reprompt lost,off-track`", Passes::Agreed, (true, true, Some(&LOST_OR_OFF))),
    Way::new(
        "`--reprompt lost,off-track,disagree`",
        Passes::Agreed,
        (true, true, Some(&Reprompt::FLAGS)),
    ),
];

const LOST_OR_OFF: [QualityFlag; 2] = [QualityFlag::Lost, QualityFlag::OffTrack];

fn main() {
    let (mut seeds, mut kinds, mut verbose) = (REPORTED, Kind::ALL.to_vec(), false);
    let mut write = false;
    let mut from_track = KeypointPrompts::default();
    let mut ways: &[Way] = &WAYS;
    kinds.retain(|kind| *kind != Kind::Long);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = range(&args.next().unwrap()),
            "--kinds" => {
                kinds = args.next().unwrap().split(',').map(Kind::named).collect();
            }
            "--verbose" => verbose = true,
            "--reprompt" => {
                ways = &AGAIN;
                from_track.negatives = true;
                from_track.box_margin = Some("20%".parse().unwrap());
                kinds.retain(|&kind| is_several(kind));
            }
            "--write" => write = true,
            other => panic!("unknown argument {other}"),
        }
    }
    let all: Vec<(Kind, u64)> =
        kinds.iter().flat_map(|&kind| seeds.clone().map(move |seed| (kind, seed))).collect();
    let model = clips::micro_model();
    let rows: Vec<Row> = on_workers(&all, |(kind, seed)| {
        let clip = HeldOut::new(kind, seed);
        let both = prompts_near(&clip, &[0, clip.frame_count() - 1]);
        let first = both.iter().map(|frames| vec![frames[0]]).collect();
        let track = evidence(&clip, from_track);
        let runs: Vec<Run> = ways
            .iter()
            .map(|way| {
                let session = SessionOptions::default().passes(way.passes);
                let reprompt = way.again.map(|flags| Reprompt::when(flags.iter().copied()));
                let options = JobOptions { session, reprompt, ..JobOptions::default() };
                let prompts = if way.two_prompts { &both } else { &first };
                run(&model, &clip, prompts, options, way.track.then_some(&track))
            })
            .collect();
        eprintln!("{} {seed} done", kind.name());
        if verbose {
            tell(ways, kind, seed, &runs);
        }
        (kind, seed, runs)
    });
    if write {
        put_into_document(ways, &kinds, &seeds, &rows);
    }
    for &kind in &kinds {
        println!("\n{}", kind.name());
        println!(
            "{:28} {:>6} {:>7} {:>7} {:>7} {:>9} {:>9} {:>6}",
            "", "mean J", "swaps", "wrong", "flagged", "found", "false", "time"
        );
        for (way, Way { name, .. }) in ways.iter().enumerate() {
            let of: Vec<&Run> =
                rows.iter().filter(|row| row.0 == kind).map(|row| &row.2[way]).collect();
            println!("{:28} {}", name, summary(&of));
        }
    }
    println!("\nall");
    for (way, Way { name, .. }) in ways.iter().enumerate() {
        let of: Vec<&Run> = rows.iter().map(|row| &row.2[way]).collect();
        println!("{:28} {}", name, summary(&of));
    }
    println!("\nflags: on wrong masks, on right ones");
    for (way, Way { name, .. }) in ways.iter().enumerate() {
        let told: Vec<String> = QualityFlag::ALL
            .into_iter()
            .map(|flag| {
                let counts: FlagScore = rows
                    .iter()
                    .map(|row| row.2[way].flag_score(|flags| flags.contains(flag)))
                    .sum();
                let (wrong, right) = (counts.wrong_flagged, counts.right_flagged);
                format!("{} {wrong}/{right}", flag.name())
            })
            .collect();
        println!("{:28} {}", name, told.join("  "));
    }
    println!(
        "\nagreement of the two passes (agreed): below .3, .5, .7, .9, rest: wrong masks / right masks"
    );
    for (way, Way { name, .. }) in
        ways.iter().enumerate().filter(|(_, way)| way.passes == Passes::Agreed)
    {
        let mut bins = [[0_usize; 2]; 5];
        for (_, _, runs) in &rows {
            let run = &runs[way];
            for verdict in run.scores.verdicts() {
                let agreement =
                    run.facts.get(&(verdict.frame, verdict.object)).and_then(|f| f.agreement);
                if let Some(agreement) = agreement {
                    let bin = [0.3, 0.5, 0.7, 0.9].iter().filter(|&&b| agreement >= b).count();
                    bins[bin][usize::from(!verdict.is_wrong())] += 1;
                }
            }
        }
        println!("{name:28} {bins:?}");
    }
}

/// Puts the tables into the document.
fn put_into_document(ways: &[Way], kinds: &[Kind], seeds: &Range<u64>, rows: &[Row]) {
    let mut text = format!(
        "Mean J over all frames but the prompted ones, seeds {} to {}:\n\n| clips | n |",
        seeds.start,
        seeds.end - 1
    );
    let names: Vec<&str> = ways.iter().map(|way| way.name).collect();
    text += &format!(" {} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(ways.len()));
    for &kind in kinds {
        let of: Vec<&Row> = rows.iter().filter(|row| row.0 == kind).collect();
        let mean = |way: usize| {
            let sum: f64 = of.iter().map(|row| row.2[way].scores.mean_j()).sum();
            format!("{:.3}", sum / of.len().max(1) as f64)
        };
        let cells: Vec<String> = (0..ways.len()).map(mean).collect();
        text += &format!("| {} | {} | {} |\n", kind.name(), of.len(), cells.join(" | "));
    }
    // Times are relative to one pass over every frame, or to the first way.
    let base_way = ways.iter().position(|way| way.name == "official").unwrap_or(0);
    for (title, several) in [("Several animals", true), ("One animal", false)] {
        if rows.iter().all(|row| is_several(row.0) != several) {
            continue;
        }
        text += &format!(
            "\n{title}:\n\n| passes | swaps in 1,000 frames | wrong masks (J < 0.5) | of these flagged | right masks flagged | time |\n|---|---|---|---|---|---|\n"
        );
        for (way, name) in names.iter().enumerate() {
            let of: Vec<&Run> = rows
                .iter()
                .filter(|row| is_several(row.0) == several)
                .map(|row| &row.2[way])
                .collect();
            let total = total(&of);
            let base: f64 = rows
                .iter()
                .filter(|row| is_several(row.0) == several)
                .map(|row| row.2[base_way].time.as_secs_f64())
                .sum();
            let time: f64 = of.iter().map(|run| run.time.as_secs_f64()).sum();
            let swaps: f64 = of.iter().map(|run| run.scores.swaps_per_1000_frames()).sum();
            let share = |value: Option<f64>| {
                value.map_or("-".to_owned(), |value| format!("{:.1} %", 100.0 * value))
            };
            let wrong = total.wrong_flagged + total.wrong_unflagged;
            let right = total.right_flagged + total.right_unflagged;
            text += &format!(
                "| {name} | {:.1} | {} of {} | {} | {} | {:.2} |\n",
                swaps / of.len().max(1) as f64,
                wrong,
                wrong + right,
                share(total.recall()),
                share(total.false_alarms()),
                time / base.max(f64::MIN_POSITIVE),
            );
        }
    }
    text += &flag_table(ways, rows);
    let program = if ways.len() == AGAIN.len() { "two_way --reprompt" } else { "two_way" };
    put_table("docs/passes.md", program, &text);
}

/// Returns how many wrong and right masks of several animals each flag marks.
fn flag_table(ways: &[Way], rows: &[Row]) -> String {
    let of: Vec<&Row> = rows.iter().filter(|row| is_several(row.0)).collect();
    let mut text = format!(
        "\nEach flag, several animals: wrong masks with it / right masks with it:\n\n| flag |{}\n|---|{}\n",
        ways.iter().map(|way| format!(" {} |", way.name)).collect::<String>(),
        "---|".repeat(ways.len())
    );
    for flag in QualityFlag::ALL {
        text += &format!("| `{}` |", flag.name());
        for way in 0..ways.len() {
            let score: FlagScore =
                of.iter().map(|row| row.2[way].flag_score(|flags| flags.contains(flag))).sum();
            text += &format!(" {} / {} |", score.wrong_flagged, score.right_flagged);
        }
        text += "\n";
    }
    text
}

/// Returns true if a kind of clip has several animals.
fn is_several(kind: Kind) -> bool {
    !matches!(kind, Kind::SingleMouse | Kind::SingleWorm | Kind::MouseTurns | Kind::WormCurls)
}

/// Adds up the flags of several runs.
fn total(runs: &[&Run]) -> FlagScore {
    runs.iter().map(|run| run.flag_score(|flags| !flags.is_empty())).sum()
}

fn tell(ways: &[Way], kind: Kind, seed: u64, runs: &[Run]) {
    for (Way { name, .. }, run) in ways.iter().zip(runs) {
        println!("{} {seed} {name:28} {}", kind.name(), summary(&[run]));
    }
}

/// Mean J, swaps in 1,000 frames, wrong masks, flagged masks, share of wrong ones that are flagged,
/// share of right ones that are flagged, and mean time in seconds.
fn summary(runs: &[&Run]) -> String {
    let count = runs.len().max(1) as f64;
    let mean = |value: &dyn Fn(&Run) -> f64| runs.iter().map(|run| value(run)).sum::<f64>() / count;
    let flags = total(runs);
    let share = |value: Option<f64>| 100.0 * value.unwrap_or(0.0);
    format!(
        "{:6.3} {:7.1} {:7} {:7} {:8.1}% {:8.1}% {:5.1} s",
        mean(&|run| run.scores.mean_j()),
        mean(&|run| run.scores.swaps_per_1000_frames()),
        flags.wrong_flagged + flags.wrong_unflagged,
        flags.wrong_flagged + flags.right_flagged,
        share(flags.recall()),
        share(flags.false_alarms()),
        mean(&|run| run.time.as_secs_f64()),
    )
}
