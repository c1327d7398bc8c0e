//! One layer of each kind at the size that it has in the tiny model at 1024, compared with the CPU.

use sam2_engine::Precision;
use sam2_model::FloatDType;
use sam2_model::kernels::{self, Activation, FusedLinear, Rotation, WindowAttention};
use sam2_model::layer_norm::LayerNorm;
use sam2_model::nn::conv::ConvTranspose2dConfig;
use sam2_model::resize::{Interpolation, Resize};
use sam2_tests::device::device;
use sam2_tests::fixture::to_values;

use crate::gpu_kernels::{F32, HALF, compare, convolution, layer, map_norm, on, rounded};

const F16: Option<FloatDType> = Some(FloatDType::F16);

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
        compare(name, HALF, |device| {
            let (layer, norm) =
                (layer(inputs, outputs, device, F16), LayerNorm::init(inputs, 1e-6, device));
            let fused = FusedLinear::new(&layer).after(&norm).activated(Activation::Gelu);
            to_values(fused.forward(on(3, [1, rows, inputs], device)))
        });
    }
    compare("keys of all layers, turned", HALF, |device| {
        let layer = layer(64, 1024, device, F16);
        let table = |seed| on(seed, [1, 4096, 128], device);
        let (cos, sin) = (table(4), table(5));
        let rotation = Rotation { cos: &cos, sin: &sin, turned: 7 * 4096, outputs: 1024 };
        let keys = FusedLinear::new(&layer).for_products().rotated(rotation);
        to_values(keys.forward(on(6, [1, 7 * 4096 + 64, 64], device)).cast(FloatDType::F32))
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
        compare(name, HALF, |device| {
            let head = |seed, tokens, width| {
                rounded(on::<4>(seed, [1, tokens, heads, width], device), F16).swap_dims(1, 2)
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
        compare(name, HALF, |device| {
            let qkv = rounded(on(1, [1, size, size, 3 * channels], device), F16);
            let outside = on(2, [3 * channels], device);
            let attended = WindowAttention { heads, side }.forward(qkv, None, outside);
            to_values(attended.cast(FloatDType::F32))
        });
    }
}

#[test]
fn convolutions() {
    for (name, channels, side, taps, normed) in [
        ("patches", [3, 96], 1024, [7, 4, 3], false),
        ("mask down-sampler", [4, 16], 512, [3, 2, 1], true),
    ] {
        compare(name, F32, |device| {
            let convolution = convolution(channels, taps, 1, true, device);
            let norm = normed.then(|| map_norm(channels[1], device));
            let maps = on(1, [1, channels[0], side, side], device);
            to_values(kernels::convolution(&convolution, norm.as_ref(), maps))
        });
    }
    compare("depthwise", F32, |device| {
        let depthwise = convolution([256, 256], [7, 1, 3], 256, true, device);
        let map = on(1, [1, 64, 64, 256], device).permute([0, 3, 1, 2]);
        to_values(kernels::depthwise_convolution(&depthwise, map))
    });
    compare("up-sampling", F32, |device| {
        let mut up = ConvTranspose2dConfig::new([256, 64], [2, 2]).with_stride([2, 2]).init(device);
        up.weight = up.weight.map(|_| on(1, [256, 64, 2, 2], device));
        up.bias = up.bias.map(|bias| bias.map(|_| on(2, [64], device)));
        let (map, add) = (on(3, [1, 256, 64, 64], device), on(4, [1, 64, 128, 128], device));
        let norm = map_norm(64, device);
        to_values(kernels::transposed_convolution(&up, Some(&norm), map, &add))
    });
}

#[test]
fn masks() {
    compare("filters times places", F32, |device| {
        let maps = on(1, [1, 256, 256, 32], device).permute([0, 3, 1, 2]);
        to_values(kernels::mask_product(on(2, [1, 4, 32], device), maps))
    });
    compare("logits at the image's size", F32, |device| {
        let resize = Resize::new(Interpolation::Bilinear, [256; 2], [1024; 2], device);
        to_values(resize.forward(on(3, [1, 1, 256, 256], device)))
    });
}
