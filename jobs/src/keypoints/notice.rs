//! Notices for the user about a track.

use std::fmt;

/// A notice for the user about how a track was used: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackNotice {
    /// How the file was read.
    Info(String),
    /// The program had to guess, or left something out.
    Warning(String),
}

impl fmt::Display for TrackNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Info(text) | Self::Warning(text)) = self;
        f.write_str(text)
    }
}
