//! Which frames of a recording the rows of a track are about.
//!
//! A row has a frame number, or the name of an image. An image's name is looked up among the recording's images, where it has any. A
//! video has none; there DeepLabCut's convention holds: it names what it extracts for labelling after the frame,
//! `labeled-data/VIDEO/img0123.png`. Rows of other recordings are left out, and what does not fit is counted and told.

use std::collections::{HashMap, HashSet};

use sam2_frame_provider::{FrameSize, FrameSource};

use super::error::KeypointError;
use super::located::LocatedTrack;
use super::table::{Row, RowKey, Sightings, is_digits, quote_path as quote, rising};
use super::track::{KeypointTrack, TrackKind, TrackNotice};
use crate::session::Region;

/// Names in a message, at most.
const MOST_NAMED: usize = 3;
/// Letters that the ending of a file name has at most.
const LONGEST_ENDING: usize = 5;

/// What a track has to know of a recording to find its frames there.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedRecording {
    /// The name of its file or folder.
    pub name: String,
    /// How many frames it has.
    pub frame_count: usize,
    /// Their size.
    pub size: FrameSize,
    /// The part of the picture in which points may lie; `None` = all of it.
    pub region: Option<Region>,
    /// The file name of each frame's image, without folder; empty where frames are not image files.
    pub images: Vec<String>,
    /// The time of each frame, in seconds from the start; empty where they have none.
    pub times: Vec<f64>,
}

impl TrackedRecording {
    /// Asks a source of frames for all of it. There is no region.
    pub fn of<S: FrameSource + ?Sized>(frames: &S) -> Self {
        let frame_count = frames.frame_count();
        // All or none: sources either consist of image files or do not.
        let images = (0..frame_count).map(|frame| frames.frame_name(frame));
        Self {
            name: frames.describe(),
            frame_count,
            size: frames.size(),
            region: None,
            images: images.collect::<Option<_>>().unwrap_or_default(),
            times: (0..frame_count)
                .map(|at| frames.time(at))
                .collect::<Option<_>>()
                .unwrap_or_default(),
        }
    }
}

impl KeypointTrack {
    /// Finds the frame of each row. Points outside the picture or the region count as not seen from here on.
    ///
    /// # Errors
    /// [`KeypointError::NoSuchImages`], [`KeypointError::OtherRecordings`], [`KeypointError::UnknownRecording`],
    /// [`KeypointError::Format`] where two rows are about the same frame.
    pub fn locate(mut self, recording: &TrackedRecording) -> Result<LocatedTrack, KeypointError> {
        let mut notices = std::mem::take(&mut self.notices);
        let frames = self.find_rows(recording, &mut notices)?;
        if let Some([width, height]) = self.picture
            && self.scale == 1.0
            && [width, height] != [recording.size.width, recording.size.height]
        {
            notices.push(TrackNotice::Warning(format!(
                "the coordinates of '{}' are of a picture of {width} x {height}, but the recording's is {}: is it a smaller video (--downsample-factor F) or a cropped one (--keypoints-offset X,Y)?",
                self.path.display(),
                recording.size
            )));
        }
        let twice = |frame: usize| {
            let mut rows = self.rows.iter().zip(&frames);
            let row = rows.find(|(_, found)| **found == Some(frame)).map(|(row, _)| row);
            let what = match row.map(|row| &row.key) {
                Some(RowKey::Image(name)) => {
                    format!("frame {frame} (image {}) appears twice", quote(name))
                }
                _ => format!("frame {frame} appears twice"),
            };
            KeypointError::Format { path: self.path.clone(), what }
        };
        let mut rows: Vec<usize> = frames.iter().flatten().copied().collect();
        rows = rising(&rows).map_err(twice)?.into_iter().map(|at| rows[at]).collect();
        let sightings = self.sightings.iter().map(|sightings| on_frames(sightings, &frames));
        let sightings = sightings.collect::<Result<Vec<_>, _>>().map_err(twice)?;
        if are_shares(&sightings) {
            let what = "all its coordinates lie between 0 and 1: they are shares of the picture, not pixels; multiply them by the picture's width and height".into();
            return Err(KeypointError::Format { path: self.path, what });
        }
        notices.extend(self.other_name(recording));
        Ok(LocatedTrack::new(self, recording, rows, sightings, notices))
    }

