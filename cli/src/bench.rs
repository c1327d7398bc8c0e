//! `sam2 bench`.

use std::time::{Duration, Instant};

use anyhow::Result;
use sam2_engine::{Benchmark, BenchmarkOptions, DeviceChoice, DeviceMemory, Sam2, benchmark};

use crate::args::BenchArgs;
use crate::exit::ExitStatus;
use crate::model;
use crate::process_memory::HostMemory;
use crate::standard_output::print;

/// Measures a model. `started` is the time at which the process began.
pub fn run(args: &BenchArgs, started: Instant) -> Result<ExitStatus> {
    let (model, _) = model::load(&args.network)?;
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
    /// Time since the process began.
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

    /// Returns the name that `--device` takes, or `cpu` if `auto` fell back to the CPU.
    fn device_name(&self) -> String {
        if self.model.is_on_cpu() { DeviceChoice::Cpu } else { self.args.network.device }
            .to_string()
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
