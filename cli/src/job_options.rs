//! Job options from the command line.

use sam2_engine::{Fit, SessionOptions};
use sam2_jobs::{FramePart, FrameStep, JobError, JobOptions};

use crate::args::SegmentArgs;
use crate::planning::Planned;

/// Returns the options of a job. Checks the requested part (`--frames`) against the plan.
pub fn job_options(args: &SegmentArgs, planned: &Planned) -> Result<JobOptions, JobError> {
    let plan = &planned.plan;
    let count = plan.frame_count();
    let part = args
        .running
        .frames
        .map(|frames| FramePart { start: frames.start, end: frames.end.unwrap_or(count) });
    let options = JobOptions {
        session: SessionOptions::default()
            .passes(planned.passes.into())
            .fill_hole_area(args.fill_holes)
            .resize(args.frames.resize)
            .region(args.roi)
            .max_conditioning_frames(args.prompts.conditioning_frames())
            .fit(if args.letterbox { Fit::Letterbox } else { Fit::Squash })
            .memory_policy(args.memory.0)
            .memory_temporal_stride(args.temporal_stride.get())
            .objects_per_pass(args.objects_per_pass)
            .feature_cache_frames(args.feature_cache.max(1)),
        frames_mode: args.frames.frames_mode,
        carry_over: args.running.carry_over,
        step: FrameStep { every: args.running.every, between: args.running.between.into() },
        reprompt: args.running.reprompting(),
        mixed_processors: args.running.mixed_processors,
        part,
    };
    options.check(plan)?;
    Ok(options)
}
