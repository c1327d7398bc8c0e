//! Any file of less than 5 MB is taken or refused within 2 s and 500 MB, whatever it claims. Here: weights, prompts, masks, run
//! files, journals, checkpoints, job files and records; recordings and tracks have tests of their own.

mod prompts;
mod runs;
mod watched;
mod weights;
