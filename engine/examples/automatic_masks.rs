//! Finds masks of everything in one frame of a recording and draws them over it.
//!
//!     cargo run --release -p sam2-engine --example automatic_masks -- MODEL.safetensors RECORDING FRAME OUT.png [POINTS_PER_SIDE [IOU [STABILITY [OFFSET]]]]
//!
//! The optional arguments are the points per side of the grid (32), the lowest predicted IoU (0.8),
//! the lowest stability score (0.95) and the stability score's offset (1). The bundled micro model
//! is weak: 0.3, 0.6 and 0.1 for the last three give some masks.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::ops::ControlFlow;

use sam2_engine::{
    AutomaticMaskGenerator, AutomaticMaskOptions, DeviceChoice, FrameSource, LazyFrames,
    LazyOptions, PointGrids, Sam2,
};
use sam2_mask_writer::blend;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, recording, frame, output, options @ ..] = &arguments[..] else {
        return Err(
            "give MODEL RECORDING FRAME OUT.png [POINTS_PER_SIDE [IOU [STABILITY [OFFSET]]]]"
                .into(),
        );
    };
    let number = |index: usize, default: f64| -> Result<f64, Box<dyn Error>> {
        Ok(options.get(index).map_or(Ok(default), |text| text.parse())?)
    };
    let options = AutomaticMaskOptions {
        point_grids: PointGrids::PerSide(number(0, 32.0)? as u32),
        pred_iou_thresh: number(1, 0.8)?,
        stability_score_thresh: number(2, 0.95)?,
        stability_score_offset: number(3, 1.0)?,
        ..AutomaticMaskOptions::default()
    };

    let model = Sam2::load(model, &DeviceChoice::Auto.open()?)?;
    let image = LazyFrames::open(recording, LazyOptions::default())?.frame(frame.parse()?)?;
    let generator = AutomaticMaskGenerator::new(&model, options)?;
    let mut records = generator.generate_observed(&image, |progress| {
        eprintln!("{} of {} points", progress.points_done, progress.points);
        ControlFlow::Continue(())
    })?;

    // Large masks first, so that smaller masks inside them are drawn on top.
    records.sort_by_key(|record| std::cmp::Reverse(record.area));
    let (width, height) = (image.width(), image.height());
    let mut pixels = image.data().to_vec();
    for (index, record) in records.iter().enumerate() {
        blend(&mut pixels, &record.segmentation.to_mask()?, index as u32 + 1);
        println!(
            "{} pixels at {:?}, predicted IoU {:.3}, stability {:.3}",
            record.area, record.bbox, record.predicted_iou, record.stability_score
        );
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(output)?), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    println!("{} masks in {output}", records.len());
    Ok(())
}
