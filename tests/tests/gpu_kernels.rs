//! Compares every GPU kernel with the same step on the CPU, at odd sizes, in every format that the
//! device supports. Runs on the device that `SAM2_TEST_DEVICE` names.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{Device, Precision};
use sam2_model::kernels::{
    self, Activation, Curve, Finish, FusedLinear, MaskChoice, MaskRule, Rotation, WindowAttention,
};
use sam2_model::layer_norm::LayerNorm;
use sam2_model::layer_norm_2d::LayerNorm2d;
use sam2_model::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2dConfig};
use sam2_model::nn::{Linear, LinearConfig, PaddingConfig2d};
use sam2_model::preprocess::PixelTable;
use sam2_model::resize::{Interpolation, Resize};
use sam2_model::{FloatDType, Tensor};
use sam2_tests::compare::Report;
use sam2_tests::device::device;
use sam2_tests::fixture::to_values;
use sam2_tests::noise::Random;

/// Bars on the largest difference relative to the largest value: f32 kernels, and those with 16-bit
/// factors.
pub(crate) const F32: f64 = 1e-5;
pub(crate) const HALF: f64 = 2e-3;
/// Half of the last digit of a result in bfloat16, relative to a largest value just above a power
/// of two.
const LAST_DIGIT: f64 = 1.0 / 256.0;

/// Returns the bar for a step whose result is in `format`.
pub(crate) fn bar_of(format: Option<FloatDType>) -> f64 {
    match format {
        None => F32,
        Some(FloatDType::BF16) => HALF + LAST_DIGIT,
        Some(_) => HALF,
    }
}

/// Checks that both devices give the same numbers.
fn assert_equal(name: &str, step: impl Fn(&Device) -> Vec<f32>) {
    assert_eq!(step(&device()), step(&Device::flex()), "{name}");
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.uniform(-2.0, 2.0)).collect()
}

fn of<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::<1>::from_floats(values, device).reshape(shape)
}

pub(crate) fn on<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    of(&noise(shape.iter().product(), seed), shape, device)
}

/// Returns the 16-bit formats that the device supports.
fn halves(device: &Device) -> Vec<FloatDType> {
    [(Precision::F16, FloatDType::F16), (Precision::Bf16, FloatDType::BF16)]
        .into_iter()
        .filter(|(precision, _)| precision.on(device).is_ok())
        .map(|(_, format)| format)
        .collect()
}

pub(crate) fn compare(name: &str, bar: f64, step: impl Fn(&Device) -> Vec<f32>) {
    let (ours, expected) = (step(&device()), step(&Device::flex()));
    let mut report = Report::default();
    report.relative(name, &ours, &expected, bar);
    report.finish();
}

/// Rounds values to a 16-bit format, as f32 on the CPU and in that format on the device, so that
/// both sides have the same factors.
pub(crate) fn rounded<const D: usize>(x: Tensor<D>, format: Option<FloatDType>) -> Tensor<D> {
    match format {
        Some(format) if x.device() == Device::flex() => x.cast(format).cast(FloatDType::F32),
        Some(format) => x.cast(format),
        None => x,
    }
}

pub(crate) fn layer(
    inputs: usize,
    outputs: usize,
    device: &Device,
    format: Option<FloatDType>,
) -> Linear {
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    layer.weight = layer.weight.map(|_| rounded(on(11, [inputs, outputs], device) * 0.1, format));
    layer.bias = layer.bias.map(|bias| bias.map(|_| on(12, [outputs], device)));
    layer
}

#[test]
fn norms() {
    for (rows, channels) in [(5, 96), (70_000, 32), (3, 1152), (7, 33), (1, 1)] {
        compare(&format!("layer norm {rows} x {channels}"), F32, |device| {
            let (weight, bias) = (on(2, [channels], device), on(3, [channels], device));
            let x = on(1, [rows, channels], device);
            to_values(kernels::layer_norm(x, weight, bias, 1e-6))
        });
    }
    for (batch, channels, side) in [(1, 4, 9), (3, 64, 16), (2, 256, 5), (3, 33, 1)] {
        for lie in Lie::ALL {
            compare(&format!("norm of maps {batch} {channels} {side} {lie:?}"), F32, |device| {
                let (weight, bias) = (on(2, [channels], device), on(3, [channels], device));
                let x = maps(1, [batch, channels, side, side], lie, device);
                to_values(kernels::layer_norm_2d(x, weight, bias, 1e-6))
            });
        }
    }
}

