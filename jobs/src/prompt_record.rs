//! Keeps the prompts of a job in its header, and describes the first one that differs between two
//! jobs.

use std::collections::BTreeMap;
use std::ops::Range;

use sam2_mask_writer::{Mask, RunHeader};
use sam2_model::PointLabel;

use super::hash::{sha256, short};
use super::job_prompt::JobPrompt;
use super::plan::JobPlan;
use sam2_engine::{BoxPrompt, ObjectId, Point};
use serde::Serialize;

/// Largest number of prompts that are kept, so that the header of a long job with a prompt on every
/// frame stays small. Of more prompts only the digest is known.
const MOST_PROMPTS: usize = 10_000;
/// Largest number of options that a message names.
const MOST_OPTIONS: usize = 3;
/// Largest number of characters of an option's value that a message shows.
const LONGEST_VALUE: usize = 80;
/// Prefix of a box's text.
const BOX: &str = "box:";
/// Prefix of a mask's text.
const MASK: &str = "mask:";
/// Options that name prompt files.
const FILES: [&str; 3] = ["--keypoints", "--prompts", "--mask"];

/// Frame, object, and a short text for each mask, box and point of a prompt.
pub(super) type PromptRecord = (usize, u32, Vec<String>);

/// Returns what a header keeps of the prompts of a plan. Returns nothing if there are too many.
pub(super) fn of_plan(plan: &JobPlan) -> Vec<PromptRecord> {
    if count(plan) > MOST_PROMPTS {
        return Vec::new();
    }
    plan.batches.iter().flat_map(|batch| &batch.prompts).map(of_prompt).collect()
}

fn of_prompt(prompt: &JobPrompt) -> PromptRecord {
    let mask = prompt.mask.iter().map(|mask| format!("{MASK}{}", mask_text(mask)));
    let bounds = prompt.bounds.iter();
    let bounds = bounds.map(|b| format!("{BOX}{},{},{},{}", b.x0, b.y0, b.x1, b.y1));
    let points = prompt.points.iter().map(|(name, point)| point_text(name, point));
    let candidate = prompt.candidate.iter().map(|candidate| format!("candidate {candidate}"));
    let texts = mask.chain(bounds).chain(points).chain(candidate).collect();
    (prompt.frame, prompt.object.0, texts)
}

fn mask_text(mask: &Mask) -> String {
    format!("{} pixels (digest {})", mask.area(), short(&sha256(&format!("{mask:?}"))))
}

/// Describes a point, as `122,40` or `snout 122,40`, and marks a negative one.
fn point_text(name: &str, point: &Point) -> String {
    let is_numbered =
        name.strip_prefix("point ").is_some_and(|number| number.parse::<usize>().is_ok());
    let name = if name.is_empty() || is_numbered { String::new() } else { format!("{name} ") };
    let negative = if point.label == PointLabel::Negative { " (negative)" } else { "" };
    format!("{name}{},{}{negative}", point.x, point.y)
}

/// A prompt as it is serialised for its digest. Its fields must not change: a job that was begun by
/// an older version of the program is known by them.
#[derive(Serialize)]
struct Serialised<'a> {
    frame: usize,
    object: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<(u32, u32, &'a [u32])>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bounds: Option<BoxPrompt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<u8>,
    points: &'a [(String, Point)],
}

/// Returns the batches of a plan and their prompts as JSON. Numbers are written so that every bit
/// of them counts.
pub(super) fn serialised(plan: &JobPlan) -> Result<String, serde_json::Error> {
    let batches: Vec<(&Range<usize>, Vec<Serialised<'_>>)> = plan
        .batches
        .iter()
        .map(|batch| (&batch.frames, batch.prompts.iter().map(serialised_prompt).collect()))
        .collect();
    serde_json::to_string(&batches)
}

fn serialised_prompt(prompt: &JobPrompt) -> Serialised<'_> {
    Serialised {
        frame: prompt.frame,
        object: prompt.object,
        mask: prompt.mask.as_ref().map(|mask| (mask.width(), mask.height(), mask.runs())),
        bounds: prompt.bounds,
        candidate: prompt.candidate,
        points: &prompt.points,
    }
}

/// Returns the number of prompts in a plan.
pub(super) fn count(plan: &JobPlan) -> usize {
    plan.batches.iter().map(|batch| batch.prompts.len()).sum()
}

/// Returns the first prompt that differs between two jobs: what it is, its former and its present
/// text. Compares only the number of prompts if one of the headers has, or keeps, no prompts.
/// Returns `None` if nothing is known of them.
pub(super) fn difference(before: &RunHeader, now: &RunHeader) -> Option<(String, String, String)> {
    if before.prompts.is_empty() || now.prompts.is_empty() {
        return difference_in_number(before, now);
    }
    let (what, was, is) = first_difference(&before.prompts, &now.prompts).unwrap_or_else(|| {
        let text = |text: &str| text.to_owned();
        (text("the order of the prompts"), text("another one"), text("as given"))
    });
    let remarks: Vec<String> = totals(&before.prompts, &now.prompts)
        .into_iter()
        .chain(options(&before.options, &now.options))
        .collect();
    let remarks =
        if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) };
    Some((what, was, format!("{is}{remarks}")))
}

