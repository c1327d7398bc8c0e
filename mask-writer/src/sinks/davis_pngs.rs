//! A folder of palette images, one per frame, as the annotations of DAVIS.

use std::path::Path;

use crate::error::WriteError;
use crate::frame_names::FrameNames;
use crate::frame_order::FrameOrder;
use crate::known_objects::paint_all;
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::palette_png::{self, encode};
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};
use crate::sinks::bigtiff::check_numbers;

/// Writes `00000.png`, `00001.png`, ..., or images named after those that the frames were read
/// from. Each pixel is the number of its object, the smallest where objects overlap, or 0 for
/// background, with DAVIS's palette.
///
/// The folder has the layout of DAVIS's `Annotations/480p/<sequence>`, which the official
/// `vos_inference.py` reads and writes.
pub struct DavisPngsSink {
    output: OutputFolder,
    order: FrameOrder,
    names: FrameNames,
    size: (u32, u32),
    page: Vec<u8>,
}

impl DavisPngsSink {
    /// Returns whether a file can have been written by this sink, for a recording that is not known
    /// yet; see [`OutputFolder::create`].
    pub fn is_own(path: &Path) -> bool {
        palette_png::is_own(path, &|_| true)
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
        let is_own = move |path: &Path| palette_png::is_own(path, &|name| known.may_be(name));
        Ok(Self {
            output: OutputFolder::create(path, overwrite, is_own)?,
            names,
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
        self.output.write(format!("{}.png", self.names.of(frame.index)), &image)
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

    #[test]
    fn images_are_called_as_those_of_the_recording_and_replace_only_masks() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("clip");
        let recording = RecordingInfo {
            image_names: vec!["00001.jpg".into(), "cam_2.jpg".into()],
            ..RecordingInfo::new((4, 2), 2)
        };
        let create = || DavisPngsSink::create(&path, &recording, true);
        run(create().unwrap(), &[masks(&[]), masks(&[])]);
        let mut names: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["00001.png", "cam_2.png"]);
        // Its own results, including those from before files were named after images.
        std::fs::rename(path.join("00001.png"), path.join("00000.png")).unwrap();
        run(create().unwrap(), &[masks(&[]), masks(&[])]);
        // Masks of other images, and the frames themselves.
        std::fs::copy(path.join("00001.png"), path.join("cam_3.png")).unwrap();
        assert!(
            matches!(create(), Err(WriteError::ForeignFiles { name, .. }) if name == "cam_3.png")
        );
        assert!(DavisPngsSink::is_own(&path.join("cam_3.png")));
        std::fs::remove_file(path.join("cam_3.png")).unwrap();
        std::fs::write(path.join("cam_2.png"), b"\x89PNG\r\n\x1a\n a photo").unwrap();
        assert!(
            matches!(create(), Err(WriteError::ForeignFiles { name, .. }) if name == "cam_2.png")
        );
        assert!(!DavisPngsSink::is_own(&path.join("cam_2.png")));
    }
}
