//! An animal: its species, its coat, and how it lies in a frame.

use super::mouse::{self, Mouse};
use super::plan::Posture;
use super::tube::{Disc, Outline, Tube};
use super::worm::{self, Worm};
use crate::noise::{Random, Texture};

/// How an animal lies in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pose {
    /// Its centre in pixels.
    pub(super) at: [f32; 2],
    /// The direction in which its head points, in rad; 0 is to the right, a quarter turn is down.
    pub(super) heading: f32,
    pub(super) posture: Posture,
}

/// A kind of animal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Species {
    Mouse,
    Worm,
}

impl Species {
    /// Returns the names of the body parts of a track.
    pub(super) fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Mouse => &mouse::PARTS,
            Self::Worm => &worm::PARTS,
        }
    }
}

#[derive(Clone, Debug)]
enum Body {
    Mouse(Mouse),
    Worm(Worm),
}

/// The colours of an animal.
#[derive(Clone, Debug)]
struct Coat {
    texture: Texture,
    /// How much lighter the front right is than the back left, as a factor for each unit of length.
    shade: [f32; 2],
}

/// An animal.
#[derive(Clone, Debug)]
pub(super) struct Animal {
    body: Body,
    coat: Coat,
    /// Pixels of a unit of length.
    scale: f32,
}

/// An animal in a frame.
pub(super) struct Placed<'a> {
    animal: &'a Animal,
    pose: Pose,
    pub(super) outline: Outline,
    /// The places of the body parts in pixels.
    pub(super) parts: Vec<[f32; 2]>,
}

impl Animal {
    /// Makes an animal of about this colour.
    pub(super) fn new(random: &mut Random, species: Species, colour: [f32; 3], scale: f32) -> Self {
        let body = match species {
            Species::Mouse => Body::Mouse(Mouse::new(random)),
            Species::Worm => Body::Worm(Worm::new(random)),
        };
        let texture = Texture::new(random, colour, 20.0);
        let shade = [random.uniform(-0.25, 0.25), random.uniform(-0.25, 0.25)];
        Self { body, coat: Coat { texture, shade }, scale }
    }

    /// Makes an animal with the same coat and nearly the same proportions.
    pub(super) fn look_alike(&self, random: &mut Random) -> Self {
        let body = match &self.body {
            Body::Mouse(mouse) => Body::Mouse(mouse.look_alike(random)),
            Body::Worm(worm) => Body::Worm(worm.look_alike(random)),
        };
        Self { body, coat: self.coat.clone(), scale: self.scale * random.uniform(0.95, 1.05) }
    }

    pub(super) fn species(&self) -> Species {
        match self.body {
            Body::Mouse(_) => Species::Mouse,
            Body::Worm(_) => Species::Worm,
        }
    }

    /// Puts the animal into frame `frame`.
    pub(super) fn placed(&self, frame: usize, pose: Pose) -> Placed<'_> {
        let time = frame as f32;
        let plan = match &self.body {
            Body::Mouse(mouse) => mouse.plan(time, pose.posture),
            Body::Worm(worm) => worm.plan(time, pose.posture),
        };
        let (sin, cos) = pose.heading.sin_cos();
        let put = |x: f32, y: f32| {
            [
                pose.at[0] + self.scale * (x * cos - y * sin),
                pose.at[1] + self.scale * (x * sin + y * cos),
            ]
        };
        let tubes = plan.tubes.into_iter().map(|discs| {
            let discs = discs.into_iter().map(|disc| {
                let [x, y] = put(disc.x, disc.y);
                Disc { x, y, radius: disc.radius * self.scale }
            });
            Tube::new(discs.collect())
        });
        let outline = Outline::new(tubes.collect());
        let parts = plan.parts.iter().map(|&[x, y]| put(x, y)).collect();
        Placed { animal: self, pose, outline, parts }
    }
}

impl Placed<'_> {
    /// Returns the colour at a point in pixels. The coat turns with the animal.
    pub(super) fn colour(&self, x: f32, y: f32) -> [f32; 3] {
        let (sin, cos) = self.pose.heading.sin_cos();
        let (x, y) = (x - self.pose.at[0], y - self.pose.at[1]);
        let scale = self.animal.scale;
        let (along, across) = ((x * cos + y * sin) / scale, (y * cos - x * sin) / scale);
        let coat = &self.animal.coat;
        let light = 1.0 + coat.shade[0] * along + coat.shade[1] * across;
        coat.texture.at(0.5 + along / 2.6, 0.5 + across / 2.6).map(|value| value * light)
    }
}
