//! Kernels of our own for the CPU, where burn's general operations lose time.
//!
//! Each is plugged in through burn's extension interface: on the CPU backend it reads the tensors' own memory, on every other device the
//! same function takes burn's path. The tests compare the two. `unsafe` lives in this room only, each block with its argument.

mod attention;
mod convolution;
mod depthwise;
mod linear;
mod pointwise;
mod resample;
pub(crate) mod simd;
#[cfg(test)]
mod testing;
mod tile;

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Bytes, DType, Device, Shape, Tensor, activation};

pub use linear::Activation;
pub(crate) use resample::Taps;
pub use simd::{CpuTier, UnknownTier};

use attention::HeadsView;
use convolution::Convolution;
use depthwise::Depthwise;
use linear::{Around, Product};

use crate::layer_norm::LayerNorm;
use crate::layer_norm_2d::LayerNorm2d;

/// Attention with `1 / sqrt(d)` scaling: queries `[batch, heads, n, d]`, keys `[batch, heads, m, d]` and values `[batch, heads, m, v]` to
/// `[batch, n, heads * v]`. Slices and permutations are taken as they lie.
pub fn attention(queries: Tensor<4>, keys: Tensor<4>, values: Tensor<4>) -> Tensor<3> {
    let fused = || {
        let (q, k, v) = (flex(&queries)?, flex(&keys)?, flex(&values)?);
        let (q, k, v) = (heads_view(&q)?, heads_view(&k)?, heads_view(&v)?);
        let ([batch, heads, n, _], v_width) = (queries.dims(), values.dims()[3]);
        let out = attention::attention(CpuTier::current(), q, k, v)?;
        Some(from_values(out, [batch, n, heads * v_width]))
    };
    fused()
        .unwrap_or_else(|| attention_on_any_device(queries.clone(), keys.clone(), values.clone()))
}

/// The same through burn, on any device.
pub fn attention_on_any_device(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
) -> Tensor<3> {
    let attended =
        burn::tensor::module::attention(queries, keys, values, None, None, Default::default());
    let [batch, heads, n, width] = attended.dims();
    attended.swap_dims(1, 2).reshape([batch, n, heads * width])
}

/// A linear layer with what surrounds it in a transformer, in this order: layer norm, product and bias, activation, factors of the channels, and a
/// tensor that is added. On the CPU all of it is one pass over memory.
#[derive(Clone, Copy, Debug)]
pub struct FusedLinear<'a, const D: usize> {
    layer: &'a Linear,
    norm: Option<&'a LayerNorm>,
    activation: Activation,
    scale: Option<&'a Tensor<1>>,
    add: Option<&'a Tensor<D>>,
}

impl<'a, const D: usize> FusedLinear<'a, D> {
    /// The layer alone.
    pub fn new(layer: &'a Linear) -> Self {
        Self { layer, norm: None, activation: Activation::Identity, scale: None, add: None }
    }

    /// Normalises the input first.
    pub fn after(self, norm: &'a LayerNorm) -> Self {
        Self { norm: Some(norm), ..self }
    }

