//! Scaling is bit-identical with OpenCV and PyTorch. `data/make_resize.py` makes the expected
//! results. (Pillow: `pillow.rs`; FFmpeg: `src/resize/swscale.rs`.)

mod common;

use common::noise;
use sam2_frame_provider::resize::{
    ResizeMode, cv2_linear, pillow_bicubic, resize, torch_bilinear_antialias,
    torch_bilinear_antialias_float,
};
use xxhash_rust::xxh3::xxh3_64;

#[test]
fn scaling_is_that_of_opencv_and_pytorch() {
    let mut compared = 0;
    let table = include_str!("data/resize_modes.tsv").lines().filter(|line| !line.starts_with('#'));
    for row in table {
        let row: Vec<&str> = row.split('\t').collect();
        let [width, height, to_width, to_height, seed] =
            [0, 1, 2, 3, 4].map(|column| row[column].parse().unwrap());
        let frame = noise(width, height, seed);
        let floats: Vec<u8> = torch_bilinear_antialias_float(&frame, to_width, to_height)
            .into_iter()
            .flat_map(f32::to_ne_bytes)
            .collect();
        let hashes = [
            xxh3_64(cv2_linear(&frame, to_width, to_height).data()),
            xxh3_64(torch_bilinear_antialias(&frame, to_width, to_height).data()),
            xxh3_64(&floats),
        ];
        for (name, (hash, expected)) in
            ["cv2", "torch bytes", "torch floats"].iter().zip(hashes.iter().zip(&row[5..]))
        {
            if *expected == "-" {
                continue;
            }
            assert_eq!(
                format!("{hash:016x}"),
                *expected,
                "{name}: {width}x{height} to {to_width}x{to_height}, seed {seed}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 146);
}

#[test]
fn the_modes_are_those_functions() {
    let frame = noise(33, 31, 4);
    let scaled = |mode| resize(&frame, 20, 40, mode).unwrap();
    assert_eq!(scaled(ResizeMode::default()), pillow_bicubic(&frame, 20, 40));
    assert_eq!(scaled(ResizeMode::Cv2Linear), cv2_linear(&frame, 20, 40));
    assert_eq!(
        scaled(ResizeMode::TorchBilinearAntialias),
        torch_bilinear_antialias(&frame, 20, 40)
    );
}
