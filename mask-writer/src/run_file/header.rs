//! The metadata of a run file and of its batches.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::record::{HEAD, MAGIC};

/// The header of a run file.
///
/// It holds nothing that depends on when, where or how often a job was started, so that an
/// interrupted and resumed run yields the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunHeader {
    /// The format version, [`Self::FORMAT_VERSION`] in new files.
    pub format_version: u32,
    /// Version of the program that computed the masks.
    pub sam2_version: String,
    /// Version of the results: raised when a release of the program computes other masks from the
    /// same recording, prompts and options. 0 in files of programs that did not know it, whose
    /// results are only known to be equal if the program's version is.
    #[serde(default)]
    pub results_version: u32,
    /// File name of the recording.
    pub recording: String,
    /// Fingerprint of the recording's contents, independent of its name; `None` in files of older
    /// programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_contents: Option<String>,
    /// Width of the recording's frames and of every mask, in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second, if the recording states them.
    pub frames_per_second: Option<f64>,
    /// Number of frames of the whole recording.
    pub frame_count: usize,
    /// The frames that this file covers, as indices in the recording.
    pub frames: Range<usize>,
    /// Whether logits are stored with the masks.
    pub logits: bool,
    /// Names of those objects that have one, such as the individuals of a track.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub object_names: BTreeMap<u32, String>,
    /// File names of the images that the frames were read from, one per frame of the whole
    /// recording; empty if the frames are not individual image files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_names: Vec<String>,
    /// The prompts of the whole job: frame, object, and a short text for each mask, box and point.
    /// They serve to describe how two jobs differ. They are not compared, because
    /// [`Self::settings`] holds a digest of them. Empty if there are very many prompts, and in
    /// files of older programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<(usize, u32, Vec<String>)>,
    /// Number of prompts of the whole job, even if [`Self::prompts`] is empty; `None` in files of
    /// older programs. Not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_count: Option<usize>,
    /// The options that the user gave and their values, in the order of the command line, for
    /// display. File names are without folders. Not compared, because options that are written
    /// differently can mean the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String)>,
    /// All settings that determine the masks (model, prompts, parameters), by name. Values are for
    /// comparison and display.
    pub settings: BTreeMap<String, String>,
}

impl RunHeader {
    /// The format version that this program writes and reads.
    pub const FORMAT_VERSION: u32 = 1;
    /// Version of the results of this program. A change that alters masks, scores or flags raises
    /// it; a job that was begun before such a change does not go on after it.
    pub const RESULTS_VERSION: u32 = 2;
    /// Bytes of a file up to the end of its header, excluding the header's own JSON.
    pub const FRAMING_BYTES: u64 = MAGIC.len() as u64 + HEAD;
    /// Limit on the pixels of a frame, so that the size that a file claims does not decide how much
    /// is allocated.
    pub(super) const MOST_PIXELS: u64 = 1 << 28;

    /// Returns a header for all `frame_count` frames of a recording of `width` x `height`, without
    /// logits and settings.
    pub fn new(recording: &str, (width, height): (u32, u32), frame_count: usize) -> Self {
        Self {
            format_version: Self::FORMAT_VERSION,
            sam2_version: env!("CARGO_PKG_VERSION").to_owned(),
            results_version: Self::RESULTS_VERSION,
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
            prompt_count: None,
            options: Vec::new(),
            settings: BTreeMap::new(),
        }
    }

    /// Returns whether objects were tracked across the borders of batches.
    pub fn tracks_across_batches(&self) -> bool {
        let passes = self.settings.get("passes").map(String::as_str);
        matches!(passes, Some("nearest" | "agreed"))
    }

    /// Returns the share of the smaller of two masks that they may have in common before both are
    /// flagged; `None` = they are never flagged.
    pub(crate) fn overlap_limit(&self) -> Option<f64> {
        let quality = self.settings.get("quality")?;
        let quality: serde_json::Value = serde_json::from_str(quality).ok()?;
        quality.get("overlap_above")?.as_f64()
    }

    /// Returns the first difference between two headers, for a message: name, value here, value
    /// there. `None` if they are equal apart from [`Self::options`], [`Self::prompts`] and
    /// [`Self::prompt_count`].
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
        let names = |header: &Self| match &header.object_names {
            names if names.is_empty() => "none".to_owned(),
            names => {
                let each = names.iter().map(|(object, name)| format!("{object} = {name}"));
                each.collect::<Vec<_>>().join(", ")
            }
        };
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
            .or_else(|| self.version_difference(other))
            .or_else(|| self.setting_difference(other))
            .or_else(|| named(names(self), names(other), "names of objects"))
            .or_else(|| self.image_name_difference(other))
            .or_else(|| text("logits", &self.logits, &other.logits))
            .or_else(|| text("format", &self.format_version, &other.format_version))
    }

    /// Returns the difference of the programs, if it can be one of the results.
    fn version_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let (a, b) = (self.results_version, other.results_version);
        if a != 0 && a == b {
            return None;
        }
        let version = |header: &Self| match header.results_version {
            0 => header.sam2_version.clone(),
            results => format!("{} (results {results})", header.sam2_version),
        };
        let (a, b) = (version(self), version(other));
        (a != b).then(|| ("version of sam2".to_owned(), a, b))
    }

    /// Returns the first frame whose image name differs.
    fn image_name_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let name = |header: &Self, frame: usize| {
            header.image_names.get(frame).cloned().unwrap_or_else(|| "none".to_owned())
        };
        (0..self.image_names.len().max(other.image_names.len()))
            .map(|frame| (format!("image of frame {frame}"), name(self, frame), name(other, frame)))
            .find(|(_, a, b)| a != b)
    }

    /// Returns the first setting that differs.
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

/// A batch: frames that were tracked together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunBatch {
    /// Their indices in the recording.
    pub frames: Range<usize>,
    /// The prompted frames; empty if there was no usable prompt. The frames then have no masks,
    /// unless [`Self::tracked_from`] says otherwise.
    pub prompt_frames: Vec<usize>,
    /// Prompted frames of other batches from which these frames were tracked too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracked_from: Vec<usize>,
    /// The prompts on those frames, for display.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<RunPrompt>,
}

impl RunBatch {
    /// Returns true if the frames have no masks, for want of a usable prompt.
    pub fn is_unprompted(&self) -> bool {
        self.prompt_frames.is_empty() && self.tracked_from.is_empty()
    }
}

/// A prompt for one object on one frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunPrompt {
    /// Index of the frame in the recording.
    pub frame: usize,
    /// The object.
    pub object: u32,
    /// Point prompts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<RunPoint>,
    /// A box: left, top, right, bottom in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[f32; 4]>,
    /// Which of the model's three candidate masks was taken, 0 to 2; `None` = none in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u8>,
    /// A mask prompt, as the runs of [`Mask::runs`](crate::Mask::runs) of a mask of the recording's
    /// size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Vec<u32>>,
}

/// A point prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunPoint {
    /// Name of the point, such as a body part; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Pixels from the left edge of the frame.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
    /// Whether the point lies on the object (`true`) or on the background.
    pub positive: bool,
}
