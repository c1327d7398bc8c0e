//! The number format in which the model computes.

use std::fmt;
use std::str::FromStr;

/// The number format of weights, activations and products, as the user names it: `auto`, `f32`,
/// `bf16` or `f16`.
///
/// In every format, norms, softmax, rotary encoding, coordinates and mask logits are f32: see
/// `docs/gpu.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// The best format for the device. On a GPU: f16 if the GPU computes in it, else bf16 if it
    /// computes in that, else f32. On the CPU: f32.
    #[default]
    Auto,
    /// 4 bytes per value. The parity tests compare this format.
    F32,
    /// 2 bytes per value, with the range of f32 and 8 bits of precision. The official code uses it
    /// on GPUs.
    Bf16,
    /// 2 bytes per value, with 11 bits of precision. Stored values are limited to 65,504, the
    /// largest value. The default on GPUs.
    F16,
}

/// The text is not the name of a precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a precision: use auto, f32, bf16 or f16")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        match name {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            _ => Err(UnknownPrecision(name.to_owned())),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print_the_same() {
        for name in ["auto", "f32", "bf16", "f16"] {
            assert_eq!(name.parse::<Precision>().map(|p| p.to_string()), Ok(name.to_owned()));
        }
        assert_eq!("F32".parse::<Precision>(), Err(UnknownPrecision("F32".to_owned())));
    }
}
