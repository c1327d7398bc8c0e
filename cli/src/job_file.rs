//! Job files: recordings and their options in TOML.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use toml::{Table, Value};

use crate::alike::suggestion;
use crate::args::{Cli, Command, SegmentArgs};
use crate::command_line::{matches, one_line};
use crate::job_file_error::JobFileError;

/// Maximum number of recordings in a job file. Each is checked like a command line before the first
/// is segmented.
const MOST_RECORDINGS: usize = 2000;

/// Options that belong to the command line as a whole.
const NOT_IN_FILES: [&str; 4] = ["job", "stats", "help", "version"];

/// Options with their values.
type Options = Vec<(String, Vec<OsString>)>;

/// Reads a job file and returns one set of arguments per recording. Options typed together with
/// `--job` apply to all recordings and override the file.
pub fn read(path: &Path) -> Result<Vec<SegmentArgs>, JobFileError> {
    let failed = |reason: String| JobFileError { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(format!("{error}; check the name of the job file")))?;
    let typed = typed_options(&std::env::args_os().collect::<Vec<_>>());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    parse(&text, &typed, folder).map_err(failed)
}

/// Parses a job file. Paths in the file are relative to its folder.
fn parse(text: &str, typed: &Options, folder: Option<&Path>) -> Result<Vec<SegmentArgs>, String> {
    let mut file: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("line {line}: {}; check its TOML", error.message())
    })?;
    let defaults = match file.remove("defaults") {
        None => Table::new(),
        Some(Value::Table(table)) => table,
        Some(_) => return Err("'defaults' must be a table of options: write [defaults]".into()),
    };
    let recordings = match file.remove("recording") {
        Some(Value::Array(tables)) => tables,
        _ => return Err("there are no recordings: add [[recording]] with a path".into()),
    };
    if let Some(key) = file.keys().next() {
        let meant = suggestion(key, ["defaults", "recording"]);
        return Err(format!("unknown key '{key}': expected [defaults] and [[recording]]{meant}"));
    }
    if recordings.is_empty() {
        return Err("there are no recordings: add [[recording]] with a path".into());
    }
    if recordings.len() > MOST_RECORDINGS {
        return Err(format!(
            "{} recordings are more than {MOST_RECORDINGS}: make several job files of it",
            recordings.len()
        ));
    }
    let mut all = Vec::new();
    for (index, entry) in recordings.into_iter().enumerate() {
        let named = |reason: String| format!("recording {}: {reason}", index + 1);
        let Value::Table(mut entry) = entry else {
            return Err(named("must be a table: write [[recording]]".into()));
        };
        let Some(Value::String(recording)) = entry.remove("path") else {
            return Err(named("it has no path: add path = \"FILE\"".into()));
        };
        let recording = in_folder(folder, &recording);
        let mut options = Options::new();
        for (name, value) in entry.iter().chain(&defaults) {
            if options.iter().any(|(known, _)| known == name) {
                continue;
            }
            options.push((name.clone(), values(name, value).map_err(named)?));
        }
        options.retain(|(name, _)| typed.iter().all(|(known, _)| known != name));
        options.extend(typed.iter().cloned());
        let one = arguments(&recording, &options).map_err(named)?;
        all.push(one);
    }
    Ok(all)
}

/// Returns the values of an option as they would be typed. `true` becomes a switch without a value.
fn values(name: &str, value: &Value) -> Result<Vec<OsString>, String> {
    Ok(match value {
        Value::String(text) => vec![text.into()],
        Value::Integer(number) => vec![number.to_string().into()],
        Value::Float(number) => vec![number.to_string().into()],
        Value::Boolean(true) => vec![],
        Value::Boolean(false) => vec!["false".into()],
        Value::Array(list) => {
            let each = list.iter().map(|value| match values(name, value)?.as_slice() {
                [one] => Ok(one.clone()),
                _ => Err(format!("'{name}' has a list in a list: use one list")),
            });
            each.collect::<Result<_, String>>()?
        }
        _ => return Err(format!("'{name}' must be text, a number, true or a list")),
    })
}

