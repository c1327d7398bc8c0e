//! The times of a clip's frames, in a form that is cheap to share.

use std::sync::Arc;

/// The time of each frame, in seconds from the start of the recording. By default all follow from
/// the mean rate.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrameTimes {
    times: Times,
    /// The place in `times` of frame 0.
    first: usize,
}

#[derive(Debug, Clone, Default)]
enum Times {
    /// The frame index divided by the mean rate.
    #[default]
    Mean,
    /// `frames` frames, each `step` units of `unit` seconds after the previous one.
    #[cfg(feature = "video")]
    Steady { step: i64, frames: usize, unit: f64 },
    /// One time per frame.
    Each(Arc<[f64]>),
    /// Those of several recordings, one after the other.
    #[cfg(feature = "video")]
    Joined(Arc<[PartTimes]>),
}

/// The times of one of several recordings that are read as one.
#[cfg(feature = "video")]
#[derive(Debug, Clone)]
pub(crate) struct PartTimes {
    /// Number of frames.
    pub(crate) frames: usize,
    /// Time of the first frame, in seconds from the start of the whole; `None` if unknown.
    pub(crate) start: Option<f64>,
    /// Times from the first frame of the part onwards.
    pub(crate) times: InPart,
}

/// The times of the frames of a part, counted from its first frame.
#[cfg(feature = "video")]
#[derive(Debug, Clone)]
pub(crate) enum InPart {
    /// Seconds from one frame to the next.
    Step(f64),
    /// The part's own times, and its mean rate.
    Own(FrameTimes, Option<f64>),
}

impl FrameTimes {
    /// Returns these times, one per frame.
    pub(crate) fn each(seconds: Arc<[f64]>) -> Self {
        Times::Each(seconds).into()
    }

    /// Returns the times of `frames` frames, each `step` units of `unit` seconds after the previous
    /// one.
    #[cfg(feature = "video")]
    pub(crate) fn steady(step: i64, frames: usize, unit: f64) -> Self {
        Times::Steady { step, frames, unit }.into()
    }

    /// Returns the times of several recordings, one after the other.
    #[cfg(feature = "video")]
    pub(crate) fn joined(parts: Arc<[PartTimes]>) -> Self {
        Times::Joined(parts).into()
    }

    /// Leaves out the first `frames` frames.
    pub(crate) fn skip(&mut self, frames: usize) {
        self.first = self.first.saturating_add(frames);
    }

    /// Returns the time of frame `index`. `rate` is the mean rate, for frames without a time of
    /// their own.
    pub(crate) fn at(&self, index: usize, rate: Option<f64>) -> Option<f64> {
        let index = self.first.checked_add(index)?;
        let own = match &self.times {
            Times::Mean => None,
            #[cfg(feature = "video")]
            Times::Steady { step, frames, unit } => {
                let ticks = i64::try_from(index).ok().and_then(|index| step.checked_mul(index));
                ticks.filter(|_| index < *frames).map(|ticks| ticks as f64 * unit)
            }
            Times::Each(seconds) => seconds.get(index).copied(),
            #[cfg(feature = "video")]
            Times::Joined(parts) => return in_parts(parts, index),
        };
        own.or_else(|| Some(index as f64 / rate?))
    }

    /// Returns true if both are certainly the same, without comparing the times of the frames.
    #[cfg(feature = "video")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.first == other.first
            && match (&self.times, &other.times) {
                (Times::Mean, Times::Mean) => true,
                (
                    Times::Steady { step, frames, unit },
                    Times::Steady { step: other_step, frames: other_frames, unit: other_unit },
                ) => (step, frames, unit) == (other_step, other_frames, other_unit),
                (Times::Each(mine), Times::Each(its)) => Arc::ptr_eq(mine, its),
                (Times::Joined(mine), Times::Joined(its)) => Arc::ptr_eq(mine, its),
                _ => false,
            }
    }
}

impl From<Times> for FrameTimes {
    fn from(times: Times) -> Self {
        Self { times, first: 0 }
    }
}

/// Returns the time of frame `index` of several recordings; `None` past the end of the last one.
#[cfg(feature = "video")]
fn in_parts(parts: &[PartTimes], index: usize) -> Option<f64> {
    let mut first = 0;
    let part = parts.iter().find(|part| {
        let is_here = index - first < part.frames;
        first += if is_here { 0 } else { part.frames };
        is_here
    })?;
    let index = index - first;
    let in_part = match &part.times {
        InPart::Step(step) => index as f64 * step,
        InPart::Own(times, rate) => times.at(index, *rate)?,
    };
    Some(part.start? + in_part)
}

#[cfg(all(test, feature = "video"))]
mod tests {
    use super::*;

    #[test]
    fn times_of_parts_begin_where_the_part_does() {
        let parts = [
            PartTimes { frames: 2, start: Some(0.0), times: InPart::Step(0.5) },
            PartTimes { frames: 0, start: None, times: InPart::Step(1.0) },
            PartTimes {
                frames: 3,
                start: Some(1.0),
                times: InPart::Own(FrameTimes::each([0.0, 0.1].into()), Some(10.0)),
            },
            PartTimes { frames: 1, start: None, times: InPart::Step(1.0) },
        ];
        let times = FrameTimes::joined(parts.into());
        let found: Vec<_> = (0..7).map(|index| times.at(index, Some(1.0))).collect();
        let expected = [Some(0.0), Some(0.5), Some(1.0), Some(1.1), Some(1.2), None, None];
        assert_eq!(found, expected);
        assert!(times.is_same(&times.clone()) && !times.is_same(&FrameTimes::default()));
    }

    #[test]
    fn frames_past_the_stamped_ones_follow_the_rate() {
        let times = FrameTimes::steady(512, 3, 1.0 / 12_800.0);
        assert_eq!(times.at(2, None), Some(1024.0 / 12_800.0));
        assert_eq!((times.at(3, None), times.at(3, Some(10.0))), (None, Some(0.3)));
        let endless = FrameTimes::steady(i64::MAX, usize::MAX, 1.0);
        assert_eq!(endless.at(2, None), None);
    }
}
