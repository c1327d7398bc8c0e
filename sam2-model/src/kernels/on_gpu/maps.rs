//! Convolutions, and small steps over maps and tokens.

use burn::tensor::{DType, Tensor};

use super::super::convolution::Convolving;
use super::super::gpu::{self, ConvolutionArgs, MapNormArgs, TapTable};
use super::super::{Activation, Finish};
use super::{buffer, contiguous, empty, on_gpu, optional, tensor, vector};

/// Convolves `[batch, inputs, height, width]`.
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
            return Some((input.checked_sub(1)? * stride[axis] + taps[axis]) - 2 * padding[axis]);
        }
        Some((input + 2 * padding[axis]).checked_sub(taps[axis])? / stride[axis] + 1)
    };
    let size = [length(0)?, length(1)?];
    let x = contiguous(x_bchw)?;
    let bias = optional(convolving.bias.as_ref(), vector)?;
    let shape = [batch, outputs, size[0], size[1]];
    let add = optional(convolving.add, |add| {
        let [maps, ..] = add.dims();
        let fits = add.dims()[1..] == shape[1..] && [1, batch].contains(&maps);
        fits.then_some((buffer(&contiguous(add)?)?, maps))
    })?;
    let out = empty(&x, shape, DType::F32);
    let args = ConvolutionArgs {
        x: &buffer(&x)?,
        filters: &buffer(&contiguous(filters)?)?,
        bias: bias.as_ref(),
        add: add.as_ref().map(|(add, maps)| (add, *maps)),
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
    done.then(|| tensor(out))
}

/// Normalises each place of `[batch, channels, height, width]` over its channels, then applies a non-linearity.
pub(in crate::kernels) fn layer_norm_2d(
    x_bchw: &Tensor<4>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    epsilon: f32,
    activation: Activation,
) -> Option<Tensor<4>> {
    let shape = x_bchw.dims();
    let [batch, channels, height, width] = shape;
    let x = contiguous(x_bchw)?;
    let out = empty(&x, shape, x.dtype);
    let args = MapNormArgs {
        x: &buffer(&x)?,
        weight: &vector(weight)?,
        bias: &vector(bias)?,
        activation,
        out: &buffer(&out)?,
        size: [batch, channels, height * width],
        epsilon,
    };
    gpu::map_norm(&x.client, &args).then(|| tensor(out))
}

/// The largest of each 2 x 2 tokens of `[batch, height, width, channels]`, which may be some channels of a wider tensor.
pub(in crate::kernels) fn max_pool_2x2(x_bhwc: &Tensor<4>) -> Option<Tensor<4>> {
    let shape = x_bhwc.dims();
    let [batch, height, width, channels] = shape;
    let mut x = on_gpu(x_bhwc)?;
    let by_token = x.meta.strides()[2];
    let strides = [height * width * by_token, width * by_token, by_token, 1];
    if x.meta.strides()[..] != strides {
        x = contiguous(x_bhwc)?;
    }
    let by_token = x.meta.strides()[2];
    let out = empty(&x, [batch, height / 2, width / 2, channels], x.dtype);
    gpu::max_pool(&x.client, &buffer(&x)?, [0, by_token], shape, &buffer(&out)?)
        .then(|| tensor(out))
}

/// Turns pairs of channels, as [`rotate`](crate::kernels::rotate).
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
