//! Prompts on the command line: a track and its options, prompt files, clicks, boxes and masks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sam2_jobs::{
    KeypointPrompts, KeypointSelection, KnownObjects, PromptFrames, PromptSet, TrackNotice,
    TrackedRecording, read_mask, read_prompts_for,
};
use serde_json::Value;

use crate::alike::closest;
use crate::args::{BoxArg, MaskArg, PointArg, PromptArgs};

/// Default number of frames per batch for a recording with a track, as in the lab's own scripts.
const DEFAULT_BATCH_SIZE: usize = 400;
/// Number of closest prompted frames that a frame attends to with `--prompt-frames every:N`. A
/// batch can have hundreds of prompted frames.
const CONDITIONING_FRAMES: usize = 8;

impl PromptArgs {
    /// Checks what clap cannot check, such as flags that have no meaning without a track.
    pub fn check(&self) -> Result<(), String> {
        let is_blank = |name: &String| name.trim().is_empty();
        if !self.individuals.is_empty() && self.individuals.iter().all(is_blank) {
            return Err("--individual is empty: give names, or leave it out for all".into());
        }
        if self.keypoints.is_some() {
            return Ok(());
        }
        let given = [
            ("--bodyparts", !self.bodyparts.is_empty()),
            ("--individual", !self.individuals.is_empty()),
            ("--prompt-frames", self.prompt_frames.is_some()),
            ("--negatives", self.negatives),
            ("--box-from-keypoints", self.box_from_keypoints.is_some()),
            ("--min-likelihood", self.min_likelihood.is_some()),
            ("--downsample-factor", self.downsample_factor.is_some()),
            ("--keypoints-offset", self.keypoints_offset.is_some()),
            ("--keypoints-first-frame", self.keypoints_first_frame.is_some()),
            ("--keypoints-video", self.keypoints_video.is_some()),
            ("--allow-row-mismatch", self.allow_row_mismatch),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(format!("{flag} needs --keypoints TRACK")),
            None => Ok(()),
        }
    }

    /// Returns every file that prompts are read from, except masks that are named in a JSON
    /// document.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let masks = self.mask.iter().map(|mask| &mask.file);
        self.keypoints.iter().chain(&self.prompts).chain(masks)
    }

    /// Returns the masks that the JSON documents among [`Self::files`] name. Invalid documents are
    /// skipped here and reported when they are read.
    pub fn masks_in_documents(&self) -> Vec<PathBuf> {
        let mut masks = Vec::new();
        for document in &self.prompts {
            let parsed = std::fs::read(document).ok();
            let parsed = parsed.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            let prompts = parsed.as_ref().and_then(|document| document["prompts"].as_array());
            let folder = document.parent().unwrap_or(Path::new(""));
            let named = prompts.into_iter().flatten().filter_map(|prompt| prompt["mask"].as_str());
            masks.extend(named.map(|name| folder.join(name)));
        }
        masks
    }

    /// Returns the selection of body parts and individuals from the track.
    pub fn selection(&self) -> KeypointSelection {
        KeypointSelection {
            bodyparts: split_names(&self.bodyparts),
            individuals: self
                .individuals
                .iter()
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
            offset: self.keypoints_offset,
            scale: self.downsample_factor.unwrap_or(1.0),
            video: self.keypoints_video.clone(),
            first_frame: self.keypoints_first_frame,
        }
    }

    /// Returns the options for turning the track into prompts.
    pub fn keypoint_prompts(&self) -> KeypointPrompts {
        KeypointPrompts {
            batch_size: self.batch_size.unwrap_or(DEFAULT_BATCH_SIZE),
            min_likelihood: self.min_likelihood,
            frames: self.prompt_frames.unwrap_or_default(),
            negatives: self.negatives,
            box_margin: self.box_from_keypoints,
        }
    }

    /// Returns the number of prompted frames that a frame attends to; `None` means all.
    pub fn conditioning_frames(&self) -> Option<usize> {
        matches!(self.prompt_frames, Some(PromptFrames::Every(_))).then_some(CONDITIONING_FRAMES)
    }

    /// Returns all prompts that do not come from the track, with notices for the user. Names in
    /// prompt files refer to the track's objects of the same names.
    pub fn gather(
        &self,
        recording: &TrackedRecording,
        of_track: &KnownObjects,
    ) -> Result<(PromptSet, Vec<TrackNotice>)> {
        let track = self.keypoints.is_some().then_some(of_track);
        let Self { prompts, point, bounds, mask, .. } = self;
        TypedPrompts { prompts, point, bounds, mask }.gather(recording, of_track, track)
    }
}

