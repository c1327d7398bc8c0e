//! What to segment.

use sam2_engine::BoxPrompt;
use sam2_engine::Point;
use sam2_engine::PointLabel;
use sam2_jobs::BoxMargin;
use sam2_jobs::PromptFrames;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use sam2_engine::ObjectId;

use super::words::{PROMPT_FRAMES, offering};

/// What to segment, and how the recording is cut for it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Prompts")]
pub struct PromptArgs {
    /// A track of body parts: DeepLabCut CSV or HDF5, SLEAP .slp or analysis CSV or HDF5, NWB (ndx-pose), points of CVAT, COCO,
    /// Labelme (or a folder of its files), Label Studio or napari, idtracker.ai CSV, or a table frame,object,x,y.
    ///
    /// The format is recognised from the file's contents. Each individual becomes an object, numbered from 1 in the order of the file.
    #[arg(long, value_name = "TRACK", help = "A track of DeepLabCut, SLEAP or others")]
    pub keypoints: Option<PathBuf>,
    /// Body parts to use, separated by commas or spaces [default: all].
    ///
    /// Every word up to the next option is taken as a body part, so put the recording first.
    #[arg(long, value_name = "NAMES", num_args = 1.., help = "Body parts to use [default: all]")]
    pub bodyparts: Vec<String>,
    /// Individuals to segment, separated by commas [default: all except DeepLabCut's 'single'].
    ///
    /// The names are those in the track.
    #[arg(
        long = "individual",
        value_name = "NAMES",
        value_delimiter = ',',
        help = "Individuals to segment [default: all]"
    )]
    pub individuals: Vec<String>,
    /// Frames per batch; 0 = the whole recording at once, in bounded memory [default: 400 with a track, otherwise 0].
    ///
    /// Each batch needs prompts of its own, except with --carry-over, or with --passes nearest or agreed.
    #[arg(long, value_name = "N", help = "Frames per batch; 0 = whole recording")]
    pub batch_size: Option<usize>,
    /// Which frames of a batch are prompted by the track [default: best].
    ///
    ///   best      the most individuals, then the most of their body
    ///             parts, the highest mean likelihood, the earliest
    ///   first     the first usable frame
    ///   every:N   the first usable frame in each N frames
    ///   above:L   a mean likelihood above L; at most 8, spread evenly
    #[arg(
        long,
        value_name = "WHICH",
        value_parser = offering(PromptFrames::from_str, PROMPT_FRAMES),
        hide_possible_values = true,
        hide_short_help = true,
        verbatim_doc_comment
    )]
    pub prompt_frames: Option<PromptFrames>,
    /// Tell each object where the other individuals are: up to 8 of their body parts, the closest, as negative points. Those that may
    /// lie on the object itself, where animals touch, are left out.
    #[arg(long, hide_short_help = true)]
    pub negatives: bool,
    /// Also prompt with the box around an object's body parts, grown by a number of pixels (20) or a percentage of its longer side
    /// (15%).
    #[arg(long, value_name = "MARGIN", hide_short_help = true)]
    pub box_from_keypoints: Option<BoxMargin>,
    /// Body parts below this likelihood are not used [default: 0.6 where DeepLabCut wrote likelihoods; a batch in which no body part
    /// reaches that is prompted by the best there is, with a warning. Otherwise 0].
    #[arg(long, value_name = "P", value_parser = likelihood, hide_short_help = true)]
    pub min_likelihood: Option<f32>,
    /// Multiply the track's coordinates: it was made on a video smaller by this factor [default: 1].
    #[arg(long, value_name = "F", value_parser = factor, hide_short_help = true)]
    pub downsample_factor: Option<f32>,
    /// Add to the track's coordinates, before the factor: it was made on a part of the video that begins at column X and row Y
    /// [default: what DeepLabCut noted next to the track, in ..._meta.pickle, else 0,0].
    #[arg(long, value_name = "X,Y", value_parser = offset, allow_hyphen_values = true, hide_short_help = true)]
    pub keypoints_offset: Option<[f32; 2]>,
    /// The frame of the recording that is frame 0 of the track; -1 for a track that counts from 1 [default: 0].
    #[arg(long, value_name = "N", value_parser = first_frame, allow_hyphen_values = true, hide_short_help = true)]
    pub keypoints_first_frame: Option<isize>,
    /// Take the rows of this recording, for a track that names its recordings and knows this one under another name.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub keypoints_video: Option<String>,
    /// Continue although the track has more or fewer rows than the recording has frames.
    #[arg(long, hide_short_help = true)]
    pub allow_row_mismatch: bool,
    /// Prompts in a file: JSON (docs/prompts.md), CSV with the columns frame,object,x,y,label, or annotations of CVAT, Labelme (or a
    /// folder of its files), Label Studio, napari or in COCO's format.
    ///
    /// May be repeated.
    #[arg(long, value_name = "FILE", help = "Prompts in JSON, CSV or annotation files")]
    pub prompts: Vec<PathBuf>,
    /// A click: frame, position, object (default 1), on the object (+, the default) or outside it (-).
    ///
    /// May be repeated. Clicks, boxes and masks can be given together, and with a track.
    #[arg(
        long,
        value_name = "F:X,Y[:OBJ][:+|-]",
        allow_hyphen_values = true,
        help = "A click on an object (+) or off it (-)"
    )]
    pub point: Vec<PointArg>,
    /// A box: frame, top-left and bottom-right corner, object (default 1).
    ///
    /// May be repeated.
    #[arg(
        long = "box",
        id = "bounds",
        value_name = "F:X0,Y0,X1,Y1[:OBJ]",
        help = "A box: top-left and bottom-right corner"
    )]
    pub bounds: Vec<BoxArg>,
    /// A mask: frame, PNG or TIFF image of the recording's size (of a stack, the page of that frame), object.
    ///
    /// May be repeated. Without an object, the numbers in the image are the objects; a black and white image is object 1.
    #[arg(long, value_name = "F:FILE[:OBJ]", help = "A mask in an image file")]
    pub mask: Vec<MaskArg>,
}

