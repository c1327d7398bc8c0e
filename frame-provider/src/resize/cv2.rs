//! OpenCV's `INTER_LINEAR` for 8-bit samples.
//!
//! There is no antialiasing: two source pixels count for each side of the result, however much it
//! is shrunk. Weights have 11 bits. The sum over columns is shifted right by 4 before it is
//! multiplied by the rows' weights, and the product is shifted by 16. Each shift discards bits and
//! matters for equality. Shrinking by exactly 2 on both sides is the mean of four pixels instead,
//! since OpenCV then uses its `INTER_AREA`.

use super::band::Band;
use super::kernels::{Kernels, scale_row};
use super::processor::for_this_processor;
use crate::frame::RgbFrame;
use crate::size::FrameSize;

/// Fractional bits of a weight.
const WEIGHT_BITS: u32 = 11;

/// Two source rows and their weights, for one row of the result.
struct Rows {
    from: [usize; 2],
    weights: [i16; 2],
}

/// Scales `frame` to `width` x `height` with the result of `cv2.resize(frame, (width, height))`,
/// bit for bit.
///
/// Compared with OpenCV 4.14 and 5.0. A side of 0 counts as 1.
pub fn cv2_linear(frame: &RgbFrame, width: u32, height: u32) -> RgbFrame {
    let size = FrameSize { width: width.max(1), height: height.max(1) };
    if size == frame.size() {
        return frame.clone();
    }
    let source = frame.size();
    let halved = |from: u32, to: u32| to.checked_mul(2) == Some(from);
    if halved(source.width, size.width) && halved(source.height, size.height) {
        return RgbFrame::from_parts(size, mean_of_four(frame));
    }
    let columns = columns(source.width, size.width);
    let rows = rows(source.height, size.height);
    RgbFrame::from_parts(size, scale(frame.data(), source, &columns, &rows))
}

for_this_processor! {
    /// Scales `[height, source width, 3]` to `[target height, target width, 3]`.
    fn scale(source: &[u8], size: FrameSize, columns: &Kernels<i32>, rows: &[Rows]) -> Vec<u8> = plain_scale
}

#[inline(always)]
fn plain_scale(source: &[u8], size: FrameSize, columns: &Kernels<i32>, rows: &[Rows]) -> Vec<u8> {
    let (source_row, target_row) = (size.width as usize * 3, columns.len() * 3);
    let mut target = vec![0; rows.len() * target_row];
    let mut band = Band::new(target_row, 2);
    let mut padded = vec![0; source_row + PADDING];
    let mut sums = vec![0; target_row + 1];
    for (row, out) in rows.iter().zip(target.chunks_exact_mut(target_row)) {
        let [upper, lower] = row.from;
        for number in band.move_to(upper..lower + 1) {
            padded[..source_row].copy_from_slice(&source[number * source_row..][..source_row]);
            sum_columns(&padded, columns, &mut sums, band.row(number));
        }
        let wide = band.rows(upper..lower + 1);
        // These are the same row at an edge.
        let (upper, lower) = (&wide[..target_row], &wide[wide.len() - target_row..]);
        sum_rows([upper, lower], row.weights, out);
    }
    target
}

/// Bytes after a row, so that its last pixels can be read as a vector.
const PADDING: usize = 2;

/// Scales a row, `[source width, 3]` and [`PADDING`], to sums of 15 bits, `[target width, 3]` and
/// one more sample. `sums` is for intermediate results.
#[allow(unsafe_code)]
fn sum_columns(source: &[u8], columns: &Kernels<i32>, sums: &mut [i32], target: &mut [i16]) {
    #[cfg(target_arch = "x86_64")]
    if columns.taps() == 2 && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, which is all that the function asks for.
        return unsafe { sum_pairs(source, columns, target) };
    }
    plain_sum_columns(source, columns, sums, target);
}

fn plain_sum_columns(source: &[u8], columns: &Kernels<i32>, sums: &mut [i32], target: &mut [i16]) {
    let samples: Vec<i32> = source.iter().map(|&byte| i32::from(byte)).collect();
    scale_row(&samples, columns, 0, sums);
    for (to, &sum) in target.iter_mut().zip(sums.iter()) {
        *to = (sum >> 4) as i16;
    }
}

