//! One layer of each kind at the size that tiny has at 1024, beside the CPU.

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

/// Differences over the largest value: f32's kernels, and those with f16 factors.
const F32: f64 = 1e-5;
const F16: f64 = 2e-3;

fn noise<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut random = Random::new(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.uniform(-1.0, 1.0)).collect();
    Tensor::<1>::from_floats(&values[..], device).reshape(shape)
}

/// Numbers that f16 has, as f32 on the CPU and in f16 on the device.
fn half<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let is_cpu = x.device() == Device::flex();
    let x = x.cast(FloatDType::F16);
    if is_cpu { x.cast(FloatDType::F32) } else { x }
}

fn layer(inputs: usize, outputs: usize, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    let weight = noise(1, [inputs, outputs], device) / (inputs as f32).sqrt();
    layer.weight = layer.weight.map(|_| half(weight));
    layer.bias = layer.bias.map(|bias| bias.map(|_| noise(2, [outputs], device)));
    layer
}

fn compare(name: &str, bar: f64, step: impl Fn(&Device) -> Vec<f32>) {
    let (ours, expected) = (step(&device()), step(&Device::flex()));
    let mut report = Report::default();
    report.relative(name, &ours, &expected, bar);
    report.finish();
}

fn needs_f16() -> bool {
    let has = Precision::F16.on(&device()).is_ok();
    if !has {
        println!("{:?} does not compute in f16", device());
    }
    has
}

#[test]
fn linear_layers() {
    if !needs_f16() {
        return;
    }
    for (name, [rows, inputs, outputs]) in [
        ("first stage, queries keys values", [65_536, 96, 288]),
        ("third stage, perceptron in", [4096, 384, 1536]),
        ("third stage, perceptron out", [4096, 1536, 384]),
        ("memory attention, perceptron in", [4096, 256, 2048]),
    ] {
        compare(name, F16, |device| {
            let (layer, norm) =
                (layer(inputs, outputs, device), LayerNorm::init(inputs, 1e-6, device));
            let fused = FusedLinear::new(&layer).after(&norm).activated(Activation::Gelu);
            to_values(fused.forward(noise(3, [1, rows, inputs], device)))
        });
    }
    compare("keys of all layers, turned", F16, |device| {
        let layer = layer(64, 1024, device);
        let table = |seed| noise(seed, [1, 4096, 128], device);
        let (cos, sin) = (table(4), table(5));
        let rotation = Rotation { cos: &cos, sin: &sin, turned: 7 * 4096, outputs: 1024 };
        let keys = FusedLinear::new(&layer).for_products().rotated(rotation);
        to_values(keys.forward(noise(6, [1, 7 * 4096 + 64, 64], device)).cast(FloatDType::F32))
    });
}

#[test]
fn attention_to_memories_and_to_itself() {
    if !needs_f16() {
        return;
    }
    for (name, [heads, n, m, width, value_width]) in [
        ("to memories", [1, 4096, 7 * 4096 + 64, 256, 64]),
        ("to itself", [1, 4096, 4096, 256, 256]),
        ("global, of the trunk", [4, 4096, 4096, 96, 96]),
    ] {
        compare(name, F16, |device| {
            let head = |seed, tokens, width| {
                half(noise::<4>(seed, [1, tokens, heads, width], device)).swap_dims(1, 2)
            };
            let (q, k) = (head(1, n, width), head(2, m, width));
            let out = kernels::attention(q, k, head(3, m, value_width));
            to_values(out.cast(FloatDType::F32))
        });
    }
}

#[test]
fn windows() {
    if !needs_f16() {
        return;
    }
    for (name, [size, channels, heads, side]) in
        [("first stage", [256, 96, 1, 8]), ("third stage", [64, 384, 4, 14])]
    {
        compare(name, F16, |device| {
            let qkv = half(noise(1, [1, size, size, 3 * channels], device));
            let outside = noise(2, [3 * channels], device);
            let attended = WindowAttention { heads, side }.forward(qkv, None, outside);
            to_values(attended.cast(FloatDType::F32))
        });
    }
}

#[test]
fn convolutions() {
    let around = |by| PaddingConfig2d::Explicit(by, by, by, by);
    compare("patches", F32, |device| {
        let mut patches = Conv2dConfig::new([3, 96], [7, 7])
            .with_stride([4, 4])
            .with_padding(around(3))
            .init(device);
        patches.weight = patches.weight.map(|_| noise(1, [96, 3, 7, 7], device));
        patches.bias = patches.bias.map(|bias| bias.map(|_| noise(2, [96], device)));
        to_values(kernels::convolution(&patches, None, noise(3, [1, 3, 1024, 1024], device)))
    });
    compare("mask down-sampler", F32, |device| {
        let mut step = Conv2dConfig::new([4, 16], [3, 3])
            .with_stride([2, 2])
            .with_padding(around(1))
            .init(device);
        step.weight = step.weight.map(|_| noise(1, [16, 4, 3, 3], device));
        step.bias = step.bias.map(|bias| bias.map(|_| noise(2, [16], device)));
        let norm = LayerNorm2d::init(16, device);
        to_values(kernels::convolution(&step, Some(&norm), noise(3, [1, 4, 512, 512], device)))
    });
    compare("depthwise", F32, |device| {
        let mut depthwise = Conv2dConfig::new([256, 256], [7, 7])
            .with_groups(256)
            .with_padding(around(3))
            .init(device);
        depthwise.weight = depthwise.weight.map(|_| noise(1, [256, 1, 7, 7], device));
        depthwise.bias = depthwise.bias.map(|bias| bias.map(|_| noise(2, [256], device)));
        let map = noise(3, [1, 64, 64, 256], device).permute([0, 3, 1, 2]);
        to_values(kernels::depthwise_convolution(&depthwise, map))
    });
    compare("up-sampling", F32, |device| {
        let mut up = ConvTranspose2dConfig::new([256, 64], [2, 2]).with_stride([2, 2]).init(device);
        up.weight = up.weight.map(|_| noise(1, [256, 64, 2, 2], device));
        up.bias = up.bias.map(|bias| bias.map(|_| noise(2, [64], device)));
        let (map, add) = (noise(3, [1, 256, 64, 64], device), noise(4, [1, 64, 128, 128], device));
        let norm = LayerNorm2d::init(64, device);
        to_values(kernels::transposed_convolution(&up, Some(&norm), map, &add))
    });
}

#[test]
fn masks() {
    compare("filters times places", F32, |device| {
        let maps = noise(1, [1, 256, 256, 32], device).permute([0, 3, 1, 2]);
        to_values(kernels::mask_product(noise(2, [1, 4, 32], device), maps))
    });
    compare("logits at the image's size", F32, |device| {
        let resize = Resize::new(Interpolation::Bilinear, [256; 2], [1024; 2], device);
        to_values(resize.forward(noise(3, [1, 1, 256, 256], device)))
    });
}
