//! A clip: what tests and programs use.

use std::path::PathBuf;
use std::sync::Arc;

use sam2_engine::Mask;
use sam2_frame_provider::{FrameError, FrameSize, FrameSource, RgbFrame, SourceInfo, Timing};

use super::faults::{FaultOptions, FaultyTrack};
use super::ground::Ground;
use super::kind::Kind;
use super::scene::Scene;
use super::staging;
use super::track::PoseTrack;
use crate::noise::Random;

/// Size of the frames.
pub const SIZE: FrameSize = FrameSize { width: 320, height: 240 };
/// Frames shown in a second.
const RATE: f64 = 30.0;

/// A generated clip with its ground truth. Clones share the scene.
///
/// Nothing of it is stored: each call draws anew, and always the same.
#[derive(Clone)]
pub struct HeldOut {
    kind: Kind,
    seed: u64,
    scene: Arc<Scene>,
}

impl HeldOut {
    /// Makes the clip of a kind and a seed, in its usual length.
    pub fn new(kind: Kind, seed: u64) -> Self {
        Self::with_frames(kind, seed, kind.frames())
    }

    /// Makes a clip of any length. A shorter clip is the start of a longer one.
    ///
    /// # Panics
    /// Without frames.
    pub fn with_frames(kind: Kind, seed: u64, frames: usize) -> Self {
        assert!(frames > 0, "a clip has at least one frame");
        // Kinds do not share random numbers, and a new kind does not change the others.
        let mut random = Random::new(seed).numbered(kind as u64);
        let ground = Ground::new(&mut random, kind.species(), SIZE);
        let actors = staging::cast(kind, &mut random, ground.animals, frames);
        let scene = Scene { size: SIZE, ground, actors, camera: random.fork() };
        Self { kind, seed, scene: Arc::new(scene) }
    }

    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the number of frames.
    pub fn frame_count(&self) -> usize {
        self.scene.frames()
    }

    /// Returns the number of animals. They are numbered from 0, back to front: where two overlap,
    /// the one with the higher number shows.
    pub fn animals(&self) -> usize {
        self.scene.actors.len()
    }

    /// Returns the pixels of a frame that show each animal. The mask of an animal that is outside
    /// the picture or wholly hidden is empty.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn truth(&self, frame: usize) -> Vec<Mask> {
        self.scene.visible(frame)
    }

    /// Returns the pixels of one animal in a frame as if it were alone.
    ///
    /// # Panics
    /// If there is no such frame or animal.
    pub fn whole(&self, frame: usize, animal: usize) -> Mask {
        self.scene.whole(frame, animal)
    }

    /// Returns the pose track without faults: exactly where the body parts are. Body parts that do
    /// not show, because they are outside the picture or under another animal, are gaps.
    pub fn track(&self) -> PoseTrack {
        PoseTrack::of(&self.scene)
    }

    /// Returns the pose track as a tracker would give it. The same faults have the same seed.
    pub fn faulty_track(&self, options: &FaultOptions, seed: u64) -> FaultyTrack {
        FaultyTrack::of(&self.scene, options, seed)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("{}-{}", self.kind.name(), self.seed))
    }
}

