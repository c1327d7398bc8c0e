//! What can be typed.

mod correct;
mod frames;
mod legacy;
mod machine;
mod memory;
mod model;
mod outputs;
mod prompts;
mod recording;
mod results;
mod review;
mod segment;
mod weights;
mod words;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use correct::{CorrectArgs, CorrectionArgs, SpanArg};
pub use frames::FrameArgs;
pub use legacy::{LegacyPipelineArgs, with_double_dashes};
pub use machine::{BenchArgs, CompletionsArgs, ConfigArgs, DevicesArgs, DoctorArgs, ManArgs};
pub use memory::MemoryArg;
pub use model::ModelArgs;
pub use outputs::{OutputArg, StyleArgs};
pub use prompts::{BoxArg, MaskArg, PointArg, PromptArgs};
pub use recording::ProbeArgs;
pub use results::{MergeArgs, ReportArgs, ScoreArgs};
pub use review::ReviewArgs;
pub use segment::{BetweenArg, PassesArg, SegmentArgs};
pub use weights::{ConvertArgs, DownloadArgs, DtypeArg, InspectArgs, VersionArg};
pub use words::MODELS;

/// Segment Anything 2 for long recordings, without Python.
#[derive(Debug, Parser)]
#[command(
    name = "sam2",
    version,
    long_version = crate::version::long(),
    propagate_version = true,
    // One screen of 80 x 24.
    help_template = "{about}\n{usage-heading} {usage}\n\n{subcommands}{after-help}",
    after_help = crate::exit::HELP
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print more: -v decisions, -vv everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Threads that compute [default: one for each core].
    #[arg(long, global = true, value_name = "N", hide_short_help = true, value_parser = threads)]
    pub threads: Option<usize>,
    /// Defaults of options, as TOML [default: SAM2_CONFIG, or sam2/config.toml in $XDG_CONFIG_HOME or ~/.config].
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub config_file: Option<PathBuf>,
    /// Format of log lines on stderr: text, or json (one object a line, with time, level and message).
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub log_format: LogFormat,
}

/// Largest number of threads: more than any machine has cores.
const MOST_THREADS: usize = 1024;

