//! Drawing: animals on the ground, the later ones over the earlier ones.

use sam2_frame_provider::{FrameSize, RgbFrame};
use sam2_mask_writer::Mask;

use super::animal::{Placed, Species};
use super::ground::Ground;
use super::staging::Actor;
use crate::noise::Random;

/// Everything that is needed to draw any frame.
pub(super) struct Scene {
    pub(super) size: FrameSize,
    pub(super) ground: Ground,
    /// Back to front.
    pub(super) actors: Vec<Actor>,
    /// The noise of the camera; each frame has its own number.
    pub(super) camera: Random,
}

impl Scene {
    /// Returns the number of frames.
    pub(super) fn frames(&self) -> usize {
        self.actors.first().map_or(0, |actor| actor.poses.len())
    }

    pub(super) fn species(&self) -> Species {
        self.actors[0].animal.species()
    }

    /// Returns the animals of a frame, back to front.
    pub(super) fn placed(&self, frame: usize) -> Vec<Placed<'_>> {
        self.actors.iter().map(|actor| actor.animal.placed(frame, actor.poses[frame])).collect()
    }

    /// Calls `paint` with the index in reading order, the centre and the depth of every pixel of
    /// the picture that the animal touches.
    fn touched(&self, animal: &Placed<'_>, mut paint: impl FnMut(usize, [f32; 2], f32)) {
        let FrameSize { width, height } = self.size;
        let [left, top, right, bottom] = animal.outline.bounds.0;
        let range = |from: f32, to: f32, most: u32| {
            let within = |value: f32| value.clamp(0.0, most as f32) as u32;
            within((from - 1.0).floor())..within((to + 1.0).ceil())
        };
        for row in range(top, bottom, height) {
            for column in range(left, right, width) {
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let depth = animal.outline.depth(x, y);
                if depth > -0.5 {
                    paint((row * width + column) as usize, [x, y], depth);
                }
            }
        }
    }

    /// Returns the pixels of a frame that show each animal. Of animals on top of each other, only
    /// the last shows.
    pub(super) fn visible(&self, frame: usize) -> Vec<Mask> {
        const NONE: u8 = u8::MAX;
        let mut owners = vec![NONE; self.ground.pixels.len()];
        let placed = self.placed(frame);
        for (number, animal) in (0_u8..).zip(&placed) {
            self.touched(animal, |place, _, depth| {
                if depth > 0.0 {
                    owners[place] = number;
                }
            });
        }
        (0_u8..).zip(&placed).map(|(number, _)| self.mask(&owners, number)).collect()
    }

    /// Returns the pixels of one animal, including those that another animal hides.
    pub(super) fn whole(&self, frame: usize, animal: usize) -> Mask {
        let mut inside = vec![0_u8; self.ground.pixels.len()];
        let actor = &self.actors[animal];
        self.touched(&actor.animal.placed(frame, actor.poses[frame]), |place, _, depth| {
            inside[place] = u8::from(depth > 0.0);
        });
        self.mask(&inside, 1)
    }

    fn mask(&self, owners: &[u8], number: u8) -> Mask {
        let FrameSize { width, height } = self.size;
        Mask::from_pixels(width, height, owners.iter().map(|&owner| owner == number)).unwrap()
    }

    /// Returns the animal that shows at a point in pixels.
    pub(super) fn shown_at(&self, placed: &[Placed<'_>], x: f32, y: f32) -> Option<usize> {
        let (x, y) = (x.floor(), y.floor());
        let is_inside =
            x >= 0.0 && y >= 0.0 && x < self.size.width as f32 && y < self.size.height as f32;
        let shows = |animal: &Placed<'_>| animal.outline.depth(x + 0.5, y + 0.5) > 0.0;
        if is_inside { placed.iter().rposition(shows) } else { None }
    }

    /// Draws a frame.
    pub(super) fn picture(&self, frame: usize) -> RgbFrame {
        let mut pixels = self.ground.pixels.clone();
        for animal in self.placed(frame) {
            self.touched(&animal, |place, [x, y], depth| {
                // Edges are soft over one pixel.
                let cover = (depth + 0.5).min(1.0);
                for (below, over) in pixels[place].iter_mut().zip(animal.colour(x, y)) {
                    *below += (over - *below) * cover;
                }
            });
        }
        let mut random = self.camera.numbered(frame as u64);
        let noise = self.ground.noise;
        let bytes = pixels.iter().flatten().map(|value| {
            let noisy = value + noise * random.uniform(-1.0, 1.0);
            noisy.round().clamp(0.0, 255.0) as u8
        });
        RgbFrame::new(self.size.width, self.size.height, bytes.collect()).unwrap()
    }
}
