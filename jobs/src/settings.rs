//! Everything that determines the masks of a job, in a form that can be compared and shown.

use std::collections::BTreeMap;

use super::hash::{sha256, short};
use sam2_frame_provider::{FrameSource, FramesMode};
use sam2_mask_writer::RunHeader;
use sam2_model::Sam2;
use sam2_model::kernels::CpuTier;

use super::computed::FrameStep;
use super::options::JobOptions;
use super::plan::JobPlan;
use super::prompt_record;
use crate::error::JobError;

/// The setting that says which kernels computed the masks. Kernels of different processors and
/// devices round differently, so masks differ in a few pixels.
pub const COMPUTED_WITH: &str = "computed with";
/// Its value for jobs that several kinds of processors and devices may compute.
pub(super) const MIXED: &str = "mixed processors";

/// The setting that holds a digest of all prompts.
const PROMPTS: &str = "prompts";

/// Returns the first difference between the headers of two jobs, as [`RunHeader::difference`] does,
/// with prompts in words. Ignores the kernels if one of the jobs allows mixed processors.
pub(super) fn job_difference(
    before: &RunHeader,
    now: &RunHeader,
) -> Option<(String, String, String)> {
    let (what, was, is) = difference(before, now)?;
    if what != PROMPTS {
        return Some(as_option(what, was, is));
    }
    let in_words = prompt_record::difference(before, now);
    Some(in_words.unwrap_or_else(|| ("the digest of the prompts".to_owned(), was, is)))
}

/// Describes a setting that is kept as JSON by its option's name and in the words of the command
/// line.
fn as_option(what: String, was: String, is: String) -> (String, String, String) {
    type Words = fn(&serde_json::Value) -> Option<String>;
    let (option, words): (&str, Words) = match what.as_str() {
        "region" => ("--roi", region_in_words),
        "fit" => {
            ("--letterbox", |value| Some(if value == "Letterbox" { "on" } else { "off" }.into()))
        }
        "memory policy" => ("--memory", |value| {
            let name = value.as_str().or_else(|| Some(value.as_object()?.keys().next()?.as_str()));
            name.map(str::to_lowercase)
        }),
        _ => return (what, was, is),
    };
    let in_words = |text: &str| {
        // Strings are kept without their quotes.
        words(&serde_json::from_str(text).unwrap_or_else(|_| text.into()))
    };
    match (in_words(&was), in_words(&is)) {
        (Some(before), Some(now)) if before != now => (option.to_owned(), before, now),
        // They differ in details that the words leave out.
        _ => (what, was, is),
    }
}

fn region_in_words(region: &serde_json::Value) -> Option<String> {
    if region.is_null() || region == "none" {
        return Some("not given".to_owned());
    }
    let of = |name: &str| region.get(name)?.as_u64();
    Some(format!("{},{},{},{}", of("x")?, of("y")?, of("width")?, of("height")?))
}

fn difference(before: &RunHeader, now: &RunHeader) -> Option<(String, String, String)> {
    let is_mixed =
        |header: &RunHeader| header.settings.get(COMPUTED_WITH).is_some_and(|value| value == MIXED);
    if is_mixed(before) || is_mixed(now) {
        return mixed(before).difference(&mixed(now));
    }
    before.difference(now)
}

/// Returns the header of the same job on mixed processors.
pub(super) fn mixed(header: &RunHeader) -> RunHeader {
    let mut mixed = header.clone();
    mixed.settings.insert(COMPUTED_WITH.to_owned(), MIXED.to_owned());
    mixed
}

