//! Turns settings into defaults of options.

use std::collections::HashSet;
use std::ffi::OsString;

use clap::builder::ArgPredicate;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::options::{settable, switch};
use super::{Setting, Settings};

/// Options of the command that is run, by clap's ids.
type Options = HashSet<clap::Id>;

impl Settings {
    /// Parses a command line. Settings supply the options that it leaves out.
    ///
    /// # Errors
    /// clap's errors, and two settings of the same strength that exclude each other.
    pub fn parse(
        &self,
        command: &Command,
        arguments: &[OsString],
    ) -> Result<ArgMatches, clap::Error> {
        let mut layered = self.layered(command, &|_, _| true);
        let matches = self.matches(&mut layered, arguments)?;
        let beaten = self.beaten(&mut layered, &matches)?;
        if beaten.is_empty() {
            return Ok(matches);
        }
        let stands = |_: &str, option: &Arg| !beaten.contains(option.get_id());
        self.matches(&mut self.layered(command, &stands), arguments)
    }

    /// Parses a command line with only those settings that supply required options.
    ///
    /// # Errors
    /// clap's errors.
    pub fn parse_bare(
        &self,
        command: &Command,
        arguments: &[OsString],
    ) -> Result<ArgMatches, clap::Error> {
        let mut bare = self.layered(command, &|_, option| option.is_required_set());
        self.matches(&mut bare, arguments)
    }

    /// Parses with the settings as defaults. clap does not accept a default for an option that is
    /// required unless another one is given. If such an option is missing, it is added to the
    /// command line.
    fn matches(
        &self,
        layered: &mut Command,
        arguments: &[OsString],
    ) -> Result<ArgMatches, clap::Error> {
        layered.try_get_matches_from_mut(arguments).or_else(|error| {
            match self.completed(layered, arguments, &error) {
                Some(arguments) => layered.try_get_matches_from_mut(arguments),
                None => Err(error),
            }
        })
    }

    /// Returns the command line with the settings that `error` reports as missing, or `None` if
    /// none of them is set.
    fn completed(
        &self,
        command: &Command,
        arguments: &[OsString],
        error: &clap::Error,
    ) -> Option<Vec<OsString>> {
        let (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) =
            (error.kind(), error.get(ContextKind::InvalidArg))
        else {
            return None;
        };
        let names = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
        let name = names.into_iter().find(|name| command.find_subcommand(name).is_some())?;
        let added: Vec<OsString> = missing
            .iter()
            // An entry such as `--output <FILE>`.
            .filter_map(|usage| usage.strip_prefix("--")?.split([' ', '=']).next())
            .filter_map(|option| self.of(name, option))
            .flat_map(|setting| {
                setting.values.iter().map(|value| format!("--{}={value}", setting.option).into())
            })
            .collect();
        // Words after -- are not options.
        let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
        let (options, rest) = arguments.split_at(end);
        (!added.is_empty()).then(|| [options, &added, rest].concat())
    }

    /// Returns the command with defaults from the settings that `wanted` accepts, and with a
    /// `--no-switch` for each `--switch`, so that a switch set in a file can be turned off.
    fn layered(&self, command: &Command, wanted: &dyn Fn(&str, &Arg) -> bool) -> Command {
        let own = self.with_defaults(command.clone(), wanted);
        let names: Vec<String> =
            own.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
        names.iter().fold(own, |command, name| {
            command
                .mut_subcommand(name, |subcommand| negated(self.with_defaults(subcommand, wanted)))
        })
    }

    fn with_defaults(&self, command: Command, wanted: &dyn Fn(&str, &Arg) -> bool) -> Command {
        let name = command.get_name().to_owned();
        let set: Vec<(clap::Id, Vec<String>)> = settable(&command)
            .filter(|option| wanted(&name, option))
            .filter_map(|option| {
                let setting = self.of(&name, option.get_long()?)?;
                Some((option.get_id().clone(), typed(option, setting)))
            })
            .collect();
        set.into_iter().fold(command, |command, (id, values)| {
            // clap does not allow an option that is required and has a default.
            command.mut_arg(id, |option| option.required(false).default_values(values))
        })
    }

    /// Returns the settings that exclude a typed option or a stronger setting, and so must be
    /// dropped.
    fn beaten(&self, layered: &mut Command, matches: &ArgMatches) -> Result<Options, clap::Error> {
        let Some((name, matches)) = matches.subcommand() else { return Ok(Options::new()) };
        let Some(command) = layered.find_subcommand(name) else { return Ok(Options::new()) };
        let is_typed = |option: &&Arg| {
            matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
        };
        let typed: Vec<&Arg> = settable(command).filter(is_typed).collect();
        let mut set: Vec<(usize, &Arg, &Setting)> = settable(command)
            .filter(|option| !is_typed(option))
            .filter_map(|option| {
                let setting = self.of(name, option.get_long()?)?;
                let off = matches!(option.get_action(), ArgAction::SetTrue)
                    && setting.values.iter().all(|value| switch(value) == Ok("false"));
                let strength = self.entries.iter().position(|other| other == setting)?;
                (!off).then_some((strength, option, setting))
            })
            .collect();
        set.sort_by_key(|(strength, ..)| *strength);
        let mut standing: Vec<(&Arg, Option<&Setting>)> =
            typed.into_iter().map(|option| (option, None)).collect();
        let mut beaten = Options::new();
        let mut clash = None;
        for (_, option, setting) in set {
            match standing.iter().find(|(other, _)| exclude(command, option, other)) {
                None => standing.push((option, Some(setting))),
                Some((_, Some(other))) if same_layer(setting, other) => {
                    clash = Some(format!(
                        "{} and {} cannot be used together",
                        setting.origin, other.origin
                    ));
                }
                Some(_) => {
                    beaten.insert(option.get_id().clone());
                }
            }
        }
        match clash {
            Some(message) => Err(layered.error(ErrorKind::ArgumentConflict, message)),
            None => Ok(beaten),
        }
    }
}

/// Returns the values as clap spells them.
fn typed(option: &Arg, setting: &Setting) -> Vec<String> {
    if matches!(option.get_action(), ArgAction::SetTrue) {
        // The value was checked when it was read.
        return setting.values.iter().filter_map(|v| switch(v).ok()).map(str::to_owned).collect();
    }
    setting.values.clone()
}

fn exclude(command: &Command, one: &Arg, other: &Arg) -> bool {
    let excludes = |one: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|arg| arg.get_id() == other.get_id())
    };
    excludes(one, other) || excludes(other, one)
}

fn same_layer(one: &Setting, other: &Setting) -> bool {
    std::mem::discriminant(&one.origin) == std::mem::discriminant(&other.origin)
}

/// Adds the hidden `--no-switch` of each switch.
fn negated(command: Command) -> Command {
    let taken: HashSet<String> =
        command.get_arguments().filter_map(|arg| Some(arg.get_long()?.to_owned())).collect();
    let switches: Vec<(clap::Id, String)> = settable(&command)
        .filter(|arg| matches!(arg.get_action(), ArgAction::SetTrue))
        .filter_map(|arg| Some((arg.get_id().clone(), format!("no-{}", arg.get_long()?))))
        .filter(|(_, negation)| !taken.contains(negation))
        .collect();
    switches.into_iter().fold(command, |command, (id, negation)| {
        let off = Arg::new(negation.clone())
            .long(negation.clone())
            .action(ArgAction::SetTrue)
            .overrides_with(id.clone())
            .hide(true);
        command.arg(off).mut_arg(id, |switch| {
            switch.default_value_if(negation, ArgPredicate::Equals("true".into()), Some("false"))
        })
    })
}
