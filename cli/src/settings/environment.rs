//! Reads settings from environment variables: `SAM2_BATCH_SIZE` for `--batch-size`.

use clap::Command;

use super::options::{common, names, takes_several};
use super::{FILE_VARIABLE, Origin, Setting};
use crate::alike::suggestion;

/// Prefix of every variable.
const PREFIX: &str = "SAM2_";
/// Separates the values of an option that takes several.
const SEPARATOR: char = ';';
/// Options whose variable would have another meaning: `SAM2_CONFIG` is the file with the settings.
const RENAMED: [(&str, &str); 1] = [("config", "SAM2_MODEL_CONFIG")];
/// Variables that are not settings of an option.
const OTHERS: [&str; 4] = [FILE_VARIABLE, "SAM2_CACHE", "SAM2_BASE_URL", "SAM2_CPU_TIER"];

/// Returns the variable of an option.
pub fn variable(option: &str) -> String {
    let renamed = RENAMED.iter().find(|(name, _)| *name == option);
    match renamed {
        Some((_, variable)) => (*variable).to_owned(),
        None => format!("{PREFIX}{}", option.to_uppercase().replace('-', "_")),
    }
}

/// Reads every setting in the environment. Empty variables count as not set.
pub fn read(command: &Command) -> Result<Vec<Setting>, String> {
    let mut found = Vec::new();
    for option in common(command) {
        let Some(long) = option.get_long() else { continue };
        let name = variable(long);
        let Some(value) = std::env::var_os(&name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let value =
            value.into_string().map_err(|_| format!("{name}: its value is not valid UTF-8"))?;
        let values = if takes_several(option) {
            value.split(SEPARATOR).map(|part| part.trim().to_owned()).collect()
        } else {
            vec![value]
        };
        let origin = Origin::Environment(name);
        found.push(Setting { command: None, option: long.to_owned(), values, origin });
    }
    Ok(found)
}

/// Returns a note on each variable that looks like a setting but is not, with a suggestion. Such
/// variables are not refused, since other programs also use this prefix.
pub fn unknown(command: &Command) -> Vec<String> {
    let mut known: Vec<String> =
        names(common(command)).into_iter().map(variable).chain(OTHERS.map(str::to_owned)).collect();
    let own = command.get_subcommands().flat_map(Command::get_arguments);
    known.extend(own.filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned())));
    let mut found: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .map(|name| {
            // Compared without the prefix, which makes all variables look alike.
            let bare = |name: &str| name.trim_start_matches(PREFIX).to_owned();
            let others: Vec<String> = known.iter().map(|name| bare(name)).collect();
            let meant = suggestion(&bare(&name), others.iter().map(String::as_str));
            format!("{name} is not a setting{}", meant.replacen('\'', &format!("'{PREFIX}"), 1))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_after_options() {
        assert_eq!(variable("batch-size"), "SAM2_BATCH_SIZE");
        assert_eq!(variable("config"), "SAM2_MODEL_CONFIG");
    }
}
