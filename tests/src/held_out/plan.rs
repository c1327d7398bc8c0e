//! The shape of an animal before it is put into a frame.

use super::tube::Disc;

/// A shape whose length is about 2, centred at 0, before it is put into a frame.
pub(super) struct Plan {
    /// The tubes, as chains of discs.
    pub(super) tubes: Vec<Vec<Disc>>,
    /// The places of the body parts.
    pub(super) parts: Vec<[f32; 2]>,
}

/// What an animal does with its body, apart from what it always does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Posture {
    /// Length relative to the usual one.
    pub(super) stretch: f32,
    /// Additional bend from end to end, in rad.
    pub(super) curl: f32,
}

impl Posture {
    /// Nothing special.
    pub(super) const USUAL: Self = Self { stretch: 1.0, curl: 0.0 };
}

/// Returns points that follow each other in these directions, one step apart; without radius.
pub(super) fn along(angles: &[f32], step: f32) -> Vec<Disc> {
    let (mut x, mut y) = (0.0, 0.0);
    angles
        .iter()
        .map(|angle| {
            (x, y) = (x + step * angle.cos(), y + step * angle.sin());
            Disc { x, y, radius: 0.0 }
        })
        .collect()
}

/// Moves points so that their mean is at (`x`, 0).
pub(super) fn centre(discs: &mut [Disc], x: f32) {
    let count = discs.len() as f32;
    let mean_x = discs.iter().map(|disc| disc.x).sum::<f32>() / count - x;
    let mean_y = discs.iter().map(|disc| disc.y).sum::<f32>() / count;
    for disc in discs {
        (disc.x, disc.y) = (disc.x - mean_x, disc.y - mean_y);
    }
}
