//! From pictures to RGB8, with the range of a recording measured once.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Intensity;
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::picture::{Picture, Samples};

/// Frames that a range is measured on, spread over the recording.
const SAMPLED_FRAMES: usize = 32;

/// The percentiles of [`Intensity::Auto`] for 16-bit samples.
const AUTO: (f64, f64) = (0.1, 99.9);

/// One output byte per stored value: 256 or 65,536 of them.
type Table = Arc<[u8]>;

/// Brings the pictures of one recording to RGB8.
#[derive(Debug)]
pub(crate) struct Levels {
    intensity: Intensity,
    /// The table and the depth it is for, once measured.
    measured: OnceLock<(u32, Table)>,
    warnings: Mutex<Vec<String>>,
}

/// What the table of one picture is made from.
enum Plan {
    /// 8-bit samples as they are.
    Identity,
    Fixed(Table),
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
        Self { intensity, measured: OnceLock::new(), warnings: Mutex::default() }
    }

    /// The range to use, before it is measured.
    pub(crate) fn intensity(&self) -> Intensity {
        self.intensity
    }

    /// What went wrong while measuring.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `picture` in RGB8. `decode` gives any of the recording's `count` pictures, for measuring.
    pub(crate) fn render(
        &self,
        picture: Picture,
        count: usize,
        decode: impl Fn(usize) -> Result<Picture, FrameError>,
    ) -> Result<RgbFrame, FrameError> {
        let bits = picture.bits();
        let table = match self.plan(bits) {
            Plan::Identity => return to_rgb(picture, None),
            Plan::Fixed(table) => table,
            Plan::Frame(measure) => {
                let mut histogram = Histogram::new(bits);
                histogram.add(&picture);
                histogram.table(measure)
            }
            Plan::Recording(measure) => {
                // Others wait here: measuring twice would cost more than waiting.
                let (measured_bits, table) = self
                    .measured
                    .get_or_init(|| (bits, self.measure(bits, count, measure, decode)));
                if *measured_bits != bits {
                    let message = format!(
                        "a frame has {bits}-bit samples but the range was measured on {measured_bits}-bit ones; \
                         bring all frames to one depth, or choose the intensity `full`"
                    );
                    return Err(FrameError::Other { message, source: None });
                }
                Arc::clone(table)
            }
        };
        to_rgb(picture, Some(&table))
    }

    fn plan(&self, bits: u32) -> Plan {
        match (self.intensity, bits) {
            (Intensity::Auto | Intensity::Full, 8) => Plan::Identity,
            (Intensity::Auto, _) => Plan::Recording(Measure::Percentile(AUTO.0, AUTO.1)),
            (Intensity::Full, _) => Plan::Fixed(upper_bytes()),
            (Intensity::MinMax, _) => Plan::Recording(Measure::MinMax),
            (Intensity::Percentile { low, high }, _) => {
                Plan::Recording(Measure::Percentile(low, high))
            }
            (Intensity::Range { low, high }, _) => Plan::Fixed(ramp(bits, low.into(), high.into())),
            (Intensity::PerFrameMinMax, _) => Plan::Frame(Measure::MinMax),
            (Intensity::PerFramePercentile { low, high }, _) => {
                Plan::Frame(Measure::Percentile(low, high))
            }
        }
    }

    fn measure(
        &self,
        bits: u32,
        count: usize,
        measure: Measure,
        decode: impl Fn(usize) -> Result<Picture, FrameError>,
    ) -> Table {
        let mut histogram = Histogram::new(bits);
        for index in sampled(count) {
            match decode(index) {
                Ok(picture) if picture.bits() == bits => histogram.add(&picture),
                // The frame of another depth is refused when it is asked for.
                Ok(_) => {}
                Err(error) => self.warn(format!(
                    "frame {index} was left out when the intensity range was measured: {error}"
                )),
            }
        }
        if histogram.total == 0 {
            self.warn(
                "no frame could be decoded to measure the intensity range; the range of the type is used"
                    .into(),
            );
            return if bits == 8 { ramp(8, 0, 255) } else { upper_bytes() };
        }
        let (low, high) = histogram.range(measure);
        tracing::info!(low, high, intensity = %self.intensity, "intensity range of the recording");
        histogram.table(measure)
    }

    fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }
}

