//! Finds the frames of rows that have times instead of frame numbers.

use super::quoting::quote_path as quote;
use super::table::RowTimes;

/// Largest distance of a time from its frame's, as a fraction of the time between frames.
const TOLERANCE: f64 = 0.4;
/// Largest difference in seconds between a time and the whole number that stands for a frame.
const WHOLE: f64 = 1e-4;

/// The frames of rows, and how they were found.
#[derive(Debug, PartialEq)]
pub(super) struct TimedFrames {
    /// The frame of each row.
    pub(super) frames: Vec<usize>,
    /// How they were found, as a sentence for the user.
    pub(super) how: String,
    /// Whether another assignment would have been possible.
    pub(super) is_guess: bool,
}

impl RowTimes {
    /// Finds the frames of the rows at these positions. `frame_times` are the recording's times,
    /// empty if it has none. `first_frame` is the frame that the user gives for the first row.
    ///
    /// If there are as many rows as frames, each frame has one row. Otherwise, times that are all
    /// whole numbers are frame numbers, as sleap-io writes them if it is not told the recording's
    /// rate. All other times must lie on one frame each.
    ///
    /// # Errors
    /// The times fit none of these cases, so the frames of the rows cannot be known.
    pub(super) fn frames(
        &self,
        rows: &[usize],
        frame_count: usize,
        frame_times: &[f64],
        first_frame: Option<isize>,
        recording: &str,
    ) -> Result<TimedFrames, String> {
        let times: Vec<f64> =
            rows.iter().filter_map(|&row| self.seconds.get(row).copied()).collect();
        let (Some(&start), Some(&end)) = (times.first(), times.last()) else {
            return Ok(TimedFrames {
                frames: Vec::new(),
                how: "it has no rows".into(),
                is_guess: false,
            });
        };
        if first_frame.is_none() && times.len() == frame_count {
            let how = format!(
                "it has as many rows as '{recording}' has frames: one each, in their order"
            );
            return Ok(TimedFrames { frames: (0..frame_count).collect(), how, is_guess: false });
        }
        let shift = match first_frame {
            // The first row is on that frame, whatever its time.
            Some(first) => {
                let first = usize::try_from(first).map_err(|_| {
                    format!("its first row cannot be on frame {first} (--keypoints-first-frame): frames count from 0")
                })?;
                frame_times.get(first).map(|time| time - start)
            }
            None => Some(0.0),
        };
        let by_time = shift.and_then(|shift| nearest(&times, shift, frame_times));
        let by_number = whole_numbers(&times, frame_count).filter(|_| first_frame.is_none());
        match (by_time, by_number) {
            // Every time is a whole number of seconds, in a recording with many frames a second, so
            // these are not times.
            (by_time, Some(frames)) if by_time.is_none() || times.len() > 1 => {
                let how = format!(
                    "its times are whole numbers, as programs write that do not know the recording's rate: they count as frame numbers (the first is {start})"
                );
                return Ok(TimedFrames { frames, how, is_guess: true });
            }
            (Some(by_time), by_number)
                if by_number.as_ref().is_none_or(|other| *other == by_time) =>
            {
                let first = by_time.first().copied().unwrap_or(0);
                let how = format!(
                    "its rows have times, not frames: the first ({start} s) is on frame {first}"
                );
                return Ok(TimedFrames { frames: by_time, how, is_guess: true });
            }
            _ => {}
        }
        let period = match times.len() {
            1 => String::new(),
            count => format!(", {:.6} s apart on average", (end - start) / (count - 1) as f64),
        };
        let own = match (frame_times.first(), frame_times.last()) {
            (Some(first), Some(last)) => {
                format!("{frame_count} frames from {first} to {last:.6} s")
            }
            _ => format!("{frame_count} frames without times"),
        };
        Err(format!(
            "it has {} rows with times from {start} to {end} s{period}, and {} has {own}, so that nothing says which frames they are: give --keypoints-first-frame N if the first row is on frame N, or a track with a row for every frame",
            times.len(),
            quote(recording)
        ))
    }
}

