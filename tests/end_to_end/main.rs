//! The real binary, run as a user runs it: what it writes, what it says, how it ends and what it leaves behind.

#![allow(missing_docs, clippy::unwrap_used)]

mod bad_input;
mod bad_prompts;
mod bad_tracks;
mod batches;
mod convert;
mod counts;
mod download;
mod frame_options;
mod inspect;
mod interrupted;
mod memory;
mod messages;
mod prompts;
mod quality;
mod recordings;
mod regions;
mod remedies;
mod segment;
mod server;
mod support;
