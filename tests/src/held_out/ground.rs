//! The arena in which the animals are, seen from above.

use sam2_frame_provider::FrameSize;

use super::animal::Species;
use crate::noise::{Field, Random};

/// The colours of the ground and of the animals on it.
pub(super) struct Ground {
    /// The colour of each pixel, in reading order.
    pub(super) pixels: Vec<[f32; 3]>,
    /// A colour that can be told from the ground.
    pub(super) animals: [f32; 3],
    /// Amplitude of the noise of the camera.
    pub(super) noise: f32,
}

impl Ground {
    /// Makes a rectangular arena for mice, or a dish for worms.
    pub(super) fn new(random: &mut Random, species: Species, size: FrameSize) -> Self {
        // Most animals are darker than the ground. The micro model loses light worms by itself.
        let is_dark = random.chance(0.8) || species == Species::Worm;
        let (floor, animal) = if is_dark {
            (random.uniform(120.0, 190.0), random.uniform(20.0, 45.0))
        } else {
            (random.uniform(60.0, 90.0), random.uniform(190.0, 225.0))
        };
        let mut tinted = |gray: f32| [0; 3].map(|_| gray + random.uniform(-10.0, 10.0));
        let (floor, animals) = (tinted(floor), tinted(animal));
        let wall = tinted(if is_dark { 35.0 } else { 130.0 });
        let cells = 3 + random.below(6);
        let (field, depth) = (Field::new(random, cells, 3), random.uniform(10.0, 35.0));
        let edges: [f32; 4] = [0; 4].map(|_| random.uniform(0.02, 0.07));
        let radii = [random.uniform(0.47, 0.52), random.uniform(0.5, 0.58)];
        let middle = [random.uniform(0.4, 0.6), random.uniform(0.4, 0.6)];
        let vignette = random.uniform(0.1, 0.5);
        let noise = random.uniform(1.0, 8.0);
        let pixels = (0..size.width * size.height).map(|place| {
            let u = ((place % size.width) as f32 + 0.5) / size.width as f32;
            let v = ((place / size.width) as f32 + 0.5) / size.height as f32;
            let is_floor = match species {
                Species::Mouse => {
                    u > edges[0] && v > edges[1] && u < 1.0 - edges[2] && v < 1.0 - edges[3]
                }
                Species::Worm => ((u - 0.5) / radii[0]).hypot((v - 0.5) / radii[1]) < 1.0,
            };
            let away = (u - middle[0]).powi(2) + (v - middle[1]).powi(2);
            let light = 1.0 - vignette * away;
            let colour = if is_floor {
                floor.map(|value| value + (field.at(u, v) - 0.5) * depth)
            } else {
                wall
            };
            colour.map(|value| value * light)
        });
        Self { pixels: pixels.collect(), animals, noise }
    }
}
