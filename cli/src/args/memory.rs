//! `--memory`: which frames the model remembers, with the numbers of the guarded policy.

use std::fmt;
use std::str::FromStr;

use sam2_engine::GuardedOptions;

use crate::alike::suggestion;

/// A memory policy as typed: `official`, `guarded`, or `guarded:NAME=VALUE,...`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MemoryArg {
    /// The last frames, whatever they show.
    Official,
    /// The last frames that the model is sure of, and some with a look-alike in sight.
    Guarded(GuardedOptions),
}

/// Names of the numbers, in the order in which they are printed.
const NAMES: [&str; 7] = [
    "min-score",
    "min-iou",
    "distrust-flagged",
    "look-back",
    "distractors",
    "spacing",
    "distractor-iou",
];

impl FromStr for MemoryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (policy, numbers) = match text.split_once(':') {
            Some((policy, numbers)) => (policy, Some(numbers)),
            None => (text, None),
        };
        match (policy, numbers) {
            ("official", None) => Ok(Self::Official),
            ("guarded", numbers) => {
                let mut options = GuardedOptions::default();
                for pair in numbers.unwrap_or_default().split(',').filter(|pair| !pair.is_empty()) {
                    set(&mut options, pair)?;
                }
                Ok(Self::Guarded(options))
            }
            _ => Err("use official, guarded or guarded:NAME=VALUE,...".into()),
        }
    }
}

/// Takes one `NAME=VALUE`.
fn set(options: &mut GuardedOptions, pair: &str) -> Result<(), String> {
    let Some((name, value)) = pair.split_once('=') else {
        return Err(format!("'{pair}' lacks its value: use NAME=VALUE with {}", NAMES.join(", ")));
    };
    let wrong = |expected: &str| format!("'{value}' does not suit {name}: use {expected}");
    let count = || value.parse::<usize>().map_err(|_| wrong("a whole number"));
    let threshold = |least: f32, most: f32, expected: &str| match value {
        "off" => Ok(None),
        _ => {
            let number = value.parse::<f32>().ok().filter(|number| (least..=most).contains(number));
            number.map(Some).ok_or_else(|| wrong(expected))
        }
    };
    match name {
        "min-score" => {
            options.min_object_score = threshold(f32::MIN, f32::MAX, "a number, or off")?;
        }
        "min-iou" => options.min_predicted_iou = threshold(0.0, 1.0, "0 to 1, or off")?,
        "distrust-flagged" => {
            options.distrust_flagged = value.parse().map_err(|_| wrong("true or false"))?;
        }
        "look-back" => options.look_back = count()?,
        "distractors" => options.max_distractor_frames = count()?,
        "spacing" => options.distractor_spacing = count()?,
        "distractor-iou" => options.distractor_iou = threshold(0.0, 1.0, "0 to 1, or off")?,
        _ => {
            let (known, meant) = (NAMES.join(", "), suggestion(&name.replace('_', "-"), NAMES));
            return Err(format!(
                "'{name}' is not a number of the guarded policy: use {known}{meant}"
            ));
        }
    }
    Ok(())
}

/// The shortest text that means the same: only numbers that are not the defaults.
impl fmt::Display for MemoryArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Guarded(options) = self else { return f.write_str("official") };
        let default = GuardedOptions::default();
        let threshold = |value: Option<f32>| value.map_or("off".to_owned(), |v| v.to_string());
        let mut set = Vec::new();
        if options.min_object_score != default.min_object_score {
            set.push(format!("min-score={}", threshold(options.min_object_score)));
        }
        if options.min_predicted_iou != default.min_predicted_iou {
            set.push(format!("min-iou={}", threshold(options.min_predicted_iou)));
        }
        if options.distrust_flagged != default.distrust_flagged {
            set.push(format!("distrust-flagged={}", options.distrust_flagged));
        }
        if options.look_back != default.look_back {
            set.push(format!("look-back={}", options.look_back));
        }
        if options.max_distractor_frames != default.max_distractor_frames {
            set.push(format!("distractors={}", options.max_distractor_frames));
        }
        if options.distractor_spacing != default.distractor_spacing {
            set.push(format!("spacing={}", options.distractor_spacing));
        }
        if options.distractor_iou != default.distractor_iou {
            set.push(format!("distractor-iou={}", threshold(options.distractor_iou)));
        }
        let colon = if set.is_empty() { "" } else { ":" };
        write!(f, "guarded{colon}{}", set.join(","))
    }
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
        ] {
            let parsed: MemoryArg = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        // Defaults that are typed out are not printed.
        let typed: MemoryArg = "guarded:look-back=30".parse().unwrap();
        assert_eq!(typed.to_string(), "guarded");
    }

    #[test]
    fn nonsense_names_what_there_is() {
        for (text, told) in [
            ("", "use official"),
            ("official:look-back=3", "use official"),
            ("guarded:look-back", "NAME=VALUE"),
            ("guarded:look-forward=3", "look-back"),
            ("guarded:min_io=3", "distractor-iou: did you mean 'min-iou'?"),
            ("guarded:look-back=-3", "whole number"),
            ("guarded:min-iou=1.5", "0 to 1"),
            ("guarded:min-iou=NaN", "0 to 1"),
            ("guarded:min-score=inf", "a number, or off"),
        ] {
            let error = text.parse::<MemoryArg>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
