//! What a user says about an object, in the recording's pixels.

use std::fmt;

use sam2_model::PointLabel;

/// The user's number for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u32);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A click: x to the right, y down, in pixels of the recording (not of the model's input).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Column, 0 <= x < width.
    pub x: f32,
    /// Row, 0 <= y < height.
    pub y: f32,
    /// Part of the object or not.
    pub label: PointLabel,
}

impl Point {
    /// A point on the object.
    pub fn positive(x: f32, y: f32) -> Self {
        Self { x, y, label: PointLabel::Positive }
    }

    /// A point beside the object.
    pub fn negative(x: f32, y: f32) -> Self {
        Self { x, y, label: PointLabel::Negative }
    }
}

/// A box around an object, in pixels of the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// The corners as the prompt encoder reads them, top-left first.
    pub(crate) fn corners(self) -> [Point; 2] {
        [
            Point { x: self.x0, y: self.y0, label: PointLabel::BoxTopLeft },
            Point { x: self.x1, y: self.y1, label: PointLabel::BoxBottomRight },
        ]
    }
}
