//! The part of the picture that a session uses, and how it fits the network's input.

use std::fmt;
use std::str::FromStr;

use sam2_frame_provider::FrameSize;
use serde::{Deserialize, Serialize};

use crate::prompt::Point;

/// A rectangle of a recording's frames, in pixels. As text: `x,y,width,height`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

impl Region {
    /// Returns whether the region is not empty and lies within frames of this size.
    pub fn is_within(self, size: FrameSize) -> bool {
        let within = |start: u32, length: u32, all: u32| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= all)
        };
        within(self.x, self.width, size.width) && within(self.y, self.height, size.height)
    }

    /// Returns whether a point of the recording lies in the region, edges included; false for NaN.
    pub fn contains(self, point: Point) -> bool {
        let inside = |at: f32, start: u32, length: u32| {
            at >= start as f32 && at <= start as f32 + length as f32
        };
        inside(point.x, self.x, self.width) && inside(point.y, self.y, self.height)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.x, self.y, self.width, self.height)
    }
}

/// Error: the text is not a valid [`Region`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a region: give x,y,width,height in pixels, such as 100,50,400,300")]
pub struct ParseRegionError(String);

impl FromStr for Region {
    type Err = ParseRegionError;

    fn from_str(text: &str) -> Result<Self, ParseRegionError> {
        let numbers: Option<Vec<u32>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[x, y, width, height]) if width > 0 && height > 0 => {
                Ok(Self { x, y, width, height })
            }
            _ => Err(ParseRegionError(text.to_owned())),
        }
    }
}

/// How a frame fits the network's square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fit {
    /// Squashed to a square, as the official code does; the published weights were trained that
    /// way.
    #[default]
    Squash,
    /// Keeps the proportions, at the top left; the rest is filled with the mean colour. For long,
    /// narrow frames, whose objects would be distorted by squashing beyond what the network knows.
    /// It loses resolution along the short side.
    Letterbox,
}