#[test]
fn linear_layers() {
    let device = device();
    let formats: Vec<_> = [None].into_iter().chain(halves(&device).into_iter().map(Some)).collect();
    // Tails of every kind; one row; one column; as wide as the large model's; more than one tile.
    for (rows, inputs, outputs) in
        [(70, 96, 136), (1, 256, 4), (9, 256, 1), (130, 17, 64), (33, 1152, 144), (300, 64, 520)]
    {
        for format in &formats {
            let name = format!("linear {rows} x {inputs} x {outputs} {format:?}");
            let bar = bar_of(*format);
            compare(&name, bar, |device| {
                let layer = layer(inputs, outputs, device, *format);
                let norm = LayerNorm::init(inputs, 1e-6, device);
                let x = on::<3>(1, [2, rows, inputs], device);
                let (scale, add) = (on(4, [outputs], device), on(5, [1, rows, outputs], device));
                let plain = FusedLinear::new(&layer).forward(x.clone());
                let activated = FusedLinear::new(&layer)
                    .after(&norm)
                    .activated(Activation::Gelu)
                    .scaled(&scale)
                    .plus(&add)
                    .forward(x.clone());
                let relu = FusedLinear::new(&layer).activated(Activation::Relu).for_products();
                let relu = relu.forward(x).cast(FloatDType::F32);
                [plain, activated, relu].into_iter().flat_map(to_values).collect()
            });
        }
    }
}

/// Few and many rows; outputs that end between tiles.
#[test]
fn linear_layers_of_a_sum() {
    for (rows, inputs, outputs, with) in
        [(9, 256, 768, 512), (5, 2048, 64, 32), (150, 64, 192, 128)]
    {
        compare(&format!("term {rows} {inputs} {outputs} {with}"), F32, |device| {
            let layer = layer(inputs, outputs, device, None);
            let (x, term) = (on(1, [2, rows, inputs], device), on(2, [2, rows, inputs], device));
            let add = on(4, [1, rows, outputs], device);
            let fused = FusedLinear::new(&layer).activated(Activation::Relu).plus(&add);
            to_values(fused.of_sum(&term, with).forward(x))
        });
    }
}

#[test]
fn linear_layers_that_turn_pairs() {
    let device = device();
    let formats: Vec<_> = [None].into_iter().chain(halves(&device).into_iter().map(Some)).collect();
    // Queries, keys and values together; keys of several layers, with pointers at the end.
    for (length, tokens, turned, channels, outputs, turned_outputs) in
        [(49, 49, 49, 16, 48, 32), (150, 49, 147, 64, 256, 256), (9, 9, 9, 8, 24, 8)]
    {
        for format in &formats {
            let name = format!("turned {length} {turned} {outputs} {format:?}");
            let bar = bar_of(*format);
            compare(&name, bar, |device| {
                let layer = layer(64, outputs, device, *format);
                let norm = LayerNorm::init(64, 1e-6, device);
                let table = |seed| on(seed, [1, tokens, channels / 2], device);
                let (cos, sin) = (table(5), table(6));
                let rotation = Rotation { cos: &cos, sin: &sin, turned, outputs: turned_outputs };
                let fused = FusedLinear::new(&layer).after(&norm).rotated(rotation);
                let x = on(1, [2, length, 64], device);
                let both = [fused.forward(x.clone()), fused.for_products().forward(x)];
                both.into_iter().flat_map(|x| to_values(x.cast(FloatDType::F32))).collect()
            });
        }
    }
}

#[test]
fn layers_side_by_side() {
    for (batch, groups, inputs, outputs) in [(1, 4, 256, 32), (3, 5, 33, 7), (40, 4, 64, 64)] {
        compare(&format!("side by side {batch} {groups} {inputs} {outputs}"), F32, |device| {
            let (weight, bias) =
                (on(1, [groups, inputs, outputs], device), on(2, [groups, outputs], device));
            let x = on(3, [batch, groups, inputs], device);
            to_values(kernels::grouped_linear(&weight, &bias, Activation::Relu, x))
        });
    }
}

