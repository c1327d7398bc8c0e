//! Names the command-line option that helps against an error of the library, which itself knows no
//! command line, and what a misspelt name of a track was meant to be.

use sam2_engine::{DeviceFailure, EngineError, RunFileError, WriteError};
use sam2_jobs::{COMPUTED_WITH, JobError, KeypointError, MergeError, ReceiptMismatch};

use crate::alike::suggestion;

/// Returns the option to try, if an option can help.
pub fn option(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(job) = error.downcast_ref::<JobError>() {
        return of_job(job);
    }
    if let Some(engine) = error.downcast_ref::<EngineError>() {
        return of_engine(engine);
    }
    if error.downcast_ref::<ReceiptMismatch>().is_some() {
        return Some("--overwrite makes it anew; or choose another name");
    }
    error.downcast_ref().and_then(of_write).or_else(|| error.downcast_ref().and_then(of_keypoints))
}

/// Returns `: did you mean 'snout'?` for a name that the track does not have, or nothing.
pub fn meant(error: &anyhow::Error) -> String {
    let of_job = |error: &JobError| match error {
        JobError::Keypoints(error) => Some(name_meant(error)),
        _ => None,
    };
    let direct = error.downcast_ref().map(name_meant);
    direct.or_else(|| error.downcast_ref().and_then(of_job)).unwrap_or_default()
}

fn name_meant(error: &KeypointError) -> String {
    match error {
        KeypointError::UnknownBodypart { name, available, .. }
        | KeypointError::UnknownIndividual { name, available, .. }
        | KeypointError::UnknownRecording { name, available, .. } => {
            suggestion(name, available.iter().map(String::as_str))
        }
        _ => String::new(),
    }
}

fn of_job(error: &JobError) -> Option<&'static str> {
    match error {
        JobError::Engine(error) => of_engine(error),
        JobError::Write(error) => of_write(error),
        JobError::Keypoints(error) => of_keypoints(error),
        JobError::PartBorder { .. } => Some("--frames, or --batch-size for other borders"),
        JobError::EmptyPart { .. } => Some("--frames"),
        JobError::PartOfCarriedOver { .. } | JobError::NothingToCarryOver => Some("--carry-over"),
        JobError::FramesAcrossBatches { .. } => Some("--frames-mode"),
        JobError::LogitsBetween => Some("--every"),
        JobError::NothingToCompare => Some("--passes"),
        JobError::NothingToPromptFrom => Some("--keypoints"),
        JobError::OtherRun { what, .. } if what == COMPUTED_WITH => {
            Some("--mixed-processors continues anyway")
        }
        JobError::Merge(MergeError::Different { difference, .. })
            if difference.starts_with(COMPUTED_WITH) =>
        {
            Some("--mixed-processors merges them anyway")
        }
        JobError::OtherRun { .. } | JobError::DamagedJournal { .. } => {
            Some("leave out --resume to begin anew")
        }
        JobError::RunFile(RunFileError::Unfinished { .. }) => Some("--resume"),
        _ => None,
    }
}

fn of_engine(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Write(error) => of_write(error),
        EngineError::Device(_) => Some("--device"),
        EngineError::DeviceFailure(failure) => Some(of_device(failure)),
        _ => None,
    }
}

fn of_device(failure: &DeviceFailure) -> &'static str {
    match failure {
        DeviceFailure::OutOfMemory { .. } => "--precision f16, --image-size, --device cpu",
        DeviceFailure::Lost { .. } => "--device cpu",
        _ => "--precision f32, --device",
    }
}

fn of_write(error: &WriteError) -> Option<&'static str> {
    matches!(error, WriteError::Exists(_)).then_some("--overwrite")
}

fn of_keypoints(error: &KeypointError) -> Option<&'static str> {
    match error {
        KeypointError::UnknownIndividual { .. } | KeypointError::TooManyIndividuals { .. } => {
            Some("--individual")
        }
        KeypointError::RowCount { .. } | KeypointError::MissingRows { .. } => {
            Some("--allow-row-mismatch")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn the_option_is_found_below_context_and_in_the_engines_error() {
        let exists = || WriteError::Exists(PathBuf::from("masks.btf"));
        let rows = || KeypointError::RowCount { path: PathBuf::new(), rows: 1, last: 0, frames: 2 };
        let full = || DeviceFailure::from_message("out of memory");
        let cases: [(anyhow::Error, Option<&str>); 7] = [
            (exists().into(), Some("--overwrite")),
            (anyhow::Error::from(exists()).context("while writing"), Some("--overwrite")),
            (JobError::from(exists()).into(), Some("--overwrite")),
            (JobError::from(rows()).into(), Some("--allow-row-mismatch")),
            (EngineError::from(full()).into(), Some("--precision f16, --image-size, --device cpu")),
            (EngineError::from(exists()).into(), Some("--overwrite")),
            (EngineError::NoPrompts.into(), None),
        ];
        for (error, expected) in cases {
            assert_eq!(option(&error), expected, "{error}");
        }
    }
}
