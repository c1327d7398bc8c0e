//! A stack of masks as BigTIFF: one page a frame.

use std::fs::File;
use std::path::Path;

use tiff::TiffError;
use tiff::encoder::{TiffEncoder, TiffKindBig};
use tiff::tags::{CompressionMethod, PhotometricInterpretation, Tag};

use crate::error::WriteError;
use crate::output_file::{CompleteOutput, OutputFile};
use crate::sink::{MaskFrame, MaskSink};

/// What the pixels of a page say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PixelValues {
    /// 255 where any object is, else 0.
    #[default]
    Binary,
    /// The object's number (1..=255), the smallest where objects overlap, 0 elsewhere.
    ObjectIds,
}

/// Writes one uncompressed 8-bit page per frame.
///
/// No page carries a description, so that `tifffile` reads the stack as one series `(frames, height, width)` and OpenCV
/// and Fiji as a plain stack. Memory stays at one page.
pub struct BigTiffSink {
    output: OutputFile,
    // Writes through its own handle, unbuffered: pages are large, and an error shows at once.
    encoder: TiffEncoder<File, TiffKindBig>,
    width: u32,
    height: u32,
    frames: usize,
    written: usize,
    values: PixelValues,
    page: Vec<u8>,
}

impl BigTiffSink {
    /// Starts a stack of `frames` pages of `width` x `height`.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        (width, height): (u32, u32),
        frames: usize,
        values: PixelValues,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let encoder = TiffEncoder::new_big(output.try_clone()?).map_err(|e| encode(&output, e))?;
        let page = vec![0; width as usize * height as usize];
        Ok(Self { output, encoder, width, height, frames, written: 0, values, page })
    }
}

impl BigTiffSink {
    /// Appends the page as one strip with the baseline tags and no others.
    ///
    /// The encoder's own image writer adds a predictor, about which OpenCV prints a warning for every page.
    fn write_page(&mut self) -> Result<(), TiffError> {
        let mut page = self.encoder.image_directory()?;
        let offset = page.write_data(&self.page[..])?;
        page.write_tag(Tag::ImageWidth, self.width)?;
        page.write_tag(Tag::ImageLength, self.height)?;
        page.write_tag(Tag::BitsPerSample, 8_u16)?;
        page.write_tag(Tag::Compression, CompressionMethod::None)?;
        page.write_tag(Tag::PhotometricInterpretation, PhotometricInterpretation::BlackIsZero)?;
        page.write_tag(Tag::StripOffsets, offset)?;
        page.write_tag(Tag::SamplesPerPixel, 1_u16)?;
        page.write_tag(Tag::RowsPerStrip, self.height)?;
        page.write_tag(Tag::StripByteCounts, self.page.len() as u64)?;
        page.finish()
    }
}

impl MaskSink for BigTiffSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        if frame.index != self.written || self.written >= self.frames {
            return Err(WriteError::OutOfOrder {
                path: self.output.path().to_owned(),
                expected: self.written,
                found: frame.index,
            });
        }
        self.page.fill(0);
        // Largest number first, so that the smallest is painted last and wins.
        let mut objects: Vec<_> = frame.objects.iter().collect();
        objects.sort_by_key(|labelled| std::cmp::Reverse(labelled.object));
        for labelled in objects {
            let mask = &labelled.mask;
            if (mask.width(), mask.height()) != (self.width, self.height) {
                return Err(WriteError::Size {
                    path: self.output.path().to_owned(),
                    frame: frame.index,
                    expected: format!("{} x {}", self.width, self.height),
                    found: format!("{} x {}", mask.width(), mask.height()),
                });
            }
            let value = match self.values {
                PixelValues::Binary => 255,
                PixelValues::ObjectIds => labelled.object.min(255) as u8,
            };
            mask.paint(&mut self.page, value);
        }
        self.write_page().map_err(|error| encode(&self.output, error))?;
        self.written += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        if self.written != self.frames {
            return Err(WriteError::Incomplete {
                path: self.output.path().to_owned(),
                expected: self.frames,
                found: self.written,
            });
        }
        drop(self.encoder);
        self.output.complete()
    }
}

fn encode(output: &OutputFile, error: TiffError) -> WriteError {
    match error {
        TiffError::IoError(source) => output.io_error(source),
        other => WriteError::Encode { path: output.path().to_owned(), message: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LabelledMask, Mask};
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

    fn write(values: PixelValues) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.btf");
        let mut sink = Box::new(BigTiffSink::create(&path, (3, 2), 2, values, false).unwrap());
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
        assert_eq!(write(PixelValues::Binary), [vec![255, 255, 255, 0, 0, 0], vec![0; 6]]);
        assert_eq!(write(PixelValues::ObjectIds), [vec![1, 1, 2, 0, 0, 0], vec![0; 6]]);
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