impl FrameSource for HeldOut {
    fn info(&self) -> SourceInfo {
        SourceInfo::new(self.frame_count(), self.scene.size)
            .with_description(self.path().display().to_string())
            .with_timing(Timing::from_rate(RATE))
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let count = self.frame_count();
        if index >= count {
            return Err(FrameError::IndexOutOfRange { index, count, path: self.path() });
        }
        Ok(Arc::new(self.scene.picture(index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_out::staging::Actor;

    fn bytes(clip: &HeldOut, frame: usize) -> Vec<u8> {
        clip.frame(frame).unwrap().data().to_vec()
    }

    #[test]
    fn a_seed_always_makes_the_same_clip_and_another_one_another() {
        let make = |seed| HeldOut::with_frames(Kind::FiveMice, seed, 30);
        let (clip, longer) = (make(3), HeldOut::with_frames(Kind::FiveMice, 3, 45));
        // Frames may be read in any order.
        let late = bytes(&clip, 29);
        for other in [&make(3), &longer] {
            assert!(bytes(&clip, 4) == bytes(other, 4) && late == bytes(other, 29));
            assert_eq!(clip.truth(29), other.truth(29));
        }
        assert!(bytes(&clip, 4) != bytes(&make(4), 4) && bytes(&clip, 4) != bytes(&clip, 5));
        assert!(clip.truth(4) != make(4).truth(4));
        let past = clip.frame(30).unwrap_err().to_string();
        assert!(past.starts_with("five-mice-3: frame 30 does not exist"), "{past}");
    }

    /// Decides for each pixel, from front to back, which animal shows there.
    fn redrawn(clip: &HeldOut, frame: usize) -> Vec<Mask> {
        let placed = clip.scene.placed(frame);
        let owners: Vec<Option<usize>> = (0..SIZE.width * SIZE.height)
            .map(|place| {
                let (x, y) = (place % SIZE.width, place / SIZE.width);
                let depth =
                    |animal: usize| placed[animal].outline.depth(x as f32 + 0.5, y as f32 + 0.5);
                (0..placed.len()).rev().find(|&animal| depth(animal) > 0.0)
            })
            .collect();
        let of = |animal| owners.iter().map(move |&owner| owner == Some(animal));
        (0..placed.len())
            .map(|animal| Mask::from_pixels(SIZE.width, SIZE.height, of(animal)).unwrap())
            .collect()
    }

    #[test]
    fn truth_equals_a_redraw_pixel_by_pixel() {
        for kind in Kind::ALL {
            let clip = HeldOut::with_frames(kind, 11, 80);
            for frame in [0, 33, 79] {
                assert_eq!(clip.truth(frame), redrawn(&clip, frame), "{kind:?}, frame {frame}");
            }
        }
    }

    /// Returns the clip without one animal.
    fn without(clip: &HeldOut, animal: usize) -> HeldOut {
        let Scene { size, ground, actors, camera } = &*clip.scene;
        let ground = Ground { pixels: ground.pixels.clone(), ..*ground };
        let mut actors: Vec<Actor> = actors.clone();
        actors.remove(animal);
        let scene = Scene { size: *size, ground, actors, camera: camera.clone() };
        HeldOut { scene: Arc::new(scene), ..clip.clone() }
    }

    /// The picture changes where an animal is taken out, there, and nowhere else but at its edge.
    #[test]
    fn truth_is_where_the_picture_shows_the_animal() {
        for (seed, frame) in [(0, 5), (1, 40), (2, 59)] {
            let clip = HeldOut::with_frames(Kind::LeavesAndReturns, seed, 60);
            let truth = clip.truth(frame)[0].to_bytes(1);
            let (with, alone) = (bytes(&clip, frame), bytes(&without(&clip, 0), frame));
            let changed: Vec<bool> =
                with.chunks(3).zip(alone.chunks(3)).map(|(a, b)| a != b).collect();
            let width = SIZE.width as usize;
            let near = |place: usize| {
                let column = place % width;
                let columns = column.saturating_sub(1)..(column + 2).min(width);
                let rows = (place / width).saturating_sub(1)..(place / width + 2);
                rows.into_iter().any(|row| {
                    columns.clone().any(|x| truth.get(row * width + x).is_some_and(|&t| t == 1))
                })
            };
            for (place, &changed) in changed.iter().enumerate() {
                if truth[place] == 1 {
                    assert!(changed, "pixel {place} of the animal shows the ground");
                } else if changed {
                    assert!(near(place), "pixel {place} changes far away from the animal");
                }
            }
        }
    }

    fn areas(clip: &HeldOut, animal: usize) -> Vec<u64> {
        (0..clip.frame_count()).map(|frame| clip.truth(frame)[animal].area()).collect()
    }

    /// Returns for each frame the share of an animal that others hide.
    fn hidden(clip: &HeldOut, animal: usize) -> Vec<f64> {
        let share = |frame: usize| {
            let whole = clip.whole(frame, animal).area().max(1);
            1.0 - clip.truth(frame)[animal].area() as f64 / whole as f64
        };
        (0..clip.frame_count()).map(share).collect()
    }

    fn longest(is: impl IntoIterator<Item = bool>) -> usize {
        let mut run = 0;
        is.into_iter()
            .map(|is| {
                run = if is { run + 1 } else { 0 };
                run
            })
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn animals_that_cross_hide_each_other_for_some_frames() {
        for kind in [Kind::MiceCross, Kind::WormsCross] {
            for seed in 0..4 {
                let clip = HeldOut::new(kind, seed);
                let back = hidden(&clip, 0);
                assert!(back[0] == 0.0, "{kind:?} {seed}: apart on the first frame");
                let most = back.iter().copied().fold(0.0, f64::max);
                assert!(most > 0.2, "{kind:?} {seed}: at most {most} hidden");
                // The one in front is never hidden.
                assert!(hidden(&clip, 1).iter().all(|&share| share == 0.0));
            }
        }
    }

    #[test]
    fn a_mouse_stops_on_another() {
        for seed in 0..6 {
            let back = hidden(&HeldOut::new(Kind::StopsOnTop, seed), 0);
            assert!(back[0] < 0.1, "{seed}: apart on the first frame, but for a tail");
            let covered = longest(back.iter().map(|&share| share > 0.4));
            assert!(covered >= 15, "{seed}: covered for {covered} frames");
        }
    }

    #[test]
    fn a_mouse_leaves_and_returns_while_a_look_alike_stays() {
        for seed in 0..6 {
            let clip = HeldOut::new(Kind::LeavesAndReturns, seed);
            let (goes, stays) = (areas(&clip, 0), areas(&clip, 1));
            assert!(longest(goes.iter().map(|&area| area == 0)) >= 20, "{seed}: {goes:?}");
            let returned = goes.iter().skip_while(|&&area| area > 0).any(|&area| area > 500);
            assert!(goes[0] > 500 && returned, "{seed}: {goes:?}");
            assert!(stays.iter().all(|&area| area > 500), "{seed}");
        }
    }

    #[test]
    fn every_animal_shows_on_the_first_frame() {
        for kind in Kind::ALL {
            for seed in 0..4 {
                let truth = HeldOut::with_frames(kind, seed, 1).truth(0);
                let areas: Vec<u64> = truth.iter().map(Mask::area).collect();
                assert!(areas.iter().all(|&area| area > 250), "{kind:?} {seed}: {areas:?}");
            }
        }
    }

    /// Returns the width divided by the height of an animal's bounding box.
    fn aspect(mask: &Mask) -> f64 {
        let [x0, y0, x1, y1] = mask.bounds().unwrap();
        f64::from(x1 + 1 - x0) / f64::from(y1 + 1 - y0)
    }

    #[test]
    fn turning_and_curling_change_the_outline() {
        for seed in 0..3 {
            let clip = HeldOut::new(Kind::MouseTurns, seed);
            let aspects: Vec<f64> =
                (0..clip.frame_count()).map(|frame| aspect(&clip.whole(frame, 0))).collect();
            let (least, most) =
                aspects.iter().fold((f64::MAX, 0.0_f64), |(a, b), &v| (a.min(v), b.max(v)));
            assert!(least < 0.75 && most > 1.3, "{seed}: {least} to {most}");
            let curled = HeldOut::new(Kind::WormCurls, seed);
            let spans: Vec<f32> = curled.scene.actors[0]
                .poses
                .iter()
                .enumerate()
                .map(|(i, &pose)| {
                    let parts = curled.scene.actors[0].animal.placed(i, pose).parts;
                    (parts[0][0] - parts[2][0]).hypot(parts[0][1] - parts[2][1])
                })
                .collect();
            let (least, most) =
                spans.iter().fold((f32::MAX, 0.0_f32), |(a, b), &v| (a.min(v), b.max(v)));
            assert!(least < 0.65 * most, "{seed}: from head to tail {least} to {most}");
        }
    }

    #[test]
    fn a_long_clip_has_a_crossing_every_few_seconds() {
        let clip = HeldOut::new(Kind::Long, 1);
        assert_eq!(clip.frame_count(), 2000);
        // Only where the animals are, since 2,000 masks take seconds.
        let near = |frame: usize| {
            let [a, b] = [0, 1].map(|animal| clip.scene.actors[animal].poses[frame].at);
            (a[0] - b[0]).hypot(a[1] - b[1]) < 15.0
        };
        let crossings = (1..2000).filter(|&frame| near(frame) && !near(frame - 1)).count();
        assert!((6..=14).contains(&crossings), "{crossings} crossings");
    }
}
