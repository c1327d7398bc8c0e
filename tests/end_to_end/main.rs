//! The real binary, run as a user runs it: what it writes, what it says, how it ends and what it leaves behind.

#![allow(missing_docs, clippy::unwrap_used)]

mod bad_input;
mod bad_prompts;
mod bad_tracks;
mod batches;
mod browser;
mod convert;
mod counts;
mod devices_and_doctor;
mod documentation;
mod download;
#[cfg(feature = "faults")]
mod faults;
mod finished;
mod formats;
mod frame_names;
mod frame_options;
mod help;
mod inspect;
mod interrupted;
mod legacy_pipeline;
mod many;
mod memory;
mod messages;
mod outputs;
mod preflight;
mod promises;
mod prompts;
mod quality;
mod real_tracks;
mod recordings;
mod regions;
mod remedies;
mod report;
mod resume;
mod segment;
mod server;
mod settings;
mod shards;
mod stats;
mod support;
mod terminal;
mod videos;
