//! Names of frames in file names: the name of the image that the frame was read from, or else the
//! frame index.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::error::WriteError;
use crate::recording_info::RecordingInfo;

/// The name of each frame, without extension. Names are unique, even on file systems that ignore
/// case.
#[derive(Clone, Debug)]
pub(crate) struct FrameNames(Arc<Names>);

#[derive(Debug)]
struct Names {
    /// Names of the images; empty if frames are named by their indices.
    images: Vec<String>,
    set: HashSet<String>,
}

impl FrameNames {
    /// Names the frames of `recording` for the output `path`: `frame_07` for a frame that was read
    /// from `frame_07.jpg`, as the official `vos_inference.py` does, else `00007`.
    ///
    /// Images that differ only in their extensions, such as `a.jpg` and `a.png`, keep them: the
    /// names are then `a.jpg` and `a.png`, and a warning says so.
    ///
    /// # Errors
    /// [`WriteError::ImageNames`] if a name cannot be the name of a file in a folder, or if two
    /// names differ only in case.
    pub(crate) fn new(path: &Path, recording: &RecordingInfo) -> Result<Self, WriteError> {
        let whole = &recording.image_names;
        let refused = |reason: String| WriteError::ImageNames { path: path.to_owned(), reason };
        if !whole.is_empty() && whole.len() != recording.frames {
            let (names, frames) = (whole.len(), recording.frames);
            return Err(refused(format!("there are {names} names for {frames} frames")));
        }
        // A run file can come from an untrusted source; its names must not lead out of the output's
        // folder.
        if let Some(name) = whole.iter().find(|name| !is_file_name(name)) {
            return Err(refused(format!("'{}' is not a file name", name.escape_debug())));
        }
        let stems: Vec<String> = whole.iter().map(|name| stem(name).to_owned()).collect();
        let images = match twins(&stems) {
            None => stems,
            Some((first, second)) => {
                if let Some((a, b)) = twins(whole) {
                    let (a, b) = (&whole[a], &whole[b]);
                    return Err(refused(format!(
                        "'{a}' and '{b}' would be one file where capital letters do not count; rename one of them"
                    )));
                }
                tracing::warn!(
                    "'{}': images '{}' and '{}' differ only in their endings, so the names of the files keep these: '{}'",
                    path.display(),
                    whole[first],
                    whole[second],
                    whole[first]
                );
                whole.clone()
            }
        };
        let set = images.iter().cloned().collect();
        Ok(Self(Arc::new(Names { images, set })))
    }

    /// Returns the name of a frame.
    pub(crate) fn of(&self, index: usize) -> String {
        match self.0.images.get(index) {
            Some(name) => name.clone(),
            None => frame_name(index),
        }
    }

    /// Returns whether `name` is the name of a frame of this recording, or a frame number.
    pub(crate) fn may_be(&self, name: &str) -> bool {
        is_frame_name(name) || self.0.set.contains(name)
    }
}

/// Returns the image name of frame `index`: the name of the image it was read from, or the name
/// that `ffmpeg -start_number 0 %05d.jpg` gives to that frame of a video.
pub(crate) fn image_name(recording: &RecordingInfo, index: usize) -> String {
    match recording.image_names.get(index) {
        Some(name) => name.clone(),
        None => format!("{}.jpg", frame_name(index)),
    }
}

/// Returns the frame number as it appears in file names: five digits, as in DAVIS and SA-V, or more
/// in very long recordings.
fn frame_name(index: usize) -> String {
    format!("{index:05}")
}

/// Returns whether [`frame_name`] can produce this name.
fn is_frame_name(name: &str) -> bool {
    name.len() >= 5 && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether the name is a valid file name on every operating system.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains(|letter: char| matches!(letter, '/' | '\\') || letter.is_control())
}

/// Returns a file name without its extension.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// Returns the positions of the first two names that differ only in case.
fn twins(names: &[String]) -> Option<(usize, usize)> {
    let mut seen = std::collections::HashMap::new();
    names
        .iter()
        .enumerate()
        .find_map(|(index, name)| Some((seen.insert(name.to_lowercase(), index)?, index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(images: &[&str]) -> Result<Vec<String>, String> {
        let recording = RecordingInfo {
            image_names: images.iter().map(|&name| name.to_owned()).collect(),
            ..RecordingInfo::new((4, 3), images.len())
        };
        let names =
            FrameNames::new(Path::new("out"), &recording).map_err(|error| error.to_string())?;
        Ok((0..images.len()).map(|frame| names.of(frame)).collect())
    }

    #[test]
    fn frames_are_called_as_their_images() {
        assert_eq!(names(&["00001.jpg", "00002.jpg"]).unwrap(), ["00001", "00002"]);
        assert_eq!(names(&["a.b.tif", ".hidden", "c"]).unwrap(), ["a.b", ".hidden", "c"]);
        let video = FrameNames::new(Path::new("out"), &RecordingInfo::new((4, 3), 2)).unwrap();
        assert_eq!([video.of(0), video.of(123_456)], ["00000", "123456"]);
        assert!(video.may_be("00017") && !video.may_be("0017") && !video.may_be("a"));
    }

    #[test]
    fn no_two_frames_have_one_name() {
        assert_eq!(names(&["a.jpg", "a.png", "b.jpg"]).unwrap(), ["a.jpg", "a.png", "b.jpg"]);
        assert_eq!(names(&["a.jpg", "A.png"]).unwrap(), ["a.jpg", "A.png"]);
        let refused = names(&["a.jpg", "A.JPG"]).unwrap_err();
        assert!(refused.contains("'a.jpg' and 'A.JPG'") && refused.contains("rename"), "{refused}");
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_refused() {
        for name in
            ["", ".", "..", "../a.jpg", "/a.jpg", "b/a.jpg", "b\\a.jpg", "a\0.jpg", "a\n.jpg"]
        {
            let refused = names(&["fine.jpg", name]).unwrap_err();
            assert!(refused.contains("is not a file name"), "{refused}");
        }
        let recording =
            RecordingInfo { image_names: vec!["a.jpg".into()], ..RecordingInfo::new((4, 3), 2) };
        assert!(FrameNames::new(Path::new("out"), &recording).is_err());
    }
}
