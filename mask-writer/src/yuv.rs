//! Converts RGB to the colours of video.

/// An image in BT.709's limited range, chroma at half the width and height (`yuv420p`).
#[derive(Debug)]
pub(crate) struct Yuv420 {
    /// Width in pixels, even.
    pub(crate) width: usize,
    /// Height in pixels, even.
    pub(crate) height: usize,
    pub(crate) y: Vec<u8>,
    pub(crate) u: Vec<u8>,
    pub(crate) v: Vec<u8>,
}

/// BT.709's weights of red, green and blue for luma and both chromas, in 65536ths of their ranges
/// (219 and 224 of 255).
const LUMA: [i32; 3] = [11966, 40254, 4064];
const BLUE: [i32; 3] = [-6596, -22189, 28784];
const RED: [i32; 3] = [28784, -26145, -2639];

fn weigh(weights: [i32; 3], [red, green, blue]: [i32; 3], offset: i32) -> u8 {
    let sum = weights[0] * red + weights[1] * green + weights[2] * blue;
    (((sum + (1 << 15)) >> 16) + offset).clamp(0, 255) as u8
}

impl Yuv420 {
    /// Allocates an image of `width` x `height`, rounded up to even numbers, because video encoders
    /// accept no other sizes. The last column and row are repeated if needed.
    pub(crate) fn room_for(width: usize, height: usize) -> Self {
        let (width, height) = (width.next_multiple_of(2), height.next_multiple_of(2));
        let chroma = width / 2 * (height / 2);
        Self { width, height, y: vec![0; width * height], u: vec![0; chroma], v: vec![0; chroma] }
    }

    /// Converts an RGB8 image of the size that was allocated.
    pub(crate) fn take(&mut self, rgb: &[u8], width: usize, height: usize) {
        let pixel = |x: usize, y: usize| -> [i32; 3] {
            let at = 3 * (y.min(height - 1) * width + x.min(width - 1));
            [rgb[at], rgb[at + 1], rgb[at + 2]].map(i32::from)
        };
        for block_y in 0..self.height / 2 {
            for block_x in 0..self.width / 2 {
                let mut sum = [0; 3];
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let (x, y) = (2 * block_x + dx, 2 * block_y + dy);
                    let colour = pixel(x, y);
                    self.y[y * self.width + x] = weigh(LUMA, colour, 16);
                    for (total, value) in sum.iter_mut().zip(colour) {
                        *total += value;
                    }
                }
                let mean = sum.map(|total| (total + 2) / 4);
                let at = block_y * self.width / 2 + block_x;
                self.u[at] = weigh(BLUE, mean, 128);
                self.v[at] = weigh(RED, mean, 128);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_bt_709() {
        // Y, Cb and Cr of 75 % colour bars and greys, as given in the standard.
        let cases = [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([0, 0, 255], [32, 240, 118]),
            ([128, 128, 128], [126, 128, 128]),
        ];
        for (rgb, expected) in cases {
            let mut picture = Yuv420::room_for(2, 2);
            picture.take(&rgb.repeat(4), 2, 2);
            assert_eq!([picture.y[0], picture.u[0], picture.v[0]], expected, "{rgb:?}");
        }
    }

    #[test]
    fn odd_sides_repeat_their_last_pixels() {
        let mut picture = Yuv420::room_for(3, 1);
        picture.take(&[0, 0, 0, 0, 0, 0, 255, 255, 255], 3, 1);
        assert_eq!((picture.width, picture.height), (4, 2));
        assert_eq!(picture.y, [16, 16, 235, 235, 16, 16, 235, 235]);
        assert_eq!((picture.u.len(), picture.v.len()), (2, 2));
    }
}
