//! Exit codes, as documented in `--help` and `docs/exit-codes.md`.

use sam2_jobs::JobError;
use std::process::ExitCode;

use crate::job_file_error::JobFileError;

/// Text at the end of `--help`.
pub const HELP: &str = "\
Always: -v more, -vv all, -q less, --log-format json, --config-file FILE
Also: completions SHELL, man, legacy-pipeline. Examples: sam2 COMMAND --help
Exit codes: 0 done, 1 failed, 2 wrong command line, 3 done with something
missing or damaged, 4 some recordings failed, 129, 130 or 143 stopped by signal";

/// What each exit code means, for the manual pages.
pub const MEANINGS: [(u8, &str); 8] = [
    (0, "Everything was done."),
    (
        1,
        "It failed. Nothing is left under the output's name. The last line says why, and what to do.",
    ),
    (2, "The command line, the settings or the job file are wrong."),
    (
        3,
        "It is done, but some batches had no usable prompt and are empty, frames are missing, or `sam2 probe --verify` found damaged \
         ones.",
    ),
    (4, "Some of many recordings failed. The others are done."),
    (129, "The terminal or the connection was closed (SIGHUP). Continue with --resume."),
    (130, "Interrupted by Ctrl-C (SIGINT). Continue with --resume."),
    (
        143,
        "Stopped by SIGTERM, which batch systems send at the time limit. Continue with --resume.",
    ),
];

/// How the program ends. clap itself ends with code 2 for an invalid command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything was done.
    Done,
    /// Nothing was written; the message says why.
    Failed,
    /// The job file is invalid.
    Usage,
    /// The output is complete, but some batches had no usable prompt and are empty, or the
    /// recording has damaged frames or fewer frames than it declares.
    Flawed,
    /// Some of several recordings failed; the others are done.
    PartlyFailed,
    /// Stopped by Ctrl-C, SIGTERM or SIGHUP; holds the signal's number.
    Interrupted(u8),
}

impl ExitStatus {
    /// Returns the status for an error.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.downcast_ref::<JobFileError>().is_some() {
            return Self::Usage;
        }
        match error.downcast_ref::<JobError>() {
            Some(JobError::Cancelled { .. }) => {
                Self::Interrupted(crate::signals::received().unwrap_or(2))
            }
            _ => Self::Failed,
        }
    }

    /// Returns the status for several recordings.
    pub fn of_all(each: &[Self]) -> Self {
        let any = |wanted: fn(&Self) -> bool| each.iter().copied().find(wanted);
        if let Some(interrupted) = any(|status| matches!(status, Self::Interrupted(_))) {
            return interrupted;
        }
        let failed = |status: &&Self| matches!(status, Self::Failed | Self::Usage);
        match each.iter().filter(failed).count() {
            0 => any(|status| *status == Self::Flawed).unwrap_or(Self::Done),
            count if count == each.len() => Self::Failed,
            _ => Self::PartlyFailed,
        }
    }
}

impl ExitStatus {
    /// Returns the exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Flawed => 3,
            Self::PartlyFailed => 4,
            Self::Interrupted(signal) => 128_u8.saturating_add(signal),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::ExitStatus::*;
    use super::*;

    /// Every status with its code. The signals are those that `signals.rs` handles.
    const EVERY: [(ExitStatus, u8); 8] = [
        (Done, 0),
        (Failed, 1),
        (Usage, 2),
        (Flawed, 3),
        (PartlyFailed, 4),
        (Interrupted(1), 129),
        (Interrupted(2), 130),
        (Interrupted(15), 143),
    ];

    #[test]
    fn help_and_the_document_name_every_code_and_no_other() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/exit-codes.md");
        let document = std::fs::read_to_string(document).unwrap();
        let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
        let mut rows: Vec<u8> = rows.filter_map(|code| code.parse().ok()).collect();
        rows.sort_unstable();
        assert_eq!(rows, EVERY.map(|(_, code)| code), "the table of docs/exit-codes.md");
        let (_, codes) = HELP.split_once("Exit codes:").unwrap();
        let numbers = codes.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
        assert_eq!(numbers.collect::<Vec<u8>>(), EVERY.map(|(_, code)| code), "--help");
        assert_eq!(MEANINGS.map(|(code, _)| code), EVERY.map(|(_, code)| code), "the manual");
        for (status, code) in EVERY {
            assert_eq!(status.code(), code, "{status:?}");
        }
    }

    #[test]
    fn one_bad_recording_changes_the_status_of_all() {
        let cases: [(&[ExitStatus], ExitStatus); 7] = [
            (&[Done, Done], Done),
            (&[Done, Flawed], Flawed),
            (&[Done, Failed, Flawed], PartlyFailed),
            (&[Failed, Failed], Failed),
            (&[Failed], Failed),
            (&[Done, Interrupted(15)], Interrupted(15)),
            (&[Failed, Interrupted(2)], Interrupted(2)),
        ];
        for (each, all) in cases {
            assert_eq!(ExitStatus::of_all(each), all, "{each:?}");
        }
    }
}
