//! Masks of the frames between two computed ones.

use std::collections::BTreeMap;
use std::fmt;

use sam2_mask_writer::{LabelledMask, Mask};

/// What the frames between two computed ones get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Between {
    /// The masks of the nearer computed frame; of the earlier one in the middle.
    Nearest,
    /// Masks in between: each object moves on a straight line from one computed mask to the other, and
    /// its outline changes steadily. Where it has a mask on one side only, the nearer side counts.
    ///
    /// The outlines are blended as signed distances (Raya and Udupa 1990, "Shape-based interpolation of
    /// multidimensional objects"), after the masks are moved so that their centroids fall on each other.
    #[default]
    Interpolate,
    /// No masks.
    None,
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nearest => "nearest",
            Self::Interpolate => "interpolate",
            Self::None => "none",
        })
    }
}

/// Two computed frames that follow each other, between which frames are left out.
pub(super) struct Gap<'m> {
    between: Between,
    before: &'m [LabelledMask],
    behind: &'m [LabelledMask],
    /// The shapes on both sides of the objects that move or change.
    shapes: BTreeMap<u32, [Shape; 2]>,
}

impl<'m> Gap<'m> {
    /// Prepares what the frames of a gap have in common.
    pub(super) fn new(
        between: Between,
        before: &'m [LabelledMask],
        behind: &'m [LabelledMask],
    ) -> Self {
        let mut shapes = BTreeMap::new();
        if between == Between::Interpolate {
            for LabelledMask { object, mask: from, .. } in before {
                let there = behind.iter().find(|shown| shown.object == *object);
                let both = there.map(|shown| [from, &shown.mask]);
                let differ =
                    |[from, to]: &[&Mask; 2]| from != to && from.area() > 0 && to.area() > 0;
                shapes.extend(both.filter(differ).map(|both| (*object, both.map(Shape::of))));
            }
        }
        Self { between, before, behind, shapes }
    }

    /// Returns the masks `part` of the way, 0 to 1 exclusive, from the frame before to the frame
    /// behind. They have no facts, since the model did not look at this frame.
    pub(super) fn masks(&self, part: f64) -> Vec<LabelledMask> {
        // In the order of the nearer side; what only the other side knows has no mask here.
        let nearer = match self.between {
            Between::None => &[],
            _ if part <= 0.5 => self.before,
            _ => self.behind,
        };
        let masks = nearer.iter().map(|LabelledMask { object, mask: near, .. }| {
            let mask = match self.shapes.get(object) {
                Some(shapes) => blended(near, shapes, part),
                None => near.clone(),
            };
            LabelledMask { object: *object, mask, facts: None, logits: None }
        });
        masks.collect()
    }
}

/// Returns the mask `part` of the way from one shape to the other, of the size of `near`.
fn blended(near: &Mask, [start, end]: &[Shape; 2], part: f64) -> Mask {
    let (width, height) = (near.width() as usize, near.height() as usize);
    let centre =
        [0, 1].map(|axis| start.centre[axis] + part * (end.centre[axis] - start.centre[axis]));
    // The box that holds both shapes when they are moved to the new centre.
    let reach = |axis: usize, side: f64| {
        let of = |shape: &Shape| {
            let edge = if side < 0.0 { shape.low[axis] } else { shape.high[axis] };
            (edge as f64 - shape.centre[axis]).abs()
        };
        centre[axis] + side * of(start).max(of(end))
    };
    let limits = [width, height];
    let low = [0, 1].map(|axis| reach(axis, -1.0).floor().max(0.0) as usize);
    let high = [0, 1].map(|axis| (reach(axis, 1.0).ceil().max(0.0) as usize).min(limits[axis] - 1));
    let mut pixels = vec![false; width * height];
    for y in low[1]..=high[1] {
        for x in low[0]..=high[0] {
            let at = [x as f64 - centre[0], y as f64 - centre[1]];
            let depth = (1.0 - part) * start.depth(at) + part * end.depth(at);
            pixels[y * width + x] = depth > 0.0;
        }
    }
    let mask = Mask::from_pixels(near.width(), near.height(), pixels.into_iter());
    mask.unwrap_or_else(|_| near.clone())
}

/// The signed distances of a mask from its outline, in a box around it.
struct Shape {
    /// The centroid, column and row.
    centre: [f64; 2],
    /// The first column and row with a pixel of the mask.
    low: [usize; 2],
    /// The last ones.
    high: [usize; 2],
    /// Number of columns and rows of the box, which is one pixel larger on every side.
    size: [usize; 2],
    /// Row by row: above 0 in the mask, below 0 outside of it, in pixels.
    depth: Vec<f32>,
}