    /// Tells of a DeepLabCut track whose file is named after another video: `VIDEODLC_...`.
    fn other_name(&self, recording: &TrackedRecording) -> Option<TrackNotice> {
        let is_dlc = matches!(self.kind, TrackKind::DlcCsv | TrackKind::DlcHdf5);
        let name = self.path.file_name()?.to_str()?;
        let (video, _) = name.split_once("DLC").filter(|_| is_dlc)?;
        let video = video.trim_end_matches(['_', '-', ' ']);
        let recorded = stem(file_name(&recording.name));
        // A name may have been shortened, or have got an addition such as `_small`.
        if video.is_empty() || recorded.starts_with(video) || video.starts_with(recorded) {
            return None;
        }
        Some(TrackNotice::Warning(format!(
            "'{}' is by its name the track of '{video}', but the recording is '{}': is it the right track?",
            self.path.display(),
            recording.name
        )))
    }

    /// The frame of each row; `None` for rows of other recordings, and for images that are not in this one.
    pub(super) fn find_rows(
        &self,
        recording: &TrackedRecording,
        notices: &mut Vec<TrackNotice>,
    ) -> Result<Vec<Option<usize>>, KeypointError> {
        let chosen = self.rows_of(recording, notices)?;
        let Some(times) = &self.times else {
            return self.frames_of_rows(&chosen, recording, notices);
        };
        let places: Vec<usize> = (0..chosen.len()).filter(|&row| chosen[row]).collect();
        let count = recording.frame_count;
        let found = times
            .frames(&places, count, &recording.times, self.first_frame, &recording.name)
            .map_err(|what| KeypointError::Format { path: self.path.clone(), what })?;
        let how = format!("'{}': {}", self.path.display(), found.how);
        notices.push(match found.is_guess {
            true => TrackNotice::Warning(how),
            false => TrackNotice::Info(how),
        });
        let mut frames = vec![None; chosen.len()];
        for (place, frame) in places.into_iter().zip(found.frames) {
            frames[place] = Some(frame);
        }
        Ok(frames)
    }

    /// Which rows are of this recording.
    fn rows_of(
        &self,
        recording: &TrackedRecording,
        notices: &mut Vec<TrackNotice>,
    ) -> Result<Vec<bool>, KeypointError> {
        let videos: Vec<Option<&str>> = self.rows.iter().map(|row| self.video_of(row)).collect();
        let mut known: HashSet<&str> = HashSet::new();
        let names = videos.iter().flatten().filter(|name| known.insert(**name));
        let names: Vec<&str> = names.copied().collect();
        let wanted = self.video.as_deref().unwrap_or(&recording.name);
        // A recording that is a folder of images is named by each of them, too.
        let images: HashSet<&str> = match self.video {
            Some(_) => HashSet::new(),
            None => recording.images.iter().map(String::as_str).collect(),
        };
        let fits = |name: &&&str| same_name(name, wanted) || images.contains(file_name(name));
        let fitting_names: HashSet<&str> = names.iter().filter(fits).copied().collect();
        let places: HashSet<String> =
            fitting_names.iter().filter_map(|name| folder(name)).collect();
        if places.len() > 1 {
            let several: Vec<&str> = fitting_names.iter().copied().collect();
            let what = format!(
                "it has rows of several recordings of that name ({}): say which is meant with --keypoints-video FOLDER/NAME",
                some_of(&several)
            );
            return Err(KeypointError::Format { path: self.path.clone(), what });
        }
        let is_wanted =
            |video: &Option<&str>| video.is_some_and(|name| fitting_names.contains(name));
        let fitting = videos.iter().filter(|video| is_wanted(video)).count();
        let path = || self.path.clone();
        let listed = || names.iter().map(|name| (*name).to_owned()).collect();
        if fitting == 0 && self.video.is_some() {
            let name = wanted.to_owned();
            return Err(KeypointError::UnknownRecording {
                path: path(),
                name,
                available: listed(),
            });
        }
        let all = vec![true; videos.len()];
        match names.as_slice() {
            [] => Ok(all),
            _ if fitting == videos.len() => Ok(all),
            [other] if fitting == 0 => {
                notices.push(TrackNotice::Warning(format!(
                    "'{}' says that it is of {}, but the recording is '{}': used as it is; is it the right track?",
                    self.path.display(),
                    quote(other),
                    recording.name
                )));
                Ok(all)
            }
            several if fitting == 0 => {
                let several = several.iter().map(|name| (*name).to_owned()).collect();
                let recording = recording.name.clone();
                Err(KeypointError::OtherRecordings { path: path(), recording, available: several })
            }
            _ => {
                let others: Vec<&str> =
                    names.iter().filter(|name| !fitting_names.contains(*name)).copied().collect();
                notices.push(TrackNotice::Warning(format!(
                    "{} of {} rows of '{}' are of other recordings ({}) and left out",
                    videos.len() - fitting,
                    videos.len(),
                    self.path.display(),
                    some_of(&others)
                )));
                Ok(videos.iter().map(is_wanted).collect())
            }
        }
    }

