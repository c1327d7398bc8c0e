//! Convolutions of maps.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, activation};
use sam2_cpu_kernels::{self as cpu, Convolution, CpuTier, Depthwise, Norm};

use super::Activation;
use super::bridge::{from_values, into_flex, values};
use super::norm::layer_norm_2d_on_any_device;
use super::on_gpu;
use super::pointwise::gelu;
use crate::layer_norm_2d::LayerNorm2d;

/// Runs a convolution from `[batch, inputs, height, width]` to `[batch, outputs, height', width']`.
/// With a norm, the norm and GELU follow in the same pass over memory. Dilation, unequal paddings,
/// groups on the CPU, and other devices use burn's operations.
///
/// On a GPU the input is read where it lies, permuted or not. The result is channels last, as for
/// all convolutions here: `permute([0, 2, 3, 1])` is row-major.
pub fn convolution(
    convolution: &Conv2d,
    norm: Option<&LayerNorm2d>,
    x_bchw: Tensor<4>,
) -> Tensor<4> {
    let fused = || {
        let [batch, inputs, height, width] = x_bchw.dims();
        let [outputs, inputs_of_group, rows, columns] = convolution.weight.dims();
        let padding = equal_padding(convolution)?;
        if convolution.dilation != [1, 1] || inputs_of_group != inputs {
            return None;
        }
        let x = into_flex(x_bchw.clone()).ok()?;
        let filters = into_flex(convolution.weight.val()).ok()?;
        let bias = convolution.bias.as_ref().map(|bias| into_flex(bias.val()));
        let bias = bias.transpose().ok()?;
        let norm = match norm.map(LayerNorm2d::parameters) {
            Some((weight, bias, epsilon)) => {
                Some((into_flex(weight).ok()?, into_flex(bias).ok()?, epsilon))
            }
            None => None,
        };
        let input = Convolution {
            maps: values(&x),
            inputs,
            size: [height, width],
            filters: values(&filters),
            outputs,
            taps: [rows, columns],
            stride: convolution.stride,
            padding,
            bias: bias.as_ref().map(values),
            norm: norm.as_ref().map(|(weight, bias, epsilon)| Norm {
                weight: values(weight),
                bias: values(bias),
                epsilon: *epsilon,
            }),
            gelu: norm.is_some(),
        };
        let [out_height, out_width] = input.output_size()?;
        let out = cpu::convolve(CpuTier::current(), input)?;
        Some(from_values(out, [batch, outputs, out_height, out_width]))
    };
    fused()
        .or_else(|| on_gpu::convolution(&Convolving::of(convolution)?.normed(norm), &x_bchw))
        .unwrap_or_else(|| convolution_on_any_device(convolution, norm, x_bchw.clone()))
}

/// Runs a convolution and adds `add_bchw`, which has the result's shape or a batch of 1. On a GPU
/// both are one launch.
pub fn convolution_plus(
    convolution: &Conv2d,
    x_bchw: Tensor<4>,
    add_bchw: &Tensor<4>,
) -> Tensor<4> {
    let on_gpu = || on_gpu::convolution(&Convolving::of(convolution)?.plus(add_bchw), &x_bchw);
    on_gpu().unwrap_or_else(|| {
        // Channels last, because the steps that follow read the sum in this layout.
        let last = |maps_bchw: Tensor<4>| maps_bchw.permute([0, 2, 3, 1]);
        let made = self::convolution(convolution, None, x_bchw.clone());
        (last(made) + last(add_bchw.clone())).permute([0, 3, 1, 2])
    })
}

/// A convolution as described by burn's modules.
// Only GPU kernels read it.
#[cfg_attr(not(feature = "gpu"), expect(dead_code))]
#[derive(Debug)]
pub(super) struct Convolving<'a> {
    /// `[outputs, inputs of a group, rows, columns]`; transposed:
    /// `[inputs, outputs, rows, columns]`.
    pub filters: Tensor<4>,
    /// `[outputs]`.
    pub bias: Option<Tensor<1>>,
    /// Step between pixels, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zeros on either side, vertical and horizontal.
    pub padding: [usize; 2],
    /// True for a transposed convolution, whose output is larger than its input.
    pub transposed: bool,
    /// Added after the bias, with the result's shape or a batch of 1.
    pub add: Option<&'a Tensor<4>>,
    /// A norm over the channels that follows: weight and bias `[outputs]`, and epsilon.
    pub norm: Option<(Tensor<1>, Tensor<1>, f32)>,
    /// The non-linearity, applied last.
    pub activation: Activation,
}

impl<'a> Convolving<'a> {
    /// Returns the convolution alone, or `None` if it is dilated or its padding is unequal.
    fn of(convolution: &Conv2d) -> Option<Self> {
        let padding = equal_padding(convolution)?;
        (convolution.dilation == [1, 1]).then(|| Self {
            filters: convolution.weight.val(),
            bias: convolution.bias.as_ref().map(|bias| bias.val()),
            stride: convolution.stride,
            padding,
            transposed: false,
            add: None,
            norm: None,
            activation: Activation::Identity,
        })
    }

