//! What is known of a run before its masks are looked at.

use std::collections::BTreeMap;
use std::ops::Range;

use sam2_mask_writer::RunPrompt;

/// What is known of a run before its masks are looked at. Texts may hold anything; the page shows them as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunDescription {
    /// The recording's name, for the heading.
    pub recording: String,
    /// Width and height of its frames in pixels.
    pub size: (u32, u32),
    /// The frames that the run is about, by their numbers in the recording: all of them, or a part.
    pub frames: Range<usize>,
    /// Frames in the whole recording.
    pub recording_frames: usize,
    /// Mean frames per second, finite and above 0, if known.
    pub frames_per_second: Option<f64>,
    /// The program that made the masks, with its version.
    pub made_by: String,
    /// The command line that makes this run, to be shown and copied; empty if it is unknown.
    pub command: String,
    /// What the user asked for, in the user's words: names and values, in the order in which they are shown.
    pub options: Vec<(String, String)>,
    /// Everything that decided about the masks, in the program's own words: an object of names and values, which may be objects again.
    pub parameters: serde_json::Value,
    /// Names of objects, such as individuals of a track; the others are called by their numbers.
    pub object_names: BTreeMap<u32, String>,
    /// Where somebody said the objects are, to be drawn into the prompted frames.
    pub prompts: Vec<RunPrompt>,
}

impl RunDescription {
    /// What an object is called: `Object 2`, or its name.
    pub(crate) fn name_of(&self, object: u32) -> String {
        match self.object_names.get(&object) {
            Some(name) => format!("{name} (object {object})"),
            None => format!("Object {object}"),
        }
    }

    /// A time that a person reads, `1:02:03.4`, if the rate is known.
    pub(crate) fn time_of(&self, frame: usize) -> Option<String> {
        self.rate().map(|rate| clock(frame as f64 / rate, true))
    }

    /// Where the middle of a frame lies in the run, 0 to 1.
    pub(crate) fn share_of(&self, frame: usize) -> f64 {
        (frame.saturating_sub(self.frames.start) as f64 + 0.5) / self.frames.len().max(1) as f64
    }

    /// Frames per second, if it makes sense.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.frames_per_second.filter(|rate| rate.is_finite() && *rate > 0.0)
    }
}

/// Hours, minutes and seconds, `0:05` or with tenths `0:05.0`.
pub(crate) fn clock(seconds: f64, tenths: bool) -> String {
    // Rounded first, so that 59.96 s does not become 0:60.0.
    let all = if tenths { (seconds * 10.0).round() as u64 } else { seconds.round() as u64 * 10 };
    let (whole, tenth) = (all / 10, all % 10);
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let mut text = if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    };
    if tenths {
        text.push_str(&format!(".{tenth}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_and_carry() {
        assert_eq!(clock(59.96, true), "1:00.0");
        assert_eq!(clock(59.94, true), "0:59.9");
        assert_eq!(clock(3723.0, false), "1:02:03");
        assert_eq!(clock(0.0, false), "0:00");
    }

    #[test]
    fn a_rate_that_makes_no_sense_counts_as_unknown() {
        for rate in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            let run = RunDescription { frames_per_second: Some(rate), ..Default::default() };
            assert_eq!(run.time_of(3), None, "{rate}");
        }
    }
}
