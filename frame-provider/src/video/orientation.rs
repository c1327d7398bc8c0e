//! Turning frames the way the file says they are to be shown.

use crate::frame::FrameSize;

/// One of the eight ways to lay a picture down: which source pixel each shown pixel comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Orientation {
    /// Rows and columns change places (first).
    transpose: bool,
    /// Left and right change places (after the transposition).
    flip_horizontal: bool,
    /// Top and bottom change places (after the transposition).
    flip_vertical: bool,
}

impl Orientation {
    /// From an MP4 display matrix: nine native-endian `i32`, `[a, b, u, c, d, v, x, y, w]`, that map a source pixel
    /// `(p, q)` to `(a*p + c*q, b*p + d*q)`. Anything but quarter turns and mirrorings counts as upright, as players do.
    pub(super) fn from_display_matrix(bytes: &[u8]) -> Self {
        let mut matrix = [0i32; 9];
        for (value, bytes) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let [a, b, _, c, d, ..] = matrix;
        match (a, b, c, d) {
            (a, 0, 0, d) if a != 0 && d != 0 => {
                Self { transpose: false, flip_horizontal: a < 0, flip_vertical: d < 0 }
            }
            (0, b, c, 0) if b != 0 && c != 0 => {
                Self { transpose: true, flip_horizontal: c < 0, flip_vertical: b < 0 }
            }
            _ => Self::default(),
        }
    }

    /// Clockwise quarter turns in degrees, and whether left and right change places after that.
    pub(super) fn degrees(self) -> (u16, bool) {
        match (self.transpose, self.flip_horizontal, self.flip_vertical) {
            (false, false, false) => (0, false),
            (true, true, false) => (90, false),
            (false, true, true) => (180, false),
            (true, false, true) => (270, false),
            (false, true, false) => (0, true),
            (true, false, false) => (90, true),
            (false, false, true) => (180, true),
            (true, true, true) => (270, true),
        }
    }

    /// Whether rows become columns.
    pub(super) fn is_transposed(self) -> bool {
        self.transpose
    }

    /// The size of a picture of `size` once it is turned.
    pub(super) fn size(self, size: FrameSize) -> FrameSize {
        if self.transpose { FrameSize { width: size.height, height: size.width } } else { size }
    }

    /// Appends pixels of `step` bytes, in rows of `source_stride` bytes, to `target` without gaps,
    /// `[height, width, step]`, as the turned picture. `source` must hold `size.height` rows.
    pub(super) fn copy(
        self,
        source: &[u8],
        source_stride: usize,
        size: FrameSize,
        step: usize,
        target: &mut Vec<u8>,
    ) {
        let (width, height) = (size.width as usize, size.height as usize);
        target.reserve(width * height * step);
        if self == Self::default() {
            for row in source.chunks(source_stride).take(height) {
                target.extend_from_slice(&row[..width * step]);
            }
            return;
        }
        let shown = self.size(size);
        let (shown_width, shown_height) = (shown.width as usize, shown.height as usize);
        for y in 0..shown_height {
            let y = if self.flip_vertical { shown_height - 1 - y } else { y };
            for x in 0..shown_width {
                let x = if self.flip_horizontal { shown_width - 1 - x } else { x };
                let (column, row) = if self.transpose { (y, x) } else { (x, y) };
                let at = row * source_stride + column * step;
                target.extend_from_slice(&source[at..at + step]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 16;

    fn turned(a: i32, b: i32, c: i32, d: i32) -> (FrameSize, Vec<u8>) {
        let bytes: Vec<u8> = [a, b, 0, c, d, 0, 0, 0, 1 << 30]
            .iter()
            .flat_map(|value| value.to_ne_bytes())
            .collect();
        let orientation = Orientation::from_display_matrix(&bytes);
        // 1 2 3
        // 4 5 6, with two bytes of padding per row
        let source: Vec<u8> = [[1, 2, 3], [4, 5, 6]]
            .iter()
            .flat_map(|row| row.iter().flat_map(|&v| [v; 3]).chain([99, 99]))
            .collect();
        let size = FrameSize { width: 3, height: 2 };
        let mut pixels = Vec::new();
        orientation.copy(&source, 11, size, 3, &mut pixels);
        assert!(pixels.chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[0] == pixel[2]));
        (orientation.size(size), pixels.iter().step_by(3).copied().collect())
    }

    #[test]
    fn turns_and_mirrors() {
        let (upright, turned_size) =
            (FrameSize { width: 3, height: 2 }, FrameSize { width: 2, height: 3 });
        assert_eq!(turned(ONE, 0, 0, ONE), (upright, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(turned(-ONE, 0, 0, -ONE), (upright, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(-ONE, 0, 0, ONE), (upright, vec![3, 2, 1, 6, 5, 4]));
        // A quarter turn clockwise, as phones write it: left column up becomes the top row.
        assert_eq!(turned(0, ONE, -ONE, 0), (turned_size, vec![4, 1, 5, 2, 6, 3]));
        assert_eq!(turned(0, -ONE, ONE, 0), (turned_size, vec![3, 6, 2, 5, 1, 4]));
    }

    #[test]
    fn turns_have_names() {
        let name = |a, b, c, d| {
            let values = [a, b, 0, c, d, 0, 0, 0, 1 << 30];
            let bytes: Vec<u8> =
                values.iter().flat_map(|value: &i32| value.to_ne_bytes()).collect();
            Orientation::from_display_matrix(&bytes).degrees()
        };
        assert_eq!(name(ONE, 0, 0, ONE), (0, false));
        assert_eq!(name(0, ONE, -ONE, 0), (90, false));
        assert_eq!(name(-ONE, 0, 0, -ONE), (180, false));
        assert_eq!(name(0, -ONE, ONE, 0), (270, false));
        assert_eq!(name(-ONE, 0, 0, ONE), (0, true));
        assert_eq!(name(ONE, 0, 0, -ONE), (180, true));
    }

    #[test]
    fn other_matrices_count_as_upright() {
        assert_eq!(turned(ONE, ONE, -ONE, ONE).1, [1, 2, 3, 4, 5, 6]);
        assert_eq!(turned(0, 0, 0, 0).1, [1, 2, 3, 4, 5, 6]);
        assert_eq!(Orientation::from_display_matrix(&[1, 2]), Orientation::default());
    }
}
