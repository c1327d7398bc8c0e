//! A user's choices about the prompts of a track, and their spelling.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// Largest number of frames of a batch that [`PromptFrames::Above`] prompts for each object. Every
/// other frame attends to each prompted frame, so hundreds of them would cost tens of times as long
/// and add little.
pub const MOST_FRAMES_ABOVE: usize = 8;

/// The frames of a batch that are prompted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum PromptFrames {
    /// The best frame: the one with the most individuals. Ties are broken by the most body parts,
    /// then by the highest mean likelihood, then by the earliest frame. An individual that is
    /// missing there is prompted on the frame that is best for it alone.
    #[default]
    Best,
    /// For each individual, the first frame in which it is usable.
    First,
    /// The batch is cut into stretches of this many frames. Each individual is prompted on the
    /// first frame of each stretch in which it is usable.
    Every(NonZeroUsize),
    /// For each individual, the frames in which the mean likelihood of its usable body parts is
    /// above this value. If there are more than [`MOST_FRAMES_ABOVE`], that number of them, evenly
    /// spread.
    Above(f32),
}

impl FromStr for PromptFrames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let likelihood = |text: &str| text.parse().ok().filter(|value| (0.0..1.0).contains(value));
        let parsed = match text.split_once(':') {
            None if text == "best" => Some(Self::Best),
            None if text == "first" => Some(Self::First),
            Some(("every", frames)) => frames.parse().ok().map(Self::Every),
            Some(("above", value)) => likelihood(value).map(Self::Above),
            _ => None,
        };
        parsed.ok_or_else(|| {
            "use best, first, every:N (N frames, from 1) or above:L (a likelihood, 0 to below 1)".into()
        })
    }
}

impl fmt::Display for PromptFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Best => f.write_str("best"),
            Self::First => f.write_str("first"),
            Self::Every(frames) => write!(f, "every:{frames}"),
            Self::Above(likelihood) => write!(f, "above:{likelihood}"),
        }
    }
}

/// How far a box extends beyond the body parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BoxMargin {
    /// A number of pixels of the recording.
    Pixels(f32),
    /// A percentage of the longer side of the box without a margin.
    Percent(f32),
}

impl FromStr for BoxMargin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.parse().ok().filter(|value: &f32| value.is_finite() && *value >= 0.0);
        let parsed = match text.strip_suffix('%') {
            Some(percent) => number(percent).map(Self::Percent),
            None => number(text).map(Self::Pixels),
        };
        parsed.ok_or_else(|| "use pixels (20) or percent of the box's longer side (15%)".into())
    }
}

impl fmt::Display for BoxMargin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(pixels) => write!(f, "{pixels}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_parse_and_print() {
        for text in ["best", "first", "every:7", "above:0.9"] {
            assert_eq!(text.parse::<PromptFrames>().unwrap().to_string(), text);
        }
        for text in ["20", "15%"] {
            assert_eq!(text.parse::<BoxMargin>().unwrap().to_string(), text);
        }
        for wrong in ["-1", "%", "x", "inf"] {
            assert!(wrong.parse::<BoxMargin>().is_err(), "{wrong}");
        }
    }
}
