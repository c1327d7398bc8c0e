//! `sam2 config`: prints the values in effect and the origin of each.

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, Command};

use super::environment::{unknown, variable};
use super::options::{common, names, settable};
use super::{Settings, file};
use crate::alike::suggestion;
use crate::args::ConfigArgs;
use crate::exit::ExitStatus;
use crate::standard_output::print;

/// One option with its value in effect.
struct Row<'a> {
    option: &'a str,
    value: Option<String>,
    origin: String,
    variable: Option<String>,
}

/// Prints each option of a command with its value and its origin.
pub fn run(args: &ConfigArgs, root: &Command, settings: &Settings) -> Result<ExitStatus> {
    let Some(command) = root.find_subcommand(&args.command) else {
        let known = root.get_subcommands().map(Command::get_name);
        bail!("unknown command '{}'{}", args.command, suggestion(&args.command, known));
    };
    let shared = names(common(root));
    // The options that every command has come last.
    let mut rows: Vec<Row<'_>> = settable(command)
        .chain(settable(root))
        .filter_map(|option| {
            let long = option.get_long()?;
            let setting = settings.of(&args.command, long);
            let built_in = || (default_of(option), "default".to_owned());
            let (value, origin) = setting.map_or_else(built_in, |setting| {
                (Some(setting.values.join(", ")), setting.origin.to_string())
            });
            let variable = shared.contains(&long).then(|| variable(long));
            Some(Row { option: long, value, origin, variable })
        })
        .collect();
    rows.extend(command.get_arguments().filter_map(with_own_variable));
    let strange = unknown(root);
    if args.json {
        print(json(&rows, settings, &strange))?;
    } else {
        print(table(&rows, settings))?;
        strange.iter().for_each(|line| tracing::warn!("{line}"));
    }
    Ok(ExitStatus::Done)
}

/// Returns the row of an option whose variable clap reads itself.
fn with_own_variable(option: &Arg) -> Option<Row<'_>> {
    let (long, name) = (option.get_long()?, option.get_env()?.to_string_lossy().into_owned());
    let given = std::env::var_os(&name).filter(|value| !value.is_empty());
    let (value, origin) = match given {
        Some(value) => (Some(value.to_string_lossy().into_owned()), name.clone()),
        None => (default_of(option), "default".to_owned()),
    };
    Some(Row { option: long, value, origin, variable: Some(name) })
}

fn table(rows: &[Row<'_>], settings: &Settings) -> String {
    let mut text = match (settings.file(), file::user_file()) {
        (Some(path), _) => format!("# settings in {}\n", path.display()),
        (None, Some(path)) => format!("# no settings file ({} does not exist)\n", path.display()),
        (None, None) => "# no settings file\n".to_owned(),
    };
    let width = |of: &dyn Fn(&Row<'_>) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let options = width(&|row| row.option.len());
    let values = width(&|row| row.value.as_ref().map_or(1, |value| value.chars().count()));
    for Row { option, value, origin, .. } in rows {
        let value = value.as_deref().unwrap_or("-");
        text.push_str(&format!("{option:<options$}  {value:<values$}  {origin}\n"));
    }
    text
}

fn json(rows: &[Row<'_>], settings: &Settings, strange: &[String]) -> String {
    let options: serde_json::Map<String, serde_json::Value> = rows
        .iter()
        .map(|row| {
            let value = serde_json::json!({
                "value": row.value, "from": row.origin, "variable": row.variable,
            });
            (row.option.to_owned(), value)
        })
        .collect();
    let file = settings.file().map(|path| path.display().to_string());
    let all = serde_json::json!({ "file": file, "options": options, "unknown_variables": strange });
    format!("{all:#}\n")
}

/// Returns the built-in default: clap's, or the one stated in the help text for values that are
/// determined later.
fn default_of(option: &Arg) -> Option<String> {
    let defaults: Vec<_> =
        option.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() {
        return Some(defaults.join(", "));
    }
    match option.get_action() {
        ArgAction::SetTrue => return Some("false".to_owned()),
        ArgAction::Count => return Some("0".to_owned()),
        _ => {}
    }
    let help = option.get_long_help().or(option.get_help())?.to_string();
    let (_, rest) = help.rsplit_once("[default: ")?;
    rest.split_once(']').map(|(value, _)| value.to_owned())
}
