//! A folder with a BigTIFF stack per object, for objects that overlap.

use std::fs::File;
use std::path::Path;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::known_objects::{KnownObjects, entry};
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};
use crate::tiff_stack::{StackCompression, TiffStack, stack_error};

/// Writes `object-001.btf`, `object-002.btf`, ...: 255 where the object is, else 0, one page for
/// every frame of the recording.
///
/// An object that appears later gets empty pages for the earlier frames. Memory use is one page,
/// and one compressed page per object.
pub struct ObjectStacksSink {
    output: OutputFolder,
    order: FrameOrder,
    size: (u32, u32),
    compression: StackCompression,
    objects: KnownObjects,
    /// One stack per object, in the order of the objects.
    stacks: Vec<TiffStack>,
    page: Vec<u8>,
}

impl ObjectStacksSink {
    /// Returns whether a file can have been written by this sink; see [`OutputFolder::create`].
    pub fn is_own(path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("object-").and_then(|rest| rest.strip_suffix(".btf"));
        number.is_some_and(|number| {
            number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit())
        }) && std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
    }

    /// Creates the stacks of the objects that are already known.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        compression: StackCompression,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let mut sink = Self {
            output: OutputFolder::create(path, overwrite, Self::is_own)?,
            order: FrameOrder::new(path, recording.size, recording.frames),
            size: recording.size,
            compression,
            objects: KnownObjects::new(&recording.objects),
            stacks: Vec::new(),
            page: vec![0; recording.pixels()],
        };
        for object in sink.objects.numbers().to_vec() {
            sink.begin(object, 0)?;
        }
        Ok(sink)
    }

    /// Creates the stack of `object`, with empty pages for the `missed` frames before it appeared.
    fn begin(&mut self, object: u32, missed: usize) -> Result<(), WriteError> {
        let name = stack_name(object);
        let path = self.output.path().join(&name);
        let file = File::create(self.output.inside(&name))
            .map_err(|source| WriteError::Io { path: path.clone(), source })?;
        let failed = |error| stack_error(&path, error);
        let mut stack = TiffStack::begin(file, self.size, self.compression).map_err(failed)?;
        self.page.fill(0);
        for _ in 0..missed {
            stack.write_page(&self.page).map_err(failed)?;
        }
        self.stacks.push(stack);
        Ok(())
    }
}

impl MaskSink for ObjectStacksSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        for object in self.objects.admit(frame.objects) {
            self.begin(object, frame.index)?;
        }
        for (&object, stack) in self.objects.numbers().iter().zip(&mut self.stacks) {
            self.page.fill(0);
            if let Some(labelled) = entry(frame.objects, object) {
                labelled.mask.paint(&mut self.page, 255);
            }
            stack.write_page(&self.page).map_err(|error| {
                stack_error(&self.output.path().join(stack_name(object)), error)
            })?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        drop(self.stacks);
        self.output.complete()
    }
}

fn stack_name(object: u32) -> String {
    format!("object-{object:03}.btf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{masks, run};
    use crate::{Mask, MaskStackReader};

    #[test]
    fn each_object_has_a_page_for_every_frame_however_late_it_comes() {
        for compression in [StackCompression::None, StackCompression::Deflate] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("objects");
            let recording = RecordingInfo { objects: vec![3], ..RecordingInfo::new((4, 3), 3) };
            let sink = ObjectStacksSink::create(&path, &recording, compression, false).unwrap();
            let frames = [
                masks(&[(3, "0110 0110 0000")]),
                masks(&[]),
                masks(&[(1, "1111 1111 1111"), (3, "0000 0000 0001")]),
            ];
            run(sink, &frames);
            let stack = |name: &str| -> Vec<Mask> {
                MaskStackReader::open(&path.join(name)).unwrap().map(Result::unwrap).collect()
            };
            let empty = Mask::empty(4, 3);
            assert_eq!(
                stack("object-003.btf"),
                [frames[0][0].mask.clone(), empty.clone(), frames[2][1].mask.clone()]
            );
            assert_eq!(
                stack("object-001.btf"),
                [empty.clone(), empty.clone(), frames[2][0].mask.clone()]
            );
            assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2);
            assert!(ObjectStacksSink::is_own(&path.join("object-003.btf")));
            std::fs::write(path.join("object-of-study.btf"), "years of work").unwrap();
            assert!(!ObjectStacksSink::is_own(&path.join("object-of-study.btf")));
        }
    }
}
