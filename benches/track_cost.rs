//! What tracking costs on this side: `track_cost MODEL OBJECTS FRAMES`, MODEL = micro, tiny, base-plus, large.
//!
//! Objects are boxes on frame 0 of the bundled mouse recording, played forward and back for as long as needed; weights other than micro's are
//! seeded. Prints one JSON object: seconds per tracked frame with a full memory (7 memories, 16 pointers), and memory. The same as
//! `compare/official.py` does with the official package.

#![allow(clippy::unwrap_used)] // A measurement: a failure is a failed run.

use std::sync::Arc;
use std::time::Instant;

use sam2_engine::{BoxPrompt, Direction, FrameSource, ObjectId, Sam2Config, VideoSession};
use sam2_frame_provider::{MemoryFrames, RgbFrame};
use sam2_model::{ModelVersion, Variant};

/// Frames until the memory is full: pointers reach fifteen frames back.
const WARM_UP: usize = 17;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model_name, objects, frames] = args.as_slice() else {
        eprintln!("usage: track_cost MODEL OBJECTS FRAMES");
        std::process::exit(2);
    };
    let (objects, frames): (u32, usize) = (objects.parse().unwrap(), frames.parse().unwrap());
    let model = match model_name.as_str() {
        "micro" => sam2_benches::micro_model(),
        name => {
            let variant = Variant::ALL.into_iter().find(|v| v.name() == name).unwrap();
            sam2_tests::seeded::seeded_model(Sam2Config::new(variant, ModelVersion::V2_1))
        }
    };
    let clip = sam2_benches::mouse_frames();
    let (count, size) = (clip.frame_count(), clip.size());
    let played: Vec<Arc<RgbFrame>> = (0..WARM_UP + frames)
        .map(|at| {
            let at = at % (2 * count - 2);
            clip.frame(if at < count { at } else { 2 * count - 2 - at }).unwrap()
        })
        .collect();
    let source = MemoryFrames::new(played.iter().map(|f| (**f).clone()).collect()).unwrap();
    let loaded = megabytes("VmRSS:");
    let mut session = VideoSession::new(&model, source).unwrap();
    let started = Instant::now();
    for object in 0..objects {
        let (x, y) = ((object % 4) as f32 * 90.0 + 5.0, (object / 4) as f32 * 65.0 + 5.0);
        debug_assert!(x + 60.0 < size.width as f32 && y + 50.0 < size.height as f32);
        let bounds = BoxPrompt { x0: x, y0: y, x1: x + 60.0, y1: y + 50.0 };
        session.add_box(0, ObjectId(object + 1), bounds).unwrap();
    }
    let prompt = started.elapsed().as_secs_f64();
    let mut seconds = Vec::with_capacity(frames);
    let mut last = Instant::now();
    for result in session.propagate(Direction::Forward) {
        let masks = result.unwrap();
        if masks.frame_index >= WARM_UP {
            seconds.push(last.elapsed().as_secs_f64());
        }
        last = Instant::now();
    }
    assert_eq!(seconds.len(), frames);
    let mean = seconds.iter().sum::<f64>() / frames as f64;
    seconds.sort_by(f64::total_cmp);
    println!(
        "{{\"seconds_per_frame\": {mean:.5}, \"median\": {:.5}, \"prompts\": {prompt:.4}, \"loaded_mb\": {loaded:.0}, \"peak_mb\": {:.0}}}",
        seconds[frames / 2],
        megabytes("VmHWM:"),
    );
}

/// A line of the kernel's account of this process.
fn megabytes(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) * 1024.0 / 1e6
}