    /// Adds a norm and GELU after the convolution.
    fn normed(self, norm: Option<&LayerNorm2d>) -> Self {
        match norm.map(LayerNorm2d::parameters) {
            Some(norm) => Self { norm: Some(norm), activation: Activation::Gelu, ..self },
            None => self,
        }
    }

    /// Adds maps to the result.
    fn plus(self, add: &'a Tensor<4>) -> Self {
        Self { add: Some(add), ..self }
    }
}

/// Returns the zeros above and to the left, if there are as many below and to the right.
fn equal_padding(convolution: &Conv2d) -> Option<[usize; 2]> {
    match convolution.padding {
        PaddingConfig2d::Valid => Some([0, 0]),
        PaddingConfig2d::Explicit(top, left, bottom, right) => {
            ((top, left) == (bottom, right)).then_some([top, left])
        }
        PaddingConfig2d::Same => None,
    }
}

/// Does the same with burn's operations, on any device.
pub fn convolution_on_any_device(
    convolution: &Conv2d,
    norm: Option<&LayerNorm2d>,
    x_bchw: Tensor<4>,
) -> Tensor<4> {
    let x = on_any_device(convolution, x_bchw);
    match norm.map(LayerNorm2d::parameters) {
        Some((weight, bias, epsilon)) => {
            activation::gelu(layer_norm_2d_on_any_device(x, weight, bias, epsilon))
        }
        None => x,
    }
}

/// Runs a depthwise convolution with stride 1, an odd square kernel and zero padding, so that
/// `[batch, channels, height, width]` keeps its shape. Other convolutions, and other devices, use
/// burn's operations.
pub fn depthwise_convolution(convolution: &Conv2d, x_bchw: Tensor<4>) -> Tensor<4> {
    let fused = || {
        let [_, channels, height, width] = x_bchw.dims();
        let [filters, inputs, size, other] = convolution.weight.dims();
        let same = PaddingConfig2d::Explicit(size / 2, size / 2, size / 2, size / 2);
        let fits = (filters, inputs, other) == (channels, 1, size)
            && size % 2 == 1
            && convolution.stride == [1, 1]
            && convolution.dilation == [1, 1]
            && convolution.padding == same;
        let bias = convolution.bias.as_ref().filter(|_| fits)?;
        let x = into_flex(x_bchw.clone()).ok()?;
        let weight = into_flex(convolution.weight.val()).ok()?;
        let bias = into_flex(bias.val()).ok()?;
        let input = Depthwise {
            maps: values(&x),
            channels,
            height,
            width,
            kernels: values(&weight),
            size,
            biases: values(&bias),
        };
        Some(from_values(cpu::convolve_depthwise(CpuTier::current(), input)?, x_bchw.dims()))
    };
    fused()
        .or_else(|| on_gpu::convolution(&Convolving::of(convolution)?, &x_bchw))
        .unwrap_or_else(|| on_any_device(convolution, x_bchw.clone()))
}

/// Runs a transposed convolution from `[batch, inputs, height, width]` to
/// `[batch, outputs, height', width']`. Then adds `add_bchw`, which has that shape or a batch of 1,
/// applies a norm over the channels if there is one, and GELU. On a GPU all of it is one launch if
/// filters are 2 x 2 with stride 2.
pub fn transposed_convolution(
    convolution: &ConvTranspose2d,
    norm: Option<&LayerNorm2d>,
    x_bchw: Tensor<4>,
    add_bchw: &Tensor<4>,
) -> Tensor<4> {
    let convolving = Convolving {
        filters: convolution.weight.val(),
        bias: convolution.bias.as_ref().map(|bias| bias.val()),
        stride: convolution.stride,
        padding: convolution.padding,
        transposed: true,
        add: Some(add_bchw),
        norm: norm.map(LayerNorm2d::parameters),
        activation: Activation::Gelu,
    };
    let plain = convolution.padding_out == [0, 0]
        && convolution.dilation == [1, 1]
        && convolution.groups == 1;
    if let Some(made) = plain.then(|| on_gpu::convolution(&convolving, &x_bchw)).flatten() {
        return made;
    }
    let options = ConvTransposeOptions::new(
        convolution.stride,
        convolution.padding,
        convolution.padding_out,
        convolution.dilation,
        convolution.groups,
    );
    let bias = convolution.bias.as_ref().map(|bias| bias.val());
    let x = conv_transpose2d(x_bchw, convolution.weight.val(), bias, options) + add_bchw.clone();
    gelu(match norm {
        Some(norm) => norm.forward(x),
        None => x,
    })
}

fn on_any_device(convolution: &Conv2d, x_bchw: Tensor<4>) -> Tensor<4> {
    let padding = match convolution.padding {
        PaddingConfig2d::Valid => [(0, 0), (0, 0)],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
        // Not used in this network.
        PaddingConfig2d::Same => return convolution.forward(x_bchw),
    };
    let options = ConvOptions {
        stride: convolution.stride,
        padding,
        dilation: convolution.dilation,
        groups: convolution.groups,
    };
    let bias = convolution.bias.as_ref().map(|bias| bias.val());
    conv2d(x_bchw, convolution.weight.val(), bias, options)
}
