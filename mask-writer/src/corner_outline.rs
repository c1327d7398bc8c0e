//! Masks as polygons along the edges of their pixels, through pixel corners: (0, 0) is the top left
//! corner of the first pixel, and a polygon around that pixel has the corners (0, 0), (1, 0),
//! (1, 1), (0, 1).
//!
//! A pixel is in the mask if its centre lies inside the polygons. Programs that fill polygons by
//! this rule reproduce the mask pixel for pixel. Only points at which the direction changes are
//! stored.

use std::collections::HashMap;

use crate::mask::Mask;
use crate::outline::corners;

/// Column and row of a pixel's top left corner.
pub(crate) type Corner = (u32, u32);

/// Right, down, left, up.
const STEPS: [(i64, i64); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];
const RIGHT: usize = 0;
const DOWN: usize = 1;
const LEFT: usize = 2;
const UP: usize = 3;

/// Returns a mask as rings. Outer rings run clockwise (with rows going down) and rings of holes
/// counter-clockwise, so that both fill rules, even-odd and nonzero, reproduce the mask. Parts that
/// touch only at corners get separate rings.
pub(crate) fn rings(mask: &Mask) -> Vec<Vec<Corner>> {
    Rings::follow(mask).rings.iter().map(|ring| corners(&ring.points)).collect()
}

/// Returns a mask as polygons without holes: each hole is joined to the ring on its left by a
/// zero-width cut, there and back.
pub(crate) fn cut_polygons(mask: &Mask) -> Vec<Vec<Corner>> {
    let rings = Rings::follow(mask);
    let outer = (0..rings.rings.len()).filter(|&ring| rings.rings[ring].joined_to.is_none());
    outer.map(|ring| corners(&rings.walk(ring))).collect()
}

/// A closed path along pixel edges that contains every corner it passes.
struct Ring {
    points: Vec<Corner>,
    /// For the ring of a hole: the index of the ring left of its first corner, and the corner of
    /// that ring.
    joined_to: Option<(usize, Corner)>,
}

struct Rings {
    rings: Vec<Ring>,
    /// For each (ring, corner), the holes that are joined there.
    holes: HashMap<(usize, Corner), Vec<usize>>,
}

impl Rings {
    /// Follows the edges between the mask and the background.
    fn follow(mask: &Mask) -> Self {
        let mut found = Self { rings: Vec::new(), holes: HashMap::new() };
        let Some(bounds) = mask.bounds() else { return found };
        let mut edges = Edges::new(mask, bounds);
        // The ring to which the upward edge from each corner belongs.
        let mut ring_up = HashMap::new();
        for start in 0..edges.leaving.len() {
            // Two rings can begin at one corner.
            while edges.leaving[start] != 0 {
                let number = found.rings.len();
                let is_hole = edges.leaving[start] & (1 << RIGHT) == 0;
                let mut points = Vec::new();
                let mut at = start;
                let mut direction = if is_hole { DOWN } else { RIGHT };
                loop {
                    points.push(edges.corner(at));
                    if direction == UP {
                        ring_up.insert(at, number);
                    }
                    edges.leaving[at] &= !(1 << direction);
                    at = edges.next(at, direction);
                    if at == start {
                        break;
                    }
                    // Where two pixels touch at a corner, the path stays with its current pixel.
                    let turns = [direction + 1, direction, direction + 3].map(|turn| turn % 4);
                    let left = edges.leaving[at];
                    direction =
                        turns.into_iter().find(|turn| left & (1 << turn) != 0).unwrap_or(LEFT);
                }
                let joined_to = is_hole.then(|| {
                    let (_, y) = edges.corner(start);
                    let mut left = start - 1;
                    while !edges.is_left_edge[left] {
                        left -= 1;
                    }
                    // The upward edge to that corner starts at the corner below it.
                    let below = edges.next(left, DOWN);
                    (ring_up.get(&below).copied().unwrap_or(0), (edges.corner(left).0, y))
                });
                if let Some(place) = joined_to {
                    found.holes.entry(place).or_default().push(number);
                }
                found.rings.push(Ring { points, joined_to });
            }
        }
        found
    }

    /// Returns a ring with all rings that are joined to it, directly or through others.
    fn walk(&self, outer: usize) -> Vec<Corner> {
        let mut walked = Vec::new();
        let mut done = std::collections::HashSet::new();
        // Rings in progress: the corner to return to, the ring, and the number of its corners
        // already followed.
        let mut under_way = vec![(None, outer, 0)];
        while let Some((back, ring, next)) = under_way.pop() {
            let points = &self.rings[ring].points;
            let Some(&corner) = points.get(next) else {
                if let Some(back) = back {
                    walked.extend([points[0], back]);
                }
                continue;
            };
            walked.push(corner);
            under_way.push((back, ring, next + 1));
            if let Some(holes) = self.holes.get(&(ring, corner))
                && done.insert((ring, corner))
            {
                under_way.extend(holes.iter().rev().map(|&hole| (Some(corner), hole, 0)));
            }
        }
        walked
    }
}

