//! Tracks that cannot be used.

use std::path::PathBuf;

use super::table::quote_path;

/// A keypoint file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeypointError {
    /// It cannot be read.
    #[error(
        "cannot read the track '{path}': {source}; give the file of a track, such as DeepLabCut's CSV or SLEAP's .slp"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is none of the known kinds, or is one but damaged.
    #[error("'{path}' cannot be used as a track: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A body part that it does not have.
    #[error("'{path}' has no body part '{name}'; it has {}", listed(.available))]
    UnknownBodypart {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<String>,
    },
    /// An individual that it does not have.
    #[error("'{path}' has no individual '{name}'; it has {}", listed(.available))]
    UnknownIndividual {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// Who there is; empty for a track of one animal without a name.
        available: Vec<String>,
    },
    /// More individuals than there are object numbers.
    #[error(
        "'{path}' has {count} individuals, but at most 255 can be segmented together: choose some of them"
    )]
    TooManyIndividuals {
        /// The file.
        path: PathBuf,
        /// How many it has.
        count: usize,
    },
    /// More or fewer rows than the recording has frames.
    #[error(
        "'{path}' has {rows} rows{} but the recording has {frames} frames: is it the track of another recording? If not, the rows that there are can be used without this check", up_to(*.rows, *.last)
    )]
    RowCount {
        /// The file.
        path: PathBuf,
        /// Rows in the track.
        rows: usize,
        /// The frame that its last row is on.
        last: usize,
        /// Frames in the recording.
        frames: usize,
    },
    /// Frames without a row in a track that should have one for each.
    #[error(
        "'{path}' has no row for frame {first} and {missing} frames in all: has it been cut? If that is right, the rows that there are can be used without this check"
    )]
    MissingRows {
        /// The file.
        path: PathBuf,
        /// The first frame without a row.
        first: usize,
        /// How many have none.
        missing: usize,
    },
    /// Rows of several recordings, none of which is this one.
    #[error(
        "'{path}' has rows of several recordings ({}), but none of '{recording}': say which is the same with --keypoints-video NAME, or give the track of this recording", listed(.available)
    )]
    OtherRecordings {
        /// The file.
        path: PathBuf,
        /// The recording.
        recording: String,
        /// Those that the file names.
        available: Vec<String>,
    },
    /// A recording that the file does not name.
    #[error("'{path}' has no rows of the recording '{name}' (--keypoints-video); it has rows of {}", listed(.available))]
    UnknownRecording {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<String>,
    },
    /// None of the images that the file names are in the recording.
    #[error(
        "none of the images that '{path}' names are in '{recording}' (it names {}, {}): give the track of this recording, or name the images as in the track", quote_path(.named), images_of(.there)
    )]
    NoSuchImages {
        /// The file.
        path: PathBuf,
        /// The recording.
        recording: String,
        /// An image in the file.
        named: String,
        /// An image of the recording; `None` where it has none.
        there: Option<String>,
    },
    /// Fewer rows than frames in a file that does not say where it starts.
    #[error(
        "'{path}' has {rows} rows for {frames} frames and does not say at which frame they begin: give --keypoints-first-frame 0 if it lacks only the last frames, or --keypoints-first-frame {} if it lacks the first ones (in SLEAP, export with all frames)", .frames.saturating_sub(*.rows)
    )]
    UnknownStart {
        /// The file.
        path: PathBuf,
        /// Rows in the track.
        rows: usize,
        /// Frames in the recording.
        frames: usize,
    },
    /// Most points are outside the picture, so that the coordinates must be of another one.
    #[error(
        "{count} of {total} points of '{path}' are outside {place}, such as {part} ({x}, {y}) on frame {frame}: give --downsample-factor F if it is of a smaller video, --keypoints-offset X,Y if it is of a cropped one, or else the track of this recording"
    )]
    MostlyOutside {
        /// The file.
        path: PathBuf,
        /// Points that are outside.
        count: usize,
        /// Points that can be used otherwise.
        total: usize,
        /// The first one: its body part,
        part: String,
        /// column,
        x: f32,
        /// row,
        y: f32,
        /// and frame.
        frame: usize,
        /// What they are outside of.
        place: String,
    },
}

/// Where rows end that are not simply one for each frame from the first on.
fn up_to(rows: usize, last: usize) -> String {
    match rows {
        0 => String::new(),
        _ if last.checked_add(1) == Some(rows) => String::new(),
        _ => format!(", the last of which is on frame {last} (counted from 0),"),
    }
}

/// The recording's images in a message.
fn images_of(image: &Option<String>) -> String {
    image.as_ref().map_or_else(
        || "whose name does not end in a frame number".to_owned(),
        |image| format!("the recording holds {}", quote_path(image)),
    )
}

/// Names for a message, no more than fit on a line.
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
