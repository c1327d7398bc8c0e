//! Paths: places that an animal passes at given times, and smooth motion between them.

use std::f32::consts::{PI, TAU};

use super::animal::Pose;
use super::plan::Posture;
use crate::noise::Random;

/// Largest turn of an animal in a frame, in rad.
const MOST_TURN: f32 = 0.22;
/// Slower animals, in pixels for each frame, do not turn.
const STILL: f32 = 0.3;

/// Part of the picture: left, top, right, bottom in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area(pub(super) [f32; 4]);

impl Area {
    /// Returns a random point.
    pub(super) fn point(self, random: &mut Random) -> [f32; 2] {
        let [left, top, right, bottom] = self.0;
        [random.uniform(left, right), random.uniform(top, bottom)]
    }
}

/// Places with their times, in frames, ascending.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    stops: Vec<(f32, [f32; 2])>,
}

impl Walk {
    /// Starts at a place on frame 0.
    pub(super) fn from(at: [f32; 2]) -> Self {
        Self { stops: vec![(0.0, at)] }
    }

    /// Returns the last time and place.
    pub(super) fn end(&self) -> (f32, [f32; 2]) {
        self.stops.last().copied().unwrap_or_default()
    }

    /// Walks to a place, which is reached `frames` frames later.
    pub(super) fn to(&mut self, at: [f32; 2], frames: f32) {
        self.stops.push((self.end().0 + frames, at));
    }

    /// Stays for a number of frames.
    pub(super) fn stay(&mut self, frames: f32) {
        self.to(self.end().1, frames);
    }

    /// Walks to a random point of an area, at about `pace` pixels for each frame.
    pub(super) fn wander(&mut self, random: &mut Random, area: Area, pace: f32) {
        let (to, frames) = self.next_leg(random, area, pace);
        self.to(to, frames);
    }

    /// Walks between random points of an area for exactly this number of frames; the last leg ends
    /// on the way.
    pub(super) fn wander_for(&mut self, random: &mut Random, area: Area, frames: f32, pace: f32) {
        let until = self.end().0 + frames;
        while self.end().0 < until {
            let (time, from) = self.end();
            let (to, frames) = self.next_leg(random, area, pace);
            let left = until - time;
            if frames < left {
                self.to(to, frames);
            } else {
                let share = left / frames;
                let on_the_way = [0, 1].map(|axis| from[axis] + share * (to[axis] - from[axis]));
                self.stops.push((until, on_the_way));
            }
        }
    }

    /// Returns a random point of an area, and the number of frames that the way there takes.
    fn next_leg(&self, random: &mut Random, area: Area, pace: f32) -> ([f32; 2], f32) {
        let (_, from) = self.end();
        let to = area.point(random);
        let distance = (to[0] - from[0]).hypot(to[1] - from[1]);
        // Turning round takes a moment.
        (to, (distance / (pace * random.uniform(0.7, 1.3))).max(12.0))
    }

    /// Returns true if a longer walk would not change the first `frames` frames.
    pub(super) fn covers(&self, frames: usize) -> bool {
        self.stops.iter().rev().nth(2).is_some_and(|stop| stop.0 > frames as f32)
    }

    /// Returns the velocity at a stop; 0 where the animal stays.
    fn velocity(&self, stop: usize) -> [f32; 2] {
        let (before, after) = (stop.saturating_sub(1), (stop + 1).min(self.stops.len() - 1));
        let ((from, a), (to, b)) = (self.stops[before], self.stops[after]);
        let at = self.stops[stop].1;
        let stays = (before != stop && a == at) || (after != stop && b == at);
        if stays || to <= from {
            return [0.0, 0.0];
        }
        [0, 1].map(|axis| (b[axis] - a[axis]) / (to - from))
    }

    /// Returns the place at a time, on a cubic curve through the stops.
    pub(super) fn at(&self, time: f32) -> [f32; 2] {
        let next = self.stops.partition_point(|stop| stop.0 <= time);
        if next == 0 || next == self.stops.len() {
            return if next == 0 { self.stops[0].1 } else { self.end().1 };
        }
        let ((from, a), (to, b)) = (self.stops[next - 1], self.stops[next]);
        let (out, into) = (self.velocity(next - 1), self.velocity(next));
        let length = to - from;
        let t = (time - from) / length;
        let (t2, t3) = (t * t, t * t * t);
        // Written so that an animal that stays is exactly still.
        [0, 1].map(|axis| {
            a[axis]
                + (3.0 * t2 - 2.0 * t3) * (b[axis] - a[axis])
                + (t3 - 2.0 * t2 + t) * length * out[axis]
                + (t3 - t2) * length * into[axis]
        })
    }

    /// Returns the poses of the first `frames` frames. The head points to where the animal goes,
    /// and to `heading` before it has moved.
    pub(super) fn poses(&self, frames: usize, heading: f32) -> Vec<Pose> {
        let step = |frame: usize| {
            let (a, b) = (self.at(frame as f32), self.at((frame + 1) as f32));
            [b[0] - a[0], b[1] - a[1]]
        };
        let mut heading = heading;
        (0..frames)
            .map(|frame| {
                let [x, y] = step(frame);
                if x.hypot(y) > STILL {
                    let wanted = y.atan2(x);
                    let turn = (wanted - heading + PI).rem_euclid(TAU) - PI;
                    heading += if frame == 0 { turn } else { turn.clamp(-MOST_TURN, MOST_TURN) };
                }
                Pose { at: self.at(frame as f32), heading, posture: Posture::USUAL }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_reached_and_stays_are_still() {
        let mut walk = Walk::from([10.0, 20.0]);
        walk.to([50.0, 20.0], 20.0);
        walk.stay(10.0);
        walk.to([50.0, 80.0], 20.0);
        for (time, at) in [(0.0, [10.0, 20.0]), (20.0, [50.0, 20.0]), (50.0, [50.0, 80.0])] {
            assert_eq!(walk.at(time), at);
        }
        assert!((20..=30).all(|time| walk.at(time as f32) == [50.0, 20.0]));
        let poses = walk.poses(50, 2.0);
        assert!(poses[0].heading.abs() < 1e-3 && (poses[49].heading - PI / 2.0).abs() < 1e-3);
        for pair in poses.windows(2) {
            assert!((pair[1].heading - pair[0].heading).abs() <= MOST_TURN + 1e-6);
            let step = [0, 1].map(|axis| pair[1].at[axis] - pair[0].at[axis]);
            assert!(step[0].hypot(step[1]) < 6.0);
        }
    }

    #[test]
    fn a_longer_walk_begins_like_a_shorter_one_that_covers_it() {
        let mut random = Random::new(3);
        let area = Area([40.0, 40.0, 200.0, 200.0]);
        let mut walk = Walk::from([100.0, 100.0]);
        while !walk.covers(70) {
            walk.wander(&mut random, area, 3.0);
        }
        let short = walk.poses(70, 0.0);
        let end = walk.end().0;
        walk.wander_for(&mut random, area, 200.0, 3.0);
        assert_eq!(walk.end().0, end + 200.0);
        assert_eq!(short, walk.poses(70, 0.0));
    }
}
