//! Findings from opening a file or a folder with many images.

use std::path::Path;

use crate::source_info::Flaws;

/// Findings from opening a stack: warnings, and whether frames are missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct StackNotes {
    /// One sentence each, in the order of discovery.
    pub(crate) warnings: Vec<String>,
    /// Reason why frames are missing, from the first finding that gives one.
    missing_frames: Option<String>,
}

impl StackNotes {
    /// Starts with warnings that say nothing about missing frames.
    pub(crate) fn with_warnings(warnings: Vec<String>) -> Self {
        Self { warnings, missing_frames: None }
    }

    /// Adds a warning that says nothing about missing frames.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Records that frames are missing, and adds a warning.
    pub(crate) fn truncated(&mut self, path: &Path, why: String) {
        self.warnings.push(format!("{}: truncated: {why}", path.display()));
        self.missing_frames.get_or_insert(why);
    }

    /// Returns the flaws of the stack as a whole.
    pub(crate) fn flaws(&self) -> Flaws {
        Flaws { missing_frames: self.missing_frames.clone(), size_change: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_truncated_only_if_that_was_noted() {
        let mut notes = StackNotes::default();
        // A file name that contains the words of the warning does not cause a flaw.
        notes.warn("a: truncated: b.tif: page 3 is of another size".into());
        assert_eq!(notes.flaws().missing_frames, None);
        notes.truncated(Path::new("a: truncated: b.tif"), "8 pages claimed, 5 are there".into());
        notes.truncated(Path::new("a.tif"), "another finding".into());
        assert_eq!(
            notes.warnings[1],
            "a: truncated: b.tif: truncated: 8 pages claimed, 5 are there"
        );
        assert_eq!(notes.flaws().missing_frames.as_deref(), Some("8 pages claimed, 5 are there"));
    }
}
