//! A folder of images for each object, one a frame, as the annotations of SA-V.

use std::path::Path;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::known_objects::{KnownObjects, entry};
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::palette_png::encode;
use crate::recording_info::{RecordingInfo, frame_name};
use crate::sink::{MaskFrame, MaskSink};

/// Writes `001/00000.png`, ...: a folder for each object, an image for every frame, 1 where the object is, else 0, with DAVIS's
/// palette.
///
/// The folder is what lies in SA-V's `Annotations_6fps/<video>`, and what the official `vos_inference.py --per_obj_png_file`
/// writes. An object that comes up late gets empty images for the frames before.
pub struct ObjectPngsSink {
    output: OutputFolder,
    order: FrameOrder,
    size: (u32, u32),
    objects: KnownObjects,
    page: Vec<u8>,
    /// An image without anything on it.
    empty: Vec<u8>,
}

impl ObjectPngsSink {
    /// Whether something in the folder can come from this sink; see [`OutputFolder::create`].
    pub fn is_own(name: &str) -> bool {
        name.len() >= 3 && name.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Starts the folders of the objects that are known.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let page = vec![0; recording.pixels()];
        let sink = Self {
            output: OutputFolder::create(path, overwrite, Self::is_own)?,
            order: FrameOrder::new(path, recording.size, recording.frames),
            size: recording.size,
            objects: KnownObjects::new(&recording.objects),
            empty: encode(path, recording.size, &page)?,
            page,
        };
        for &object in sink.objects.numbers() {
            sink.output.make_folder(folder_name(object))?;
        }
        Ok(sink)
    }

    fn write_image(&self, object: u32, index: usize, image: &[u8]) -> Result<(), WriteError> {
        let name = format!("{}/{}.png", folder_name(object), frame_name(index));
        self.output.write(name, image)
    }
}

impl MaskSink for ObjectPngsSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        for object in self.objects.admit(frame.objects) {
            self.output.make_folder(folder_name(object))?;
            for missed in 0..frame.index {
                self.write_image(object, missed, &self.empty)?;
            }
        }
        for &object in self.objects.numbers() {
            match entry(frame.objects, object) {
                Some(labelled) if labelled.mask.area() > 0 => {
                    self.page.fill(0);
                    labelled.mask.paint(&mut self.page, 1);
                    let image = encode(self.output.path(), self.size, &self.page)?;
                    self.write_image(object, frame.index, &image)?;
                }
                _ => self.write_image(object, frame.index, &self.empty)?,
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.output.complete()
    }
}

fn folder_name(object: u32) -> String {
    format!("{object:03}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{masks, run};

    #[test]
    fn every_object_has_an_image_for_every_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip");
        let recording = RecordingInfo { objects: vec![2], ..RecordingInfo::new((4, 2), 3) };
        let sink = ObjectPngsSink::create(&path, &recording, false).unwrap();
        let frames =
            [masks(&[(2, "0110 0000")]), masks(&[(2, "0110 0110"), (12, "1111 0000")]), masks(&[])];
        run(sink, &frames);
        let read = |name: &str| {
            let file = std::fs::File::open(path.join(name)).unwrap();
            let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
            let mut pixels = vec![0; 8];
            reader.next_frame(&mut pixels).unwrap();
            pixels
        };
        assert_eq!(read("002/00000.png"), [0, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(read("002/00001.png"), [0, 1, 1, 0, 0, 1, 1, 0]);
        assert_eq!(read("002/00002.png"), [0; 8]);
        assert_eq!(read("012/00000.png"), [0; 8]);
        assert_eq!(read("012/00001.png"), [1, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(read("012/00002.png"), [0; 8]);
    }
}
