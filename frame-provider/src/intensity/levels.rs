//! Converts pictures to RGB8, with the range of a recording measured once.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Intensity, ranks};
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::picture::{Depth, Picture, Samples};

/// Number of frames that a range is measured on, spread over the recording.
const SAMPLED_FRAMES: usize = 32;

/// The percentiles of [`Intensity::Auto`] for all but 8-bit samples.
const AUTO: (f64, f64) = (0.1, 99.9);

/// One output byte per stored value: 256 or 65,536 of them.
type Table = Arc<[u8]>;

/// A mapping from stored values to output bytes.
#[derive(Debug, Clone)]
enum Mapping {
    /// For 8 and 16 bits.
    Table(Table),
    /// The formula of [`Intensity`], for every other type.
    Ramp { low: f64, high: f64 },
    /// The upper byte of an integer: `step` values, starting at `low`, share one.
    UpperByte { low: f64, step: f64 },
}

/// Converts the pictures of one recording to RGB8.
#[derive(Debug)]
pub(crate) struct Levels {
    intensity: Intensity,
    /// The mapping and its depth, once measured.
    measured: OnceLock<(Depth, Mapping)>,
    /// The stored values that become black and white, once known.
    range: OnceLock<[f64; 2]>,
    warnings: Mutex<Vec<String>>,
}

/// How the mapping of one picture is obtained.
enum Plan {
    /// 8-bit samples stay unchanged.
    Identity,
    Fixed(Mapping),
    Recording(Measure),
    Frame(Measure),
}

#[derive(Clone, Copy)]
enum Measure {
    MinMax,
    Percentile(f64, f64),
}

impl Levels {
    pub(crate) fn new(intensity: Intensity) -> Self {
        let (measured, range) = (OnceLock::new(), OnceLock::new());
        Self { intensity, measured, range, warnings: Mutex::default() }
    }

    /// Returns the range setting, before it is measured.
    pub(crate) fn intensity(&self) -> Intensity {
        self.intensity
    }

    /// Returns the stored values that become black and white, once a picture of more than 8 bits was read.
    /// `None` if each frame has a range of its own.
    pub(crate) fn range(&self) -> Option<[f64; 2]> {
        self.range.get().copied()
    }

    fn note(&self, depth: Depth, range: [f64; 2]) {
        if depth != Depth::Eight {
            self.range.get_or_init(|| range);
        }
    }

    /// Returns the problems found while measuring.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns `picture` in RGB8. `decode` returns any of the recording's `count` pictures, for
    /// measuring.
    pub(crate) fn render(
        &self,
        picture: Picture,
        count: usize,
        decode: impl Fn(usize) -> Result<Picture, FrameError>,
    ) -> Result<RgbFrame, FrameError> {
        let depth = picture.depth();
        let mapping = match self.plan(depth)? {
            Plan::Identity => return to_rgb(picture, None),
            Plan::Fixed(mapping) => {
                let range = match (self.intensity, &mapping) {
                    (Intensity::Range { low, high }, _) => [low, high],
                    (_, &Mapping::UpperByte { low, step }) => [low, low + 256.0 * step],
                    _ => [0.0, f64::from(u16::MAX)],
                };
                self.note(depth, range);
                mapping
            }
            Plan::Frame(measure) => {
                let visit = |see: &mut dyn FnMut(&Picture)| see(&picture);
                range(depth, measure, visit)
                    .map_or_else(|| whole(depth), |range| over(depth, range))
            }
            Plan::Recording(measure) => {
                // Other threads wait here: measuring twice would cost more than waiting.
                let (measured, mapping) = self
                    .measured
                    .get_or_init(|| (depth, self.measure(depth, count, measure, decode)));
                if *measured != depth {
                    let message = format!(
                        "a frame has {depth} samples but the range was measured on {measured} ones; \
                         bring all frames to one depth, or choose the intensity `full`"
                    );
                    return Err(FrameError::Other { message, source: None });
                }
                mapping.clone()
            }
        };
        to_rgb(picture, Some(&mapping))
    }

