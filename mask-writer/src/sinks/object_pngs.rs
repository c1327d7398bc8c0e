//! A folder of images for each object, one per frame, as the annotations of SA-V.

use std::path::Path;

use crate::error::WriteError;
use crate::frame_names::FrameNames;
use crate::frame_order::FrameOrder;
use crate::known_objects::{KnownObjects, entry};
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::palette_png::{self, encode};
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};

/// Writes `001/00000.png`, ...: a folder for each object with an image for every frame, 1 where the
/// object is, else 0, with DAVIS's palette. If frames were read from images, files are named after
/// them.
///
/// The folder has the layout of SA-V's `Annotations_6fps/<video>`, which the official
/// `vos_inference.py --per_obj_png_file` writes. An object that appears later gets empty images for
/// the earlier frames.
pub struct ObjectPngsSink {
    output: OutputFolder,
    order: FrameOrder,
    names: FrameNames,
    size: (u32, u32),
    objects: KnownObjects,
    page: Vec<u8>,
    /// An image without any object.
    empty: Vec<u8>,
}

impl ObjectPngsSink {
    /// Returns whether a folder can have been written by this sink, for a recording that is not
    /// known yet; see [`OutputFolder::create`].
    pub fn is_own(path: &Path) -> bool {
        is_own_folder(path, &|_| true)
    }

    /// Creates the folders of the objects that are already known.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let page = vec![0; recording.pixels()];
        let names = FrameNames::new(path, recording)?;
        let known = names.clone();
        let is_own = move |path: &Path| is_own_folder(path, &|name| known.may_be(name));
        let sink = Self {
            output: OutputFolder::create(path, overwrite, is_own)?,
            names,
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
        let name = format!("{}/{}.png", folder_name(object), self.names.of(index));
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

/// Returns whether `path` is an object's folder that holds only images of this sink, of frames
/// whose names `is_frame` accepts.
fn is_own_folder(path: &Path, is_frame: &dyn Fn(&str) -> bool) -> bool {
    let is_number = |name: &str| name.len() >= 3 && name.bytes().all(|byte| byte.is_ascii_digit());
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    is_folder
        && path.file_name().and_then(|name| name.to_str()).is_some_and(is_number)
        && std::fs::read_dir(path).is_ok_and(|mut entries| {
            entries
                .all(|entry| entry.is_ok_and(|entry| palette_png::is_own(&entry.path(), is_frame)))
        })
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

    #[test]
    fn images_are_called_as_those_of_the_recording_and_replace_only_masks() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("clip");
        let recording = RecordingInfo {
            image_names: vec!["00001.jpg".into()],
            objects: vec![1],
            ..RecordingInfo::new((4, 2), 1)
        };
        let create = || ObjectPngsSink::create(&path, &recording, true);
        run(create().unwrap(), &[masks(&[])]);
        assert!(path.join("001/00001.png").is_file());
        run(create().unwrap(), &[masks(&[])]);
        assert!(ObjectPngsSink::is_own(&path.join("001")));
        // A folder whose name is a number may hold anything.
        std::fs::create_dir(path.join("2026")).unwrap();
        std::fs::write(path.join("2026/recording.mp4"), "years of work").unwrap();
        assert!(matches!(create(), Err(WriteError::ForeignFiles { name, .. }) if name == "2026"));
        assert!(!ObjectPngsSink::is_own(&path.join("2026")));
    }
}
