//! Turns frames into the display orientation that the file asks for.

use crate::size::FrameSize;

/// One of the four ways to turn a picture: defines which source pixel each shown pixel comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Orientation {
    /// True if rows and columns are swapped (first).
    transpose: bool,
    /// True if left and right are swapped (after the transposition).
    flip_horizontal: bool,
    /// True if top and bottom are swapped (after the transposition).
    flip_vertical: bool,
    /// True if the file asks for a mirrored picture. The picture is not mirrored.
    mirrored: bool,
}

impl Orientation {
    /// Returns the orientation of an MP4 display matrix: nine native-endian `i32`, `[a, b, u, c, d,
    /// v, x, y, w]`, that map a source pixel `(p, q)` to `(a*p + c*q, b*p + d*q)`.
    ///
    /// The picture is turned as OpenCV turns it, so that the coordinates of DeepLabCut and SLEAP
    /// fit: by the angle of the matrix, in whole degrees, if that is a multiple of a quarter turn.
    /// OpenCV ignores mirroring in a matrix and then differs from players: instead of swapping left
    /// and right, it shows the picture upside down.
    pub(super) fn from_display_matrix(bytes: &[u8]) -> Self {
        let mut matrix = [0i32; 9];
        for (value, bytes) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let [a, b, _, c, d, ..] = matrix.map(f64::from);
        let (first, second) = (a.hypot(c), b.hypot(d));
        if first == 0.0 || second == 0.0 {
            return Self::default();
        }
        let degrees = (b / second).atan2(a / first).to_degrees().round() as i32;
        let turned = match degrees.rem_euclid(360) {
            90 => Self { transpose: true, flip_horizontal: true, ..Self::default() },
            180 => Self { flip_horizontal: true, flip_vertical: true, ..Self::default() },
            270 => Self { transpose: true, flip_vertical: true, ..Self::default() },
            _ => Self::default(),
        };
        Self { mirrored: a * d - b * c < 0.0, ..turned }
    }

    /// Returns the clockwise rotation in degrees, a multiple of 90, and whether the file also asks
    /// for a mirrored picture.
    pub(super) fn degrees(self) -> (u16, bool) {
        let degrees = match (self.transpose, self.flip_horizontal, self.flip_vertical) {
            (true, true, _) => 90,
            (false, true, _) => 180,
            (true, false, _) => 270,
            (false, false, _) => 0,
        };
        (degrees, self.mirrored)
    }

    /// Returns true if pictures are shown as they are stored.
    pub(super) fn is_upright(self) -> bool {
        !self.transpose && !self.flip_horizontal && !self.flip_vertical
    }

    /// Returns true if rows become columns.
    pub(super) fn is_transposed(self) -> bool {
        self.transpose
    }

    /// Returns the size of a picture of `size` after turning.
    pub(super) fn size(self, size: FrameSize) -> FrameSize {
        if self.transpose { FrameSize { width: size.height, height: size.width } } else { size }
    }

    /// Turns a picture. The pixels have `step` values each and lie in rows of `source_stride`
    /// values; they are appended to `target` without gaps, `[height, width, step]`. `source` must
    /// hold `size.height` rows.
    pub(super) fn copy<T: Copy>(
        self,
        source: &[T],
        source_stride: usize,
        size: FrameSize,
        step: usize,
        target: &mut Vec<T>,
    ) {
        let (width, height) = (size.width as usize, size.height as usize);
        target.reserve(width * height * step);
        if self.is_upright() {
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
    fn turns() {
        let (upright, turned_size) =
            (FrameSize { width: 3, height: 2 }, FrameSize { width: 2, height: 3 });
        assert_eq!(turned(ONE, 0, 0, ONE), (upright, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(turned(-ONE, 0, 0, -ONE), (upright, vec![6, 5, 4, 3, 2, 1]));
        // A quarter turn clockwise, as phones write it: the left column, from bottom to top,
        // becomes the top row.
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
    }

    /// The expected values were observed with `cv2.VideoCapture` of OpenCV 5.0.
    #[test]
    fn mirrored_pictures_are_shown_as_opencv_shows_them() {
        let (wide, tall) = (FrameSize { width: 3, height: 2 }, FrameSize { width: 2, height: 3 });
        assert_eq!(turned(-ONE, 0, 0, ONE), (wide, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(ONE, 0, 0, -ONE), (wide, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(turned(0, ONE, ONE, 0), (tall, vec![4, 1, 5, 2, 6, 3]));
        assert_eq!(turned(0, -ONE, -ONE, 0), (tall, vec![3, 6, 2, 5, 1, 4]));
        assert_eq!(turned(200, ONE, -ONE, 200), (tall, vec![4, 1, 5, 2, 6, 3]));
        assert_eq!(turned(ONE, 3000, -3000, ONE), (wide, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(turned(2 * ONE, 0, 0, 2 * ONE), (wide, vec![1, 2, 3, 4, 5, 6]));
        for (matrix, mirrored) in [([-ONE, 0, 0, ONE], true), ([0, ONE, -ONE, 0], false)] {
            let [a, b, c, d] = matrix;
            let values = [a, b, 0, c, d, 0, 0, 0, 1 << 30];
            let bytes: Vec<u8> = values.iter().flat_map(|v: &i32| v.to_ne_bytes()).collect();
            assert_eq!(Orientation::from_display_matrix(&bytes).degrees().1, mirrored);
        }
    }

    #[test]
    fn other_matrices_count_as_upright() {
        assert_eq!(turned(ONE, ONE, -ONE, ONE).1, [1, 2, 3, 4, 5, 6]);
        assert_eq!(turned(0, 0, 0, 0).1, [1, 2, 3, 4, 5, 6]);
        assert_eq!(Orientation::from_display_matrix(&[1, 2]), Orientation::default());
    }
}
