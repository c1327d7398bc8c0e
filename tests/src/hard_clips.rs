//! Clips on which trackers fail, with their ground truth: look-alikes that cross or roam, objects
//! that pass behind a bar, objects that leave and return.
//!
//! The clips are generated from a seed. They are of the kind that the demonstration model was
//! trained on (textured shapes on textured ground, `assets/micro/evaluation.md`), so that it can
//! follow them at all.

use std::f32::consts::{PI, TAU};

use sam2_engine::Mask;
use sam2_frame_provider::{FrameSize, MemoryFrames, RgbFrame};

use crate::noise::{Random, Texture};

/// Size of the frames.
const SIZE: FrameSize = FrameSize { width: 320, height: 240 };
/// Number of frames of a clip.
pub const FRAMES: usize = 48;

/// The event in a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two objects with the same texture and nearly the same shape cross at different speeds; one
    /// passes in front of the other.
    Crossing,
    /// An object passes behind a bar that hides it entirely for some frames.
    Occlusion,
    /// An object leaves the frame and returns at another place, while a look-alike stays.
    Return,
    /// An object among three look-alikes; all roam and occasionally touch.
    LookAlikes,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Crossing, Self::Occlusion, Self::Return, Self::LookAlikes];

    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crossing => "look-alikes cross",
            Self::Occlusion => "behind a bar",
            Self::Return => "leaves and returns, a look-alike stays",
            Self::LookAlikes => "among look-alikes",
        }
    }
}

/// A clip with its ground truth.
#[derive(Clone, Debug)]
pub struct HardClip {
    /// The frames.
    pub frames: MemoryFrames,
    /// Ground-truth masks of the visible part of the tracked object.
    pub truth: Vec<Mask>,
}

/// An outline in polar coordinates, with its texture.
#[derive(Clone, Debug)]
struct Shape {
    radius: f32,
    /// Height relative to the width.
    aspect: f32,
    /// Amplitude and phase of the second to fourth harmonic of the outline.
    waves: [(f32, f32); 3],
    texture: Texture,
}

impl Shape {
    fn new(random: &mut Random, ground: [f32; 3]) -> Self {
        let mut colour = random.colour();
        // The colour must be clearly distinguishable from the ground.
        while colour.iter().zip(ground).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 70.0 {
            colour = random.colour();
        }
        Self {
            radius: random.uniform(22.0, 32.0),
            aspect: random.uniform(0.7, 1.0),
            waves: [0; 3].map(|_| (random.uniform(0.0, 0.12), random.uniform(0.0, TAU))),
            texture: Texture::new(random, colour, 60.0),
        }
    }

    /// Returns a shape with the same texture and nearly the same outline.
    fn look_alike(&self, random: &mut Random) -> Self {
        let mut other = self.clone();
        other.radius *= random.uniform(0.9, 1.1);
        for wave in &mut other.waves {
            wave.1 += random.uniform(-0.6, 0.6);
        }
        other
    }

    /// Returns the distance in pixels by which a point, relative to the centre, lies inside the
    /// outline; negative outside.
    fn depth(&self, x: f32, y: f32) -> f32 {
        let y = y / self.aspect;
        let angle = y.atan2(x);
        let wave: f32 = self
            .waves
            .iter()
            .zip(2_u8..)
            .map(|((amplitude, phase), order)| amplitude * (f32::from(order) * angle + phase).cos())
            .sum();
        self.radius * (1.0 + wave) - x.hypot(y)
    }

    fn colour(&self, x: f32, y: f32) -> [f32; 3] {
        let across = 3.0 * self.radius;
        self.texture.at(0.5 + x / across, 0.5 + y / across)
    }
}

/// A shape with its position in each frame.
struct Actor {
    shape: Shape,
    path: Vec<[f32; 2]>,
}

/// An upright bar in front of everything.
struct Bar {
    left: f32,
    right: f32,
    texture: Texture,
}

/// The things to draw, back to front; the bar comes last.
struct Scene {
    ground: Texture,
    actors: Vec<Actor>,
    /// Index of the tracked one.
    tracked: usize,
    bar: Option<Bar>,
    noise: f32,
}

/// Generates the clip of a kind and a seed.
pub fn generate(kind: Kind, seed: u64) -> HardClip {
    let mut random =
        Random::new(seed.wrapping_mul(Kind::ALL.len() as u64).wrapping_add(kind as u64));
    let random = &mut random;
    let base = random.colour();
    let ground = Texture::new(random, base, 40.0);
    let shape = Shape::new(random, base);
    let noise = random.uniform(0.0, 6.0);
    let (actors, tracked, bar) = match kind {
        Kind::Crossing => crossing(random, shape),
        Kind::Occlusion => occlusion(random, shape, base),
        Kind::Return => leaving(random, shape),
        Kind::LookAlikes => roaming(random, shape),
    };
    Scene { ground, actors, tracked, bar, noise }.film(random)
}

