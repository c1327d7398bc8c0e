//! The option behind the remedy that an error of the library speaks of. The library itself knows no command line.

use sam2_engine::{
    COMPUTED_WITH, DeviceFailure, EngineError, KeypointError, MergeError, ReceiptMismatch,
    RunFileError, WriteError,
};

/// The option to try, if one is the remedy.
pub fn option(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(engine) = error.downcast_ref::<EngineError>() {
        return match engine {
            EngineError::Write(error) => of_write(error),
            EngineError::Keypoints(error) => of_keypoints(error),
            EngineError::Device(_) => Some("--device"),
            EngineError::DeviceFailure(failure) => Some(of_device(failure)),
            EngineError::PartBorder { .. } => Some("--frames, or --batch-size for other borders"),
            EngineError::EmptyPart { .. } => Some("--frames"),
            EngineError::PartOfCarriedOver { .. } => Some("--carry-over"),
            EngineError::OtherRun { what, .. } if what == COMPUTED_WITH => {
                Some("--mixed-processors goes on all the same")
            }
            EngineError::Merge(MergeError::Different { difference, .. })
                if difference.starts_with(COMPUTED_WITH) =>
            {
                Some("--mixed-processors puts them together all the same")
            }
            EngineError::OtherRun { .. } | EngineError::DamagedJournal { .. } => {
                Some("leave out --resume to begin anew")
            }
            EngineError::RunFile(RunFileError::Unfinished { .. }) => Some("--resume"),
            _ => None,
        };
    }
    if error.downcast_ref::<ReceiptMismatch>().is_some() {
        return Some("--overwrite makes it anew; or choose another name");
    }
    error.downcast_ref().and_then(of_write).or_else(|| error.downcast_ref().and_then(of_keypoints))
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
        let cases: [(anyhow::Error, Option<&str>); 6] = [
            (exists().into(), Some("--overwrite")),
            (anyhow::Error::from(exists()).context("while writing"), Some("--overwrite")),
            (EngineError::from(exists()).into(), Some("--overwrite")),
            (EngineError::from(rows()).into(), Some("--allow-row-mismatch")),
            (EngineError::from(full()).into(), Some("--precision f16, --image-size, --device cpu")),
            (EngineError::NoPrompts.into(), None),
        ];
        for (error, expected) in cases {
            assert_eq!(option(&error), expected, "{error}");
        }
    }
}
