//! A click on an image in memory. `make light` builds this without default features, so without
//! FFmpeg or any other library in C.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{Device, ImagePredictor, ImagePrompt, Mask, Point, RgbFrame, Sam2};

const WEIGHTS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/micro/sam2.1_hiera_micro.safetensors");

/// Draws a dark ellipse on a light, slightly uneven ground. Returns the picture and the ellipse.
fn ellipse(width: u32, height: u32) -> (RgbFrame, Mask) {
    let mut pixels = Vec::new();
    let mut truth = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = ((x as f32 - 150.0) / 46.0, (y as f32 - 120.0) / 30.0);
            let inside = dx * dx + dy * dy <= 1.0;
            truth.push(inside);
            let ground = 190 + ((x * 7 + y * 13) % 11) as u8;
            pixels.extend([if inside { 60 } else { ground }; 3]);
        }
    }
    let mask = Mask::from_pixels(width, height, truth.into_iter()).unwrap();
    (RgbFrame::new(width, height, pixels).unwrap(), mask)
}

#[test]
fn a_click_on_an_image_in_memory_gives_its_mask() {
    let model = Sam2::load(WEIGHTS, &Device::flex()).unwrap();
    let predictor = ImagePredictor::new(&model);
    let (image, ellipse) = ellipse(320, 240);
    // The predictor owns what it needs of the model.
    drop(model);
    let encoded = predictor.encode(&image).unwrap();
    let prompt = ImagePrompt { points: vec![Point::positive(150.0, 120.0)], ..Default::default() };
    let masks = predictor.predict(&encoded, &prompt).unwrap();
    assert_eq!(masks.len(), 1);
    let iou = masks[0].mask.iou(&ellipse);
    // The demonstration model has not seen drawings: it finds most of the ellipse.
    assert!(iou > 0.6, "{iou}");
}