/// Does the same for adjacent columns: a pair of pixels is one load, and three products of pairs
/// are one instruction, which compilers do not find.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_pairs(source: &[u8], columns: &Kernels<i32>, target: &mut [i16]) {
    use std::arch::x86_64::*;

    // Red, green and blue of the left and the right pixel, as 16 bits.
    let order = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    for ((first, &[left, right]), at) in columns.arrays::<2>().zip((0..).step_by(3)) {
        let pair = source[first * 3..].first_chunk::<8>();
        let (Some(&pair), Some(out)) = (pair, target[at..].first_chunk_mut::<4>()) else {
            return;
        };
        let pair = _mm_shuffle_epi8(_mm_cvtsi64_si128(i64::from_le_bytes(pair)), order);
        let sums = _mm_madd_epi16(pair, _mm_set1_epi32(left | right << 16));
        let sums = _mm_srli_epi32::<4>(sums);
        let four = _mm_cvtsi128_si64(_mm_packs_epi32(sums, sums));
        *out = [four, four >> 16, four >> 32, four >> 48].map(|sample| sample as i16);
    }
}

/// Computes products of 11 and 15 bits, so that both halves are below 2^10 and no clamping is
/// needed.
#[inline(always)]
fn sum_rows(rows: [&[i16]; 2], weights: [i16; 2], out: &mut [u8]) {
    let high = |sample: i16, weight: i16| ((i32::from(sample) * i32::from(weight)) >> 16) as i16;
    for ((byte, &upper), &lower) in out.iter_mut().zip(rows[0]).zip(rows[1]) {
        *byte = ((high(upper, weights[0]) + high(lower, weights[1]) + 2) >> 2) as u8;
    }
}

/// Returns the source position before each output position, which can lie outside, and the fraction
/// of the way to the next position. The arithmetic, its order and its types are OpenCV's.
fn positions(source: u32, target: u32) -> impl Iterator<Item = (i64, f32)> {
    let scale = 1.0 / (f64::from(target) / f64::from(source));
    (0..target).map(move |position| {
        let exact = ((f64::from(position) + 0.5) * scale - 0.5) as f32;
        let floor = exact.floor();
        (floor as i64, exact - floor)
    })
}

fn fixed(weight: f32) -> i16 {
    (weight * (1 << WEIGHT_BITS) as f32).round_ties_even() as i16
}

/// Returns the kernels of the columns. Columns beyond the edge have the weight of the edge.
fn columns(source: u32, target: u32) -> Kernels<i32> {
    let last = i64::from(source) - 1;
    let kernels: Vec<(usize, Vec<i32>)> = positions(source, target)
        .map(|(at, fraction)| match (0..last).contains(&at) {
            true => (at as usize, [1.0 - fraction, fraction].map(fixed).map(i32::from).to_vec()),
            false => (at.clamp(0, last) as usize, vec![i32::from(fixed(1.0))]),
        })
        .collect();
    Kernels::new(source, &kernels)
}

/// Returns the rows with their weights. Rows beyond the edge keep their weights and use the edge
/// twice, which rounds differently.
fn rows(source: u32, target: u32) -> Vec<Rows> {
    let inside = |at: i64| at.clamp(0, i64::from(source) - 1) as usize;
    positions(source, target)
        .map(|(at, fraction)| Rows {
            from: [inside(at), inside(at + 1)],
            weights: [fixed(1.0 - fraction), fixed(fraction)],
        })
        .collect()
}

fn mean_of_four(frame: &RgbFrame) -> Vec<u8> {
    let row_bytes = frame.width() as usize * 3;
    let mut data = Vec::with_capacity(frame.data().len() / 4);
    for rows in frame.data().chunks_exact(row_bytes * 2) {
        let (upper, lower) = rows.split_at(row_bytes);
        for (upper, lower) in upper.as_chunks::<6>().0.iter().zip(lower.as_chunks::<6>().0) {
            data.extend((0..3).map(|channel| {
                let four = [upper[channel], upper[channel + 3], lower[channel], lower[channel + 3]];
                ((four.into_iter().map(u16::from).sum::<u16>() + 2) >> 2) as u8
            }));
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_give_the_sums_of_plain_code() {
        for (source, target) in [(2, 5), (53, 20), (53, 54), (53, 200)] {
            let row: Vec<u8> = (0..source * 3 + 2).map(|at| (at * at * 31 % 256) as u8).collect();
            let columns = columns(source, target);
            let length = target as usize * 3;
            let mut sums = vec![0; length + 1];
            let (mut found, mut plain) = (vec![0; length + 1], vec![0; length + 1]);
            sum_columns(&row, &columns, &mut sums, &mut found);
            plain_sum_columns(&row, &columns, &mut sums, &mut plain);
            assert_eq!(found[..length], plain[..length], "{source} to {target}");
        }
    }
}
