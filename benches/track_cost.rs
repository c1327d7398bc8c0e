//! Measures the cost of tracking with this project's code:
//! `track_cost MODEL OBJECTS FRAMES [side=N] [warm-up=N] [per-pass=N] [precision=NAME]`
//!
//! - MODEL: micro, tiny, small, base-plus or large.
//! - side: another side length for the model's input.
//! - warm-up: number of frames that are tracked before the measured ones.
//! - per-pass: number of objects that go through the network at a time.
//!
//! Objects are boxes on frame 0 of the bundled mouse recording, which is played forward and back
//! for as long as needed. Weights other than micro's are seeded. Prints one JSON object: seconds
//! per tracked frame with a full memory (7 memories; 16 pointers after 17 frames), and the memory
//! of this process at the start, after each quarter of the frames, and at its peak.
//! `compare/official.py` measures the same with the official package.

#![allow(clippy::unwrap_used)] // This is a measurement: any error ends the run.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use sam2_engine::{
    BoxPrompt, Direction, FrameError, FrameSource, LazyFrames, ObjectId, RgbFrame, Sam2Config,
    SessionOptions, SourceInfo, VideoSession,
};
use sam2_model::{ModelVersion, Variant};

/// Frames until the memory is full: pointers reach fifteen frames back.
const WARM_UP: u32 = 17;

/// Plays the clip forward and back, over and over.
struct BackAndForth {
    clip: LazyFrames,
    count: usize,
}

impl FrameSource for BackAndForth {
    fn info(&self) -> SourceInfo {
        self.clip.info().with_frame_count(self.count)
    }
    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let period = 2 * self.clip.info().frame_count - 2;
        self.clip.frame((index % period).min(period - index % period))
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model_name, objects, frames, options @ ..] = args.as_slice() else {
        eprintln!(
            "usage: track_cost MODEL OBJECTS FRAMES [side=N] [warm-up=N] [per-pass=N] [precision=NAME]"
        );
        std::process::exit(2);
    };
    let (objects, frames): (u32, usize) = (objects.parse().unwrap(), frames.parse().unwrap());
    let option = |name: &str| -> Option<u32> {
        let given = options.iter().find_map(|o| o.strip_prefix(name)?.strip_prefix('='));
        given.map(|number| number.parse().unwrap())
    };
    let warm_up = option("warm-up").unwrap_or(WARM_UP) as usize;
    let mut model = match model_name.as_str() {
        "micro" => sam2_benches::micro_model(),
        name => {
            let variant = Variant::ALL.into_iter().find(|v| v.name() == name).unwrap();
            sam2_tests::seeded::seeded_model(Sam2Config::new(variant, ModelVersion::V2_1))
        }
    };
    if let Some(name) = options.iter().find_map(|o| o.strip_prefix("precision=")) {
        model = model.with_precision(name.parse().unwrap()).unwrap();
    }
    if let Some(side) = option("side") {
        model = model.with_image_size(side as usize).unwrap();
    }
    let source = BackAndForth { clip: sam2_benches::mouse_frames(), count: warm_up + frames };
    let loaded = megabytes("VmRSS:");
    let options = SessionOptions::default()
        .objects_per_pass(option("per-pass").and_then(|n| NonZeroUsize::new(n as usize)));
    let mut session = VideoSession::builder(&model).options(options).open(source).unwrap();
    let started = Instant::now();
    for object in 0..objects {
        // A grid of four columns and four rows in 384 x 288.
        let (x, y) = ((object % 4) as f32 * 90.0 + 5.0, (object / 4) as f32 * 65.0 + 5.0);
        let bounds = BoxPrompt { x0: x, y0: y, x1: x + 60.0, y1: y + 50.0 };
        session.add_box(0, ObjectId(object + 1), bounds).unwrap();
    }
    let prompts = started.elapsed().as_secs_f64();
    let (mut seconds, mut quarters) = (Vec::with_capacity(frames), Vec::new());
    let mut last = Instant::now();
    for result in session.propagate(Direction::Forward) {
        let masks = result.unwrap();
        if masks.frame_index >= warm_up {
            seconds.push(last.elapsed().as_secs_f64());
            if seconds.len() * 4 / frames > quarters.len() {
                quarters.push(format!("{:.1}", megabytes("VmRSS:")));
            }
        }
        last = Instant::now();
    }
    assert_eq!(seconds.len(), frames);
    let mean = seconds.iter().sum::<f64>() / frames as f64;
    seconds.sort_by(f64::total_cmp);
    println!(
        "{{\"seconds_per_frame\": {mean:.5}, \"median\": {:.5}, \"prompts\": {prompts:.4}, \"loaded_mb\": {loaded:.0}, \
         \"quarters_mb\": [{}], \"peak_mb\": {:.0}}}",
        seconds[frames / 2],
        quarters.join(", "),
        megabytes("VmHWM:"),
    );
}

/// Reads one line of the kernel's memory statistics for this process, in megabytes.
fn megabytes(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) * 1024.0 / 1e6
}
