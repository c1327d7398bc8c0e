//! From what was typed, and the settings, to what is meant.

use std::ffi::OsString;
use std::sync::OnceLock;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::args::{Cli, Command};
use crate::legacy_pipeline;
use crate::settings::Settings;

/// The settings in effect, for those who parse further command lines, such as those in a file.
static IN_EFFECT: OnceLock<Settings> = OnceLock::new();

/// What is to be done.
pub struct CommandLine {
    /// The command and its options, settings included.
    pub cli: Cli,
    /// The settings, for those who ask.
    pub settings: Settings,
    /// Why the settings could not be used; with `doctor` only, which reports it.
    pub problem: Option<String>,
}

/// clap's description of the command line.
pub fn description() -> clap::Command {
    Cli::command()
}

impl CommandLine {
    /// Reads the process's own command line. Help, the version and mistakes end the process here.
    pub fn parse() -> Self {
        let arguments = legacy_pipeline::with_double_dashes(std::env::args_os().collect());
        let command = description();
        match Settings::load(&command, &arguments) {
            Ok(settings) => {
                let _ = IN_EFFECT.set(settings.clone());
                let cli = parse_with(&settings, &command, &arguments);
                Self { cli: cli.unwrap_or_else(|error| error.exit()), settings, problem: None }
            }
            Err(problem) => {
                // Help must be had whatever the settings are, and the doctor is asked what is wrong.
                let settings = Settings::default();
                let cli = parse_with(&settings, &command, &arguments);
                let cli = cli.unwrap_or_else(|error| match error.use_stderr() {
                    true => refuse(&problem),
                    false => error.exit(),
                });
                match cli.command {
                    Command::Doctor(_) => Self { cli, settings, problem: Some(problem) },
                    _ => refuse(&problem),
                }
            }
        }
    }
}

/// The settings are as wrong as a wrong command line.
fn refuse(problem: &str) -> ! {
    eprintln!("error: {problem}");
    std::process::exit(2)
}

/// clap's view of another command line, with the settings in effect where it says nothing.
///
/// # Errors
/// clap's, for help as for mistakes.
pub fn matches(arguments: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let none = Settings::default();
    IN_EFFECT.get().unwrap_or(&none).parse(&description(), arguments)
}

/// Parses `arguments`, the program's name first, with the settings where they say nothing.
///
/// # Errors
/// clap's, for help as for mistakes.
pub fn parse_with(
    settings: &Settings,
    command: &clap::Command,
    arguments: &[OsString],
) -> Result<Cli, clap::Error> {
    let read = |matches: ArgMatches| {
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command.clone()))
    };
    let cli = read(settings.parse(command, arguments)?)?;
    if let Err(message) = check(&cli) {
        // Defaults that have no use here are no mistake: only what was typed is.
        let typed = settings.parse_bare(command, arguments).and_then(read);
        if typed.as_ref().map_or(true, |typed| check(typed).is_err()) {
            return Err(command.clone().error(ErrorKind::MissingRequiredArgument, message));
        }
    }
    Ok(cli)
}

/// What clap cannot check.
fn check(cli: &Cli) -> Result<(), String> {
    match &cli.command {
        Command::Segment(args) if args.job.is_none() => args.prompts.check(),
        _ => Ok(()),
    }
}
