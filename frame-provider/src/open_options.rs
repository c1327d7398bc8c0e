//! How a recording is opened.

use std::path::PathBuf;

use crate::axes::Axes;
use crate::intensity::Intensity;
use crate::video_options::VideoOptions;

/// Settings of [`open_with`](crate::open_with). Settings that do not apply to the kind of source found are ignored.
/// The exceptions are [`OpenOptions::axes`] and [`VideoOptions::stream`], which cause an error
/// where there is nothing to choose from.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// How samples become 8-bit samples. Default [`Intensity::Auto`].
    pub intensity: Intensity,
    /// Which images of a recording with several axes are its frames. Default: see [`Axes`].
    pub axes: Axes,
    /// True if still images stay as they are stored instead of being turned upright; see
    /// [`OpenOptions::exif`].
    pub as_stored: bool,
    /// Settings for video files.
    pub video: VideoOptions,
    /// Further video files of the same recording, in their order; see `JoinedFrames`.
    pub join: Vec<PathBuf>,
}

impl OpenOptions {
    /// Returns the same options with this intensity.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Returns the same options with these axes.
    #[must_use]
    pub fn axes(mut self, axes: Axes) -> Self {
        self.axes = axes;
        self
    }

    /// Returns the same options with these further files of the recording.
    #[must_use]
    pub fn join(mut self, files: Vec<PathBuf>) -> Self {
        self.join = files;
        self
    }

    /// Returns the same options with still images turned upright as their EXIF data says (the
    /// default), or left as they are stored.
    #[must_use]
    pub fn exif(mut self, upright: bool) -> Self {
        self.as_stored = !upright;
        self
    }

    /// Returns true if still images are turned upright.
    pub(crate) fn is_upright(&self) -> bool {
        !self.as_stored
    }

    /// Returns the same options with these settings for video files.
    #[must_use]
    pub fn video(mut self, video: VideoOptions) -> Self {
        self.video = video;
        self
    }
}
