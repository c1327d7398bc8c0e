//! What a run is, as its file and its journal hold it.

use sam2_engine::{LazyFrames, RunHeader, Sam2};
use sam2_jobs::{JobError, JobOptions, run_header};

use crate::args::SegmentArgs;
use crate::planning::Planned;
use crate::recording;
use crate::report::told;
use crate::run_track::TRACK;

/// Returns the header of a job: its recording, of which `contents` is the fingerprint, plan, model and options.
///
/// # Errors
/// As [`run_header`].
pub fn job_header(
    args: &SegmentArgs,
    (model, frames): (&Sam2, &LazyFrames),
    planned: &Planned,
    options: &JobOptions,
    contents: String,
) -> Result<RunHeader, JobError> {
    let mut more = recording::settings(&args.frames, model);
    if let Some(evidence) = &planned.evidence {
        more.push((TRACK, evidence.digest()));
    }
    let name = told::name(&args.recording);
    let mut header = run_header(model, frames, &name, &planned.plan, options, &more)?;
    header.recording_contents = Some(contents);
    header.options = told::options(args, planned.passes);
    Ok(header)
}
