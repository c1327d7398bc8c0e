//! Files of annotation tools: points, boxes and outlines that a person has drawn, or a tracker that was corrected by one.
//!
//! | tool | recognised by | read in |
//! |---|---|---|
//! | CVAT, "for video 1.1" and "for images 1.1" | XML with the root `annotations` | `cvat` |
//! | COCO (keypoints, boxes, outlines, run lengths) | JSON object with `images` and `annotations` | `coco` |
//! | Labelme, one file or a folder of them | JSON object with `shapes` | `labelme` |
//! | Label Studio, JSON and JSON-MIN | JSON list of tasks | `label_studio` |
//!
//! Each becomes a list of [`Mark`]s. As a track (`--keypoints`), only their points count; as prompts (`--prompts`), all of them do, but
//! of what a tool has filled in between only what a person has drawn.
//!
//! What is one object: what the file says is one, by a track, a group or an object number. Where it says nothing, a label is one object, and two
//! marks of a label on one image are an error, unless all marks are on a single image: then each is an object of its own.

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

use super::table::RowKey;
use super::track::{KeypointSelection, TrackKind};

pub(crate) use labelme::read_folder;

/// Marks may take so much memory in any case ...
const LEAST_MEMORY: usize = 96 << 20;
/// ... and so many times the file's size.
const BYTES_PER_BYTE: usize = 32;

/// What a tool's file holds.
#[derive(Debug)]
pub(crate) struct Annotations {
    pub(super) kind: TrackKind,
    pub(super) marks: Vec<Mark>,
    /// What images were called before a program renamed them, by the names that marks have.
    pub(super) originals: HashMap<String, String>,
    /// Bytes of memory that marks may still take.
    left: usize,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// One shape on one frame.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) row: RowKey,
    /// The recording that it is in, as far as the file says so.
    pub(super) video: Option<String>,
    /// Says that marks on different frames are of one object: the number of a track or group.
    pub(super) group: Option<String>,
    /// Says that marks on this frame are of one object.
    pub(super) instance: Option<String>,
    /// The name or class of the object.
    pub(super) label: String,
    /// Of a point: the body part.
    pub(super) part: Option<String>,
    pub(super) shape: Shape,
    /// Width and height of the picture that it was drawn on.
    pub(super) picture: Option<[u32; 2]>,
    /// Whether a tool has filled it in between others.
    pub(super) is_interpolated: bool,
}

/// Where something is, in pixels from the picture's corner.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Point([f32; 2]),
    /// Left, top, right, bottom.
    Box([f32; 4]),
    /// The same in percent of the picture, of a video whose size the file does not say.
    BoxInPercent([f32; 4]),
    /// Closed outlines; what is within any of them is the object.
    Outlines(Vec<Vec<[f32; 2]>>),
    /// Lengths of background and foreground in turn, in a part of the picture.
    Runs(Runs),
}

/// Run lengths of a part of the picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Runs {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) counts: Counts,
}

/// How run lengths are stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Counts {
    /// Row by row (CVAT).
    Rows(Vec<u32>),
    /// Column by column (COCO).
    Columns(Vec<u32>),
    /// COCO's text.
    Compressed(String),
}

/// Reads the text of a file; `None` if it is of none of these tools.
///
/// # Errors
/// What is wrong in it, or the tool that wrote it where that is not read.
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
    /// None yet, of a file of so many bytes.
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
    /// More marks, or longer names, than a file of this size can hold: each mark has its own copy of them.
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

    /// Drops the folders of images' names where all are in the same one: such a folder is called `images` or `train`, not after the
    /// recording. Where there are several, each may be a recording.
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

/// The last part of a path.
fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// A message about shapes that are not read.
fn left_out(count: usize, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {what} are left out"))
}

/// Whether the user names labels as body parts: then they are those of one animal.
fn labels_are_parts(annotations: &Annotations, selection: &KeypointSelection) -> bool {
    let points = || annotations.marks.iter().filter(|m| matches!(m.shape, Shape::Point(_)));
    !selection.bodyparts.is_empty()
        && points().all(|mark| mark.group.is_none())
        && selection.bodyparts.iter().all(|part| points().any(|mark| &mark.label == part))
}
