//! The shape of a worm: a tube along a travelling wave.

use std::f32::consts::TAU;

use super::plan::{Plan, Posture, along, centre};
use crate::noise::Random;

/// The body parts of a track, from head to tail.
pub(super) const PARTS: [&str; 3] = ["head", "mid", "tail"];
/// Number of discs.
const DISCS: usize = 28;
/// The discs of the body parts. The outermost discs are too thin for a pixel to be inside.
const PART_DISCS: [usize; 3] = [DISCS - 3, DISCS / 2, 2];

/// The proportions and the movement of a worm. Lengths are relative to its scale; it is 2.2 long.
#[derive(Clone, Debug)]
pub(super) struct Worm {
    half_width: f32,
    waves: f32,
    /// Amplitude of the direction along the worm, in rad.
    amplitude: f32,
    /// Waves that pass in a frame.
    speed: f32,
    phase: f32,
}

impl Worm {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            half_width: random.uniform(0.11, 0.15),
            waves: random.uniform(0.6, 1.0),
            amplitude: random.uniform(0.4, 0.8),
            speed: random.uniform(0.008, 0.02),
            phase: random.uniform(0.0, TAU),
        }
    }

    /// Returns a worm of nearly the same proportions that moves in its own way.
    pub(super) fn look_alike(&self, random: &mut Random) -> Self {
        let other = Self::new(random);
        Self { half_width: self.half_width * random.uniform(0.95, 1.05), ..other }
    }

    /// Returns the shape at a time, with its head towards positive x.
    pub(super) fn plan(&self, time: f32, posture: Posture) -> Plan {
        let share = |index: usize| index as f32 / (DISCS - 1) as f32;
        // A worm that curls stops crawling; its wave would undo a part of the curl.
        let amplitude = self.amplitude / (1.0 + posture.curl.abs());
        let angles: Vec<f32> = (0..DISCS)
            .map(|i| {
                let wave = TAU * (self.waves * share(i) - self.speed * time) + self.phase;
                amplitude * wave.sin() + posture.curl * (share(i) - 0.5)
            })
            .collect();
        let mut body = along(&angles, 2.2 / DISCS as f32 * posture.stretch);
        centre(&mut body, 0.0);
        for (i, disc) in body.iter_mut().enumerate() {
            let thick = (1.0 - (2.0 * share(i) - 1.0).powi(4)).max(0.0).sqrt();
            disc.radius = self.half_width * thick + 0.008;
        }
        let parts = PART_DISCS.map(|at| [body[at].x, body[at].y]).to_vec();
        Plan { tubes: vec![body], parts }
    }
}