#[test]
fn joined() {
    // Few and many parts, of equal and of different lengths, a batch of one among larger ones, an
    // axis in the middle.
    let of = |lengths: &[usize], axis: usize, batch: usize, device: &Device| {
        let part = |(seed, &length): (usize, &usize)| {
            let mut shape = [if seed == 1 && axis > 0 { 1 } else { batch }, 3, 8];
            shape[axis] = length;
            on(seed as u64, shape, device)
        };
        to_values(kernels::join(lengths.iter().enumerate().map(part).collect(), axis))
    };
    let lengths: Vec<usize> = (1..=19).collect();
    for (lengths, axis, batch) in [
        (&lengths[..], 1, 2),
        (&[4, 4, 4][..], 2, 3),
        (&[1, 1][..], 0, 1),
        (&[5, 2, 1][..], 2, 2),
        (&[7][..], 1, 2),
    ] {
        compare(&format!("joined {lengths:?} {axis}"), 0.0, |device| {
            of(lengths, axis, batch, device)
        });
    }
}

#[test]
fn attentions() {
    let device = device();
    let formats: Vec<_> = [None].into_iter().chain(halves(&device).into_iter().map(Some)).collect();
    // Several heads; keys in pieces; the widths of memory attention, to memories and to itself;
    // positions attending to tokens; one key; widths that no product size divides.
    for (batch, heads, n, m, width, value_width) in [
        (2, 3, 70, 45, 24, 24),
        (1, 1, 30, 1856, 64, 64),
        (1, 1, 9, 4100, 256, 64),
        (8, 1, 65, 70, 256, 256),
        (2, 8, 200, 9, 16, 16),
        (1, 2, 64, 1, 32, 32),
        (1, 2, 90, 77, 72, 72),
        (1, 2, 90, 77, 56, 56),
    ] {
        for format in &formats {
            let name =
                format!("attention {batch} {heads} {n} x {m} {width} {value_width} {format:?}");
            let bar = bar_of(*format);
            compare(&name, bar, |device| {
                // As layers make them: the heads of a token are contiguous.
                let head = |seed, tokens, width| {
                    let x = on::<4>(seed, [batch, tokens, heads, width], device);
                    rounded(x, *format).swap_dims(1, 2)
                };
                let (q, k) = (head(1, n, width), head(2, m, width));
                let out = kernels::attention(q, k, head(3, m, value_width));
                to_values(out.cast(FloatDType::F32))
            });
        }
    }
}

#[test]
fn windows() {
    let device = device();
    let formats: Vec<_> = [None].into_iter().chain(halves(&device).into_iter().map(Some)).collect();
    for (size, side, pooled) in [
        ([8, 12], 4, false),
        ([8, 12], 4, true),
        ([7, 9], 4, false),
        ([10, 14], 8, true),
        ([6, 4], 0, false),
        ([6, 4], 0, true),
        ([3, 3], 7, false),
        ([30, 20], 14, false),
    ] {
        for format in &formats {
            let [height, width] = size;
            let name = format!("windows {size:?} {side} {pooled} {format:?}");
            let bar = bar_of(*format);
            compare(&name, bar, |device| {
                let qkv = rounded(on(1, [2, height, width, 3 * 48], device), *format);
                let outside = on(2, [3 * 48], device);
                let queries =
                    pooled.then(|| rounded(on(3, [2, height / 2, width / 2, 48], device), *format));
                let attention = WindowAttention { heads: 2, side };
                to_values(attention.forward(qkv, queries, outside).cast(FloatDType::F32))
            });
        }
    }
}

/// Memory layouts of maps.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// Row-major.
    InPlanes,
    /// `[batch, height, width, channels]`, as linear layers and convolutions leave them.
    ChannelsLast,
    /// The tokens of one map, reused for each item of the batch.
    Repeated,
    /// The middle columns of wider maps.
    Cut,
}

impl Lie {
    const ALL: [Self; 4] = [Self::InPlanes, Self::ChannelsLast, Self::Repeated, Self::Cut];
}

