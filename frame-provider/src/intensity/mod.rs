//! Conversion of samples of other types to 8-bit samples.

mod levels;
mod ranks;

use std::fmt;
use std::str::FromStr;

pub(crate) use levels::Levels;

/// Which stored values become black and white.
///
/// # Arithmetic
/// A sample `v` of a recording with the range `low..=high` becomes
///
/// ```text
/// high = max(high, low + 1)                                 # a recording of one gray level
/// v    = min(max(v, low), high)
/// out  = ((v - low) * 510 + (high - low)) // (2 * (high - low))
/// ```
///
/// in integers: `255 * (v - low) / (high - low)`, rounded half up. In NumPy with `int64`:
/// `((numpy.clip(v, low, high) - low) * 510 + (high - low)) // (2 * (high - low))`.
/// [`Intensity::Full`] is `v >> 8` for 16-bit samples, which is what Pillow, libpng and OpenCV do.
///
/// Signed and 32-bit integers follow the same formula. So do floating-point samples, in `float64`,
/// with `high = low + 1` only if `high` is not above `low`. NaN and infinite samples are black and
/// do not count for a range.
///
/// # Where the range comes from
/// [`Intensity::MinMax`] and [`Intensity::Percentile`] measure the range **once for a recording**,
/// when its first frame is read, on at most 32 frames that are spread evenly from the first to the
/// last: frames `i * (count - 1) / (n - 1)` for `i` in `0..n`, `n = min(count, 32)`. All their
/// pixels and channels count, in one histogram. The cost is the decoding of these frames and 512
/// KiB of memory. For percentiles of types other than 8 and 16 unsigned bits, the frames are
/// decoded two to four times, with 1 MiB of memory. Frames that cannot be decoded are left out,
/// with a warning. The range depends only on the recording, never on what was read before. A part
/// cut out of a recording gets its own range, so use [`Intensity::Range`] if parts must agree.
///
/// The percentile `p` is the smallest value such that at least `p` percent of all samples are at or
/// below it: `numpy.percentile(samples, p, method="inverted_cdf")`.
///
/// # As text
/// `auto`, `full`, `minmax`, `percentile:LO,HI`, `LO,HI`, `per-frame:minmax`,
/// `per-frame:percentile:LO,HI`.
///
/// ```
/// use sam2_frame_provider::Intensity;
/// let intensity: Intensity = "percentile:0.1,99.9".parse()?;
/// assert_eq!(intensity, Intensity::Percentile { low: 0.1, high: 99.9 });
/// assert_eq!("0,4095".parse::<Intensity>()?, Intensity::Range { low: 0.0, high: 4095.0 });
/// # Ok::<(), sam2_frame_provider::ParseIntensityError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Intensity {
    /// 8-bit samples stay unchanged; all others (16 and 32 bits, signed, floating point) are mapped
    /// as by `percentile:0.1,99.9`.
    ///
    /// Microscopes and cameras store 10 to 14 bits in 16, so `full` would show them nearly black,
    /// and every viewer (ImageJ, napari) stretches the range in use. Most scientific cameras have a
    /// few hot or dead pixels. With `minmax`, these would determine the range; the percentiles
    /// prevent that.
    #[default]
    Auto,
    /// The whole range of the type: 8-bit samples stay unchanged, other integers are mapped to
    /// their upper byte. Floating-point samples have no full range, so they cause an error.
    Full,
    /// From the smallest to the largest sample of the recording.
    MinMax,
    /// Between two percentiles of the recording's samples, `0 <= low < high <= 100`.
    Percentile {
        /// The percentile that becomes black.
        low: f64,
        /// The percentile that becomes white.
        high: f64,
    },
    /// Between two stored values, both finite and `low < high`, the same for every recording.
    /// Values below 0 and values with fractions are for signed and floating-point samples.
    Range {
        /// The stored value that becomes black.
        low: f64,
        /// The stored value that becomes white.
        high: f64,
    },
    /// [`Intensity::MinMax`] of each frame by itself.
    ///
    /// This evens out changing light. If the light does not change, a bright or dark pixel that
    /// comes and goes makes the whole picture flicker; a model that tracks by appearance then loses
    /// parts of an object or mistakes other things for it. Prefer a range for the recording unless
    /// the light really changes.
    PerFrameMinMax,
    /// [`Intensity::Percentile`] of each frame by itself, with the same risk, though single pixels
    /// have less influence.
    PerFramePercentile {
        /// The percentile that becomes black.
        low: f64,
        /// The percentile that becomes white.
        high: f64,
    },
}

