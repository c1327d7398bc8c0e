//! `sam2 correct`.

use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ValueHint};

use super::model::ModelArgs;
use super::outputs::{OutputArg, StyleArgs};
use super::prompts::{BoxArg, MaskArg, PointArg};

/// `sam2 correct`.
#[derive(Debug, Args)]
pub struct CorrectArgs {
    /// The run file to correct; it keeps what was computed at first, and every correction.
    #[arg(value_name = "RUN.sam2run", value_hint = ValueHint::FilePath)]
    pub run: PathBuf,
    /// What to correct.
    #[command(flatten)]
    pub what: CorrectionArgs,
    /// Print the prompts, locks and corrections of the run, and change nothing.
    #[arg(long, help = "Print prompts, locks and corrections; change nothing", conflicts_with_all = ["output", "dry_run", "note_only"])]
    pub show: bool,
    /// Say what would be tracked again, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Note the corrections in the run file, and track later.
    #[arg(long, hide_short_help = true)]
    pub note_only: bool,
    /// Where corrected results go, as for `sam2 segment`.
    #[arg(
        short,
        long,
        value_name = "[FORMAT:]PATH",
        value_parser = OsStringValueParser::new().map(OutputArg::from),
        value_hint = ValueHint::FilePath
    )]
    pub output: Vec<OutputArg>,
    /// The recording; with --join, once for each file [default: the one of the run's name, next to the run file or in the working
    /// folder].
    #[arg(long, help = "The recording, if it is not next to the run file", value_name = "FILE")]
    pub recording: Vec<PathBuf>,
    /// Take the video files as one recording, in the given order.
    #[arg(long, hide_short_help = true, requires = "recording")]
    pub join: bool,
    /// The pose track that the run was compared with [default: the one of the run's name, next to the run file or in the working
    /// folder].
    #[arg(long, hide_short_help = true, value_name = "TRACK", value_hint = ValueHint::FilePath)]
    pub keypoints: Option<PathBuf>,
    /// Track again on another kind of processor or device than the run was computed on.
    ///
    /// Masks then differ in a few pixels, since kernels round differently.
    #[arg(long, hide_short_help = true)]
    pub mixed_processors: bool,
    /// Name to record in the history [default: your user name].
    #[arg(long, hide_short_help = true, value_name = "NAME")]
    pub who: Option<String>,
    /// How results are written.
    #[command(flatten)]
    pub style: StyleArgs,
    /// Which model tracks [default: the run's].
    #[command(flatten)]
    pub network: ModelArgs,
}

/// Corrections. They are made in this order, whatever the order on the command line.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Corrections, made in this order")]
pub struct CorrectionArgs {
    /// Undo the last correction, and what was tracked because of it.
    #[arg(long, conflicts_with_all = ["redo", "back_to"])]
    pub undo: bool,
    /// Take back the last --undo.
    #[arg(long, hide_short_help = true, conflicts_with = "back_to")]
    pub redo: bool,
    /// Return to the state after correction N; 0 = as computed. --show lists them.
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub back_to: Option<usize>,
    /// Unlock frames, of one object or of all.
    #[arg(long, hide_short_help = true, value_name = "F[-L][:OBJ]")]
    pub unlock: Vec<SpanArg>,
    /// Take --absent back.
    #[arg(long, hide_short_help = true, value_name = "F[-L][:OBJ]")]
    pub present: Vec<SpanArg>,
    /// Lock frames, of one object or of all: nothing changes them, and what is tracked again up to them starts from their masks.
    #[arg(long, help = "Nothing changes these frames until --unlock", value_name = "F[-L][:OBJ]")]
    pub lock: Vec<SpanArg>,
    /// Exchange two objects from frame F on, to frame L, the next locked frame or the end.
    #[arg(
        long,
        help = "Exchange two objects from frame F on (to frame L)",
        value_name = "F[-L]:OBJ:OBJ"
    )]
    pub swap: Vec<SwapArg>,
    /// Join an object to another, on all frames.
    #[arg(long, hide_short_help = true, value_name = "OBJ:INTO")]
    pub merge: Vec<PairArg>,
    /// Remove an object, on some frames or everywhere, with its prompts there.
    #[arg(
        long,
        hide_short_help = true,
        help = "Remove an object, on some frames or everywhere",
        value_name = "[F[-L]:]OBJ"
    )]
    pub delete: Vec<DeleteArg>,
    /// Remove the prompt of an object on a frame.
    #[arg(long, hide_short_help = true, value_name = "F[:OBJ]")]
    pub no_prompt: Vec<SpanArg>,
    /// A click, added to those on the frame: frame, position, object (default 1), on the object (+, the default) or off it (-).
    #[arg(
        long,
        help = "A click on an object (+) or off it (-)",
        value_name = "F:X,Y[:OBJ][:+|-]",
        allow_hyphen_values = true
    )]
    pub point: Vec<PointArg>,
    /// A box: frame, top-left and bottom-right corner, object (default 1).
    #[arg(
        long = "box",
        help = "A box: top-left and bottom-right corner",
        id = "bounds",
        value_name = "F:X0,Y0,X1,Y1[:OBJ]"
    )]
    pub bounds: Vec<BoxArg>,
    /// A mask: frame, PNG or TIFF image of the recording's size, object.
    #[arg(
        long,
        hide_short_help = true,
        help = "A mask in an image file",
        value_name = "F:FILE[:OBJ]"
    )]
    pub mask: Vec<MaskArg>,
    /// Prompts in a file: JSON or CSV (docs/prompts.md).
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    pub prompts: Vec<PathBuf>,
    /// The object is not there on these frames (default 1): its masks are empty, whatever is tracked.
    #[arg(long, help = "The object is not there: its masks are empty", value_name = "F[-L][:OBJ]")]
    pub absent: Vec<SpanArg>,
    /// Name an object.
    #[arg(long, hide_short_help = true, value_name = "OBJ=NAME")]
    pub name: Vec<NameArg>,
}

