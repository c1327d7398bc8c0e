//! Outlines of masks, small enough for a page: shrunk to picture size and traced as SVG paths.

use sam2_mask_writer::Mask;

/// Limit on the bytes of one mask's path. A mask with more detail, such as noise all over the
/// frame, is traced more coarsely.
const MOST_BYTES: usize = 16 << 10;
/// Percentage of a shrunk pixel that a mask must cover. It is below one half so that thin animals
/// do not fall apart.
const COVERED_PERCENT: u64 = 40;

/// An outline in half pixels of a picture: coordinates run from 0 to twice the picture's width and
/// height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    /// An SVG path, to be filled by the even-odd rule.
    pub path: String,
    /// A position well inside the mask, for a label.
    pub label: (u32, u32),
    /// Left, top, right and bottom.
    pub bounds: [u32; 4],
}

impl Outline {
    /// Traces a mask in a picture of `size`, which is no larger than the mask; `None` for an empty
    /// mask.
    pub(crate) fn trace(mask: &Mask, size: (u32, u32)) -> Option<Self> {
        let mut coarse = 1;
        loop {
            let smaller = (size.0.div_ceil(coarse).max(1), size.1.div_ceil(coarse).max(1));
            let grid = Grid::shrink(mask, smaller)?;
            let path = grid.path(coarse as i32);
            if path.len() <= MOST_BYTES || smaller == (1, 1) {
                let scale = |value: usize| 2 * value as u32 * coarse;
                let (x, y) = grid.inner_place();
                let bounds = grid.bounds()?.map(scale);
                return Some(Self { path, label: (scale(x) + coarse, scale(y) + coarse), bounds });
            }
            coarse *= 2;
        }
    }
}

/// A small binary image.
struct Grid {
    width: usize,
    height: usize,
    inside: Vec<bool>,
}

impl Grid {
    /// Returns the mask at a smaller size; `None` if it is empty. A mask too small to be visible
    /// becomes one pixel.
    fn shrink(mask: &Mask, (width, height): (u32, u32)) -> Option<Self> {
        let (width, height) = (width as usize, height as usize);
        let (own_width, own_height) = (mask.width() as usize, mask.height() as usize);
        let mut covered = vec![0_u64; width * height];
        for run in mask.foreground() {
            for y in run.start / own_width..=(run.end - 1) / own_width {
                let start = run.start.max(y * own_width) - y * own_width;
                let end = run.end.min((y + 1) * own_width) - y * own_width;
                let row = &mut covered[y * height / own_height * width..][..width];
                let (first, last) = (start * width / own_width, (end - 1) * width / own_width);
                for (x, count) in row.iter_mut().enumerate().take(last + 1).skip(first) {
                    // The columns that this small pixel covers.
                    let columns =
                        (x * own_width).div_ceil(width)..((x + 1) * own_width).div_ceil(width);
                    *count += columns.end.min(end).saturating_sub(columns.start.max(start)) as u64;
                }
            }
        }
        let whole = (own_width * own_height) as u64 * COVERED_PERCENT;
        let pixels = (width * height) as u64 * 100;
        let mut inside: Vec<bool> =
            covered.iter().map(|&count| count > 0 && count * pixels >= whole).collect();
        if !inside.contains(&true) {
            let most = covered.iter().copied().max().filter(|&most| most > 0)?;
            if let Some(at) = covered.iter().position(|&count| count == most) {
                inside[at] = true;
            }
        }
        Some(Self { width, height, inside })
    }

