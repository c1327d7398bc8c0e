//! Reads settings from a TOML file: `batch-size = 300`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Command;
use toml::de::{DeTable, DeValue};

use super::options::{common, names, settable, takes_several};
use super::{FILE_OPTION, FILE_VARIABLE, Origin, Setting};
use crate::alike::suggestion;

/// Returns the file that was named, or the user's own if it exists.
///
/// # Errors
/// Fails if a file was named and does not exist.
pub fn find(arguments: &[OsString]) -> Result<Option<PathBuf>, String> {
    let named = named_by(arguments).map(|path| (path, format!("--{FILE_OPTION}")));
    let named = named.or_else(|| {
        let path = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty())?;
        Some((PathBuf::from(path), FILE_VARIABLE.to_owned()))
    });
    if let Some((path, by)) = named {
        return match path.is_file() {
            true => Ok(Some(path)),
            false => Err(format!("{by}: there is no file '{}'", path.display())),
        };
    }
    Ok(user_file().filter(|path| path.is_file()))
}

/// Returns the path of the user's own file by the XDG rules: `~/.config/sam2/config.toml`.
pub fn user_file() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("sam2").join("config.toml"))
}

/// Returns the last value of `--config-file`. It must be known before clap parses, since the file's
/// contents change how clap parses.
fn named_by(arguments: &[OsString]) -> Option<PathBuf> {
    let option = format!("--{FILE_OPTION}");
    let mut named = None;
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        // The bytes of an OsString are UTF-8 wherever they are text.
        match argument.as_encoded_bytes() {
            b"--" => break,
            bytes if bytes == option.as_bytes() => named = rest.next().map(PathBuf::from),
            _ => {
                let text = argument.to_str().and_then(|text| text.strip_prefix(&option));
                if let Some(path) = text.and_then(|text| text.strip_prefix('=')) {
                    named = Some(path.into());
                }
            }
        }
    }
    named
}

/// Reads every setting of a file.
///
/// # Errors
/// One line with the path and the line number: invalid TOML, an unknown key or table, or a value of
/// a type that its option does not accept.
pub fn read(path: &Path, command: &Command) -> Result<Vec<Setting>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the settings in '{}': {error}", path.display()))?;
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|&b| b == b'\n').count();
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        format!("{}:{line}: this is not valid TOML: {message}", path.display())
    })?;
    let mut reader = Reader { path, found: Vec::new() };
    let shared = common(command);
    let commands: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    for (key, value) in table.get_ref() {
        let line = line_of(key.span().start);
        let name = key.get_ref().as_ref();
        match (value.get_ref(), command.find_subcommand(name)) {
            (DeValue::Table(own), Some(subcommand)) => {
                let options: Vec<_> = settable(subcommand).collect();
                for (key, value) in own {
                    let line = line_of(key.span().start);
                    let known = names(options.iter().copied());
                    reader.add(
                        Some(name),
                        key.get_ref(),
                        value.get_ref(),
                        line,
                        &options,
                        &known,
                    )?;
                }
            }
            (DeValue::Table(_), None) => {
                return Err(format!(
                    "{}:{line}: unknown command '{name}'{}",
                    path.display(),
                    suggestion(name, commands)
                ));
            }
            (value, _) => {
                let known: Vec<_> = names(shared.iter().copied());
                reader.add(None, name, value, line, &shared, &known)?;
            }
        }
    }
    Ok(reader.found)
}

struct Reader<'a> {
    path: &'a Path,
    found: Vec<Setting>,
}

impl Reader<'_> {
    fn add(
        &mut self,
        command: Option<&str>,
        key: &str,
        value: &DeValue<'_>,
        line: usize,
        options: &[&clap::Arg],
        known: &[&str],
    ) -> Result<(), String> {
        let origin = Origin::File(self.path.to_owned(), line);
        let name = key.replace('_', "-");
        let Some(option) = options.iter().find(|arg| arg.get_long() == Some(name.as_str())) else {
            let meant = suggestion(&name, known.iter().copied());
            return Err(format!("{origin}: unknown setting '{key}'{meant}"));
        };
        let values = match value {
            DeValue::Array(items) if takes_several(option) => {
                items.iter().map(|item| text_of(item.get_ref())).collect::<Option<Vec<_>>>()
            }
            other => text_of(other).map(|text| vec![text]),
        };
        let Some(values) = values else {
            return Err(format!("{origin}: '{key}' cannot be {}", kind(value)));
        };
        let twice = |other: &Setting| other.command.as_deref() == command && other.option == name;
        if self.found.iter().any(twice) {
            return Err(format!("{origin}: '{key}' is given twice"));
        }
        let command = command.map(str::to_owned);
        self.found.push(Setting { command, option: name, values, origin });
        Ok(())
    }
}

/// Returns a single value as it would be typed.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "this list: it takes one value, or text and numbers only",
        DeValue::Table(_) => "a table",
        DeValue::Datetime(_) => "a date or time: put it in quotes",
        _ => "this",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_among_the_arguments() {
        let named = |arguments: &[&str]| {
            let all: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            named_by(&all)
        };
        assert_eq!(named(&["sam2", "--config-file", "a.toml", "segment"]), Some("a.toml".into()));
        assert_eq!(named(&["sam2", "segment", "--config-file=b.toml"]), Some("b.toml".into()));
        assert_eq!(named(&["sam2", "segment", "--", "--config-file=b.toml"]), None);
        assert_eq!(named(&["sam2", "--config-files", "x"]), None);
        assert_eq!(named(&["sam2", "--config-file"]), None);
    }
}
