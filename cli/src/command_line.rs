//! From what was typed, and the settings, to what is meant.

use std::ffi::OsString;
use std::sync::OnceLock;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::args::{Cli, Command, LogFormat};
use crate::legacy_pipeline;
use crate::preflight;
use crate::progress;
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
                let cli = cli.unwrap_or_else(|error| end(&error, &arguments));
                Self { cli, settings, problem: None }
            }
            Err(problem) => {
                // Help must be had whatever the settings are, and the doctor is asked what is wrong.
                let settings = Settings::default();
                let cli = parse_with(&settings, &command, &arguments);
                let cli = cli.unwrap_or_else(|error| match error.use_stderr() {
                    true => refuse(&problem, &arguments),
                    false => error.exit(),
                });
                match cli.command {
                    Command::Doctor(_) => Self { cli, settings, problem: Some(problem) },
                    _ => refuse(&problem, &arguments),
                }
            }
        }
    }
}

/// The settings are as wrong as a wrong command line.
fn refuse(problem: &str, arguments: &[OsString]) -> ! {
    if wants_json(arguments) {
        progress::init_logging(0, false, LogFormat::Json);
        progress::print_error(problem);
    } else {
        progress::to_stderr(&format!("error: {problem}"));
    }
    std::process::exit(2)
}

/// Help, the version and mistakes end the process; a program that reads JSON gets a mistake as one line of it.
fn end(error: &clap::Error, arguments: &[OsString]) -> ! {
    if error.use_stderr() && wants_json(arguments) {
        refuse(&one_line(error), arguments)
    }
    error.exit()
}

/// Whether JSON was asked for, as far as a command line that cannot be understood says; or by the environment.
fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    words.contains(&"--log-format=json")
        || words.windows(2).any(|pair| pair == ["--log-format", "json"])
        || std::env::var("SAM2_LOG_FORMAT").is_ok_and(|format| format == "json")
}

/// clap's message without usage and colours.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let told: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
    let told = told.join(" ");
    let told = told.trim().trim_start_matches("error: ");
    told.trim_end_matches("For more information, try '--help'.").trim().to_owned()
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
    let cli =
        read(settings.parse(command, arguments).map_err(|error| match swallowed(arguments) {
            Some(message) if error.kind() == ErrorKind::MissingRequiredArgument => {
                command.clone().error(ErrorKind::MissingRequiredArgument, message)
            }
            _ => error,
        })?)?;
    if let Err(message) = check(&cli) {
        // Defaults that have no use here are no mistake: only what was typed is.
        let typed = settings.parse_bare(command, arguments).and_then(read);
        if typed.as_ref().map_or(true, |typed| check(typed).is_err()) {
            return Err(command.clone().error(ErrorKind::MissingRequiredArgument, message));
        }
    }
    Ok(cli)
}

/// Explains a missing recording: `--bodyparts` takes every word up to the next option, also a file name.
fn swallowed(arguments: &[OsString]) -> Option<String> {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let option = words.iter().position(|word| *word == "--bodyparts")?;
    let taken = words[option + 1..].iter().take_while(|word| !word.starts_with('-'));
    let file = taken.into_iter().find(|word| preflight::is_likely_file(word))?;
    Some(format!(
        "--bodyparts took '{file}' for a body part: put the recording first, or write --bodyparts=snout,tailbase with commas"
    ))
}

/// What clap cannot check.
fn check(cli: &Cli) -> Result<(), String> {
    match &cli.command {
        Command::Segment(args) if args.job.is_none() || !args.recordings.is_empty() => {
            args.prompts.check()
        }
        _ => Ok(()),
    }
}
