//! What a run file says about itself and about its batches.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::record::{HEAD, MAGIC};

/// The head of a run file.
///
/// Holds nothing that depends on when, where or how often a job was started, so that a run that was interrupted ends in the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunHeader {
    /// [`Self::FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of the program that computed the masks.
    pub sam2_version: String,
    /// The recording's file name.
    pub recording: String,
    /// Fingerprint of the recording's contents, whatever its name; `None` in files of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_contents: Option<String>,
    /// Columns of the recording's frames, and of every mask.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Frames a second, if the recording says so.
    pub frames_per_second: Option<f64>,
    /// Frames of the whole recording.
    pub frame_count: usize,
    /// The frames that this file is about, by their numbers in the recording.
    pub frames: Range<usize>,
    /// Whether logits are kept with the masks.
    pub logits: bool,
    /// What objects are called, where they have names: the individuals of a track, say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub object_names: BTreeMap<u32, String>,
    /// File names of the images that the recording's frames were read from, one for each frame of the whole recording; empty
    /// where frames are not image files of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_names: Vec<String>,
    /// The prompts of the whole job: frame, object, and a short text for each mask, box and point. For saying what differs from
    /// another job's; not compared, as [`Self::settings`] hold a digest of them. Empty where there are very many, and in files of
    /// older programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<(usize, u32, Vec<String>)>,
    /// What the user asked for, as options of the program and their values, in the order of the command line: for showing. Not
    /// compared, as options that are written differently can ask for the same; names are without folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String)>,
    /// Everything that decides what the masks are (model, prompts, parameters), by name; values are for comparing and showing.
    pub settings: BTreeMap<String, String>,
}

impl RunHeader {
    /// Version of the format that is written and read.
    pub const FORMAT_VERSION: u32 = 1;
    /// Bytes of a file up to the end of its head, besides the head's own JSON.
    pub const FRAMING_BYTES: u64 = MAGIC.len() as u64 + HEAD;
    /// Pixels of a frame that are believed: what a file claims must not decide how much is allocated.
    pub(super) const MOST_PIXELS: u64 = 1 << 28;

    /// A head for all `frame_count` frames of a recording of `width` x `height`, without logits and settings.
    pub fn new(recording: &str, (width, height): (u32, u32), frame_count: usize) -> Self {
        Self {
            format_version: Self::FORMAT_VERSION,
            sam2_version: env!("CARGO_PKG_VERSION").to_owned(),
            recording: recording.to_owned(),
            recording_contents: None,
            width,
            height,
            frames_per_second: None,
            frame_count,
            frames: 0..frame_count,
            logits: false,
            object_names: BTreeMap::new(),
            image_names: Vec::new(),
            prompts: Vec::new(),
            options: Vec::new(),
            settings: BTreeMap::new(),
        }
    }

    /// What tells two heads apart, for a message: name, value here, value there. `None` if they are equal but for
    /// [`Self::options`] and [`Self::prompts`].
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        fn text<T: PartialEq + std::fmt::Debug>(
            name: &str,
            a: &T,
            b: &T,
        ) -> Option<(String, String, String)> {
            (a != b).then(|| (name.to_owned(), format!("{a:?}"), format!("{b:?}")))
        }
        let size = |header: &Self| format!("{}x{}", header.width, header.height);
        let named = |a: String, b: String, name: &str| (a != b).then(|| (name.to_owned(), a, b));
        named(self.recording.clone(), other.recording.clone(), "recording")
            .or_else(|| named(size(self), size(other), "frame size"))
            .or_else(|| text("number of frames", &self.frame_count, &other.frame_count))
            .or_else(|| text("frame rate", &self.frames_per_second, &other.frames_per_second))
            .or_else(|| text("frames", &self.frames, &other.frames))
            .or_else(|| {
                let contents = |header: &Self| {
                    header.recording_contents.clone().unwrap_or_else(|| "unknown".to_owned())
                };
                named(contents(self), contents(other), "content of the recording (its fingerprint)")
            })
            .or_else(|| self.setting_difference(other))
            .or_else(|| text("names of objects", &self.object_names, &other.object_names))
            .or_else(|| self.image_name_difference(other))
            .or_else(|| text("logits", &self.logits, &other.logits))
            .or_else(|| {
                named(self.sam2_version.clone(), other.sam2_version.clone(), "version of sam2")
            })
            .or_else(|| text("format", &self.format_version, &other.format_version))
    }

    /// Returns the first frame whose image has another name.
    fn image_name_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let name = |header: &Self, frame: usize| {
            header.image_names.get(frame).cloned().unwrap_or_else(|| "none".to_owned())
        };
        (0..self.image_names.len().max(other.image_names.len()))
            .map(|frame| (format!("image of frame {frame}"), name(self, frame), name(other, frame)))
            .find(|(_, a, b)| a != b)
    }

    /// The first setting that differs.
    pub fn setting_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let names = self.settings.keys().chain(other.settings.keys());
        let value = |header: &Self, name: &String| {
            header.settings.get(name).cloned().unwrap_or_else(|| "none".to_owned())
        };
        names
            .map(|name| (name.clone(), value(self, name), value(other, name)))
            .find(|(_, a, b)| a != b)
    }
}

/// Frames that were tracked together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunBatch {
    /// Their numbers in the recording.
    pub frames: Range<usize>,
    /// The prompted ones; none = there was no usable prompt, and the frames have no masks.
    pub prompt_frames: Vec<usize>,
    /// What was said on them, for showing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<RunPrompt>,
}

/// Where somebody said that an object is, on one frame. Prompts that are masks are not kept: a mask of the frame shows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunPrompt {
    /// The frame's number in the recording.
    pub frame: usize,
    /// The object.
    pub object: u32,
    /// Clicks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<RunPoint>,
    /// A box: left, top, right, bottom in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[f32; 4]>,
}

/// A click.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunPoint {
    /// What it is called, a body part, say; or nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Pixels from the left edge of the frame.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
    /// Whether it lies on the object, or beside it.
    pub positive: bool,
}
