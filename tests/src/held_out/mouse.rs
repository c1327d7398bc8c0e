//! The shape of a mouse from above: a bent body, two ears and a tail.

use std::f32::consts::{PI, TAU};

use super::plan::{Plan, Posture, along, centre};
use super::tube::Disc;
use crate::noise::Random;

/// The body parts of a track, from head to tail.
pub(super) const PARTS: [&str; 3] = ["snout", "body", "tailbase"];
/// Number of discs of the body.
const BODY: usize = 18;
/// Number of discs of the tail.
const TAIL: usize = 16;
/// The disc at which the ears are.
const EARS: usize = 13;
/// The discs of the body parts.
const PART_DISCS: [usize; 3] = [BODY - 1, 8, 0];

/// The proportions and the movements of a mouse. Lengths are relative to its scale; the body is 1.5
/// long.
#[derive(Clone, Debug)]
pub(super) struct Mouse {
    width: f32,
    ear: f32,
    tail: f32,
    /// Largest bend of the body to either side, in rad.
    bend: f32,
    bend_speed: f32,
    bend_phase: f32,
    tail_curl: f32,
    tail_speed: f32,
    tail_phase: f32,
}

impl Mouse {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            width: random.uniform(0.74, 0.95),
            ear: random.uniform(0.10, 0.15),
            tail: random.uniform(0.6, 1.0),
            bend: random.uniform(0.1, 0.4),
            bend_speed: random.uniform(0.05, 0.15),
            bend_phase: random.uniform(0.0, TAU),
            tail_curl: random.uniform(-0.6, 0.6),
            tail_speed: random.uniform(0.02, 0.06),
            tail_phase: random.uniform(0.0, TAU),
        }
    }

    /// Returns a mouse of nearly the same proportions that moves in its own way.
    pub(super) fn look_alike(&self, random: &mut Random) -> Self {
        let other = Self::new(random);
        Self {
            width: self.width * random.uniform(0.96, 1.04),
            ear: self.ear * random.uniform(0.95, 1.05),
            tail: self.tail * random.uniform(0.95, 1.05),
            ..other
        }
    }

    /// Returns the shape at a time, with its nose towards positive x.
    pub(super) fn plan(&self, time: f32, posture: Posture) -> Plan {
        let sway = self.bend * (self.bend_speed * time + self.bend_phase).sin() + posture.curl;
        let share = |index: usize, of: usize| index as f32 / (of - 1) as f32;
        let angles: Vec<f32> = (0..BODY).map(|i| sway * (2.0 * share(i, BODY) - 1.0)).collect();
        let mut body = along(&angles, 1.5 / BODY as f32 * posture.stretch);
        centre(&mut body, 0.1);
        for (i, disc) in body.iter_mut().enumerate() {
            let s = share(i, BODY);
            let round = (PI * s.clamp(0.02, 0.98).powf(0.75)).sin().max(0.0).powf(0.7);
            disc.radius = 0.40 * self.width * round * (1.0 - 0.35 * s) + 0.03;
        }
        let neck = body[EARS];
        let (across_x, across_y) = (-angles[EARS].sin(), angles[EARS].cos());
        let ear = |side: f32| Disc {
            x: neck.x + side * neck.radius * across_x,
            y: neck.y + side * neck.radius * across_y,
            radius: self.ear,
        };
        let tail_angles: Vec<f32> = (0..TAIL)
            .map(|i| {
                let u = share(i, TAIL);
                let wave = TAU * (u - self.tail_speed * time) + self.tail_phase;
                PI + angles[0] + self.tail_curl * u + 0.5 * wave.sin() * u
            })
            .collect();
        let mut tail = along(&tail_angles, self.tail / TAIL as f32);
        for (i, disc) in tail.iter_mut().enumerate() {
            (disc.x, disc.y) = (disc.x + body[0].x + 0.08, disc.y + body[0].y);
            disc.radius = 0.045 * (1.0 - 0.7 * share(i, TAIL)) + 0.008;
        }
        let parts = PART_DISCS.map(|at| [body[at].x, body[at].y]).to_vec();
        Plan { tubes: vec![tail, vec![ear(-1.0)], vec![ear(1.0)], body], parts }
    }
}
