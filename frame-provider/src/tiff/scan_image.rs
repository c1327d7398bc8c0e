//! ScanImage's description of its channels and slices, in all versions since 3.
//!
//! Pages are stored in the order of acquisition: the channels of a frame first, then, in a fast
//! stack, the slices of a volume, and in a slow stack, the frames of a slice. The text is in the
//! tag Software (2016 and later), in the description of each page (before 2016), or ahead of the
//! first directory (BigTIFF files, as described in ScanImage's documentation of its file format).

use crate::axes::{Coordinate, Table};

/// The order of the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScanImage {
    /// Numbers of the saved channels, counted from 1.
    channels: Vec<i64>,
    /// Number of slices of a stack.
    slices: usize,
    /// Number of additional slices of a volume, taken during the flyback of the objective.
    flyback: usize,
    /// Number of frames of a slice before the next slice, in a slow stack.
    frames_per_slice: usize,
}

impl ScanImage {
    /// Reads a text; returns `None` if ScanImage did not write it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let settings = Settings { text };
        let channels = settings.channels()?;
        let count = |names: &[&str]| {
            let found = names.iter().find_map(|name| settings.number(name));
            found.filter(|&count| count > 0).unwrap_or(1)
        };
        let is_off = settings.flag("SI.hStackManager.enable") == Some(false);
        let is_fast = ["hFastZ.enable", "fastZEnable"]
            .iter()
            .any(|name| settings.flag(name) == Some(true))
            || settings.value("hStackManager.stackMode").is_some_and(|mode| mode.contains("fast"));
        let slices = count(&[
            "hStackManager.actualNumSlices",
            "hStackManager.numSlices",
            "stackNumSlices",
            "state.acq.numberOfZSlices",
        ]);
        let (slices, flyback, frames_per_slice) = if is_off || slices == 1 && !is_fast {
            (1, 0, 1)
        } else if is_fast {
            let with_flyback = settings
                .number("hStackManager.numFramesPerVolumeWithFlyback")
                .or_else(|| settings.number("hFastZ.numFramesPerVolume"))
                .filter(|&frames| frames >= slices);
            let discarded = match settings.flag("hFastZ.discardFlybackFrames") {
                Some(true) => settings.number("hFastZ.numDiscardFlybackFrames").unwrap_or(0),
                _ => 0,
            };
            (slices, with_flyback.map_or(discarded, |all| all - slices), 1)
        } else {
            // Version 3 can average the frames of a slice before saving them.
            let is_averaged = settings.flag("state.acq.averaging") == Some(true);
            let frames = count(&[
                "hStackManager.framesPerSlice",
                "acqNumFrames",
                "state.acq.numberOfFrames",
            ]);
            (slices, 0, if is_averaged { 1 } else { frames })
        };
        Some(Self { channels, slices, flyback, frames_per_slice })
    }

    /// Returns, for a warning, what is not a slice.
    pub(super) fn left_out(&self) -> Option<String> {
        (self.flyback > 0).then(|| {
            format!(
                "ScanImage's volumes have {} slices, of which the last {} were taken while the objective flew back; these are left \
                 out",
                self.slices.saturating_add(self.flyback),
                self.flyback
            )
        })
    }

    /// Returns the positions of `pages` pages, including those of a recording that was ended within
    /// a volume; `None` if there is only one axis.
    pub(super) fn table(&self, pages: usize) -> Option<Table> {
        let channels = self.channels.len();
        if channels < 2 && self.slices < 2 && self.flyback == 0 {
            return None;
        }
        let in_volume = self.slices.saturating_add(self.flyback);
        let mut table = Table::default();
        for page in 0..pages {
            let frame = page / channels;
            let in_slice = frame % self.frames_per_slice;
            let slice = frame / self.frames_per_slice;
            let (volume, slice) = (slice / in_volume, slice % in_volume);
            if slice >= self.slices {
                table.push_left_out();
                continue;
            }
            let time = volume * self.frames_per_slice + in_slice;
            table.push([
                ("time", Coordinate::Number(time as i64)),
                ("z", Coordinate::Number(slice as i64)),
                ("channel", Coordinate::Number(self.channels[page % channels])),
            ]);
        }
        Some(table)
    }
}

/// Lines of `name = value`.
struct Settings<'a> {
    text: &'a str,
}

