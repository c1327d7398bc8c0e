//! `sam2`: Segment Anything 2 for long recordings.

mod args;
mod command_line;
mod convert;
mod demo_model;
mod devices;
mod doctor;
mod download;
mod exit;
mod inspect;
mod legacy_pipeline;
mod manual;
mod model;
mod outputs;
mod probe;
mod progress;
mod prompt_args;
mod recording;
mod remedy;
mod score;
mod segment;
mod settings;
mod standard_output;
mod terminal;

use args::Command;
use command_line::CommandLine;
use exit::ExitStatus;

fn main() -> std::process::ExitCode {
    let CommandLine { cli, settings, problem } = CommandLine::parse();
    progress::init_logging(cli.verbose, cli.quiet);
    let result = match cli.command {
        Command::Segment(args) => segment::run(&args, cli.quiet),
        Command::Convert(args) => convert::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Download(args) => download::run(&args, cli.quiet),
        Command::Probe(args) => probe::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Doctor(args) => doctor::run(&args, &settings, problem.as_deref()),
        Command::Config(args) => {
            settings::show::run(&args, &command_line::description(), &settings)
        }
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::LegacyPipeline(args) => legacy_pipeline::run(&args, &settings, cli.quiet),
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
