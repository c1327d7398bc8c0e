//! Polygons as YOLO's segmentation labels: a text file for each frame.

use std::fmt::Write;
use std::path::Path;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::outline::polygon;
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::recording_info::{RecordingInfo, frame_name, is_frame_name};
use crate::sink::{MaskFrame, MaskSink};

/// YOLO's readers take fewer points for no polygon.
const FEWEST_POINTS: usize = 3;

/// Writes `00000.txt`, `00001.txt`, ...: a line `class x1 y1 x2 y2 ...` for each object that is on the frame, coordinates as
/// shares of width and height; a file without lines for a frame without objects.
///
/// The class is the object's number - 1, as YOLO counts from 0. Points are the centres of border pixels, so that filling the
/// polygon and drawing its edges, as OpenCV's `fillPoly` does, gives the mask again. An object in several parts is one polygon
/// with bridges between them, as Ultralytics' own converter of COCO annotations makes it.
pub struct YoloLabelsSink {
    output: OutputFolder,
    order: FrameOrder,
    size: (u32, u32),
}

impl YoloLabelsSink {
    /// Whether something in the folder can come from this sink; see [`OutputFolder::create`].
    pub fn is_own(name: &str) -> bool {
        name.strip_suffix(".txt").is_some_and(is_frame_name)
    }

    /// Starts the folder.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        Ok(Self {
            output: OutputFolder::create(path, overwrite, Self::is_own)?,
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
        self.output.write(format!("{}.txt", frame_name(frame.index)), text.as_bytes())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.output.complete()
    }
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
}
