//! Files of annotation tools: points, boxes and outlines that a person has drawn, or tracks that a
//! person has corrected.
//!
//! | tool | recognised by | read in |
//! |---|---|---|
//! | CVAT, "for video 1.1" and "for images 1.1" | XML with the root `annotations` | `cvat` |
//! | COCO (keypoints, boxes, outlines, run lengths) | JSON object with `images` and `annotations` | `coco` |
//! | Labelme, one file or a folder of them | JSON object with `shapes` | `labelme` |
//! | Label Studio, JSON and JSON-MIN | JSON list of tasks | `label_studio` |
//!
//! Each file becomes a list of [`Mark`]s. As a track (`--keypoints`), only its points count. As
//! prompts (`--prompts`), all marks count, except those that a tool has interpolated.
//!
//! Marks belong to one object if the file says so, by a track, a group or an object number. If it
//! says nothing, each label is one object, and two marks of a label on one image are an error. If
//! all marks are on a single image, however, each is an object of its own.

mod as_prompts;
mod as_table;
mod coco;
mod cvat;
mod identity;
mod label_studio;
mod label_studio_json;
mod labelme;
mod outline;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::selection::KeypointSelection;
use super::table::RowKey;
use super::track_kind::TrackKind;

pub(crate) use labelme::read_folder;

/// Bytes of memory that marks may take, whatever the size of the file.
const LEAST_MEMORY: usize = 96 << 20;
/// Bytes of memory that marks may take for each byte of a larger file.
const BYTES_PER_BYTE: usize = 32;

/// The contents of a tool's file.
#[derive(Debug)]
pub(crate) struct Annotations {
    pub(super) kind: TrackKind,
    pub(super) marks: Vec<Mark>,
    /// The names of images before a program renamed them, by the names that marks have.
    pub(super) originals: HashMap<String, String>,
    /// Bytes of memory that marks may still take.
    left: usize,
    /// Warnings for the user.
    pub(super) warnings: Vec<String>,
}

/// One shape on one frame.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) row: RowKey,
    /// The recording that the mark is in, if the file names it.
    pub(super) video: Option<String>,
    /// The number of a track or group: marks on different frames with the same one belong to one
    /// object.
    pub(super) group: Option<String>,
    /// Marks on this frame with the same instance belong to one object.
    pub(super) instance: Option<String>,
    /// The name or class of the object.
    pub(super) label: String,
    /// The body part of a point.
    pub(super) part: Option<String>,
    pub(super) shape: Shape,
    /// Width and height of the picture on which the mark was drawn.
    pub(super) picture: Option<[u32; 2]>,
    /// Whether a tool has interpolated the mark between others.
    pub(super) is_interpolated: bool,
}

/// The place of a mark, in pixels from the picture's corner.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Point([f32; 2]),
    /// Left, top, right, bottom.
    Box([f32; 4]),
    /// The same in percent of the picture, for a video whose size the file does not give.
    BoxInPercent([f32; 4]),
    /// Closed outlines. Everything within any of them is the object.
    Outlines(Vec<Vec<[f32; 2]>>),
    /// Lengths of background and foreground in turn, in a part of the picture.
    Runs(Runs),
}

/// Run lengths in a part of the picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Runs {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) counts: Counts,
}

/// The order and form in which run lengths are stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Counts {
    /// Row by row (CVAT).
    Rows(Vec<u32>),
    /// Column by column (COCO).
    Columns(Vec<u32>),
    /// COCO's compressed text.
    Compressed(String),
}

/// Reads the text of a file. Returns `None` if it is of none of these tools.
///
/// # Errors
/// The fault in the file, or the tool that wrote it if its files are not read.
pub(crate) fn read(text: &str) -> Option<Result<Annotations, String>> {
    match text.trim_start().as_bytes().first()? {
        b'<' => Some(cvat::read(text)),
        b'{' if labelme::recognise(text) => Some(labelme::read(text)),
        b'{' => coco::recognise(text).then(|| coco::read(text)),
        b'[' => label_studio_json::recognise(text).then(|| label_studio::read(text)),
        _ => None,
    }
}

impl Annotations {
    /// Creates an empty list of marks for a file of this size in bytes.
    pub(super) fn new(kind: TrackKind, file_bytes: usize) -> Self {
        Self {
            kind,
            marks: Vec::new(),
            originals: HashMap::new(),
            left: file_bytes.saturating_mul(BYTES_PER_BYTE).max(LEAST_MEMORY),
            warnings: Vec::new(),
        }
    }

    /// Adds a mark.
    ///
    /// # Errors
    /// The marks, or their names, take more memory than a file of this size can need. Each mark has
    /// its own copy of its names.
    pub(super) fn push(&mut self, mark: Mark) -> Result<(), String> {
        let image = match &mark.row {
            RowKey::Image(name) => name.len(),
            RowKey::Frame(_) => 0,
        };
        let texts = [&mark.video, &mark.group, &mark.instance, &mark.part];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        let bytes = size_of::<Mark>() + image + texts + mark.label.len();
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or("its names are repeated more often than fits in memory: shorten them, or split the file")?;
        self.marks.push(mark);
        Ok(())
    }

    /// Drops the folders of images' names if all images are in the same one: such a folder is
    /// called `images` or `train`, not after the recording. If there are several folders, each may
    /// be a recording.
    fn without_common_folder(&mut self) {
        let folder = |name: &str| {
            name.rsplit_once(['/', '\\']).map_or(String::new(), |(folder, _)| folder.to_owned())
        };
        let mut images = self.marks.iter().filter_map(|mark| match &mark.row {
            RowKey::Image(name) => Some(name),
            RowKey::Frame(_) => None,
        });
        let Some(first) = images.next().map(|name| folder(name)) else { return };
        if first.is_empty() || !images.all(|name| folder(name) == first) {
            return;
        }
        for mark in &mut self.marks {
            if let RowKey::Image(name) = &mut mark.row {
                *name = file_name(name);
            }
        }
        let originals = std::mem::take(&mut self.originals);
        self.originals =
            originals.into_iter().map(|(name, original)| (file_name(&name), original)).collect();
    }
}

/// Returns the last part of a path.
fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// Returns a message about shapes that are not read.
fn left_out(count: usize, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {what} are left out"))
}

/// Returns `true` if the user names labels as body parts. All labels then belong to one animal.
fn labels_are_parts(annotations: &Annotations, selection: &KeypointSelection) -> bool {
    let points = || annotations.marks.iter().filter(|m| matches!(m.shape, Shape::Point(_)));
    !selection.bodyparts.is_empty()
        && points().all(|mark| mark.group.is_none())
        && selection.bodyparts.iter().all(|part| points().any(|mark| &mark.label == part))
}
