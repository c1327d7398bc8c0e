//! Defaults of options from the environment and from a configuration file.
//!
//! Nothing here knows an option by name: everything goes through clap's description of the command line, so a new option takes
//! part as soon as it exists. A setting becomes the *default* of its option before clap parses, which gives the
//! order command line > environment > file > built-in default, shows it in `--help`, and keeps it from colliding with what is typed.
//!
//! `SAM2_BATCH_SIZE` and the key `batch-size` (or `batch_size`) stand for `--batch-size` of `segment`, and of each other command
//! with an option of that name. A table such as `[download]` is for that command alone.

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
    /// This variable.
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

/// One value for one option.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    /// The command that it is for; `None`: each that has the option.
    command: Option<String>,
    /// The option's long name, without dashes before it.
    option: String,
    /// What would be typed; several for options that take several.
    values: Vec<String>,
    origin: Origin,
}

/// Every value from outside the command line, strongest first.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    entries: Vec<Setting>,
    file: Option<PathBuf>,
}

impl Settings {
    /// Reads the environment and the file that `arguments` or the environment name, or else the user's own, if it exists.
    ///
    /// # Errors
    /// One line that names the file or variable, and says what to do: a file that cannot be read, an unknown key, a value that its option does not take.
    pub fn load(command: &clap::Command, arguments: &[OsString]) -> Result<Self, String> {
        let mut entries = environment::read(command)?;
        let file = file::find(arguments)?;
        if let Some(path) = &file {
            entries.extend(file::read(path, command)?);
        }
        // A table for one command says more than a key for all.
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

    /// The configuration file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// How many options have a value from outside the command line.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The strongest value for an option of a command.
    fn of(&self, command: &str, option: &str) -> Option<&Setting> {
        self.entries.iter().find(|setting| {
            setting.option == option
                && setting.command.as_deref().is_none_or(|name| name == command)
        })
    }
}

/// `(did you mean 'batch-size'?)`, if something like `name` is among `known`.
fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    /// Names less alike than this are no help.
    const ALIKE: f64 = 0.8;
    let similarity = |other: &str| strsim::jaro_winkler(name, other);
    known
        .into_iter()
        .map(|other| (similarity(other), other))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, other)| format!(": did you mean '{other}'?"))
}
