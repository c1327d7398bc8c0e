//! Any file below 5 MB is accepted or refused within 2 s and 500 MB, whatever it claims. These
//! tests cover weights, prompts, masks, run files, journals, checkpoints, job files and records.
//! Recordings and tracks have their own tests.

mod prompts;
mod runs;
mod watched;
mod weights;
