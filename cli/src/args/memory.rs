//! `--memory`: which frames the model remembers, with the numbers of the policy.

use std::fmt;
use std::str::FromStr;

use sam2_engine::{
    Dam4samOptions, GuardedOptions, MemoryPolicyChoice, Sam2longOptions, Sam3Options,
};

use crate::alike::suggestion;

/// A memory policy as typed: its name, or `NAME:NUMBER=VALUE,...`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryArg(pub MemoryPolicyChoice);

/// A number of a policy with the options `O`: its name, and where it is.
type Number<O> = (&'static str, Field<O>);

/// A field of options, by what may be typed for it.
enum Field<O> {
    /// A whole number of at least this (0 or 1).
    Count(usize, fn(&mut O) -> &mut usize),
    /// 0 to 1, or off.
    Share(fn(&mut O) -> &mut Option<f32>),
    /// Any finite number, or off.
    Score(fn(&mut O) -> &mut Option<f32>),
    /// true or false.
    Switch(fn(&mut O) -> &mut bool),
}

impl<O> Field<O> {
    /// Takes a value as typed, or returns what is expected instead.
    fn set(&self, options: &mut O, value: &str) -> Result<(), &'static str> {
        match self {
            Self::Count(least, of) => *of(options) = count(*least, value)?,
            Self::Share(of) => *of(options) = within(0.0, 1.0, value)?,
            Self::Score(of) => *of(options) = within(f32::MIN, f32::MAX, value)?,
            Self::Switch(of) => *of(options) = value.parse().map_err(|_| "true or false")?,
        }
        Ok(())
    }

    /// Prints the value as it is typed.
    fn text(&self, mut options: O) -> String {
        match self {
            Self::Count(_, of) => of(&mut options).to_string(),
            Self::Share(of) | Self::Score(of) => limit(*of(&mut options)),
            Self::Switch(of) => of(&mut options).to_string(),
        }
    }
}

// In the order in which they are printed.
const GUARDED: [Number<GuardedOptions>; 7] = [
    ("min-score", Field::Score(|o| &mut o.min_object_score)),
    ("min-iou", Field::Share(|o| &mut o.min_predicted_iou)),
    ("distrust-flagged", Field::Switch(|o| &mut o.distrust_flagged)),
    ("look-back", Field::Count(0, |o| &mut o.look_back)),
    ("distractors", Field::Count(0, |o| &mut o.max_distractor_frames)),
    ("spacing", Field::Count(0, |o| &mut o.distractor_spacing)),
    ("distractor-iou", Field::Share(|o| &mut o.distractor_iou)),
];

const DAM4SAM: [Number<Dam4samOptions>; 8] = [
    ("update-every", Field::Count(1, |o| &mut o.update_every)),
    ("look-back", Field::Count(0, |o| &mut o.look_back)),
    ("distractors", Field::Count(0, |o| &mut o.max_distractor_frames)),
    ("spacing", Field::Count(0, |o| &mut o.distractor_spacing)),
    ("min-iou", Field::Share(|o| &mut o.min_predicted_iou)),
    ("area-change", Field::Share(|o| &mut o.area_change)),
    ("area-frames", Field::Count(1, |o| &mut o.area_frames)),
    ("box-iou", Field::Share(|o| &mut o.distractor_box_iou)),
];

const SAM3: [Number<Sam3Options>; 2] = [
    ("min-confidence", Field::Share(|o| &mut o.min_confidence)),
    ("look-back", Field::Count(0, |o| &mut o.look_back)),
];

const SAM2LONG: [Number<Sam2longOptions>; 5] = [
    ("pathways", Field::Count(1, |o| &mut o.pathways)),
    ("unsure-below", Field::Score(|o| &mut o.unsure_below)),
    ("min-score", Field::Score(|o| &mut o.min_object_score)),
    ("min-iou", Field::Share(|o| &mut o.min_predicted_iou)),
    ("look-back", Field::Count(0, |o| &mut o.look_back)),
];

/// Takes a whole number that is at least `least` (0 or 1).
fn count(least: usize, value: &str) -> Result<usize, &'static str> {
    let expected = if least == 0 { "a whole number" } else { "a whole number above 0" };
    value.parse().ok().filter(|&number| number >= least).ok_or(expected)
}

/// Takes a threshold from `least` to `most`, inclusive, or `off`.
fn within(least: f32, most: f32, value: &str) -> Result<Option<f32>, &'static str> {
    let expected = if most == 1.0 { "0 to 1, or off" } else { "a number, or off" };
    if value == "off" {
        return Ok(None);
    }
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.map(Some).ok_or(expected)
}

fn limit(value: Option<f32>) -> String {
    value.map_or("off".to_owned(), |value| value.to_string())
}

