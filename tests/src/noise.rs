//! Random numbers and textures that are the same on every machine.

/// SplitMix64 (Steele et al. 2014): a few lines, and every seed is good.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Creates a generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number uniformly distributed in `low..high`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.next() >> 40) as f32 / (1_u64 << 24) as f32)
    }

    /// Returns true with this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.uniform(0.0, 1.0) < probability
    }

    /// Returns one of `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Returns a generator whose numbers have nothing to do with the following ones of this one.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Returns the generator with this number among the many that this one can become, without
    /// changing this one.
    pub fn numbered(&self, number: u64) -> Self {
        let mut start = Self(self.0 ^ number.wrapping_add(1).wrapping_mul(0xff51_afd7_ed55_8ccd));
        Self(start.next())
    }

    /// Returns a colour, 0..255 per channel.
    pub fn colour(&mut self) -> [f32; 3] {
        [0; 3].map(|_| self.uniform(20.0, 235.0))
    }
}

/// A smooth random field over the unit square: random values on increasingly fine grids,
/// interpolated cubically.
#[derive(Clone, Debug)]
pub struct Field {
    grids: Vec<(usize, Vec<f32>)>,
}

impl Field {
    /// Creates a field with `cells` cells across in the coarsest of `octaves` grids; each further
    /// grid is twice as fine and half as strong.
    pub fn new(random: &mut Random, cells: usize, octaves: usize) -> Self {
        let grids = (0..octaves)
            .map(|octave| {
                let side = (cells << octave) + 1;
                (side, (0..side * side).map(|_| random.uniform(0.0, 1.0)).collect())
            })
            .collect();
        Self { grids }
    }

    /// Returns the value at a point of the unit square, 0..1. Points outside get the value at the
    /// edge.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (mut sum, mut weights, mut weight) = (0.0, 0.0, 1.0);
        for (side, values) in &self.grids {
            let cells = (side - 1) as f32;
            let (column, u) = cell(x, cells);
            let (row, v) = cell(y, cells);
            let value = |row: usize, column: usize| values[row * side + column];
            let top = mix(value(row, column), value(row, column + 1), u);
            let bottom = mix(value(row + 1, column), value(row + 1, column + 1), u);
            sum += weight * mix(top, bottom, v);
            weights += weight;
            weight /= 2.0;
        }
        sum / weights
    }
}

/// Returns the cell that contains a coordinate, and the eased position in that cell.
fn cell(coordinate: f32, cells: f32) -> (usize, f32) {
    let place = (coordinate.clamp(0.0, 1.0) * cells).min(cells - 1e-3);
    let part = place.fract();
    (place as usize, part * part * (3.0 - 2.0 * part))
}

fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

/// Two colours, and a field that mixes them.
#[derive(Clone, Debug)]
pub struct Texture {
    field: Field,
    colours: [[f32; 3]; 2],
}

impl Texture {
    /// Creates a texture around `base`, with a second colour that differs by at most `contrast` in
    /// each channel.
    pub fn new(random: &mut Random, base: [f32; 3], contrast: f32) -> Self {
        let cells = 2 + random.below(5);
        let second = base.map(|c| (c + random.uniform(-contrast, contrast)).clamp(0.0, 255.0));
        Self { field: Field::new(random, cells, 3), colours: [base, second] }
    }

    /// Returns the colour at a point of the unit square.
    pub fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let share = self.field.at(x, y);
        let [a, b] = self.colours;
        std::array::from_fn(|channel| mix(a[channel], b[channel], share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut random = Random::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.next(), random.next()], expected);
    }

    #[test]
    fn forks_differ_from_each_other_and_from_their_origin() {
        let origin = Random::new(5);
        let mut moved = origin.clone();
        let forks = [moved.fork(), moved.fork(), origin.numbered(0), origin.numbered(1), origin];
        let firsts: HashSet<u64> = forks.map(|mut fork| fork.next()).into_iter().collect();
        assert_eq!(firsts.len(), 5);
    }

    #[test]
    fn fields_are_smooth_and_within_bounds() {
        let field = Field::new(&mut Random::new(7), 4, 3);
        let mut last = field.at(0.0, 0.3);
        for step in 1..=1000 {
            let value = field.at(step as f32 / 1000.0, 0.3);
            assert!((0.0..=1.0).contains(&value) && (value - last).abs() < 0.05, "{step}");
            last = value;
        }
    }
}
