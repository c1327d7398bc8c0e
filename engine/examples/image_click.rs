//! Segments an object in an image with one click: three candidates, the best of them refined,
//! written as PNG and TIFF.
//!
//!     cargo run --release -p sam2-engine --example image_click [-- MODEL IMAGE X Y FOLDER]
//!
//! IMAGE may also be a video; its first frame is used.

mod shared;

use std::error::Error;

use sam2_engine::frames;
use sam2_engine::{
    BigTiffSink, ContactSheetSink, DeviceChoice, ImageMask, ImagePredictor, ImagePrompt,
    LabelledMask, MaskFrame, MaskSink, PixelValues, Point, RecordingInfo, Sam2,
};

fn main() -> Result<(), Box<dyn Error>> {
    let model = Sam2::load(shared::file(1, shared::MODEL), &DeviceChoice::Auto.open()?)?;
    let image = frames::open(shared::file(2, "clips/two-crossing.mp4"))?.frame(0)?;
    let click = Point::positive(shared::argument(3, 54.0)?, shared::argument(4, 101.0)?);
    let folder = shared::folder(5, "image_click")?;

    // The encoder runs once per image; every prompt after that costs a fraction of it.
    let predictor = ImagePredictor::new(&model);
    let encoded = predictor.encode(&image)?;

    // A click can mean a part, an object or a group: request all three candidates and keep the one
    // with the highest predicted IoU.
    let prompt = ImagePrompt { points: vec![click], candidates: true, ..ImagePrompt::default() };
    let mut answers = predictor.predict(&encoded, &prompt)?;
    let trust = |a: &&ImageMask, b: &&ImageMask| a.predicted_iou.total_cmp(&b.predicted_iou);
    let best = answers.iter().max_by(trust).ok_or("the model gave no candidate")?;

    // Its logits are fed back with the click, which sharpens the mask. More clicks, also negative
    // ones, could be added here.
    let refine = ImagePrompt {
        points: vec![click],
        mask_logits: Some(best.low_res_logits.clone()),
        ..ImagePrompt::default()
    };
    let refined = predictor.predict(&encoded, &refine)?;
    answers.extend(refined);
    for (index, answer) in answers.iter().enumerate() {
        let name = if index < 3 { "candidate" } else { "refined" };
        let (area, iou) = (answer.mask.area(), answer.predicted_iou);
        println!("{name} {index}: {area} pixels, predicted IoU {iou:.3}");
    }

    // One picture with the answers side by side, and a TIFF of the refined mask alone (0 and 255).
    let size = (image.width(), image.height());
    let (picture, stack) = (folder.join("answers.png"), folder.join("mask.tif"));
    let mut sheet = Box::new(ContactSheetSink::create(
        &picture,
        &RecordingInfo::new(size, answers.len()),
        &[],
        true,
    )?);
    let mut mask = Box::new(BigTiffSink::create(&stack, size, 1, PixelValues::Binary, true)?);
    for (index, answer) in answers.into_iter().enumerate() {
        let objects = [LabelledMask::new(1, answer.mask)];
        sheet.write(&MaskFrame::new(index, &objects).with_image(Some(image.data())))?;
        if index == 3 {
            mask.write(&MaskFrame::new(0, &objects))?;
        }
    }
    sheet.finish()?.publish()?;
    mask.finish()?.publish()?;
    println!("wrote {} and {}", picture.display(), stack.display());
    Ok(())
}
