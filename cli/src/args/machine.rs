//! `sam2 devices`, `sam2 doctor`, `sam2 bench`, `sam2 config`, and what shells read.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::Shell;

use super::model::ModelArgs;

/// `sam2 bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Objects that are tracked, 1 to 16.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub objects: u32,
    /// Frames whose time is taken.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    pub frames: usize,
    /// Frames before those; 17 fill the memory.
    #[arg(long, value_name = "N", default_value_t = 17)]
    pub warm_up: usize,
    /// How many times each step is timed by itself; 0 = not at all.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub repeats: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which model runs, and on what.
    #[command(flatten)]
    pub network: ModelArgs,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "must be 1 or more".to_owned())
}

/// `sam2 devices`.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `sam2 doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `sam2 completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}

/// `sam2 man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write sam2.1 and one page for each command to this folder, which is made if it does not exist.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// What `--help` shows at its end.
pub const CONFIG_EXPLANATION: &str = "\
An option takes its value from the first of these that has one:
  the command line
  the environment: SAM2_BATCH_SIZE=300, with ; between several values
  the settings file: batch-size = 300, or in a table such as [download]
    for that command alone
  the built-in default
--no-SWITCH turns off a switch that is on.

Examples:
  sam2 config
  SAM2_MODEL=large sam2 config segment
  sam2 config download --json";

/// `sam2 config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The command whose options are shown.
    #[arg(default_value = "segment")]
    pub command: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
