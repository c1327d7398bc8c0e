//! Turns the header of a run file into the description in a report.

use sam2_mask_writer::RunHeader;
use sam2_report::RunDescription;
use serde_json::{Map, Value};

use super::told;

/// Describes a run for its report. `run_file` is the name of its file, if it has one.
pub(super) fn run(header: &RunHeader, run_file: Option<String>) -> RunDescription {
    let settings = header.settings.iter().map(|(name, value)| (name.clone(), plain(value)));
    RunDescription {
        recording: header.recording.clone(),
        size: (header.width, header.height),
        frames: header.frames.clone(),
        recording_frames: header.frame_count,
        frames_per_second: header.frames_per_second,
        made_by: format!("sam2 {}", header.sam2_version),
        command: told::command(header),
        run_file,
        options: told::in_words(header),
        parameters: Value::Object(settings.collect::<Map<_, _>>()),
        object_names: header.object_names.clone(),
        // Prompts are added with the batches.
        prompts: Vec::new(),
    }
}

/// Parses a setting for display. Settings are text; those that are JSON are shown as their value.
/// Numbers stay as they were written, since a fingerprint may look like a number.
fn plain(value: &str) -> Value {
    let is_json = value.starts_with(['{', '[', '"']) || ["true", "false", "null"].contains(&value);
    let parsed = if is_json { serde_json::from_str(value).ok() } else { None };
    parsed.unwrap_or_else(|| Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_shown_as_what_they_mean() {
        let mut header = RunHeader::new("mouse.avi", (64, 48), 10);
        for (name, value) in [
            ("resize", "\"pillow-bicubic\""),
            ("quality", "{\"lost\":true}"),
            ("hash", "0123"),
            ("odd", "{no JSON"),
        ] {
            header.settings.insert(name.into(), value.into());
        }
        let described = run(&header, None);
        let expected = json!({
            "resize": "pillow-bicubic", "quality": {"lost": true}, "hash": "0123", "odd": "{no JSON",
        });
        assert_eq!(described.parameters, expected);
        assert_eq!((described.size, described.frames), ((64, 48), 0..10));
    }
}
