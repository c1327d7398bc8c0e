//! Defaults of options from the environment and from a configuration file.
//!
//! This module knows no option by name. It uses clap's description of the command line, so a new
//! option can be set as soon as it exists. A setting becomes the *default* of its option before
//! clap parses. This gives the order command line > environment > file > built-in default, shows
//! the setting in `--help`, and avoids conflicts with typed options.
//!
//! `SAM2_BATCH_SIZE` and the key `batch-size` (or `batch_size`) stand for `--batch-size` of
//! `segment`, and of each other command with an option of that name. A table such as `[download]`
//! applies only to that command.

mod environment;
mod file;
mod layers;
mod options;
pub mod show;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

pub use environment::unknown as unknown_variables;

/// The option that names the file, as clap knows it.
const FILE_OPTION: &str = "config-file";
/// The variable that names the file.
pub const FILE_VARIABLE: &str = "SAM2_CONFIG";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This environment variable.
    Environment(String),
    /// This line of this file, counted from 1.
    File(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// The value or values of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    /// The command that it applies to; `None` for every command with the option.
    command: Option<String>,
    /// The option's long name, without leading dashes.
    option: String,
    /// The values as they would be typed; more than one only for options that take several.
    values: Vec<String>,
    origin: Origin,
}

/// All values from outside the command line, strongest first.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    entries: Vec<Setting>,
    file: Option<PathBuf>,
}

impl Settings {
    /// Reads the environment and the configuration file. `arguments` or the environment name the
    /// file; otherwise the user's own file is read, if it exists.
    ///
    /// # Errors
    /// One line that names the file or variable and says what to do: an unreadable file, an unknown
    /// key, or a value that its option does not accept.
    pub fn load(command: &clap::Command, arguments: &[OsString]) -> Result<Self, String> {
        let mut entries = environment::read(command)?;
        let file = file::find(arguments)?;
        if let Some(path) = &file {
            entries.extend(file::read(path, command)?);
        }
        // A table for one command takes precedence over a key for all commands.
        entries.sort_by_key(|setting| match (&setting.origin, &setting.command) {
            (Origin::Environment(_), _) => 0,
            (Origin::File(..), Some(_)) => 1,
            (Origin::File(..), None) => 2,
        });
        for setting in &entries {
            options::check(command, setting)?;
        }
        Ok(Self { entries, file })
    }

    /// Returns the path of the configuration file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the number of values from outside the command line.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the strongest value for an option of a command.
    fn of(&self, command: &str, option: &str) -> Option<&Setting> {
        self.entries.iter().find(|setting| {
            setting.option == option
                && setting.command.as_deref().is_none_or(|name| name == command)
        })
    }
}
