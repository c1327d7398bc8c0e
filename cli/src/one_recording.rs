//! Segments one recording, from its arguments to its outputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use sam2_engine::{FrameSource, LazyFrames, MaskSink, RunHeader, Sam2};
use sam2_frame_provider::IndexMode;
use sam2_jobs::{
    CancelFlag, FlaggedFrames, Job, JobError, JobOptions, JobPlan, JobReceipt, JobReport, Journal,
    PartSink, ReceiptPlace, RecordingStamp, recording_fingerprint,
};
use sam2_mask_writer::{PixelValues, sweep_left_overs};

use crate::announce::Announced;
use crate::args::SegmentArgs;
use crate::exit::ExitStatus;
use crate::foresight;
use crate::job_header::job_header;
use crate::job_options::job_options;
use crate::loaded_models::LoadedModels;
use crate::output_sizes;
use crate::outputs::{self, Output, OutputFormat, OutputRecording, OutputSettings};
use crate::planning::{Planned, open_and_plan, plan_for};
use crate::preflight::{Checked, CheckedOutputs};
use crate::progress::Progress;
use crate::recording;
use crate::recordings;
use crate::resuming;
use crate::sinks;
use crate::stats::{BatchWatch, RecordingStats, Stats};
use crate::summary::{is_complete, report_bad_frames, report_reading, summarise};

/// Result of a recording that did not fail.
pub struct Finished {
    /// Exit status.
    pub status: ExitStatus,
    /// Report of the job; `None` if all outputs existed already.
    pub report: Option<JobReport>,
    /// True if the job was only announced (`--dry-run`).
    pub is_dry: bool,
}

impl Finished {
    /// Returns the recording's line in the summary.
    pub fn line(&self, recording: &str, seconds: f64) -> String {
        let Some(report) = &self.report else {
            let text = if self.is_dry { "would be segmented" } else { "was done before" };
            return format!("{recording}: {text}");
        };
        let flagged: usize = report.flagged.iter().map(FlaggedFrames::count).sum();
        let result = match self.status {
            ExitStatus::Flawed
                if report.unprompted.is_empty() && report.unprompted_objects.is_empty() =>
            {
                "done, but the recording promises more frames than can be read"
            }
            ExitStatus::Flawed => "done, but some batches had no usable prompt",
            _ => "done",
        };
        format!(
            "{recording}: {} frames, {seconds:.1} s, {flagged} masks flagged, {result}",
            report.frames
        )
    }
}

/// Segments a recording whose file names, track, outputs and model have been checked.
pub fn run(
    checked: Checked,
    quiet: bool,
    cancel: &CancelFlag,
    models: &mut LoadedModels,
    stats: &mut Stats,
    taken: &mut RecordingStats,
) -> Result<Finished> {
    let Checked { args, outputs, track } = checked;
    let CheckedOutputs { first: first_output, wanted, kept } = outputs;
    let (args, track) = (&args, track.as_ref());
    let journal = first_output.as_deref().map(resuming::journal_path).unwrap_or_default();
    if !args.running.resume && !args.running.dry_run && journal.exists() {
        tracing::warn!(
            "'{}' of an interrupted job is replaced; --resume would have gone on from there",
            journal.display()
        );
    }
    let stamp = RecordingStamp::of(&args.files());
    let started = Instant::now();
    let (frames, planned) = open_and_plan(args, track)?;
    let plan = &planned.plan;
    taken.opened(started.elapsed());
    plan.check_region(args.roi, frames.info().size)?;
    let options = job_options(args, &planned)?;
    let contents = recording_fingerprint(&args.files()).with_context(|| {
        format!("'{}' cannot be read: check its permissions", args.recording.display())
    })?;
    let model = models.get(&args.network, stats)?;

    let outputs = wanted;
    let frames = &frames;
    let job = Segmenting {
        args,
        quiet,
        cancel,
        model,
        frames,
        outputs,
        kept,
        first_output,
        journal,
        stamp,
        contents,
    };
    job.check_kept(&planned)?;
    if job.outputs.is_empty() && args.running.dry_run {
        return Ok(Finished { status: ExitStatus::Done, report: None, is_dry: false });
    }
    if job.outputs.is_empty() {
        return job.done_before(&planned);
    }
    foresight::check(args, model, frames, plan, &options)?;
    let outputs = job.outputs.as_slice();
    let announced = Announced { args, model, frames, plan, options: &options, outputs };
    output_sizes::check(outputs, &announced.extent())?;
    if args.running.dry_run {
        // The run itself finds out when it takes up the journal.
        let done = match args.running.resume {
            true => Journal::check(&job.journal, &job.header(&planned, &options)?)?,
            false => 0,
        };
        announced.print(done)?;
        return Ok(Finished { status: ExitStatus::Done, report: None, is_dry: true });
    }
    announced.log();
    let result = match job.attempt(&planned, args.running.resume, taken) {
        Err(JobError::FrameCountChanged { recording, before, now }) => {
            // The source now knows the new count. The plan and the outputs must be made again for
            // it.
            tracing::warn!("{recording} has {now} frames, not {before}: starting over");
            job.attempt(&plan_for(args, track, frames)?, false, taken)
        }
        other => other,
    };
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            // If the journal was refused, repeating the same command would be refused too, so no
            // hint is given.
            let is_refused =
                matches!(error, JobError::OtherRun { .. } | JobError::DamagedJournal { .. });
            let error = anyhow::Error::from(error);
            return Err(match resuming::hint(&job.journal).filter(|_| !is_refused) {
                Some(hint) => error.context_behind(hint),
                None => error,
            });
        }
    };
    report_bad_frames(frames);
    report_reading(frames);
    let status = match (summarise(&job.outputs, &report), is_complete(frames)) {
        (ExitStatus::Done, false) => ExitStatus::Flawed,
        (status, _) => status,
    };
    Ok(Finished { status, report: Some(report), is_dry: false })
}