/// Prompts that were typed, and files of prompts that were named.
pub struct TypedPrompts<'a> {
    pub prompts: &'a [PathBuf],
    pub point: &'a [PointArg],
    pub bounds: &'a [BoxArg],
    pub mask: &'a [MaskArg],
}

impl TypedPrompts<'_> {
    /// Returns them all, with notices for the user. Names in prompt files refer to the known objects of
    /// the same names; those of the `track`, if there is one, are expected to be known.
    pub fn gather(
        &self,
        recording: &TrackedRecording,
        known: &KnownObjects,
        track: Option<&KnownObjects>,
    ) -> Result<(PromptSet, Vec<TrackNotice>)> {
        let (mut set, mut notices) = (PromptSet::new(), Vec::new());
        let mut known = known.clone();
        for file in self.prompts {
            let (prompts, of_file) = read_prompts_for(file, recording, &known)?;
            notices.extend(of_file);
            notices.extend(track.and_then(|track| not_of_track(file, &prompts, track)));
            known.add(&prompts);
            set.merge(prompts).with_context(|| file.display().to_string())?;
        }
        for arg in self.point {
            set.add_point(arg.frame, arg.object, arg.point);
        }
        for arg in self.bounds {
            set.add_box(arg.frame, arg.object, arg.bounds)?;
        }
        for arg in self.mask {
            for (object, mask) in read_mask(&arg.file, arg.frame, arg.object)? {
                set.add_mask(arg.frame, object, mask)?;
            }
        }
        Ok((set, notices))
    }
}

/// Returns a notice about names in a prompt file that no object of the track has.
fn not_of_track(file: &Path, prompts: &PromptSet, of_track: &KnownObjects) -> Option<TrackNotice> {
    let new = prompts.names().iter().filter(|(_, name)| of_track.find(name).is_none());
    let meant = |name: &str| {
        let meant = closest(name, of_track.names().values().map(String::as_str));
        meant.map_or_else(String::new, |meant| {
            format!(", or did you mean '{}'?", meant.escape_debug())
        })
    };
    let new: Vec<String> = new
        .map(|(object, name)| {
            format!("'{}' is object {}{}", name.escape_debug(), object.0, meant(name))
        })
        .collect();
    let why = match of_track.names().is_empty() {
        true => "the track does not name its animal",
        false => "the track has no such names",
    };
    (!new.is_empty())
        .then(|| TrackNotice::Warning(format!("'{}': {} ({why})", file.display(), new.join(", "))))
}

/// Splits names: `snout,tailbase`, `"snout tailbase"` and `snout tailbase` mean the same.
fn split_names(given: &[String]) -> Vec<String> {
    given
        .iter()
        .flat_map(|text| text.split([',', ' ']))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_commas_and_spaces() {
        let split =
            |given: &[&str]| split_names(&given.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        let expected = ["snout", "tailbase"];
        assert_eq!(split(&["snout,tailbase"]), expected);
        assert_eq!(split(&["snout tailbase"]), expected);
        assert_eq!(split(&["snout", "tailbase"]), expected);
        assert_eq!(split(&["snout, tailbase"]), expected);
    }
}
