//! Who does what in each kind of clip.
//!
//! Everything is drawn from the random numbers in the order of time, so a shorter clip is the start
//! of a longer one of the same kind and seed.

use std::f32::consts::{PI, TAU};

use super::animal::{Animal, Pose};
use super::kind::Kind;
use super::walk::{Area, Walk};
use crate::noise::Random;

/// An animal with its pose in each frame.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) animal: Animal,
    pub(super) poses: Vec<Pose>,
}

/// Where a single animal roams.
const MIDDLE: Area = Area([75.0, 65.0, 245.0, 175.0]);
/// The halves in which two animals roam while they are apart.
const HALVES: [Area; 2] = [Area([60.0, 60.0, 110.0, 180.0]), Area([210.0, 60.0, 260.0, 180.0])];
/// The width of the picture for which the places are meant.
const WIDTH: f32 = 320.0;
/// Pixels a walking mouse moves in a frame.
const MOUSE_PACE: f32 = 2.6;
/// Pixels a worm moves in a frame.
const WORM_PACE: f32 = 1.0;

/// Returns the animals of a clip, back to front.
pub(super) fn cast(kind: Kind, random: &mut Random, colour: [f32; 3], frames: usize) -> Vec<Actor> {
    let species = kind.species();
    let scale = match kind {
        Kind::FiveMice => random.uniform(27.0, 30.0),
        Kind::SingleMouse | Kind::MouseTurns => random.uniform(40.0, 48.0),
        Kind::SingleWorm | Kind::WormCurls => random.uniform(46.0, 54.0),
        _ => random.uniform(36.0, 42.0),
    };
    let first = Animal::new(random, species, colour, scale);
    let poses = poses(kind, random, frames);
    let mut animals = vec![first];
    while animals.len() < poses.len() {
        animals.push(animals[0].look_alike(random));
    }
    animals.into_iter().zip(poses).map(|(animal, poses)| Actor { animal, poses }).collect()
}

/// Returns the poses of each animal of a clip.
fn poses(kind: Kind, random: &mut Random, frames: usize) -> Vec<Vec<Pose>> {
    // How many random numbers the motion takes depends on the length of the clip. What is drawn
    // afterwards must not.
    let random = &mut random.fork();
    match kind {
        Kind::SingleMouse => vec![roam(random, frames, MIDDLE, MOUSE_PACE)],
        Kind::SingleWorm => vec![roam(random, frames, MIDDLE, WORM_PACE)],
        Kind::MiceCross => crossings(random, frames, [8.0, 20.0], [20.0, 27.0], MOUSE_PACE),
        Kind::WormsCross => crossings(random, frames, [8.0, 20.0], [36.0, 46.0], WORM_PACE),
        Kind::Long => crossings(random, frames, [110.0, 200.0], [20.0, 27.0], MOUSE_PACE),
        Kind::StopsOnTop => stops_on_top(random, frames),
        Kind::LeavesAndReturns => leaves_and_returns(random, frames),
        Kind::FiveMice => five(random, frames),
        Kind::MouseTurns => vec![turns(random, frames)],
        Kind::WormCurls => vec![curls(random, frames)],
    }
}

/// Returns a direction towards either side, at most half a radian from the horizontal.
fn sideways(random: &mut Random) -> f32 {
    let side = if random.chance(0.5) { 0.0 } else { PI };
    side + random.uniform(-0.5, 0.5)
}

fn roam(random: &mut Random, frames: usize, area: Area, pace: f32) -> Vec<Pose> {
    let mut walk = Walk::from(area.point(random));
    let heading = random.uniform(0.0, TAU);
    while !walk.covers(frames) {
        walk.wander(random, area, pace);
    }
    walk.poses(frames, heading)
}

/// Two animals that exchange their halves of the picture again and again. They roam in their halves
/// for `rest` frames, and each of the two parts of a crossing takes `part` frames.
fn crossings(
    random: &mut Random,
    frames: usize,
    rest: [f32; 2],
    part: [f32; 2],
    pace: f32,
) -> Vec<Vec<Pose>> {
    let mut walks = HALVES.map(|half| Walk::from(half.point(random)));
    let headings = [random.uniform(-0.5, 0.5), PI + random.uniform(-0.5, 0.5)];
    let mut halves = HALVES;
    while !walks.iter().all(|walk| walk.covers(frames)) {
        let rest = random.uniform(rest[0], rest[1]);
        for (walk, half) in walks.iter_mut().zip(halves) {
            walk.wander_for(random, half, rest, pace);
        }
        let [near, far] = [0; 2].map(|_| random.uniform(part[0], part[1]));
        let place = [random.uniform(145.0, 175.0), random.uniform(95.0, 145.0)];
        halves.reverse();
        for (walk, half) in walks.iter_mut().zip(halves) {
            let beside = [0; 2].map(|_| random.uniform(-4.0, 4.0));
            walk.to([place[0] + beside[0], place[1] + beside[1]], near);
            walk.to(half.point(random), far);
        }
    }
    walks.iter().zip(headings).map(|(walk, heading)| walk.poses(frames, heading)).collect()
}