/// Returns maps `[batch, channels, height, width]` with this layout.
fn maps(seed: u64, shape: [usize; 4], lie: Lie, device: &Device) -> Tensor<4> {
    let [batch, channels, height, width] = shape;
    let last = |maps: Tensor<4>| maps.permute([0, 3, 1, 2]);
    match lie {
        Lie::InPlanes => on(seed, shape, device),
        Lie::ChannelsLast => last(on(seed, [batch, height, width, channels], device)),
        Lie::Repeated => {
            let tokens = on::<3>(seed, [1, height * width, channels], device);
            let tokens = tokens.expand([batch, height * width, channels]);
            last(tokens.reshape([batch, height, width, channels]))
        }
        Lie::Cut => {
            let wide = on::<4>(seed, [batch, channels, height, width + 128], device);
            wide.slice_dim(3, 64..64 + width)
        }
    }
}

/// Returns a convolution `[inputs, outputs]` with square filters.
pub(crate) fn convolution(
    channels: [usize; 2],
    [taps, stride, padding]: [usize; 3],
    groups: usize,
    bias: bool,
    device: &Device,
) -> Conv2d {
    let [inputs, outputs] = channels;
    let mut convolution = Conv2dConfig::new(channels, [taps, taps])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_groups(groups)
        .with_bias(bias)
        .init(device);
    let filters = on(2, [outputs, inputs / groups, taps, taps], device);
    convolution.weight = convolution.weight.map(|_| filters);
    convolution.bias = convolution.bias.map(|bias| bias.map(|_| on(3, [outputs], device)));
    convolution
}

/// Returns a norm over the channels of maps, with a weight and a bias that have an effect.
pub(crate) fn map_norm(channels: usize, device: &Device) -> LayerNorm2d {
    LayerNorm2d::new(on(6, [channels], device), on(7, [channels], device))
}

#[test]
fn convolutions() {
    // The patch embedding; steps of the mask down-sampler, with every number of outputs that a cube
    // may have, more than it may have, and a number that leaves half a tile; one channel; 1 x 1; a
    // single position.
    for (batch, channels, size, taps) in [
        (1, [3, 10], [20, 24], [7, 4, 3]),
        (1, [3, 96], [29, 31], [7, 4, 3]),
        (1, [1, 4], [50, 44], [3, 2, 1]),
        (3, [4, 16], [9, 11], [3, 2, 1]),
        (3, [16, 64], [5, 7], [3, 2, 1]),
        (2, [20, 256], [9, 5], [3, 2, 1]),
        (1, [8, 300], [6, 7], [3, 2, 1]),
        (1, [5, 7], [11, 6], [3, 1, 1]),
        (1, [1, 1], [16, 16], [4, 4, 0]),
        (2, [12, 10], [9, 11], [1, 1, 0]),
        (3, [256, 256], [5, 7], [1, 1, 0]),
        (1, [2, 3], [1, 1], [1, 1, 0]),
    ] {
        for (lie, normed, bias) in [
            (Lie::InPlanes, true, true),
            (Lie::ChannelsLast, true, true),
            (Lie::Repeated, false, false),
            (Lie::Cut, false, false),
        ] {
            let name = format!("convolution {batch} {channels:?} {taps:?} {lie:?} {normed} {bias}");
            compare(&name, F32, |device| {
                let convolution = convolution(channels, taps, 1, bias, device);
                let norm = normed.then(|| map_norm(channels[1], device));
                let x = maps(1, [batch, channels[0], size[0], size[1]], lie, device);
                to_values(kernels::convolution(&convolution, norm.as_ref(), x))
            });
        }
    }
}

#[test]
fn convolutions_with_a_sum() {
    for (batch, channels, size, taps, out) in [
        (1, [3, 24], [16, 20], [7, 4, 3], [4, 5]),
        (3, [64, 40], [5, 7], [1, 1, 0], [5, 7]),
        (3, [4, 6], [5, 7], [3, 2, 1], [3, 4]),
    ] {
        for lie in Lie::ALL {
            for maps_of_add in (1..=batch).step_by(2) {
                let name =
                    format!("convolution and sum {batch} {channels:?} {lie:?} {maps_of_add}");
                compare(&name, F32, |device| {
                    let convolution = convolution(channels, taps, 1, true, device);
                    let x = maps(1, [batch, channels[0], size[0], size[1]], lie, device);
                    let add = maps(4, [maps_of_add, channels[1], out[0], out[1]], lie, device);
                    to_values(kernels::convolution_plus(&convolution, x, &add))
                });
            }
        }
    }
}

