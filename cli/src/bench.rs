//! `sam2 bench`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use sam2_engine::{
    Benchmark, BenchmarkOptions, DeviceChoice, DeviceMemory, Precision, Sam2, benchmark,
};

use crate::exit::ExitStatus;
use crate::model;
use crate::process_memory::HostMemory;
use crate::standard_output::print;

/// `sam2 bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Weights: a file (safetensors or .pt), or the name of a downloaded model such as large or tiny-2.0. Default: the built-in
    /// demonstration model.
    #[arg(long, value_name = "FILE|NAME")]
    pub model: Option<PathBuf>,
    /// Configuration of weights that are not recognised: a name like tiny-2.1, or a JSON file.
    #[arg(long, value_name = "NAME|FILE", requires = "model")]
    pub config: Option<String>,
    /// Where to run: auto, cpu, cuda, cuda:N, vulkan or vulkan:N.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Number format of weights and products: auto (what suits the device), f32, bf16 or f16.
    #[arg(long, default_value_t = Precision::Auto)]
    pub precision: Precision,
    /// Side of the model's input, in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = crate::args::image_size)]
    pub image_size: Option<usize>,
    /// Objects that are tracked, 1 to 16.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub objects: u32,
    /// Frames whose time is taken.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    pub frames: usize,
    /// Frames before those: 17 fill the memory.
    #[arg(long, value_name = "N", default_value_t = 17)]
    pub warm_up: usize,
    /// How often each step is timed by itself; 0 = not at all.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub repeats: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "must be 1 or more".to_owned())
}

/// Measures a model; `started` is when the process began.
pub fn run(args: &BenchArgs, started: Instant) -> Result<ExitStatus> {
    let (weights, config) = (args.model.as_deref(), args.config.as_deref());
    let (model, _) = model::load(weights, config, args.device, args.precision)?;
    let model = match args.image_size {
        Some(size) => model.with_image_size(size).with_context(|| {
            format!("--image-size {size} does not fit the model's windows: use a multiple of 32")
        })?,
        None => model,
    };
    let ready = started.elapsed();
    let options = BenchmarkOptions {
        objects: args.objects,
        frames: args.frames,
        warm_up: args.warm_up,
        repeats: args.repeats,
    };
    let measured = benchmark(&model, options)?;
    let report = Report {
        args,
        model: &model,
        measured,
        first_mask: ready + measured.first_mask,
        host: HostMemory::now(),
        device: DeviceMemory::of(model.device())?,
    };
    print(if args.json { format!("{:#}\n", report.json()) } else { report.text() })?;
    Ok(ExitStatus::Done)
}

struct Report<'a> {
    args: &'a BenchArgs,
    model: &'a Sam2,
    measured: Benchmark,
    /// From the begin of the process.
    first_mask: Duration,
    host: Option<HostMemory>,
    device: Option<DeviceMemory>,
}

impl Report<'_> {
    fn json(&self) -> serde_json::Value {
        let Self { args, model, measured, first_mask, host, device } = self;
        serde_json::json!({
            "model": model.config().to_string(),
            "device": self.device_name(),
            "precision": model.precision().to_string(),
            "threads": model.parallel_batches(),
            "objects": args.objects,
            "frames": args.frames,
            "seconds": {
                "first_mask_from_process_start": first_mask.as_secs_f64(),
                "warm_up": measured.warm_up.as_secs_f64(),
                "frame": measured.frame.as_secs_f64(),
                "encode": measured.steps.map(|steps| steps.encode.as_secs_f64()),
                "track": measured.steps.map(|steps| steps.track.as_secs_f64()),
                "prompt": measured.steps.map(|steps| steps.prompt.as_secs_f64()),
                "memory_encode": measured.steps.map(|steps| steps.memory_encode.as_secs_f64()),
            },
            "peak_bytes": host.map(|host| host.peak),
            "device_bytes": device.map(|device| device.reserved),
        })
    }

    /// As `--device` names it, but for `auto` that came to the CPU.
    fn device_name(&self) -> String {
        if self.model.is_on_cpu() { DeviceChoice::Cpu } else { self.args.device }.to_string()
    }

    fn text(&self) -> String {
        let Self { args, model, measured, first_mask, host, device } = self;
        let mut lines = vec![format!(
            "{} on {} in {}; threads: {}, objects: {}; medians",
            model.config(),
            self.device_name(),
            model.precision(),
            model.parallel_batches(),
            args.objects
        )];
        let mut line = |what: &str, time: Duration| {
            lines.push(format!("{what:<44} {:>10.1} ms", time.as_secs_f64() * 1e3));
        };
        line("first mask, from the process's start", *first_mask);
        line(&format!("{} frames that fill the memory", args.warm_up), measured.warm_up);
        line("a tracked frame, everything", measured.frame);
        if let Some(steps) = measured.steps {
            line("  image encoder", steps.encode);
            line("  memory attention and mask decoder", steps.track);
            line("  a box answered", steps.prompt);
            line("  memory encoder", steps.memory_encode);
        }
        if let Some(host) = host {
            lines.push(format!("{:<44} {:>10.0} MB", "memory at most", host.peak as f64 / 1e6));
        }
        if let Some(device) = device {
            lines.push(format!("{:<44} {:>13}", "device memory", device.to_string()));
        }
        lines.join("\n") + "\n"
    }
}
