//! Values over time, reduced so that hours of them can be drawn.

use std::ops::Range;

/// Number of buckets that a series keeps, however long the recording.
pub(crate) const MOST_BUCKETS: usize = 1500;

/// The values of some consecutive frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// The minimum.
    pub min: f32,
    /// The maximum.
    pub max: f32,
    sum: f64,
    count: u32,
}

impl Bucket {
    const EMPTY: Self = Self { min: f32::INFINITY, max: f32::NEG_INFINITY, sum: 0.0, count: 0 };

    fn add(&mut self, other: Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.count += other.count;
    }

    /// Returns the mean of the bucket's values; `None` if it has none.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// Values of frames in buckets of equally many frames; a bucket can be empty. Minima and maxima are
/// exact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    first: usize,
    frames_per_bucket: usize,
    buckets: Vec<Bucket>,
    whole: Bucket,
    /// Frames of the overall minimum and maximum.
    least_at: usize,
    greatest_at: usize,
}

impl Series {
    /// Creates an empty series for these frames.
    pub(crate) fn new(frames: &Range<usize>) -> Self {
        let frames_per_bucket = frames.len().div_ceil(MOST_BUCKETS).max(1);
        let buckets = vec![Bucket::EMPTY; frames.len().div_ceil(frames_per_bucket)];
        Self {
            first: frames.start,
            frames_per_bucket,
            buckets,
            whole: Bucket::EMPTY,
            least_at: 0,
            greatest_at: 0,
        }
    }

    /// Adds the value of a frame; NaN and infinities are ignored.
    pub(crate) fn push(&mut self, frame: usize, value: f32) {
        let Some(at) = frame.checked_sub(self.first) else { return };
        let Some(bucket) = self.buckets.get_mut(at / self.frames_per_bucket) else { return };
        if !value.is_finite() {
            return;
        }
        let one = Bucket { min: value, max: value, sum: f64::from(value), count: 1 };
        bucket.add(one);
        if value < self.whole.min {
            self.least_at = frame;
        }
        if value > self.whole.max {
            self.greatest_at = frame;
        }
        self.whole.add(one);
    }

    /// Returns the same series in at most `most` buckets.
    pub(crate) fn reduced(&self, most: usize) -> Self {
        let factor = self.buckets.len().div_ceil(most.max(1)).max(1);
        let merge = |buckets: &[Bucket]| {
            let mut merged = Bucket::EMPTY;
            buckets.iter().for_each(|&bucket| merged.add(bucket));
            merged
        };
        Self {
            frames_per_bucket: self.frames_per_bucket * factor,
            buckets: self.buckets.chunks(factor).map(merge).collect(),
            ..self.clone()
        }
    }

    /// Returns the first frame of the first bucket.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// Returns the number of frames per bucket (the last may have fewer).
    pub(crate) fn frames_per_bucket(&self) -> usize {
        self.frames_per_bucket
    }

    /// Returns the buckets in order.
    pub(crate) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// Returns the minimum and maximum, if there are any values.
    pub(crate) fn range(&self) -> Option<(f32, f32)> {
        (self.whole.count > 0).then_some((self.whole.min, self.whole.max))
    }

    /// Returns the mean of all values, if there are any.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.whole.mean()
    }

    /// Returns the number of values.
    pub(crate) fn count(&self) -> u32 {
        self.whole.count
    }

    /// Returns the first frame of the minimum.
    pub(crate) fn least_at(&self) -> usize {
        self.least_at
    }

    /// Returns the first frame of the maximum.
    pub(crate) fn greatest_at(&self) -> usize {
        self.greatest_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reducing_keeps_extremes_and_means(
            values in prop::collection::vec(-1e6_f32..1e6, 1..400),
            most in 1_usize..500,
        ) {
            let mut series = Series::new(&(0..values.len()));
            values.iter().enumerate().for_each(|(frame, &value)| series.push(frame, value));
            let reduced = series.reduced(most);
            prop_assert!(reduced.buckets().len() <= most);
            let (min, max) = reduced.range().unwrap();
            prop_assert_eq!(values[reduced.least_at()], min);
            prop_assert_eq!(values[reduced.greatest_at()], max);
            for (bucket, part) in reduced.buckets().iter().zip(values.chunks(reduced.frames_per_bucket())) {
                let mean = part.iter().map(|&v| f64::from(v)).sum::<f64>() / part.len() as f64;
                prop_assert!((bucket.mean().unwrap() - mean).abs() < 1e-6 * mean.abs().max(1.0));
                prop_assert!(part.iter().all(|&v| v >= bucket.min && v <= bucket.max));
                prop_assert!(part.contains(&bucket.min) && part.contains(&bucket.max));
            }
        }
    }

    #[test]
    fn hours_take_no_more_than_minutes() {
        let mut series = Series::new(&(0..1_000_000));
        (0..1_000_000)
            .for_each(|frame| series.push(frame, if frame == 777_777 { 9.0 } else { 1.0 }));
        assert!(series.buckets().len() <= MOST_BUCKETS);
        assert_eq!(series.greatest_at(), 777_777);
        let with_peak: Vec<&Bucket> = series.buckets().iter().filter(|b| b.max == 9.0).collect();
        assert_eq!(with_peak.len(), 1);
    }

    #[test]
    fn what_is_no_number_leaves_a_gap() {
        let mut series = Series::new(&(10..13));
        series.push(9, 4.0);
        series.push(10, f32::NAN);
        series.push(12, 4.0);
        series.push(17, 4.0);
        assert_eq!(series.buckets()[0].mean(), None);
        assert_eq!(series.range(), Some((4.0, 4.0)));
        assert_eq!(Series::new(&(0..0)).range(), None);
    }
}