#[test]
fn depthwise_convolutions() {
    for (batch, channels, size, taps) in
        [(2, 12, [9, 11], 7), (1, 70, [5, 7], 7), (3, 128, [6, 3], 3), (1, 64, [1, 1], 7)]
    {
        for lie in Lie::ALL {
            let name = format!("depthwise convolution {batch} {channels} {size:?} {lie:?}");
            compare(&name, F32, |device| {
                let taps = [taps, 1, taps / 2];
                let convolution = convolution([channels; 2], taps, channels, true, device);
                let x = maps(1, [batch, channels, size[0], size[1]], lie, device);
                to_values(kernels::depthwise_convolution(&convolution, x))
            });
        }
    }
}

#[test]
fn transposed_convolutions() {
    // As many outputs as one cube handles with a norm, and more.
    for (batch, channels, size) in [
        (3, [12, 10], [5, 6]),
        (1, [64, 64], [5, 7]),
        (3, [40, 32], [4, 9]),
        (1, [8, 70], [3, 5]),
        (1, [1, 1], [1, 1]),
    ] {
        for (lie, normed, bias) in [
            (Lie::InPlanes, false, true),
            (Lie::ChannelsLast, true, true),
            (Lie::Repeated, true, false),
            (Lie::Cut, false, false),
        ] {
            for maps_of_add in (1..=batch).step_by(2) {
                let name =
                    format!("transposed {batch} {channels:?} {lie:?} {normed} {maps_of_add}");
                compare(&name, F32, |device| {
                    let mut convolution = ConvTranspose2dConfig::new(channels, [2, 2])
                        .with_stride([2, 2])
                        .with_bias(bias)
                        .init(device);
                    let filters = on(2, [channels[0], channels[1], 2, 2], device);
                    convolution.weight = convolution.weight.map(|_| filters);
                    let of_bias = || on(3, [channels[1]], device);
                    convolution.bias = convolution.bias.map(|bias| bias.map(|_| of_bias()));
                    let norm = normed.then(|| map_norm(channels[1], device));
                    let x = maps(1, [batch, channels[0], size[0], size[1]], lie, device);
                    let doubled = [maps_of_add, channels[1], 2 * size[0], 2 * size[1]];
                    let add = maps(4, doubled, lie, device);
                    to_values(kernels::transposed_convolution(&convolution, norm.as_ref(), x, &add))
                });
            }
        }
    }
}

#[test]
fn rotations() {
    for (batch, length, channels, tokens, turned) in [(2, 11, 8, 4, 8), (1, 9, 256, 9, 9)] {
        compare(&format!("rotation {length} {turned}"), F32, |device| {
            let table = |seed| on(seed, [1, tokens, channels / 2], device);
            let x = on(1, [batch, length, channels], device);
            to_values(kernels::rotate(x, table(2), table(3), turned))
        });
    }
}

#[test]
fn resizes() {
    for (kind, from, to) in [
        (Interpolation::Bilinear, [16, 16], [64, 64]),
        (Interpolation::Bilinear, [9, 7], [9, 20]),
        (Interpolation::BilinearAntialias, [64, 48], [16, 11]),
        (Interpolation::Bicubic, [7, 7], [16, 16]),
    ] {
        compare(&format!("resize {kind:?} {from:?} {to:?}"), F32, |device| {
            let x = on(1, [2, 3, from[0], from[1]], device);
            to_values(Resize::new(kind, from, to, device).forward(x))
        });
    }
}

#[test]
fn resizes_that_end_in_a_curve() {
    // Values whose means are exact in f32, so that zero is zero on every device.
    let logits: Vec<f32> = noise(3 * 5 * 7, 1).iter().map(|x| (x * 8.0).round() / 2.0).collect();
    let mut far = logits.clone();
    far.iter_mut().step_by(3).for_each(|x| *x *= 512.0);
    let resize = |device: &Device| Resize::new(Interpolation::Bilinear, [5, 7], [20, 28], device);
    for values in [&logits, &far] {
        let finished = |curve, device: &Device| {
            let finish = Finish { curve, scale: 20.0, shift: -10.0 };
            let x = of(values, [3, 1, 5, 7], device);
            to_values(resize(device).forward_finished(x, finish))
        };
        compare("resize, sigmoid", F32, |device| finished(Curve::Sigmoid, device));
        assert_equal("resize, step", |device| finished(Curve::Step, device));
    }
    let step = Finish { curve: Curve::Step, scale: 20.0, shift: -10.0 };
    let same = Resize::new(Interpolation::Bilinear, [1, 4], [1, 4], &device());
    let stepped = same.forward_finished(of(&[-1.0, 0.0, 1e-6, 9.0], [1, 1, 1, 4], &device()), step);
    assert_eq!(to_values(stepped), [-10.0, -10.0, 10.0, 10.0]);
}

