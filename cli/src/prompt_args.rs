//! Prompts as flags: `--point F:X,Y[:OBJ][:+|-]` and `--box F:X0,Y0,X1,Y1[:OBJ]`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use sam2_engine::{BoxPrompt, JobPrompt, ObjectId, Point};

/// What to segment, and how the recording is cut for it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Prompts")]
pub struct PromptArgs {
    /// DeepLabCut track (CSV). Each batch is prompted on its best frame: the one with the most of the requested body parts, among
    /// those the one with their highest mean likelihood, among those the earliest.
    #[arg(long, value_name = "TRACK.csv", conflicts_with_all = ["point", "bounds"])]
    pub keypoints: Option<PathBuf>,
    /// Body parts to use, separated by commas or spaces [default: all].
    #[arg(long, value_name = "NAMES", num_args = 1..)]
    pub bodyparts: Vec<String>,
    /// The animal to follow in a multi-animal track.
    #[arg(long, value_name = "NAME")]
    pub individual: Option<String>,
    /// Frames per batch; 0 = the whole recording at once [default: 400].
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Body parts below this likelihood are not used [default: 0].
    #[arg(long, value_name = "P", value_parser = likelihood)]
    pub min_likelihood: Option<f32>,
    /// Multiply the track's coordinates: it was made on a video smaller by this factor [default: 1].
    #[arg(long, value_name = "F", value_parser = factor)]
    pub downsample_factor: Option<f32>,
    /// Go on although the track has more or fewer rows than the recording has frames.
    #[arg(long)]
    pub allow_row_mismatch: bool,
    /// A click: frame, position, object (default 1), on (+, default) or beside (-) the object.
    #[arg(long, value_name = "F:X,Y[:OBJ][:+|-]", allow_hyphen_values = true)]
    pub point: Vec<PointArg>,
    /// A box: frame, top-left and bottom-right corner, object (default 1).
    #[arg(long = "box", id = "bounds", value_name = "F:X0,Y0,X1,Y1[:OBJ]")]
    pub bounds: Vec<BoxArg>,
}

impl PromptArgs {
    /// What clap cannot check: flags that mean nothing without a track. (Its `requires` is dropped where the required flag
    /// conflicts with a given one.)
    pub fn check(&self) -> Result<(), String> {
        if self.keypoints.is_some() {
            return Ok(());
        }
        let given = [
            ("--bodyparts", !self.bodyparts.is_empty()),
            ("--individual", self.individual.is_some()),
            ("--batch-size", self.batch_size.is_some()),
            ("--min-likelihood", self.min_likelihood.is_some()),
            ("--downsample-factor", self.downsample_factor.is_some()),
            ("--allow-row-mismatch", self.allow_row_mismatch),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(format!("{flag} needs --keypoints TRACK.csv")),
            None => Ok(()),
        }
    }
}

/// One `--point`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointArg {
    frame: usize,
    object: ObjectId,
    point: Point,
}

/// One `--box`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxArg {
    frame: usize,
    object: ObjectId,
    bounds: BoxPrompt,
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

fn parse_frame(part: Option<&str>, usage: &str) -> Result<usize, String> {
    part.and_then(|text| text.parse().ok()).ok_or_else(|| usage.to_owned())
}

fn parse_object(part: &str) -> Result<ObjectId, String> {
    match part.parse() {
        Ok(number @ 1..=255) => Ok(ObjectId(number)),
        _ => Err(format!("'{part}' is no object number (1 to 255)")),
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

/// Gathers flags into one prompt per object and frame, in the order in which objects were first named.
pub fn gather(points: &[PointArg], boxes: &[BoxArg]) -> Result<Vec<JobPrompt>, String> {
    let mut prompts: Vec<JobPrompt> = Vec::new();
    let mut entry = |frame: usize, object: ObjectId| -> usize {
        let found = prompts.iter().position(|p| p.frame == frame && p.object == object);
        found.unwrap_or_else(|| {
            prompts.push(JobPrompt { frame, object, points: Vec::new(), bounds: None, mask: None });
            prompts.len() - 1
        })
    };
    let mut clicks = Vec::new();
    for arg in points {
        clicks.push((entry(arg.frame, arg.object), arg.point));
    }
    let mut bounds = Vec::new();
    for arg in boxes {
        bounds.push((entry(arg.frame, arg.object), arg.bounds));
    }
    for (index, point) in clicks {
        let name = format!("point {}", prompts[index].points.len() + 1);
        prompts[index].points.push((name, point));
    }
    for (index, found) in bounds {
        let prompt = &mut prompts[index];
        if prompt.bounds.replace(found).is_some() {
            return Err(format!(
                "object {} has two boxes on frame {}: give one, or number the objects",
                prompt.object, prompt.frame
            ));
        }
    }
    Ok(prompts)
}

fn likelihood(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("must lie between 0 and 1".into()) }
}

fn factor(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be above 0".into()) }
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
    fn flags_of_one_object_and_frame_become_one_prompt() {
        let points = ["0:1,1", "0:2,2:-", "0:3,3:2"].map(|t| t.parse().unwrap());
        let boxes = ["0:0,0,9,9:2".parse().unwrap()];
        let prompts = gather(&points, &boxes).unwrap();
        assert_eq!(prompts.len(), 2);
        assert_eq!((prompts[0].points.len(), prompts[0].bounds), (2, None));
        assert!(prompts[1].bounds.is_some() && prompts[1].points.len() == 1);
        let twice: BoxArg = "0:0,0,9,9".parse().unwrap();
        assert!(gather(&[], &[twice, twice]).is_err());
    }
}