    fn plan(&self, depth: Depth) -> Result<Plan, FrameError> {
        Ok(match (self.intensity, depth) {
            (Intensity::Auto | Intensity::Full, Depth::Eight) => Plan::Identity,
            (Intensity::Auto, _) => Plan::Recording(Measure::Percentile(AUTO.0, AUTO.1)),
            (Intensity::Full, Depth::Sixteen) => Plan::Fixed(Mapping::Table(upper_bytes())),
            (Intensity::Full, Depth::Real(kind)) => match kind.upper_byte() {
                Some((low, step)) => Plan::Fixed(Mapping::UpperByte { low, step }),
                None => {
                    let message = format!(
                        "{depth} samples have no full range; choose the intensity auto, minmax or LO,HI, such as 0,1"
                    );
                    return Err(FrameError::Other { message, source: None });
                }
            },
            (Intensity::MinMax, _) => Plan::Recording(Measure::MinMax),
            (Intensity::Percentile { low, high }, _) => {
                Plan::Recording(Measure::Percentile(low, high))
            }
            (Intensity::Range { low, high }, _) => Plan::Fixed(over(depth, (low, high))),
            (Intensity::PerFrameMinMax, _) => Plan::Frame(Measure::MinMax),
            (Intensity::PerFramePercentile { low, high }, _) => {
                Plan::Frame(Measure::Percentile(low, high))
            }
        })
    }

    fn measure(
        &self,
        depth: Depth,
        count: usize,
        measure: Measure,
        decode: impl Fn(usize) -> Result<Picture, FrameError>,
    ) -> Mapping {
        let mut is_first = true;
        let found = range(depth, measure, |see: &mut dyn FnMut(&Picture)| {
            for index in sampled(count) {
                match decode(index) {
                    Ok(picture) if picture.depth() == depth => see(&picture),
                    // A frame of another depth is rejected when it is requested.
                    Ok(_) => {}
                    Err(error) if is_first => self.warn(format!(
                        "frame {index} was left out when the intensity range was measured: {error}"
                    )),
                    Err(_) => {}
                }
            }
            is_first = false;
        });
        let Some((low, high)) = found else {
            self.warn(
                "no frame could be decoded to measure the intensity range; the range of the type is used"
                    .into(),
            );
            return whole(depth);
        };
        tracing::info!(low, high, intensity = %self.intensity, "intensity range of the recording");
        self.note(depth, [low, high]);
        over(depth, (low, high))
    }

    fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }
}

/// Returns the range of the pictures that `visit` passes, the same ones on every call; `None`
/// without any sample.
fn range(
    depth: Depth,
    measure: Measure,
    mut visit: impl FnMut(&mut dyn FnMut(&Picture)),
) -> Option<(f64, f64)> {
    if let Depth::Eight | Depth::Sixteen = depth {
        let mut histogram = Histogram::new(depth);
        visit(&mut |picture| histogram.add(picture));
        return (histogram.total > 0).then(|| histogram.range(measure));
    }
    let mut visit_values = |see: &mut dyn FnMut(f64)| {
        visit(&mut |picture| {
            if let Samples::Real(values, _) = &picture.samples {
                values.iter().for_each(|&value| see(value));
            }
        });
    };
    match measure {
        Measure::MinMax => {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            visit_values(&mut |value| {
                if value.is_finite() {
                    (low, high) = (low.min(value), high.max(value));
                }
            });
            (low <= high).then_some((low, high))
        }
        Measure::Percentile(low, high) => {
            ranks::percentiles([low, high], visit_values).map(|[low, high]| (low, high))
        }
    }
}

/// Returns the mapping of a range.
fn over(depth: Depth, (low, high): (f64, f64)) -> Mapping {
    // A recording of one gray level.
    let high = if high > low { high } else { low + 1.0 };
    match depth {
        Depth::Eight => Mapping::Table(ramp(8, low, high)),
        Depth::Sixteen => Mapping::Table(ramp(16, low, high)),
        Depth::Real(_) => Mapping::Ramp { low, high },
    }
}

/// Returns the mapping to use if nothing could be measured.
fn whole(depth: Depth) -> Mapping {
    match depth {
        Depth::Eight => over(depth, (0.0, 255.0)),
        Depth::Sixteen => Mapping::Table(upper_bytes()),
        Depth::Real(kind) => kind.upper_byte().map_or_else(
            || over(depth, (0.0, 1.0)),
            |(low, step)| Mapping::UpperByte { low, step },
        ),
    }
}