/// One `--mask`.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskArg {
    pub frame: usize,
    pub file: PathBuf,
    pub object: Option<ObjectId>,
}

impl FromStr for MaskArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "expected FRAME:FILE[:OBJECT], for example 0:first.png or 12:worm.png:2";
        let (frame, rest) = text.split_once(':').ok_or(usage)?;
        let frame = parse_frame(Some(frame), usage)?;
        // A file name may contain colons. Only a number after the last colon is an object.
        let (file, object) = match rest.rsplit_once(':') {
            Some((file, number)) if number.bytes().all(|b| b.is_ascii_digit()) => {
                (file, Some(parse_object(number)?))
            }
            _ => (rest, None),
        };
        if file.is_empty() {
            return Err(usage.into());
        }
        Ok(Self { frame, file: file.into(), object })
    }
}

/// One `--point`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointArg {
    pub frame: usize,
    pub object: ObjectId,
    pub point: Point,
}

/// One `--box`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxArg {
    pub frame: usize,
    pub object: ObjectId,
    pub bounds: BoxPrompt,
}

impl FromStr for PointArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "expected FRAME:X,Y[:OBJECT][:+|-], for example 0:210,350 or 12:40.5,88:2:-";
        let mut parts = text.split(':');
        let frame = parse_frame(parts.next(), usage)?;
        let [x, y] = numbers(parts.next(), usage)?;
        let (mut object, mut positive) = (None, None);
        for part in parts {
            match part {
                "+" if positive.is_none() => positive = Some(true),
                "-" if positive.is_none() => positive = Some(false),
                _ if object.is_none() && positive.is_none() => object = Some(parse_object(part)?),
                _ => return Err(usage.into()),
            }
        }
        let point =
            if positive == Some(false) { Point::negative(x, y) } else { Point::positive(x, y) };
        Ok(Self { frame, object: object.unwrap_or(ObjectId(1)), point })
    }
}

impl FromStr for BoxArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "expected FRAME:X0,Y0,X1,Y1[:OBJECT], for example 0:10,20,110,90";
        let mut parts = text.split(':');
        let frame = parse_frame(parts.next(), usage)?;
        let [x0, y0, x1, y1] = numbers(parts.next(), usage)?;
        let object = parts.next().map_or(Ok(ObjectId(1)), parse_object)?;
        if parts.next().is_some() {
            return Err(usage.into());
        }
        Ok(Self { frame, object, bounds: BoxPrompt { x0, y0, x1, y1 } })
    }
}

