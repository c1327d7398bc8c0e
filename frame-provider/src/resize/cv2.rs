//! OpenCV's `INTER_LINEAR` for 8-bit samples.
//!
//! No antialiasing: two source pixels count for each side of the result, however much is shrunk. Weights have 11 bits. The
//! sum over columns is shifted right by 4 before, and by 16 after its product with the rows' weights, so that bits are
//! lost on the way; each shift matters for equality. Shrinking by exactly 2 on both sides is the mean of four pixels
//! instead, since OpenCV then takes its `INTER_AREA`.

use crate::frame::{FrameSize, RgbFrame};

/// Fractional bits of a weight.
const WEIGHT_BITS: u32 = 11;

/// For one output position: two source positions and their weights.
#[derive(Clone, Copy)]
struct Tap {
    from: [usize; 2],
    weights: [i32; 2],
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
    let columns = taps(source.width, size.width, true);
    let rows = taps(source.height, size.height, false);
    let source_row = source.width as usize * 3;
    let mut data = Vec::with_capacity(size.rgb_bytes());
    // Two source rows, scaled to the new width; most are needed for several rows of the result.
    let mut held: [Option<usize>; 2] = [None, None];
    let mut wide = [vec![0i32; size.width as usize * 3], vec![0i32; size.width as usize * 3]];
    for row in rows {
        if held[1] == Some(row.from[0]) && held[0] != held[1] {
            held.swap(0, 1);
            wide.swap(0, 1);
        }
        for side in 0..2 {
            if held[side] != Some(row.from[side]) {
                let start = row.from[side] * source_row;
                scale_row(&frame.data()[start..start + source_row], &columns, &mut wide[side]);
                held[side] = Some(row.from[side]);
            }
        }
        let [upper, lower] = &wide;
        data.extend(upper.iter().zip(lower).map(|(&upper, &lower)| {
            let sum =
                ((row.weights[0] * (upper >> 4)) >> 16) + ((row.weights[1] * (lower >> 4)) >> 16);
            ((sum + 2) >> 2).clamp(0, 255) as u8
        }));
    }
    RgbFrame::from_parts(size, data)
}

fn scale_row(source: &[u8], columns: &[Tap], target: &mut [i32]) {
    for (tap, pixel) in columns.iter().zip(target.as_chunks_mut::<3>().0) {
        let [left, right] = tap.from.map(|at| &source[at * 3..at * 3 + 3]);
        for (channel, sample) in pixel.iter_mut().enumerate() {
            *sample = i32::from(left[channel]) * tap.weights[0]
                + i32::from(right[channel]) * tap.weights[1];
        }
    }
}

/// The arithmetic, its order and its types are OpenCV's. Columns beyond the edge have the weight of the edge; rows beyond
/// it keep their weights and have the edge twice, which rounds differently.
fn taps(source: u32, target: u32, is_column: bool) -> Vec<Tap> {
    let scale = 1.0 / (f64::from(target) / f64::from(source));
    let last = source as usize - 1;
    (0..target)
        .map(|position| {
            let exact = ((f64::from(position) + 0.5) * scale - 0.5) as f32;
            let floor = exact.floor();
            let mut fraction = exact - floor;
            let at = floor as i64;
            if is_column && (at < 0 || at >= last as i64) {
                fraction = 0.0;
            }
            let inside = |at: i64| at.clamp(0, last as i64) as usize;
            let fixed = |weight: f32| (weight * (1 << WEIGHT_BITS) as f32).round_ties_even() as i32;
            let next = if is_column { inside(at) as i64 + 1 } else { at + 1 };
            Tap {
                from: [inside(at), inside(next)],
                weights: [fixed(1.0 - fraction), fixed(fraction)],
            }
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
