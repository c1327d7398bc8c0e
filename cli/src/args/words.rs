//! Values that are one of a list of words, or begin with one.
//!
//! Their own parsers know a richer syntax than clap's lists of values: `cuda:1`, `above:0.9`,
//! `guarded:look-back=60`. Here such a parser is given the words, which shells complete and a
//! misspelt value is compared with.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use crate::alike::value_meant;

/// `--device`.
pub const DEVICES: &[&str] = &["auto", "cpu", "cuda", "vulkan"];
/// `--precision`.
pub const PRECISIONS: &[&str] = &["auto", "f32", "bf16", "f16"];
/// `--memory`.
pub const MEMORY_POLICIES: &[&str] = &["official", "guarded", "dam4sam", "sam3", "sam2long"];
/// `--prompt-frames`; the numbers are examples.
pub const PROMPT_FRAMES: &[&str] = &["best", "first", "every:20", "above:0.9"];
/// `--frames-mode`.
pub const FRAMES_MODES: &[&str] = &["lazy", "memory", "jpeg"];
/// `--on-bad-frame`.
pub const BAD_FRAMES: &[&str] = &["error", "repeat", "blank"];
/// `--intensity`; the numbers are examples.
pub const INTENSITIES: &[&str] =
    &["auto", "full", "minmax", "percentile:1,99", "per-frame:minmax", "per-frame:percentile:1,99"];
/// `--resize`.
pub const RESIZE_MODES: &[&str] =
    &["pillow-bicubic", "torch-bilinear-antialias", "decord", "cv2-linear"];
/// Published models, in `--model`, `--config` and `sam2 download`.
pub const MODELS: &[&str] =
    &["tiny", "small", "base-plus", "large", "tiny-2.0", "small-2.0", "base-plus-2.0", "large-2.0"];

/// Returns `parser` with words that shells offer, and that the refusal of a misspelt value names.
pub fn offering<P: TypedValueParser>(parser: P, words: &'static [&'static str]) -> Offering<P> {
    Offering { parser, words }
}

/// A parser with the words that its values are, or begin with.
#[derive(Clone)]
pub struct Offering<P> {
    parser: P,
    words: &'static [&'static str],
}

impl<P: TypedValueParser> TypedValueParser for Offering<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        option: Option<&Arg>,
        value: &OsStr,
    ) -> Result<P::Value, Error> {
        self.parser.parse_ref(command, option, value).map_err(|mut error| {
            let meant = value.to_str().and_then(|typed| value_meant(typed, self.words));
            if let (ErrorKind::ValueValidation, Some(meant)) = (error.kind(), meant) {
                error.insert(ContextKind::SuggestedValue, ContextValue::String(meant));
            }
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.words.iter().map(PossibleValue::new)))
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use sam2_engine::{DeviceChoice, Precision};
    use sam2_frame_provider::resize::ResizeMode;
    use sam2_frame_provider::{BadFrames, FramesMode, Intensity};
    use sam2_jobs::PromptFrames;
    use sam2_model::ModelName;

    use super::*;
    use crate::args::MemoryArg;

    /// Checks that every word is a valid value.
    fn check<T: FromStr>(words: &[&str]) {
        for word in words {
            assert!(word.parse::<T>().is_ok(), "{word}");
        }
    }

    #[test]
    fn every_word_that_is_offered_is_accepted() {
        check::<DeviceChoice>(DEVICES);
        check::<Precision>(PRECISIONS);
        check::<MemoryArg>(MEMORY_POLICIES);
        check::<PromptFrames>(PROMPT_FRAMES);
        check::<FramesMode>(FRAMES_MODES);
        check::<BadFrames>(BAD_FRAMES);
        check::<Intensity>(INTENSITIES);
        check::<ResizeMode>(RESIZE_MODES);
        check::<ModelName>(MODELS);
    }

    #[test]
    fn no_word_is_left_out_where_the_library_lists_them() {
        fn all<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
            values.into_iter().map(|value| value.to_string()).collect()
        }
        assert_eq!(all(FramesMode::ALL), FRAMES_MODES);
        assert_eq!(all(BadFrames::ALL), BAD_FRAMES);
        assert_eq!(all(ResizeMode::ALL), RESIZE_MODES);
    }
}