#[test]
fn mask_products() {
    for (batch, channels, height, width) in
        [(1, 32, 16, 16), (3, 32, 5, 7), (2, 5, 9, 3), (3, 6, 1, 1)]
    {
        let name = format!("mask product {batch} {channels} {height} x {width}");
        let filters = |device: &Device| on(1, [batch, 4, channels], device);
        let product =
            |maps: Tensor<4>| to_values(kernels::mask_product(filters(&maps.device()), maps));
        compare(&format!("{name}, channels first"), F32, |device| {
            product(on(2, [batch, channels, height, width], device))
        });
        compare(&format!("{name}, channels last"), F32, |device| {
            product(on(2, [batch, height, width, channels], device).permute([0, 3, 1, 2]))
        });
        compare(&format!("{name}, some channels of more"), F32, |device| {
            let wide = on(2, [batch, height, width, channels + 3], device);
            product(wide.slice_dim(3, 2..2 + channels).permute([0, 3, 1, 2]))
        });
        compare(&format!("{name}, one map for all"), F32, |device| {
            let one = on(2, [1, height, width, channels], device).permute([0, 3, 1, 2]);
            product(one.expand([batch, channels, height, width]))
        });
    }
}

/// Returns a plane of `count` positions, of which `inner` are certain and `undecided` more are not.
fn plane(count: usize, inner: usize, undecided: usize, logit: f32) -> Vec<f32> {
    let undecided = inner..inner + undecided;
    // Scatters positions that belong together.
    let at = |place: usize| place * 37 % count;
    let value = |place: usize| match at(place) {
        // Values at the limit count as outside.
        place if undecided.contains(&place) => [0.05, 0.0, -0.04][place % 3],
        place if place < inner => logit,
        place => [-0.05, -logit][place % 2],
    };
    (0..count).map(value).collect()
}

#[test]
fn choices() {
    // Objects whose single mask is stable, unstable, nearly stable (49 of 50 counts as stable; 48
    // of 49 does not), empty, and full.
    let counts = [(20, 0), (10, 9), (49, 1), (48, 1), (0, 0), (63, 0), (0, 5)];
    for (height, width, dim) in [(9, 7, 5), (3, 21, 100), (64, 63, 256)] {
        let places = height * width;
        let unit = places / 63;
        for objects in [1, 3, 7] {
            let mut logits = Vec::new();
            for (object, (inner, undecided)) in counts.into_iter().enumerate().take(objects) {
                logits.extend(plane(places, inner * unit, undecided * unit, 3.0));
                logits.extend(noise(3 * places, object as u64));
            }
            // The best is the first of equal values, the last, and one in the middle.
            let ious = [[0.99, 0.5, 0.7, 0.7], [0.1, 0.2, 0.3, 0.4], [0.0, 0.1, 0.9, 0.2]];
            let ious: Vec<f32> = ious.into_iter().cycle().take(objects).flatten().collect();
            let scores: Vec<f32> =
                [1.0, -2.0, 0.0, 0.1].into_iter().cycle().take(objects).collect();
            for rule in [MaskRule::BestCandidate, MaskRule::SingleIfStable] {
                for marked in [false, true] {
                    let name = format!("{rule:?} {objects} x {height} x {width}, {marked}");
                    assert_equal(&name, |device| {
                        let scores = of(&scores, [objects, 1], device);
                        // Tokens are read in place, as a slice.
                        let tokens = on(9, [objects, 9, dim], device).slice_dim(1, 2..6);
                        let choice = MaskChoice {
                            rule,
                            mask_logits: &of(&logits, [objects, 4, height, width], device),
                            ious: &of(&ious, [objects, 4], device),
                            tokens: &tokens,
                            object_scores: marked.then_some((&scores, -1024.0)),
                        };
                        let chosen = choice.choose();
                        assert_eq!(chosen.mask_logits.dims(), [objects, 1, height, width]);
                        let numbers = [
                            to_values(chosen.mask_logits),
                            to_values(chosen.iou),
                            to_values(chosen.token),
                        ];
                        numbers.concat()
                    });
                }
            }
        }
    }
}

