//! Measures the effect of the memory policies on the masks: mean J on the bundled clips and on
//! generated ones (`hard_clips`).
//!
//! `policies [--seeds FROM..TO] [--prompt box|mask] [--generated] [--policy
//! NAME[:OPTION=VALUE[,OPTION=VALUE...]]]... [--write]`
//!
//! Without arguments it compares the official policy with all others at their defaults, on the
//! reported seeds. With `--policy` it compares only with these; options have the names of the
//! fields, and `null` is a value too. `--generated` leaves out the bundled clips. The defaults of
//! the guarded policy were chosen on other seeds ([`TUNED_ON`]). `--write` puts the table into
//! `docs/memory-policies.md`.

#![allow(clippy::unwrap_used)] // A test program: a failure is a failed run.

use std::fmt::Write as _;
use std::ops::Range;

use sam2_engine::MemoryPolicyChoice;
use sam2_tests::clips;
use sam2_tests::hard_clips::{Kind, generate};
use sam2_tests::measuring::{on_workers, put_table, range};
use sam2_tests::policy_runs::{FirstPrompt, bundled_clip, hard_clip, mean};

/// Seeds on which the options were chosen.
const TUNED_ON: Range<u64> = 0..8;
/// Seeds that are reported.
const REPORTED: Range<u64> = 100..116;
/// The policies that are compared with the official one.
const OTHERS: [&str; 4] = ["guarded", "dam4sam", "sam3", "sam2long"];
/// The bundled clips.
const BUNDLED: [&str; 3] = ["mouse-arena", "worm", "two-crossing"];
/// Two mean J count as equal if they differ by no more than this.
const SAME: f64 = 0.005;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Clip {
    Bundled(&'static str),
    Generated(Kind, u64),
}

/// A clip with its mean J for each policy.
struct Row {
    clip: Clip,
    by_policy: Vec<f64>,
}

fn main() {
    let mut seeds = REPORTED;
    let mut prompt = FirstPrompt::Box;
    let mut write = false;
    let mut bundled = &BUNDLED[..];
    let mut policies = vec![("official".to_owned(), MemoryPolicyChoice::Official)];
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = range(&args.next().unwrap()),
            "--prompt" => {
                prompt = match args.next().unwrap().as_str() {
                    "box" => FirstPrompt::Box,
                    "mask" => FirstPrompt::Mask,
                    other => panic!("no prompt is called {other}"),
                }
            }
            "--policy" => {
                let typed = args.next().unwrap();
                let policy = policy(&typed);
                policies.push((typed, policy));
            }
            "--generated" => bundled = &[],
            "--write" => write = true,
            other => panic!("unknown argument {other}"),
        }
    }
    if policies.len() == 1 {
        policies.extend(OTHERS.map(|name| (name.to_owned(), policy(name))));
    }
    let rows = run(&policies, bundled, &seeds, prompt);
    let table = table(&rows, &policies, &seeds);
    println!("seeds {seeds:?}, prompt: {prompt:?}\n{table}");
    if write {
        let names: Vec<&str> = policies[1..].iter().map(|(name, _)| &**name).collect();
        assert_eq!((seeds, prompt, &names[..]), (REPORTED, FirstPrompt::Box, &OTHERS[..]));
        put_table("docs/memory-policies.md", "policies", &table);
        println!("tuned on seeds {TUNED_ON:?}");
    }
}

/// Returns the policy that is called `NAME` or `NAME:OPTION=VALUE,...`.
fn policy(text: &str) -> MemoryPolicyChoice {
    let (name, changes) = text.split_once(':').unwrap_or((text, ""));
    let option = |change: &str| {
        let (option, value) = change.split_once('=').unwrap();
        format!("\"{option}\": {value}")
    };
    let options: Vec<String> = changes.split(',').filter(|c| !c.is_empty()).map(option).collect();
    serde_json::from_str(&format!("{{\"{name}\": {{{}}}}}", options.join(","))).unwrap()
}

/// Tracks every clip with every policy.
fn run(
    policies: &[(String, MemoryPolicyChoice)],
    bundled: &[&'static str],
    seeds: &Range<u64>,
    prompt: FirstPrompt,
) -> Vec<Row> {
    let generated =
        Kind::ALL.into_iter().flat_map(|kind| seeds.clone().map(move |s| Clip::Generated(kind, s)));
    let todo: Vec<Clip> = bundled.iter().copied().map(Clip::Bundled).chain(generated).collect();
    let model = clips::micro_model();
    on_workers(&todo, |clip| {
        let by_policy = policies
            .iter()
            .map(|&(_, policy)| match clip {
                Clip::Bundled(name) => mean(&bundled_clip(&model, name, policy)),
                Clip::Generated(kind, seed) => {
                    mean(&hard_clip(&model, &generate(kind, seed), policy, prompt))
                }
            })
            .collect();
        Row { clip, by_policy }
    })
}

/// Returns a Markdown table: the mean J of each policy and, in brackets, the difference from the
/// first with its standard error, and the numbers of clips that are better, the same and worse.
fn table(rows: &[Row], policies: &[(String, MemoryPolicyChoice)], seeds: &Range<u64>) -> String {
    let mut text = String::from("| clips | n | official |");
    for (name, _) in &policies[1..] {
        let _ = write!(text, " {name} |");
    }
    text.push_str("\n|---|---|---|");
    text.push_str(&"---|".repeat(policies.len() - 1));
    text.push('\n');
    let mut line = |name: &str, belongs: &dyn Fn(Clip) -> bool| {
        let chosen: Vec<&Row> = rows.iter().filter(|row| belongs(row.clip)).collect();
        if chosen.is_empty() {
            return;
        }
        let of = |policy: usize| -> Vec<f64> {
            chosen.iter().map(|row| row.by_policy[policy]).collect()
        };
        let _ = write!(text, "| {name} | {} | {:.3} |", chosen.len(), mean(&of(0)));
        for policy in 1..policies.len() {
            let differences: Vec<f64> =
                of(policy).iter().zip(of(0)).map(|(ours, official)| ours - official).collect();
            let count =
                |wanted: &dyn Fn(f64) -> bool| differences.iter().filter(|&&d| wanted(d)).count();
            let _ = write!(
                text,
                " {:.3} ({:+.3}{}; {} / {} / {}) |",
                mean(&of(policy)),
                mean(&differences),
                standard_error(&differences).map_or(String::new(), |e| format!(" ± {e:.3}")),
                count(&|d| d > SAME),
                count(&|d| d.abs() <= SAME),
                count(&|d| d < -SAME),
            );
        }
        text.push('\n');
    };
    for name in BUNDLED {
        line(name, &|clip| clip == Clip::Bundled(name));
    }
    for kind in Kind::ALL {
        line(kind.name(), &move |clip| matches!(clip, Clip::Generated(k, _) if k == kind));
    }
    line("all generated", &|clip| matches!(clip, Clip::Generated(_, s) if seeds.contains(&s)));
    text
}

/// Returns the standard error of the mean of paired differences.
fn standard_error(differences: &[f64]) -> Option<f64> {
    let n = differences.len() as f64;
    let centre = mean(differences);
    let variance = differences.iter().map(|d| (d - centre).powi(2)).sum::<f64>() / (n - 1.0);
    (n > 1.0).then(|| (variance / n).sqrt())
}
