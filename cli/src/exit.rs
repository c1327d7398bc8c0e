//! Exit codes, as documented in `--help`.

use std::process::ExitCode;

use sam2_engine::EngineError;

/// How the program ends. Wrong command lines end with 2 (by clap).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything was done.
    Done,
    /// Nothing was written; the message says why.
    Failed,
    /// The output is complete, but some batches had no usable prompt and are empty; or frames are damaged.
    Flawed,
    /// Stopped by Ctrl-C or SIGTERM; carries the signal's number.
    Interrupted(u8),
}

impl ExitStatus {
    /// The status of an error.
    pub fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<EngineError>() {
            Some(EngineError::Cancelled { .. }) => {
                Self::Interrupted(crate::segment::received_signal().unwrap_or(2))
            }
            _ => Self::Failed,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Done => Self::SUCCESS,
            ExitStatus::Failed => Self::from(1),
            ExitStatus::Flawed => Self::from(3),
            ExitStatus::Interrupted(signal) => Self::from(128 + signal),
        }
    }
}