/// Returns frames spread evenly from the first to the last.
fn sampled(count: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(SAMPLED_FRAMES);
    // In u128: the product exceeds 64 bits for absurd counts.
    (0..taken).map(move |i| {
        (i as u128 * (count.max(1) - 1) as u128 / (taken.max(2) - 1) as u128) as usize
    })
}

/// How often each stored value of 8 or 16 bits occurs.
struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    fn new(depth: Depth) -> Self {
        let values = if depth == Depth::Eight { 1 << 8 } else { 1 << 16 };
        Self { counts: vec![0; values], total: 0 }
    }

    fn add(&mut self, picture: &Picture) {
        match &picture.samples {
            Samples::Eight(samples) => {
                samples.iter().for_each(|&sample| self.counts[usize::from(sample)] += 1);
                self.total += samples.len() as u64;
            }
            Samples::Sixteen(samples) => {
                samples.iter().for_each(|&sample| self.counts[usize::from(sample)] += 1);
                self.total += samples.len() as u64;
            }
            // These types have no histogram; see `ranks`.
            Samples::Real(..) => {}
        }
    }

    fn range(&self, measure: Measure) -> (f64, f64) {
        let percentile = |percent| self.ranked(ranks::rank(self.total, percent));
        let (low, high) = match measure {
            Measure::MinMax => (self.ranked(0), self.ranked(self.total.saturating_sub(1))),
            Measure::Percentile(low, high) => (percentile(low), percentile(high)),
        };
        (low.into(), high.into())
    }

    /// Returns the value at `rank`, counted from 0, of all samples in order.
    fn ranked(&self, rank: u64) -> u32 {
        let mut seen = 0;
        for (value, count) in (0..).zip(&self.counts) {
            seen += count;
            if seen > rank {
                return value;
            }
        }
        0
    }
}

/// Applies the formula of [`Intensity`]. Values that are not finite become black.
fn level(value: f64, low: f64, high: f64) -> u8 {
    if !value.is_finite() {
        return 0;
    }
    let span = high - low;
    // Exact for integers of up to 32 bits: numerator and denominator are whole numbers below 2^53.
    // The cast rounds down.
    (((value.clamp(low, high) - low) * 510.0 + span) / (2.0 * span)) as u8
}

/// Returns [`level`] of every value, for a range whose `high` is above `low`.
fn ramp(bits: u32, low: f64, high: f64) -> Table {
    (0..1u32 << bits).map(|value| level(value.into(), low, high)).collect()
}

fn upper_bytes() -> Table {
    (0..=u16::MAX).map(|value| (value >> 8) as u8).collect()
}

