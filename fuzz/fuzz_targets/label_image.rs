//! Any bytes as a mask image must be rejected, or give objects of the size that the image claims.

#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use sam2_mask_writer::LabelImage;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(data).unwrap();
    for page in [0, 1] {
        let Ok(image) = LabelImage::read(file.path(), page) else { continue };
        let size = (image.width(), image.height());
        for (object, mask) in image.objects().unwrap_or_default() {
            assert!((1..=255).contains(&object) && mask.area() > 0);
            assert_eq!((mask.width(), mask.height()), size);
        }
    }
});
