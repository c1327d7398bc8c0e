//! Opening a path by what it is.

use std::path::Path;

use crate::error::FrameError;
use crate::image_folder::{ImageFolder, has_image_ending};
use crate::source::FrameSource;
use crate::video::VideoFrames;

/// Opens a video file, a folder of images, or a single image as a clip of one frame, by what is at `path`.
///
/// The result reads on demand; wrap it in [`LazyFrames`](crate::LazyFrames) for caching and prefetching.
///
/// # Errors
/// Those of [`VideoFrames::open`] and [`ImageFolder::open`].
pub fn open(path: impl AsRef<Path>) -> Result<Box<dyn FrameSource>, FrameError> {
    let path = path.as_ref();
    let metadata = std::fs::metadata(path).map_err(|error| FrameError::from_io(path, error))?;
    if metadata.is_dir() {
        Ok(Box::new(ImageFolder::open(path)?))
    } else if has_image_ending(path) {
        // FFmpeg would open these too, but its JPEG decoder is not bit-identical to the reference.
        Ok(Box::new(ImageFolder::from_files(vec![path.to_owned()])?))
    } else {
        Ok(Box::new(VideoFrames::open(path)?))
    }
}
