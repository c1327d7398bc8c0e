//! `sam2 config`: the values in effect, and where each comes from.

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, Args, Command};

use super::environment::{unknown, variable};
use super::options::{common, names, settable};
use super::{Settings, file};
use crate::exit::ExitStatus;

/// `sam2 config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The command whose options are shown.
    #[arg(default_value = "segment")]
    pub command: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One option as it would be used.
struct Row<'a> {
    option: &'a str,
    value: Option<String>,
    origin: String,
    variable: Option<String>,
}

/// Prints each option of a command with its value and where that comes from.
pub fn run(args: &ConfigArgs, root: &Command, settings: &Settings) -> Result<ExitStatus> {
    let Some(command) = root.find_subcommand(&args.command) else {
        let known = root.get_subcommands().map(Command::get_name);
        bail!("there is no command '{}'{}", args.command, super::suggestion(&args.command, known));
    };
    let shared = names(common(root));
    let rows: Vec<Row<'_>> = settable(command)
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
    let strange = unknown(root);
    if args.json {
        print_json(&rows, settings, &strange);
    } else {
        print_table(&rows, settings, &strange);
    }
    Ok(ExitStatus::Done)
}

fn print_table(rows: &[Row<'_>], settings: &Settings, strange: &[String]) {
    match (settings.file(), file::user_file()) {
        (Some(path), _) => println!("# settings in {}", path.display()),
        (None, Some(path)) => println!("# no settings file ({} does not exist)", path.display()),
        (None, None) => println!("# no settings file"),
    }
    let width = |of: &dyn Fn(&Row<'_>) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let options = width(&|row| row.option.len());
    let values = width(&|row| row.value.as_ref().map_or(1, |value| value.chars().count()));
    for Row { option, value, origin, .. } in rows {
        let value = value.as_deref().unwrap_or("-");
        println!("{option:<options$}  {value:<values$}  {origin}");
    }
    strange.iter().for_each(|line| tracing::warn!("{line}"));
}

fn print_json(rows: &[Row<'_>], settings: &Settings, strange: &[String]) {
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
    println!("{all:#}");
}

/// The built-in default: clap's, or what the help text says where the program finds it later.
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
    let help = option.get_help()?.to_string();
    let (_, rest) = help.rsplit_once("[default: ")?;
    rest.split_once(']').map(|(value, _)| value.to_owned())
}
