//! Masks as COCO's tools store them: runs down the columns, optionally as compressed text.
//!
//! The text format is that of `rleToString` in the COCO API (`common/maskApi.c`), which
//! `pycocotools` reads and writes. Each run is a base-32 number, lowest digit first; from the
//! fourth run on, the number is the difference from the run two places earlier. Each digit is one
//! character, counted from `0`. If another digit follows, 32 is added to the character. The highest
//! bit of the last digit is the sign.

use crate::mask::{Mask, MaskSizeError, encode_runs};

/// First character of the alphabet.
const ZERO: u8 = b'0';
/// Bits in a digit.
const DIGIT_BITS: u32 = 5;
/// Set in a character if another digit follows.
const MORE: u8 = 0x20;
/// The sign bit in the last digit.
const SIGN: u8 = 0x10;
/// Number of digits of the longest valid number, a difference of two `u32`.
const MOST_DIGITS: u32 = 7;

/// A mask as alternating background and foreground lengths, background first, column by column
/// (COCO's "uncompressed RLE").
///
/// ```
/// use sam2_mask_writer::{CocoRle, Mask};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mask = Mask::from_pixels(2, 2, [false, true, false, true].into_iter())?;
/// let rle = CocoRle::from_mask(&mask);
/// assert_eq!(rle.counts(), [2, 2]);
/// assert_eq!(rle.to_compressed(), "22");
/// assert_eq!(CocoRle::from_compressed(2, 2, "22")?.to_mask(), mask);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CocoRle {
    width: u32,
    height: u32,
    counts: Vec<u32>,
}

/// Text that is not a valid mask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CocoRleError {
    /// A character that the encoding does not use, or a number that is incomplete or out of range.
    #[error(
        "character {position} of the COCO run-length text is wrong: check that the text is complete"
    )]
    Character {
        /// Position of the character, from 0; the text's length if the text ends too early.
        position: usize,
    },
    /// Runs that do not add up to the size of the mask.
    #[error(transparent)]
    Size(#[from] MaskSizeError),
}

impl CocoRle {
    /// Converts runs along rows into runs down columns.
    pub fn from_mask(mask: &Mask) -> Self {
        let (width, height) = (mask.width(), mask.height());
        let (columns, rows) = (width as usize, height as usize);
        let bytes = mask.to_bytes(1);
        let down = (0..columns).flat_map(|x| (0..rows).map(move |y| y * columns + x));
        Self { width, height, counts: encode_runs(down.map(|position| bytes[position] == 1)) }
    }

    /// Builds a mask from run lengths.
    ///
    /// # Errors
    /// If the run lengths do not add up to `width * height`.
    pub fn from_counts(width: u32, height: u32, counts: Vec<u32>) -> Result<Self, MaskSizeError> {
        // The mask of the transposed frame has the same runs, along its rows.
        Mask::from_runs(height, width, counts.clone())?;
        Ok(Self { width, height, counts })
    }

    /// Reads compressed text.
    ///
    /// # Errors
    /// [`CocoRleError::Character`] if `pycocotools` would not write such text,
    /// [`CocoRleError::Size`] if the runs do not add up to the size of the mask.
    pub fn from_compressed(width: u32, height: u32, text: &str) -> Result<Self, CocoRleError> {
        let mut characters = text.bytes().enumerate();
        let mut counts: Vec<u32> = Vec::new();
        while let Some(number) = read_number(&mut characters, text.len())? {
            let before = if counts.len() > 2 { counts[counts.len() - 2] } else { 0 };
            let position = characters.clone().next().map_or(text.len(), |(next, _)| next) - 1;
            let count = u32::try_from(number + i64::from(before))
                .map_err(|_| CocoRleError::Character { position })?;
            counts.push(count);
        }
        Ok(Self::from_counts(width, height, counts)?)
    }

    /// Returns the compressed text.
    pub fn to_compressed(&self) -> String {
        let mut text = String::with_capacity(2 * self.counts.len());
        for (index, &count) in self.counts.iter().enumerate() {
            let before = if index > 2 { self.counts[index - 2] } else { 0 };
            write_number(&mut text, i64::from(count) - i64::from(before));
        }
        text
    }

    /// Converts runs down columns into runs along rows.
    pub fn to_mask(&self) -> Mask {
        let (columns, rows) = (self.width as usize, self.height as usize);
        let mut pixels = vec![false; columns * rows];
        let mut position = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            let end = position + count as usize;
            if index % 2 == 1 {
                (position..end).for_each(|at| pixels[at % rows * columns + at / rows] = true);
            }
            position = end;
        }
        Mask::encode(self.width, self.height, pixels.into_iter())
    }

    /// Returns the number of columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the number of rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the alternating background and foreground lengths, background first, column by
    /// column.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Returns the number of foreground pixels.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&count| u64::from(count)).sum()
    }
}

