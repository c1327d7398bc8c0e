//! Prompts as flags: `--point F:X,Y[:OBJ][:+|-]` and `--box F:X0,Y0,X1,Y1[:OBJ]`.

use std::str::FromStr;

use sam2_engine::{BoxPrompt, JobPrompt, ObjectId, Point};

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
            prompts.push(JobPrompt { frame, object, points: Vec::new(), bounds: None });
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
