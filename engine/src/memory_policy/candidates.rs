//! The decoder's candidate masks of one frame, read back from the device.

/// One of the masks from which the model chose.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// The model's own estimate of the mask's IoU with the ground truth, 0..1.
    pub predicted_iou: f32,
    /// Pixels of the low-resolution map (a quarter of the model's side) that it covers.
    pub area: usize,
    pixels: Vec<bool>,
}

/// The candidates of one object in one frame.
#[derive(Clone, Debug)]
pub struct Candidates {
    all: Vec<Candidate>,
}

impl Candidates {
    /// Makes candidates from logits `[count, side, side]` in row-major order and predicted IoUs
    /// `[count]`. Missing logits count as background.
    pub fn new(logits: &[f32], predicted_ious: &[f32], side: usize) -> Self {
        let plane = side * side;
        let all = predicted_ious
            .iter()
            .enumerate()
            .map(|(index, &predicted_iou)| {
                let values = logits.iter().skip(index * plane).take(plane);
                let mut pixels: Vec<bool> = values.map(|&logit| logit > 0.0).collect();
                pixels.resize(plane, false);
                Candidate {
                    predicted_iou,
                    area: pixels.iter().filter(|&&inside| inside).count(),
                    pixels,
                }
            })
            .collect();
        Self { all }
    }

    /// Returns all candidates in the decoder's order.
    pub fn all(&self) -> &[Candidate] {
        &self.all
    }

    /// Returns the index of the candidate with the highest predicted IoU, the first of equals: this
    /// one became the mask.
    pub fn most_confident(&self) -> usize {
        let mut best = 0;
        for (index, candidate) in self.all.iter().enumerate() {
            if candidate.predicted_iou > self.all[best].predicted_iou {
                best = index;
            }
        }
        best
    }

    /// Counts the pixels of candidate `index` that candidate `other` does not cover.
    pub fn area_outside(&self, index: usize, other: usize) -> usize {
        let (Some(a), Some(b)) = (self.all.get(index), self.all.get(other)) else { return 0 };
        a.pixels.iter().zip(&b.pixels).filter(|(a, b)| **a && !**b).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_know_their_area_and_what_lies_outside() {
        let left = [1.0, -1.0, 1.0, -1.0];
        let top = [1.0, 1.0, -1.0, -1.0];
        let none = [-1.0; 4];
        let logits: Vec<f32> = [left, top, none].concat();
        let candidates = Candidates::new(&logits, &[0.3, 0.8, 0.8], 2);
        let areas: Vec<usize> = candidates.all().iter().map(|c| c.area).collect();
        assert_eq!(areas, [2, 2, 0]);
        assert_eq!(candidates.most_confident(), 1);
        assert_eq!((candidates.area_outside(0, 1), candidates.area_outside(1, 2)), (1, 2));
        assert_eq!(candidates.area_outside(0, 7), 0);
    }

    #[test]
    fn missing_logits_are_background_and_no_candidates_are_none() {
        let short = Candidates::new(&[1.0], &[0.5, 0.4], 2);
        assert_eq!(short.all().iter().map(|c| c.area).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(Candidates::new(&[], &[], 2).most_confident(), 0);
        let nan = Candidates::new(&[f32::NAN; 4], &[f32::NAN, 0.1], 2);
        assert_eq!(nan.all()[0].area, 0);
    }
}