impl FromStr for MemoryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (policy, typed) = match text.split_once(':') {
            Some((policy, typed)) => (policy, Some(typed)),
            None => (text, None),
        };
        let choice = match (policy, typed) {
            ("official", None) => MemoryPolicyChoice::Official,
            ("guarded", _) => MemoryPolicyChoice::Guarded(parse(policy, typed, &GUARDED)?),
            ("dam4sam", _) => MemoryPolicyChoice::Dam4sam(parse(policy, typed, &DAM4SAM)?),
            ("sam3", _) => MemoryPolicyChoice::Sam3(parse(policy, typed, &SAM3)?),
            ("sam2long", _) => MemoryPolicyChoice::Sam2long(parse(policy, typed, &SAM2LONG)?),
            _ => {
                return Err(
                    "use official, guarded, dam4sam, sam3 or sam2long; all but official take \
                            numbers: guarded:NAME=VALUE,..."
                        .into(),
                );
            }
        };
        Ok(Self(choice))
    }
}

/// Changes the default options of `policy` by `NAME=VALUE,...`.
fn parse<O: Default>(
    policy: &str,
    typed: Option<&str>,
    numbers: &[Number<O>],
) -> Result<O, String> {
    let names = || numbers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut options = O::default();
    for pair in typed.unwrap_or_default().split(',').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(format!("'{pair}' lacks its value: use NAME=VALUE with {}", names()));
        };
        let Some((_, field)) = numbers.iter().find(|(known, _)| *known == name) else {
            let known = numbers.iter().map(|(known, _)| *known);
            let meant = suggestion(&name.replace('_', "-"), known);
            return Err(format!(
                "'{name}' is not a number of the {policy} policy: use {}{meant}",
                names()
            ));
        };
        field
            .set(&mut options, value)
            .map_err(|expected| format!("'{value}' does not suit {name}: use {expected}"))?;
    }
    Ok(options)
}

/// The shortest text that means the same: only numbers that are not the defaults.
impl fmt::Display for MemoryArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.policy().name())?;
        match &self.0 {
            MemoryPolicyChoice::Guarded(options) => print(f, options, &GUARDED),
            MemoryPolicyChoice::Dam4sam(options) => print(f, options, &DAM4SAM),
            MemoryPolicyChoice::Sam3(options) => print(f, options, &SAM3),
            MemoryPolicyChoice::Sam2long(options) => print(f, options, &SAM2LONG),
            _ => Ok(()),
        }
    }
}

/// Prints the options that differ from the defaults.
fn print<O: Default + Copy>(
    f: &mut fmt::Formatter<'_>,
    options: &O,
    numbers: &[Number<O>],
) -> fmt::Result {
    let mut before = ':';
    for (name, field) in numbers {
        let value = field.text(*options);
        if value != field.text(O::default()) {
            write!(f, "{before}{name}={value}")?;
            before = ',';
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_means_the_same() {
        for text in [
            "official",
            "guarded",
            "guarded:look-back=60",
            "guarded:min-score=off,min-iou=0.35,distrust-flagged=true,distractors=0,spacing=9,distractor-iou=off",
            "dam4sam",
            "dam4sam:update-every=3,look-back=20,distractors=2,spacing=9,min-iou=off,area-change=0.3,area-frames=5,box-iou=0.6",
            "sam3",
            "sam3:min-confidence=off,look-back=30",
            "sam2long",
            "sam2long:pathways=2,unsure-below=off,min-score=-1,min-iou=0.5,look-back=12",
        ] {
            let parsed: MemoryArg = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        // Defaults that are typed out are not printed.
        for (typed, name) in [
            ("guarded:look-back=30,", "guarded"),
            ("dam4sam:update-every=5,spacing=6,box-iou=0.7", "dam4sam"),
            ("sam3:min-confidence=0.01", "sam3"),
            ("sam2long:pathways=3,unsure-below=2,min-score=0,min-iou=0.3", "sam2long"),
        ] {
            assert_eq!(typed.parse::<MemoryArg>().unwrap().to_string(), name);
        }
        assert_eq!(MemoryArg::default().to_string(), "official");
    }

    #[test]
    fn nonsense_names_what_there_is() {
        for (text, told) in [
            ("", "use official"),
            ("best", "sam3"),
            ("official:look-back=3", "use official"),
            ("guarded:look-back", "NAME=VALUE"),
            ("guarded:look-forward=3", "look-back"),
            ("guarded:min_io=3", "distractor-iou: did you mean 'min-iou'?"),
            ("guarded:look-back=-3", "whole number"),
            ("guarded:min-iou=1.5", "0 to 1"),
            ("guarded:min-iou=NaN", "0 to 1"),
            ("guarded:min-score=inf", "a number, or off"),
            ("dam4sam:update-every=0", "above 0"),
            ("dam4sam:min-score=0", "not a number of the dam4sam policy: use update-every"),
            ("sam3:distractors=3", "use min-confidence, look-back"),
            ("sam3:min-confidence=2", "0 to 1"),
            ("sam2long:pathways=0", "above 0"),
            ("sam2long:distractors=3", "use pathways, unsure-below, min-score, min-iou, look-back"),
        ] {
            let error = text.parse::<MemoryArg>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
