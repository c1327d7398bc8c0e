//! Assigns the rows of a track to the frames of a recording.
//!
//! A row has a frame number, or the name of an image. An image's name is looked up among the
//! recording's images, if it has any. A video has none; there, the conventions of programs that
//! extract frames apply: DeepLabCut's `labeled-data/VIDEO/img0123.png`, and
//! `VIDEO_frame_000123.png`. Rows of other recordings are left out. Rows that do not fit are
//! counted and reported.

use crate::keypoints::TrackedRecording;
use std::collections::HashSet;

use super::error::KeypointError;
use super::image_names::{
    Images, file_name, folder, frame_in_name, is_of_roboflow, is_separator, same_name, stem,
    video_in_name,
};
use super::located::LocatedTrack;
use super::notice::TrackNotice;
use super::quoting::quote_path as quote;
use super::table::{Row, RowKey, Sightings, is_digits, rising};
use super::track::KeypointTrack;
use super::track_kind::TrackKind;

/// Largest number of names in a message.
const MOST_NAMED: usize = 3;

impl KeypointTrack {
    /// Finds the frame of each row. From then on, points outside the picture or the region count as
    /// not seen.
    ///
    /// # Errors
    /// [`KeypointError::NoSuchImages`], [`KeypointError::OtherRecordings`],
    /// [`KeypointError::UnknownRecording`], [`KeypointError::Format`] if two rows are about the
    /// same frame.
    pub fn locate(mut self, recording: &TrackedRecording) -> Result<LocatedTrack, KeypointError> {
        let mut notices = std::mem::take(&mut self.notices);
        let frames = self.find_rows(recording, &mut notices)?;
        self.add_crop(recording, &mut notices);
        notices.extend(self.other_size(recording, &frames));
        let mut rows: Vec<usize> = frames.iter().flatten().copied().collect();
        rows.sort_unstable();
        let twice = |frame: usize| self.twice(frame, &frames);
        let sightings = self.sightings.iter().map(|sightings| on_frames(sightings, &frames));
        let sightings = sightings.collect::<Result<Vec<_>, _>>().map_err(twice)?;
        if are_shares(&sightings) {
            let what = "all its coordinates lie between 0 and 1: they are shares of the picture, not pixels; multiply them by the picture's width and height".into();
            return Err(KeypointError::Format { path: self.path, what });
        }
        notices.extend(self.other_name(recording));
        Ok(LocatedTrack::new(self, recording, rows, sightings, notices))
    }

    /// Warns about a DeepLabCut track whose file is named after another video: `VIDEODLC_...`.
    fn other_name(&self, recording: &TrackedRecording) -> Option<TrackNotice> {
        let is_dlc = matches!(self.kind, TrackKind::DlcCsv | TrackKind::DlcHdf5);
        let name = self.path.file_name()?.to_str()?;
        let (video, _) = name.split_once("DLC").filter(|_| is_dlc)?;
        let video = video.trim_end_matches(['_', '-', ' ']);
        let recorded = stem(file_name(&recording.name));
        // A name may have been shortened, or extended by an addition such as `_small`.
        if video.is_empty() || recorded.starts_with(video) || video.starts_with(recorded) {
            return None;
        }
        Some(TrackNotice::Warning(format!(
            "'{}' is by its name the track of '{video}', but the recording is '{}': is it the right track?",
            self.path.display(),
            recording.name
        )))
    }

    /// Returns the frame of each row. `None` stands for rows of other recordings and for images
    /// that are not in this one.
    ///
    /// # Errors
    /// As [`Self::locate`].
    pub(super) fn find_rows(
        &self,
        recording: &TrackedRecording,
        notices: &mut Vec<TrackNotice>,
    ) -> Result<Vec<Option<usize>>, KeypointError> {
        let frames = self.frames(recording, notices)?;
        let found: Vec<usize> = frames.iter().flatten().copied().collect();
        match rising(&found) {
            Ok(_) => Ok(frames),
            Err(frame) => Err(self.twice(frame, &frames)),
        }
    }

