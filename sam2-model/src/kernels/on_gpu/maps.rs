//! Convolutions, and small steps over maps and tokens, on a GPU.

use burn::tensor::{DType, Tensor};
use burn_cubecl::tensor::CubeTensor;

use super::super::convolution::Convolving;
use super::super::gpu::{self, ConvolutionArgs, MapNormArgs, Maps, NormArgs, TapTable};
use super::super::{Activation, Finish};
use super::{Lying, buffer, contiguous, empty, on_gpu, optional, tensor, vector};

/// Allocates maps `[batch, channels, height, width]` with channels last: memory
/// `[batch, height, width, channels]`.
fn empty_channels_last(
    like: &CubeTensor,
    [batch, channels, height, width]: [usize; 4],
    format: DType,
) -> CubeTensor {
    empty(like, [batch, height, width, channels], format)
}

/// Returns a view `[batch, channels, height, width]` of such memory.
fn channels_last(made: CubeTensor) -> Tensor<4> {
    tensor::<4>(made).permute([0, 3, 1, 2])
}

/// Convolves `[batch, inputs, height, width]`, read where it lies. The result is channels last.
pub(in crate::kernels) fn convolution(
    convolving: &Convolving<'_>,
    x_bchw: &Tensor<4>,
) -> Option<Tensor<4>> {
    let [batch, inputs, height, width] = x_bchw.dims();
    let Convolving { filters, stride, padding, transposed, .. } = convolving;
    let [first, second, rows, columns] = filters.dims();
    let (outputs, of_group) = if *transposed { (second, first) } else { (first, second) };
    let taps = [rows, columns];
    let length = |axis: usize| {
        let input = [height, width][axis];
        if *transposed {
            return ((input.checked_sub(1)? * stride[axis]) + taps[axis])
                .checked_sub(2 * padding[axis]);
        }
        let room = (input + 2 * padding[axis]).checked_sub(taps[axis])?;
        room.checked_div(stride[axis]).map(|steps| steps + 1)
    };
    let size = [length(0)?, length(1)?];
    let shape = [batch, outputs, size[0], size[1]];
    // The norm joins the same launch if one cube has all channels of a pixel. Otherwise the norm
    // and the steps after it are a separate launch.
    let of_place = if *transposed { 4 * outputs } else { outputs };
    let joined = of_group == inputs && of_place <= ConvolutionArgs::MOST_NORMED;
    let (norm, later) = match &convolving.norm {
        Some(norm) if joined => (Some(norm), None),
        norm => (None, norm.as_ref()),
    };
    let x = on_gpu(x_bchw)?;
    let x_lies = Lying::of(&x)?;
    let bias = optional(convolving.bias.as_ref(), vector)?;
    let norm = optional(norm, |(weight, bias, e)| Some((vector(weight)?, vector(bias)?, *e)))?;
    let add = optional(convolving.add, |add| {
        let [maps, ..] = add.dims();
        if add.dims()[1..] != shape[1..] || ![1, batch].contains(&maps) {
            return None;
        }
        let mut lying = Lying::of(&on_gpu(add)?)?;
        if maps == 1 {
            lying.strides[0] = 0;
        }
        Some(lying)
    })?;
    let out = empty_channels_last(&x, shape, DType::F32);
    let args = ConvolutionArgs {
        x: x_lies.maps(),
        filters: &buffer(&contiguous(filters)?)?,
        bias: bias.as_ref(),
        add: add.as_ref().map(Lying::maps),
        norm: norm.as_ref().map(|(weight, bias, epsilon)| (weight, bias, *epsilon)),
        activation: if later.is_some() { Activation::Identity } else { convolving.activation },
        out: &buffer(&out)?,
        batch,
        channels: [inputs, outputs],
        inputs_of_group: of_group,
        sizes: [[height, width], size],
        taps,
        stride: *stride,
        padding: *padding,
    };
    let done = if *transposed {
        gpu::doubling_convolution(&x.client, &args)
    } else {
        gpu::convolution(&x.client, &args)
    };
    let made = done.then(|| channels_last(out))?;
    match later {
        Some((weight, bias, epsilon)) => {
            layer_norm_2d(&made, weight, bias, *epsilon, convolving.activation)
        }
        None => Some(made),
    }
}

/// From this number of channels on, a norm of channels-last maps uses one cube per pixel.
const WIDE: usize = 32;

