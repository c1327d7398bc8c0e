//! Parity and speed of a device as a table to send in: `gpu_table [DEVICE] [MODEL...] [frames=N]`. DEVICE as for `sam2 --device` (default auto); MODEL =
//! micro, tiny, small, base-plus, large (default micro, tiny and large); N = frames that are timed (default 40).
//!
//! Each model tracks one object through the bundled mouse recording, on the device in every precision that it has and, for a few frames, on the CPU in f32.
//! Weights other than micro's are seeded: their masks mean nothing, but the numbers behind them can be compared and take as long to compute.

#![allow(clippy::unwrap_used)] // A measurement: a failure is a failed run.

use std::time::Instant;

use sam2_engine::{
    BoxPrompt, Device, DeviceChoice, DeviceError, DeviceMemory, Direction, EngineError, Mask,
    ObjectId, Precision, Sam2, Sam2Config, SessionOptions, VideoSession,
};
use sam2_model::{ModelVersion, Variant};

/// Frames that are compared with the CPU.
const COMPARED: usize = 5;
/// Frames until the memory is full, which kernels are tried out and compiled for.
const WARM_UP: usize = 17;

/// What tracking came to.
#[derive(Default)]
struct Run {
    /// Low-resolution logits and mask of the first frames.
    results: Vec<(Vec<f32>, Mask)>,
    /// Seconds until the memory was full: kernels are compiled and tried out in it.
    warm_up: f64,
    /// Seconds of each frame after that.
    seconds: Vec<f64>,
    memory: Option<DeviceMemory>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let frames =
        args.iter().find_map(|a| a.strip_prefix("frames=")).map_or(40, |n| n.parse().unwrap());
    let mut names = args.iter().filter(|a| !a.contains('='));
    let choice: DeviceChoice = names.next().map_or(Ok(DeviceChoice::Auto), |n| n.parse()).unwrap();
    let mut models: Vec<&str> = names.map(String::as_str).collect();
    if models.is_empty() {
        models = vec!["micro", "tiny", "large"];
    }
    let (device, name) = choice.open().unwrap_or_else(|error| fail(&error));
    println!("sam2 {}, {name}, {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    println!();
    println!(
        "| model | precision | worst IoU with the CPU | worst logit difference / largest | warm-up s | frame ms | device memory |"
    );
    println!("|---|---|---|---|---|---|---|");
    for model in models {
        let reference = track(&load(model, &Device::flex()), COMPARED, 0).unwrap();
        for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
            if precision.on(&device).is_err() {
                println!("| {model} | {precision} | not on this device | | | | |");
                continue;
            }
            let loaded = load(model, &device).with_precision(precision);
            let row = loaded.map_err(|error: DeviceError| error.to_string()).and_then(|loaded| {
                track(&loaded, WARM_UP, frames).map_err(|error| error.to_string())
            });
            match row {
                Ok(run) => print_row(model, precision, &run, &reference),
                Err(error) => println!("| {model} | {precision} | failed: {error} | | | | |"),
            }
            // The next row counts its own memory.
            if let Err(error) = DeviceMemory::release_unused(&device) {
                println!("{error}");
            }
        }
    }
}

fn fail(error: &DeviceError) -> ! {
    eprintln!("{error}");
    std::process::exit(1);
}

fn load(name: &str, device: &Device) -> Sam2 {
    if name == "micro" {
        return sam2_benches::micro_model_on(device);
    }
    let variant = Variant::ALL.into_iter().find(|v| v.name() == name);
    let variant = variant.unwrap_or_else(|| panic!("{name} is no model"));
    sam2_tests::seeded::seeded_model_on(Sam2Config::new(variant, ModelVersion::V2_1), device)
}

/// Tracks `warm_up` frames, of which the first are kept, and then times `timed` frames.
fn track(model: &Sam2, warm_up: usize, timed: usize) -> Result<Run, EngineError> {
    // Holes are filled by looking at single pixels, which would hide what is compared.
    let options = SessionOptions { fill_hole_area: 0, ..SessionOptions::default() };
    let mut session = VideoSession::with_options(model, sam2_benches::mouse_frames(), options)?;
    let mut run = Run::default();
    let started = Instant::now();
    session.add_box(0, ObjectId(1), BoxPrompt { x0: 150.0, y0: 100.0, x1: 230.0, y1: 180.0 })?;
    let mut last = started;
    for masks in session.propagate(Direction::Forward).take(warm_up + timed) {
        let mut masks = masks?;
        let object = masks.objects.remove(0);
        if run.results.len() < COMPARED {
            let logits = object.low_res_logits.try_into_vec_as::<f32>();
            let logits = logits.map_err(|error| EngineError::Device(format!("{error:?}")))?;
            run.results.push((logits, object.mask));
        }
        if masks.frame_index < warm_up {
            run.warm_up = started.elapsed().as_secs_f64();
        } else {
            run.seconds.push(last.elapsed().as_secs_f64());
        }
        last = Instant::now();
    }
    run.memory = DeviceMemory::of(model.device())?;
    run.seconds.sort_by(f64::total_cmp);
    Ok(run)
}

fn print_row(model: &str, precision: Precision, run: &Run, reference: &Run) {
    let pairs = || run.results.iter().zip(&reference.results);
    let iou = pairs().map(|(ours, cpu)| ours.1.iou(&cpu.1)).fold(1.0, f64::min);
    let largest = reference.results.iter().flat_map(|r| &r.0).fold(0.0, |a: f32, b| a.max(b.abs()));
    // Not a number is worse than any number.
    let difference = |(a, b): (&f32, &f32)| if a.is_nan() { f32::INFINITY } else { (a - b).abs() };
    let worst = pairs()
        .flat_map(|(ours, cpu)| ours.0.iter().zip(&cpu.0).map(difference))
        .fold(0.0, f32::max);
    let median = run.seconds.get(run.seconds.len() / 2).map_or(f64::NAN, |s| s * 1e3);
    let memory = run.memory.map_or_else(|| "not counted".to_owned(), |memory| memory.to_string());
    println!(
        "| {model} | {precision} | {iou:.4} | {:.1e} | {:.1} | {median:.1} | {memory} |",
        worst / largest,
        run.warm_up,
    );
}
