//! How good masks are, compared with the ground truth.

use std::ops::RangeInclusive;

use sam2_engine::Mask;

/// A mask with a J below this is wrong.
const RIGHT_FROM: f64 = 0.5;

/// What is known about the mask of an object in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Index of the frame.
    pub frame: usize,
    /// Index of the object in the ground truth.
    pub object: usize,
    /// Intersection over union with the ground truth, 0 to 1. Where the object does not show, an
    /// empty mask has 1 and any other 0.
    pub j: f64,
    /// The other object whose ground truth the mask has an IoU above 0.5 with, if that is higher
    /// than `j`.
    pub taken_for: Option<usize>,
}

impl Verdict {
    /// Returns true if J is below 0.5.
    pub fn is_wrong(&self) -> bool {
        self.j < RIGHT_FROM
    }
}

/// Consecutive scored frames in which an object's mask was on other objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Index of the object.
    pub object: usize,
    /// Its first and its last frame.
    pub frames: RangeInclusive<usize>,
}

/// The verdicts about the masks of a clip.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    verdicts: Vec<Verdict>,
    frames: usize,
}

impl Scores {
    /// Adds the masks of all objects of a frame, in the order of the ground truth. Frames are added
    /// in ascending order; frames can be left out, such as those with a prompt.
    ///
    /// # Panics
    /// If there is not one mask for each object, or frames do not ascend.
    pub fn add(&mut self, frame: usize, truth: &[Mask], masks: &[Mask]) {
        assert_eq!(truth.len(), masks.len(), "frame {frame} needs a mask of each object");
        assert!(
            self.verdicts.last().is_none_or(|last| last.frame < frame),
            "frame {frame} must be added before later ones"
        );
        self.frames += 1;
        for (object, mask) in masks.iter().enumerate() {
            let j = mask.iou(&truth[object]);
            // An empty mask is on no object, although its IoU with an empty truth is 1.
            let others =
                truth.iter().enumerate().filter(|&(at, _)| at != object && mask.area() > 0);
            let taken_for = others
                .map(|(at, other)| (at, mask.iou(other)))
                .filter(|&(_, iou)| iou > RIGHT_FROM && iou > j)
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(at, _)| at);
            self.verdicts.push(Verdict { frame, object, j, taken_for });
        }
    }

    /// Returns every verdict, by frame and object.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Returns the mean J of all objects in all frames; 0 without any.
    pub fn mean_j(&self) -> f64 {
        let sum: f64 = self.verdicts.iter().map(|verdict| verdict.j).sum();
        sum / self.verdicts.len().max(1) as f64
    }

    /// Returns the verdicts about wrong masks, by frame and object.
    pub fn wrong(&self) -> Vec<Verdict> {
        self.verdicts.iter().copied().filter(Verdict::is_wrong).collect()
    }

    /// Returns the identity swaps, ordered by object and frame. A swap ends with the first frame in
    /// which the mask is on no other object; it does not end where the other object changes.
    pub fn swaps(&self) -> Vec<Swap> {
        let objects = self.verdicts.len() / self.frames.max(1);
        let mut swaps = Vec::new();
        for object in 0..objects {
            let mut open: Option<Swap> = None;
            for verdict in self.verdicts.iter().skip(object).step_by(objects) {
                let frame = verdict.frame;
                if verdict.taken_for.is_none() {
                    swaps.extend(open.take());
                    continue;
                }
                let first = open.map_or(frame, |swap| *swap.frames.start());
                open = Some(Swap { object, frames: first..=frame });
            }
            swaps.extend(open);
        }
        swaps
    }

    /// Returns the number of identity swaps of all objects for each 1,000 scored frames.
    pub fn swaps_per_1000_frames(&self) -> f64 {
        1000.0 * self.swaps().len() as f64 / self.frames.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mask of 10 x 1 pixels.
    fn row(from: u32, to: u32) -> Mask {
        Mask::from_pixels(10, 1, (0..10_u32).map(|x| (from..to).contains(&x))).unwrap()
    }

    fn none() -> Mask {
        row(0, 0)
    }

    #[test]
    fn j_counts_and_what_is_absent_must_be_empty() {
        let mut scores = Scores::default();
        scores.add(0, &[row(0, 4), row(6, 10)], &[row(0, 4), row(6, 8)]);
        scores.add(1, &[row(0, 4), none()], &[row(2, 4), none()]);
        scores.add(4, &[row(0, 4), none()], &[none(), row(9, 10)]);
        let j: Vec<f64> = scores.verdicts().iter().map(|verdict| verdict.j).collect();
        assert_eq!(j, [1.0, 0.5, 0.5, 1.0, 0.0, 0.0]);
        assert_eq!(scores.mean_j(), 0.5);
        let wrong: Vec<(usize, usize)> =
            scores.wrong().iter().map(|verdict| (verdict.frame, verdict.object)).collect();
        assert_eq!(wrong, [(4, 0), (4, 1)]);
        assert_eq!(scores.swaps(), []);
        assert_eq!(Scores::default().mean_j(), 0.0);
        assert_eq!(Scores::default().swaps_per_1000_frames(), 0.0);
    }

    #[test]
    fn a_swap_is_a_run_of_frames_on_another_object() {
        let truth = [row(0, 4), row(6, 10)];
        let mut scores = Scores::default();
        scores.add(0, &truth, &[row(0, 4), row(6, 10)]);
        scores.add(1, &truth, &[row(6, 10), row(6, 9)]);
        scores.add(2, &truth, &[row(6, 9), row(0, 4)]);
        // Half of another object is not enough.
        scores.add(3, &truth, &[row(6, 8), row(0, 4)]);
        // The object is gone, and its mask moves to the one that is still there.
        scores.add(4, &[none(), row(6, 10)], &[row(6, 10), row(6, 10)]);
        let swap = |object, frames| Swap { object, frames };
        assert_eq!(scores.swaps(), [swap(0, 1..=2), swap(0, 4..=4), swap(1, 2..=3)]);
        assert_eq!(scores.swaps_per_1000_frames(), 600.0);
        assert_eq!(scores.verdicts()[2].taken_for, Some(1));
        assert_eq!(scores.verdicts()[3].taken_for, None);
    }

    #[test]
    fn an_empty_mask_is_on_no_object_and_the_better_of_two_counts() {
        let mut scores = Scores::default();
        scores.add(0, &[row(0, 4), none()], &[none(), none()]);
        // Both truths overlap the mask by more than half; its own more.
        scores.add(1, &[row(0, 9), row(0, 6)], &[row(0, 9), row(0, 6)]);
        assert!(scores.verdicts().iter().all(|verdict| verdict.taken_for.is_none()));
    }

    #[test]
    #[should_panic(expected = "frame 3 must be added before later ones")]
    fn frames_ascend() {
        let mut scores = Scores::default();
        scores.add(5, &[none()], &[none()]);
        scores.add(3, &[none()], &[none()]);
    }
}
