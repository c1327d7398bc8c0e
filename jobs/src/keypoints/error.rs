//! Errors of tracks.

use std::path::PathBuf;

use super::quoting::quote_path;

/// A keypoint file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeypointError {
    /// The file cannot be read.
    #[error(
        "cannot read the track '{path}': {source}; give the file of a track, such as DeepLabCut's CSV or SLEAP's .slp"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is of no known kind, or is damaged.
    #[error("'{path}' cannot be used as a track: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The fault and its place in the file.
        what: String,
    },
    /// The track does not have a requested body part.
    #[error("'{path}' has no body part '{name}'; it has {}", listed(.available))]
    UnknownBodypart {
        /// The file.
        path: PathBuf,
        /// The requested name.
        name: String,
        /// The existing names.
        available: Vec<String>,
    },
    /// The track does not have a requested individual.
    #[error("'{path}' has no individual '{name}'; it has {}", listed(.available))]
    UnknownIndividual {
        /// The file.
        path: PathBuf,
        /// The requested name.
        name: String,
        /// The existing names. Empty for a track of one animal without a name.
        available: Vec<String>,
    },
    /// There are more individuals than object numbers.
    #[error(
        "'{path}' has {count} individuals, but at most 255 can be segmented together: choose some of them"
    )]
    TooManyIndividuals {
        /// The file.
        path: PathBuf,
        /// Number of individuals.
        count: usize,
    },
    /// The track has more or fewer rows than the recording has frames.
    #[error(
        "'{path}' has {rows} rows{} but the recording has {frames} frames: is it the track of another recording? If not, the rows that there are can be used without this check", up_to(*.rows, *.last)
    )]
    RowCount {
        /// The file.
        path: PathBuf,
        /// Number of rows in the track.
        rows: usize,
        /// The frame of the last row.
        last: usize,
        /// Number of frames in the recording.
        frames: usize,
    },
    /// A track that should have a row for each frame lacks some.
    #[error(
        "'{path}' has no row for frame {first} and {missing} frames in all: has it been cut? If that is right, the rows that there are can be used without this check"
    )]
    MissingRows {
        /// The file.
        path: PathBuf,
        /// The first frame without a row.
        first: usize,
        /// Number of frames without a row.
        missing: usize,
    },
    /// The rows belong to several recordings, none of which is this one.
    #[error(
        "'{path}' has rows of several recordings ({}), but none of '{recording}': say which is the same with --keypoints-video NAME, or give the track of this recording", listed(.available)
    )]
    OtherRecordings {
        /// The file.
        path: PathBuf,
        /// The recording.
        recording: String,
        /// The recordings that the file names.
        available: Vec<String>,
    },
    /// The file does not name the requested recording.
    #[error("'{path}' has no rows of the recording '{name}' (--keypoints-video); it has rows of {}", listed(.available))]
    UnknownRecording {
        /// The file.
        path: PathBuf,
        /// The requested name.
        name: String,
        /// The existing names.
        available: Vec<String>,
    },
    /// None of the images that the file names is in the recording.
    #[error(
        "none of the images that '{path}' names are in '{recording}' (it names {}, {}): give the track of this recording, or name the images as in the track", quote_path(.named), images_of(.there)
    )]
    NoSuchImages {
        /// The file.
        path: PathBuf,
        /// The recording.
        recording: String,
        /// An image that the file names.
        named: String,
        /// An image of the recording. `None` if it has none.
        there: Option<String>,
    },
    /// The file has fewer rows than the recording has frames, and does not say where it starts.
    #[error(
        "'{path}' has {rows} rows for {frames} frames and does not say at which frame they begin: give --keypoints-first-frame 0 if it lacks only the last frames, or --keypoints-first-frame {} if it lacks the first ones (in SLEAP, export with all frames)", .frames.saturating_sub(*.rows)
    )]
    UnknownStart {
        /// The file.
        path: PathBuf,
        /// Number of rows in the track.
        rows: usize,
        /// Number of frames in the recording.
        frames: usize,
    },
    /// Most points are outside the picture, so the coordinates must belong to another one.
    #[error(
        "{count} of {total} points of '{path}' are outside {place}, such as {part} ({x}, {y}) on frame {frame}: give --downsample-factor F if it is of a smaller video, --keypoints-offset X,Y if it is of a cropped one, or else the track of this recording"
    )]
    MostlyOutside {
        /// The file.
        path: PathBuf,
        /// Number of points outside.
        count: usize,
        /// Number of points that could otherwise be used.
        total: usize,
        /// Body part of the first point outside.
        part: String,
        /// Its column.
        x: f32,
        /// Its row.
        y: f32,
        /// Its frame.
        frame: usize,
        /// The picture or region that the points are outside of.
        place: String,
    },
}

/// Returns a clause with the last frame that has a row, unless the rows are simply one for each
/// frame from the first on.
fn up_to(rows: usize, last: usize) -> String {
    match rows {
        0 => String::new(),
        _ if last.checked_add(1) == Some(rows) => String::new(),
        _ => format!(", the last of which is on frame {last} (counted from 0),"),
    }
}

/// Describes the recording's images in a message.
fn images_of(image: &Option<String>) -> String {
    image.as_ref().map_or_else(
        || "whose name does not end in a frame number".to_owned(),
        |image| format!("the recording holds {}", quote_path(image)),
    )
}

/// Lists names for a message, no more than fit on a line.
fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let mut shown: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    let more = format!("and {} more", names.len().saturating_sub(MOST));
    match names.len() {
        0 => return "none with a name".to_owned(),
        count if count > MOST => shown.push(&more),
        _ => {}
    }
    shown.join(", ")
}