fn arguments(recording: &Path, options: &Options) -> Result<SegmentArgs, String> {
    let command = Cli::command();
    let segment = command.find_subcommand("segment").ok_or("there is no segment command")?;
    let mut line: Vec<OsString> = vec!["sam2".into(), "segment".into(), recording.into()];
    for (name, values) in options {
        let known = segment.get_arguments().find(|argument| argument.get_long() == Some(name));
        let known = known.filter(|_| !NOT_IN_FILES.contains(&name.as_str()));
        let Some(known) = known else {
            let options = segment.get_arguments().filter_map(|argument| argument.get_long());
            let meant = suggestion(name, options.filter(|option| !NOT_IN_FILES.contains(option)));
            return Err(format!(
                "unknown option '{name}': use those of `sam2 segment`, without dashes{meant}"
            ));
        };
        let takes_value = known.get_action().takes_values();
        match values.as_slice() {
            [] if !takes_value => line.push(format!("--{name}").into()),
            [one] if !takes_value && one == "false" => {}
            values if takes_value && !values.is_empty() => {
                for value in values {
                    let mut word = OsString::from(format!("--{name}="));
                    word.push(value);
                    line.push(word);
                }
            }
            _ => {
                return Err(format!(
                    "'{name}' needs {}",
                    if takes_value { "a value: give one" } else { "true or false: use one" }
                ));
            }
        }
    }
    let cli = matches(&line).and_then(|matches| Cli::from_arg_matches(&matches));
    let args =
        match cli.map_err(|error| format!("{}; check the job file", one_line(&error)))?.command {
            Command::Segment(args) => *args,
            _ => return Err("there is no segment command".into()),
        };
    args.check()?;
    Ok(args)
}

/// Returns the options of `sam2 segment` that were typed, except `--job` and `--stats`.
fn typed_options(line: &[OsString]) -> Options {
    let command = Cli::command();
    let Ok(matches) = matches(line) else { return Options::new() };
    let Some(("segment", matches)) = matches.subcommand() else { return Options::new() };
    let Some(segment) = command.find_subcommand("segment") else { return Options::new() };
    let typed = |id: &str, matches: &ArgMatches| {
        // clap panics for an id that is not an argument of this command.
        matches.try_contains_id(id).unwrap_or(false)
            && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    segment
        .get_arguments()
        .filter_map(|argument| {
            let (id, name) = (argument.get_id().as_str(), argument.get_long()?);
            if NOT_IN_FILES.contains(&name) || !typed(id, matches) {
                return None;
            }
            let values = match argument.get_action().takes_values() {
                true => matches.get_raw(id)?.map(ToOwned::to_owned).collect(),
                false => Vec::new(),
            };
            Some((name.to_owned(), values))
        })
        .collect()
}

fn in_folder(folder: Option<&Path>, name: &str) -> PathBuf {
    match folder {
        Some(folder) => folder.join(name),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [defaults]
        output = ["{stem}.btf", "{stem}.sam2run"]
        fill-holes = 0
        point = "0:1,2"

        [[recording]]
        path = "a.avi"

        [[recording]]
        path = "b.avi"
        fill-holes = 4
        point = ["0:3,4", "1:5,6:2:-"]
        ids = true
        letterbox = false
    "#;

    #[test]
    fn options_of_a_recording_come_before_defaults_and_typed_ones_before_both() {
        let typed = vec![("resume".to_owned(), vec![])];
        let all = parse(FILE, &typed, Some(Path::new("day1"))).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].recordings, [PathBuf::from("day1/a.avi")]);
        assert_eq!((all[0].fill_holes, all[1].fill_holes), (0, 4));
        assert_eq!((all[0].prompts.point.len(), all[1].prompts.point.len()), (1, 2));
        assert_eq!((all[0].style.ids, all[1].style.ids, all[1].letterbox), (false, true, false));
        assert!(all.iter().all(|one| one.running.resume && one.output.len() == 2));
        let typed = vec![("fill-holes".to_owned(), vec!["9".into()])];
        let all = parse(FILE, &typed, None).unwrap();
        assert!(all.iter().all(|one| one.fill_holes == 9));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("[[recording]\npath=1", "line 1"),
            ("", "no recordings"),
            ("x = 1\n[[recording]]\npath = 'a'", "unknown key 'x'"),
            ("[[recording]]\nids = true", "recording 1: it has no path"),
            ("[[recording]]\npath = 'a'\nkepoints = 'x'", "dashes: did you mean 'keypoints'?"),
            ("[[recording]]\npath = 'a'\njob = 'x'", "unknown option 'job'"),
            ("[[recording]]\npath = 'a'\nids = 'x'", "true or false"),
            ("[[recording]]\npath = 'a'\noutput = true", "needs a value"),
            ("[[recording]]\npath = 'a'\noutput = 'a.btf'\nfill-holes = -1", "fill-holes"),
            ("[[recording]]\npath = 'a'", "output"),
            ("defaults = 3\n[[recording]]\npath = 'a'", "[defaults]"),
        ];
        for (text, told) in cases {
            let message = parse(text, &Options::new(), None).unwrap_err();
            assert!(message.contains(told), "{text}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
