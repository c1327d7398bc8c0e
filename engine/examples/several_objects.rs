//! Tracks two look-alikes in one session, with a correction on the way. Each object has its own
//! number in the stack.
//!
//!     cargo run --release -p sam2-engine --example several_objects [-- MODEL RECORDING X1 Y1 X2 Y2 FRAME X Y NX NY FOLDER]
//!
//! X1 Y1 and X2 Y2 are points on the two objects in frame 0. In FRAME, X Y is a point on object 2
//! and NX NY a point outside it.
//!
//! The two are a hard case: the demonstration model confuses them where they cross.

mod shared;

use std::error::Error;

use sam2_engine::{
    BigTiffSink, ContactSheetSink, DeviceChoice, Direction, FrameMasks, FrameSource, LazyFrames,
    LazyOptions, MaskFrame, MaskSink, ObjectId, PixelValues, Point, RecordingInfo, Sam2,
    SessionOptions, VideoSession,
};

const FIRST: ObjectId = ObjectId(1);
const SECOND: ObjectId = ObjectId(2);

fn main() -> Result<(), Box<dyn Error>> {
    let model = Sam2::load(shared::file(1, shared::MODEL), &DeviceChoice::Auto.open()?)?;
    let recording = shared::file(2, "clips/two-crossing.mp4");
    let frames = LazyFrames::open(recording, LazyOptions::default())?;
    let first = Point::positive(shared::argument(3, 54.0)?, shared::argument(4, 101.0)?);
    let second = Point::positive(shared::argument(5, 258.0)?, shared::argument(6, 149.0)?);
    let corrected = shared::argument(7, 8)?;
    let animal = Point::positive(shared::argument(8, 224.0)?, shared::argument(9, 144.0)?);
    let ground = Point::negative(shared::argument(10, 310.0)?, shared::argument(11, 215.0)?);
    let folder = shared::folder(12, "several_objects")?;

    let options = SessionOptions::default().non_overlap_masks(true).corrections_condition(true);
    // The session borrows the frames because the overview needs them too.
    let mut session = VideoSession::builder(&model).options(options).open(&frames)?;
    session.add_points(0, FIRST, &[first])?;
    session.add_points(0, SECOND, &[second])?;

    // Track up to the frame that went wrong. A program with a window would let the user decide
    // where to stop.
    let mut masks: Vec<FrameMasks> = Vec::new();
    for frame in session.propagate_from(None, Direction::Forward, Some(corrected)) {
        masks.push(frame?);
    }
    let before = masks.last().ok_or("there is no frame")?.objects[1].mask.clone();

    // Object 2 has spread onto a patch of ground. Clicks on a tracked frame correct its mask,
    // starting from the tracked result; later frames are then tracked from the corrected mask.
    // Object 1 is not affected.
    let after = session.add_points(corrected, SECOND, &[animal, ground])?;
    println!(
        "frame {corrected}, object 2: {} pixels before, {} after the correction, IoU of both {:.2}",
        before.area(),
        after.area(),
        before.iou(&after.mask)
    );
    masks.truncate(corrected);
    for frame in session.propagate_from(Some(corrected), Direction::Forward, None) {
        masks.push(frame?);
    }

    // Pixel values are object numbers; the overview has a colour for each.
    let (stack, picture) = (folder.join("objects.btf"), folder.join("overview.png"));
    let (size, count) = ((session.size().width, session.size().height), masks.len());
    let mut stack_file =
        Box::new(BigTiffSink::create(&stack, size, count, PixelValues::ObjectIds, true)?);
    let mut sheet = Box::new(ContactSheetSink::create(
        &picture,
        &RecordingInfo::new(size, count),
        &[corrected],
        true,
    )?);
    for frame in &masks {
        let (index, objects) = (frame.frame_index, frame.labelled());
        let shown = sheet.wants_image(index).then(|| frames.frame(index)).transpose()?;
        stack_file.write(&MaskFrame::new(index, &objects))?;
        let image = shown.as_ref().map(|frame| frame.data());
        sheet.write(&MaskFrame::new(index, &objects).with_image(image))?;
    }
    stack_file.finish()?.publish()?;
    sheet.finish()?.publish()?;
    println!("wrote {} and {}", stack.display(), picture.display());
    Ok(())
}
