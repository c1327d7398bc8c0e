//! Tracks an object from one click in the middle of a recording to its end and back to its start,
//! and writes a BigTIFF stack.
//!
//!     cargo run --release -p sam2-engine --example video_click [-- MODEL RECORDING FRAME X Y FOLDER]
//!
//! RECORDING is a video, a TIFF stack, a folder of images, or a Micro-Manager data set.

mod shared;

use std::error::Error;
use std::time::{Duration, Instant};

use sam2_engine::{
    BigTiffSink, DeviceChoice, Direction, LabelledMask, LazyFrames, LazyOptions, MaskFrame,
    MaskSink, ObjectId, PixelValues, Point, Sam2, VideoSession,
};

/// Time limit; a program with a window would check its "stop" button instead.
const PATIENCE: Duration = Duration::from_secs(3600);

fn main() -> Result<(), Box<dyn Error>> {
    let model = Sam2::load(shared::file(1, shared::MODEL), &DeviceChoice::Auto.open()?)?;
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

    // Masks are kept as runs, a few kilobytes each, so all of them can wait in memory for the
    // reverse pass. (For hours of video see the example `keypoints` of the crate `sam2-jobs`, whose
    // job keeps them on disk.)
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
            // To cancel, stop requesting frames; the session stays usable.
            if begun.elapsed() > PATIENCE {
                return Err("it takes too long; nothing was written".into());
            }
        }
    }

    // One page per frame, 0 or 255, at the recording's size. The file appears under its name when
    // its last page is complete.
    let size = (size.width, size.height);
    let mut stack = Box::new(BigTiffSink::create(&output, size, count, PixelValues::Binary, true)?);
    for (index, objects) in masks.iter().enumerate() {
        stack.write(&MaskFrame::new(index, objects))?;
    }
    stack.finish()?.publish()?;
    println!("wrote {}", output.display());
    Ok(())
}
