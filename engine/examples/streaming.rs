//! Tracks an object in a camera stream: frames arrive one at a time from another thread, without a
//! known end, and masks are written in parts.
//!
//!     cargo run --release -p sam2-engine --example streaming [-- MODEL RECORDING X Y FOLDER]
//!
//! Here a recording stands in for the camera. X and Y are a point on the object in the first frame.

mod shared;

use std::error::Error;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use sam2_engine::{
    BigTiffSink, DeviceChoice, FrameError, FrameSize, FrameSource, LabelledMask, LazyFrames,
    LazyOptions, MaskFrame, MaskSink, ObjectId, PixelValues, Point, RgbFrame, Sam2, StreamSession,
    WriteError,
};

/// Frames per file. A camera does not know how many frames there will be in all.
const PART: usize = 25;

fn main() -> Result<(), Box<dyn Error>> {
    let model = Sam2::load(shared::file(1, shared::MODEL), &DeviceChoice::Auto.open()?)?;
    let camera = LazyFrames::open(shared::file(2, "clips/worm.mp4"), LazyOptions::default())?;
    let click = Point::positive(shared::argument(3, 137.0)?, shared::argument(4, 110.0)?);
    let folder = shared::folder(5, "streaming")?;

    // Up to two frames wait in the queue. A live camera would drop frames rather than wait for a
    // slow model.
    let (sender, receiver) = sync_channel::<RgbFrame>(2);
    let feeder = thread::spawn(move || {
        for index in 0..camera.info().frame_count {
            let frame = camera.frame(index)?;
            if sender.send((*frame).clone()).is_err() {
                break;
            }
        }
        Ok::<(), FrameError>(())
    });

    let mut session = StreamSession::builder(&model).open();
    let mut part: Vec<Vec<LabelledMask>> = Vec::new();
    for frame in receiver {
        let mut masks = session.push(&frame)?;
        let index = masks.frame_index;
        if index == 0 {
            // Prompts apply to the newest frame and may be added at any time.
            masks.objects.push(session.add_points(ObjectId(1), &[click])?);
        }
        part.push(masks.labelled());
        if part.len() == PART {
            // The number of remembered frames stays the same however long the stream runs.
            let kept = session.memory_bank(ObjectId(1)).map_or(0, |bank| bank.tracked_len());
            let area = masks.objects[0].area();
            println!("frame {index}: {area} pixels; {kept} frames remembered");
            write_part(&folder, index / PART, frame.size(), &part)?;
            part.clear();
        }
        if index == PART + 5 {
            // Save and continue, as after a restart of the machine: the masks are the same, bit for
            // bit.
            let saved = folder.join("session.safetensors");
            session.save(&saved)?;
            session = StreamSession::builder(&model).restore(&saved)?;
            println!("continued from {}", saved.display());
        }
    }
    feeder.join().map_err(|_| "the camera's thread panicked")??;
    if let Some(size) = session.size().filter(|_| !part.is_empty()) {
        write_part(&folder, session.frame_count() / PART, size, &part)?;
    }
    println!("{} frames; wrote {}", session.frame_count(), folder.display());
    Ok(())
}

fn write_part(
    folder: &Path,
    number: usize,
    size: FrameSize,
    part: &[Vec<LabelledMask>],
) -> Result<(), WriteError> {
    let path = folder.join(format!("masks-{number:03}.btf"));
    let size = (size.width, size.height);
    let mut stack =
        Box::new(BigTiffSink::create(&path, size, part.len(), PixelValues::Binary, true)?);
    for (index, objects) in part.iter().enumerate() {
        stack.write(&MaskFrame::new(index, objects))?;
    }
    stack.finish()?.publish()
}
