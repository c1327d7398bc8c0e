//! The decoder's candidate masks of one frame, read back from the device.

use crate::session::for_each_region;

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
    side: usize,
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
        Self { all, side }
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
        outside(a, b).filter(|&outside| outside).count()
    }

    /// Compares the bounding box of candidate `other` with the box around `other` and the largest
    /// region of candidate `index` outside it. A region is connected across edges and corners; of
    /// equally large ones the first counts.
    ///
    /// Returns the IoU of the two boxes: 1 if the region lies within the box of `other`, and the
    /// less, the further `index` reaches beyond it. `None` if `index` has no pixel outside `other`,
    /// or `other` has none at all.
    pub fn box_iou_with_part_outside(&self, index: usize, other: usize) -> Option<f64> {
        let (Some(a), Some(b)) = (self.all.get(index), self.all.get(other)) else { return None };
        let own = (0..b.pixels.len()).filter(|&position| b.pixels[position]);
        let own = Bounds::around(own, self.side)?;
        let (mut largest, mut part) = (0, None);
        for_each_region(outside(a, b).collect(), self.side, |region| {
            if region.len() > largest {
                largest = region.len();
                part = Bounds::around(region.iter().copied(), self.side);
            }
        });
        // One box contains the other, so the IoU is the ratio of their areas.
        Some(own.area() / own.and(part?).area())
    }
}

/// Returns for each pixel whether candidate `a` covers it and `b` does not.
fn outside(a: &Candidate, b: &Candidate) -> impl Iterator<Item = bool> {
    a.pixels.iter().zip(&b.pixels).map(|(&a, &b)| a && !b)
}

/// A bounding box in pixels; the last column and row are inclusive.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    columns: [usize; 2],
    rows: [usize; 2],
}

impl Bounds {
    /// Returns the box around pixels of a map of `width` columns; `None` if there are none.
    fn around(pixels: impl IntoIterator<Item = usize>, width: usize) -> Option<Self> {
        let pixels = pixels.into_iter();
        let boxes = pixels.map(|position| {
            let (x, y) = (position % width, position / width);
            Self { columns: [x, x], rows: [y, y] }
        });
        boxes.reduce(Self::and)
    }

    /// Returns the box around both.
    fn and(self, other: Self) -> Self {
        let both = |[a, b]: [usize; 2], [c, d]: [usize; 2]| [a.min(c), b.max(d)];
        Self { columns: both(self.columns, other.columns), rows: both(self.rows, other.rows) }
    }

    fn area(self) -> f64 {
        let length = |[first, last]: [usize; 2]| (last - first + 1) as f64;
        length(self.columns) * length(self.rows)
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
    fn a_second_object_reaches_out_of_the_box_and_a_margin_does_not() {
        let rows = |rows: [&str; 5]| {
            rows.concat().bytes().map(|c| if c == b'#' { 1.0 } else { -1.0 }).collect::<Vec<f32>>()
        };
        let mask = rows(["##...", "##...", ".....", ".....", "....."]);
        let margin = rows(["###..", "###..", ".....", ".....", "....."]);
        // The pixel apart from the rest is not the largest region; the corner connects the others.
        let away = rows(["##..#", "##...", "..#..", "...#.", "....."]);
        let within = rows(["##...", "#....", ".....", ".....", "....."]);
        let all = [mask, margin, away, within, vec![-1.0; 25]].concat();
        let candidates = Candidates::new(&all, &[0.9; 5], 5);
        let iou = |index| candidates.box_iou_with_part_outside(index, 0);
        assert_eq!(iou(1), Some(4.0 / 6.0));
        assert_eq!(iou(2), Some(4.0 / 16.0));
        assert_eq!([iou(0), iou(3), iou(4), iou(5)], [None; 4]);
        assert_eq!(candidates.box_iou_with_part_outside(0, 4), None);
        // A part in a notch of the mask lies within the box.
        assert_eq!(candidates.box_iou_with_part_outside(0, 3), Some(1.0));
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
