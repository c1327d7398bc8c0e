//! A folder of palette images, one a frame, as the annotations of DAVIS.

use std::path::Path;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::known_objects::paint_all;
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::palette_png::encode;
use crate::recording_info::{RecordingInfo, frame_name, is_frame_name};
use crate::sink::{MaskFrame, MaskSink};
use crate::sinks::bigtiff::check_numbers;

/// Writes `00000.png`, `00001.png`, ...: each pixel the number of its object, the smallest where objects overlap, 0 elsewhere,
/// with DAVIS's palette.
///
/// The folder is what lies in DAVIS's `Annotations/480p/<sequence>`, and what the official `vos_inference.py` reads and writes.
pub struct DavisPngsSink {
    output: OutputFolder,
    order: FrameOrder,
    size: (u32, u32),
    page: Vec<u8>,
}

impl DavisPngsSink {
    /// Whether something in the folder can come from this sink; see [`OutputFolder::create`].
    pub fn is_own(name: &str) -> bool {
        name.strip_suffix(".png").is_some_and(is_frame_name)
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
            page: vec![0; recording.pixels()],
        })
    }
}

impl MaskSink for DavisPngsSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        check_numbers(self.output.path(), frame)?;
        paint_all(&mut self.page, frame.objects, |object| object as u8);
        let image = encode(self.output.path(), self.size, &self.page)?;
        self.output.write(format!("{}.png", frame_name(frame.index)), &image)
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
    fn pixels_are_numbers_and_the_smallest_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip");
        let sink = DavisPngsSink::create(&path, &RecordingInfo::new((4, 2), 2), false).unwrap();
        run(sink, &[masks(&[(9, "1110 0000"), (2, "0011 0000")]), masks(&[])]);
        let read = |name: &str| {
            let file = std::fs::File::open(path.join(name)).unwrap();
            let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
            assert_eq!(reader.info().color_type, png::ColorType::Indexed);
            let mut pixels = vec![0; 8];
            reader.next_frame(&mut pixels).unwrap();
            pixels
        };
        assert_eq!(read("00000.png"), [9, 9, 2, 2, 0, 0, 0, 0]);
        assert_eq!(read("00001.png"), [0; 8]);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2);
    }
}