#[test]
fn a_single_mask_is_taken_from_49_of_50_certain_places_on() {
    let device = device();
    for (inner, undecided, expected) in [(49, 1, 0.1), (48, 1, 0.9), (0, 0, 0.1), (0, 1, 0.9)] {
        let logits = [plane(63, inner, undecided, 3.0), noise(3 * 63, 1)].concat();
        let choice = MaskChoice {
            rule: MaskRule::SingleIfStable,
            mask_logits: &of(&logits, [1, 4, 9, 7], &device),
            ious: &of(&[0.1, 0.2, 0.9, 0.3], [1, 4], &device),
            tokens: &of(&[1.0, 2.0, 3.0, 4.0], [1, 4, 1], &device),
            object_scores: None,
        };
        let chosen = choice.choose();
        assert_eq!(to_values(chosen.iou), [expected], "{inner} {undecided}");
        assert_eq!(to_values(chosen.token), [1.0]);
    }
}

#[test]
fn pointers_of_absent_objects() {
    for (objects, dim) in [(1, 256), (4, 7)] {
        assert_equal(&format!("pointers {objects} x {dim}"), |device| {
            let scores = of(&[0.0, 1e-6, -1.0, 5.0][..objects], [objects, 1], device);
            let (pointers, no_object) = (on(1, [objects, dim], device), on(2, [1, dim], device));
            to_values(kernels::mark_absent(pointers, scores, no_object))
        });
    }
}

/// Returns values of all magnitudes, including values exactly between two bfloat16 numbers.
fn hard_to_round(count: usize) -> Vec<f32> {
    let mut values = noise(count, 7);
    values.iter_mut().enumerate().for_each(|(i, v)| *v *= 10_f32.powi((i % 9) as i32 - 4));
    let between = |value: &mut f32| *value = f32::from_bits(value.to_bits() & !0xFFFF | 0x8000);
    values.iter_mut().step_by(5).for_each(between);
    values
}

#[test]
fn memories_are_rounded_to_bfloat16_as_on_the_cpu() {
    for (objects, tokens, channels) in [(1, 9, 7), (3, 35, 64)] {
        let values = hard_to_round(objects * tokens * channels);
        for marked in [false, true] {
            assert_equal(&format!("memory {objects} x {tokens} x {channels}"), |device| {
                let scores = of(&[-1.0, 2.0, 0.0][..objects], [objects, 1], device);
                let memory = of(&values, [objects, tokens, channels], device);
                let absent = marked.then(|| (scores, on(2, [1, channels], device)));
                to_values(kernels::finish_memory(memory, absent))
            });
        }
    }
    let edges =
        [f32::MAX, -f32::MAX, f32::INFINITY, f32::NEG_INFINITY, 0.0, 1.0, f32::MIN_POSITIVE];
    let rounded = kernels::finish_memory(of(&edges, [1, 7, 1], &device()), None);
    let (up, infinity) = (f32::INFINITY, f32::INFINITY);
    let expected = [up, -up, infinity, -infinity, 0.0, 1.0, f32::MIN_POSITIVE];
    assert_eq!(to_values(rounded), expected);
    // NaNs whose significant bits are all in the discarded half must not become infinities.
    let undefined = [f32::NAN, f32::from_bits(0x7F80_0001), f32::from_bits(0xFFFF_FFFF)];
    let rounded = kernels::finish_memory(of(&undefined, [1, 3, 1], &device()), None);
    assert!(to_values(rounded).iter().all(|value| value.is_nan()));
}

#[test]
fn pixels_become_the_same_numbers_as_on_the_cpu_bit_for_bit() {
    // Including sizes at which the last word is not full.
    for side in [64, 5, 1] {
        let rgb: Vec<u8> = (0..3 * side * side).map(|i| (i * 101 / 7 % 256) as u8).collect();
        let bits = |device: &Device| -> Vec<u32> {
            let pixels = PixelTable::new(device).normalise(&rgb, side);
            to_values(pixels).into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(bits(&device()), bits(&Device::flex()), "{side}");
    }
}
