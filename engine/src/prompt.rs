//! Prompts for an object, in the recording's pixels.

use std::fmt;

use sam2_model::PointLabel;
use serde::{Deserialize, Serialize};

/// The user's number for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectId(pub u32);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A click: x to the right, y down, in pixels of the recording (not of the model's input).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Column, 0 <= x < width.
    pub x: f32,
    /// Row, 0 <= y < height.
    pub y: f32,
    /// Whether the point is part of the object.
    pub label: PointLabel,
}

impl Point {
    /// Returns a point on the object.
    pub fn positive(x: f32, y: f32) -> Self {
        Self { x, y, label: PointLabel::Positive }
    }

    /// Returns a point outside the object.
    pub fn negative(x: f32, y: f32) -> Self {
        Self { x, y, label: PointLabel::Negative }
    }
}

/// A box around an object, in pixels of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxPrompt {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge, > `x0`.
    pub x1: f32,
    /// Bottom edge, > `y0`.
    pub y1: f32,
}

impl BoxPrompt {
    /// Returns the corners in the order of the prompt encoder, top-left first.
    pub fn corners(self) -> [Point; 2] {
        [
            Point { x: self.x0, y: self.y0, label: PointLabel::BoxTopLeft },
            Point { x: self.x1, y: self.y1, label: PointLabel::BoxBottomRight },
        ]
    }
}
