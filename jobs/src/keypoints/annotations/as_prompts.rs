//! Converts marks to prompts: clicks, boxes and masks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sam2_frame_provider::FrameSize;
use sam2_mask_writer::{CocoRle, Mask};

use super::super::error::KeypointError;
use super::super::notice::TrackNotice;
use super::super::recording::TrackedRecording;
use super::super::table::Rows;
use super::super::track::KeypointTrack;
use super::super::track_kind::TrackKind;
use super::identity::{Objects, place_name};
use super::outline::fill;
use super::{Annotations, Counts, Mark, Runs, Shape};
use crate::{KnownObjects, PromptSet};
use sam2_engine::{BoxPrompt, ObjectId, Point};

/// Largest object number.
const MOST_OBJECTS: usize = 255;
/// Largest number of pixels that the outlines of a file may cover together. A hundred thousand
/// outlines around whole Full HD pictures cover more.
const MOST_PIXELS: u64 = 1 << 34;
/// Largest number of objects that a notice names.
const MOST_NAMED: usize = 3;

impl Annotations {
    /// Converts every mark that a person has drawn on the frames of a recording.
    ///
    /// # Errors
    /// The marks belong to other images or to a picture of another size, or the objects cannot be
    /// told apart or are too many.
    pub(crate) fn into_prompts(
        mut self,
        path: &Path,
        recording: &TrackedRecording,
        known: &KnownObjects,
    ) -> Result<(PromptSet, Vec<TrackNotice>), String> {
        self.without_common_folder();
        let kind = self.kind;
        let mut notices: Vec<TrackNotice> =
            std::mem::take(&mut self.warnings).into_iter().map(TrackNotice::Warning).collect();
        let mut marks = self.marks;
        marks.retain(|mark| !mark.is_interpolated);
        if marks.is_empty() {
            return Err(format!("it is a file of {} without any shape", kind.name()));
        }
        let mut rows = Rows::default();
        rows.set_originals(std::mem::take(&mut self.originals));
        let places = marks
            .iter()
            .map(|mark| {
                let video = mark.video.as_deref().map(|video| rows.video(video));
                rows.place(mark.row.clone(), video)
            })
            .collect::<Result<Vec<usize>, String>>()?;
        let frames = KeypointTrack::of_rows(path, kind, rows)
            .find_rows(recording, &mut notices)
            .map_err(|error| without_flags(error, recording))?;
        let (mut kept, mut on) = (Vec::new(), Vec::new());
        for (mark, place) in marks.into_iter().zip(places) {
            if let Some(frame) = frames.get(place).copied().flatten() {
                kept.push(mark);
                on.push(frame);
            }
        }
        let objects = Objects::find(&kept)?;
        if objects.names.len() > MOST_OBJECTS {
            return Err(format!(
                "it has {} objects, but at most 255 can be segmented together",
                objects.names.len()
            ));
        }
        let mut set = PromptSet::new();
        let mut numbers = known.numbering([]);
        let ids = objects.names.iter().map(|name| numbers.number(name));
        let ids: Vec<ObjectId> =
            ids.collect::<Result<_, _>>().map_err(|conflict| conflict.to_string())?;
        let id = |object: usize| ids[object];
        for (object, name) in objects.names.iter().enumerate().filter(|(_, name)| !name.is_empty())
        {
            set.name(id(object), name).map_err(|conflict| conflict.to_string())?;
        }
        let mut masks: BTreeMap<(usize, usize), Mask> = BTreeMap::new();
        let (mut outside, mut budget) = (Vec::new(), MOST_PIXELS);
        for ((mark, frame), &object) in kept.iter().zip(on).zip(&objects.of) {
            let size = fitting(mark, recording)?;
            let [width, height] = [size.width, size.height].map(|side| side as f32);
            match &mark.shape {
                &Shape::Point([x, y]) => {
                    let inside = (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
                    if inside {
                        set.add_point(frame, id(object), Point::positive(x, y));
                    } else {
                        outside.push(place_name(&mark.row));
                    }
                }
                Shape::Box(edges) => {
                    let bounds = clipped(*edges, width, height).ok_or_else(|| {
                        format!("a box on {} is outside the picture", place_name(&mark.row))
                    })?;
                    set.add_box(frame, id(object), bounds)
                        .map_err(|conflict| conflict.to_string())?;
                }
                Shape::BoxInPercent([x0, y0, x1, y1]) => {
                    let edges = [x0 * width, y0 * height, x1 * width, y1 * height];
                    let bounds = clipped(edges.map(|edge| edge / 100.0), width, height)
                        .ok_or_else(|| {
                            format!("a box on {} is outside the picture", place_name(&mark.row))
                        })?;
                    set.add_box(frame, id(object), bounds)
                        .map_err(|conflict| conflict.to_string())?;
                }
                Shape::Outlines(_) | Shape::Runs(_) => {
                    if kind == TrackKind::Coco && reaches_beyond(&mark.shape, size) {
                        return Err(format!(
                            "an outline on {} reaches beyond the picture",
                            place_name(&mark.row)
                        ));
                    }
                    let mask = mask_of(&mark.shape, size, &mut budget)?;
                    if mask.area() == 0 {
                        return Err(format!(
                            "an outline on {} holds no pixel of the picture",
                            place_name(&mark.row)
                        ));
                    }
                    // Several outlines of one object are its parts.
                    let mask = match masks.remove(&(frame, object)) {
                        Some(other) => union(&other, &mask)?,
                        None => mask,
                    };
                    masks.insert((frame, object), mask);
                }
            }
        }
        for ((frame, object), mask) in masks {
            set.add_mask(frame, id(object), mask).map_err(|conflict| conflict.to_string())?;
        }
        if let Some(first) = outside.first() {
            notices.push(TrackNotice::Warning(format!(
                "{} points of '{}' are outside the picture and left out (the first on {first})",
                outside.len(),
                path.display()
            )));
        }
        if set.is_empty() {
            return Err(
                "all its points are outside the picture: is it of another recording?".into()
            );
        }
        let named = objects.names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
        notices.push(TrackNotice::Info(format!(
            "'{}' is a file of {} with prompts for {} objects ({named}{}) on {} frames",
            path.display(),
            kind.name(),
            objects.names.len(),
            if objects.names.len() > MOST_NAMED { ", ..." } else { "" },
            set.prompts().iter().map(|p| p.frame).collect::<BTreeSet<_>>().len()
        )));
        Ok((set, notices))
    }
}

/// Returns the message of a track's error, without options that only tracks have.
fn without_flags(error: KeypointError, recording: &TrackedRecording) -> String {
    match error {
        KeypointError::OtherRecordings { available, .. } => format!(
            "it has shapes of several recordings ({}), but none of '{}': name the recording as the file does",
            available.join(", "),
            recording.name
        ),
        KeypointError::NoSuchImages { named, .. } => format!(
            "none of the images that it names (such as '{}') are in '{}'",
            named.escape_debug(),
            recording.name
        ),
        KeypointError::Format { what, .. } => what,
        other => other.to_string(),
    }
}

/// Returns the recording's size. Fails if the mark was drawn on a picture of another size.
fn fitting(mark: &Mark, recording: &TrackedRecording) -> Result<FrameSize, String> {
    let FrameSize { width, height } = recording.size;
    match mark.picture {
        Some([own_width, own_height]) if [own_width, own_height] != [width, height] => {
            Err(format!(
                "{} is {own_width} x {own_height} pixels in it, but {width} x {height} in the recording: label the pictures in their full size",
                place_name(&mark.row)
            ))
        }
        _ => Ok(recording.size),
    }
}

/// Returns `true` if a corner of an outline is more than a pixel outside the picture. Programs
/// differ in where they put corners on the picture's edge.
fn reaches_beyond(shape: &Shape, FrameSize { width, height }: FrameSize) -> bool {
    let Shape::Outlines(outlines) = shape else { return false };
    let is_within = |value: f32, side: u32| (-1.0..=side as f32 + 1.0).contains(&value);
    !outlines.iter().flatten().all(|&[x, y]| is_within(x, width) && is_within(y, height))
}

/// Clips a box to the picture.
fn clipped([x0, y0, x1, y1]: [f32; 4], width: f32, height: f32) -> Option<BoxPrompt> {
    let (left, right) = (x0.min(x1).clamp(0.0, width), x0.max(x1).clamp(0.0, width));
    let (top, bottom) = (y0.min(y1).clamp(0.0, height), y0.max(y1).clamp(0.0, height));
    (left < right && top < bottom).then_some(BoxPrompt { x0: left, y0: top, x1: right, y1: bottom })
}

fn mask_of(
    shape: &Shape,
    FrameSize { width, height }: FrameSize,
    budget: &mut u64,
) -> Result<Mask, String> {
    match shape {
        Shape::Outlines(outlines) => fill(outlines, [width, height], budget),
        Shape::Runs(Runs { left, top, width: columns, height: rows, counts }) => {
            let fits = |from: u32, length: u32, side: u32| {
                from.checked_add(length).is_some_and(|end| end <= side)
            };
            if !fits(*left, *columns, width) || !fits(*top, *rows, height) {
                return Err("a mask in it reaches beyond the picture".into());
            }
            let area = u64::from(*columns) * u64::from(*rows);
            *budget = budget
                .checked_sub(area)
                .ok_or("its masks cover more than a person can have drawn")?;
            let part = match counts {
                Counts::Rows(counts) => Mask::from_runs(*columns, *rows, counts.clone())
                    .map_err(|error| error.to_string())?,
                Counts::Columns(counts) => CocoRle::from_counts(*columns, *rows, counts.clone())
                    .map_err(|error| error.to_string())?
                    .to_mask(),
                Counts::Compressed(text) => CocoRle::from_compressed(*columns, *rows, text)
                    .map_err(|error| error.to_string())?
                    .to_mask(),
            };
            Ok(part.placed(*left, *top, width, height))
        }
        _ => Ok(Mask::empty(width, height)),
    }
}

fn union(a: &Mask, b: &Mask) -> Result<Mask, String> {
    let mut pixels = a.to_bytes(1);
    b.paint(&mut pixels, 1);
    let pixels = pixels.into_iter().map(|pixel| pixel != 0);
    Mask::from_pixels(a.width(), a.height(), pixels).map_err(|error| error.to_string())
}