type Cast = (Vec<Actor>, usize, Option<Bar>);

fn crossing(random: &mut Random, shape: Shape) -> Cast {
    let other = shape.look_alike(random);
    let centre = [random.uniform(130.0, 190.0), random.uniform(100.0, 140.0)];
    let heading = random.uniform(-0.5, 0.5);
    // They meet at the same time, slightly offset, at an angle and at different speeds.
    let meeting = random.uniform(0.4, 0.6) * FRAMES as f32;
    let reach = random.uniform(95.0, 120.0);
    let line = |angle: f32, speed: f32, offset: f32| -> Vec<[f32; 2]> {
        let speed = speed * reach / (0.6 * FRAMES as f32);
        (0..FRAMES)
            .map(|frame| {
                let along = (frame as f32 - meeting) * speed;
                [
                    centre[0] + along * angle.cos() - offset * angle.sin(),
                    centre[1] + along * angle.sin() + offset * angle.cos(),
                ]
            })
            .collect()
    };
    let angle = heading + PI + random.uniform(-0.6, 0.6);
    let (fast, slow) = (random.uniform(0.9, 1.1), random.uniform(0.5, 0.8));
    let (ours, theirs) = if random.chance(0.5) { (fast, slow) } else { (slow, fast) };
    let ours = Actor { path: line(heading, ours, 0.0), shape };
    let theirs = Actor { path: line(angle, theirs, random.uniform(-10.0, 10.0)), shape: other };
    if random.chance(0.5) { (vec![ours, theirs], 0, None) } else { (vec![theirs, ours], 1, None) }
}

fn occlusion(random: &mut Random, shape: Shape, ground: [f32; 3]) -> Cast {
    // Wide enough to hide the object for several frames.
    let width = 2.0 * shape.radius * random.uniform(1.5, 1.9);
    let middle = random.uniform(140.0, 180.0);
    let bar = Bar {
        left: middle - width / 2.0,
        right: middle + width / 2.0,
        texture: {
            let mut colour = random.colour();
            while colour.iter().zip(ground).all(|(a, b)| (a - b).abs() < 50.0) {
                colour = random.colour();
            }
            Texture::new(random, colour, 40.0)
        },
    };
    let (from, to) = (shape.radius + 12.0, 308.0 - shape.radius);
    let (start, end) = (random.uniform(70.0, 170.0), random.uniform(70.0, 170.0));
    let backwards = random.chance(0.5);
    let path = (0..FRAMES)
        .map(|frame| {
            let share = frame as f32 / (FRAMES - 1) as f32;
            let along = if backwards { 1.0 - share } else { share };
            [from + (to - from) * along, start + (end - start) * share]
        })
        .collect();
    (vec![Actor { shape, path }], 0, Some(bar))
}

fn leaving(random: &mut Random, shape: Shape) -> Cast {
    let other = shape.look_alike(random);
    let left = random.chance(0.5);
    let mirrored = |x: f32| if left { x } else { SIZE.width as f32 - x };
    let start = [random.uniform(80.0, 120.0), random.uniform(60.0, 180.0)];
    let back = random.uniform(60.0, 180.0);
    let outside = -1.6 * shape.radius;
    let (gone, again) = (16.0, 26.0 + random.uniform(0.0, 6.0));
    let path = (0..FRAMES)
        .map(|frame| {
            let frame = frame as f32;
            let going = (frame / gone).min(1.0);
            let coming = ((frame - again) / gone).clamp(0.0, 1.0);
            let inside = if coming > 0.0 { coming } else { 1.0 - going };
            let x = outside + (start[0] - outside) * inside;
            [mirrored(x), if coming > 0.0 { back } else { start[1] }]
        })
        .collect();
    let place = [random.uniform(210.0, 260.0), random.uniform(70.0, 170.0)];
    let sway = random.uniform(3.0, 10.0);
    let stays = (0..FRAMES)
        .map(|frame| {
            let angle = frame as f32 * 0.25;
            [mirrored(place[0] + sway * angle.cos()), place[1] + sway * angle.sin()]
        })
        .collect();
    (vec![Actor { shape: other, path: stays }, Actor { shape, path }], 1, None)
}

