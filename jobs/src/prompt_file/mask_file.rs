//! Mask images as prompts.

use std::path::Path;

use sam2_mask_writer::{LabelImage, Mask};

use super::PromptFileError;
use sam2_engine::ObjectId;

/// Reads a mask for a frame from a PNG or TIFF file of the recording's size, or from page `frame`
/// of a TIFF stack. With an object, the mask is every pixel that is not 0. Without one, the image
/// may hold several objects by number.
///
/// # Errors
/// [`PromptFileError`] for an image that cannot be read, is empty, or holds values that cannot be
/// object numbers.
pub fn read_mask(
    path: &Path,
    frame: usize,
    object: Option<ObjectId>,
) -> Result<Vec<(ObjectId, Mask)>, PromptFileError> {
    let image = LabelImage::read(path, frame)?;
    let masks: Vec<(ObjectId, Mask)> = match object {
        Some(object) => vec![(object, image.foreground())],
        None => image.objects()?.into_iter().map(|(id, mask)| (ObjectId(id), mask)).collect(),
    };
    if masks.iter().all(|(_, mask)| mask.area() == 0) {
        return Err(PromptFileError::EmptyMask { path: path.to_owned() });
    }
    Ok(masks)
}