impl fmt::Display for PointArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frame, object, point } = self;
        let sign = if point.label == PointLabel::Negative { ":-" } else { "" };
        write!(f, "{frame}:{},{}:{}{sign}", point.x, point.y, object.0)
    }
}

impl fmt::Display for BoxArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BoxPrompt { x0, y0, x1, y1 } = self.bounds;
        write!(f, "{}:{x0},{y0},{x1},{y1}:{}", self.frame, self.object.0)
    }
}

impl MaskArg {
    /// The file's name without its folder.
    fn name(&self) -> Cow<'_, str> {
        self.file.file_name().unwrap_or(self.file.as_os_str()).to_string_lossy()
    }
}

impl fmt::Display for MaskArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.frame, self.name())?;
        self.object.map_or(Ok(()), |object| write!(f, ":{}", object.0))
    }
}

fn parse_frame(part: Option<&str>, usage: &str) -> Result<usize, String> {
    part.and_then(|text| text.parse().ok()).ok_or_else(|| usage.to_owned())
}

fn parse_object(part: &str) -> Result<ObjectId, String> {
    match part.parse() {
        Ok(number @ 1..=255) => Ok(ObjectId(number)),
        _ => Err(format!("'{part}' is not an object number (1 to 255)")),
    }
}

fn numbers<const N: usize>(part: Option<&str>, usage: &str) -> Result<[f32; N], String> {
    let values: Option<Vec<f32>> = part
        .unwrap_or_default()
        .split(',')
        .map(|text| text.trim().parse().ok().filter(|value: &f32| value.is_finite()))
        .collect();
    values.and_then(|values| values.try_into().ok()).ok_or_else(|| usage.to_owned())
}

fn likelihood(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("must lie between 0 and 1".into()) }
}

fn factor(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be above 0".into()) }
}

fn first_frame(text: &str) -> Result<isize, String> {
    text.trim().parse().map_err(|_| {
        "give the number of a frame of the recording, such as 5, or -1 for a track that counts from 1".into()
    })
}

fn offset(text: &str) -> Result<[f32; 2], String> {
    numbers(Some(text), "expected X,Y, for example 100,60")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_parse() {
        let parse = |text: &str| text.parse::<PointArg>();
        let point = parse("0:210,350").unwrap();
        assert_eq!((point.frame, point.object.0), (0, 1));
        assert_eq!(point.point, Point::positive(210.0, 350.0));
        assert_eq!(parse("12:40.5,88:2:-").unwrap().point, Point::negative(40.5, 88.0));
        assert_eq!(parse("12:40.5,88:+").unwrap().object, ObjectId(1));
        assert_eq!(parse("12:40.5,88:7").unwrap().object, ObjectId(7));
        for wrong in [
            "",
            "0",
            "0:1",
            "0:1,2,3",
            "a:1,2",
            "0:x,2",
            "0:1,2:0",
            "0:1,2:+:3",
            "0:NaN,1",
            "-1:2,3",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn boxes_parse() {
        let parsed: BoxArg = "3:1,2,30,40:5".parse().unwrap();
        assert_eq!((parsed.frame, parsed.object), (3, ObjectId(5)));
        for wrong in ["3:1,2,3", "3:1,2,3,4,5", "3:1,2,3,4:1:1", "1,2,3,4"] {
            assert!(wrong.parse::<BoxArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn masks_parse() {
        let parse = |text: &str| text.parse::<MaskArg>();
        let mask = |frame, file: &str, object: Option<u32>| MaskArg {
            frame,
            file: file.into(),
            object: object.map(ObjectId),
        };
        assert_eq!(parse("0:a.png").unwrap(), mask(0, "a.png", None));
        assert_eq!(parse("12:a.png:2").unwrap(), mask(12, "a.png", Some(2)));
        assert_eq!(parse("3:C:\\a.tif").unwrap(), mask(3, "C:\\a.tif", None));
        for wrong in ["a.png", "0:", "x:a.png", "0:a.png:0", "0:a.png:256", "0::1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
