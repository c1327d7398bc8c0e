//! Outlines made of tubes: chains of discs whose radius changes along the way.

/// A disc of a tube.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Disc {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) radius: f32,
}

/// The area that is covered while a disc moves and grows from each disc of the chain to the next. A
/// single disc is a tube too.
#[derive(Clone, Debug)]
pub(super) struct Tube {
    discs: Vec<Disc>,
    bounds: Bounds,
}

/// A rectangle that encloses something: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds(pub(super) [f32; 4]);

impl Bounds {
    /// Encloses nothing.
    const NOTHING: Self =
        Self([f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY]);

    fn with(self, [left, top, right, bottom]: [f32; 4]) -> Self {
        let [x0, y0, x1, y1] = self.0;
        Self([x0.min(left), y0.min(top), x1.max(right), y1.max(bottom)])
    }

    /// Returns true for points in the rectangle, and for those at most `margin` away from it.
    fn holds(self, x: f32, y: f32, margin: f32) -> bool {
        let [x0, y0, x1, y1] = self.0;
        x >= x0 - margin && x <= x1 + margin && y >= y0 - margin && y <= y1 + margin
    }
}

/// Points that are farther outside than this have no exact depth.
const MARGIN: f32 = 1.0;

impl Tube {
    pub(super) fn new(discs: Vec<Disc>) -> Self {
        let bounds = discs.iter().fold(Bounds::NOTHING, |bounds, Disc { x, y, radius }| {
            bounds.with([x - radius, y - radius, x + radius, y + radius])
        });
        Self { discs, bounds }
    }

    /// Returns the depth of a point: about the distance to the edge in pixels, positive inside.
    /// Points more than [`MARGIN`] outside can have any smaller number.
    fn depth(&self, x: f32, y: f32) -> f32 {
        if !self.bounds.holds(x, y, MARGIN) {
            return f32::NEG_INFINITY;
        }
        let alone = self.discs.first().map(|disc| disc.radius - (x - disc.x).hypot(y - disc.y));
        let links = self.discs.windows(2).map(|pair| {
            let (a, b) = (pair[0], pair[1]);
            let (dx, dy) = (b.x - a.x, b.y - a.y);
            let squared = dx * dx + dy * dy;
            let along =
                if squared > 0.0 { ((x - a.x) * dx + (y - a.y) * dy) / squared } else { 0.0 };
            let along = along.clamp(0.0, 1.0);
            let away = (x - a.x - along * dx).hypot(y - a.y - along * dy);
            a.radius + along * (b.radius - a.radius) - away
        });
        links.chain(alone).fold(f32::NEG_INFINITY, f32::max)
    }
}

/// The outline of an animal in a frame: the union of its tubes.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    tubes: Vec<Tube>,
    pub(super) bounds: Bounds,
}

impl Outline {
    pub(super) fn new(tubes: Vec<Tube>) -> Self {
        let bounds = tubes.iter().fold(Bounds::NOTHING, |all, tube| all.with(tube.bounds.0));
        Self { tubes, bounds }
    }

    /// Returns the depth of a point, as a tube does. A pixel belongs to the animal if the depth of
    /// its centre is positive.
    pub(super) fn depth(&self, x: f32, y: f32) -> f32 {
        self.tubes.iter().map(|tube| tube.depth(x, y)).fold(f32::NEG_INFINITY, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_the_distance_to_the_edge() {
        let disc = |x, radius| Disc { x, y: 0.0, radius };
        let straight = Tube::new(vec![disc(0.0, 2.0), disc(10.0, 2.0)]);
        for (x, y, depth) in [(5.0, 0.0, 2.0), (5.0, 1.5, 0.5), (5.0, -2.5, -0.5), (-2.0, 0.0, 0.0)]
        {
            assert!((straight.depth(x, y) - depth).abs() < 1e-6, "({x}, {y})");
        }
        // Half-way, a cone is as wide as the mean of its ends.
        let cone = Tube::new(vec![disc(0.0, 4.0), disc(10.0, 2.0)]);
        assert!((cone.depth(5.0, 3.0)).abs() < 1e-6);
        let both = Outline::new(vec![straight, Tube::new(vec![disc(20.0, 1.0)])]);
        assert!(both.depth(20.0, 0.5) > 0.0 && both.depth(15.0, 0.0) < 0.0);
        assert_eq!(both.bounds, Bounds([-2.0, -2.0, 21.0, 2.0]));
    }
}
