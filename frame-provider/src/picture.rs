//! A decoded still image before its samples are converted to 8 bits.

use std::fmt;

use crate::size::FrameSize;

/// The content of an image file, without alpha and further channels.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) size: FrameSize,
    /// Samples per pixel: 1 (gray) or 3 (red, green, blue).
    pub(crate) channels: usize,
    /// `[height, width, channels]`.
    pub(crate) samples: Samples,
}

/// Samples of one depth; 10-, 12- and 14-bit cameras use the lower bits of 16.
#[derive(Debug, Clone)]
pub(crate) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
    /// Samples of every other type, all of which 64-bit floating point represents exactly.
    Real(Vec<f64>, RealKind),
}

/// The stored type of [`Samples::Real`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RealKind {
    I8,
    I16,
    I32,
    U32,
    F16,
    F32,
    F64,
}

impl RealKind {
    /// Returns the value stored in the lowest places of `bits`.
    pub(crate) fn value(self, bits: u64) -> f64 {
        match self {
            Self::I8 => f64::from(bits as u8 as i8),
            Self::I16 => f64::from(bits as u16 as i16),
            Self::I32 => f64::from(bits as u32 as i32),
            Self::U32 => f64::from(bits as u32),
            Self::F16 => half(bits as u16),
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::F64 => f64::from_bits(bits),
        }
    }

    /// Returns the smallest value, and how many values share their upper byte; `None` for floating
    /// point, which has no full range.
    pub(crate) fn upper_byte(self) -> Option<(f64, f64)> {
        match self {
            Self::I8 => Some((-128.0, 1.0)),
            Self::I16 => Some((-32_768.0, 256.0)),
            Self::I32 => Some((-2_147_483_648.0, 16_777_216.0)),
            Self::U32 => Some((0.0, 16_777_216.0)),
            Self::F16 | Self::F32 | Self::F64 => None,
        }
    }
}

/// Converts an IEEE 754 binary16 number: a sign bit, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    match (bits >> 10) & 0x1f {
        0 => sign * fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1.0 + fraction) * 2f64.powi(i32::from(exponent) - 15),
    }
}

/// The type of a picture's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Eight,
    Sixteen,
    Real(RealKind),
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eight => "8-bit",
            Self::Sixteen => "16-bit",
            Self::Real(RealKind::I8) => "signed 8-bit",
            Self::Real(RealKind::I16) => "signed 16-bit",
            Self::Real(RealKind::I32) => "signed 32-bit",
            Self::Real(RealKind::U32) => "32-bit",
            Self::Real(RealKind::F16) => "16-bit floating-point",
            Self::Real(RealKind::F32) => "32-bit floating-point",
            Self::Real(RealKind::F64) => "64-bit floating-point",
        })
    }
}

impl Picture {
    /// Returns the type of the samples as stored.
    pub(crate) fn depth(&self) -> Depth {
        match self.samples {
            Samples::Eight(_) => Depth::Eight,
            Samples::Sixteen(_) => Depth::Sixteen,
            Samples::Real(_, kind) => Depth::Real(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_from_its_bits() {
        assert_eq!(RealKind::I8.value(0x80), -128.0);
        assert_eq!(RealKind::I16.value(0xffff), -1.0);
        assert_eq!(RealKind::I32.value(0x8000_0000), -2_147_483_648.0);
        assert_eq!(RealKind::U32.value(0xffff_ffff), 4_294_967_295.0);
        assert_eq!(RealKind::F32.value(0x3fc0_0000), 1.5);
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 2f64.powi(-24)),
            (0x3555, 0.333_251_953_125),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(RealKind::F16.value(bits), value, "{bits:04x}");
        }
        assert!(RealKind::F16.value(0x7e00).is_nan());
    }
}
