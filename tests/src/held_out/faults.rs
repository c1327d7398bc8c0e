//! The faults of a tracker, with the record of where they are.

use std::ops::RangeInclusive;

use sam2_jobs::keypoints::Keypoint;

use super::animal::Placed;
use super::fault_runs::runs;
use super::scene::Scene;
use super::track::PoseTrack;
use crate::noise::Random;

/// The faults to make. Each has random numbers of its own, so that switching one off leaves the
/// others as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultOptions {
    /// Distances, in pixels, by which all points are off. `None` = exact points.
    pub jitter: Option<RangeInclusive<f32>>,
    /// Share of the cells without a usable point although the body part shows: half of them blank,
    /// half near the right place with a likelihood below 0.1.
    pub dropouts: f32,
    /// Share of the cells with a wrong place and a likelihood of 0.1 to 0.4.
    pub guesses: f32,
    /// Share of the cells with a place beside the animal or outside the picture, and a likelihood
    /// above 0.7.
    pub outliers: f32,
    /// Share of the frames in which the rows of two animals are exchanged.
    pub swaps: f32,
}

impl FaultOptions {
    /// No faults.
    pub const NONE: Self =
        Self { jitter: None, dropouts: 0.0, guesses: 0.0, outliers: 0.0, swaps: 0.0 };
}

impl Default for FaultOptions {
    /// The faults of a tracker that works well.
    fn default() -> Self {
        Self {
            jitter: Some(1.0..=2.0),
            dropouts: 0.04,
            guesses: 0.03,
            outliers: 0.003,
            swaps: 0.01,
        }
    }
}

/// What is wrong with the point of a body part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellFault {
    /// No usable point, although the body part shows.
    Dropout,
    /// A wrong place with a low likelihood. The body part may be one that does not show.
    Guess,
    /// A wrong place with a high likelihood, in the picture or outside. The body part may be one
    /// that does not show.
    Outlier,
}

/// A track with faults, and the truth about them.
#[derive(Clone, Debug)]
pub struct FaultyTrack {
    /// The track as a tracker gives it.
    pub track: PoseTrack,
    /// The fault of each cell, as `track` has them. Jitter is not one.
    cells: Vec<Option<CellFault>>,
    /// By frame and animal: the animal whose points the row holds.
    sources: Vec<usize>,
}

/// Longest run of a dropout in frames.
const LONGEST_DROPOUT: usize = 8;
/// Longest run of a guess.
const LONGEST_GUESS: usize = 5;
/// Longest run of an outlier.
const LONGEST_OUTLIER: usize = 3;
/// Longest run of exchanged rows.
const LONGEST_SWAP: usize = 6;

impl FaultyTrack {
    pub(super) fn of(scene: &Scene, options: &FaultOptions, seed: u64) -> Self {
        let exact = PoseTrack::of(scene);
        let rows = exact.frames() * exact.individuals.len();
        let sources = (0..rows).map(|row| row % exact.individuals.len()).collect();
        let cells = vec![None; exact.points().len()];
        let mut faulty = Self { track: exact, cells, sources };
        let random = Random::new(seed);
        // From the weakest to the strongest: a later one replaces an earlier one.
        faulty.blur(&mut random.numbered(0), options.jitter.as_ref());
        faulty.drop_out(&random.numbered(1), options.dropouts);
        faulty.guess(scene, &random.numbered(2), options.guesses);
        faulty.stray(scene, &random.numbered(3), options.outliers);
        faulty.swap(scene, &mut random.numbered(4), options.swaps);
        faulty
    }

    /// Returns the fault of a cell. Faults stay with the points when rows are exchanged.
    ///
    /// # Panics
    /// If there is no such cell.
    pub fn fault(&self, frame: usize, animal: usize, part: usize) -> Option<CellFault> {
        self.cells[self.track.cell(frame, animal, part)]
    }

