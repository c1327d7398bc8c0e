//! Whole models on the device compared with the CPU: parity and speed, as a table.
//!
//! Each model tracks one object and then eight through the bundled mouse recording. It runs on the
//! device in every precision that the device supports and, for a few frames, on the CPU in f32.
//! Weights other than micro's are seeded. Their masks are meaningless, but the underlying numbers
//! can be compared and take as long to compute.

use std::time::Instant;

use sam2_engine::{
    BoxPrompt, Device, DeviceMemory, Direction, EngineError, Mask, ObjectId, Precision, Sam2,
    Sam2Config, SessionOptions, VideoSession,
};
use sam2_model::{ModelVersion, Variant};
use sam2_tests::clips;
use sam2_tests::device::device;
use sam2_tests::seeded::seeded_model_on;

/// Number of frames that are compared with the CPU.
const COMPARED: usize = 5;
/// Number of frames until the memory is full; kernels are compiled during these.
const WARM_UP: usize = 17;

/// The results of tracking.
#[derive(Default)]
struct Run {
    /// Low-resolution logits and mask of the first frames.
    results: Vec<(Vec<f32>, Mask)>,
    /// Seconds from the prompt to the first mask, including the compilation of kernels.
    first: f64,
    /// Seconds of each later frame.
    seconds: Vec<f64>,
    memory: Option<DeviceMemory>,
}

/// Returns the models of the table, which `SAM2_CHECK_MODELS` names, separated by commas, and the
/// number of frames to time.
fn asked() -> (Vec<String>, usize) {
    let models = std::env::var("SAM2_CHECK_MODELS").unwrap_or_else(|_| "micro,tiny,large".into());
    let frames = std::env::var("SAM2_CHECK_FRAMES").map_or(40, |text| text.parse().unwrap());
    (models.split(',').map(str::to_owned).collect(), frames)
}

#[test]
fn models_beside_the_cpu() {
    let (models, frames) = asked();
    let device = device();
    println!("sam2 {}, {device:?}, {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    println!();
    println!(
        "| model | objects | precision | worst IoU with the CPU | worst logit difference / largest | first mask s | frame ms | device memory |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for model in &models {
        let reference = track(&load(model, &Device::flex()), 1, COMPARED, 0).unwrap();
        for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
            for objects in [1, 8] {
                if precision.on(&device).is_err() || (objects > 1 && precision == Precision::F32) {
                    continue;
                }
                let loaded = load(model, &device).with_precision(precision).unwrap();
                let run = track(&loaded, objects, WARM_UP, frames).unwrap();
                let iou = print_row(model, objects, precision, &run, &reference);
                // Seeded weights give masks of noise, which are more sensitive to rounding than
                // those of any animal.
                let bar = if precision == Precision::F32 { 0.99 } else { 0.9 };
                assert!(iou > bar, "{model} in {precision}: {iou}");
                // The next row measures its own memory.
                drop(loaded);
                DeviceMemory::release_unused(&device).unwrap();
            }
        }
    }
}

fn load(name: &str, device: &Device) -> Sam2 {
    if name == "micro" {
        return clips::micro_model_on(device);
    }
    let variant = Variant::ALL.into_iter().find(|v| v.name() == name);
    let variant = variant.unwrap_or_else(|| panic!("{name} is no model"));
    seeded_model_on(Sam2Config::new(variant, ModelVersion::V2_1), device)
}

/// Tracks `warm_up` frames, of which the first are kept, and then times `timed` frames.
fn track(model: &Sam2, objects: u32, warm_up: usize, timed: usize) -> Result<Run, EngineError> {
    // Hole filling depends on single pixels, which would hide the differences to be compared.
    let options = SessionOptions::default().fill_hole_area(0);
    let mut session =
        VideoSession::builder(model).options(options).open(clips::frames("mouse-arena"))?;
    let mut run = Run::default();
    let started = Instant::now();
    for object in 0..objects {
        let (x, y) = (150.0 - 30.0 * (object % 4) as f32, 100.0 + 40.0 * (object / 4) as f32);
        let prompt = BoxPrompt { x0: x, y0: y, x1: x + 80.0, y1: y + 80.0 };
        session.add_box(0, ObjectId(object + 1), prompt)?;
    }
    let mut last = started;
    for masks in session.propagate(Direction::Forward).take(warm_up + timed) {
        let mut masks = masks?;
        let object = masks.objects.remove(0);
        if run.results.len() < COMPARED {
            let logits = object.low_res_logits.try_into_vec_as::<f32>();
            let logits = logits.map_err(|error| EngineError::Device(format!("{error:?}")))?;
            run.results.push((logits, object.mask));
        }
        if masks.frame_index == 0 {
            run.first = started.elapsed().as_secs_f64();
        }
        if masks.frame_index >= warm_up {
            run.seconds.push(last.elapsed().as_secs_f64());
        }
        last = Instant::now();
    }
    run.memory = DeviceMemory::of(model.device())?;
    run.seconds.sort_by(f64::total_cmp);
    Ok(run)
}

/// Prints a row and returns the worst IoU.
fn print_row(model: &str, objects: u32, precision: Precision, run: &Run, reference: &Run) -> f64 {
    let pairs = || run.results.iter().zip(&reference.results);
    let iou = pairs().map(|(ours, cpu)| ours.1.iou(&cpu.1)).fold(1.0, f64::min);
    let largest = reference.results.iter().flat_map(|r| &r.0).fold(0.0, |a: f32, b| a.max(b.abs()));
    // NaN is worse than any number.
    let difference = |(a, b): (&f32, &f32)| if a.is_nan() { f32::INFINITY } else { (a - b).abs() };
    let worst = pairs()
        .flat_map(|(ours, cpu)| ours.0.iter().zip(&cpu.0).map(difference))
        .fold(0.0, f32::max);
    let median = run.seconds.get(run.seconds.len() / 2).map_or(f64::NAN, |s| s * 1e3);
    let memory = run.memory.map_or_else(|| "not counted".to_owned(), |memory| memory.to_string());
    println!(
        "| {model} | {objects} | {precision} | {iou:.4} | {:.1e} | {:.1} | {median:.2} | {memory} |",
        worst / largest,
        run.first,
    );
    iou
}