    /// The recording that a row is of, as far as the file says: by itself, or by the folder of the row's image.
    fn video_of<'a>(&'a self, row: &'a Row) -> Option<&'a str> {
        if let Some(video) = row.video {
            return self.rows.videos().get(video).map(String::as_str);
        }
        let RowKey::Image(name) = &row.key else { return None };
        let (folders, _) = name.rsplit_once(is_separator)?;
        folders.rsplit(is_separator).next().filter(|folder| !["", ".", ".."].contains(folder))
    }

    /// The frame of each chosen row; `None` for the others, and for images that are not in the recording.
    fn frames_of_rows(
        &self,
        chosen: &[bool],
        recording: &TrackedRecording,
        notices: &mut Vec<TrackNotice>,
    ) -> Result<Vec<Option<usize>>, KeypointError> {
        let images = Images::new(&recording.images);
        let first = self.first_frame.unwrap_or(0);
        let (mut frames, mut missing, mut asked) = (Vec::new(), Vec::new(), 0);
        for (row, chosen) in self.rows.iter().zip(chosen) {
            frames.push(match &row.key {
                _ if !chosen => None,
                RowKey::Frame(frame) => Some(frame.saturating_add(first)),
                RowKey::Image(name) => {
                    let is_video = recording.images.is_empty();
                    let found = if is_video { frame_in_name(name) } else { images.find(name) };
                    asked += 1;
                    if found.is_none() {
                        missing.push(name.as_str());
                    }
                    found
                }
            });
        }
        let Some(example) = missing.first() else {
            self.tell_of_guess(&frames, recording, notices);
            return Ok(frames);
        };
        if missing.len() == asked {
            return Err(KeypointError::NoSuchImages {
                path: self.path.clone(),
                recording: recording.name.clone(),
                named: (*example).to_owned(),
                there: recording.images.first().cloned(),
            });
        }
        let what = if recording.images.is_empty() {
            "have no frame number in their name"
        } else {
            "are not in the recording"
        };
        notices.push(TrackNotice::Warning(format!(
            "{} of {asked} images that '{}' names {what} and are left out ({})",
            missing.len(),
            self.path.display(),
            some_of(&missing)
        )));
        Ok(frames)
    }

    /// Images that are named without a folder, for a video: nothing says that their numbers are its frames'.
    fn tell_of_guess(
        &self,
        frames: &[Option<usize>],
        recording: &TrackedRecording,
        notices: &mut Vec<TrackNotice>,
    ) {
        if !recording.images.is_empty() {
            return;
        }
        let is_bare = |row: &Row| match &row.key {
            RowKey::Image(name) => self.video_of(row).is_none() && !is_digits(name),
            RowKey::Frame(_) => false,
        };
        let mut bare = self.rows.iter().zip(frames).filter(|(row, _)| is_bare(row));
        if let Some((Row { key: RowKey::Image(name), .. }, Some(frame))) = bare.next() {
            notices.push(TrackNotice::Warning(format!(
                "'{}' names images, and '{}' is not a folder of images: the number in a name is taken for the frame, counted from 0 ({} is frame {frame})",
                self.path.display(),
                recording.name,
                quote(name)
            )));
        }
    }
}

/// Sightings with their rows' frames, rising; those without one are gone. A frame that appears twice is the error.
fn on_frames(sightings: &Sightings, frames: &[Option<usize>]) -> Result<Sightings, usize> {
    let parts = sightings.values.len() / sightings.at.len().max(1);
    let mut located = Sightings::default();
    for (at, &row) in sightings.at.iter().enumerate() {
        if let Some(frame) = frames.get(row).copied().flatten() {
            located.note(frame, &sightings.values[at * parts..(at + 1) * parts]);
        }
    }
    located.sorted()
}

/// A recording's images by name.
struct Images<'a> {
    names: HashMap<&'a str, usize>,
    /// By name without ending; `None` where several images share it.
    stems: HashMap<&'a str, Option<usize>>,
}