    /// Returns the animal whose points a row holds: another one where the tracker exchanged two.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn source(&self, frame: usize, animal: usize) -> usize {
        self.sources[frame * self.track.individuals.len() + animal]
    }

    /// Returns true if a row misleads who uses its points of at least this likelihood: one of them
    /// is an outlier, a guess or of another animal.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn is_wrong(&self, frame: usize, animal: usize, min_likelihood: f32) -> bool {
        let is_exchanged = self.source(frame, animal) != animal;
        let row = self.track.row(frame, animal).iter().enumerate();
        let mut usable =
            row.filter(|(_, point)| point.is_some_and(|point| point.likelihood >= min_likelihood));
        usable.any(|(part, _)| {
            let fault = self.fault(frame, animal, part);
            is_exchanged || matches!(fault, Some(CellFault::Guess | CellFault::Outlier))
        })
    }

    /// Returns the frame and the animal of every wrong row, ordered by frame.
    pub fn wrong_rows(&self, min_likelihood: f32) -> Vec<(usize, usize)> {
        let animals = self.track.individuals.len();
        (0..self.sources.len())
            .map(|row| (row / animals, row % animals))
            .filter(|&(frame, animal)| self.is_wrong(frame, animal, min_likelihood))
            .collect()
    }

    /// Moves every point by a distance out of `jitter`, and gives it the likelihood of a point that
    /// was found.
    fn blur(&mut self, random: &mut Random, jitter: Option<&RangeInclusive<f32>>) {
        let Some(jitter) = jitter else { return };
        for point in self.track.points_mut() {
            let (angle, likelihood) =
                (random.uniform(0.0, std::f32::consts::TAU), random.uniform(0.9, 1.0));
            let distance = random.uniform(*jitter.start(), *jitter.end());
            if let Some(point) = point {
                point.x += distance * angle.cos();
                point.y += distance * angle.sin();
                point.likelihood = likelihood;
            }
        }
    }

    fn drop_out(&mut self, random: &Random, share: f32) {
        // A tracker loses single body parts, and whole animals.
        for (kind, group) in [(0, Group::Part), (1, Group::Animal)] {
            let random = random.numbered(kind);
            self.in_runs(&random, share / 2.0, LONGEST_DROPOUT, group, |cell| {
                let point = cell.point?;
                let low = Keypoint {
                    x: point.x + cell.random.uniform(-5.0, 5.0),
                    y: point.y + cell.random.uniform(-5.0, 5.0),
                    likelihood: cell.random.uniform(0.005, 0.1),
                };
                Some((CellFault::Dropout, (!cell.choice).then_some(low)))
            });
        }
    }

    fn guess(&mut self, scene: &Scene, random: &Random, share: f32) {
        self.in_runs(random, share, LONGEST_GUESS, Group::Part, |mut cell| {
            // Half of the guesses take another animal for this one.
            let is_mistaken = cell.choice && scene.actors.len() > 1;
            let other = if is_mistaken { on_another(scene, &mut cell) } else { None };
            let [x, y] = other.unwrap_or_else(|| beside(scene, &mut cell));
            let likelihood = cell.random.uniform(0.1, 0.4);
            Some((CellFault::Guess, Some(Keypoint { x, y, likelihood })))
        });
    }

    fn stray(&mut self, scene: &Scene, random: &Random, share: f32) {
        self.in_runs(random, share, LONGEST_OUTLIER, Group::Part, |mut cell| {
            let [x, y] =
                if cell.choice { outside(scene, cell.random) } else { beside(scene, &mut cell) };
            let likelihood = cell.random.uniform(0.7, 1.0);
            Some((CellFault::Outlier, Some(Keypoint { x, y, likelihood })))
        });
    }

    /// Exchanges the rows of the two animals that are closest when a run begins.
    fn swap(&mut self, scene: &Scene, random: &mut Random, share: f32) {
        let animals = scene.actors.len();
        if animals < 2 {
            return;
        }
        for run in runs(random, scene.frames(), share, LONGEST_SWAP) {
            let pair = closest(scene, run.start);
            for frame in run {
                let [a, b] = pair.map(|animal| self.track.cell(frame, animal, 0));
                for part in 0..self.track.parts() {
                    self.track.points_mut().swap(a + part, b + part);
                    self.cells.swap(a + part, b + part);
                }
                self.sources.swap(frame * animals + pair[0], frame * animals + pair[1]);
            }
        }
    }

    /// Draws runs for each group of cells, and puts what `make` returns into the cells of each run.
    fn in_runs(
        &mut self,
        random: &Random,
        share: f32,
        longest: usize,
        group: Group,
        mut make: impl FnMut(Cell<'_>) -> Option<(CellFault, Option<Keypoint>)>,
    ) {
        let (frames, parts) = (self.track.frames(), self.track.parts());
        let together = match group {
            Group::Part => 1,
            Group::Animal => parts,
        };
        for animal in 0..self.track.individuals.len() {
            for first in (0..parts).step_by(together) {
                let of = first..first + together;
                let random = &mut random.numbered((animal * parts + first) as u64);
                for run in runs(random, frames, share, longest) {
                    let choice = random.chance(0.5);
                    for (frame, part) in run.flat_map(|f| of.clone().map(move |part| (f, part))) {
                        let at = self.track.cell(frame, animal, part);
                        let point = self.track.points()[at];
                        let cell = Cell { frame, animal, part, point, choice, random };
                        if let Some((fault, point)) = make(cell) {
                            self.cells[at] = Some(fault);
                            self.track.points_mut()[at] = point;
                        }
                    }
                }
            }
        }
    }
}

