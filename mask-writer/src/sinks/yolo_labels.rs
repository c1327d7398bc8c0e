//! Polygons as YOLO's segmentation labels, one text file per frame.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use crate::error::WriteError;
use crate::frame_names::FrameNames;
use crate::frame_order::FrameOrder;
use crate::outline::polygon;
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};

/// YOLO's readers do not accept polygons with fewer points.
const FEWEST_POINTS: usize = 3;

/// Writes `00000.txt`, `00001.txt`, ..., one file per frame: a line `class x1 y1 x2 y2 ...` for
/// each object on the frame, with coordinates as fractions of width and height. A frame without
/// objects gets an empty file. If frames were read from images, files are named after them: `a.txt`
/// for `a.jpg`, which is where Ultralytics looks for it.
///
/// The class is the object's number - 1, because YOLO counts from 0. Points are the centres of
/// border pixels, so that filling the polygon and drawing its edges, as OpenCV's `fillPoly` does,
/// reproduces the mask. An object in several parts is one polygon with bridges between them, as
/// made by Ultralytics' own converter of COCO annotations.
pub struct YoloLabelsSink {
    output: OutputFolder,
    order: FrameOrder,
    names: FrameNames,
    size: (u32, u32),
}

impl YoloLabelsSink {
    /// Returns whether a file can have been written by this sink, for a recording that is not known
    /// yet; see [`OutputFolder::create`].
    pub fn is_own(path: &Path) -> bool {
        is_own_file(path, &|_| true)
    }

    /// Creates the folder.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let names = FrameNames::new(path, recording)?;
        let known = names.clone();
        let is_own = move |path: &Path| is_own_file(path, &|name| known.may_be(name));
        Ok(Self {
            output: OutputFolder::create(path, overwrite, is_own)?,
            names,
            order: FrameOrder::new(path, recording.size, recording.frames),
            size: recording.size,
        })
    }
}

impl MaskSink for YoloLabelsSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        let mut text = String::new();
        let share = |pixel: u32, of: u32| (f64::from(pixel) + 0.5) / f64::from(of);
        for labelled in frame.objects {
            let mut points = polygon(&labelled.mask);
            let Some(&last) = points.last() else { continue };
            points.resize(points.len().max(FEWEST_POINTS), last);
            // Writing to a string cannot fail.
            let _ = write!(text, "{}", labelled.object.saturating_sub(1));
            for (x, y) in points {
                let _ = write!(text, " {:.6} {:.6}", share(x, self.size.0), share(y, self.size.1));
            }
            text.push('\n');
        }
        self.output.write(format!("{}.txt", self.names.of(frame.index)), text.as_bytes())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.output.complete()
    }
}

/// Returns whether a file holds lines as this sink writes them, for a frame whose name `is_frame`
/// accepts. A name is not enough: text notes end in `.txt` too.
fn is_own_file(path: &Path, is_frame: &dyn Fn(&str) -> bool) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(".txt")).is_some_and(is_frame)
        && std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
        && has_only_numbers(path).unwrap_or(false)
}

/// Returns whether a file begins with numbers and nothing else.
fn has_only_numbers(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(4096).read_to_end(&mut start)?;
    Ok(start.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b' ' | b'\n')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{masks, run};

    #[test]
    fn each_frame_is_a_file_and_each_object_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels");
        let sink = YoloLabelsSink::create(&path, &RecordingInfo::new((4, 2), 2), false).unwrap();
        run(sink, &[masks(&[(1, "0110 0110"), (3, "1000 0000"), (4, "0000 0000")]), masks(&[])]);
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap();
        let square = "0 0.375000 0.250000 0.375000 0.750000 0.625000 0.750000 0.625000 0.250000\n";
        let point = "2 0.125000 0.250000 0.125000 0.250000 0.125000 0.250000\n";
        assert_eq!(read("00000.txt"), format!("{square}{point}"));
        assert_eq!(read("00001.txt"), "");
    }

    #[test]
    fn labels_are_called_as_the_images_and_replace_only_labels() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("labels");
        let recording = RecordingInfo {
            image_names: vec!["img1.jpg".into(), "img2.jpg".into()],
            ..RecordingInfo::new((4, 2), 2)
        };
        let create = || YoloLabelsSink::create(&path, &recording, true);
        for _ in 0..2 {
            run(create().unwrap(), &[masks(&[(1, "0110 0110")]), masks(&[])]);
            assert!(std::fs::read(path.join("img1.txt")).unwrap().starts_with(b"0 0.37"));
            assert_eq!(std::fs::read(path.join("img2.txt")).unwrap(), b"");
        }
        for (name, contents) in [("notes.txt", "1 2"), ("img2.txt", "good frame"), ("img1", "")] {
            std::fs::write(path.join(name), contents).unwrap();
            let refused = create().map(drop).unwrap_err();
            assert!(matches!(refused, WriteError::ForeignFiles { .. }), "{name}");
            std::fs::remove_file(path.join(name)).unwrap();
        }
    }
}