fn to_rgb(picture: Picture, mapping: Option<&Mapping>) -> Result<RgbFrame, FrameError> {
    let Picture { size, channels, samples } = picture;
    let bytes: Vec<u8> = match (samples, mapping) {
        (Samples::Eight(samples), Some(Mapping::Table(table))) => {
            samples.into_iter().map(|sample| table[usize::from(sample)]).collect()
        }
        (Samples::Eight(samples), _) => samples,
        (Samples::Sixteen(samples), Some(Mapping::Table(table))) => {
            samples.into_iter().map(|sample| table[usize::from(sample)]).collect()
        }
        (Samples::Sixteen(samples), _) => {
            samples.into_iter().map(|sample| (sample >> 8) as u8).collect()
        }
        (Samples::Real(samples, _), Some(&Mapping::Ramp { low, high })) => {
            samples.into_iter().map(|sample| level(sample, low, high)).collect()
        }
        (Samples::Real(samples, _), Some(&Mapping::UpperByte { low, step })) => {
            samples.into_iter().map(|sample| ((sample - low) / step) as u8).collect()
        }
        (Samples::Real(samples, _), _) => {
            samples.into_iter().map(|sample| level(sample, 0.0, 1.0)).collect()
        }
    };
    let rgb =
        if channels == 1 { bytes.into_iter().flat_map(|gray| [gray; 3]).collect() } else { bytes };
    RgbFrame::new(size.width, size.height, rgb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::RealKind;
    use crate::size::FrameSize;
    use proptest::prelude::*;

    fn picture(samples: Vec<u16>) -> Picture {
        let size = FrameSize { width: samples.len() as u32, height: 1 };
        Picture { size, channels: 1, samples: Samples::Sixteen(samples) }
    }

    #[test]
    fn the_sample_is_spread_from_the_first_frame_to_the_last() {
        assert_eq!(sampled(0).count(), 0);
        assert_eq!(sampled(1).collect::<Vec<_>>(), [0]);
        assert_eq!(sampled(2).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(sampled(32).collect::<Vec<_>>(), (0..32).collect::<Vec<_>>());
        let many: Vec<usize> = sampled(100_000).collect();
        assert_eq!((many.len(), many[0], many[1], many[31]), (32, 0, 3225, 99_999));
        assert_eq!(sampled(usize::MAX).last(), Some(usize::MAX - 1));
    }

    #[test]
    fn the_range_is_that_of_the_recording_whatever_is_read_first() {
        let clip = [vec![0, 50], vec![100, 200], vec![300, 400]];
        for first in 0..3 {
            let levels = Levels::new(Intensity::MinMax);
            let decode = |index: usize| Ok(picture(clip[index].clone()));
            let rendered = |index: usize| {
                levels.render(picture(clip[index].clone()), 3, decode).unwrap().into_data()
            };
            rendered(first);
            assert_eq!(rendered(1), [64, 64, 64, 128, 128, 128]);
        }
        let levels = Levels::new(Intensity::PerFrameMinMax);
        let frame = levels.render(picture(vec![100, 200]), 3, |_| unreachable!()).unwrap();
        assert_eq!(frame.data(), [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn the_ends_of_the_range_are_known_once_deep_samples_were_read() {
        let ends = |intensity: Intensity, picture: Picture| {
            let levels = Levels::new(intensity);
            assert_eq!(levels.range(), None);
            levels.render(picture.clone(), 1, |_| Ok(picture.clone())).unwrap();
            levels.range()
        };
        let deep = || picture(vec![100, 200, 4000]);
        assert_eq!(ends(Intensity::MinMax, deep()), Some([100.0, 4000.0]));
        assert_eq!(ends(Intensity::Full, deep()), Some([0.0, 65_535.0]));
        let range = Intensity::Range { low: 150.0, high: 300.0 };
        assert_eq!(ends(range, deep()), Some([150.0, 300.0]));
        assert_eq!(ends(Intensity::PerFrameMinMax, deep()), None);
        let size = FrameSize { width: 1, height: 1 };
        let eight = Picture { size, channels: 1, samples: Samples::Eight(vec![7]) };
        assert_eq!(ends(Intensity::MinMax, eight), None);
    }

    #[test]
    fn frames_that_cannot_be_decoded_are_left_out_with_a_warning() {
        let levels = Levels::new(Intensity::Auto);
        let decode = |index: usize| match index {
            0 => Ok(picture((0..1000).collect())),
            _ => Err(FrameError::Empty { what: "it".into() }),
        };
        let frame = levels.render(picture(vec![0, 500, 999, 65_535]), 2, decode).unwrap();
        assert_eq!(frame.data(), [0, 0, 0, 128, 128, 128, 255, 255, 255, 255, 255, 255]);
        assert!(
            levels.warnings()[0].starts_with("frame 1 was left out"),
            "{:?}",
            levels.warnings()
        );
        let eight = Picture {
            size: FrameSize { width: 1, height: 1 },
            channels: 1,
            samples: Samples::Eight(vec![7]),
        };
        assert_eq!(levels.render(eight.clone(), 2, decode).unwrap().data(), [7, 7, 7]);
        let levels = Levels::new(Intensity::MinMax);
        levels.render(picture(vec![1]), 1, decode).unwrap();
        assert!(levels.render(eight, 1, decode).unwrap_err().to_string().contains("one depth"));
    }

    #[test]
    fn one_gray_level_is_black() {
        let levels = Levels::new(Intensity::MinMax);
        let frame = levels.render(picture(vec![9, 9]), 1, |_| Ok(picture(vec![9, 9]))).unwrap();
        assert_eq!(frame.data(), [0; 6]);
        let Mapping::Table(table) = over(Depth::Sixteen, (65_535.0, 65_535.0)) else { panic!() };
        assert_eq!(*table.last().unwrap(), 0);
    }

    fn real(values: &[f64], kind: RealKind) -> Picture {
        let size = FrameSize { width: values.len() as u32, height: 1 };
        Picture { size, channels: 1, samples: Samples::Real(values.to_vec(), kind) }
    }

    fn grays(intensity: &str, values: &[f64], kind: RealKind) -> Vec<u8> {
        let levels = Levels::new(intensity.parse().unwrap());
        let decode = |_| Ok(real(values, kind));
        let frame = levels.render(real(values, kind), 1, decode).unwrap();
        frame.data().iter().copied().step_by(3).collect()
    }

    #[test]
    fn negative_large_and_fractional_values_are_spread_over_the_range_in_use() {
        assert_eq!(grays("minmax", &[-100.0, 0.0, 100.0], RealKind::I16), [0, 128, 255]);
        assert_eq!(grays("auto", &[-100.0, 0.0, 100.0], RealKind::I16), [0, 128, 255]);
        assert_eq!(grays("minmax", &[0.0, 0.25, 0.5], RealKind::F32), [0, 128, 255]);
        assert_eq!(
            grays("-1,1.5", &[-9.0, -1.0, 0.25, 1.5, 2.0], RealKind::F64),
            [0, 0, 128, 255, 255]
        );
        assert_eq!(
            grays("full", &[-32_768.0, -1.0, 0.0, 32_767.0], RealKind::I16),
            [0, 127, 128, 255]
        );
        assert_eq!(
            grays("full", &[0.0, 16_777_216.0, 4_294_967_295.0], RealKind::U32),
            [0, 1, 255]
        );
        assert_eq!(grays("per-frame:minmax", &[5.0, 5.0], RealKind::F32), [0, 0]);
    }

    #[test]
    fn what_is_not_finite_is_black_and_does_not_count() {
        let values = [f64::NAN, 1.0, f64::INFINITY, 3.0, f64::NEG_INFINITY];
        assert_eq!(grays("minmax", &values, RealKind::F32), [0, 0, 0, 255, 0]);
        assert_eq!(grays("auto", &values, RealKind::F32), [0, 0, 0, 255, 0]);
        assert_eq!(grays("auto", &[f64::NAN; 2], RealKind::F32), [0, 0]);
        let levels = Levels::new(Intensity::Full);
        let error = levels.render(real(&values, RealKind::F32), 1, |_| unreachable!()).unwrap_err();
        assert!(error.to_string().contains("have no full range; choose"), "{error}");
    }

    proptest! {
        #[test]
        fn the_ramp_rounds_half_up_and_never_falls(low in 0u32..65_535, span in 1u32..65_536) {
            let high = (low + span).min(65_535);
            let table = ramp(16, low.into(), high.into());
            prop_assert!(table.is_sorted());
            prop_assert_eq!((table[low as usize], table[high as usize]), (0, 255));
            for (value, &byte) in table.iter().enumerate().step_by(997) {
                let exact = 255.0 * (value.clamp(low as usize, high as usize) - low as usize) as f64
                    / f64::from(high - low);
                prop_assert_eq!(f64::from(byte), (exact + 0.5).floor());
            }
        }

        #[test]
        fn percentiles_are_those_of_the_sorted_samples(
            mut samples in prop::collection::vec(0u16..300, 1..200), percent in 0u32..=100
        ) {
            let mut histogram = Histogram::new(Depth::Sixteen);
            histogram.add(&picture(samples.clone()));
            samples.sort_unstable();
            // The smallest value with at least `percent` of the samples at or below it, with their
            // number rounded as in NumPy.
            let wanted = samples.len() as f64 * (f64::from(percent) / 100.0);
            let expected = samples.iter().find(|&&value| {
                let below = samples.iter().filter(|&&other| other <= value).count();
                below as f64 >= wanted
            });
            let measure = Measure::Percentile(percent.into(), 100.0);
            prop_assert_eq!(histogram.range(measure).0, f64::from(*expected.unwrap()));
        }
    }
}
