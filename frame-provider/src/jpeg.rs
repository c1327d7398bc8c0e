//! JPEG, by libjpeg-turbo. Without the feature `jpeg`, every call is an error that names it.

/// Colours of the stored samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "jpeg"), allow(dead_code))]
pub(crate) enum Colours {
    /// One channel.
    Gray,
    /// Red, green and blue.
    Rgb,
    /// Luma and two colour differences.
    YCbCr,
    /// Four inks, in one of two ways. libjpeg-turbo does not convert them.
    Inks(&'static str),
}

/// What the header of a JPEG says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    /// Pixels per row.
    pub(crate) width: usize,
    /// Number of rows.
    pub(crate) height: usize,
    /// Colours of the stored samples.
    pub(crate) colours: Colours,
}

/// Samples that a decode gives, 8 bits each, interleaved, without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `[height, width]`.
    Gray,
    /// `[height, width, 3]`.
    Rgb,
}

impl Layout {
    /// Returns the number of samples per pixel.
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
        }
    }
}

pub(crate) use library::{JpegError, decode, encode, header};

#[cfg(feature = "jpeg")]
mod library {
    use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat, Subsamp};

    use super::{Colours, Header, Layout};
    use crate::frame::RgbFrame;

    /// Error of libjpeg-turbo.
    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    pub(crate) struct JpegError(#[from] turbojpeg::Error);

    /// Reads the header. The first bytes of a file are enough if they hold the whole header.
    pub(crate) fn header(bytes: &[u8]) -> Result<Header, JpegError> {
        let found = turbojpeg::read_header(bytes)?;
        let colours = match found.colorspace {
            Colorspace::Gray => Colours::Gray,
            Colorspace::RGB => Colours::Rgb,
            Colorspace::YCbCr => Colours::YCbCr,
            Colorspace::CMYK => Colours::Inks("CMYK"),
            Colorspace::YCCK => Colours::Inks("YCCK"),
        };
        Ok(Header { width: found.width, height: found.height, colours })
    }

    /// Decodes a JPEG whose header is known.
    pub(crate) fn decode(
        bytes: &[u8],
        header: Header,
        layout: Layout,
    ) -> Result<Vec<u8>, JpegError> {
        let Header { width, height, .. } = header;
        let format = match layout {
            Layout::Gray => PixelFormat::GRAY,
            Layout::Rgb => PixelFormat::RGB,
        };
        let pitch = width * layout.channels();
        let mut pixels = vec![0; pitch * height];
        let target = Image { pixels: pixels.as_mut_slice(), width, pitch, height, format };
        Decompressor::new()?.decompress(bytes, target)?;
        Ok(pixels)
    }

    /// Encodes a frame with half the colour resolution in both directions (4:2:0).
    pub(crate) fn encode(frame: &RgbFrame, quality: i32) -> Result<Vec<u8>, JpegError> {
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let format = PixelFormat::RGB;
        let image = Image { pixels: frame.data(), width, pitch: width * 3, height, format };
        Ok(turbojpeg::compress(image, quality, Subsamp::Sub2x2)?.to_vec())
    }
}

#[cfg(not(feature = "jpeg"))]
mod library {
    use super::{Header, Layout};
    use crate::frame::RgbFrame;

    /// The only error of a build without JPEG.
    #[derive(Debug, thiserror::Error)]
    #[error("this build has no JPEG: build sam2-frame-provider with the feature `jpeg`")]
    pub(crate) struct JpegError;

    /// Fails.
    pub(crate) fn header(_: &[u8]) -> Result<Header, JpegError> {
        Err(JpegError)
    }

    /// Fails.
    pub(crate) fn decode(_: &[u8], _: Header, _: Layout) -> Result<Vec<u8>, JpegError> {
        Err(JpegError)
    }

    /// Fails.
    pub(crate) fn encode(_: &RgbFrame, _: i32) -> Result<Vec<u8>, JpegError> {
        Err(JpegError)
    }
}
