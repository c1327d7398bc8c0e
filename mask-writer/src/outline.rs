//! Masks as polygons through the centres of their border pixels.
//!
//! Borders are followed by the algorithm of Suzuki and Abe ("Topological structural analysis of
//! digitized binary images by border following", 1985), which OpenCV's `findContours` uses as well:
//! parts of a mask are also connected at corners, holes only at edges.

use std::collections::HashMap;

use crate::mask::Mask;

/// Column and row of a pixel.
pub type Pixel = (u32, u32);

/// The eight neighbours of a pixel, clockwise from the one on the right.
const NEIGHBOURS: [(isize, isize); 8] =
    [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)];

/// Returns a mask as closed polygons, one for each part of the mask. The pixels inside and on the
/// edges of the polygons are the mask.
///
/// Points are the (column, row) of border pixels. OpenCV's `fillPoly` reproduces the mask from the
/// polygons.
///
/// A hole is joined to the border on its left by a bridge through the mask, there and back. The
/// polygons contain only corners: no point lies on the straight line between its neighbours.
pub fn polygons(mask: &Mask) -> Vec<Vec<Pixel>> {
    let borders = Borders::follow(mask);
    let outer = borders.rings.iter().filter(|ring| ring.left.is_none());
    let tree = borders.holes();
    outer.map(|ring| corners(&tree.walk(&ring.points))).collect()
}

/// Returns all parts of a mask as one polygon; empty for an empty mask. Each part is joined by a
/// bridge, there and back, to the nearest border pixel of the part that begins above it, as
/// Ultralytics' own converter of COCO annotations does.
pub(crate) fn polygon(mask: &Mask) -> Vec<Pixel> {
    let borders = Borders::follow(mask);
    let mut tree = borders.holes();
    let mut parts = borders.rings.iter().filter(|ring| ring.left.is_none()).map(|r| &r.points);
    let Some(first) = parts.next() else { return Vec::new() };
    let mut before = first;
    for part in parts {
        let start = part[0];
        let distance = |&(x, y): &Pixel| {
            let (dx, dy) = (x.abs_diff(start.0), y.abs_diff(start.1));
            u64::from(dx).pow(2) + u64::from(dy).pow(2)
        };
        if let Some(&nearest) = before.iter().min_by_key(|pixel| distance(pixel)) {
            tree.0.entry(nearest).or_default().push(part);
        }
        before = part;
    }
    corners(&tree.walk(first))
}

/// A closed border.
struct Ring {
    points: Vec<Pixel>,
    /// For the border of a hole: the border pixel left of its first point, in the same row, with
    /// only mask pixels in between.
    left: Option<Pixel>,
}

/// All borders of a mask, in reading order of their first points.
struct Borders {
    rings: Vec<Ring>,
}

impl Borders {
    fn follow(mask: &Mask) -> Self {
        let mut rings = Vec::new();
        let Some([x0, y0, x1, y1]) = mask.bounds() else { return Self { rings } };
        let mut grid = Grid::new(mask, [x0, y0, x1, y1]);
        let mut number = 1;
        for at in 0..grid.cells.len() {
            let value = grid.cells[at];
            if value == 0 {
                continue;
            }
            let from = if value == 1 && grid.cells[at - 1] == 0 {
                at - 1
            } else if value >= 1 && grid.cells[at + 1] == 0 {
                at + 1
            } else {
                continue;
            };
            number += 1;
            let points = grid.trace(at, from, number);
            let left = (from > at).then(|| {
                let mut left = at;
                while grid.cells[left - 1] != 0 {
                    left -= 1;
                }
                grid.pixel(left)
            });
            rings.push(Ring { points, left });
        }
        Self { rings }
    }

    /// Returns the pixels at which to leave a border for a hole.
    fn holes(&self) -> Joints<'_> {
        let mut joints = HashMap::<Pixel, Vec<&Vec<Pixel>>>::new();
        for ring in &self.rings {
            if let Some(left) = ring.left {
                joints.entry(left).or_default().push(&ring.points);
            }
        }
        Joints(joints)
    }
}

/// For each pixel, the borders that are joined there.
struct Joints<'a>(HashMap<Pixel, Vec<&'a Vec<Pixel>>>);

