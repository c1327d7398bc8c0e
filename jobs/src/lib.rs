//! Batch jobs with Segment Anything 2: a recording and its prompts in, the masks of every frame
//! out.
//!
//! A recording is cut into batches, each with prompts of its own. Prompts come from a pose track
//! ([`KeypointTrack`]), a prompt file ([`read_prompts`]) or the caller ([`PromptSet`]). Within a
//! batch, masks are propagated forward to its end, then in reverse to its start, and written in
//! frame order. Every frame of the recording is written exactly once. A frame without a usable
//! prompt is written without masks, and reported.
//!
//! | you have | use |
//! |---|---|
//! | a pose track of DeepLabCut, SLEAP and many other programs | [`KeypointTrack`], [`KeypointPrompts`] |
//! | prompts in a file | [`read_prompts`] |
//! | clicks, boxes and masks in your program | [`PromptSet`] |
//! | all of that and a recording | a [`JobPlan`], given to a [`Job`] |
//! | a job that was interrupted | the same job with its [`Journal`] |
//! | parts from several machines | [`RunParts`] |
//!
//! A job tells its [`JobObserver`] about every batch and frame. It stops after the current frame
//! once its [`CancelFlag`] is raised, from any thread or a signal handler, and then leaves nothing
//! under the names of its outputs. With a [`Journal`], the same job continues where it stopped,
//! even if its process was killed.
//!
//! This crate prints nothing; what a user should know goes to [`tracing`](https://docs.rs/tracing).
//! [`engine`] re-exports the crate below, `sam2-engine`.

#![forbid(unsafe_code)]

mod batch;
mod between;
mod cancel;
mod carry_over;
mod computed;
mod correct;
mod delivery;
mod error;
mod examine;
mod fingerprint;
mod flagged;
mod hash;
mod job_prompt;
mod journal;
mod keypoint_prompts;
pub mod keypoints;
mod known_objects;
mod memory_shortage;
mod merge;
mod merge_error;
mod options;
mod part;
mod plain_text;
mod plan;
mod prompt_choices;
mod prompt_file;
mod prompt_record;
mod prompt_set;
mod receipt;
mod recording_stamp;
mod report;
mod reprompt;
mod run;
mod settings;
mod span;
mod spool;
mod spread;
mod track_evidence;
mod two_way;

#[cfg(test)]
mod computed_tests;
#[cfg(test)]
mod tests;

pub use between::Between;
pub use cancel::CancelFlag;
pub use computed::FrameStep;
pub use correct::{
    Author, Correction, RunOptions, SharedRun, TrackedAgain, Wanted, amend, difference_to_run,
    exchanged_from, redo, undo,
};
pub use error::JobError;
pub use fingerprint::recording_fingerprint;
pub use flagged::FlaggedFrames;
pub use job_prompt::JobPrompt;
pub use journal::Journal;
pub use keypoint_prompts::{KeypointPrompts, MOST_NEGATIVES};
pub use keypoints::{
    Individual, KeypointError, KeypointSelection, KeypointTrack, LocatedTrack, TrackKind,
    TrackNotice, TrackedRecording,
};
pub use known_objects::KnownObjects;
pub use merge::RunParts;
pub use merge_error::MergeError;
pub use options::JobOptions;
pub use part::{FramePart, PartSink};
pub use plan::{BatchPlan, JobPlan, UnpromptedObject};
pub use prompt_choices::{BoxMargin, MOST_FRAMES_ABOVE, PromptFrames};
pub use prompt_file::{
    PROMPT_FILE_VERSION, PromptFileError, parse_prompts, read_mask, read_prompts, read_prompts_for,
};
pub use prompt_set::{PromptConflict, PromptSet};
pub use receipt::{JobReceipt, ReceiptMismatch, ReceiptPlace};
pub use recording_stamp::RecordingStamp;
pub use report::{BatchTimings, JobObserver, JobReport, JobStage};
pub use reprompt::Reprompt;
pub use run::Job;
pub use settings::{COMPUTED_WITH, run_header};
pub use span::FrameSpan;
pub use track_evidence::TrackEvidence;

/// Sessions, predictors, models and devices: all of `sam2-engine`.
#[doc(no_inline)]
pub use sam2_engine as engine;
