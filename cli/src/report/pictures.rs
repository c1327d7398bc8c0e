//! The pictures in a report, read from the recording if it is available.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_frame_provider::{FrameSource, OpenOptions, VideoOptions, open_with};
use sam2_mask_writer::RunHeader;
use sam2_report::Report;

use crate::args::ReportArgs;
use crate::recording::{other_contents, other_size, places};

/// The recording of a run, or why it is missing.
pub(super) enum Recording {
    /// It is open, and it is the run's recording.
    Open(Box<dyn FrameSource>),
    /// It exists, and is opened when it is needed.
    Closed(PathBuf, Box<OpenOptions>, Box<RunHeader>),
    /// It is missing, for this reason.
    Missing(String),
}

/// Finds the recording of a run: the one that was named, or one of the same name next to the run
/// file or in the working folder.
///
/// # Errors
/// Fails if a recording was named and it cannot be opened or is a different one.
pub(super) fn find(
    args: &ReportArgs,
    given: Option<(PathBuf, Vec<PathBuf>)>,
    header: &RunHeader,
) -> Result<Recording> {
    let stream = args.stream.or_else(|| setting(header, "video stream"));
    let options = OpenOptions::default()
        .video(VideoOptions { stream, ..VideoOptions::default() })
        .intensity(args.intensity.or_else(|| setting(header, "intensity")).unwrap_or_default())
        .axes(args.axes.clone().or_else(|| setting(header, "axes")).unwrap_or_default())
        // Only runs with --no-exif have this setting.
        .exif(!header.settings.contains_key("still images"));
    if let Some((path, further)) = given {
        let files: Vec<PathBuf> = std::iter::once(&path).chain(&further).cloned().collect();
        let source = open_with(&path, &options.join(further))?;
        let difference = difference(&source, header).or_else(|| other_contents(&files, header));
        return match difference {
            None => Ok(Recording::Open(source)),
            Some(difference) => bail!(
                "'{}' is not the recording of the run: {difference}; give the one that was segmented",
                path.display()
            ),
        };
    }
    Ok(found(args, header, &options))
}

/// Looks for the recording in the usual places.
fn found(args: &ReportArgs, header: &RunHeader, options: &OpenOptions) -> Recording {
    const REMEDY: &str =
        "the masks are shown alone. Name the recording with --recording to see its frames.";
    if Path::new(&header.recording).file_name().is_none() {
        return Recording::Missing(format!(
            "The run file does not name its recording, so {REMEDY}"
        ));
    }
    let mut missing = format!("The recording was not found next to the run file, so {REMEDY}");
    for (path, further) in places(&args.run, header) {
        let files: Vec<PathBuf> = std::iter::once(&path).chain(&further).cloned().collect();
        let why = match open_with(&path, &options.clone().join(further)) {
            Ok(source) => {
                let difference =
                    difference(&source, header).or_else(|| other_contents(&files, header));
                match difference {
                    None => return Recording::Open(source),
                    Some(difference) => difference,
                }
            }
            Err(error) => error.to_string(),
        };
        missing = format!("'{}' is not used as the recording ({why}), so {REMEDY}", path.display());
    }
    Recording::Missing(missing)
}

/// Returns a setting of the run about how frames are read, if it is present and valid.
fn setting<T: std::str::FromStr>(header: &RunHeader, name: &str) -> Option<T> {
    header.settings.get(name)?.trim_matches('"').parse().ok()
}

/// Returns the difference between a recording and that of the run, or `None`.
fn difference(source: &dyn FrameSource, header: &RunHeader) -> Option<String> {
    let (count, end) = (source.info().frame_count, header.frames.end);
    // A damaged recording may show its true length only when it is read.
    let is_shorter = || {
        (count < end).then(|| format!("it has {count} frames, the run goes to frame {}", end - 1))
    };
    other_size(source, header).or_else(is_shorter)
}

impl Recording {
    fn opened(self) -> Result<Box<dyn FrameSource>, String> {
        let (path, options, header) = match self {
            Self::Open(source) => return Ok(source),
            Self::Missing(note) => return Err(note),
            Self::Closed(path, options, header) => (path, options, header),
        };
        let why = match open_with(&path, &options) {
            Ok(source) => match difference(&source, &header) {
                None => return Ok(source),
                Some(difference) => difference,
            },
            Err(error) => error.to_string(),
        };
        Err(format!("The recording cannot be read again ({why}), so the masks are shown alone."))
    }

    /// Adds the pictures to the report. The page says which ones cannot be read.
    pub(super) fn give_to(self, report: &mut Report) {
        let source = match self.opened() {
            Ok(source) => source,
            Err(note) => {
                tracing::warn!("{note}");
                return report.add_note(note);
            }
        };
        let mut failed = Vec::new();
        for index in report.frames_to_show() {
            let given = source
                .frame(index)
                .map_err(anyhow::Error::from)
                .and_then(|frame| Ok(report.set_picture(index, frame.data())?));
            if let Err(error) = given {
                tracing::warn!("{error}");
                failed.push(index.to_string());
            }
        }
        if !failed.is_empty() {
            let frames = failed.join(", ");
            report.add_note(format!(
                "Frames that cannot be read from the recording are shown as masks alone: {frames}."
            ));
        }
    }
}