    fn at(&self, x: i32, y: i32) -> bool {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return false };
        x < self.width && y < self.height && self.inside[y * self.width + x]
    }

    /// Returns whether an edge of the outline leaves the corner (`x`, `y`) to the right, down, left
    /// or up (0 to 3), with the inside on its right.
    fn edge(&self, (x, y): (i32, i32), direction: usize) -> bool {
        let (right, left) = match direction {
            0 => ((x, y), (x, y - 1)),
            1 => ((x - 1, y), (x, y)),
            2 => ((x - 1, y - 1), (x - 1, y)),
            _ => ((x, y - 1), (x - 1, y - 1)),
        };
        self.at(right.0, right.1) && !self.at(left.0, left.1)
    }

    /// Returns all outlines as a path through the middles of pixel edges, which smooths stair
    /// steps.
    fn path(&self, coarse: i32) -> String {
        const STEPS: [(i32, i32); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];
        let mut path = String::new();
        // Every outline has edges that run to the right, so marking those is enough.
        let mut seen = vec![false; self.width * (self.height + 1)];
        for y in 0..=self.height as i32 {
            for x in 0..self.width as i32 {
                let mark = |x: i32, y: i32| y as usize * self.width + x as usize;
                if !self.edge((x, y), 0) || seen[mark(x, y)] {
                    continue;
                }
                let (mut corner, mut direction) = ((x, y), 0);
                let mut line = Line::start((2 * x + 1, 2 * y), coarse, &mut path);
                loop {
                    if direction == 0 {
                        seen[mark(corner.0, corner.1)] = true;
                    }
                    let step = STEPS[direction];
                    corner = (corner.0 + step.0, corner.1 + step.1);
                    // Pixels that touch only at a corner stay separate: the sharpest right turn is
                    // tried first.
                    let turns = [1, 0, 3].map(|turn| (direction + turn) % 4);
                    let Some(next) = turns.into_iter().find(|&next| self.edge(corner, next)) else {
                        break;
                    };
                    line.step((step.0 + STEPS[next].0, step.1 + STEPS[next].1));
                    direction = next;
                    if corner == (x, y) && direction == 0 {
                        break;
                    }
                }
                line.close();
            }
        }
        path
    }

    /// Returns the middle of the longest run of mask pixels in the row closest to the middle.
    fn inner_place(&self) -> (usize, usize) {
        let Some([_, top, _, bottom]) = self.bounds() else { return (0, 0) };
        let middle = (top + bottom) / 2;
        let mut rows: Vec<usize> = (top..bottom).collect();
        rows.sort_by_key(|row| row.abs_diff(middle));
        for y in rows {
            let row = &self.inside[y * self.width..(y + 1) * self.width];
            let mut start = 0;
            let runs = row.chunk_by(|a, b| a == b).map(|run| {
                start += run.len();
                (run[0], run.len(), start - run.len() + run.len() / 2)
            });
            if let Some((_, _, x)) = runs.filter(|run| run.0).max_by_key(|run| run.1) {
                return (x, y);
            }
        }
        (0, 0)
    }

    /// Returns left, top, right and bottom; the latter two are exclusive.
    fn bounds(&self) -> Option<[usize; 4]> {
        let mut bounds: Option<[usize; 4]> = None;
        for (at, _) in self.inside.iter().enumerate().filter(|(_, inside)| **inside) {
            let (x, y) = (at % self.width, at / self.width);
            let [left, top, right, bottom] = bounds.unwrap_or([x, y, x + 1, y + 1]);
            bounds = Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)]);
        }
        bounds
    }
}

/// Writes a closed line and merges equal steps.
struct Line<'a> {
    path: &'a mut String,
    coarse: i32,
    step: (i32, i32),
    times: i32,
}

impl<'a> Line<'a> {
    fn start((x, y): (i32, i32), coarse: i32, path: &'a mut String) -> Self {
        path.push_str(&format!("M{} {}l", x * coarse, y * coarse));
        Self { path, coarse, step: (0, 0), times: 0 }
    }

    fn step(&mut self, step: (i32, i32)) {
        if step != self.step {
            self.flush();
            self.step = step;
        }
        self.times += 1;
    }

    fn flush(&mut self) {
        if self.times > 0 {
            let length = self.times * self.coarse;
            for value in [self.step.0 * length, self.step.1 * length] {
                // A minus sign separates numbers as well as a space does.
                if value >= 0 && !self.path.ends_with('l') {
                    self.path.push(' ');
                }
                self.path.push_str(&value.to_string());
            }
        }
        self.times = 0;
    }

