//! Every kernel for GPUs beside the same step on the CPU, at odd sizes, in every format that the device has. Runs on the device that `SAM2_TEST_DEVICE` names.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{Device, Precision};
use sam2_model::kernels::{self, Activation, FusedLinear, Rotation, WindowAttention};
use sam2_model::layer_norm::LayerNorm;
use sam2_model::layer_norm_2d::LayerNorm2d;
use sam2_model::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
use sam2_model::nn::{Linear, LinearConfig, PaddingConfig2d};
use sam2_model::resize::{Interpolation, Resize};
use sam2_model::{FloatDType, Tensor};
use sam2_tests::compare::Report;
use sam2_tests::device::device;
use sam2_tests::fixture::to_values;
use sam2_tests::noise::Random;

/// Differences over the largest value: f32's kernels, and those with 16-bit factors.
const F32: f64 = 1e-5;
const HALF: f64 = 2e-3;
/// Half of the last digit of a result in bfloat16, beside a largest value just above a power of two.
const LAST_DIGIT: f64 = 1.0 / 256.0;

/// The bar of a step whose result is in `format`.
fn bar_of(format: Option<FloatDType>) -> f64 {
    match format {
        None => F32,
        Some(FloatDType::BF16) => HALF + LAST_DIGIT,
        Some(_) => HALF,
    }
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.uniform(-2.0, 2.0)).collect()
}

fn on<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = noise(shape.iter().product(), seed);
    Tensor::<1>::from_floats(&values[..], device).reshape(shape)
}

/// The device's 16-bit formats.
fn halves(device: &Device) -> Vec<FloatDType> {
    [(Precision::F16, FloatDType::F16), (Precision::Bf16, FloatDType::BF16)]
        .into_iter()
        .filter(|(precision, _)| precision.on(device).is_ok())
        .map(|(_, format)| format)
        .collect()
}

fn compare(name: &str, bar: f64, step: impl Fn(&Device) -> Vec<f32>) {
    let (ours, expected) = (step(&device()), step(&Device::flex()));
    let mut report = Report::default();
    report.relative(name, &ours, &expected, bar);
    report.finish();
}

/// Numbers that a 16-bit format has, as f32 on the CPU and in that format on the device: both sides have the same factors.
fn rounded<const D: usize>(x: Tensor<D>, format: Option<FloatDType>) -> Tensor<D> {
    match format {
        Some(format) if x.device() == Device::flex() => x.cast(format).cast(FloatDType::F32),
        Some(format) => x.cast(format),
        None => x,
    }
}

fn layer(inputs: usize, outputs: usize, device: &Device, format: Option<FloatDType>) -> Linear {
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
    for (batch, channels, side) in [(1, 4, 9), (3, 64, 16), (2, 256, 5)] {
        compare(&format!("norm of maps {batch} {channels} {side}"), F32, |device| {
            let (weight, bias) = (on(2, [channels], device), on(3, [channels], device));
            let x = on(1, [batch, channels, side, side], device);
            to_values(kernels::layer_norm_2d(x, weight, bias, 1e-6))
        });
    }
}

#[test]
fn linear_layers() {
    let device = device();
    let formats: Vec<_> = [None].into_iter().chain(halves(&device).into_iter().map(Some)).collect();
    // Tails of every kind; one row; one column; as wide as the large model's; more tiles than one.
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

/// Rows that are few and many; outputs that end between tiles.
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
    // Few and many parts, of one length and of several, a batch of one among others, an axis in the middle.
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
    // Heads; keys in pieces; the memory attention's widths, of memories and of itself; places looking at tokens; one key; widths that no product divides.
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
                // As layers make them: heads of a token lie together.
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

#[test]
fn convolutions() {
    for (batch, channels, size, taps, stride, padding) in [
        (1, [3, 10], [20, 24], 7, 4, 3),
        (2, [4, 16], [9, 11], 3, 2, 1),
        (1, [1, 1], [16, 16], 4, 4, 0),
        (2, [12, 10], [9, 11], 1, 1, 0),
    ] {
        for normed in [false, true] {
            compare(&format!("convolution {channels:?} {taps} {stride} {normed}"), F32, |device| {
                let mut convolution = Conv2dConfig::new(channels, [taps, taps])
                    .with_stride([stride, stride])
                    .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
                    .init(device);
                let filters = on(2, [channels[1], channels[0], taps, taps], device);
                convolution.weight = convolution.weight.map(|_| filters);
                convolution.bias =
                    convolution.bias.map(|bias| bias.map(|_| on(3, [channels[1]], device)));
                let norm = normed.then(|| LayerNorm2d::init(channels[1], device));
                let x = on(1, [batch, channels[0], size[0], size[1]], device);
                to_values(kernels::convolution(&convolution, norm.as_ref(), x))
            });
        }
    }
    compare("depthwise convolution", F32, |device| {
        let mut convolution = Conv2dConfig::new([12, 12], [7, 7])
            .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
            .with_groups(12)
            .init(device);
        convolution.weight = convolution.weight.map(|_| on(2, [12, 1, 7, 7], device));
        convolution.bias = convolution.bias.map(|bias| bias.map(|_| on(3, [12], device)));
        to_values(kernels::depthwise_convolution(&convolution, on(1, [2, 12, 9, 11], device)))
    });
    compare("transposed convolution", F32, |device| {
        let mut convolution =
            ConvTranspose2dConfig::new([12, 10], [2, 2]).with_stride([2, 2]).init(device);
        convolution.weight = convolution.weight.map(|_| on(2, [12, 10, 2, 2], device));
        convolution.bias = convolution.bias.map(|bias| bias.map(|_| on(3, [10], device)));
        let (x, add) = (on(1, [3, 12, 5, 6], device), on(4, [1, 10, 10, 12], device));
        to_values(kernels::transposed_convolution(&convolution, x, &add))
    });
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
