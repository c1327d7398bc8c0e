//! `sam2`: Segment Anything 2 for long recordings.

mod args;
mod convert;
mod demo_model;
mod download;
mod exit;
mod inspect;
mod model;
mod outputs;
mod planning;
mod probe;
mod progress;
mod prompt_args;
mod recording;
mod remedy;
mod report;
mod score;
mod segment;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use exit::ExitStatus;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    if let Command::Segment(args) = &cli.command
        && let Err(message) = args.prompts.check()
    {
        Cli::command().error(ErrorKind::MissingRequiredArgument, message).exit();
    }
    progress::init_logging(cli.verbose, cli.quiet);
    let result = match cli.command {
        Command::Segment(args) => segment::run(&args, cli.quiet),
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
            // Causes that only repeat what the message says already are left out.
            let mut message = error.to_string();
            for cause in error.chain().skip(1).map(ToString::to_string) {
                if !message.contains(&cause) {
                    message.push_str(": ");
                    message.push_str(&cause);
                }
            }
            if let Some(option) = remedy::option(&error) {
                message.push_str(&format!(" ({option})"));
            }
            eprintln!("error: {message}");
            ExitStatus::of(&error).into()
        }
    }
}
