//! The steps before and after the product of a linear layer, which its kernels share.

use cubecl::prelude::*;

use super::super::Activation;
use super::number::activate;

/// Returns a value of a layer's input, including the added term.
#[cube]
// One `if` decides what is compiled, the other is evaluated by each unit.
#[allow(clippy::collapsible_if)]
pub(super) fn number_of_sum<X: Float, T: Float>(
    x: &[X],
    term: &ComptimeOption<&[T]>,
    place: usize,
    with_term: bool,
) -> f32 {
    let mut number = f32::cast_from(x[place]);
    #[comptime]
    if let ComptimeOption::Some(term) = term {
        if with_term {
            number += f32::cast_from(term[place]);
        }
    }
    number
}

/// Turns a value of the product into one of the result: bias, non-linearity, factor and sum.
#[cube]
#[allow(clippy::too_many_arguments)]
pub(super) fn finished<A: Float>(
    product: f32,
    row: usize,
    column: usize,
    outputs: usize,
    group: usize,
    bias: &ComptimeOption<&[f32]>,
    scale: &ComptimeOption<&[f32]>,
    add: &ComptimeOption<&[A]>,
    rows_of_add: u32,
    #[comptime] activation: Activation,
) -> f32 {
    let mut y = product;
    #[comptime]
    if let ComptimeOption::Some(bias) = bias {
        y += bias[group * outputs + column];
    }
    y = activate(y, activation);
    #[comptime]
    if let ComptimeOption::Some(scale) = scale {
        y *= scale[column];
    }
    #[comptime]
    if let ComptimeOption::Some(add) = add {
        y += f32::cast_from(add[row % rows_of_add as usize * outputs + column]);
    }
    y
}
