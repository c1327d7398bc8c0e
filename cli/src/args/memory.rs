//! `--memory`: which frames the model remembers, with the numbers of the policy.

use std::fmt;
use std::str::FromStr;

use sam2_engine::{Dam4samOptions, GuardedOptions, MemoryPolicyChoice, Sam3Options};

use crate::alike::suggestion;

/// A memory policy as typed: its name, or `NAME:NUMBER=VALUE,...`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryArg(pub MemoryPolicyChoice);

/// A number of a policy with the options `O`.
struct Number<O> {
    name: &'static str,
    /// Takes a value as typed, or returns what is expected instead.
    set: fn(&mut O, &str) -> Result<(), &'static str>,
    /// Prints the value as it is typed.
    text: fn(&O) -> String,
}

// In the order in which they are printed.
const GUARDED: [Number<GuardedOptions>; 7] = [
    Number {
        name: "min-score",
        set: |o, v| within(f32::MIN, f32::MAX, v).map(|v| o.min_object_score = v),
        text: |o| limit(o.min_object_score),
    },
    Number {
        name: "min-iou",
        set: |o, v| within(0.0, 1.0, v).map(|v| o.min_predicted_iou = v),
        text: |o| limit(o.min_predicted_iou),
    },
    Number {
        name: "distrust-flagged",
        set: |o, v| v.parse().map(|v| o.distrust_flagged = v).map_err(|_| "true or false"),
        text: |o| o.distrust_flagged.to_string(),
    },
    Number {
        name: "look-back",
        set: |o, v| count(0, v).map(|v| o.look_back = v),
        text: |o| o.look_back.to_string(),
    },
    Number {
        name: "distractors",
        set: |o, v| count(0, v).map(|v| o.max_distractor_frames = v),
        text: |o| o.max_distractor_frames.to_string(),
    },
    Number {
        name: "spacing",
        set: |o, v| count(0, v).map(|v| o.distractor_spacing = v),
        text: |o| o.distractor_spacing.to_string(),
    },
    Number {
        name: "distractor-iou",
        set: |o, v| within(0.0, 1.0, v).map(|v| o.distractor_iou = v),
        text: |o| limit(o.distractor_iou),
    },
];

const DAM4SAM: [Number<Dam4samOptions>; 8] = [
    Number {
        name: "update-every",
        set: |o, v| count(1, v).map(|v| o.update_every = v),
        text: |o| o.update_every.to_string(),
    },
    Number {
        name: "look-back",
        set: |o, v| count(0, v).map(|v| o.look_back = v),
        text: |o| o.look_back.to_string(),
    },
    Number {
        name: "distractors",
        set: |o, v| count(0, v).map(|v| o.max_distractor_frames = v),
        text: |o| o.max_distractor_frames.to_string(),
    },
    Number {
        name: "spacing",
        set: |o, v| count(0, v).map(|v| o.distractor_spacing = v),
        text: |o| o.distractor_spacing.to_string(),
    },
    Number {
        name: "min-iou",
        set: |o, v| within(0.0, 1.0, v).map(|v| o.min_predicted_iou = v),
        text: |o| limit(o.min_predicted_iou),
    },
    Number {
        name: "area-change",
        set: |o, v| within(0.0, 1.0, v).map(|v| o.area_change = v),
        text: |o| limit(o.area_change),
    },
    Number {
        name: "area-frames",
        set: |o, v| count(1, v).map(|v| o.area_frames = v),
        text: |o| o.area_frames.to_string(),
    },
    Number {
        name: "box-iou",
        set: |o, v| within(0.0, 1.0, v).map(|v| o.distractor_box_iou = v),
        text: |o| limit(o.distractor_box_iou),
    },
];

const SAM3: [Number<Sam3Options>; 2] = [
    Number {
        name: "min-confidence",
        set: |o, v| within(0.0, 1.0, v).map(|v| o.min_confidence = v),
        text: |o| limit(o.min_confidence),
    },
    Number {
        name: "look-back",
        set: |o, v| count(0, v).map(|v| o.look_back = v),
        text: |o| o.look_back.to_string(),
    },
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
            _ => {
                return Err("use official, guarded, dam4sam or sam3; all but official take \
                            numbers: guarded:NAME=VALUE,..."
                    .into());
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
    let names = || numbers.iter().map(|number| number.name).collect::<Vec<_>>().join(", ");
    let mut options = O::default();
    for pair in typed.unwrap_or_default().split(',').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(format!("'{pair}' lacks its value: use NAME=VALUE with {}", names()));
        };
        let Some(number) = numbers.iter().find(|number| number.name == name) else {
            let known = numbers.iter().map(|number| number.name);
            let meant = suggestion(&name.replace('_', "-"), known);
            return Err(format!(
                "'{name}' is not a number of the {policy} policy: use {}{meant}",
                names()
            ));
        };
        (number.set)(&mut options, value)
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
            _ => Ok(()),
        }
    }
}

/// Prints the options that differ from the defaults.
fn print<O: Default>(
    f: &mut fmt::Formatter<'_>,
    options: &O,
    numbers: &[Number<O>],
) -> fmt::Result {
    let default = O::default();
    let changed = numbers.iter().filter(|number| (number.text)(options) != (number.text)(&default));
    for (index, number) in changed.enumerate() {
        let before = if index == 0 { ':' } else { ',' };
        write!(f, "{before}{}={}", number.name, (number.text)(options))?;
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
        ] {
            let error = text.parse::<MemoryArg>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