fn stops_on_top(random: &mut Random, frames: usize) -> Vec<Vec<Pose>> {
    let place = [random.uniform(145.0, 175.0), random.uniform(100.0, 140.0)];
    let mut lies = Walk::from(place);
    let heading = sideways(random);
    let mut side = random.below(2);
    let mut comes = Walk::from(HALVES[side].point(random));
    let towards = if side == 0 { 0.0 } else { PI };
    while !comes.covers(frames) {
        let rest = random.uniform(6.0, 18.0);
        comes.wander_for(random, HALVES[side], rest, MOUSE_PACE);
        let beside = [0; 2].map(|_| random.uniform(-6.0, 6.0));
        let near = random.uniform(22.0, 28.0);
        comes.to([place[0] + beside[0], place[1] + beside[1]], near);
        comes.stay(random.uniform(22.0, 34.0));
        if random.chance(0.6) {
            side = 1 - side;
        }
        comes.to(HALVES[side].point(random), random.uniform(22.0, 28.0));
    }
    while !lies.covers(frames) {
        lies.stay(100.0);
    }
    vec![lies.poses(frames, heading), comes.poses(frames, towards)]
}

fn leaves_and_returns(random: &mut Random, frames: usize) -> Vec<Vec<Pose>> {
    // Far enough for the tail to be outside.
    const OUTSIDE: f32 = -110.0;
    let is_left = random.chance(0.5);
    let mirrored = |x: f32| if is_left { x } else { WIDTH - x };
    let area = |[left, top, right, bottom]: [f32; 4]| {
        let sides = [mirrored(left), mirrored(right)];
        Area([sides[0].min(sides[1]), top, sides[0].max(sides[1]), bottom])
    };
    let (home, away) = (area([70.0, 70.0, 130.0, 170.0]), area([205.0, 60.0, 255.0, 180.0]));
    let edge = [mirrored(OUTSIDE), 0.0];
    let mut walk = Walk::from(home.point(random));
    let towards = sideways(random);
    let other = roam(&mut random.fork(), frames, away, MOUSE_PACE);
    while !walk.covers(frames) {
        let rest = random.uniform(10.0, 25.0);
        walk.wander_for(random, home, rest, MOUSE_PACE);
        let [out, back] = [0; 2].map(|_| random.uniform(60.0, 180.0));
        walk.to([edge[0], out], random.uniform(38.0, 48.0));
        walk.to([edge[0], back], random.uniform(20.0, 35.0));
        walk.to(home.point(random), random.uniform(38.0, 48.0));
    }
    vec![walk.poses(frames, towards), other]
}

fn five(random: &mut Random, frames: usize) -> Vec<Vec<Pose>> {
    let homes = [[85.0, 70.0], [235.0, 70.0], [85.0, 170.0], [235.0, 170.0], [160.0, 120.0]];
    let mut random = homes.map(|_| random.fork());
    homes
        .iter()
        .zip(&mut random)
        .map(|(&[x, y], random)| {
            // The areas of neighbours overlap.
            let area = Area([x - 48.0, y - 32.0, x + 48.0, y + 32.0]);
            let mut walk = Walk::from([x, y]);
            let heading = random.uniform(0.0, TAU);
            while !walk.covers(frames) {
                if random.chance(0.25) {
                    walk.stay(random.uniform(6.0, 20.0));
                }
                walk.wander(random, area, 2.0);
            }
            walk.poses(frames, heading)
        })
        .collect()
}

/// A mouse that turns by at least a half turn to one side and then to the other, and rears.
fn turns(random: &mut Random, frames: usize) -> Vec<Pose> {
    let area = Area([130.0, 95.0, 190.0, 145.0]);
    let mut poses = roam(&mut random.fork(), frames, area, 0.7);
    let mut heading = random.uniform(0.0, TAU);
    let (mut side, mut speed, mut left) = (if random.chance(0.5) { 1.0 } else { -1.0 }, 0.0, 0);
    let (period, phase) = (random.uniform(40.0, 60.0), random.uniform(0.0, TAU));
    for (frame, pose) in poses.iter_mut().enumerate() {
        if left == 0 {
            (side, speed, left) = (-side, random.uniform(0.07, 0.13), 45 + random.below(25));
        }
        left -= 1;
        heading += side * speed;
        pose.heading = heading;
        let up = (TAU * frame as f32 / period + phase).sin().max(0.0);
        pose.posture.stretch = 1.0 - 0.4 * up;
    }
    poses
}

/// A worm that curls to most of a circle, to either side, and stretches again.
fn curls(random: &mut Random, frames: usize) -> Vec<Pose> {
    let area = Area([120.0, 90.0, 200.0, 150.0]);
    let mut poses = roam(&mut random.fork(), frames, area, WORM_PACE / 2.0);
    let (mut most, mut length, mut done) = (0.0, 0, 0);
    for pose in &mut poses {
        if done == length {
            let side = if random.chance(0.5) { 1.0 } else { -1.0 };
            (most, length, done) = (side * random.uniform(4.2, 5.0), 50 + random.below(30), 0);
        }
        let half_way = (PI * done as f32 / length as f32).sin();
        pose.posture.curl = most * half_way * half_way;
        done += 1;
    }
    poses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_clip_is_the_start_of_a_longer_one() {
        for kind in Kind::ALL {
            let short = poses(kind, &mut Random::new(5), 70);
            let long = poses(kind, &mut Random::new(5), 230);
            for (short, long) in short.iter().zip(&long) {
                assert_eq!(short[..], long[..70], "{kind:?}");
            }
        }
    }

    #[test]
    fn every_kind_has_its_animals() {
        let counts = Kind::ALL.map(|kind| poses(kind, &mut Random::new(1), 10).len());
        assert_eq!(counts, [1, 1, 2, 2, 2, 2, 5, 1, 1, 2]);
    }
}