fn threads(text: &str) -> Result<usize, String> {
    let fits = |count: &usize| (1..=MOST_THREADS).contains(count);
    let refused = || format!("use a whole number from 1 to {MOST_THREADS}");
    text.parse().ok().filter(fits).ok_or_else(refused)
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Segment recordings: masks of every frame, in many formats.
    #[command(after_help = segment::FEW_EXAMPLES, after_long_help = segment::EXAMPLES)]
    Segment(Box<SegmentArgs>),
    /// Put a recording's parts together, from their run files.
    ///
    /// The result is what one process would have written.
    #[command(after_help = "Example:\n  \
        sam2 segment m.avi --keypoints mDLC.csv --frames 0..40000 -o a.sam2run\n  \
        sam2 segment m.avi --keypoints mDLC.csv --frames 40000.. -o b.sam2run\n  \
        sam2 merge a.sam2run b.sam2run -o masks.btf\n  \
        sam2 merge m.sam2run again.sam2run --replace -o masks.btf")]
    Merge(MergeArgs),
    /// Correct a finished run, and track again only what that can change.
    ///
    /// The run file keeps what was computed at first and every correction, so each can be undone.
    #[command(after_help = "Examples:\n  \
        sam2 correct m.sam2run --point 812:210,350:2 -o masks.btf\n  \
        sam2 correct m.sam2run --lock 0-800 --swap 930:1:2 --dry-run\n  \
        sam2 correct m.sam2run --absent 901-950:2\n  \
        sam2 correct m.sam2run --show")]
    Correct(Box<CorrectArgs>),
    /// Look through a run in a browser, and correct it there.
    ///
    /// One page, served on this machine, also through an SSH tunnel. Every correction is in the run file before it is answered.
    #[command(after_help = "Examples:\n  \
        sam2 review m.sam2run\n  \
        sam2 review m.sam2run --recording /archive/m.avi --port 8080\n  \
        sam2 review running.btf.sam2run.part --read-only")]
    Review(Box<ReviewArgs>),
    /// Fetch an official checkpoint, verify it and convert it, once.
    #[command(
        disable_version_flag = true,
        after_help = "Examples:\n  \
        sam2 download large\n  \
        sam2 segment m.avi --keypoints mDLC.csv --model large -o masks.btf\n  \
        sam2 download tiny --version 2.0\n  \
        sam2 download --url https://lab.example/mouse.pt --sha256 HEX"
    )]
    Download(DownloadArgs),
    /// Convert a checkpoint (.pt or safetensors) to safetensors.
    ///
    /// Takes Meta's .pt, and safetensors with Meta's or Hugging Face's names.
    #[command(after_help = "Examples:\n  \
        sam2 convert sam2.1_hiera_large.pt large.safetensors\n  \
        sam2 convert mine.pt mine.safetensors --config tiny-2.1 --dtype f16")]
    Convert(ConvertArgs),
    /// Say what a weights file is: model, size, hash, release.
    #[command(after_help = "Examples:\n  \
        sam2 inspect large.safetensors\n  \
        sam2 inspect sam2_hiera_tiny.pt --json")]
    Inspect(InspectArgs),
    /// Say what a recording is: frames, size, rate, codec, faults.
    #[command(after_help = "Examples:\n  \
        sam2 probe mouse.avi\n  \
        sam2 probe mouse.avi --verify --json\n  \
        sam2 probe --join GX010042.MP4 GX020042.MP4")]
    Probe(ProbeArgs),
    /// Make a page about a run, to see whether it worked.
    ///
    /// What to look at, plots over time, parameters: one HTML file that needs nothing else.
    #[command(after_help = "Examples:\n  \
        sam2 report mouse.sam2run -o report.html\n  \
        sam2 report mouse.sam2run --recording /archive/mouse.avi \\\n      \
        --stats stats.json -o report.html")]
    Report(ReportArgs),
    /// Compare a mask stack with a true one: mean J over all frames.
    ///
    /// J is the intersection over the union of the two masks of a frame.
    #[command(after_help = "Example:\n  sam2 score masks.btf truth.tif")]
    Score(ScoreArgs),
    /// List what the model can run on.
    #[command(after_help = "Examples:\n  sam2 devices\n  sam2 devices --json")]
    Devices(DevicesArgs),
    /// Check that this machine is ready, and say what to do if not.
    #[command(
        after_help = "The exit code is 1 if there is a problem, otherwise 0, also with warnings.\n\n\
        Examples:\n  sam2 doctor\n  sam2 doctor --json"
    )]
    Doctor(DoctorArgs),
    /// Measure how fast a model is here.
    #[command(after_help = "Examples:\n  \
        sam2 bench\n  \
        sam2 bench --model large --precision bf16 --objects 8 --json")]
    Bench(BenchArgs),
    /// Show the options in effect, and where each comes from.
    #[command(after_help = machine::CONFIG_EXPLANATION)]
    Config(ConfigArgs),
    /// Print completions for a shell.
    #[command(
        hide = true,
        after_help = "Examples:\n  \
        sam2 completions bash > ~/.local/share/bash-completion/completions/sam2\n  \
        sam2 completions zsh > ~/.zfunc/_sam2\n  \
        sam2 completions fish > ~/.config/fish/completions/sam2.fish"
    )]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command.
    #[command(
        hide = true,
        after_help = "Examples:\n  \
        sam2 man | man -l -\n  \
        sam2 man --out ~/.local/share/man/man1"
    )]
    Man(ManArgs),
    /// Segment as the lab's Python scripts did, with their arguments.
    #[command(hide = true, override_usage = legacy::USAGE, after_help = legacy::EXAMPLES)]
    LegacyPipeline(Box<LegacyPipelineArgs>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