impl Intensity {
    /// Returns true if each frame gets its own range.
    pub fn is_per_frame(self) -> bool {
        matches!(self, Self::PerFrameMinMax | Self::PerFramePercentile { .. })
    }
}

/// Text that is not a valid [`Intensity`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an intensity range; use auto, full, minmax, percentile:LO,HI with 0 <= LO < HI <= 100, LO,HI with LO < HI, per-frame:minmax or per-frame:percentile:LO,HI"
)]
pub struct ParseIntensityError {
    text: String,
}

impl FromStr for Intensity {
    type Err = ParseIntensityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.trim()).ok_or_else(|| ParseIntensityError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Intensity> {
    match text {
        "auto" => return Some(Intensity::Auto),
        "full" => return Some(Intensity::Full),
        "minmax" => return Some(Intensity::MinMax),
        "per-frame:minmax" => return Some(Intensity::PerFrameMinMax),
        _ => {}
    }
    if let Some(pair) = text.strip_prefix("percentile:") {
        let (low, high) = percentiles(pair)?;
        return Some(Intensity::Percentile { low, high });
    }
    if let Some(pair) = text.strip_prefix("per-frame:percentile:") {
        let (low, high) = percentiles(pair)?;
        return Some(Intensity::PerFramePercentile { low, high });
    }
    let (low, high) = text.split_once(',')?;
    let (low, high): (f64, f64) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low.is_finite() && high.is_finite() && low < high).then_some(Intensity::Range { low, high })
}

fn percentiles(pair: &str) -> Option<(f64, f64)> {
    let (low, high) = pair.split_once(',')?;
    let (low, high): (f64, f64) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (0.0 <= low && low < high && high <= 100.0).then_some((low, high))
}

impl fmt::Display for Intensity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Full => f.write_str("full"),
            Self::MinMax => f.write_str("minmax"),
            Self::Percentile { low, high } => write!(f, "percentile:{low},{high}"),
            Self::Range { low, high } => write!(f, "{low},{high}"),
            Self::PerFrameMinMax => f.write_str("per-frame:minmax"),
            Self::PerFramePercentile { low, high } => {
                write!(f, "per-frame:percentile:{low},{high}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_round_trips_and_nonsense_is_refused_with_the_remedy() {
        for text in [
            "auto",
            "full",
            "minmax",
            "percentile:0.35,99.65",
            "percentile:0,100",
            "0,4095",
            "-100,500.5",
            "per-frame:minmax",
            "per-frame:percentile:1,99",
        ] {
            assert_eq!(text.parse::<Intensity>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "maxmin",
            "5",
            "5,5",
            "9,3",
            "0,inf",
            "nan,5",
            "1,2,3",
            "percentile:",
            "percentile:50,50",
            "percentile:-1,50",
            "percentile:1,101",
            "percentile:nan,5",
            "per-frame:0,5",
        ] {
            let error = text.parse::<Intensity>().unwrap_err().to_string();
            assert!(error.contains("use auto, full, minmax"), "{error}");
        }
        assert_eq!(Intensity::default(), Intensity::Auto);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,30}") {
            if let Ok(intensity) = text.parse::<Intensity>() {
                prop_assert_eq!(intensity.to_string().parse::<Intensity>().unwrap(), intensity);
            }
        }
    }
}
