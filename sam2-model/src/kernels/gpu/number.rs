//! Steps applied to one value before it is written.

use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

use super::super::Activation;

/// Returns true if values must be clamped to f16's range.
pub(super) fn is_f16(element: ElemType) -> bool {
    element == ElemType::Float(FloatKind::F16)
}

/// Applies a non-linearity to one value.
#[cube]
pub(super) fn activate(x: f32, #[comptime] activation: Activation) -> f32 {
    match comptime!(activation) {
        Activation::Identity => x,
        Activation::Relu => max(x, 0.0),
        Activation::Gelu => 0.5f32 * x * (1.0f32 + Erf::erf(x * 0.707_106_77f32)),
    }
}

/// Limits a value to f16's largest value if `clamped`.
#[cube]
pub(super) fn within(x: f32, #[comptime] clamped: bool) -> f32 {
    if comptime!(clamped) { clamp(x, -65_504.0f32, 65_504.0f32) } else { x }
}
