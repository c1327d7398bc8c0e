//! Pages of 8-bit pixels in a BigTIFF file.

use std::fs::File;
use std::path::Path;

use tiff::TiffError;
use tiff::encoder::compression::{CompressionAlgorithm, Deflate, Packbits};
use tiff::encoder::{TiffEncoder, TiffKindBig};
use tiff::tags::{CompressionMethod, PhotometricInterpretation, Tag};

use crate::error::WriteError;

/// The compression of a stack's pages. Each page is one strip in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StackCompression {
    /// Uncompressed: readable by every program, and can be memory-mapped.
    #[default]
    None,
    /// The algorithm of ZIP files (TIFF's number 8): masks become a few hundred times smaller.
    Deflate,
    /// Run-length encoding of bytes (TIFF's number 32773): larger than deflate, but readable
    /// without a compression library.
    PackBits,
}

/// Appends pages to a BigTIFF file.
///
/// Each page is one strip with only the baseline tags. Pages carry no description, so that
/// `tifffile` reads the stack as one series `(frames, height, width)` and OpenCV and Fiji as a
/// plain stack. The encoder's own image writer adds a predictor, which makes OpenCV print a warning
/// for every page.
pub(crate) struct TiffStack {
    // Writes through its own handle, unbuffered: pages are large, and errors appear at once.
    encoder: TiffEncoder<File, TiffKindBig>,
    width: u32,
    height: u32,
    compression: StackCompression,
    /// The compressed page; the buffer is reused.
    packed: Vec<u8>,
}

impl TiffStack {
    /// Writes the header.
    pub(crate) fn begin(
        file: File,
        (width, height): (u32, u32),
        compression: StackCompression,
    ) -> Result<Self, TiffError> {
        let encoder = TiffEncoder::new_big(file)?;
        Ok(Self { encoder, width, height, compression, packed: Vec::new() })
    }

    /// Appends a page of `width * height` bytes.
    pub(crate) fn write_page(&mut self, pixels: &[u8]) -> Result<(), TiffError> {
        self.packed.clear();
        let method = match self.compression {
            StackCompression::None => CompressionMethod::None,
            StackCompression::Deflate => {
                Deflate::default().write_to(&mut self.packed, pixels)?;
                CompressionMethod::Deflate
            }
            StackCompression::PackBits => {
                // Row by row, as the specification requires: no run crosses the end of a row.
                for row in pixels.chunks_exact(self.width as usize) {
                    Packbits.write_to(&mut self.packed, row)?;
                }
                CompressionMethod::PackBits
            }
        };
        let strip =
            if self.compression == StackCompression::None { pixels } else { &self.packed[..] };
        let mut page = self.encoder.image_directory()?;
        let offset = page.write_data(strip)?;
        page.write_tag(Tag::ImageWidth, self.width)?;
        page.write_tag(Tag::ImageLength, self.height)?;
        page.write_tag(Tag::BitsPerSample, 8_u16)?;
        page.write_tag(Tag::Compression, method)?;
        page.write_tag(Tag::PhotometricInterpretation, PhotometricInterpretation::BlackIsZero)?;
        page.write_tag(Tag::StripOffsets, offset)?;
        page.write_tag(Tag::SamplesPerPixel, 1_u16)?;
        page.write_tag(Tag::RowsPerStrip, self.height)?;
        page.write_tag(Tag::StripByteCounts, strip.len() as u64)?;
        page.finish()
    }
}

/// Converts the encoder's error into a [`WriteError`] for `path`.
pub(crate) fn stack_error(path: &Path, error: TiffError) -> WriteError {
    match error {
        TiffError::IoError(source) => WriteError::Io { path: path.to_owned(), source },
        other => WriteError::Encode { path: path.to_owned(), message: other.to_string() },
    }
}
