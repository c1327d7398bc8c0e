//! Says what a job will do before it begins: frames, batches, prompts, model, device and outputs.

use std::collections::BTreeMap;

use anyhow::Result;
use sam2_engine::{DeviceChoice, FrameSource, Sam2};
use sam2_jobs::{BatchPlan, FramePart, FrameSpan, JobOptions, JobPlan, JobPrompt};

use crate::args::SegmentArgs;
use crate::disk::{self, free_bytes};
use crate::output_sizes::{Extent, told};
use crate::outputs::{Output, OutputFormat};
use crate::standard_output::print;

/// A job that is about to begin.
pub struct Announced<'a> {
    /// What was typed.
    pub args: &'a SegmentArgs,
    /// The model.
    pub model: &'a Sam2,
    /// The recording.
    pub frames: &'a dyn FrameSource,
    /// The plan.
    pub plan: &'a JobPlan,
    /// The options.
    pub options: &'a JobOptions,
    /// Outputs that will be written.
    pub outputs: &'a [Output],
}

impl Announced<'_> {
    /// Returns the extent of the outputs.
    pub fn extent(&self) -> Extent {
        let size = self.frames.info().size;
        Extent {
            pixels: u64::from(size.width) * u64::from(size.height),
            frames: self.part().range().len() as u64,
            objects: self.plan.objects().len() as u64,
            compression: self.args.style.compression.into(),
            logits: self.outputs.iter().any(|output| output.format == OutputFormat::Logits),
        }
    }

    fn part(&self) -> FramePart {
        self.options.part_of(self.plan)
    }

    fn batches(&self) -> impl Iterator<Item = &BatchPlan> {
        self.plan.batches_in(self.part()).map(|(_, batch)| batch)
    }

    /// Returns the job in one line.
    fn job_line(&self) -> String {
        let count = |count: usize, what: &str, more: &str| {
            format!("{count} {}", if count == 1 { what } else { more })
        };
        let batches = self.batches().count();
        let frames = count(self.part().range().len(), "frame", "frames");
        let computed = match self.options.step.is_every_frame() {
            true => String::new(),
            false => format!(" ({} computed)", self.options.computed_frames(self.plan)),
        };
        let prompted: usize = self.batches().map(|batch| batch.prompt_frames().len()).sum();
        format!(
            "{frames}{computed} in {}, {}, prompts on {}",
            count(batches, "batch", "batches"),
            count(self.plan.objects().len(), "object", "objects"),
            count(prompted, "frame", "frames"),
        )
    }

    /// Returns each output with its size, in one line.
    fn output_line(&self) -> String {
        let extent = self.extent();
        let each = self.outputs.iter().map(|output| {
            let size = extent.size(output.format);
            let about = if size.is_certain { "" } else { "about " };
            format!("{} ({about}{})", output.path.display(), told(size.bytes))
        });
        let each: Vec<String> = each.collect();
        let free = self.outputs.first().and_then(|output| free_bytes(disk::parent(&output.path)));
        let free = free.map(|free| format!("; {} are free", told(free))).unwrap_or_default();
        format!("outputs: {}{free}", each.join(", "))
    }

    /// Logs the job.
    pub fn log(&self) {
        tracing::info!("{}", self.job_line());
        tracing::info!("{}", self.output_line());
    }

    /// Prints the job with every prompt, for `--dry-run`. `done` is the number of frames that an
    /// interrupted job has done already.
    ///
    /// # Errors
    /// Fails if standard output cannot be written to.
    pub fn print(&self, done: usize) -> Result<()> {
        let mut text = format!(
            "{}: {}\n{} on {} in {}\n{}\n",
            self.args.recording.display(),
            self.job_line(),
            self.model.config(),
            if self.model.is_on_cpu() { DeviceChoice::Cpu } else { self.args.network.device },
            self.model.precision(),
            self.output_line()
        );
        if done > 0 {
            text.push_str(&format!("{done} frames are done already\n"));
        }
        let count = self.batches().count();
        let without_prompt = match self.options.crosses_batches()
            && !self.plan.prompt_frames().is_empty()
        {
            true => ", without a prompt of its own: would be tracked from those of other batches\n",
            false => ": no usable prompt, would be left empty\n",
        };
        for (index, batch) in self.batches().enumerate() {
            let span = FrameSpan(batch.frames.clone());
            text.push_str(&format!("batch {} of {count}: {span}", index + 1));
            if batch.prompts.is_empty() {
                text.push_str(without_prompt);
                continue;
            }
            text.push('\n');
            let mut by_frame: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            for prompt in &batch.prompts {
                by_frame.entry(prompt.frame).or_default().push(self.prompt(prompt));
            }
            for (frame, prompts) in by_frame {
                text.push_str(&format!("  frame {frame}: {}\n", prompts.join("; ")));
            }
        }
        print(text)
    }

    /// Describes one prompt.
    fn prompt(&self, prompt: &JobPrompt) -> String {
        let name = self.plan.names.get(&prompt.object);
        let object = name.map_or_else(
            || format!("object {}", prompt.object),
            |name| format!("object {} ({name})", prompt.object),
        );
        let mut parts = Vec::new();
        if prompt.mask.is_some() {
            parts.push("a mask".to_owned());
        }
        if let Some(bounds) = prompt.bounds {
            let [x0, y0, x1, y1] = [bounds.x0, bounds.y0, bounds.x1, bounds.y1];
            parts.push(format!("box {x0:.1},{y0:.1},{x1:.1},{y1:.1}"));
        }
        parts.extend(prompt.points.iter().map(|(name, point)| {
            let sign = match point.label {
                sam2_engine::PointLabel::Negative => "-",
                _ => "+",
            };
            let name = if name.is_empty() { String::new() } else { format!(" {name}") };
            format!("{sign}{:.1},{:.1}{name}", point.x, point.y)
        }));
        format!("{object}: {}", parts.join(", "))
    }
}
