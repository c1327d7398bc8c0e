//! A stack of masks as BigTIFF: one page per frame.

use std::path::Path;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::known_objects::paint_all;
use crate::output_file::{CompleteOutput, OutputFile};
use crate::sink::{LabelledMask, MaskFrame, MaskSink};
use crate::tiff_stack::{StackCompression, TiffStack, stack_error};

/// The meaning of a page's pixel values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PixelValues {
    /// 255 where there is any object, else 0.
    #[default]
    Binary,
    /// The object's number (1..=255), the smallest where objects overlap, 0 for background.
    ObjectIds,
}

/// Writes one 8-bit page per frame.
///
/// `tifffile` reads the stack as one series `(frames, height, width)`; OpenCV and Fiji read it as a
/// plain stack. Memory use is one page.
pub struct BigTiffSink {
    output: OutputFile,
    stack: TiffStack,
    order: FrameOrder,
    values: PixelValues,
    page: Vec<u8>,
}

impl BigTiffSink {
    /// Creates an uncompressed stack of `frames` pages of `size` = (width, height).
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        size: (u32, u32),
        frames: usize,
        values: PixelValues,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        Self::create_compressed(path, size, frames, values, StackCompression::None, overwrite)
    }

    /// Creates a stack with compressed pages.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_compressed(
        path: &Path,
        size: (u32, u32),
        frames: usize,
        values: PixelValues,
        compression: StackCompression,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let stack = TiffStack::begin(output.try_clone()?, size, compression)
            .map_err(|error| stack_error(path, error))?;
        let page = vec![0; size.0 as usize * size.1 as usize];
        Ok(Self { output, stack, order: FrameOrder::new(path, size, frames), values, page })
    }
}

impl MaskSink for BigTiffSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        match self.values {
            PixelValues::Binary => paint_all(&mut self.page, frame.objects, |_| 255),
            PixelValues::ObjectIds => {
                check_numbers(self.output.path(), frame)?;
                paint_all(&mut self.page, frame.objects, |object| object as u8);
            }
        }
        self.stack.write_page(&self.page).map_err(|error| stack_error(self.output.path(), error))
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        drop(self.stack);
        self.output.complete()
    }
}

/// Checks that every object number fits into a pixel.
pub(crate) fn check_numbers(path: &Path, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
    let largest = u32::from(u8::MAX);
    match frame.objects.iter().find(|labelled| labelled.object > largest) {
        Some(&LabelledMask { object, .. }) => {
            Err(WriteError::ObjectNumber { path: path.to_owned(), object, largest })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mask;
    use std::fs::File;
    use tiff::decoder::{Decoder, DecodingResult};

    fn pages(path: &Path) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::new(File::open(path).unwrap()).unwrap();
        let mut pages = Vec::new();
        loop {
            assert_eq!(decoder.dimensions().unwrap(), (3, 2));
            match decoder.read_image().unwrap() {
                DecodingResult::U8(page) => pages.push(page),
                other => panic!("not 8-bit: {other:?}"),
            }
            if !decoder.more_images() {
                return pages;
            }
            decoder.next_image().unwrap();
        }
    }

    fn object(object: u32, pixels: [u8; 6]) -> LabelledMask {
        let mask = Mask::from_pixels(3, 2, pixels.iter().map(|&p| p > 0)).unwrap();
        LabelledMask::new(object, mask)
    }

    fn write(values: PixelValues, compression: StackCompression) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.btf");
        let sink =
            BigTiffSink::create_compressed(&path, (3, 2), 2, values, compression, false).unwrap();
        let mut sink = Box::new(sink);
        let objects = [object(1, [1, 1, 0, 0, 0, 0]), object(2, [0, 1, 1, 0, 0, 0])];
        sink.write(&MaskFrame::new(0, &objects)).unwrap();
        sink.write(&MaskFrame::new(1, &[])).unwrap();
        sink.finish().unwrap().publish().unwrap();
        assert_eq!(&std::fs::read(&path).unwrap()[..8], b"II\x2b\0\x08\0\0\0");
        let areas: Vec<u64> =
            crate::MaskStackReader::open(&path).unwrap().map(|mask| mask.unwrap().area()).collect();
        assert_eq!(areas, [3, 0]);
        pages(&path)
    }

    #[test]
    fn pages_hold_the_union_or_the_ids() {
        for compression in
            [StackCompression::None, StackCompression::Deflate, StackCompression::PackBits]
        {
            let binary = write(PixelValues::Binary, compression);
            assert_eq!(binary, [vec![255, 255, 255, 0, 0, 0], vec![0; 6]]);
            let ids = write(PixelValues::ObjectIds, compression);
            assert_eq!(ids, [vec![1, 1, 2, 0, 0, 0], vec![0; 6]]);
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.btf");
        let create = |values| BigTiffSink::create(&path, (3, 2), 1, values, false).unwrap();
        let objects = [object(256, [1; 6])];
        let frame = MaskFrame::new(0, &objects);
        create(PixelValues::Binary).write(&frame).unwrap();
        let refused = create(PixelValues::ObjectIds).write(&frame).unwrap_err();
        assert!(matches!(refused, WriteError::ObjectNumber { object: 256, largest: 255, .. }));
    }

    #[test]
    fn lost_and_shifted_frames_are_errors_and_leave_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.btf");
        let create =
            || Box::new(BigTiffSink::create(&path, (3, 2), 2, PixelValues::Binary, false).unwrap());
        let empty = |index| MaskFrame::new(index, &[]);
        let mut sink = create();
        assert!(matches!(sink.write(&empty(1)), Err(WriteError::OutOfOrder { .. })));
        drop(sink);
        let mut sink = create();
        sink.write(&empty(0)).unwrap();
        assert!(matches!(sink.finish(), Err(WriteError::Incomplete { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