/// Normalises each pixel of `[batch, channels, height, width]` over its channels, then applies a
/// non-linearity. Maps stored in planes stay so; all others become channels last.
pub(in crate::kernels) fn layer_norm_2d(
    x_bchw: &Tensor<4>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    epsilon: f32,
    activation: Activation,
) -> Option<Tensor<4>> {
    let size = x_bchw.dims();
    let [batch, channels, height, width] = size;
    let (weight, bias) = (vector(weight)?, vector(bias)?);
    let x_bhwc = on_gpu(&x_bchw.clone().permute([0, 2, 3, 1]))?;
    if channels >= WIDE && x_bhwc.is_contiguous() {
        let out = empty_channels_last(&x_bhwc, size, x_bhwc.dtype);
        let args = NormArgs {
            x: &buffer(&x_bhwc)?,
            weight: &weight,
            bias: &bias,
            activation,
            out: &buffer(&out)?,
            rows: batch * height * width,
            channels,
            epsilon,
        };
        return gpu::layer_norm(&x_bhwc.client, &args).then(|| channels_last(out));
    }
    let x = on_gpu(x_bchw)?;
    let in_planes = x.is_contiguous();
    let (out, strides) = if in_planes {
        (empty(&x, size, x.dtype), [channels * height * width, height * width, width, 1])
    } else {
        (empty_channels_last(&x, size, x.dtype), Maps::channels_last(size))
    };
    let x_lies = Lying::of(&x)?;
    let args = MapNormArgs {
        x: x_lies.maps(),
        weight: &weight,
        bias: &bias,
        activation,
        out: Maps { buffer: &buffer(&out)?, strides },
        size,
        epsilon,
    };
    let done = gpu::map_norm(&x.client, &args);
    done.then(|| if in_planes { tensor(out) } else { channels_last(out) })
}

/// Computes the maximum of each 2 x 2 tokens of the first `channels` of
/// `[batch, height, width, more channels]`, read where they lie.
pub(in crate::kernels) fn max_pool_2x2(x_bhwc: &Tensor<4>, channels: usize) -> Option<Tensor<4>> {
    let [batch, height, width, all] = x_bhwc.dims();
    let shape = [batch, height, width, channels.min(all)];
    let mut x = on_gpu(x_bhwc)?;
    let by_token = x.meta.strides()[2];
    let strides = [height * width * by_token, width * by_token, by_token, 1];
    let mut axes = x.meta.strides().iter().zip(strides).zip([batch, height, width, all]);
    // The stride of an axis of length one has no meaning.
    if !axes.all(|((&stride, expected), length)| stride == expected || length == 1) {
        x = contiguous(x_bhwc)?;
    }
    let by_token = x.meta.strides()[2];
    let out = empty(&x, [batch, height / 2, width / 2, shape[3]], x.dtype);
    gpu::max_pool(&x.client, &buffer(&x)?, [0, by_token], shape, &buffer(&out)?)
        .then(|| tensor(out))
}

/// Rotates pairs of channels, as [`rotate`](crate::kernels::rotate).
pub(in crate::kernels) fn rotate(
    x: &Tensor<3>,
    cos: &Tensor<3>,
    sin: &Tensor<3>,
    turned: usize,
) -> Option<Tensor<3>> {
    let shape = x.dims();
    let tokens = cos.dims()[1];
    let x = contiguous(x)?;
    let (cos, sin) = (buffer(&contiguous(cos)?)?, buffer(&contiguous(sin)?)?);
    let out = empty(&x, shape, x.dtype);
    gpu::rotate(&x.client, &buffer(&x)?, [&cos, &sin], shape, [tokens, turned], &buffer(&out)?)
        .then(|| tensor(out))
}

/// Resizes each plane to `size` by the tables of both axes, then applies `finish`.
pub(in crate::kernels) fn resample(
    x_bchw: &Tensor<4>,
    tables: [Option<&Tensor<2>>; 2],
    size: [usize; 2],
    finish: Option<Finish>,
) -> Option<Tensor<4>> {
    let [batch, channels, height, width] = x_bchw.dims();
    let x = contiguous(x_bchw)?;
    let table = |table: Option<&Tensor<2>>| {
        optional(table, |table| Some((buffer(&contiguous(table)?)?, table.dims()[1] - 1)))
    };
    let tables = [table(tables[0])?, table(tables[1])?];
    let tables = tables
        .each_ref()
        .map(|table| table.as_ref().map(|(table, taps)| TapTable { table, taps: *taps }));
    let out = empty(&x, [batch, channels, size[0], size[1]], x.dtype);
    let sizes = [[height, width], size];
    let planes = batch * channels;
    gpu::resample(&x.client, &buffer(&x)?, planes, sizes, tables, finish, &buffer(&out)?)
        .then(|| tensor(out))
}