/// Returns the header of a job's run file or journal, which describes the recording, the plan, the
/// options and the weights. `recording` is the recording's file name. `more` are further settings
/// that affect the masks, such as the conversion of 16 bits to 8. Two jobs with equal headers give
/// equal masks on one kind of device.
///
/// # Errors
/// [`JobError::Engine`] if the device does not give the weights back, of which a fingerprint is
/// taken.
pub fn run_header<S: FrameSource + ?Sized>(
    model: &Sam2,
    frames: &S,
    recording: &str,
    plan: &JobPlan,
    options: &JobOptions,
    more: &[(&str, String)],
) -> Result<RunHeader, JobError> {
    let info = frames.info();
    let size = info.size;
    let mut header = RunHeader::new(recording, (size.width, size.height), plan.frame_count());
    header.frames_per_second = info.timing.frames_per_second;
    if let Some(part) = options.part {
        header.frames = part.range();
    }
    header.object_names =
        plan.names.iter().map(|(object, name)| (object.0, name.clone())).collect();
    // Either all frames have names or none: sources consist of image files or do not.
    let names = (0..plan.frame_count()).map(|frame| info.frame_name(frame).map(str::to_owned));
    header.image_names = names.collect::<Option<_>>().unwrap_or_default();
    header.prompts = prompt_record::of_plan(plan);
    header.prompt_count = Some(prompt_record::count(plan));
    let fingerprint = model.fingerprint()?;
    header.settings = settings(plan, options)?;
    let mut set = |name: &str, value: String| header.settings.insert(name.to_owned(), value);
    set("model", format!("{} {}", model.config(), short(fingerprint)));
    set("image size", model.config().image_size.to_string());
    let kernels = match (options.mixed_processors, model.is_on_cpu()) {
        (true, _) => MIXED.to_owned(),
        (false, true) => format!("{} kernels of the processor", CpuTier::current()),
        (false, false) => "a GPU".to_owned(),
    };
    set(COMPUTED_WITH, kernels);
    for (name, value) in more {
        set(name, value.clone());
    }
    Ok(header)
}

fn settings(plan: &JobPlan, options: &JobOptions) -> Result<BTreeMap<String, String>, JobError> {
    let mut settings = BTreeMap::new();
    let lengths: Vec<usize> = plan.batches.iter().map(|batch| batch.frames.len()).collect();
    let longest = lengths.iter().max().copied().unwrap_or(0);
    settings.insert("batches".into(), format!("{} of up to {longest} frames", lengths.len()));
    settings.insert(PROMPTS.into(), short(&sha256(&prompt_record::serialised(plan)?)));
    settings.insert("carry over".into(), options.carry_over.to_string());
    if !options.step.is_every_frame() {
        let FrameStep { every, between } = options.step;
        settings.insert("computed frames".into(), format!("every {every}, between them {between}"));
    }
    if let Some(reprompt) = options.reprompt {
        settings.insert("reprompt".into(), reprompt.to_string());
    }
    // All other modes give the same masks.
    let lossy = options.frames_mode == FramesMode::Jpeg;
    settings.insert("frames".into(), if lossy { "through jpeg" } else { "as recorded" }.into());
    let session = serde_json::to_value(options.session)?;
    if let serde_json::Value::Object(fields) = session {
        for (name, value) in fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            settings.insert(name.replace('_', " "), text);
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_kept_as_json_are_told_as_options() {
        let told = |what: &str, was: &str, is: &str| {
            let (what, was, is) = as_option(what.into(), was.into(), is.into());
            format!("{what} was {was} and is now {is}")
        };
        let region = r#"{"x":1,"y":2,"width":30,"height":40}"#;
        assert_eq!(told("region", "null", region), "--roi was not given and is now 1,2,30,40");
        assert_eq!(told("fit", "Squash", "Letterbox"), "--letterbox was off and is now on");
        let guarded = r#"{"Guarded":{"a":1}}"#;
        let other = r#"{"Guarded":{"a":2}}"#;
        assert_eq!(
            told("memory policy", "Official", guarded),
            "--memory was official and is now guarded"
        );
        assert!(told("memory policy", guarded, other).contains(guarded));
        assert_eq!(told("image size", "256", "320"), "image size was 256 and is now 320");
    }
}