impl<'a> Joints<'a> {
    /// Returns a border with all borders that are joined to it, directly or through others. Not
    /// recursive, because any number of borders can be chained.
    fn walk(&self, ring: &'a [Pixel]) -> Vec<Pixel> {
        let mut done = std::collections::HashSet::new();
        let mut walked = Vec::with_capacity(ring.len());
        // Borders in progress: the pixel to return to, the border, and the number of its points
        // already followed.
        let mut under_way = vec![(None, ring, 0)];
        while let Some((back, ring, next)) = under_way.pop() {
            let Some(&pixel) = ring.get(next) else {
                // Closes the border before returning.
                if let Some(back) = back {
                    walked.extend([ring[0], back]);
                }
                continue;
            };
            walked.push(pixel);
            under_way.push((back, ring, next + 1));
            if let Some(joined) = self.0.get(&pixel)
                && done.insert(pixel)
            {
                under_way.extend(joined.iter().rev().map(|&ring| (Some(pixel), &ring[..], 0)));
            }
        }
        walked
    }
}

/// The pixels of a mask with a margin of one: 0 outside, 1 inside, or the number of the border that
/// passes through, negative where the outside is on the border's right.
struct Grid {
    cells: Vec<i32>,
    stride: usize,
    left: u32,
    top: u32,
}

impl Grid {
    fn new(mask: &Mask, [x0, y0, x1, y1]: [u32; 4]) -> Self {
        let stride = (x1 - x0) as usize + 3;
        let rows = (y1 - y0) as usize + 3;
        let mut cells = vec![0; stride * rows];
        let width = mask.width() as usize;
        for run in mask.foreground() {
            for position in run {
                let (x, y) = (position % width - x0 as usize, position / width - y0 as usize);
                cells[(y + 1) * stride + x + 1] = 1;
            }
        }
        Self { cells, stride, left: x0, top: y0 }
    }

    fn pixel(&self, at: usize) -> Pixel {
        let (x, y) = (at % self.stride - 1, at / self.stride - 1);
        (x as u32 + self.left, y as u32 + self.top)
    }

    fn neighbour(&self, at: usize, direction: usize) -> usize {
        let (dx, dy) = NEIGHBOURS[direction % 8];
        at.wrapping_add_signed(dy * self.stride as isize + dx)
    }

    /// Returns the direction of the neighbour `to`.
    fn direction(&self, at: usize, to: usize) -> usize {
        (0..8).find(|&direction| self.neighbour(at, direction) == to).unwrap_or(0)
    }

    /// Follows the border that begins at `start`, coming from the outside pixel `from`, and marks
    /// it with `number`.
    fn trace(&mut self, start: usize, from: usize, number: i32) -> Vec<Pixel> {
        let towards = self.direction(start, from);
        let clockwise = (0..8).map(|turn| self.neighbour(start, towards + turn));
        let Some(last) = clockwise.clone().find(|&cell| self.cells[cell] != 0) else {
            self.cells[start] = -number;
            return vec![self.pixel(start)];
        };
        let mut points = Vec::new();
        let (mut before, mut at) = (last, start);
        loop {
            points.push(self.pixel(at));
            let towards = self.direction(at, before);
            let mut right_is_outside = false;
            let mut next = at;
            for turn in 1..=8 {
                let direction = (towards + 8 - turn) % 8;
                next = self.neighbour(at, direction);
                if self.cells[next] != 0 {
                    break;
                }
                right_is_outside |= direction == 0;
            }
            if right_is_outside {
                self.cells[at] = -number;
            } else if self.cells[at] == 1 {
                self.cells[at] = number;
            }
            if next == start && at == last {
                return points;
            }
            (before, at) = (at, next);
        }
    }
}

