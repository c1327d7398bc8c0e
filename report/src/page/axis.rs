//! Positions of axis labels.

use std::ops::Range;

use crate::describe::clock;

use super::numbers::{grouped, rounded};

/// A label and its position as a fraction of the axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// Largest number of labels on a time axis.
const MOST: f64 = 8.0;

/// Natural step sizes for times, in seconds.
const SECONDS: [f64; 18] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0,
    3600.0, 7200.0, 18000.0,
];

/// Returns a step of 1, 2 or 5 times a power of ten that gives at most `most` steps.
fn decimal_step(range: f64, most: f64) -> f64 {
    let rough = range / most;
    if !(rough.is_finite() && rough > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|&step| step >= rough * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// Returns the multiples of `step` from `low` to `high`.
fn multiples(low: f64, high: f64, step: f64) -> impl Iterator<Item = f64> {
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    // However extreme the numbers, an axis has few labels.
    (first..=last).take(50).map(move |multiple| multiple as f64 * step)
}

/// Returns labels with frame numbers, each at the middle of its frame.
pub(super) fn frames(frames: &Range<usize>) -> Vec<Tick> {
    let (first, count) = (frames.start as f64, frames.len() as f64);
    let step = decimal_step(count, MOST).max(1.0);
    let ticks = multiples(first, frames.end as f64 - 1.0, step);
    let tick =
        |frame: f64| Tick { at: (frame - first + 0.5) / count, label: grouped(frame as usize) };
    ticks.map(tick).filter(|tick| (0.0..=1.0).contains(&tick.at)).collect()
}

/// Returns labels with the times of frames, counted from the recording's start.
pub(super) fn times(frames: &Range<usize>, rate: f64) -> Vec<Tick> {
    let (first, count) = (frames.start as f64, frames.len() as f64);
    let duration = count / rate;
    let fitting = SECONDS.into_iter().find(|step| duration / step <= MOST);
    let step = fitting.unwrap_or_else(|| 3600.0 * decimal_step(duration / 3600.0, MOST));
    let ticks = multiples(first / rate, first / rate + duration, step);
    let tick = |seconds: f64| Tick {
        at: (seconds * rate - first + 0.5) / count,
        label: clock(seconds, step < 1.0),
    };
    ticks.map(tick).filter(|tick| (0.0..=1.0).contains(&tick.at)).collect()
}

/// Returns at most five labels between two values; positions are counted from the lower one.
pub(super) fn values(low: f64, high: f64) -> Vec<Tick> {
    let step = decimal_step(high - low, 4.0);
    let tick = |value: f64| Tick { at: (value - low) / (high - low), label: short(value) };
    multiples(low, high, step).map(tick).collect()
}

/// Formats a large number in few characters.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{}M", rounded(value / 1e6)),
        size if size >= 1e4 => format!("{}k", rounded(value / 1e3)),
        _ => rounded(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn axes_have_a_few_round_labels() {
        assert_eq!(labels(&frames(&(0..60))), ["0", "10", "20", "30", "40", "50"]);
        assert_eq!(labels(&frames(&(0..1))), ["0"]);
        assert_eq!(labels(&frames(&(0..3))), ["0", "1", "2"]);
        assert_eq!(labels(&times(&(0..60), 30.0)), ["0:00.0", "0:00.5", "0:01.0", "0:01.5"]);
        assert_eq!(
            labels(&times(&(0..108_000), 30.0)),
            ["0:00", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"][..6]
        );
        assert_eq!(labels(&values(0.0, 1.0)), ["0", "0.5", "1"]);
        assert_eq!(labels(&values(0.0, 25_000.0)), ["0", "10k", "20k"]);
        assert_eq!(labels(&frames(&(995..1005)))[..2], ["996", "998"]);
        assert!(frames(&(0..0)).is_empty());
        for count in [1, 2, 7, 59, 1001, 108_000, usize::MAX] {
            let part = count / 2..count;
            for ticks in [frames(&part), times(&part, 29.97), times(&part, 1e-9), times(&part, 1e9)]
            {
                assert!(
                    ticks.len() <= 10 && ticks.iter().all(|t| (0.0..=1.0).contains(&t.at)),
                    "{count}: {ticks:?}"
                );
            }
        }
    }
}