    /// Applies a non-linearity.
    pub fn activated(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Multiplies each channel by its own factor, `[channels]`.
    pub fn scaled(self, scale: &'a Tensor<1>) -> Self {
        Self { scale: Some(scale), ..self }
    }

    /// Adds a tensor of the result's shape, or one with a batch of 1 that serves all.
    pub fn plus(self, add: &'a Tensor<D>) -> Self {
        Self { add: Some(add), ..self }
    }

    /// `[..., inputs]` to `[..., outputs]`.
    pub fn forward(self, x: Tensor<D>) -> Tensor<D> {
        self.on_cpu(&x).unwrap_or_else(|| self.on_any_device(x.clone()))
    }

    fn on_cpu(&self, x: &Tensor<D>) -> Option<Tensor<D>> {
        let mut shape = x.dims();
        let [inputs, outputs] = self.layer.weight.dims();
        // Repeated from its start, a tensor of the same shape but for the batch is added to each of the batch.
        let alike = |add: &Tensor<D>| {
            let add = add.dims();
            add[1..D - 1] == shape[1..D - 1] && (add[0] == shape[0] || add[0] == 1)
        };
        if self.add.is_some_and(|add| !alike(add)) || shape[D - 1] != inputs {
            return None;
        }
        let row_major = |tensor: Tensor<1>| into_flex(tensor).ok();
        let input = into_flex(x.clone()).ok()?;
        let weight = into_flex(self.layer.weight.val()).ok()?;
        let bias = match &self.layer.bias {
            Some(bias) => Some(row_major(bias.val())?),
            None => None,
        };
        let norm = match self.norm.map(LayerNorm::parameters) {
            Some((weight, bias, epsilon)) => Some((row_major(weight)?, row_major(bias)?, epsilon)),
            None => None,
        };
        let scale = match self.scale {
            Some(scale) => Some(row_major(scale.clone())?),
            None => None,
        };
        let add = match self.add {
            Some(add) => Some(into_flex(add.clone()).ok()?),
            None => None,
        };
        let around = Around {
            norm: norm
                .as_ref()
                .map(|(weight, bias, epsilon)| (values(weight), values(bias), *epsilon)),
            bias: bias.as_ref().map(values),
            activation: self.activation,
            scale: scale.as_ref().map(values),
            add: add.as_ref().map(values),
        };
        let product =
            Product { x: values(&input), weight: values(&weight), inputs, outputs, around };
        let out = linear::linear(CpuTier::current(), product)?;
        shape[D - 1] = outputs;
        Some(from_values(out, shape))
    }

    /// The same through burn, on any device.
    pub fn on_any_device(self, mut x: Tensor<D>) -> Tensor<D> {
        if let Some(norm) = self.norm {
            x = norm.forward(x);
        }
        x = self.layer.forward(x);
        x = match self.activation {
            Activation::Identity => x,
            Activation::Relu => activation::relu(x),
            Activation::Gelu => activation::gelu(x),
        };
        if let Some(scale) = self.scale {
            x = x * scale.clone().unsqueeze();
        }
        match self.add {
            Some(add) => x + add.clone(),
            None => x,
        }
    }
}

/// The exact GELU, x / 2 (1 + erf(x / sqrt 2)). Works in place where nobody else holds the tensor.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match into_flex(x) {
        Ok(x) => Tensor::from_primitive::<Flex>(in_place(x, pointwise::gelu)),
        Err(x) => activation::gelu(*x),
    }
}

/// Normalises the last axis, then scales and shifts by `weight` and `bias` `[channels]`. Works in place where nobody else holds the tensor.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    let (Ok(weight_flex), Ok(bias_flex)) = (into_flex(weight.clone()), into_flex(bias.clone()))
    else {
        return layer_norm_on_any_device(x, weight, bias, epsilon);
    };
    match into_flex(x) {
        Ok(x) => {
            let (weight, bias) = (values(&weight_flex), values(&bias_flex));
            Tensor::from_primitive::<Flex>(in_place(x, |tier, rows| {
                pointwise::layer_norm(tier, rows, weight, bias, epsilon);
            }))
        }
        Err(x) => layer_norm_on_any_device(*x, weight, bias, epsilon),
    }
}

/// The same through burn, on any device.
pub fn layer_norm_on_any_device<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    burn::tensor::module::layer_norm(x, weight, Some(bias), f64::from(epsilon))
}

/// Normalises each pixel of `[batch, channels, height, width]` over its channels, then scales and shifts by `weight` and `bias`
/// `[channels]` (`LayerNorm2d`). Works in place where nobody else holds the tensor.
pub fn layer_norm_2d(
    x_bchw: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<4> {
    let (Ok(weight_flex), Ok(bias_flex)) = (into_flex(weight.clone()), into_flex(bias.clone()))
    else {
        return layer_norm_2d_on_any_device(x_bchw, weight, bias, epsilon);
    };
    let [_, channels, height, width] = x_bchw.dims();
    match into_flex(x_bchw) {
        Ok(x) => {
            let (weight, bias) = (weight_flex.storage::<f32>(), bias_flex.storage::<f32>());
            Tensor::from_primitive::<Flex>(in_place(x, |tier, maps| {
                pointwise::layer_norm_2d(
                    tier,
                    maps,
                    channels,
                    height * width,
                    weight,
                    bias,
                    epsilon,
                );
            }))
        }
        Err(x) => layer_norm_2d_on_any_device(*x, weight, bias, epsilon),
    }
}

/// The same through burn, on any device.
pub fn layer_norm_2d_on_any_device(
    x_bchw: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<4> {
    let channels = x_bchw.dims()[1];
    let mean = x_bchw.clone().mean_dim(1);
    let centered = x_bchw - mean;
    let variance = centered.clone().square().mean_dim(1);
    let normed = centered / (variance + epsilon).sqrt();
    normed * weight.reshape([1, channels, 1, 1]) + bias.reshape([1, channels, 1, 1])
}

/// Runs a depthwise convolution with stride 1, an odd square kernel and zeros around, so that `[batch, channels, height, width]` keeps its shape.
/// Other convolutions, and other devices, take burn's path.
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
            maps: x.storage(),
            channels,
            height,
            width,
            kernels: weight.storage(),
            size,
            biases: bias.storage(),
        };
        Some(from_values(depthwise::convolve(CpuTier::current(), input), x_bchw.dims()))
    };
    fused().unwrap_or_else(|| convolution.forward(x_bchw.clone()))
}