/// Reads times as frame numbers. Returns `None` unless each one is a frame number.
fn whole_numbers(times: &[f64], frame_count: usize) -> Option<Vec<usize>> {
    let number = |time: &f64| {
        let whole = time.round();
        let fits = (time - whole).abs() < WHOLE && whole >= 0.0 && whole < frame_count as f64;
        fits.then_some(whole as usize)
    };
    let frames: Vec<usize> = times.iter().map(number).collect::<Option<_>>()?;
    frames.is_sorted_by(|a, b| a < b).then_some(frames)
}

/// Returns the frames on which times lie. Returns `None` unless each time lies on a frame of its
/// own.
fn nearest(times: &[f64], shift: f64, frame_times: &[f64]) -> Option<Vec<usize>> {
    let mut frames = Vec::with_capacity(times.len());
    for time in times.iter().map(|time| time + shift) {
        let after = frame_times.partition_point(|&frame| frame < time);
        let distance = |frame: usize| Some((frame_times.get(frame)? - time).abs());
        let candidates = [after.checked_sub(1), Some(after)];
        let mut found: Option<(usize, f64)> = None;
        for frame in candidates.into_iter().flatten() {
            if let Some(distance) = distance(frame)
                && found.is_none_or(|(_, least)| distance < least)
            {
                found = Some((frame, distance));
            }
        }
        let (frame, distance) = found?;
        let neighbour = |other: Option<usize>| {
            let gap = (frame_times.get(other?)? - frame_times.get(frame)?).abs();
            Some(gap).filter(|gap| *gap > 0.0)
        };
        let before = neighbour(frame.checked_sub(1));
        let next = neighbour(frame.checked_add(1));
        let period = before.into_iter().chain(next).fold(f64::INFINITY, f64::min);
        if distance > TOLERANCE * period || frames.last().is_some_and(|last| *last >= frame) {
            return None;
        }
        frames.push(frame);
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(
        times: &[f64],
        recording: &[f64],
        first: Option<isize>,
    ) -> Result<Vec<usize>, String> {
        let rows: Vec<usize> = (0..times.len()).collect();
        let times = RowTimes { seconds: times.to_vec() };
        let count = if recording.is_empty() { 24 } else { recording.len() };
        times.frames(&rows, count, recording, first, "base.mp4").map(|found| found.frames)
    }

    #[test]
    fn times_lie_on_frames() {
        let at_25: Vec<f64> = (0..24).map(|frame| f64::from(frame) / 25.0).collect();
        assert_eq!(frames(&[0.2, 0.24, 0.4], &at_25, None), Ok(vec![5, 6, 10]));
        // Another rate, a clock that began earlier, and a row after the end.
        for times in [[0.2, 0.23, 0.26], [1.2, 1.24, 1.28], [0.88, 0.92, 0.96]] {
            let message = frames(&times, &at_25, None).unwrap_err();
            assert!(message.contains("--keypoints-first-frame"), "{message}");
        }
        assert_eq!(frames(&[1.2, 1.24, 1.32], &at_25, Some(5)), Ok(vec![5, 6, 8]));
        // As many as frames: one each, whatever the times.
        let shifted: Vec<f64> = at_25.iter().map(|time| time * 1.2 + 100.0).collect();
        assert_eq!(frames(&shifted, &at_25, None), Ok((0..24).collect()));
        // sleap-io without a rate: seconds are frames.
        assert_eq!(frames(&[3.0, 4.0, 7.0], &at_25, None), Ok(vec![3, 4, 7]));
        assert_eq!(frames(&[3.0, 4.0], &[], None), Ok(vec![3, 4]));
        assert!(frames(&[3.0, 24.0], &at_25, None).is_err());
        assert!(frames(&[0.2, 0.24], &[], None).is_err());
        // Seconds or frame numbers? Three seconds are frame 75.
        let long: Vec<f64> = (0..250).map(|frame| f64::from(frame) / 25.0).collect();
        assert_eq!(frames(&[3.0, 4.0, 7.0], &long, None), Ok(vec![3, 4, 7]));
        assert!(frames(&[3.0], &long, None).is_err());
        assert_eq!(frames(&[0.0], &long, None), Ok(vec![0]));
    }

    #[test]
    fn times_of_a_recording_with_a_pause() {
        let with_pause = [0.0, 0.04, 0.08, 2.0, 2.04];
        assert_eq!(frames(&[0.08, 2.0], &with_pause, None), Ok(vec![2, 3]));
        assert!(frames(&[1.5, 2.0], &with_pause, None).is_err());
    }
}