/// Frames `first-last`, both included, of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanArg {
    pub frames: Range<usize>,
    pub object: Option<u32>,
}

/// One `--swap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapArg {
    pub first: usize,
    /// `None` = up to the next locked frame or the end.
    pub end: Option<usize>,
    pub objects: [u32; 2],
}

/// Two objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairArg(pub u32, pub u32);

/// One `--delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteArg {
    pub object: u32,
    /// `None` = everywhere.
    pub frames: Option<Range<usize>>,
}

/// One `--name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameArg {
    pub object: u32,
    pub name: String,
}

impl FromStr for SpanArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (frames, object) = match text.split_once(':') {
            Some((frames, number)) => (frames, Some(object(number)?)),
            None => (text, None),
        };
        Ok(Self { frames: span(frames)?, object })
    }
}

impl FromStr for SwapArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let [frames, a, b] = parts[..] else {
            return Err("expected FRAME:OBJECT:OBJECT, for example 812:1:2, or 812-840:1:2".into());
        };
        let span = span(frames)?;
        let end = frames.contains('-').then_some(span.end);
        Ok(Self { first: span.start, end, objects: [object(a)?, object(b)?] })
    }
}

impl FromStr for PairArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (a, b) = text.split_once(':').ok_or("expected OBJECT:INTO, for example 3:1")?;
        Ok(Self(object(a)?, object(b)?))
    }
}

impl FromStr for DeleteArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.split_once(':') {
            Some((frames, number)) => Self { object: object(number)?, frames: Some(span(frames)?) },
            None => Self { object: object(text)?, frames: None },
        })
    }
}

impl FromStr for NameArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, name) =
            text.split_once('=').ok_or("expected OBJECT=NAME, for example 2=Ada")?;
        Ok(Self { object: object(number)?, name: name.to_owned() })
    }
}

/// Frames as reports and warnings name them: `812`, or `812-840`.
fn span(text: &str) -> Result<Range<usize>, String> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|frame| *frame < usize::MAX);
    let found = match text.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)),
        None => number(text).map(|frame| (frame, frame)),
    };
    match found {
        Some((first, last)) if first <= last => Ok(first..last + 1),
        Some((first, last)) => Err(format!("{first}-{last} ends before it begins")),
        None if text.contains("..") => Err(format!(
            "'{text}' does not say whether the last frame is included: write FIRST-LAST, both included, such as 812-840"
        )),
        None => {
            Err(format!("there is no frame '{text}': write a number, or a range such as 812-840"))
        }
    }
}

fn object(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number @ 1..=255) => Ok(number),
        _ => Err(format!("'{text}' is not an object number (1 to 255)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_include_their_last_frame() {
        let span = |text: &str| text.parse::<SpanArg>().unwrap();
        assert_eq!(span("812-840:2"), SpanArg { frames: 812..841, object: Some(2) });
        assert_eq!(span("5"), SpanArg { frames: 5..6, object: None });
        for (wrong, told) in [
            ("5-4", "ends before"),
            ("5..9", "both included"),
            ("x", "no frame"),
            ("5:0", "object number"),
            ("5-", "no frame"),
            ("", "no frame"),
        ] {
            let error = wrong.parse::<SpanArg>().unwrap_err();
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_other_corrections_parse() {
        let swap = |first, end, objects| SwapArg { first, end, objects };
        assert_eq!("812:1:2".parse(), Ok(swap(812, None, [1, 2])));
        assert_eq!("812-840:1:2".parse(), Ok(swap(812, Some(841), [1, 2])));
        assert!("812:1".parse::<SwapArg>().is_err());
        assert_eq!("3:1".parse(), Ok(PairArg(3, 1)));
        assert_eq!("3".parse(), Ok(DeleteArg { object: 3, frames: None }));
        assert_eq!("5-6:3".parse(), Ok(DeleteArg { object: 3, frames: Some(5..7) }));
        assert_eq!("2=Ada = x".parse(), Ok(NameArg { object: 2, name: "Ada = x".into() }));
        assert!("Ada".parse::<NameArg>().is_err());
    }
}
