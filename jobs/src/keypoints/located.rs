//! A track that has been assigned to a recording: every row has a frame, and every point lies in
//! the picture.

use std::ops::Range;
use std::path::{Path, PathBuf};

use sam2_frame_provider::FrameSize;

use super::error::KeypointError;
use super::keypoint::{Individual, Keypoint};
use super::notice::TrackNotice;
use super::recording::TrackedRecording;
use super::table::Sightings;
use super::track::{KeypointTrack, UNIQUE_PARTS};
use sam2_engine::Region;
use sam2_engine::{ObjectId, Point};

/// The requested body parts of every animal in every frame of a recording, see
/// [`KeypointTrack::locate`].
#[derive(Clone, Debug, PartialEq)]
pub struct LocatedTrack {
    path: PathBuf,
    individuals: Vec<Individual>,
    /// The sightings of each individual, in ascending order of frames.
    sightings: Vec<Sightings>,
    /// Indices of the individuals that are objects.
    objects: Vec<usize>,
    every_frame: bool,
    start_unknown: bool,
    default_min_likelihood: f32,
    /// Frames that have a row, in ascending order.
    frames: Vec<usize>,
    frame_count: usize,
    size: FrameSize,
    region: Option<Region>,
    outside: Vec<OutsidePoint>,
    notices: Vec<TrackNotice>,
}

/// A point of an object that lies outside the picture or the region.
#[derive(Clone, Copy, Debug, PartialEq)]
struct OutsidePoint {
    frame: usize,
    individual: usize,
    part: usize,
    keypoint: Keypoint,
}

impl LocatedTrack {
    pub(super) fn new(
        track: KeypointTrack,
        recording: &TrackedRecording,
        frames: Vec<usize>,
        sightings: Vec<Sightings>,
        notices: Vec<TrackNotice>,
    ) -> Self {
        let mut located = Self {
            path: track.path,
            individuals: track.individuals,
            sightings,
            objects: track.objects,
            every_frame: track.every_frame,
            start_unknown: track.start_unknown && track.first_frame.is_none(),
            default_min_likelihood: track.default_min_likelihood,
            frames,
            frame_count: recording.frame_count,
            size: recording.size,
            region: recording.region,
            outside: Vec::new(),
            notices,
        };
        located.leave_out_what_is_outside();
        located
    }

    /// Returns the path of the track's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns every animal of the file, in its order, including those that are not to be
    /// segmented.
    pub fn individuals(&self) -> &[Individual] {
        &self.individuals
    }

