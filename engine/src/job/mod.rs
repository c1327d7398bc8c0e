//! The batch job: a recording and its prompts in, masks of every frame out.
//!
//! A recording is cut into batches, each with its own prompt; within a batch masks are propagated forward to its end, then in
//! reverse to its start, and written in frame order. Every frame of the recording comes out exactly once, also where no
//! prompt was to be had (without masks then, and reported).

mod batch;
mod carry_over;
mod delivery;
mod fingerprint;
mod flagged;
mod journal;
mod keypoint_prompts;
mod memory_shortage;
mod merge;
mod part;
mod plan;
mod prompt_choices;
mod prompt_record;
mod prompt_set;
mod receipt;
mod recording_stamp;
mod report;
mod run;
mod settings;
mod span;
mod spool;
mod spread;

#[cfg(test)]
mod tests;

pub use delivery::JobOutputs;
pub use fingerprint::recording_fingerprint;
pub use flagged::FlaggedFrames;
pub use journal::Journal;
pub use keypoint_prompts::{KeypointPrompts, MOST_NEGATIVES};
pub use merge::{MergeError, RunParts};
pub use part::{FramePart, PartSink};
pub use plan::{BatchPlan, JobPlan, JobPrompt, UnpromptedObject};
pub use prompt_choices::{BoxMargin, MOST_FRAMES_ABOVE, PromptFrames};
pub use prompt_set::{PromptConflict, PromptSet};
pub use receipt::{JobReceipt, ReceiptMismatch, ReceiptPlace};
pub use recording_stamp::RecordingStamp;
pub use report::{BatchTimings, JobObserver, JobReport, JobStage};
pub use run::{CancelFlag, JobOptions, segment};
pub use settings::{COMPUTED_WITH, run_header};
pub use span::FrameSpan;
