//! Combines the command line with the settings.

use std::ffi::OsString;
use std::sync::OnceLock;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::args::{Cli, Command, LogFormat, with_double_dashes};
use crate::progress;
use crate::settings::Settings;
use crate::typed_files;

/// The settings in effect. Other command lines, such as those in a job file, are parsed with them
/// too.
static IN_EFFECT: OnceLock<Settings> = OnceLock::new();

/// The parsed command line.
pub struct CommandLine {
    /// The command and its options, settings included.
    pub cli: Cli,
    /// The settings in effect.
    pub settings: Settings,
    /// Reason why the settings could not be used. Set only for `doctor`, which reports it.
    pub problem: Option<String>,
}

/// Returns clap's description of the command line.
pub fn description() -> clap::Command {
    Cli::command()
}

impl CommandLine {
    /// Parses the process's own command line. Help, the version and errors end the process here.
    pub fn parse() -> Self {
        let arguments = with_double_dashes(std::env::args_os().collect());
        let command = description();
        match Settings::load(&command, &arguments) {
            Ok(settings) => {
                let _ = IN_EFFECT.set(settings.clone());
                let cli = parse_with(&settings, &command, &arguments);
                let cli = cli.unwrap_or_else(|error| end(&error, &arguments));
                Self { cli, settings, problem: None }
            }
            Err(problem) => {
                // Help must work whatever the settings are, and `doctor` must be able to report the
                // problem.
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

/// Ends the process: invalid settings count as a command-line error.
fn refuse(problem: &str, arguments: &[OsString]) -> ! {
    if wants_json(arguments) {
        progress::init_logging(0, false, LogFormat::Json);
        progress::print_error(problem);
    } else {
        progress::to_stderr(&format!("error: {problem}"));
    }
    std::process::exit(2)
}

/// Ends the process after help, the version or an error. With JSON logging, the error is printed as
/// one JSON line.
fn end(error: &clap::Error, arguments: &[OsString]) -> ! {
    if error.use_stderr() && wants_json(arguments) {
        refuse(&one_line(error), arguments)
    }
    error.exit()
}

/// Returns whether JSON logging was requested, as far as an invalid command line or the environment
/// can tell.
fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    words.contains(&"--log-format=json")
        || words.windows(2).any(|pair| pair == ["--log-format", "json"])
        || std::env::var("SAM2_LOG_FORMAT").is_ok_and(|format| format == "json")
}

/// Returns clap's message without usage and colours.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let told: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
    let told = told.join(" ");
    let told = told.trim().trim_start_matches("error: ");
    told.trim_end_matches("For more information, try '--help'.").trim().to_owned()
}

/// Parses another command line. The settings in effect supply the options that it leaves out.
///
/// # Errors
/// Returns clap's error; help is returned as an error too.
pub fn matches(arguments: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let none = Settings::default();
    IN_EFFECT.get().unwrap_or(&none).parse(&description(), arguments)
}

/// Parses `arguments`, the first of which is the program's name. The settings supply the options
/// that they leave out.
///
/// # Errors
/// Returns clap's error; help is returned as an error too.
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
        // Settings that do not apply here are not an error: only what was typed is checked.
        let typed = settings.parse_bare(command, arguments).and_then(read);
        if typed.as_ref().map_or(true, |typed| check(typed).is_err()) {
            return Err(command.clone().error(ErrorKind::MissingRequiredArgument, message));
        }
    }
    Ok(cli)
}

/// Explains a missing recording: `--bodyparts` takes every word up to the next option, even a file
/// name.
fn swallowed(arguments: &[OsString]) -> Option<String> {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let option = words.iter().position(|word| *word == "--bodyparts")?;
    let taken = words[option + 1..].iter().take_while(|word| !word.starts_with('-'));
    let file = taken.into_iter().find(|word| typed_files::is_likely_file(word))?;
    Some(format!(
        "--bodyparts took '{file}' for a body part: put the recording first, or write --bodyparts=snout,tailbase with commas"
    ))
}

/// Checks what clap cannot check.
fn check(cli: &Cli) -> Result<(), String> {
    match &cli.command {
        Command::Segment(args) if args.job.is_none() || !args.recordings.is_empty() => args.check(),
        _ => Ok(()),
    }
}
