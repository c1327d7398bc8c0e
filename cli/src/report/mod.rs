//! `sam2 report`: writes a page about a run.

mod describe;
mod pictures;
mod sink;
pub mod told;

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Result, bail};
use sam2_mask_writer::{
    CompleteOutput, OutputFile, RunFileError, RunReader, RunRecord, WriteError,
};
use sam2_report::{Report, ReportBuilder};

use crate::args::ReportArgs;
use crate::exit::ExitStatus;
use crate::output_sizes;
use crate::outputs::same_file;
use crate::{recordings, stats};

pub use sink::ReportSink;

/// Writes the page of a run file.
pub fn run(args: &ReportArgs) -> Result<ExitStatus> {
    check_ending(&args.output)?;
    let given = recordings::one(&args.recording, args.join)?;
    let files = given.iter().flat_map(|(first, more)| std::iter::once(first).chain(more));
    let mut inputs = std::iter::once(&args.run).chain(files).chain(&args.stats);
    if let Some(input) = inputs.find(|input| same_file(input, &args.output)) {
        bail!("'{}' is an input: choose another name for the page", input.display());
    }
    let reader = RunReader::open(&args.run)?;
    let header = reader.header().clone();
    let statistics = args.stats.as_deref();
    let statistics =
        statistics.map(|path| stats::of_recording(path, &header.recording)).transpose()?;
    // Invalid names are reported before hours of masks are read.
    let output = OutputFile::create(&args.output, args.overwrite)?;
    let recording = pictures::find(args, given, &header)?;

    let run_file = Some(told::name(&args.run));
    let mut builder = ReportBuilder::new(describe::run(&header, run_file));
    for record in reader {
        match record {
            Ok(RunRecord::Frame(frame)) => builder.add(frame.index, &frame.objects)?,
            Ok(RunRecord::Batch(batch)) => builder.add_prompts(&batch.prompts),
            Ok(_) => {}
            // The page shows the part that exists, and says that the run is unfinished.
            Err(error @ RunFileError::Unfinished { .. }) => tracing::warn!("{error}"),
            Err(error) => return Err(error.into()),
        }
    }
    let mut report = builder.finish();
    recording.give_to(&mut report);
    if let Some(statistics) = statistics {
        report.set_statistics(statistics);
    }
    let bytes = write(output, &report)?;
    tracing::info!(
        "{}: {} masks to look at, {}",
        args.output.display(),
        report.flagged_masks(),
        output_sizes::told(bytes as u64)
    );
    Ok(ExitStatus::Done)
}

/// Refuses file names that a browser would not open as a page.
fn check_ending(output: &Path) -> Result<()> {
    let ending = output.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    if ["html", "htm"].contains(&ending.as_str()) {
        return Ok(());
    }
    bail!("cannot write a report to '{}': use the ending .html", output.display())
}

/// Writes the page and publishes it under its name. Returns its size in bytes.
fn write(output: OutputFile, report: &Report) -> Result<usize, WriteError> {
    let page = report.page().to_string();
    fill(output, &page)?.publish()?;
    Ok(page.len())
}

fn fill(output: OutputFile, page: &str) -> Result<CompleteOutput, WriteError> {
    let mut file = BufWriter::new(output.file());
    let written = file.write_all(page.as_bytes()).and_then(|()| file.flush());
    drop(file);
    written.map_err(|source| output.io_error(source))?;
    output.complete()
}