/// Compares the number of prompts, and returns both numbers if they differ.
fn difference_in_number(before: &RunHeader, now: &RunHeader) -> Option<(String, String, String)> {
    let number = |header: &RunHeader| {
        header.prompt_count.or_else(|| Some(header.prompts.len()).filter(|number| *number > 0))
    };
    let (was, is) = (number(before)?, number(now)?);
    if was == is {
        return None;
    }
    let none_left = (is == 0).then(|| "no prompts are left".to_owned());
    let remarks: Vec<String> =
        none_left.into_iter().chain(options(&before.options, &now.options)).collect();
    let remarks =
        if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) };
    Some(("the number of prompts".to_owned(), was.to_string(), format!("{is}{remarks}")))
}

fn first_difference(
    before: &[PromptRecord],
    now: &[PromptRecord],
) -> Option<(String, String, String)> {
    type Texts<'a> = (&'a [String], &'a [String]);
    let mut pairs: BTreeMap<(usize, u32), Texts<'_>> = BTreeMap::new();
    for (frame, object, texts) in before {
        pairs.entry((*frame, *object)).or_default().0 = texts;
    }
    for (frame, object, texts) in now {
        pairs.entry((*frame, *object)).or_default().1 = texts;
    }
    let (&(frame, object), &(before, now)) =
        pairs.iter().find(|(_, (before, now))| before != now)?;
    let (what, before, now) = differing_part(before, now);
    Some((format!("{what} of object {object} on frame {frame}"), before, now))
}

/// Returns the first mask, box or point that differs for one object on one frame.
fn differing_part(before: &[String], now: &[String]) -> (String, String, String) {
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    for (what, prefix) in [("the mask", MASK), ("the box", BOX)] {
        let of =
            |texts: &[String]| or_none(texts.iter().find_map(|text| text.strip_prefix(prefix)));
        if of(before) != of(now) {
            return (what.to_owned(), of(before), of(now));
        }
    }
    let (before, now) = (points(before), points(now));
    let at = (0..before.len().max(now.len())).find(|&at| before.get(at) != now.get(at));
    let at = at.unwrap_or(0);
    let text = |points: &[&str]| or_none(points.get(at).copied());
    (format!("point {}", at + 1), text(&before), text(&now))
}

fn points(texts: &[String]) -> Vec<&str> {
    let is_point = |text: &&str| !text.starts_with(MASK) && !text.starts_with(BOX);
    texts.iter().map(String::as_str).filter(is_point).collect()
}

/// Counts the prompts of one kind among the texts of an object on a frame.
type Count = fn(&[String]) -> usize;

/// Describes changes in the numbers of points, boxes and masks.
fn totals(before: &[PromptRecord], now: &[PromptRecord]) -> Vec<String> {
    let count = |prompts: &[PromptRecord], what: Count| -> usize {
        prompts.iter().map(|(_, _, texts)| what(texts)).sum()
    };
    let kinds: [(&str, Count); 3] = [
        ("points", |texts| points(texts).len()),
        ("boxes", |texts| texts.iter().filter(|text| text.starts_with(BOX)).count()),
        ("masks", |texts| texts.iter().filter(|text| text.starts_with(MASK)).count()),
    ];
    kinds
        .into_iter()
        .map(|(name, what)| (name, count(before, what), count(now, what)))
        .filter(|(_, before, now)| before != now)
        .map(|(name, before, now)| format!("{now} {name} in all instead of {before}"))
        .collect()
}

