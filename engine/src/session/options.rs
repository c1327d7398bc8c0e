//! How a session behaves.

use crate::memory_bank::MemoryRetention;

/// Options of a [`super::VideoSession`]; the defaults are the official predictor's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionOptions {
    /// Holes in a mask of up to this many low-resolution pixels (a quarter of the model's side) are filled; 0 = off. Official: 8 on a
    /// GPU. Without its CUDA extension PyTorch skips the step silently.
    pub fill_hole_area: u32,
    /// Frames that are corrected after they were tracked become conditioning frames too. Official default: false.
    pub corrections_condition: bool,
    /// How much of the past is kept.
    pub retention: MemoryRetention,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            fill_hole_area: 8,
            corrections_condition: false,
            retention: MemoryRetention::Bounded,
        }
    }
}