fn roaming(random: &mut Random, shape: Shape) -> Cast {
    let tracked = random.below(4);
    let actors = (0..4)
        .map(|number| {
            let shape = if number == tracked { shape.clone() } else { shape.look_alike(random) };
            let home = [[85.0, 65.0], [235.0, 65.0], [85.0, 175.0], [235.0, 175.0]][number];
            let swing = [random.uniform(25.0, 50.0), random.uniform(15.0, 35.0)];
            let speed = [random.uniform(0.08, 0.2), random.uniform(0.08, 0.2)];
            let phase = [random.uniform(0.0, TAU), random.uniform(0.0, TAU)];
            let place = |frame: usize, axis: usize| {
                home[axis] + swing[axis] * (speed[axis] * frame as f32 + phase[axis]).sin()
            };
            let path = (0..FRAMES).map(|frame| [place(frame, 0), place(frame, 1)]).collect();
            Actor { shape, path }
        })
        .collect();
    (actors, tracked, None)
}

impl Scene {
    fn film(&self, random: &mut Random) -> HardClip {
        let (frames, truth) = (0..FRAMES).map(|index| self.draw(index, random)).unzip();
        let frames: Vec<RgbFrame> = frames;
        HardClip { frames: MemoryFrames::new(frames).unwrap(), truth }
    }

    fn draw(&self, index: usize, random: &mut Random) -> (RgbFrame, Mask) {
        let (width, height) = (SIZE.width, SIZE.height);
        let mut rgb = Vec::with_capacity((width * height * 3) as usize);
        let mut inside = Vec::with_capacity((width * height) as usize);
        for place in 0..width * height {
            let (x, y) = ((place % width) as f32 + 0.5, (place / width) as f32 + 0.5);
            let (u, v) = (x / width as f32, y / height as f32);
            let mut colour = self.ground.at(u, v);
            let mut tracked = false;
            let mut paint = |over: [f32; 3], depth: f32, is_tracked: bool| {
                // Edges are soft over one pixel.
                let cover = (depth + 0.5).clamp(0.0, 1.0);
                for (below, over) in colour.iter_mut().zip(over) {
                    *below += (over - *below) * cover;
                }
                if depth > 0.0 {
                    tracked = is_tracked;
                }
            };
            for (number, Actor { shape, path }) in self.actors.iter().enumerate() {
                let (dx, dy) = (x - path[index][0], y - path[index][1]);
                let depth = shape.depth(dx, dy);
                if depth > -0.5 {
                    paint(shape.colour(dx, dy), depth, number == self.tracked);
                }
            }
            if let Some(Bar { left, right, texture }) = &self.bar {
                let depth = (x - left).min(right - x);
                if depth > -0.5 {
                    paint(texture.at(u, v), depth, false);
                }
            }
            for value in colour {
                let noisy = value + self.noise * random.uniform(-1.0, 1.0);
                rgb.push(noisy.round().clamp(0.0, 255.0) as u8);
            }
            inside.push(tracked);
        }
        let mask = Mask::from_pixels(width, height, inside.into_iter()).unwrap();
        (RgbFrame::new(width, height, rgb).unwrap(), mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_frame_provider::FrameSource;

    fn areas(clip: &HardClip) -> Vec<u64> {
        clip.truth.iter().map(Mask::area).collect()
    }

    #[test]
    fn a_seed_always_makes_the_same_clip_and_another_one_another() {
        let pixels =
            |seed| generate(Kind::Crossing, seed).frames.frame(20).unwrap().data().to_vec();
        assert!(pixels(3) == pixels(3));
        assert!(pixels(3) != pixels(4));
    }

    #[test]
    fn in_each_kind_happens_what_it_is_for() {
        for seed in 0..4 {
            let crossing = areas(&generate(Kind::Crossing, seed));
            assert!(crossing[0] > 900 && crossing.iter().all(|&area| area > 0), "{crossing:?}");
            let hidden = areas(&generate(Kind::Occlusion, seed));
            assert!(hidden[0] > 900 && hidden[FRAMES - 1] > 900, "{hidden:?}");
            assert!(hidden.iter().filter(|&&area| area == 0).count() >= 3, "{hidden:?}");
            let among = areas(&generate(Kind::LookAlikes, seed));
            assert!(among.iter().all(|&area| area > 400), "{among:?}");
            let away = areas(&generate(Kind::Return, seed));
            assert!(away[0] > 900 && away[FRAMES - 1] > 900, "{away:?}");
            assert!(away.iter().filter(|&&area| area == 0).count() >= 6, "{away:?}");
        }
    }
}
