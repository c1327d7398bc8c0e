//! The batch job: a recording and its prompts in, masks of every frame out.
//!
//! A recording is cut into batches, each with its own prompt; within a batch masks are propagated forward to its end, then in
//! reverse to its start, and written in frame order. Every frame of the recording comes out exactly once, also where no
//! prompt was to be had (without masks then, and reported).

mod flagged;
mod keypoint_prompts;
mod plan;
mod prompt_set;
mod run;
mod spool;

pub use flagged::FlaggedFrames;
pub use keypoint_prompts::{
    BoxMargin, KeypointPrompts, MOST_FRAMES_ABOVE, MOST_NEGATIVES, PromptFrames,
};
pub use plan::{BatchPlan, JobPlan, JobPrompt, UnpromptedObject};
pub use prompt_set::{PromptConflict, PromptSet};
pub use run::{CancelFlag, JobObserver, JobOptions, JobReport, JobStage, segment};
