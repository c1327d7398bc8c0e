//! Arguments of convolutions.

use super::super::Activation;
use super::buffer::{Buffer, Given};
use super::strided::Maps;

/// A convolution or transposed convolution of maps with the steps that follow it, in this order:
/// bias, sum with other maps, norm over the channels of each pixel, non-linearity.
#[derive(Debug)]
pub struct ConvolutionArgs<'a> {
    /// `[batch, inputs, height, width]`, any format.
    pub x: Maps<'a>,
    /// `[outputs, inputs of a group, rows, columns]`; transposed:
    /// `[inputs, outputs, rows, columns]`. Row-major, any format.
    pub filters: &'a Buffer,
    /// `[outputs]`, f32.
    pub bias: Option<&'a Buffer>,
    /// Maps that are added, `[batch, outputs, height', width']`, any format.
    pub add: Option<Maps<'a>>,
    /// A norm: weight and bias `[outputs]`, f32, and the epsilon added to the variance. See
    /// [`Self::MOST_NORMED`].
    pub norm: Option<(&'a Buffer, &'a Buffer, f32)>,
    /// The non-linearity, applied last.
    pub activation: Activation,
    /// `[batch, height', width', outputs]`, row-major, any format: channels last.
    pub out: &'a Buffer,
    /// Number of maps in the batch.
    pub batch: usize,
    /// Input and output channels.
    pub channels: [usize; 2],
    /// Number of channels that each filter reads: all, or one in a depthwise convolution.
    pub inputs_of_group: usize,
    /// Height and width of the input, and of the result.
    pub sizes: [[usize; 2]; 2],
    /// Rows and columns of a filter.
    pub taps: [usize; 2],
    /// Step between pixels, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zeros above and to the left.
    pub padding: [usize; 2],
}

impl ConvolutionArgs<'_> {
    /// Largest number of values per pixel if a norm follows in the same launch, because one cube
    /// must have all of them. The number is that of the outputs, or four times that in a transposed
    /// convolution. A depthwise convolution cannot include a norm.
    pub const MOST_NORMED: usize = 256;

    /// Returns true if buffers and sizes match, but for the filters, whose layout depends on the
    /// kind of convolution.
    pub(super) fn fit(&self) -> bool {
        let [inputs, outputs] = self.channels;
        let [[height, width], [rows, columns]] = self.sizes;
        let of_outputs = |buffer: &Buffer| buffer.holds(outputs);
        self.x.hold([self.batch, inputs, height, width])
            && self.out.holds(self.batch * outputs * rows * columns)
            && self.bias.is_none_or(of_outputs)
            && self.norm.is_none_or(|(weight, bias, _)| of_outputs(weight) && of_outputs(bias))
            && self.add.is_none_or(|add| add.hold([self.batch, outputs, rows, columns]))
            && self.taps.iter().chain(&self.stride).all(|&length| length > 0)
    }

    /// Returns which of the parts that can be left out are there.
    pub(super) fn given(&self) -> Given<3> {
        [self.bias.is_some(), self.add.is_some(), self.norm.is_some()]
    }

    /// Returns true if there is nothing to compute.
    pub(super) fn is_empty(&self) -> bool {
        let [_, [rows, columns]] = self.sizes;
        self.batch * self.channels[1] * rows * columns == 0
    }
}
