//! Arguments of linear layers.

use super::super::Activation;
use super::buffer::{Buffer, Given};
use super::rotation::RotationArgs;

/// Arguments of `rotation(activation((x + term) · weight + bias) * scale + add)`. Absent parts are
/// left out.
#[derive(Debug)]
pub struct LinearArgs<'a> {
    /// `[rows, groups, inputs]`, any format.
    pub x: &'a Buffer,
    /// A term of `x`'s shape that is added to `x`, and the number of outputs, from the first on,
    /// that include it.
    pub term: Option<(&'a Buffer, usize)>,
    /// `[groups, inputs, outputs]`, any format.
    pub weight: &'a Buffer,
    /// `[groups, outputs]`, f32.
    pub bias: Option<&'a Buffer>,
    /// The non-linearity after the bias.
    pub activation: Activation,
    /// `[outputs]`, f32.
    pub scale: Option<&'a Buffer>,
    /// Rows of `outputs` values, and the number of these rows. They repeat, as a batch of 1 does.
    pub add: Option<(&'a Buffer, usize)>,
    /// A rotation of pairs of outputs.
    pub rotation: Option<RotationArgs<'a>>,
    /// `[rows, groups, outputs]`, any format. Values beyond f16's range become its largest value.
    pub out: &'a Buffer,
    /// Number of rows per group.
    pub rows: usize,
    /// Number of layers side by side, each with its own rows. It is 1 except for heads of the mask
    /// decoder, four of which have the same shape.
    pub groups: usize,
    /// Number of values in a row of `x`.
    pub inputs: usize,
    /// Number of values in a row of `out`.
    pub outputs: usize,
}

impl LinearArgs<'_> {
    /// Returns true if buffers and sizes match.
    pub(super) fn fit(&self) -> bool {
        let Self { rows, groups, inputs, outputs, .. } = *self;
        let of_columns =
            |buffer: Option<&Buffer>| buffer.is_none_or(|buffer| buffer.holds(groups * outputs));
        let alone = groups == 1 || (self.scale.is_none() && self.add.is_none());
        self.x.holds(rows * groups * inputs)
            && self.term.is_none_or(|(term, _)| term.holds(rows * groups * inputs))
            && self.weight.holds(groups * inputs * outputs)
            && self.out.holds(rows * groups * outputs)
            && of_columns(self.bias)
            && of_columns(self.scale)
            && self.add.is_none_or(|(add, of_add)| of_add > 0 && add.holds(of_add * outputs))
            && self.rotation.as_ref().is_none_or(|rotation| rotation.fits(outputs))
            && alone
    }

    /// Returns which of the parts that can be left out are there.
    pub(super) fn given(&self) -> Given<5> {
        let Self { term, bias, scale, add, rotation, .. } = self;
        [term.is_some(), bias.is_some(), scale.is_some(), add.is_some(), rotation.is_some()]
    }

    /// Returns true if every cube of `columns` columns uses the term for either all of them or
    /// none.
    pub(super) fn term_ends_between(&self, columns: usize) -> bool {
        self.term.is_none_or(|(_, ends)| ends.is_multiple_of(columns) || ends >= self.outputs)
    }
}