/// Runs a convolution `[batch, inputs, height, width]` to `[batch, outputs, height', width']`; with a norm also that and GELU, the three in one pass over
/// memory. Groups, dilation and unequal paddings, and other devices, take burn's path.
pub fn convolution(
    convolution: &Conv2d,
    norm: Option<&LayerNorm2d>,
    x_bchw: Tensor<4>,
) -> Tensor<4> {
    let fused = || {
        let [batch, inputs, height, width] = x_bchw.dims();
        let [outputs, inputs_of_group, rows, columns] = convolution.weight.dims();
        let padding = match &convolution.padding {
            PaddingConfig2d::Valid => [0, 0],
            PaddingConfig2d::Explicit(top, left, bottom, right)
                if (top, left) == (bottom, right) =>
            {
                [*top, *left]
            }
            _ => return None,
        };
        if convolution.dilation != [1, 1] || inputs_of_group != inputs {
            return None;
        }
        let x = into_flex(x_bchw.clone()).ok()?;
        let filters = into_flex(convolution.weight.val()).ok()?;
        let bias = match &convolution.bias {
            Some(bias) => Some(into_flex(bias.val()).ok()?),
            None => None,
        };
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
            norm: norm.as_ref().map(|(weight, bias, e)| (values(weight), values(bias), *e)),
            gelu: norm.is_some(),
        };
        let [out_height, out_width] = input.output_size()?;
        let out = convolution::convolve(CpuTier::current(), input)?;
        Some(from_values(out, [batch, outputs, out_height, out_width]))
    };
    fused().unwrap_or_else(|| convolution_on_any_device(convolution, norm, x_bchw.clone()))
}

/// The same through burn, on any device.
pub fn convolution_on_any_device(
    convolution: &Conv2d,
    norm: Option<&LayerNorm2d>,
    x_bchw: Tensor<4>,
) -> Tensor<4> {
    let x = convolution.forward(x_bchw);
    match norm.map(LayerNorm2d::parameters) {
        Some((weight, bias, epsilon)) => {
            activation::gelu(layer_norm_2d_on_any_device(x, weight, bias, epsilon))
        }
        None => x,
    }
}

/// Resizes each plane of `[batch, channels, height, width]` to `size`, an axis without taps not at all. Gives the tensor back where it does not lie on the
/// CPU, or does not fit.
pub(crate) fn resample(
    x_bchw: Tensor<4>,
    rows: Option<&Taps>,
    columns: Option<&Taps>,
    size: [usize; 2],
) -> Result<Tensor<4>, Box<Tensor<4>>> {
    let [batch, channels, height, width] = x_bchw.dims();
    let x = into_flex(x_bchw.clone())?;
    match resample::resample(CpuTier::current(), values(&x), [height, width], rows, columns) {
        Some(out) => Ok(from_values(out, [batch, channels, size[0], size[1]])),
        None => Err(Box::new(x_bchw)),
    }
}

/// `sigmoid(x) * scale + shift`. Works in place where nobody else holds the tensor.
pub fn scaled_sigmoid<const D: usize>(x: Tensor<D>, scale: f32, shift: f32) -> Tensor<D> {
    match into_flex(x) {
        Ok(x) => Tensor::from_primitive::<Flex>(in_place(x, |tier, values| {
            pointwise::scaled_sigmoid(tier, values, scale, shift);
        })),
        Err(x) => activation::sigmoid(*x) * scale + shift,
    }
}

/// The maximum of each 2 x 2 block of `[batch, height, width, channels]`; an odd last row or column is dropped. Gives the tensor back where it does not
/// lie on the CPU.
pub(crate) fn max_pool_2x2(x_bhwc: Tensor<4>) -> Result<Tensor<4>, Box<Tensor<4>>> {
    let [batch, height, width, channels] = x_bhwc.dims();
    let x = into_flex(x_bhwc)?;
    let out = pointwise::max_pool_2x2(CpuTier::current(), values(&x), [height, width, channels]);
    Ok(from_values(out, [batch, height / 2, width / 2, channels]))
}