fn write_number(text: &mut String, mut number: i64) {
    loop {
        let digit = (number & 0x1f) as u8;
        number >>= DIGIT_BITS;
        let done = number == if digit & SIGN == 0 { 0 } else { -1 };
        text.push(char::from(ZERO + digit + if done { 0 } else { MORE }));
        if done {
            return;
        }
    }
}

/// Reads one number; `None` if the text ends before the number is complete.
fn read_number(
    characters: &mut impl Iterator<Item = (usize, u8)>,
    length: usize,
) -> Result<Option<i64>, CocoRleError> {
    let mut number = 0_i64;
    for place in 0..=MOST_DIGITS {
        let Some((position, character)) = characters.next() else {
            return if place == 0 {
                Ok(None)
            } else {
                Err(CocoRleError::Character { position: length })
            };
        };
        let digit = character.wrapping_sub(ZERO);
        if digit >= 2 * MORE || place == MOST_DIGITS {
            return Err(CocoRleError::Character { position });
        }
        number |= i64::from(digit & (MORE - 1)) << (DIGIT_BITS * place);
        if digit & MORE == 0 {
            if digit & SIGN != 0 {
                number |= -1 << (DIGIT_BITS * (place + 1));
            }
            return Ok(Some(number));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask() -> impl Strategy<Value = Mask> {
        (1_u32..40, 1_u32..40).prop_flat_map(|(width, height)| {
            let run = prop_oneof![0_u32..4, 0_u32..600];
            prop::collection::vec(run, 1..30).prop_map(move |runs| {
                let mut value = true;
                let mut pixels: Vec<bool> = runs
                    .into_iter()
                    .flat_map(|run| {
                        value = !value;
                        std::iter::repeat_n(value, run as usize)
                    })
                    .collect();
                pixels.resize((width * height) as usize, false);
                Mask::from_pixels(width, height, pixels.into_iter()).unwrap()
            })
        })
    }

    proptest! {
        #[test]
        fn masks_survive_both_forms(mask in mask()) {
            let rle = CocoRle::from_mask(&mask);
            prop_assert_eq!(&rle.to_mask(), &mask);
            prop_assert_eq!(rle.area(), mask.area());
            let (width, height) = (mask.width(), mask.height());
            let again = CocoRle::from_compressed(width, height, &rle.to_compressed());
            prop_assert_eq!(again.unwrap(), rle.clone());
            let again = CocoRle::from_counts(width, height, rle.counts().to_vec());
            prop_assert_eq!(again.unwrap(), rle);
        }

        #[test]
        fn numbers_survive(number in -i64::from(u32::MAX)..=i64::from(u32::MAX)) {
            let mut text = String::new();
            write_number(&mut text, number);
            let mut characters = text.bytes().enumerate();
            prop_assert_eq!(read_number(&mut characters, text.len()).unwrap(), Some(number));
            prop_assert_eq!(characters.next(), None);
        }

        #[test]
        fn any_text_is_a_mask_or_an_error(text in "[ -~]{0,40}") {
            if let Ok(rle) = CocoRle::from_compressed(8, 8, &text) {
                prop_assert_eq!(rle.counts().iter().sum::<u32>(), 64);
            }
        }
    }

    #[test]
    fn text_is_that_of_pycocotools() {
        // `mask.frPyObjects({"size": [4, 25], "counts": [...]}, 4, 25)` of pycocotools 2.0.11.
        let rle = CocoRle::from_counts(25, 4, vec![6, 1, 40, 4, 5, 4, 5, 4, 21, 10]).unwrap();
        assert_eq!(rle.to_compressed(), PYCOCOTOOLS);
        assert_eq!(CocoRle::from_compressed(25, 4, PYCOCOTOOLS).unwrap(), rle);
    }

    const PYCOCOTOOLS: &str = "61X13mN000`06";

    #[test]
    fn damaged_text_is_refused_with_the_place() {
        let error = |text| CocoRle::from_compressed(25, 4, text).unwrap_err();
        assert_eq!(error("61X1!"), CocoRleError::Character { position: 4 });
        assert_eq!(error("61X"), CocoRleError::Character { position: 3 });
        assert_eq!(error("oooooooooo"), CocoRleError::Character { position: 7 });
        assert_eq!(error("O"), CocoRleError::Character { position: 0 });
        assert!(matches!(error("61"), CocoRleError::Size(_)));
    }
}