/// Frames spread evenly from the first to the last.
fn sampled(count: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(SAMPLED_FRAMES);
    // In u128: the product passes 64 bits for absurd counts.
    (0..taken).map(move |i| {
        (i as u128 * (count.max(1) - 1) as u128 / (taken.max(2) - 1) as u128) as usize
    })
}

/// How often each stored value occurs.
struct Histogram {
    bits: u32,
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    fn new(bits: u32) -> Self {
        Self { bits, counts: vec![0; 1 << bits], total: 0 }
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
        }
    }

    fn range(&self, measure: Measure) -> (u32, u32) {
        match measure {
            Measure::MinMax => (self.ranked(0), self.ranked(self.total.saturating_sub(1))),
            Measure::Percentile(low, high) => (self.percentile(low), self.percentile(high)),
        }
    }

    /// NumPy's `inverted_cdf`, with its order of operations.
    fn percentile(&self, percent: f64) -> u32 {
        let position = self.total as f64 * (percent / 100.0) - 1.0;
        // The cast takes negative positions to 0, as NumPy's clipping does.
        self.ranked((position.ceil() as u64).min(self.total.saturating_sub(1)))
    }

    /// The value at `rank`, counted from 0, of all samples in order.
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

    fn table(&self, measure: Measure) -> Table {
        let (low, high) = self.range(measure);
        ramp(self.bits, low, high)
    }
}

/// The formula of [`Intensity`], for every value.
fn ramp(bits: u32, low: u32, high: u32) -> Table {
    let high = high.max(low + 1);
    let span = high - low;
    (0..1 << bits)
        .map(|value: u32| {
            let above = value.clamp(low, high) - low;
            // At most 255, and 65,535 * 510 fits in 32 bits.
            ((above * 510 + span) / (2 * span)) as u8
        })
        .collect()
}

fn upper_bytes() -> Table {
    (0..=u16::MAX).map(|value| (value >> 8) as u8).collect()
}

fn to_rgb(picture: Picture, table: Option<&[u8]>) -> Result<RgbFrame, FrameError> {
    let Picture { size, channels, samples } = picture;
    let bytes = match (samples, table) {
        (Samples::Eight(samples), None) => samples,
        (Samples::Eight(samples), Some(table)) => {
            samples.into_iter().map(|sample| table[usize::from(sample)]).collect()
        }
        (Samples::Sixteen(samples), Some(table)) => {
            samples.into_iter().map(|sample| table[usize::from(sample)]).collect()
        }
        (Samples::Sixteen(samples), None) => {
            samples.into_iter().map(|sample| (sample >> 8) as u8).collect()
        }
    };
    let rgb =
        if channels == 1 { bytes.into_iter().flat_map(|gray| [gray; 3]).collect() } else { bytes };
    RgbFrame::new(size.width, size.height, rgb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameSize;
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
        assert_eq!(*ramp(16, 65_535, 65_535).last().unwrap(), 0);
    }

    proptest! {
        #[test]
        fn the_ramp_rounds_half_up_and_never_falls(low in 0u32..65_535, span in 1u32..65_536) {
            let high = (low + span).min(65_535);
            let table = ramp(16, low, high);
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
            let mut histogram = Histogram::new(16);
            histogram.add(&picture(samples.clone()));
            samples.sort_unstable();
            // The smallest value with at least `percent` of the samples at or below it; their number as NumPy rounds it.
            let wanted = samples.len() as f64 * (f64::from(percent) / 100.0);
            let expected = samples.iter().find(|&&value| {
                let below = samples.iter().filter(|&&other| other <= value).count();
                below as f64 >= wanted
            });
            prop_assert_eq!(histogram.percentile(percent.into()), u32::from(*expected.unwrap()));
        }
    }
}
