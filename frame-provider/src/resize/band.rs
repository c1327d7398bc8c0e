//! Rows between the two passes of a scaler.

use std::ops::Range;

/// Number of rows in addition to those that one row of the result needs, so that rows need not be
/// moved each time.
const SPARE_ROWS: usize = 16;

/// A band of rows that moves down the picture. Each row is computed once, and the band stays in the
/// processor's cache, unlike a whole intermediate picture.
pub(super) struct Band<T> {
    rows: Vec<T>,
    /// Number of samples of a row.
    length: usize,
    /// Range of the rows that it holds.
    held: Range<usize>,
}

impl<T: Copy + Default> Band<T> {
    /// Makes a band for rows of `length` samples, of which at most `most` are needed at once.
    pub(super) fn new(length: usize, most: usize) -> Self {
        // The scalers write four samples where three are needed.
        let samples = (most + SPARE_ROWS) * length + 1;
        Self { rows: vec![T::default(); samples], length, held: 0..0 }
    }

    /// Advances to the rows `wanted`. Returns the numbers of the rows that are still to be
    /// computed, in [`Band::row`]. The start of `wanted` must not decrease, and its length must not
    /// exceed `most`.
    #[inline(always)]
    pub(super) fn move_to(&mut self, wanted: Range<usize>) -> Range<usize> {
        let length = self.length;
        if wanted.start >= self.held.end {
            self.held = wanted.start..wanted.start;
        }
        if (wanted.end - self.held.start) * length >= self.rows.len() {
            let from = (wanted.start - self.held.start) * length;
            self.rows.copy_within(from..(self.held.end - self.held.start) * length, 0);
            self.held.start = wanted.start;
        }
        let missing = self.held.end..wanted.end;
        self.held.end = self.held.end.max(wanted.end);
        missing
    }

    /// Returns row `number` and one additional sample, which belongs to the next row.
    #[inline(always)]
    pub(super) fn row(&mut self, number: usize) -> &mut [T] {
        let at = (number - self.held.start) * self.length;
        &mut self.rows[at..at + self.length + 1]
    }

    /// Returns a range of consecutive rows.
    #[inline(always)]
    pub(super) fn rows(&self, wanted: Range<usize>) -> &[T] {
        let from = (wanted.start - self.held.start) * self.length;
        &self.rows[from..from + wanted.len() * self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_made_once_and_stays_until_it_is_passed() {
        let mut band = Band::new(3, 4);
        let mut made = Vec::new();
        let wanted = (0..200).map(|at| at / 2..at / 2 + 1 + at % 4).chain([300..304, 303..304]);
        for wanted in wanted {
            for number in band.move_to(wanted.clone()) {
                made.push(number);
                band.row(number).fill(number);
            }
            let expected: Vec<usize> = wanted.clone().flat_map(|number| [number; 3]).collect();
            assert_eq!(band.rows(wanted), expected);
        }
        let all: Vec<usize> = (0..103).chain(300..304).collect();
        assert_eq!(made, all);
    }
}
