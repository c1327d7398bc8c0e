//! Scaling and decoding of still images are bit-identical with Pillow. `data/make_golden.py` makes
//! the expected results.

mod common;

use std::path::Path;

use common::noise;
use sam2_frame_provider::resize::pillow_bicubic;
use sam2_frame_provider::{FrameError, FrameSource, ImageFolder, Intensity};
use xxhash_rust::xxh3::xxh3_64;

fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

#[test]
fn scaling_is_that_of_pillow() {
    let mut compared = 0;
    for row in rows(include_str!("data/resize.tsv")) {
        let [width, height, to_width, to_height, seed] =
            [0, 1, 2, 3, 4].map(|column| row[column].parse().unwrap());
        let scaled = pillow_bicubic(&noise(width, height, seed), to_width, to_height);
        assert_eq!((scaled.width(), scaled.height()), (to_width, to_height));
        assert_eq!(
            format!("{:016x}", xxh3_64(scaled.data())),
            row[5],
            "{width}x{height} to {to_width}x{to_height}, seed {seed}"
        );
        compared += 1;
    }
    assert_eq!(compared, 66);
}

fn images() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images"))
}

#[test]
fn image_files_are_those_of_pillow() {
    let mut compared = 0;
    for row in rows(include_str!("data/images.tsv")) {
        let clip = ImageFolder::from_files(vec![images().join(row[0])]).unwrap();
        // The table has the upper byte of 16-bit samples.
        let clip = clip.with_intensity(Intensity::Full);
        let size = if row[0] == "exif_orientation.jpg" { "45x67" } else { "67x45" };
        assert_eq!(clip.info().size.to_string(), size, "{}", row[0]);
        let frame = clip.frame(0).unwrap();
        assert_eq!(format!("{:016x}", xxh3_64(frame.data())), row[1], "{}", row[0]);
        compared += 1;
    }
    assert_eq!(compared, 17);
}

#[test]
fn cmyk_and_stacks_are_refused_by_name() {
    for (name, word) in [("cmyk.jpg.refused", "CMYK"), ("stack.tif.refused", "several pages")] {
        let error = ImageFolder::from_files(vec![images().join(name)]).unwrap_err();
        assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(name), "{text}");
    }
}