impl<'a> Settings<'a> {
    /// Returns the value of the setting whose name ends with `name`.
    fn value(&self, name: &str) -> Option<&'a str> {
        self.text.split(['\n', '\r']).find_map(|line| {
            let (found, value) = line.split_once('=')?;
            let before = found.trim().strip_suffix(name)?;
            (before.is_empty() || before.ends_with('.')).then_some(value.trim())
        })
    }

    fn number(&self, name: &str) -> Option<usize> {
        let value = self.value(name)?;
        value.parse().ok().or_else(|| value.parse::<f64>().ok().map(|value| value as usize))
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match self.value(name)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// Returns the saved channels; `None` if the text is not ScanImage's.
    fn channels(&self) -> Option<Vec<i64>> {
        const MOST_CHANNELS: usize = 64;
        // Other programs have settings with such names too.
        if !["SI.", "scanimage.", "state."].iter().any(|start| self.text.contains(start)) {
            return None;
        }
        let list = self.value("hChannels.channelSave").or_else(|| self.value("channelsSave"));
        let channels: Vec<i64> = match list {
            // MATLAB's `[1;2]`, `[1 2]` or `1`.
            Some(list) => list
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .take(MOST_CHANNELS)
                .collect(),
            None => (1..=4)
                .filter(|channel| {
                    self.flag(&format!("state.acq.savingChannel{channel}")) == Some(true)
                })
                .collect(),
        };
        (!channels.is_empty()).then_some(channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::Axes;
    use std::path::Path;

    fn frames(text: &str, pages: usize, axes: &str) -> Vec<usize> {
        let table = ScanImage::parse(text).unwrap().table(pages).unwrap();
        let axes: Axes = axes.parse().unwrap();
        table.choose(Path::new("clip"), &axes).unwrap().images
    }

    #[test]
    fn every_versions_channels_are_told_apart() {
        for text in [
            "SI.VERSION_MAJOR = 2020\nSI.hChannels.channelSave = [1;2]\nSI.hStackManager.numSlices = 1",
            "scanimage.SI.hChannels.channelSave = [1 2]\n",
            "scanimage.SI4.channelsSave = [1;2]\nscanimage.SI4.stackNumSlices = 1\n",
            "state.configName='x'\rstate.acq.savingChannel1=1\rstate.acq.savingChannel2=1\rstate.acq.savingChannel3=0\r\
             state.acq.numberOfZSlices=1\r",
            "SI.hChannels.channelSave = [1;2]\nSI.hStackManager.enable = false\nSI.hStackManager.numSlices = 30\n",
        ] {
            assert_eq!(frames(text, 6, ""), [0, 2, 4], "{text}");
            assert_eq!(frames(text, 7, "channel=2"), [1, 3, 5], "{text}");
        }
        let one = ScanImage::parse("SI.hChannels.channelSave = 1\n").unwrap();
        assert!(one.table(6).is_none());
        let third = ScanImage::parse("SI.hChannels.channelSave = [2;4]").unwrap().table(4).unwrap();
        let choice = third.choose(Path::new("clip"), &Axes::default()).unwrap();
        assert!(
            choice.warnings[0].contains("only channel 2 is read, of 2 (2, 4)"),
            "{:?}",
            choice.warnings
        );
    }

    #[test]
    fn slices_of_fast_and_slow_stacks_are_told_apart() {
        let fast = "SI.hChannels.channelSave = [1;2]\nSI.hFastZ.enable = true\nSI.hStackManager.numSlices = 3\n\
                    SI.hFastZ.discardFlybackFrames = true\nSI.hFastZ.numDiscardFlybackFrames = 1\n";
        // Volumes of 4 slices, of which the last is the flyback, with 2 channels.
        assert_eq!(frames(fast, 20, ""), [0, 8, 16]);
        assert_eq!(frames(fast, 20, "z=2,channel=2"), [5, 13]);
        assert_eq!(frames(fast, 20, "along=z,time=0"), [0, 2, 4]);
        let fast = ScanImage::parse(fast).unwrap();
        let refused = fast.table(20).unwrap().choose(Path::new("clip"), &"z=3".parse().unwrap());
        assert!(refused.unwrap_err().to_string().contains("has no z 3; choose one of 0, 1, 2"));
        let text = fast.left_out().unwrap();
        assert!(text.contains("have 4 slices, of which the last 1 were"), "{text}");
        let new = "SI.hChannels.channelSave = 1\nSI.hStackManager.enable = true\nSI.hStackManager.stackMode = 'fast'\n\
                   SI.hStackManager.numSlices = 3\nSI.hStackManager.numFramesPerVolumeWithFlyback = 4\n";
        assert_eq!(frames(new, 12, "z=1"), [1, 5, 9]);
        let slow = "SI.hChannels.channelSave = [1;2]\nSI.hFastZ.enable = 0\nSI.hStackManager.numSlices = 2\n\
                    SI.hStackManager.framesPerSlice = 3\n";
        assert_eq!(frames(slow, 12, ""), [0, 2, 4]);
        assert_eq!(frames(slow, 12, "z=1"), [6, 8, 10]);
        let endless = "SI.hChannels.channelSave = [1;2]\nSI.hStackManager.framesPerSlice = Inf\nSI.hStackManager.numSlices = 1";
        assert_eq!(frames(endless, 6, ""), [0, 2, 4]);
    }

    #[test]
    fn other_texts_are_not_scan_images() {
        for text in
            ["", "a mouse", "channelsSave = [1;2]", "SI.hChannels.channelSave = []", "x.state. = 1"]
        {
            assert_eq!(ScanImage::parse(text), None, "{text}");
        }
    }
}