    fn close(mut self) {
        self.flush();
        self.path.push('z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parses a path into absolute corners, contour by contour.
    fn contours(path: &str) -> Vec<Vec<(i32, i32)>> {
        path.split('z').filter(|part| !part.is_empty()).map(contour).collect()
    }

    fn contour(part: &str) -> Vec<(i32, i32)> {
        let (start, steps) = part[1..].split_once('l').unwrap();
        let numbers = |text: &str| -> Vec<i32> {
            let spaced = text.replace('-', " -");
            spaced.split_whitespace().map(|n| n.parse().unwrap()).collect()
        };
        let start = numbers(start);
        let mut corners = vec![(start[0], start[1])];
        for step in numbers(steps).chunks(2) {
            let (x, y) = corners[corners.len() - 1];
            corners.push((x + step[0], y + step[1]));
        }
        corners
    }

    /// Returns whether a point is inside by the even-odd rule.
    fn inside(contours: &[Vec<(i32, i32)>], (x, y): (f64, f64)) -> bool {
        let crossings = contours.iter().flat_map(|corners| corners.windows(2)).filter(|pair| {
            let [(x0, y0), (x1, y1)] =
                [pair[0], pair[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
            (y0 > y) != (y1 > y) && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
        });
        crossings.count() % 2 == 1
    }

    proptest! {
        #[test]
        fn outlines_close_and_hold_the_middles_of_the_pixels(
            (width, height, pixels) in (1_u32..9, 1_u32..9).prop_flat_map(|(w, h)| {
                (Just(w), Just(h), prop::collection::vec(any::<bool>(), (w * h) as usize))
            }),
        ) {
            let mask = Mask::from_pixels(width, height, pixels.iter().copied()).unwrap();
            let outline = Outline::trace(&mask, (width, height));
            prop_assert_eq!(outline.is_some(), pixels.contains(&true));
            let Some(outline) = outline else { return Ok(()) };
            let contours = contours(&outline.path);
            prop_assert!(contours.iter().all(|corners| corners.first() == corners.last()));
            for (at, &expected) in pixels.iter().enumerate() {
                let (x, y) = (at as u32 % width, at as u32 / width);
                // Slightly off the lattice, so that no crossing is counted twice.
                let middle = (f64::from(2 * x + 1) + 0.01, f64::from(2 * y + 1) + 0.02);
                prop_assert_eq!(inside(&contours, middle), expected, "{:?} in {}", (x, y), outline.path);
            }
            let (x, y) = outline.label;
            prop_assert!(pixels[(y / 2 * width + x / 2) as usize], "the label lies inside");
        }

        #[test]
        fn shrinking_never_loses_a_mask(
            (width, height) in (1_u32..90, 1_u32..90),
            at in any::<prop::sample::Index>(),
            (small_width, small_height) in (1_u32..9, 1_u32..9),
        ) {
            let at = at.index((width * height) as usize);
            let pixels = (0..(width * height) as usize).map(|pixel| pixel == at);
            let mask = Mask::from_pixels(width, height, pixels).unwrap();
            let size = (small_width.min(width), small_height.min(height));
            let outline = Outline::trace(&mask, size).unwrap();
            let (x, y) = ((at as u32 % width) * size.0 / width, (at as u32 / width) * size.1 / height);
            prop_assert_eq!(outline.bounds, [2 * x, 2 * y, 2 * x + 2, 2 * y + 2]);
        }
    }

    #[test]
    fn noise_is_traced_coarsely_enough() {
        let (width, height) = (640_u32, 480_u32);
        let pixels = (0..(width * height) as usize).map(|i| (i * 2_654_435_761) >> 7 & 3 == 0);
        let mask = Mask::from_pixels(width, height, pixels).unwrap();
        assert!(Outline::trace(&mask, (width, height)).unwrap().path.len() <= MOST_BYTES);
        let full = Mask::from_runs(640, 480, vec![0, 640 * 480]).unwrap();
        let outline = Outline::trace(&full, (640, 480)).unwrap();
        assert_eq!(outline.bounds, [0, 0, 1280, 960]);
        assert!(outline.path.len() < 100, "{}", outline.path);
    }
}
