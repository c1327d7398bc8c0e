//! Reads a stack of masks back, page by page.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use tiff::decoder::{Decoder, DecodingResult};

use crate::mask::Mask;

/// A stack that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the stack '{path}': {message}")]
pub struct ReadError {
    path: PathBuf,
    message: String,
}

/// Yields one mask per page of an 8- or 16-bit grey TIFF or BigTIFF stack. Pixels other than 0 are
/// foreground.
pub struct MaskStackReader {
    path: PathBuf,
    decoder: Option<Decoder<BufReader<File>>>,
}

impl MaskStackReader {
    /// Opens a stack.
    ///
    /// # Errors
    /// [`ReadError`] if it is not a TIFF file.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |message: String| ReadError { path: path.to_owned(), message };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let decoder =
            Decoder::new(BufReader::new(file)).map_err(|error| failed(error.to_string()))?;
        Ok(Self { path: path.to_owned(), decoder: Some(decoder) })
    }

    fn page(decoder: &mut Decoder<BufReader<File>>) -> Result<Mask, String> {
        let text = |error: tiff::TiffError| error.to_string();
        let (width, height) = decoder.dimensions().map_err(text)?;
        let pixels: Vec<bool> = match decoder.read_image().map_err(text)? {
            DecodingResult::U8(page) => page.into_iter().map(|p| p != 0).collect(),
            DecodingResult::U16(page) => page.into_iter().map(|p| p != 0).collect(),
            _ => return Err("its pixels are neither 8- nor 16-bit integers".into()),
        };
        Mask::from_pixels(width, height, pixels.into_iter()).map_err(|error| error.to_string())
    }
}

impl Iterator for MaskStackReader {
    type Item = Result<Mask, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut decoder = self.decoder.take()?;
        let mask = Self::page(&mut decoder)
            .map_err(|message| ReadError { path: self.path.clone(), message });
        if mask.is_ok() && decoder.more_images() {
            match decoder.next_image() {
                Ok(()) => self.decoder = Some(decoder),
                Err(error) => {
                    let message = error.to_string();
                    return Some(Err(ReadError { path: self.path.clone(), message }));
                }
            }
        }
        Some(mask)
    }
}
