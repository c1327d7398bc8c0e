//! OpenCV's `INTER_LINEAR` for 8-bit samples.
//!
//! No antialiasing: two source pixels count for each side of the result, however much is shrunk. Weights have 11 bits. The
//! sum over columns is shifted right by 4 before, and by 16 after its product with the rows' weights, so that bits are
//! lost on the way; each shift matters for equality. Shrinking by exactly 2 on both sides is the mean of four pixels
//! instead, since OpenCV then takes its `INTER_AREA`.

use super::band::Band;
use super::kernels::{Kernels, scale_row};
use super::processor::for_this_processor;
use crate::frame::{FrameSize, RgbFrame};

/// Fractional bits of a weight.
const WEIGHT_BITS: u32 = 11;

/// For one row of the result: two source rows and their weights.
struct Rows {
    from: [usize; 2],
    weights: [i16; 2],
}

/// Scales `frame` to `width` x `height` with the result of `cv2.resize(frame, (width, height))`, bit for bit.
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
    /// `[height, source width, 3]` to `[target height, target width, 3]`.
    fn scale(source: &[u8], size: FrameSize, columns: &Kernels<i32>, rows: &[Rows]) -> Vec<u8> = plain_scale
}

#[inline(always)]
fn plain_scale(source: &[u8], size: FrameSize, columns: &Kernels<i32>, rows: &[Rows]) -> Vec<u8> {
    let (source_row, target_row) = (size.width as usize * 3, columns.len() * 3);
    let mut target = vec![0; rows.len() * target_row];
    let mut band = Band::new(target_row, 2);
    let mut padded = vec![0; source_row + 1];
    let mut sums = vec![0; target_row + 1];
    for (row, out) in rows.iter().zip(target.chunks_exact_mut(target_row)) {
        let [upper, lower] = row.from;
        for number in band.move_to(upper..lower + 1) {
            let samples = &source[number * source_row..][..source_row];
            for (to, &byte) in padded.iter_mut().zip(samples) {
                *to = i32::from(byte);
            }
            scale_row(&padded, columns, 0, &mut sums);
            for (to, &sum) in band.row(number).iter_mut().zip(&sums) {
                // 15 bits are left.
                *to = (sum >> 4) as i16;
            }
        }
        let wide = band.rows(upper..lower + 1);
        // These are the same row at an edge.
        let (upper, lower) = (&wide[..target_row], &wide[wide.len() - target_row..]);
        sum_rows([upper, lower], row.weights, out);
    }
    target
}

/// Products of 11 and 15 bits, so that both halves are below 2^10 and nothing needs clamping.
#[inline(always)]
fn sum_rows(rows: [&[i16]; 2], weights: [i16; 2], out: &mut [u8]) {
    let high = |sample: i16, weight: i16| ((i32::from(sample) * i32::from(weight)) >> 16) as i16;
    for ((byte, &upper), &lower) in out.iter_mut().zip(rows[0]).zip(rows[1]) {
        *byte = ((high(upper, weights[0]) + high(lower, weights[1]) + 2) >> 2) as u8;
    }
}

/// The source position before each output position, which can lie outside, and the fraction of the way to the next. The
/// arithmetic, its order and its types are OpenCV's.
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

/// Columns beyond the edge have the weight of the edge.
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

/// Rows beyond the edge keep their weights and have the edge twice, which rounds differently.
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
