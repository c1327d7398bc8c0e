//! `sam2 completions`: scripts for shells, made from clap's description of the command line.

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;

use crate::args::CompletionsArgs;
use crate::command_line::description;
use crate::exit::ExitStatus;
use crate::standard_output::print;

/// Prints the completion script for a shell.
pub fn run(args: &CompletionsArgs) -> Result<ExitStatus> {
    print(script(args.shell))?;
    Ok(ExitStatus::Done)
}

fn script(shell: Shell) -> String {
    let mut command = for_shells(description(), shell);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "sam2", &mut script);
    with_files(&command, shell, String::from_utf8_lossy(&script).into_owned())
}

/// Returns the description with what only completions need to know.
fn for_shells(command: Command, shell: Shell) -> Command {
    let names: Vec<String> =
        command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    command
        .mut_args(|arg| hinted(arg, shell))
        .mut_subcommands(|subcommand| subcommand.mut_args(|arg| hinted(arg, shell)))
        .mut_subcommand("config", |config| {
            config.mut_arg("command", |arg| arg.value_parser(PossibleValuesParser::new(names)))
        })
}

/// Gives an option's value its hint.
fn hinted(arg: Arg, shell: Shell) -> Arg {
    if !arg.get_action().takes_values() {
        return arg;
    }
    let arg = match arg.get_value_hint() {
        // The only hint for paths with which clap's script for bash adds a slash to folders.
        ValueHint::AnyPath => arg.value_hint(ValueHint::FilePath),
        // The value is a number or a name, so no files are offered.
        ValueHint::Unknown if words(&arg).is_empty() => arg.value_hint(ValueHint::Other),
        _ => arg,
    };
    let names: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    match shell {
        // clap does not escape the colons in names such as [FORMAT:]PATH, where they separate parts.
        Shell::Zsh if names.iter().any(|name| name.contains(':')) => {
            arg.value_names(names.iter().map(|name| name.replace(':', "\\:")))
        }
        _ => arg,
    }
}

/// Returns the words that an option offers.
fn words(arg: &Arg) -> Vec<String> {
    let values = arg.get_value_parser().possible_values();
    values.into_iter().flatten().map(|value| value.get_name().to_owned()).collect()
}

/// Adds files to the words of options that take either, such as `--model`: clap's scripts offer one
/// or the other.
fn with_files(command: &Command, shell: Shell, script: String) -> String {
    let all = std::iter::once(command).chain(command.get_subcommands());
    let both = all
        .flat_map(Command::get_opts)
        .filter(|arg| arg.get_value_hint() == ValueHint::FilePath && !words(arg).is_empty());
    both.fold(script, |script, arg| {
        let words = words(arg);
        let list = words.join(" ");
        let name = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name);
        match shell {
            // clap's script separates words by line breaks only, where files are wanted.
            Shell::Bash => script.replace(
                &format!("compgen -W \"{list}\""),
                &format!("compgen -f -W \"{}\"", words.join("\n")),
            ),
            Shell::Zsh => script.replace(
                &format!(":{name}:({list})'"),
                &format!(":{name}:{{compadd -- {list}; _files}}'"),
            ),
            Shell::Fish => {
                let list = words.iter().map(|word| format!("{word}\\t''")).collect::<Vec<_>>();
                let offered = format!("-a \"{}\"", list.join("\n"));
                script.replace(&format!("-r -f {offered}"), &format!("-r -F {offered}"))
            }
            // clap's scripts for the other shells know no values.
            _ => script,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_offered_next_to_words() {
        for (shell, told) in [
            (Shell::Bash, "compgen -f -W \"tiny\nsmall\n"),
            (Shell::Zsh, ":FILE|NAME:{compadd -- tiny small "),
            (Shell::Fish, " -r -F -a \"tiny\\t''\nsmall\\t''\n"),
        ] {
            assert!(script(shell).contains(told), "{shell}: {told}");
        }
    }

    #[test]
    fn every_option_that_takes_a_value_has_a_hint_or_words() {
        let command = for_shells(description(), Shell::Bash);
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let hint = arg.get_value_hint();
                assert!(
                    hint != ValueHint::Unknown || !words(arg).is_empty(),
                    "{}: {}",
                    command.get_name(),
                    arg.get_id()
                );
            }
        }
    }
}