/// Cells that fail together.
#[derive(Clone, Copy)]
enum Group {
    Part,
    Animal,
}

/// A cell that gets a fault.
struct Cell<'a> {
    frame: usize,
    animal: usize,
    part: usize,
    /// What the cell holds so far.
    point: Option<Keypoint>,
    /// One of two ways to fail, the same in the whole run.
    choice: bool,
    random: &'a mut Random,
}

/// Returns the same body part of another animal, if it is in the picture and not on this animal.
fn on_another(scene: &Scene, cell: &mut Cell<'_>) -> Option<[f32; 2]> {
    let placed = scene.placed(cell.frame);
    let count = placed.len();
    let other = (cell.animal + 1 + cell.random.below(count - 1)) % count;
    let [x, y] = placed[other].parts[cell.part];
    let is_shown = scene.shown_at(&placed, x, y) == Some(other);
    (is_shown && is_off(&placed[cell.animal], x, y)).then_some([x, y])
}

/// Returns a random place in the picture that is not on the animal of the cell.
fn beside(scene: &Scene, cell: &mut Cell<'_>) -> [f32; 2] {
    let actor = &scene.actors[cell.animal];
    let placed = actor.animal.placed(cell.frame, actor.poses[cell.frame]);
    loop {
        let x = cell.random.uniform(1.0, scene.size.width as f32 - 1.0);
        let y = cell.random.uniform(1.0, scene.size.height as f32 - 1.0);
        if is_off(&placed, x, y) {
            return [x, y];
        }
    }
}

/// Returns true if a point is clearly not on the animal: a few pixels away.
fn is_off(animal: &Placed<'_>, x: f32, y: f32) -> bool {
    let around = [[0.0, 0.0], [4.0, 0.0], [-4.0, 0.0], [0.0, 4.0], [0.0, -4.0]];
    around.iter().all(|[dx, dy]| animal.outline.depth(x + dx, y + dy) < 0.0)
}

/// Returns a place outside the picture, at one of its sides.
fn outside(scene: &Scene, random: &mut Random) -> [f32; 2] {
    let (width, height) = (scene.size.width as f32, scene.size.height as f32);
    let away = random.uniform(4.0, 60.0);
    let (along_x, along_y) = (random.uniform(0.0, width), random.uniform(0.0, height));
    match random.below(4) {
        0 => [-away, along_y],
        1 => [width + away, along_y],
        2 => [along_x, -away],
        _ => [along_x, height + away],
    }
}

/// Returns the two animals whose centres are closest in a frame.
fn closest(scene: &Scene, frame: usize) -> [usize; 2] {
    let centre = |animal: usize| scene.actors[animal].poses[frame].at;
    let distance = |&[a, b]: &[usize; 2]| {
        let (a, b) = (centre(a), centre(b));
        (a[0] - b[0]).hypot(a[1] - b[1])
    };
    let animals = scene.actors.len();
    let pairs = (0..animals).flat_map(|a| (a + 1..animals).map(move |b| [a, b]));
    pairs.min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap()
}

#[cfg(test)]
mod tests;
