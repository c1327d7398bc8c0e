//! Compares the scalers with the simplest equivalent code: sample by sample, with whole
//! intermediate pictures.

use proptest::prelude::*;

use super::*;

/// `[height, width, 3]`, of any type of sample.
type Samples<T> = (FrameSize, Vec<T>);

/// Maps columns: sample `(x, row)` of the result is `at(x, samples)`, where `samples(column)` is
/// that of the source's row.
fn map_columns<T: Copy, U>(
    (size, data): &Samples<T>,
    width: u32,
    at: impl Fn(usize, &dyn Fn(usize) -> T) -> U,
) -> Samples<U> {
    let row_samples = size.width as usize * 3;
    let mut mapped = Vec::new();
    for row in data.chunks_exact(row_samples) {
        for x in 0..width as usize {
            mapped.extend((0..3).map(|channel| at(x, &|column| row[column * 3 + channel])));
        }
    }
    (FrameSize { width, ..*size }, mapped)
}

/// Maps rows in the same way.
fn map_rows<T: Copy, U>(
    (size, data): &Samples<T>,
    height: u32,
    at: impl Fn(usize, &dyn Fn(usize) -> T) -> U,
) -> Samples<U> {
    let row_samples = size.width as usize * 3;
    let mut mapped = Vec::new();
    for y in 0..height as usize {
        mapped
            .extend((0..row_samples).map(|sample| at(y, &|row| data[row * row_samples + sample])));
    }
    (FrameSize { height, ..*size }, mapped)
}

fn plain_pillow(frame: &RgbFrame, width: u32, height: u32) -> Vec<u8> {
    let (wide, tall) =
        (pillow::kernels(frame.width(), width), pillow::kernels(frame.height(), height));
    let sum = |(first, weights): (usize, &[i32]), samples: &dyn Fn(usize) -> u8| {
        let products =
            (first..).zip(weights).map(|(at, weight)| i64::from(samples(at)) * i64::from(*weight));
        let sum = products.sum::<i64>() + i64::from(pillow::HALF);
        (sum >> pillow::PRECISION_BITS).clamp(0, 255) as u8
    };
    let mut picture = (frame.size(), frame.data().to_vec());
    if width != frame.width() {
        picture = map_columns(&picture, width, |x, samples| sum(wide.kernel(x), samples));
    }
    if height != frame.height() {
        picture = map_rows(&picture, height, |y, samples| sum(tall.kernel(y), samples));
    }
    picture.1
}

fn plain_torch(frame: &RgbFrame, width: u32, height: u32, from_byte: fn(u8) -> f32) -> Vec<f32> {
    let (wide, tall) =
        (torch::kernels(frame.width(), width), torch::kernels(frame.height(), height));
    let sum = |(first, weights): (usize, &[f32]), samples: &dyn Fn(usize) -> f32| {
        (first..).zip(weights).fold(0.0, |sum, (at, weight)| sum + samples(at) * weight)
    };
    let mut picture = (frame.size(), frame.data().iter().map(|&byte| from_byte(byte)).collect());
    if width != frame.width() {
        picture = map_columns(&picture, width, |x, samples| sum(wide.kernel(x), samples));
    }
    if height != frame.height() {
        picture = map_rows(&picture, height, |y, samples| sum(tall.kernel(y), samples));
    }
    picture.1
}

/// Returns two positions of the source, both inside, and the weights of 11 bits.
fn linear(position: usize, source: u32, target: u32, is_column: bool) -> ([usize; 2], [i32; 2]) {
    let scale = 1.0 / (f64::from(target) / f64::from(source));
    let exact = ((position as f64 + 0.5) * scale - 0.5) as f32;
    let last = source as i64 - 1;
    let (at, mut fraction) = (exact.floor() as i64, exact - exact.floor());
    if is_column && (at < 0 || at >= last) {
        fraction = 0.0;
    }
    let inside = |at: i64| at.clamp(0, last) as usize;
    let fixed = |weight: f32| (weight * 2048.0).round_ties_even() as i32;
    ([inside(at), inside(at + 1)], [fixed(1.0 - fraction), fixed(fraction)])
}

fn plain_cv2(frame: &RgbFrame, width: u32, height: u32) -> Vec<u8> {
    let picture = (frame.size(), frame.data().to_vec());
    let wide = map_columns(&picture, width, |x, samples| {
        let (from, weights) = linear(x, frame.width(), width, true);
        (0..2).map(|side| i32::from(samples(from[side])) * weights[side]).sum::<i32>()
    });
    let scaled = map_rows(&wide, height, |y, samples| {
        let (from, weights) = linear(y, frame.height(), height, false);
        let halves = (0..2).map(|side| (weights[side] * (samples(from[side]) >> 4)) >> 16);
        ((halves.sum::<i32>() + 2) >> 2).clamp(0, 255) as u8
    });
    scaled.1
}

fn frame(width: u32, height: u32, seed: u32) -> RgbFrame {
    let noise = |at: u32| match seed % 3 {
        // Black and white overflow first.
        0 => (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 31) as u8 * 255,
        _ => (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8,
    };
    RgbFrame::new(width, height, (0..width * height * 3).map(noise).collect()).unwrap()
}

proptest! {
    #[test]
    fn scalers_give_what_plain_code_gives(
        (width, height) in (1..90_u32, 1..90_u32),
        (to_width, to_height) in (1..90_u32, 1..90_u32),
        seed in any::<u32>(),
    ) {
        let frame = frame(width, height, seed);
        let scaled = pillow_bicubic(&frame, to_width, to_height);
        prop_assert_eq!(scaled.data(), plain_pillow(&frame, to_width, to_height));
        let bytes = plain_torch(&frame, to_width, to_height, f32::from);
        let bytes: Vec<u8> = bytes.iter().map(|sample| sample.round_ties_even() as u8).collect();
        let scaled = torch_bilinear_antialias(&frame, to_width, to_height);
        prop_assert_eq!(scaled.data(), bytes);
        let units = plain_torch(&frame, to_width, to_height, |byte| f32::from(byte) / 255.0);
        let found = torch_bilinear_antialias_float(&frame, to_width, to_height);
        let pixels = to_width as usize * to_height as usize;
        for (at, expected) in units.into_iter().enumerate() {
            prop_assert_eq!(found[at % 3 * pixels + at / 3].to_bits(), expected.to_bits());
        }
        if (width, height) != (2 * to_width, 2 * to_height) {
            let scaled = cv2_linear(&frame, to_width, to_height);
            prop_assert_eq!(scaled.data(), plain_cv2(&frame, to_width, to_height));
        }
    }
}
