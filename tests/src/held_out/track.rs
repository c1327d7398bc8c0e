//! Pose tracks: where the body parts of each animal are in each frame.

use sam2_jobs::keypoints::{Individual, Keypoint};

use super::scene::Scene;

/// The body parts of all animals in all frames. Every frame has a row for each animal.
#[derive(Clone, Debug, PartialEq)]
pub struct PoseTrack {
    /// The animals. Their names are those of a project of several animals.
    pub individuals: Vec<Individual>,
    /// By frame, animal and body part; `None` where the body part was not seen.
    points: Vec<Option<Keypoint>>,
}

impl PoseTrack {
    /// Returns where the body parts that show are.
    pub(super) fn of(scene: &Scene) -> Self {
        let parts: Vec<String> =
            scene.species().parts().iter().map(|&part| part.to_owned()).collect();
        let individuals = (1..=scene.actors.len())
            .map(|number| Individual {
                name: Some(format!("animal{number}")),
                bodyparts: parts.clone(),
            })
            .collect();
        let mut points = Vec::with_capacity(scene.frames() * scene.actors.len() * parts.len());
        for frame in 0..scene.frames() {
            let placed = scene.placed(frame);
            for (animal, of) in placed.iter().enumerate() {
                points.extend(of.parts.iter().map(|&[x, y]| {
                    let shows = scene.shown_at(&placed, x, y) == Some(animal);
                    shows.then_some(Keypoint { x, y, likelihood: 1.0 })
                }));
            }
        }
        Self { individuals, points }
    }

    /// Returns the number of body parts of an animal.
    pub fn parts(&self) -> usize {
        self.individuals[0].bodyparts.len()
    }

    /// Returns the number of frames.
    pub fn frames(&self) -> usize {
        self.points.len() / (self.individuals.len() * self.parts())
    }

    /// Returns the body parts of an animal in a frame.
    ///
    /// # Panics
    /// If there is no such frame or animal.
    pub fn row(&self, frame: usize, animal: usize) -> &[Option<Keypoint>] {
        let start = self.cell(frame, animal, 0);
        &self.points[start..start + self.parts()]
    }

    /// Returns the position of a cell among the cells of the track.
    pub(super) fn cell(&self, frame: usize, animal: usize, part: usize) -> usize {
        (frame * self.individuals.len() + animal) * self.parts() + part
    }

    pub(super) fn points_mut(&mut self) -> &mut [Option<Keypoint>] {
        &mut self.points
    }

    /// Returns all cells in the order of frame, animal and body part.
    pub fn points(&self) -> &[Option<Keypoint>] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use crate::held_out::{HeldOut, Kind};

    #[test]
    fn points_lie_on_the_visible_part_of_their_own_animal() {
        for kind in Kind::ALL {
            let clip = HeldOut::with_frames(kind, 2, 100);
            let track = clip.track();
            assert_eq!(track.frames(), 100);
            for frame in (0..100).step_by(7) {
                for (animal, truth) in clip.truth(frame).iter().enumerate() {
                    let pixels = truth.to_bytes(1);
                    for point in track.row(frame, animal).iter().flatten() {
                        let pixel = point.y as usize * truth.width() as usize + point.x as usize;
                        assert!(pixels[pixel] == 1, "{kind:?}, frame {frame}: {point:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_does_not_show_is_a_gap() {
        let mut gaps = [0; 2];
        for (count, kind) in gaps.iter_mut().zip([Kind::LeavesAndReturns, Kind::StopsOnTop]) {
            let clip = HeldOut::new(kind, 1);
            let track = clip.track();
            for frame in 0..track.frames() {
                let truth = clip.truth(frame);
                let row = track.row(frame, 0);
                if truth[0].area() == 0 {
                    assert!(row.iter().all(Option::is_none), "{kind:?}, frame {frame}");
                }
                if truth[0] == clip.whole(frame, 0)
                    && truth[0].bounds().is_some_and(|[x0, _, x1, _]| x0 > 0 && x1 < 319)
                {
                    assert!(row.iter().all(Option::is_some), "{kind:?}, frame {frame}");
                }
                *count += row.iter().filter(|point| point.is_none()).count();
            }
        }
        assert!(gaps[0] >= 60 && gaps[1] >= 15, "{gaps:?}");
    }
}