impl Shape {
    fn of(mask: &Mask) -> Self {
        let [x0, y0, x1, y1] = mask.bounds().unwrap_or_default().map(|edge| edge as usize);
        let (low, high) = ([x0, y0], [x1, y1]);
        let size = [0, 1].map(|axis| high[axis] - low[axis] + 3);
        let mut inside = vec![false; size[0] * size[1]];
        let mut sum = [0.0; 2];
        for pixel in mask.foreground().flatten() {
            let (x, y) = (pixel % mask.width() as usize, pixel / mask.width() as usize);
            inside[(y - low[1] + 1) * size[0] + x - low[0] + 1] = true;
            sum = [sum[0] + x as f64, sum[1] + y as f64];
        }
        let count = mask.area() as f64;
        let to_outside = distances(&inside, size, false);
        let to_inside = distances(&inside, size, true);
        let depth = inside.iter().zip(to_outside.iter().zip(&to_inside));
        // The outline lies between the pixels.
        let depth = depth.map(|(&inside, (&out, &to))| if inside { out - 0.5 } else { 0.5 - to });
        let centre = sum.map(|sum| sum / count.max(1.0));
        Self { centre, low, high, size, depth: depth.collect() }
    }

    /// Returns the signed distance at a place, given from the centroid, between the pixels by linear
    /// interpolation. Outside of the box, the distance to it is added.
    fn depth(&self, at: [f64; 2]) -> f64 {
        let mut outside = 0.0;
        let mut place = [(0, 0.0); 2];
        for axis in 0..2 {
            let there = at[axis] + self.centre[axis] - self.low[axis] as f64 + 1.0;
            let last = (self.size[axis] - 1) as f64;
            let within = there.clamp(0.0, last);
            outside += (there - within).powi(2);
            let whole = within.floor().min(last - 1.0);
            place[axis] = (whole as usize, within - whole);
        }
        let [(x, across), (y, down)] = place;
        let value = |x: usize, y: usize| f64::from(self.depth[y * self.size[0] + x]);
        let row = |y: usize| (1.0 - across) * value(x, y) + across * value(x + 1, y);
        (1.0 - down) * row(y) + down * row(y + 1) - outside.sqrt()
    }
}

/// Returns the distance of every pixel from the nearest one whose value is `wanted`, in pixels. It is
/// exact: parabolas are drawn from every pixel, first along columns, then along rows, and the lowest
/// one counts (Felzenszwalb and Huttenlocher 2012, "Distance transforms of sampled functions").
fn distances(inside: &[bool], [width, height]: [usize; 2], wanted: bool) -> Vec<f32> {
    let far = ((width + height) as f32).powi(2);
    let mut squared: Vec<f32> =
        inside.iter().map(|&value| if value == wanted { 0.0 } else { far }).collect();
    let mut line = Line::default();
    for x in 0..width {
        line.transform(&mut squared, x, width, height);
    }
    for y in 0..height {
        line.transform(&mut squared, y * width, 1, width);
    }
    squared.into_iter().map(f32::sqrt).collect()
}

/// Room for one row or column.
#[derive(Default)]
struct Line {
    values: Vec<f32>,
    /// The places of the parabolas that are lowest somewhere.
    lowest: Vec<usize>,
    /// Where each of them begins to be the lowest.
    begins: Vec<f32>,
}

