//! The description of a run that is known before its masks are read.

use std::collections::BTreeMap;
use std::ops::Range;

use sam2_mask_writer::RunPrompt;

/// What is known of a run before its masks are read. Texts may contain anything; the page shows
/// them verbatim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunDescription {
    /// Name of the recording, for the heading.
    pub recording: String,
    /// Width and height of the recording's frames in pixels.
    pub size: (u32, u32),
    /// The frames that the run covers, as indices in the recording: all frames or a part of them.
    pub frames: Range<usize>,
    /// Number of frames in the whole recording.
    pub recording_frames: usize,
    /// Mean frames per second, finite and above 0, if known.
    pub frames_per_second: Option<f64>,
    /// Name and version of the program that made the masks.
    pub made_by: String,
    /// The command line that makes this run, to be shown and copied; empty if unknown.
    pub command: String,
    /// Name of the run file, by which `sam2 review` opens it at a picture's frame; `None` if there is none.
    pub run_file: Option<String>,
    /// The options that the user gave, in the user's own words: names and values, in display order.
    pub options: Vec<(String, String)>,
    /// All parameters that determined the masks, in the program's own words: an object of names and
    /// values, which may be objects themselves.
    pub parameters: serde_json::Value,
    /// Names of objects, such as the individuals of a track; other objects are called by their
    /// numbers.
    pub object_names: BTreeMap<u32, String>,
    /// The prompts, to be drawn into the prompted frames.
    pub prompts: Vec<RunPrompt>,
}

impl RunDescription {
    /// Returns the name of an object, or else `Object 2`.
    pub(crate) fn name_of(&self, object: u32) -> String {
        match self.object_names.get(&object) {
            Some(name) => format!("{name} (object {object})"),
            None => format!("Object {object}"),
        }
    }

    /// Returns the time of a frame in readable form, `1:02:03.4`, if the frame rate is known.
    pub(crate) fn time_of(&self, frame: usize) -> Option<String> {
        self.rate().map(|rate| clock(frame as f64 / rate, true))
    }

    /// Returns the position of the middle of a frame in the run, 0 to 1.
    pub(crate) fn share_of(&self, frame: usize) -> f64 {
        (frame.saturating_sub(self.frames.start) as f64 + 0.5) / self.frames.len().max(1) as f64
    }

    /// Returns the frames per second, if the value is valid.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.frames_per_second.filter(|rate| rate.is_finite() && *rate > 0.0)
    }
}

/// Formats hours, minutes and seconds: `0:05`, or `0:05.0` with tenths.
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
