//! Ranges of frames, in words.

use std::fmt;
use std::ops::Range;

/// A range of frames as a sentence names it: `frame 5`, or `frames 5 to 9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSpan(pub Range<usize>);

impl FrameSpan {
    /// Creates the range from `first` to `last`, both inclusive.
    pub(super) fn inclusive(first: usize, last: usize) -> Self {
        Self(first..last.saturating_add(1))
    }

    /// Returns the verb for the range: `is` or `are`.
    pub fn are(&self) -> &'static str {
        if self.0.len() == 1 { "is" } else { "are" }
    }
}

impl fmt::Display for FrameSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.0;
        match self.0.len() {
            1 => write!(f, "frame {start}"),
            _ => write!(f, "frames {start} to {}", end.saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_frame_is_no_stretch() {
        let told = |range: Range<usize>| {
            let span = FrameSpan(range);
            format!("{span} {}", span.are())
        };
        assert_eq!(told(5..6), "frame 5 is");
        assert_eq!(told(5..10), "frames 5 to 9 are");
        assert_eq!(FrameSpan::inclusive(5, 9), FrameSpan(5..10));
    }
}
