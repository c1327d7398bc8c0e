//! `sam2 doctor`: checks whether this machine is ready and, if not, says what to do.
//!
//! There is one file for each kind of check. A check reports what it found, whether that is good,
//! and what to do if not. It changes nothing and finishes within moments.

mod cuda;
mod gpu;
mod locale;
mod memory;
mod models;
mod processor;
mod temporary;
mod video;

use std::fmt;

use anyhow::Result;

use crate::args::DoctorArgs;
use crate::exit::ExitStatus;
use crate::settings::Settings;
use crate::standard_output::print;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// Some jobs will fail.
    Problem,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// Result of one check.
#[derive(Clone, Debug)]
struct Finding {
    subject: &'static str,
    health: Health,
    found: String,
    /// What to do. Set for everything except [`Health::Ok`].
    remedy: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self { subject, health: Health::Ok, found: found.into(), remedy: None }
    }

    fn warning(subject: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { subject, health: Health::Warning, found: found.into(), remedy }
    }

    fn problem(subject: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { subject, health: Health::Problem, found: found.into(), remedy }
    }
}

/// Runs all checks; fails if there is a problem. `settings_problem` is the reason why the settings
/// could not be used.
pub fn run(
    args: &DoctorArgs,
    settings: &Settings,
    settings_problem: Option<&str>,
) -> Result<ExitStatus> {
    let mut findings = vec![Finding::ok("version", env!("CARGO_PKG_VERSION"))];
    findings.extend(video::check());
    findings.extend(processor::check());
    findings.extend(memory::check());
    findings.extend(gpu::check());
    findings.push(models::check());
    findings.push(temporary::check());
    findings.push(of_settings(settings, settings_problem));
    findings.push(locale::check(|name| std::env::var(name).ok()));
    let worst = findings.iter().map(|finding| finding.health).max().unwrap_or(Health::Ok);
    print(if args.json { json(&findings, worst) } else { table(&findings, worst) })?;
    Ok(if worst == Health::Problem { ExitStatus::Failed } else { ExitStatus::Done })
}

fn of_settings(settings: &Settings, problem: Option<&str>) -> Finding {
    const SUBJECT: &str = "settings";
    if let Some(problem) = problem {
        return Finding::problem(SUBJECT, problem, "correct it: other commands refuse to start");
    }
    let strange = crate::settings::unknown_variables(&crate::command_line::description());
    if !strange.is_empty() {
        return Finding::warning(SUBJECT, strange.join("; "), "correct or unset it");
    }
    let count = settings.len();
    let file = settings
        .file()
        .map_or_else(|| "no settings file".to_owned(), |path| path.display().to_string());
    Finding::ok(SUBJECT, format!("{file}, {count} set (`sam2 config` shows them)"))
}

fn table(findings: &[Finding], worst: Health) -> String {
    let mut text = String::new();
    for Finding { subject, health, found, remedy } in findings {
        text.push_str(&format!("{health:<8} {subject:<12} {found}\n"));
        if let Some(remedy) = remedy {
            text.push_str(&format!("{:<22}-> {remedy}\n", ""));
        }
    }
    let count = |wanted| findings.iter().filter(|finding| finding.health == wanted).count();
    let (problems, warnings) = (count(Health::Problem), count(Health::Warning));
    text.push_str(&match worst {
        Health::Ok => "\nall is well\n".to_owned(),
        _ => format!("\nproblems: {problems}, warnings: {warnings}\n"),
    });
    text
}

fn json(findings: &[Finding], worst: Health) -> String {
    let all: Vec<_> = findings
        .iter()
        .map(|finding| {
            serde_json::json!({
                "subject": finding.subject,
                "status": finding.health.to_string(),
                "found": finding.found,
                "remedy": finding.remedy,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::json!({ "status": worst.to_string(), "checks": all }))
}