impl Line {
    /// Transforms `count` values, from `start` on, `step` apart.
    fn transform(&mut self, squared: &mut [f32], start: usize, step: usize, count: usize) {
        self.values.clear();
        self.values.extend((0..count).map(|at| squared[start + at * step]));
        self.lowest.clear();
        self.begins.clear();
        for at in 0..count {
            let mut begin = f32::NEG_INFINITY;
            while let (Some(&last), Some(&from)) = (self.lowest.last(), self.begins.last()) {
                // Where the parabola from here crosses the last one.
                let (a, b) = (last as f32, at as f32);
                begin = (self.values[at] + b * b - self.values[last] - a * a) / (2.0 * (b - a));
                if begin > from {
                    break;
                }
                begin = f32::NEG_INFINITY;
                self.lowest.pop();
                self.begins.pop();
            }
            self.lowest.push(at);
            self.begins.push(begin);
        }
        let mut which = 0;
        for at in 0..count {
            while self.begins.get(which + 1).is_some_and(|&begin| begin <= at as f32) {
                which += 1;
            }
            let from = self.lowest[which];
            squared[start + at * step] = (at as f32 - from as f32).powi(2) + self.values[from];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: usize = 24;

    /// Makes a mask of the pixels from (x0, y0) to (x1, y1), the last ones not included.
    fn mask([x0, y0, x1, y1]: [usize; 4]) -> Mask {
        let inside = |i: usize| (x0..x1).contains(&(i % SIZE)) && (y0..y1).contains(&(i / SIZE));
        Mask::from_pixels(SIZE as u32, SIZE as u32, (0..SIZE * SIZE).map(inside)).unwrap()
    }

    fn shown(object: u32, mask: Mask) -> LabelledMask {
        LabelledMask { object, mask, facts: None, logits: None }
    }

    /// Returns the mask `part` of the way from one mask to the other.
    fn blended(from: &Mask, to: &Mask, part: f64) -> Mask {
        let (before, behind) = ([shown(1, from.clone())], [shown(1, to.clone())]);
        Gap::new(Between::Interpolate, &before, &behind).masks(part).remove(0).mask
    }

    #[test]
    fn a_shape_that_moves_is_halfway_in_between() {
        assert_eq!(blended(&mask([2, 2, 8, 6]), &mask([10, 6, 16, 10]), 0.5), mask([6, 4, 12, 8]));
        assert_eq!(blended(&mask([2, 2, 8, 6]), &mask([10, 2, 16, 6]), 0.25), mask([4, 2, 10, 6]));
        // At the edge of the picture too.
        assert_eq!(
            blended(&mask([0, 0, 4, 4]), &mask([20, 20, 24, 24]), 0.5),
            mask([10, 10, 14, 14])
        );
    }

    #[test]
    fn a_shape_that_grows_is_in_between() {
        let grown = blended(&mask([10, 10, 12, 12]), &mask([6, 6, 16, 16]), 0.5);
        assert!((20..50).contains(&grown.area()), "{}", grown.area());
        assert!(grown.contains(8, 10) && !grown.contains(6, 6));
    }

    #[test]
    fn each_way_gives_what_it_says() {
        let [a, b] = [mask([2, 2, 8, 6]), mask([10, 2, 16, 6])];
        let before = [shown(1, a.clone()), shown(2, mask([0, 0, 0, 0])), shown(3, a.clone())];
        let behind = [shown(2, b.clone()), shown(1, b.clone())];
        let of = |between: Between, part| {
            let masks = Gap::new(between, &before, &behind).masks(part);
            masks.into_iter().map(|shown| (shown.object, shown.mask)).collect::<Vec<_>>()
        };
        assert_eq!(of(Between::None, 0.5), []);
        let nearest = [(1, a.clone()), (2, mask([0, 0, 0, 0])), (3, a.clone())];
        assert_eq!(of(Between::Nearest, 0.5), nearest);
        assert_eq!(of(Between::Nearest, 0.6), [(2, b.clone()), (1, b.clone())]);
        // An object that was lost on one side has the mask of the nearer side.
        let middle = [(1, mask([6, 2, 12, 6])), (2, mask([0, 0, 0, 0])), (3, a)];
        assert_eq!(of(Between::Interpolate, 0.5), middle);
        assert_eq!(of(Between::Interpolate, 0.75)[0], (2, b));
    }

    proptest! {
        #[test]
        fn distances_are_exact(pixels in prop::collection::vec(any::<bool>(), 60)) {
            let size = [10, 6];
            prop_assume!(pixels.contains(&true));
            let found = distances(&pixels, size, true);
            for (at, found) in found.iter().enumerate() {
                let to = |other: usize| {
                    let x = (at % 10) as f32 - (other % 10) as f32;
                    let y = (at / 10) as f32 - (other / 10) as f32;
                    x.hypot(y)
                };
                let all = (0..60).filter(|&other| pixels[other]).map(to);
                prop_assert!((found - all.fold(f32::INFINITY, f32::min)).abs() < 1e-4);
            }
        }

        #[test]
        fn near_an_end_the_mask_is_nearly_that_of_the_end(
            pixels in prop::collection::vec(any::<bool>(), SIZE * SIZE),
            more in prop::collection::vec(any::<bool>(), SIZE * SIZE),
        ) {
            let side = SIZE as u32;
            let of = |pixels: Vec<bool>| Mask::from_pixels(side, side, pixels.into_iter());
            let (a, b) = (of(pixels), of(more));
            let (a, b) = (a.unwrap(), b.unwrap());
            prop_assume!(a.area() > 0 && b.area() > 0);
            prop_assert_eq!(blended(&a, &b, 1e-9), a.clone());
            prop_assert_eq!(blended(&a, &b, 1.0 - 1e-9), b);
        }
    }
}