    /// Explains why a track with two rows on one frame is refused.
    fn twice(&self, frame: usize, frames: &[Option<usize>]) -> KeypointError {
        let mut rows = self.rows.iter().zip(frames);
        let row = rows.find(|(_, found)| **found == Some(frame)).map(|(row, _)| row);
        let what = match row.map(|row| &row.key) {
            Some(RowKey::Image(name)) if is_of_roboflow(name) => format!(
                "frame {frame} (image {}) appears twice: Roboflow makes several images of one where it augments; export without augmentation",
                quote(name)
            ),
            Some(RowKey::Image(name)) => {
                format!("frame {frame} (image {}) appears twice", quote(name))
            }
            _ => format!("frame {frame} appears twice"),
        };
        KeypointError::Format { path: self.path.clone(), what }
    }

    fn frames(
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

    /// Returns which rows belong to this recording.
    fn rows_of(
        &self,
        recording: &TrackedRecording,
        notices: &mut Vec<TrackNotice>,
    ) -> Result<Vec<bool>, KeypointError> {
        let is_video = recording.images.is_empty();
        let videos: Vec<Option<&str>> =
            self.rows.iter().map(|row| self.video_of(row, is_video)).collect();
        let mut known: HashSet<&str> = HashSet::new();
        let names = videos.iter().flatten().filter(|name| known.insert(**name));
        let names: Vec<&str> = names.copied().collect();
        let wanted = self.video.as_deref().unwrap_or(&recording.name);
        // A recording that is a folder of images is also named by each of its images.
        let images: HashSet<&str> = match self.video {
            Some(_) => HashSet::new(),
            None => recording.images.iter().map(String::as_str).collect(),
        };
        let fits = |name: &&&str| same_name(name, wanted) || images.contains(file_name(name));
        let fitting_names: Vec<&str> = names.iter().filter(fits).copied().collect();
        let path = || self.path.clone();
        if are_apart(&fitting_names) {
            let what = format!(
                "it has rows of several recordings of that name ({}): say which is meant with --keypoints-video FOLDER/NAME",
                some_of(&fitting_names)
            );
            return Err(KeypointError::Format { path: path(), what });
        }
        let fitting_names: HashSet<&str> = fitting_names.into_iter().collect();
        let is_wanted =
            |video: &Option<&str>| video.is_some_and(|name| fitting_names.contains(name));
        let fitting = videos.iter().filter(|video| is_wanted(video)).count();
        let listed = || short(&names).into_iter().map(str::to_owned).collect();
        if fitting == 0 && self.video.is_some() {
            let name = wanted.to_owned();
            return Err(KeypointError::UnknownRecording {
                path: path(),
                name,
                available: listed(),
            });
        }
        let all = vec![true; videos.len()];
        match short(&names).as_slice() {
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
            _ if fitting == 0 => {
                let recording = recording.name.clone();
                Err(KeypointError::OtherRecordings { path: path(), recording, available: listed() })
            }
            shown => {
                let others: Vec<&str> = names
                    .iter()
                    .zip(shown)
                    .filter(|(name, _)| !fitting_names.contains(*name))
                    .map(|(_, shown)| *shown)
                    .collect();
                let why = match others.as_slice() {
                    [] => "do not say which recording they are of".to_owned(),
                    others => format!("are of other recordings ({})", some_of(others)),
                };
                notices.push(TrackNotice::Warning(format!(
                    "{} of {} rows of '{}' {why} and left out",
                    videos.len() - fitting,
                    videos.len(),
                    self.path.display(),
                )));
                Ok(videos.iter().map(is_wanted).collect())
            }
        }
    }

    /// Returns the recording of a row, if the file names it: explicitly, by the folder of the row's
    /// image, or, for a video, by the text before the number in the image's name.
    fn video_of<'a>(&'a self, row: &'a Row, is_video: bool) -> Option<&'a str> {
        if let Some(video) = row.video {
            return self.rows.videos().get(video).map(String::as_str);
        }
        let RowKey::Image(name) = &row.key else { return None };
        let by_name = || video_in_name(self.rows.original(name)).filter(|_| is_video);
        folders_of(name).or_else(by_name)
    }

    /// Returns the frame of each chosen row. `None` stands for the other rows and for images that
    /// are not in the recording.
    fn frames_of_rows(
        &self,
        chosen: &[bool],
        recording: &TrackedRecording,
        notices: &mut Vec<TrackNotice>,
    ) -> Result<Vec<Option<usize>>, KeypointError> {
        let images = Images::new(&recording.images);
        let is_video = recording.images.is_empty();
        let first = self.first_frame.unwrap_or(0);
        let (mut frames, mut missing, mut asked, mut before) = (Vec::new(), Vec::new(), 0, 0);
        for (row, chosen) in self.rows.iter().zip(chosen) {
            frames.push(match &row.key {
                _ if !chosen => None,
                RowKey::Frame(frame) => {
                    let moved = frame.checked_add_signed(first);
                    // A frame beyond the largest number is beyond every recording, too.
                    let moved = moved.or((first > 0).then_some(usize::MAX));
                    before += usize::from(moved.is_none());
                    moved
                }
                RowKey::Image(name) => {
                    let original = self.rows.original(name);
                    let found = match is_video {
                        true => frame_in_name(original),
                        false => images.find(name).or_else(|| images.find(original)),
                    };
                    asked += 1;
                    if found.is_none() {
                        missing.push(name.as_str());
                    }
                    found
                }
            });
        }
        if before > 0 {
            self.tell_of_rows_before(before, &frames, notices)?;
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

    /// Warns about rows that `--keypoints-first-frame` moves before the first frame.
    fn tell_of_rows_before(
        &self,
        before: usize,
        frames: &[Option<usize>],
        notices: &mut Vec<TrackNotice>,
    ) -> Result<(), KeypointError> {
        let first = self.first_frame.unwrap_or(0);
        if frames.iter().all(Option::is_none) {
            let what = format!(
                "with --keypoints-first-frame {first} all its rows are before the recording's first frame"
            );
            return Err(KeypointError::Format { path: self.path.clone(), what });
        }
        notices.push(TrackNotice::Warning(format!(
            "{before} rows of '{}' are before the recording's first frame (--keypoints-first-frame {first}) and left out",
            self.path.display()
        )));
        Ok(())
    }

    /// Warns about images that are named without a folder, for a video: nothing says that their
    /// numbers are frame numbers.
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
            RowKey::Image(name) => folders_of(name).is_none() && !is_digits(name),
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

/// Replaces rows by frames, in ascending order, and removes sightings without a frame. The error is
/// a frame that appears twice.
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

/// Returns `true` if coordinates are fractions of the picture's sides: all are within 0 to 1, and
/// not all are whole.
fn are_shares(sightings: &[Sightings]) -> bool {
    let seen = || sightings.iter().flat_map(|sightings| &sightings.values).flatten();
    let within = |value: f32| (0.0..=1.0).contains(&value);
    seen().all(|point| within(point.x) && within(point.y))
        && seen().any(|point| point.x.fract() != 0.0 || point.y.fract() != 0.0)
}

/// Returns the folders of an image's path. Returns `None` if the last of them has no name.
fn folders_of(path: &str) -> Option<&str> {
    let (folders, _) = path.rsplit_once(is_separator)?;
    let last = folders.rsplit(is_separator).next();
    Some(folders).filter(|_| last.is_some_and(|last| !["", ".", ".."].contains(&last)))
}

/// Returns `true` if recordings of one name are in different places: in folders of which none is
/// the end of the other.
fn are_apart(names: &[&str]) -> bool {
    let places: HashSet<String> = names.iter().filter_map(|name| folder(name)).collect();
    let Some(longest) = places.iter().max_by_key(|place| place.len()) else { return false };
    let is_end = |place: &String| place == longest || longest.ends_with(&format!("/{place}"));
    !places.iter().all(is_end)
}

/// Returns names without their folders, unless that makes some of them equal.
fn short<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let short: Vec<&str> = names.iter().map(|name| file_name(name)).collect();
    let mut known = HashSet::new();
    if short.iter().all(|name| known.insert(*name)) { short } else { names.to_vec() }
}

/// Lists the first few names for a message.
fn some_of(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(MOST_NAMED).map(|name| quote(name)).collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
