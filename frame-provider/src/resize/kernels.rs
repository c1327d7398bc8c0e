//! Weights of source positions, and the horizontal pass that all scalers share.

use std::ops::{AddAssign, Mul};

/// For each output position: the first source position that contributes, and the weights from there
/// onwards.
///
/// All kernels have the length of the longest one; shorter kernels are padded with weights of 0. A
/// sample times 0 adds nothing, for integers and for floats.
pub(super) struct Kernels<W> {
    taps: usize,
    firsts: Vec<usize>,
    /// `[output position, taps]`.
    weights: Vec<W>,
}

impl<W: Copy + Default> Kernels<W> {
    /// Makes kernels from the first position and the weights of each, none of which reaches beyond
    /// `source` positions. The first positions must not decrease.
    pub(super) fn new(source: u32, kernels: &[(usize, Vec<W>)]) -> Self {
        let taps = kernels.iter().map(|(_, weights)| weights.len()).max().unwrap_or(0);
        let mut padded = Self {
            taps,
            firsts: Vec::with_capacity(kernels.len()),
            weights: vec![W::default(); kernels.len() * taps],
        };
        let last = source as usize - taps;
        for (number, (first, weights)) in kernels.iter().enumerate() {
            // Padded at the front if there are no more positions at the back.
            padded.firsts.push((*first).min(last));
            let start = number * taps + first.saturating_sub(last);
            padded.weights[start..start + weights.len()].copy_from_slice(weights);
        }
        padded
    }

    /// Returns the number of output positions.
    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Returns the number of weights per position.
    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// Returns the first source position and the weights of an output position.
    #[inline(always)]
    pub(super) fn kernel(&self, position: usize) -> (usize, &[W]) {
        (self.firsts[position], &self.weights[position * self.taps..][..self.taps])
    }

    /// Returns the same for all output positions, in order.
    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[W])> {
        self.firsts.iter().copied().zip(self.weights.chunks_exact(self.taps))
    }
}

impl<W> Kernels<W> {
    /// Returns the same for kernels whose length is known to the compiler. The length must be
    /// [`Kernels::taps`].
    #[inline(always)]
    pub(super) fn arrays<const TAPS: usize>(&self) -> impl Iterator<Item = (usize, &[W; TAPS])> {
        self.firsts.iter().copied().zip(self.weights.as_chunks::<TAPS>().0)
    }
}

/// Scales a row of RGB pixels: the products are added to each `start` one by one.
///
/// A pixel is read and written as four samples, one of which belongs to a neighbour, since
/// processors calculate with four at once. For that, `source` and `target` have one sample more.
#[inline(always)]
pub(super) fn scale_row<T: Copy + Default + Mul<Output = T> + AddAssign>(
    source: &[T],
    kernels: &Kernels<T>,
    start: T,
    target: &mut [T],
) {
    // Loops of known length are unrolled, which halves the time.
    match kernels.taps {
        1 => scale_by::<T, 1>(source, kernels, start, target),
        2 => scale_by::<T, 2>(source, kernels, start, target),
        3 => scale_by::<T, 3>(source, kernels, start, target),
        4 => scale_by::<T, 4>(source, kernels, start, target),
        5 => scale_by::<T, 5>(source, kernels, start, target),
        6 => scale_by::<T, 6>(source, kernels, start, target),
        7 => scale_by::<T, 7>(source, kernels, start, target),
        8 => scale_by::<T, 8>(source, kernels, start, target),
        _ => {
            for ((first, weights), at) in kernels.iter().zip((0..).step_by(3)) {
                sum_pixel(&source[first * 3..], weights, start, &mut target[at..]);
            }
        }
    }
}

#[inline(always)]
fn scale_by<T: Copy + Default + Mul<Output = T> + AddAssign, const TAPS: usize>(
    source: &[T],
    kernels: &Kernels<T>,
    start: T,
    target: &mut [T],
) {
    for ((first, weights), at) in kernels.arrays::<TAPS>().zip((0..).step_by(3)) {
        let pixels = &source[first * 3..first * 3 + TAPS * 3 + 1];
        sum_pixel(pixels, weights, start, &mut target[at..]);
    }
}

#[inline(always)]
fn sum_pixel<T: Copy + Default + Mul<Output = T> + AddAssign>(
    pixels: &[T],
    weights: &[T],
    start: T,
    target: &mut [T],
) {
    let mut sums = [start; 4];
    for (&weight, at) in weights.iter().zip((0..).step_by(3)) {
        let pixel = &pixels[at..at + 4];
        for (sum, &sample) in sums.iter_mut().zip(pixel) {
            *sum += sample * weight;
        }
    }
    target[..4].copy_from_slice(&sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_become_equally_long() {
        let kernels =
            Kernels::new(5, &[(0, vec![7]), (1, vec![1, 2, 3]), (3, vec![4, 5]), (4, vec![6])]);
        let found: Vec<_> = kernels.iter().collect();
        let expected: [(usize, &[i32]); 4] =
            [(0, &[7, 0, 0]), (1, &[1, 2, 3]), (2, &[0, 4, 5]), (2, &[0, 0, 6])];
        assert_eq!(found, expected);
        assert_eq!((kernels.len(), kernels.taps()), (4, 3));
    }

    #[test]
    fn every_length_sums_the_same() {
        let source: Vec<i32> = (0..=60).map(|at| at * at % 53).collect();
        for taps in 1..=12 {
            let weights: Vec<i32> = (1..=taps).collect();
            let kernels = Kernels::new(20, &[(0, weights.clone()), (7, weights.clone())]);
            let mut target = [0; 7];
            scale_row(&source, &kernels, 10, &mut target);
            for (channel, found) in target[..6].iter().enumerate() {
                let first = if channel < 3 { 0 } else { 7 };
                let products = (0..)
                    .zip(&weights)
                    .map(|(tap, weight)| source[(first + tap) * 3 + channel % 3] * weight);
                assert_eq!(*found, 10 + products.sum::<i32>(), "{taps} taps");
            }
        }
    }
}