/// The pixel corners in a mask's bounding box, and the edges that leave each corner with the mask
/// on their right.
struct Edges {
    /// One bit per direction.
    leaving: Vec<u8>,
    /// For each corner: the pixel with this top left corner is in the mask, and the pixel left of
    /// it is not.
    is_left_edge: Vec<bool>,
    stride: usize,
    left: u32,
    top: u32,
}

impl Edges {
    fn new(mask: &Mask, [x0, y0, x1, y1]: [u32; 4]) -> Self {
        // A margin keeps every neighbour inside the grid.
        let (stride, rows) = ((x1 - x0) as usize + 4, (y1 - y0) as usize + 4);
        let mut inside = vec![false; stride * rows];
        let width = mask.width() as usize;
        for position in mask.foreground().flatten() {
            let (x, y) = (position % width - x0 as usize, position / width - y0 as usize);
            inside[(y + 1) * stride + x + 1] = true;
        }
        let mut leaving = vec![0; stride * rows];
        let mut is_left_edge = vec![false; stride * rows];
        for at in (0..inside.len()).filter(|&at| inside[at]) {
            let outside = |neighbour: usize| !inside[neighbour];
            if outside(at - stride) {
                leaving[at] |= 1 << RIGHT;
            }
            if outside(at + 1) {
                leaving[at + 1] |= 1 << DOWN;
            }
            if outside(at + stride) {
                leaving[at + stride + 1] |= 1 << LEFT;
            }
            if outside(at - 1) {
                leaving[at + stride] |= 1 << UP;
                is_left_edge[at] = true;
            }
        }
        Self { leaving, is_left_edge, stride, left: x0, top: y0 }
    }

    fn corner(&self, at: usize) -> Corner {
        ((at % self.stride - 1) as u32 + self.left, (at / self.stride - 1) as u32 + self.top)
    }

    fn next(&self, at: usize, direction: usize) -> usize {
        let (dx, dy) = STEPS[direction];
        at.wrapping_add_signed(dy as isize * self.stride as isize + dx as isize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::mask;
    use proptest::prelude::*;

    /// Fills polygons by both rules: pixels whose centre lies inside an odd number of rings, and
    /// pixels with a nonzero number of clockwise turns.
    fn fill(polygons: &[Vec<Corner>], width: u32, height: u32) -> [Mask; 2] {
        let (mut odd, mut wound) = (Vec::new(), Vec::new());
        for y in 0..height {
            for x in 0..width {
                let (mut crossings, mut turns) = (0, 0);
                for polygon in polygons {
                    let ends = polygon.iter().zip(polygon.iter().cycle().skip(1));
                    for (from, to) in ends {
                        let is_crossed = (from.1 <= y) != (to.1 <= y) && from.0 <= x;
                        crossings += i32::from(is_crossed);
                        turns += if !is_crossed {
                            0
                        } else if from.1 < to.1 {
                            1
                        } else {
                            -1
                        };
                    }
                }
                odd.push(crossings % 2 == 1);
                wound.push(turns != 0);
            }
        }
        [odd, wound].map(|pixels| Mask::from_pixels(width, height, pixels.into_iter()).unwrap())
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
        fn filled_rings_are_the_mask(mask in blobs()) {
            let rings = rings(&mask);
            prop_assert!(rings.iter().all(|ring| ring.len() >= 4));
            let runs = mask.foreground().flatten();
            let normal = Mask::from_pixels(mask.width(), mask.height(), {
                let mut pixels = vec![false; (mask.width() * mask.height()) as usize];
                runs.for_each(|at| pixels[at] = true);
                pixels.into_iter()
            }).unwrap();
            prop_assert_eq!(fill(&rings, mask.width(), mask.height()), [normal.clone(), normal]);
        }

        #[test]
        fn the_union_of_filled_cut_polygons_is_the_mask(mask in blobs()) {
            let (width, height) = (mask.width(), mask.height());
            let mut union = vec![0; (width * height) as usize];
            let mut area = 0;
            for polygon in cut_polygons(&mask) {
                prop_assert!(polygon.len() >= 4);
                let [part, _] = fill(&[polygon], width, height);
                area += part.area();
                part.paint(&mut union, 1);
            }
            prop_assert_eq!(area, mask.area(), "parts do not overlap");
            prop_assert_eq!(union, mask.to_bytes(1));
        }
    }

    #[test]
    fn a_ring_with_a_hole_has_two_rings_and_one_cut_polygon() {
        let frame = mask("00000 01110 01010 01110");
        let outer = vec![(1, 1), (4, 1), (4, 4), (1, 4)];
        assert_eq!(rings(&frame), [outer, vec![(2, 2), (2, 3), (3, 3), (3, 2)]]);
        let cut = cut_polygons(&frame);
        assert_eq!(cut.len(), 1);
        let (there, back) = ([(1, 4), (1, 2), (2, 2), (2, 3)], [(3, 3), (3, 2), (1, 2)]);
        assert_eq!(cut[0], [&[(1, 1), (4, 1), (4, 4)], &there[..], &back].concat());
        assert_eq!(rings(&mask("10 01")).len(), 2);
        assert!(
            rings(&Mask::empty(3, 2)).is_empty() && cut_polygons(&Mask::empty(3, 2)).is_empty()
        );
    }
}
