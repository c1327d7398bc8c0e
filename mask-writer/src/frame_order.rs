//! Checks shared by all sinks that have a place for every frame: each frame is the next one and has
//! the right size, and none is missing at the end.

use std::path::{Path, PathBuf};

use crate::error::WriteError;
use crate::sink::MaskFrame;

/// Counts the frames of one output.
#[derive(Debug)]
pub(crate) struct FrameOrder {
    path: PathBuf,
    size: (u32, u32),
    frames: usize,
    written: usize,
}

impl FrameOrder {
    pub(crate) fn new(path: &Path, size: (u32, u32), frames: usize) -> Self {
        Self { path: path.to_owned(), size, frames, written: 0 }
    }

    /// Counts `frame`.
    ///
    /// # Errors
    /// If it is not the next frame, or if one of its masks has a size other than the recording's.
    pub(crate) fn accept(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        if frame.index != self.written || self.written >= self.frames {
            return Err(WriteError::OutOfOrder {
                path: self.path.clone(),
                expected: self.written,
                found: frame.index,
            });
        }
        let (width, height) = self.size;
        for mask in frame.objects.iter().map(|labelled| &labelled.mask) {
            if (mask.width(), mask.height()) != (width, height) {
                return Err(WriteError::Size {
                    path: self.path.clone(),
                    frame: frame.index,
                    expected: format!("{width} x {height}"),
                    found: format!("{} x {}", mask.width(), mask.height()),
                });
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Returns the frame's RGB8 pixels.
    ///
    /// # Errors
    /// If the frame has no image, or if the image is not `width * height * 3` bytes long.
    #[cfg(feature = "overlay")]
    pub(crate) fn image<'a>(&self, frame: &MaskFrame<'a>) -> Result<&'a [u8], WriteError> {
        let image = frame.image.ok_or_else(|| self.missing(frame, "the picture"))?;
        self.check_length(frame, image.len(), 3)?;
        Ok(image)
    }

    /// Returns the error for a frame that lacks `what`.
    pub(crate) fn missing(&self, frame: &MaskFrame<'_>, what: &'static str) -> WriteError {
        WriteError::Missing { path: self.path.clone(), frame: frame.index, what }
    }

    /// Checks that there are exactly `per_pixel` values for each pixel.
    pub(crate) fn check_length(
        &self,
        frame: &MaskFrame<'_>,
        found: usize,
        per_pixel: usize,
    ) -> Result<(), WriteError> {
        let expected = self.size.0 as usize * self.size.1 as usize * per_pixel;
        if found == expected {
            return Ok(());
        }
        Err(WriteError::Size {
            path: self.path.clone(),
            frame: frame.index,
            expected: format!("{expected} values"),
            found: format!("{found} values"),
        })
    }

    /// Checks that every frame has been counted.
    pub(crate) fn complete(&self) -> Result<(), WriteError> {
        if self.written == self.frames {
            return Ok(());
        }
        Err(WriteError::Incomplete {
            path: self.path.clone(),
            expected: self.frames,
            found: self.written,
        })
    }
}
