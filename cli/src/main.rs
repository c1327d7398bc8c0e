//! `sam2`: Segment Anything 2 for long recordings.

mod args;
mod convert;
mod demo_model;
mod disk;
mod download;
mod exit;
mod inspect;
mod job_file;
mod loaded_models;
mod merge;
mod message;
mod model;
mod one_recording;
mod outputs;
mod planning;
mod probe;
mod process_memory;
mod progress;
mod prompt_args;
mod recording;
mod recordings;
mod remedy;
mod report;
mod resuming;
mod score;
mod segment;
mod signals;
mod stats;
mod summary;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use exit::ExitStatus;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    if let Command::Segment(args) = &cli.command
        && args.job.is_none()
        && let Err(message) = args.prompts.check()
    {
        Cli::command().error(ErrorKind::MissingRequiredArgument, message).exit();
    }
    progress::init_logging(cli.verbose, cli.quiet, cli.log_format);
    let result = match cli.command {
        Command::Segment(args) => segment::run(&args, cli.quiet),
        Command::Merge(args) => merge::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Download(args) => download::run(&args, cli.quiet),
        Command::Probe(args) => probe::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Score(args) => score::run(&args),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            progress::print_error(&message::of(&error));
            ExitStatus::of(&error).into()
        }
    }
}