/// Turns each pair of adjacent channels of the first `turned` tokens of `[batch, length, channels]` by the angle whose cosine and sine are in
/// `[1, tokens, channels / 2]`; the table is used over and over. `turned` is a multiple of `tokens`.
pub fn rotate(x: Tensor<3>, cos: Tensor<3>, sin: Tensor<3>, turned: usize) -> Tensor<3> {
    let [_, length, channels] = x.dims();
    let (Ok(cos_flex), Ok(sin_flex)) = (into_flex(cos.clone()), into_flex(sin.clone())) else {
        return rotate_on_any_device(x, cos, sin, turned);
    };
    match into_flex(x) {
        Ok(x) => {
            let (cos, sin) = (cos_flex.storage::<f32>(), sin_flex.storage::<f32>());
            Tensor::from_primitive::<Flex>(in_place(x, |tier, values| {
                for one in values.chunks_exact_mut((length * channels).max(1)) {
                    pointwise::rotate(tier, &mut one[..turned * channels], channels, cos, sin);
                }
            }))
        }
        Err(x) => rotate_on_any_device(*x, cos, sin, turned),
    }
}

/// The same through burn, on any device.
pub fn rotate_on_any_device(
    x: Tensor<3>,
    cos: Tensor<3>,
    sin: Tensor<3>,
    turned: usize,
) -> Tensor<3> {
    let [batch, length, channels] = x.dims();
    if turned == 0 {
        return x;
    }
    let rest = (turned < length).then(|| x.clone().slice_dim(1, turned..length));
    let tokens = cos.dims()[1];
    let pairs =
        x.slice_dim(1, 0..turned).reshape([batch * turned / tokens, tokens, channels / 2, 2]);
    let [even, odd]: [Tensor<3>; 2] =
        [0..1, 1..2].map(|part| pairs.clone().slice_dim(3, part).squeeze_dim(3));
    let real = even.clone() * cos.clone() - odd.clone() * sin.clone();
    let imaginary = even * sin + odd * cos;
    let result =
        Tensor::<3>::stack::<4>(vec![real, imaginary], 3).reshape([batch, turned, channels]);
    match rest {
        Some(rest) => Tensor::cat(vec![result, rest], 1),
        None => result,
    }
}

/// Whether kernels of this room run there.
pub(crate) fn is_on_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// Runs `work` on a thread of the pool that the kernels use, if they run on `device`: from any other thread each of hundreds of kernels would be
/// handed over and waited for, which costs more than the small ones take.
pub(crate) fn on_pool<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    if is_on_cpu(device) { rayon::scope(|_| work()) } else { work() }
}

/// Changes a tensor's numbers, in their place if nobody else holds them. The tensor is one of [`into_flex`]: row-major without gaps.
fn in_place(mut x: FlexTensor, change: impl FnOnce(CpuTier, &mut [f32])) -> FlexTensor {
    let count = x.layout().num_elements();
    let tier = CpuTier::current();
    if let Some(values) = x.try_storage_mut::<f32>() {
        change(tier, &mut values[..count]);
        return x;
    }
    let mut values = x.storage::<f32>()[..count].to_vec();
    change(tier, &mut values);
    let layout = Layout::contiguous(x.layout().shape().clone());
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

/// The tensor's own memory, row-major from its start, if it lies on the CPU backend as `f32`; else the tensor back.
fn into_flex<const D: usize>(tensor: Tensor<D>) -> Result<FlexTensor, Box<Tensor<D>>> {
    if flex(&tensor).is_none() {
        return Err(Box::new(tensor));
    }
    match tensor.clone().try_into_primitive::<Flex>() {
        Ok(flex) => {
            drop(tensor);
            Ok(flex.to_contiguous())
        }
        Err(_) => Err(Box::new(tensor)),
    }
}

/// The tensor's own memory if it lies on the CPU backend as `f32`.
fn flex<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    let flex = tensor.clone().try_into_primitive::<Flex>().ok()?;
    (flex.dtype() == DType::F32).then_some(flex)
}

/// The numbers of a tensor of [`into_flex`].
fn values(tensor: &FlexTensor) -> &[f32] {
    &tensor.storage::<f32>()[..tensor.layout().num_elements()]
}

fn heads_view(tensor: &FlexTensor) -> Option<HeadsView<'_>> {
    let layout = tensor.layout();
    let shape: [usize; 4] = layout.shape().to_vec().try_into().ok()?;
    let strides: [isize; 4] = layout.strides().try_into().ok()?;
    HeadsView::new(tensor.storage::<f32>(), layout.start_offset(), shape, strides)
}