/// Describes the options that differ. If none does, says that a prompt file has changed.
fn options(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let values = |options: &[(String, String)], name: &str| -> Option<String> {
        let values: Vec<&str> = options
            .iter()
            .filter(|(option, _)| option == name)
            .map(|(_, value)| if value.is_empty() { "on" } else { value })
            .collect();
        (!values.is_empty()).then(|| shortened(&values.join(" ")))
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in before.iter().chain(now) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let told: Vec<String> = names
        .iter()
        .map(|name| (name, values(before, name), values(now, name)))
        .filter(|(_, before, now)| before != now)
        .take(MOST_OPTIONS)
        .map(|(name, before, now)| {
            let text = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
            format!("{name}: {} instead of {}", text(now), text(before))
        })
        .collect();
    if !told.is_empty() {
        return told;
    }
    let files: Vec<String> = now
        .iter()
        .filter(|(option, _)| FILES.contains(&option.as_str()))
        .map(|(option, value)| if option == "--mask" { mask_file(value) } else { value })
        .map(|file| format!("'{}'", shortened(file)))
        .take(MOST_OPTIONS)
        .collect();
    if files.is_empty() {
        return Vec::new();
    }
    vec![format!("the options are the same, so {} has changed", files.join(" or "))]
}

/// Returns the file of `--mask FRAME:FILE[:OBJECT]`.
fn mask_file(value: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let file = value.split_once(':').filter(|(frame, _)| is_number(frame));
    let file = file.map_or(value, |(_, file)| file);
    match file.rsplit_once(':') {
        Some((file, object)) if is_number(object) => file,
        _ => file,
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_VALUE {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST_VALUE).collect();
    format!("{start}...")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_engine::{BoxPrompt, ObjectId};

    fn header(prompts: Vec<JobPrompt>, options: &[(&str, &str)]) -> RunHeader {
        let mut header = RunHeader::new("mouse.avi", (64, 48), 10);
        header.prompts = of_plan(&JobPlan::whole(10, prompts));
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        header.options = options.iter().map(owned).collect();
        header
    }

    fn prompt(frame: usize, object: u32, points: &[(&str, Point)]) -> JobPrompt {
        let points = points.iter().map(|(name, point)| ((*name).to_owned(), *point)).collect();
        JobPrompt { points, ..JobPrompt::empty(frame, ObjectId(object)) }
    }

    fn told(before: &RunHeader, now: &RunHeader) -> String {
        let (what, was, is) = difference(before, now).unwrap();
        format!("{what} was {was} and is now {is}")
    }

    #[test]
    fn prompts_are_serialised_as_older_versions_serialised_them() {
        let prompt = JobPrompt {
            points: vec![
                ("snout".into(), Point::positive(1.5, 0.1)),
                (String::new(), Point::negative(2.0, 3.0)),
            ],
            bounds: Some(BoxPrompt { x0: 0.0, y0: 1.0, x1: 2.0, y1: 3.25 }),
            mask: Some(Mask::from_runs(2, 2, vec![1, 2, 1]).unwrap()),
            ..JobPrompt::empty(3, ObjectId(7))
        };
        let plan = JobPlan::whole(9, vec![prompt]);
        let expected = r#"[[{"start":0,"end":9},[{"frame":3,"object":7,"mask":[2,2,[1,2,1]],"bounds":{"x0":0.0,"y0":1.0,"x1":2.0,"y1":3.25},"points":[["snout",{"x":1.5,"y":0.1,"label":"positive"}],["",{"x":2.0,"y":3.0,"label":"negative"}]]}]]]"#;
        assert_eq!(serialised(&plan).unwrap(), expected);
    }

    #[test]
    fn the_first_point_that_differs_is_named_with_object_and_frame() {
        let (a, b) = (Point::positive(122.0, 40.5), Point::negative(9.0, 8.0));
        let before = header(
            vec![prompt(0, 1, &[("point 1", a)]), prompt(3, 2, &[("snout", a), ("tail", b)])],
            &[("--prompts", "a.json")],
        );
        let moved = header(
            vec![prompt(0, 1, &[("point 1", a)]), prompt(3, 2, &[("snout", b), ("tail", b)])],
            &[("--prompts", "a.json")],
        );
        assert_eq!(
            told(&before, &moved),
            "point 1 of object 2 on frame 3 was snout 122,40.5 and is now snout 9,8 (negative) \
             (the options are the same, so 'a.json' has changed)"
        );
        let fewer = header(
            vec![prompt(0, 1, &[("point 1", a)]), prompt(3, 2, &[("snout", a)])],
            &[("--prompts", "b.json")],
        );
        assert_eq!(
            told(&before, &fewer),
            "point 2 of object 2 on frame 3 was tail 9,8 (negative) and is now none \
             (2 points in all instead of 3; --prompts: b.json instead of a.json)"
        );
    }

    #[test]
    fn boxes_masks_and_whole_prompts_are_told_too() {
        let bounds = BoxPrompt { x0: 1.0, y0: 2.0, x1: 3.5, y1: 4.0 };
        let boxed = JobPrompt { bounds: Some(bounds), ..JobPrompt::empty(2, ObjectId(1)) };
        let masked =
            JobPrompt { mask: Some(Mask::empty(64, 48)), ..JobPrompt::empty(2, ObjectId(1)) };
        let text = told(&header(vec![boxed.clone()], &[]), &header(vec![masked], &[]));
        let start = "the mask of object 1 on frame 2 was none and is now 0 pixels (digest ";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with("(0 boxes in all instead of 1; 1 masks in all instead of 0)"));
        let point = prompt(0, 1, &[("", Point::positive(1.0, 1.0))]);
        let more = header(vec![point.clone(), boxed.clone()], &[]);
        let text = told(&header(vec![point], &[]), &more);
        assert!(text.starts_with("the box of object 1 on frame 2 was none and is now 1,2,3.5,4"));
        // No prompt is left. The number is also known for headers without prompts.
        let mut counted = more.clone();
        counted.prompts.clear();
        counted.prompt_count = Some(0);
        assert_eq!(
            told(&more, &counted),
            "the number of prompts was 2 and is now 0 (no prompts are left)"
        );
        assert_eq!(mask_file("0:m.png"), "m.png");
        assert_eq!(mask_file("12:a:b.png:3"), "a:b.png");
        // A header without prompts, as older programs wrote it, says nothing.
        assert_eq!(difference(&header(vec![], &[]), &more), None);
    }
}