/// Returns the points of a closed polygon at which its direction changes.
pub(crate) fn corners(points: &[Pixel]) -> Vec<Pixel> {
    let mut distinct: Vec<Pixel> = points.to_vec();
    distinct.dedup();
    while distinct.len() > 1 && distinct.first() == distinct.last() {
        distinct.pop();
    }
    let count = distinct.len();
    let step = |from: Pixel, to: Pixel| {
        (i64::from(to.0) - i64::from(from.0), i64::from(to.1) - i64::from(from.1))
    };
    (0..count)
        .filter(|&i| {
            let here = distinct[i];
            let (ax, ay) = step(distinct[(i + count - 1) % count], here);
            let (bx, by) = step(here, distinct[(i + 1) % count]);
            ax * by != ay * bx || ax * bx + ay * by <= 0
        })
        .map(|i| distinct[i])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::mask;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Returns the pixels on the edges, and those from which a ray to the left crosses the polygon
    /// an odd number of times.
    fn fill(polygon: &[Pixel], width: u32, height: u32) -> HashSet<Pixel> {
        let edges: Vec<(Pixel, Pixel)> = polygon
            .iter()
            .zip(polygon.iter().cycle().skip(1))
            .map(|(&from, &to)| (from, to))
            .collect();
        let mut filled = HashSet::new();
        for y in 0..height {
            for x in 0..width {
                let crossings = edges.iter().filter(|((x0, y0), (x1, y1))| {
                    let (x0, y0) = (f64::from(*x0), f64::from(*y0));
                    let (x1, y1) = (f64::from(*x1), f64::from(*y1));
                    let (px, py) = (f64::from(x), f64::from(y));
                    (y0 <= py) != (y1 <= py) && x0 + (py - y0) / (y1 - y0) * (x1 - x0) < px
                });
                if crossings.count() % 2 == 1 {
                    filled.insert((x, y));
                }
            }
        }
        for (from, to) in edges {
            let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
            for step in 0..=steps {
                let along = |a: u32, b: u32| {
                    let share = f64::from(step) / f64::from(steps);
                    (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u32
                };
                filled.insert((along(from.0, to.0), along(from.1, to.1)));
            }
        }
        filled
    }

    fn pixels_of(mask: &Mask) -> HashSet<Pixel> {
        let width = mask.width() as usize;
        mask.foreground().flatten().map(|at| ((at % width) as u32, (at / width) as u32)).collect()
    }

    fn blobs() -> impl Strategy<Value = Mask> {
        let side = 1_u32..12;
        (side.clone(), side).prop_flat_map(|(width, height)| {
            let count = (width * height) as usize;
            (0.1_f64..0.9).prop_flat_map(move |share| {
                prop::collection::vec(prop::bool::weighted(share), count).prop_map(move |pixels| {
                    Mask::from_pixels(width, height, pixels.into_iter()).unwrap()
                })
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn filled_polygons_are_the_mask(mask in blobs()) {
            let mut filled = HashSet::new();
            for part in polygons(&mask) {
                filled.extend(fill(&part, mask.width(), mask.height()));
            }
            prop_assert_eq!(filled, pixels_of(&mask));
        }

        #[test]
        fn one_polygon_has_every_part_and_bridges_between_them(mask in blobs()) {
            let pixels = pixels_of(&mask);
            let polygon = polygon(&mask);
            let filled = fill(&polygon, mask.width(), mask.height());
            prop_assert!(polygon.iter().all(|corner| pixels.contains(corner)));
            prop_assert!(pixels.is_subset(&filled));
            let parts = polygons(&mask).len();
            if parts <= 1 {
                prop_assert_eq!(filled, pixels);
            } else {
                let diagonal = (mask.width() + mask.height()) as usize;
                prop_assert!(filled.len() - pixels.len() < parts * diagonal);
            }
        }
    }

    #[test]
    fn a_square_has_four_corners_and_a_pixel_one() {
        let square = polygon(&mask("0000 0111 0111 0111"));
        assert_eq!(square, [(1, 1), (1, 3), (3, 3), (3, 1)]);
        assert_eq!(polygon(&mask("000 010")), [(1, 1)]);
        assert_eq!(polygon(&Mask::empty(3, 2)), []);
    }

    #[test]
    fn noise_takes_no_longer_than_its_pixels() {
        let side = 1000_u32;
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 31 == 1
        };
        let pixels: Vec<bool> = (0..side * side).map(|_| noise()).collect();
        let mask = Mask::from_pixels(side, side, pixels.into_iter()).unwrap();
        let begun = std::time::Instant::now();
        assert!(polygon(&mask).len() > 100_000);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