/// A tensor on the CPU backend that takes over `values`, row-major.
fn from_values<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    let layout = Layout::contiguous(Shape::from(shape));
    Tensor::from_primitive::<Flex>(FlexTensor::new(Bytes::from_elems(values), layout, DType::F32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;

    use crate::resize::{Interpolation, Resize};
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::Distribution;

    fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    fn assert_close<const D: usize>(ours: Tensor<D>, burns: Tensor<D>) {
        assert_eq!(ours.dims(), burns.dims());
        let values = |t: Tensor<D>| -> Vec<f32> { t.into_data().try_to_vec().unwrap() };
        for (a, b) in values(ours).into_iter().zip(values(burns)) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
    }

    #[test]
    fn kernels_agree_with_burn_whatever_the_layout() {
        // Permuted, sliced, shared with somebody else, and plain.
        let qkv = noise([2, 10, 3 * 4 * 6]);
        let part = |index: usize| {
            let heads = qkv.clone().slice_dim(2, index * 24..(index + 1) * 24);
            heads.reshape([2, 10, 4, 6]).swap_dims(1, 2)
        };
        assert_close(
            attention(part(0), part(1), part(2)),
            attention_on_any_device(part(0), part(1), part(2)),
        );
        let map = noise([2, 5, 7, 9]).permute([0, 3, 1, 2]);
        let (weight, bias) = (noise([9]), noise([9]));
        assert_close(
            layer_norm_2d(map.clone(), weight.clone(), bias.clone(), 1e-6),
            layer_norm_2d_on_any_device(map.clone(), weight, bias, 1e-6),
        );
        assert_close(
            gelu(map.clone().slice_dim(1, 2..5)),
            activation::gelu(map.slice_dim(1, 2..5)),
        );
        let tokens = noise([3, 9, 50]).swap_dims(1, 2);
        let (weight, bias) = (noise([9]), noise([9]));
        assert_close(
            layer_norm(tokens.clone(), weight.clone(), bias.clone(), 1e-5),
            layer_norm_on_any_device(tokens, weight, bias, 1e-5),
        );
        let device = Device::flex();
        let depthwise = Conv2dConfig::new([9, 9], [7, 7])
            .with_groups(9)
            .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
            .init(&device);
        let map = noise([2, 11, 13, 9]).permute([0, 3, 1, 2]);
        assert_close(depthwise_convolution(&depthwise, map.clone()), depthwise.forward(map));
        let down = Conv2dConfig::new([9, 16], [3, 3])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(&device);
        let (map, norm) =
            (noise([2, 11, 13, 9]).permute([0, 3, 1, 2]), LayerNorm2d::init(16, &device));
        for norm in [None, Some(&norm)] {
            assert_close(
                convolution(&down, norm, map.clone()),
                convolution_on_any_device(&down, norm, map.clone()),
            );
        }
        for (from, to) in [([9, 13], [20, 31]), ([9, 13], [4, 13]), ([9, 13], [9, 5])] {
            let resize = Resize::new(Interpolation::BilinearAntialias, from, to, &device);
            let map = noise([2, 9, 13, 3]).permute([0, 3, 1, 2]);
            assert_close(resize.forward(map.clone()), resize.forward_on_any_device(map));
        }
        let logits = noise([3, 50]) * 9.0;
        let expected = activation::sigmoid(logits.clone()) * 20.0 - 10.0;
        assert_close(scaled_sigmoid(logits, 20.0, -10.0), expected);
        let layer = LinearConfig::new(11, 20).init(&device);
        let norm = LayerNorm::init(11, LayerNorm::EPSILON, &device);
        let (x, factors) = (noise([3, 11, 7]).swap_dims(1, 2), noise([20]));
        for add in [noise([3, 7, 20]), noise([1, 7, 20]), noise([1, 1, 20])] {
            let fused = FusedLinear::new(&layer).after(&norm).activated(Activation::Gelu);
            let fused = fused.scaled(&factors).plus(&add);
            assert_close(fused.forward(x.clone()), fused.on_any_device(x.clone()));
        }
        let (cos, sin) = (noise([1, 6, 4]), noise([1, 6, 4]));
        let x = noise([3, 20, 8]);
        for turned in [0, 6, 12, 18] {
            assert_close(
                rotate(x.clone(), cos.clone(), sin.clone(), turned),
                rotate_on_any_device(x.clone(), cos.clone(), sin.clone(), turned),
            );
        }
    }

    #[test]
    fn a_tensor_that_somebody_else_holds_is_left_alone() {
        let x = noise([1, 4, 8]);
        let before: Vec<f32> = x.clone().into_data().try_to_vec().unwrap();
        let _ = gelu(x.clone());
        let _ = rotate(x.clone(), noise([1, 4, 4]), noise([1, 4, 4]), 4);
        let after: Vec<f32> = x.into_data().try_to_vec().unwrap();
        assert_eq!(before, after);
    }
}