impl<'a> Images<'a> {
    fn new(images: &'a [String]) -> Self {
        let (mut names, mut stems) = (HashMap::new(), HashMap::new());
        for (frame, image) in images.iter().enumerate() {
            names.insert(image.as_str(), frame);
            let known = stems.entry(stem(image)).or_insert(Some(frame));
            if *known != Some(frame) {
                *known = None;
            }
        }
        Self { names, stems }
    }

    /// The frame of an image: by its file name, or else by that without its ending, as images may have been converted.
    fn find(&self, path: &str) -> Option<usize> {
        let name = file_name(path);
        let by_name = self.names.get(name).copied();
        by_name
            .or_else(|| self.stems.get(stem(name)).copied().flatten())
            .or_else(|| self.stems.get(name).copied().flatten())
    }
}

/// The number at the end of an image's name, before its ending.
fn frame_in_name(path: &str) -> Option<usize> {
    let stem = stem(file_name(path));
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    stem[stem.len() - digits..].parse().ok()
}

/// Whether two names are of the same recording: the endings of files do not count, and folders only where both names have them.
fn same_name(a: &str, b: &str) -> bool {
    let (name_a, name_b) = (file_name(a), file_name(b));
    let same_place = match (folder(a), folder(b)) {
        (Some(a), Some(b)) => {
            a == b || a.ends_with(&format!("/{b}")) || b.ends_with(&format!("/{a}"))
        }
        _ => true,
    };
    same_place && (name_a == name_b || stem(name_a) == stem(name_b))
}

/// The folder in a path of any system, with slashes; `None` if it has none.
fn folder(path: &str) -> Option<String> {
    let (folder, _) = path.trim_end_matches(is_separator).rsplit_once(is_separator)?;
    Some(folder.replace('\\', "/")).filter(|folder| !folder.is_empty())
}

/// Whether coordinates are shares of the picture's sides: all within 0 to 1, and not all of them whole.
fn are_shares(sightings: &[Sightings]) -> bool {
    let seen = || sightings.iter().flat_map(|sightings| &sightings.values).flatten();
    let within = |value: f32| (0.0..=1.0).contains(&value);
    seen().all(|point| within(point.x) && within(point.y))
        && seen().any(|point| point.x.fract() != 0.0 || point.y.fract() != 0.0)
}

fn is_separator(letter: char) -> bool {
    // Tracks travel between systems.
    letter == '/' || letter == '\\'
}

/// The last part of a path of any system.
fn file_name(path: &str) -> &str {
    path.trim_end_matches(is_separator).rsplit(is_separator).next().unwrap_or(path)
}

/// A file name without its ending. `mouse.2024` has none: an ending is short and not a number.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending))
            if !stem.is_empty()
                && (1..=LONGEST_ENDING).contains(&ending.len())
                && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && ending.bytes().any(|byte| byte.is_ascii_alphabetic()) =>
        {
            stem
        }
        _ => name,
    }
}

/// Names for a message, the first few.
fn some_of(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(MOST_NAMED).map(|name| quote(name)).collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_the_same_by_stem() {
        for (a, b) in [
            ("/data/base.mp4", "base.avi"),
            ("C:\\videos\\base.mp4", "base"),
            ("mouse.2024.avi", "mouse.2024"),
            ("frames/", "frames"),
        ] {
            assert!(same_name(a, b) && same_name(b, a), "{a} {b}");
        }
        for (a, b) in [("base.mp4", "base2.mp4"), ("mouse.2024", "mouse.2025"), ("a", "")] {
            assert!(!same_name(a, b), "{a} {b}");
        }
    }

    #[test]
    fn numbers_are_at_the_end_of_names() {
        assert_eq!(frame_in_name("labeled-data/2024/img0012.png"), Some(12));
        assert_eq!(frame_in_name("a\\7.tif"), Some(7));
        assert_eq!(frame_in_name("12a.png"), None);
        assert_eq!(frame_in_name("x99999999999999999999999.png"), None);
    }

    #[test]
    fn images_are_found_by_name_then_by_stem() {
        let names = ["a1.png", "a2.png", "a2.tif", "a3.jpg", "00004"].map(str::to_owned);
        let images = Images::new(&names);
        for (path, frame) in [
            ("x/a1.png", Some(0)),
            ("a2.tif", Some(2)),
            ("a2.bmp", None),
            ("a3.png", Some(3)),
            ("a3", Some(3)),
            ("00004.png", Some(4)),
            ("a4.png", None),
        ] {
            assert_eq!(images.find(path), frame, "{path}");
        }
    }
}
