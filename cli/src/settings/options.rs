//! Determines which options can be set from outside, and checks values for them.

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};

use super::{FILE_OPTION, Setting};
use crate::alike::did_you_mean;

/// The command whose options are settings. Other commands share the options of the same name.
const MAIN_COMMAND: &str = "segment";

/// Returns the options of a command that settings can supply. Options for which clap reads a
/// variable itself are left out.
pub fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let plain = matches!(
            arg.get_action(),
            ArgAction::Set | ArgAction::Append | ArgAction::SetTrue | ArgAction::Count
        );
        let long = arg.get_long();
        plain && arg.get_env().is_none() && long.is_some_and(|long| long != FILE_OPTION)
    })
}

/// Returns the options that settings for all commands can supply: those of `segment`, and those
/// that every command has.
pub fn common(command: &Command) -> Vec<&Arg> {
    let main = command.find_subcommand(MAIN_COMMAND);
    settable(command).chain(main.into_iter().flat_map(settable)).collect()
}

/// Returns the long names of options.
pub fn names<'a>(options: impl IntoIterator<Item = &'a Arg>) -> Vec<&'a str> {
    options.into_iter().filter_map(Arg::get_long).collect()
}

/// Returns whether an option takes several values.
pub fn takes_several(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
        || option.get_num_args().is_some_and(|range| range.max_values() > 1)
}

/// Returns a switch's value as clap spells it.
///
/// # Errors
/// Fails for text that means neither yes nor no.
pub fn switch(text: &str) -> Result<&'static str, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok("true"),
        "false" | "no" | "off" | "0" => Ok("false"),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

/// Refuses values that the option would refuse on the command line, in one line that names their
/// origin.
pub fn check(command: &Command, setting: &Setting) -> Result<(), String> {
    let of_command = setting.command.as_deref().and_then(|name| command.find_subcommand(name));
    let candidates = of_command.map_or_else(|| common(command), |own| settable(own).collect());
    let Some(option) =
        candidates.into_iter().find(|arg| arg.get_long() == Some(setting.option.as_str()))
    else {
        return Ok(());
    };
    let refuse = |why: String| Err(format!("{}: {why}", setting.origin));
    if let ArgAction::SetTrue = option.get_action() {
        return setting
            .values
            .iter()
            .try_for_each(|value| switch(value).map(|_| ()))
            .or_else(refuse);
    }
    // Only this option is parsed, so that nothing else can be missing or in conflict.
    let mut alone = Arg::new("value")
        .long(setting.option.clone())
        .action(ArgAction::Append)
        .allow_hyphen_values(true)
        .value_parser(option.get_value_parser().clone());
    if let Some(names) = option.get_value_names() {
        alone = alone.value_names(names.iter().take(1));
    }
    let typed = setting.values.iter().map(|value| format!("--{}={value}", setting.option));
    let parsed = Command::new("settings")
        .no_binary_name(true)
        .disable_help_flag(true)
        .arg(alone)
        .try_get_matches_from(typed);
    match parsed {
        Ok(_) => Ok(()),
        Err(error) => {
            // clap's first paragraph is the message; the rest is advice about the command line.
            let text = error.to_string();
            let message = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = message.split_whitespace().collect();
            let message = words.join(" ").trim_start_matches("error: ").to_owned();
            refuse(message + &meant(&error))
        }
    }
}

/// Returns clap's suggestion for a misspelt value, for the end of a message.
fn meant(error: &clap::Error) -> String {
    match error.get(ContextKind::SuggestedValue) {
        Some(ContextValue::String(meant)) => did_you_mean(meant),
        _ => String::new(),
    }
}