/// Everything that an attempt needs.
struct Segmenting<'a> {
    args: &'a SegmentArgs,
    quiet: bool,
    cancel: &'a CancelFlag,
    model: &'a Sam2,
    frames: &'a LazyFrames,
    /// Outputs still to be written.
    outputs: Vec<Output>,
    /// Outputs that exist already, and the receipt of the job that wrote them.
    kept: Option<(JobReceipt, Vec<Output>)>,
    /// The output that journal and receipt are named after.
    first_output: Option<PathBuf>,
    journal: PathBuf,
    /// State of the recording's files before they were opened.
    stamp: RecordingStamp,
    /// Fingerprint of the recording's contents.
    contents: String,
}

impl Segmenting<'_> {
    /// Checks that this job would have written the existing outputs.
    fn check_kept(&self, planned: &Planned) -> Result<()> {
        let Some((receipt, kept)) = &self.kept else { return Ok(()) };
        let header = self.header(planned, &job_options(self.args, planned)?)?;
        let paths: Vec<&Path> = kept.iter().map(|output| output.path.as_path()).collect();
        receipt.check(&header, &self.written(), &paths)?;
        // A process that was killed while it published them leaves the replaced outputs behind.
        if !self.args.running.dry_run {
            paths.iter().for_each(|path| sweep_left_overs(path));
        }
        let recording = self.args.recording.display();
        if self.outputs.is_empty() {
            tracing::info!(
                "{recording}: its outputs are there already and stay as they are; --overwrite makes them anew"
            );
        } else {
            for path in paths {
                tracing::info!("'{}' of the same job is there already and stays", path.display());
            }
        }
        Ok(())
    }

    /// Returns the options that change how outputs store the masks, but not the masks.
    fn written(&self) -> BTreeMap<String, String> {
        let options = [
            ("--ids", self.args.style.ids.to_string()),
            ("--coco-polygons", self.args.style.coco_polygons.to_string()),
            ("--compression", format!("{:?}", self.args.style.compression).to_lowercase()),
        ];
        options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Finishes a job whose outputs were all published earlier.
    fn done_before(&self, planned: &Planned) -> Result<Finished> {
        // A process that was killed after the last output was published leaves its journal.
        let options = job_options(self.args, planned)?;
        Journal::clear(&self.journal, self.header(planned, &options)?)?;
        let unprompted = self.kept.as_ref().is_some_and(|(receipt, _)| receipt.unprompted());
        let flawed = unprompted || !is_complete(self.frames);
        let status = if flawed { ExitStatus::Flawed } else { ExitStatus::Done };
        Ok(Finished { status, report: None, is_dry: false })
    }

    fn attempt(
        &self,
        planned: &Planned,
        resume: bool,
        taken: &mut RecordingStats,
    ) -> Result<JobReport, JobError> {
        let plan = &planned.plan;
        let options = job_options(self.args, planned)?;
        let header = self.header(planned, &options)?;
        let sinks = self.sinks(plan, &options, &header)?;
        let receipt = self.first_output.as_deref().map(|first| ReceiptPlace {
            path: JobReceipt::path_for(first),
            run: header.clone(),
            written: self.written(),
            before: self.kept.as_ref().map(|(receipt, _)| receipt.clone()),
        });
        let journal = if resume {
            Journal::resume(&self.journal, header)?
        } else {
            Journal::create(&self.journal, header)?
        };
        let journal = journal.with_checkpoints_every(self.args.running.checkpoint_frames);
        let part = options.part_of(plan).range();
        let mut progress = Progress::new(part.len(), self.quiet);
        let mut watch = BatchWatch::new(&mut progress, self.frames, self.model);
        let frames = self.frames;
        let report = Job::new(self.model, frames, plan)
            .options(options)
            .evidence(planned.evidence.as_ref())
            .sinks(sinks)
            .journal(journal)
            .receipt(receipt)
            .recording(self.stamp.clone())
            .observe(&mut watch)
            .cancel(self.cancel)
            .run();
        taken.seen(watch, frames);
        progress.finish();
        report
    }

    fn header(&self, planned: &Planned, options: &JobOptions) -> Result<RunHeader, JobError> {
        let contents = self.contents.clone();
        let of = (self.model, self.frames);
        let mut header = job_header(self.args, of, planned, options, contents)?;
        // If logits are an output, run files store them too, and existing outputs count.
        let kept = self.kept.iter().flat_map(|(_, kept)| kept);
        header.logits =
            self.outputs.iter().chain(kept).any(|output| output.format == OutputFormat::Logits);
        Ok(header)
    }

    fn sinks(
        &self,
        plan: &JobPlan,
        options: &JobOptions,
        header: &RunHeader,
    ) -> Result<Vec<Box<dyn MaskSink>>, JobError> {
        let values = if self.args.style.ids { PixelValues::ObjectIds } else { PixelValues::Binary };
        let settings = OutputSettings {
            overwrite: self.args.style.overwrite,
            values,
            compression: self.args.style.compression.into(),
            outlines: outputs::outlines(self.args.style.coco_polygons),
        };
        let part = options.part_of(plan).range();
        let prompted = plan.prompt_frames().into_iter().filter(|frame| part.contains(frame));
        let name = recordings::stem(&self.args.recording);
        let recording = OutputRecording {
            size: (header.width, header.height),
            frames: part.len(),
            rate: header.frames_per_second,
            name,
            run_file: outputs::run_file(&self.outputs),
            prompt_frames: prompted.map(|frame| frame - part.start).collect(),
            objects: plan.objects().into_iter().map(|object| object.0).collect(),
            image_names: header.image_names.get(part.clone()).unwrap_or_default().to_vec(),
            run: header.clone(),
            source: recording::options(&self.args.frames, IndexMode::Auto)
                .ok()
                .map(|options| (self.args.recording.clone(), options)),
        };
        let sinks = sinks::create(&self.outputs, settings, &recording)?;
        let in_part = |(output, sink): (&Output, Box<dyn MaskSink>)| -> Box<dyn MaskSink> {
            // Run files and reports keep the frame indices of the recording.
            if part.start == 0 || matches!(output.format, OutputFormat::Run | OutputFormat::Report)
            {
                sink
            } else {
                Box::new(PartSink::new(sink, part.start))
            }
        };
        Ok(self.outputs.iter().zip(sinks).map(in_part).collect())
    }
}

/// Appends a remark to an error's message without hiding the error.
trait Remark {
    fn context_behind(self, remark: String) -> Self;
}

impl Remark for anyhow::Error {
    fn context_behind(self, remark: String) -> Self {
        let text = format!("{self} ({remark})");
        self.context(text)
    }
}
