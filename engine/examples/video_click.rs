//! One click in the middle of a recording, tracked to its end and back to its start, as a BigTIFF stack.
//!
//!     cargo run --release --workspace --example video_click [-- MODEL RECORDING FRAME X Y FOLDER]
//!
//! RECORDING: a video, a TIFF stack, a folder of images, or what Micro-Manager writes.

mod shared;

use std::error::Error;
use std::time::{Duration, Instant};

use sam2_engine::{
    BigTiffSink, DeviceChoice, Direction, LabelledMask, LazyFrames, LazyOptions, MaskFrame,
    MaskSink, ObjectId, PixelValues, Point, Sam2, VideoSession,
};

/// A program with a window would look at its "stop" button instead.
const PATIENCE: Duration = Duration::from_secs(3600);

fn main() -> Result<(), Box<dyn Error>> {
    let model = Sam2::load(shared::file(1, shared::MODEL), &DeviceChoice::Auto.open()?.0)?;
    // Frames are decoded in the background, ahead of the model, and only some are kept.
    let recording = shared::file(2, "clips/mouse-arena.mp4");
    let frames = LazyFrames::open(recording, LazyOptions::default())?;
    let start = shared::argument(3, 30)?;
    let click = Point::positive(shared::argument(4, 129.5)?, shared::argument(5, 195.5)?);
    let output = shared::folder(6, "video_click")?.join("masks.btf");

    let mut session = VideoSession::new(&model, frames)?;
    let (size, count) = (session.size(), session.frame_count());
    let prompted = session.add_points(start, ObjectId(1), &[click])?;
    println!("{count} frames of {size}; the click gives {} pixels", prompted.area());

    // Masks are kept as runs, a few kilobytes each, so they can wait for the pass in reverse. (For hours of video see `keypoints`,
    // whose job keeps them on the disk.)
    let mut masks: Vec<Vec<LabelledMask>> = vec![Vec::new(); count];
    let begun = Instant::now();
    for direction in [Direction::Forward, Direction::Reverse] {
        let mut pass = session.propagate(direction);
        while let Some(frame) = pass.next() {
            let frame = frame?;
            let (done, total) = (pass.frames_done(), pass.frames_total());
            if done % 10 == 0 || done == total {
                let score = frame.objects[0].object_score;
                println!("{direction:?}: {done} of {total}, object score {score:.1}");
            }
            masks[frame.frame_index] = frame.labelled();
            // To cancel is to stop asking for frames; the session stays usable.
            if begun.elapsed() > PATIENCE {
                return Err("it takes too long; nothing was written".into());
            }
        }
    }

    // One page a frame, 0 or 255, at the recording's size. The file appears when the last page is in it.
    let size = (size.width, size.height);
    let mut stack = Box::new(BigTiffSink::create(&output, size, count, PixelValues::Binary, true)?);
    for (index, objects) in masks.iter().enumerate() {
        stack.write(&MaskFrame::new(index, objects))?;
    }
    stack.finish()?.publish()?;
    println!("wrote {}", output.display());
    Ok(())
}
