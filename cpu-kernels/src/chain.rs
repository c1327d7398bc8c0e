//! Linear layers with the steps before and after them, as numbers in memory.

#![allow(unsafe_code)]

use std::ops::Range;

use crate::activation::{Activation, gelu_on};
use crate::norm::{Norm, moments_of};
use crate::simd::Simd;

/// A linear layer, and the steps that follow it in each row, in this order.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[inputs, outputs]`.
    pub weight: &'a [f32],
    /// Number of inputs, at least 1.
    pub inputs: usize,
    /// Number of outputs, at least 1.
    pub outputs: usize,
    /// Added to the product, `[outputs]`.
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Activation,
    /// The factor of each column, `[outputs]`.
    pub scale: Option<&'a [f32]>,
    /// Added last, `[rows, outputs]`. If it has fewer rows, they repeat; their number must divide
    /// the number of rows.
    pub add: Option<&'a [f32]>,
}

/// Rows, and the layers that they go through in order.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// `[rows, inputs of the first layer]`.
    pub x: &'a [f32],
    /// A layer norm before the first layer.
    pub norm: Option<Norm<'a>>,
    /// The layers, at least one. Each has as many inputs as the one before it has outputs.
    pub layers: &'a [Layer<'a>],
}

impl Chain<'_> {
    /// Returns the number of rows and outputs, or `None` if the shapes do not fit together.
    pub(crate) fn size(&self) -> Option<[usize; 2]> {
        let (first, last) = (self.layers.first()?, self.layers.last()?);
        let inputs = first.inputs;
        if inputs == 0 || !self.x.len().is_multiple_of(inputs) {
            return None;
        }
        let rows = self.x.len() / inputs;
        rows.checked_mul(last.outputs)?;
        let fits = self.norm.is_none_or(|norm| norm.fits(inputs))
            && self.layers.iter().all(|layer| layer.fits(rows))
            && self.layers.windows(2).all(|pair| pair[0].outputs == pair[1].inputs);
        fits.then_some([rows, last.outputs])
    }
}

impl Layer<'_> {
    fn fits(&self, rows: usize) -> bool {
        let Self { weight, inputs, outputs, bias, scale, add, .. } = *self;
        let columns = |values: Option<&[f32]>| values.is_none_or(|v| v.len() == outputs);
        inputs > 0
            && outputs > 0
            && inputs.checked_mul(outputs) == Some(weight.len())
            && columns(bias)
            && columns(scale)
            && add.is_none_or(|add| {
                let whole = add.len() / outputs;
                add.len().is_multiple_of(outputs) && whole > 0 && rows.is_multiple_of(whole)
            })
    }
}

/// The result `[rows, outputs]`. Each task writes its own part.
#[derive(Clone, Copy)]
pub(crate) struct Target(pub(crate) *mut f32);

// SAFETY: tasks write disjoint parts and read none.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// Copies a row, and applies the norm if there is one.
#[inline(always)]
pub(crate) fn enter(row: &[f32], norm: Option<Norm<'_>>, to: &mut [f32]) {
    match norm {
        None => to.copy_from_slice(row),
        Some(Norm { weight, bias, epsilon }) => {
            let (mean, scale) = moments_of(row, epsilon);
            let affine = weight.iter().zip(bias);
            for ((to, from), (weight, bias)) in to.iter_mut().zip(row).zip(affine) {
                *to = (from - mean) * scale * weight + bias;
            }
        }
    }
}

/// Applies the steps after the product to some columns of one row.
///
/// # Safety
/// The processor has `S`'s instructions.
#[inline(always)]
pub(crate) unsafe fn finish<S: Simd, const ROWS: usize>(
    sums: &mut [f32],
    layer: &Layer<'_>,
    columns: Range<usize>,
    row: usize,
) {
    if let Some(bias) = layer.bias {
        sums.iter_mut().zip(&bias[columns.clone()]).for_each(|(sum, bias)| *sum += bias);
    }
    match layer.activation {
        Activation::Identity => {}
        Activation::Relu => sums.iter_mut().for_each(|sum| *sum = sum.max(0.0)),
        // SAFETY: guaranteed by the caller.
        Activation::Gelu => unsafe { gelu_on::<S, ROWS>(sums) },
    }
    if let Some(scale) = layer.scale {
        sums.iter_mut().zip(&scale[columns.clone()]).for_each(|(sum, scale)| *sum *= scale);
    }
    if let Some(add) = layer.add {
        let start = row % (add.len() / layer.outputs) * layer.outputs;
        let add = &add[start + columns.start..start + columns.end];
        sums.iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
    }
}