    /// Returns the animals to segment with their object numbers: 1 to n in the order of the file.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectId, &Individual)> {
        self.numbered().map(|(object, index)| (object, &self.individuals[index]))
    }

    /// Returns object numbers with indices into [`Self::individuals`].
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (ObjectId, usize)> {
        (1..).map(ObjectId).zip(self.objects.iter().copied())
    }

    /// Returns the number of rows that belong to this recording.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Returns `false`: a track without a row of the recording is an error.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns the number of frames in the recording.
    pub fn frame_count(&self) -> usize {
        self.frame_count
    }

    /// Returns the size of the recording's frames.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Returns notices for the user from reading and locating the track.
    pub fn notices(&self) -> &[TrackNotice] {
        &self.notices
    }

    /// Returns the likelihood below which body parts are not used unless the user says otherwise.
    /// It is 0.6, DeepLabCut's own threshold, if DeepLabCut wrote likelihoods, and 0 otherwise.
    /// SLEAP itself leaves out what it considers too uncertain, and its scores are not on that
    /// scale.
    pub fn default_min_likelihood(&self) -> f32 {
        self.default_min_likelihood
    }

    /// Returns `true` if the file should have a row for every frame of the recording. Labelled data
    /// and SLEAP's tables hold only frames on which something was seen.
    pub fn has_every_frame(&self) -> bool {
        self.every_frame
    }

    /// Checks that the rows fit the recording: exactly one for each frame or, if the file holds
    /// only some frames, none after the end, and a start that the file states.
    ///
    /// # Errors
    /// [`KeypointError::RowCount`] with both numbers, [`KeypointError::MissingRows`],
    /// [`KeypointError::UnknownStart`].
    pub fn check_rows(&self) -> Result<(), KeypointError> {
        let frames = self.frame_count;
        let path = || self.path.clone();
        let end = self.frames.last().map_or(0, |last| last.saturating_add(1));
        if self.len() == frames && end == frames + 1 && self.frames.first() == Some(&1) {
            let what = format!(
                "its rows are numbered from 1 to {frames}, and frames count from 0: give --keypoints-first-frame -1, or export them counted from 0"
            );
            return Err(KeypointError::Format { path: path(), what });
        }
        if end > frames || (self.every_frame && end < frames) {
            return Err(KeypointError::RowCount {
                path: path(),
                rows: self.len(),
                last: self.frames.last().copied().unwrap_or(0),
                frames,
            });
        }
        if self.every_frame && self.len() < frames {
            // Frame numbers ascend, so the first that differs from its position follows a gap.
            let first = self.frames.iter().zip(0..).find(|(frame, at)| *frame != at);
            let (first, missing) = (first.map_or(0, |(_, at)| at), frames - self.len());
            return Err(KeypointError::MissingRows { path: path(), first, missing });
        }
        if self.start_unknown && self.len() < frames {
            return Err(KeypointError::UnknownStart { path: path(), rows: self.len(), frames });
        }
        Ok(())
    }

    /// Describes usable points of the objects that lie outside the picture or the region and were
    /// therefore left out. Returns `None` if there are none.
    ///
    /// # Errors
    /// [`KeypointError::MostlyOutside`] if more than half of the points are outside: the
    /// coordinates then belong to another picture.
    pub fn check_points(&self, min_likelihood: f32) -> Result<Option<String>, KeypointError> {
        let usable = |keypoint: &Keypoint| keypoint.likelihood >= min_likelihood;
        let mut outside = self.outside.iter().filter(|point| usable(&point.keypoint));
        let count = outside.clone().count();
        let Some(first) = outside.next() else { return Ok(None) };
        let inside = self.objects.iter().flat_map(|&individual| &self.sightings[individual].values);
        let total = count + inside.flatten().filter(|keypoint| usable(keypoint)).count();
        let part = self.individuals[first.individual].bodyparts.get(first.part);
        let part = part.cloned().unwrap_or_default();
        let (x, y, frame) = (first.keypoint.x, first.keypoint.y, first.frame);
        let place = self.region.map_or_else(
            || format!("the {} picture", self.size),
            |region| format!("the region {region}"),
        );
        if 2 * count > total {
            let path = self.path.clone();
            return Err(KeypointError::MostlyOutside {
                path,
                count,
                total,
                part,
                x,
                y,
                frame,
                place,
            });
        }
        Ok(Some(format!(
            "{count} of {total} points of '{}' are outside {place} and left out (the first: {part} ({x}, {y}) on frame {frame})",
            self.path.display()
        )))
    }

    /// Returns `true` if a point lies in the part of the picture in which points may lie.
    pub(crate) fn contains(&self, x: f32, y: f32) -> bool {
        let inside = |value: f32, length: u32| (0.0..=length as f32).contains(&value);
        inside(x, self.size.width)
            && inside(y, self.size.height)
            && self.region.is_none_or(|region| region.contains(Point::positive(x, y)))
    }

    /// Returns left, top, right and bottom of that part.
    pub(crate) fn bounds(&self) -> [f32; 4] {
        let (width, height) = (self.size.width as f32, self.size.height as f32);
        self.region.map_or([0.0, 0.0, width, height], |Region { x, y, width, height }| {
            [x as f32, y as f32, x as f32 + width as f32, y as f32 + height as f32]
        })
    }

    /// Marks points outside as body parts that were not seen.
    fn leave_out_what_is_outside(&mut self) {
        let mut sightings = std::mem::take(&mut self.sightings);
        for (individual, sightings) in sightings.iter_mut().enumerate() {
            let parts = self.individuals[individual].bodyparts.len().max(1);
            let is_object = self.objects.contains(&individual);
            for (index, value) in sightings.values.iter_mut().enumerate() {
                let Some(keypoint) = value.filter(|k| !self.contains(k.x, k.y)) else { continue };
                *value = None;
                let frame = sightings.at.get(index / parts).copied().unwrap_or(0);
                if is_object {
                    let part = index % parts;
                    self.outside.push(OutsidePoint { frame, individual, part, keypoint });
                }
            }
        }
        self.sightings = sightings;
    }

    /// Returns `true` if an individual is an animal, and not the holder of body parts that belong
    /// to no animal.
    pub(crate) fn is_animal(&self, individual: usize) -> bool {
        self.individuals[individual].name.as_deref() != Some(UNIQUE_PARTS)
    }

    /// Returns the frames of a range in which something of an individual was seen, in ascending
    /// order.
    pub(crate) fn frames_of(&self, individual: usize, range: Range<usize>) -> &[usize] {
        let frames = &self.sightings[individual].at;
        let start = frames.partition_point(|&frame| frame < range.start);
        let end = frames.partition_point(|&frame| frame < range.end).max(start);
        &frames[start..end]
    }

    /// Returns an individual's body parts that were seen in a frame with at least this likelihood.
    pub(crate) fn usable(
        &self,
        frame: usize,
        individual: usize,
        min_likelihood: f32,
    ) -> impl Iterator<Item = (&str, Keypoint)> {
        let names = &self.individuals[individual].bodyparts;
        let Sightings { at, values } = &self.sightings[individual];
        let row = at.binary_search(&frame).ok();
        let seen = row.map_or(&values[..0], |row| &values[row * names.len()..][..names.len()]);
        names.iter().zip(seen).filter_map(move |(name, keypoint)| {
            let keypoint = (*keypoint)?;
            (keypoint.likelihood >= min_likelihood).then_some((name.as_str(), keypoint))
        })
    }
}
