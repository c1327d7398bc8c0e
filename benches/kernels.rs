//! Compares our kernels with burn's own operations, in SAM 2's shapes.
//! Run with `cargo bench --workspace --bench kernels`.

use std::hint::black_box;

use burn::nn::conv::Conv2dConfig;
use burn::nn::{LinearConfig, PaddingConfig2d};
use burn::tensor::{Distribution, activation};
use criterion::{Criterion, criterion_group, criterion_main};
use sam2_model::kernels::{Activation, FusedLinear, with_products_in};
use sam2_model::layer_norm::LayerNorm;
use sam2_model::layer_norm_2d::LayerNorm2d;
use sam2_model::resize::{Interpolation, Resize};
use sam2_model::{Device, Precision, Tensor, kernels};

fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

/// Times our kernel in f32 and in bfloat16, and burn's operation.
fn compare<const D: usize>(
    criterion: &mut Criterion,
    name: &str,
    ours: impl Fn() -> Tensor<D>,
    burns: impl Fn() -> Tensor<D>,
) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    group.bench_function("ours", |b| b.iter(|| black_box(ours())));
    // Repeats the f32 timing if the kernel has no products or the processor no bfloat16
    // instructions.
    group.bench_function("ours, bf16", |b| {
        b.iter(|| with_products_in(Precision::Bf16, || black_box(ours())))
    });
    group.bench_function("burn", |b| b.iter(|| black_box(burns())));
}

/// Times the keys of one layer for a frame and seven memories at 1024. "Made anew" projects and
/// rotates them in each frame, as the model does. "Kept" adds the rotated part of a memory's time
/// to keys that were kept. That sum is the least work that would remain, because a memory's age
/// changes from frame to frame, and rotation and projection are linear.
fn memory_keys(criterion: &mut Criterion) {
    let [tokens, pointers, channels, narrow] = [7 * 4096, 64, 256, 64];
    let layer = LinearConfig::new(narrow, channels).init(&Device::flex());
    let memories = noise([1, tokens + pointers, narrow]);
    let (cos, sin) = (noise([1, 4096, channels / 2]), noise([1, 4096, channels / 2]));
    let (kept, time) = (noise([1, tokens, channels]), noise([1, tokens, channels]));
    let mut group = criterion.benchmark_group("keys of seven memories, tiny");
    group.sample_size(10);
    group.bench_function("made anew", |b| {
        b.iter(|| {
            let keys = FusedLinear::new(&layer).for_products().forward(memories.clone());
            black_box(kernels::rotate(keys, cos.clone(), sin.clone(), tokens))
        })
    });
    group.bench_function("kept, time added", |b| b.iter(|| black_box(kept.clone() + time.clone())));
}

/// Name, then batch, heads, queries, keys, channels, and channels of values.
type Shape = (&'static str, [usize; 6]);

fn attention(criterion: &mut Criterion) {
    let shapes: [Shape; 5] = [
        ("memory attention, tiny, 7 memories", [1, 1, 4096, 28_736, 256, 64]),
        ("memory attention, micro, 7 memories", [1, 1, 256, 1824, 64, 32]),
        ("memory attention, micro, 8 objects", [8, 1, 256, 1824, 64, 32]),
        ("global attention, tiny, stage 3", [1, 4, 4096, 4096, 96, 96]),
        ("windows of 8 x 8, tiny, stage 1", [1024, 1, 64, 64, 96, 96]),
    ];
    for (name, [batch, heads, n, m, d, v]) in shapes {
        let q = noise([batch, heads, n, d]);
        let (k, v) = (noise([batch, heads, m, d]), noise([batch, heads, m, v]));
        compare(
            criterion,
            name,
            || kernels::attention(q.clone(), k.clone(), v.clone()),
            || kernels::attention_on_any_device(q.clone(), k.clone(), v.clone()),
        );
    }
}

fn linear(criterion: &mut Criterion) {
    let device = Device::flex();
    for (name, [tokens, inputs, outputs], activation) in [
        ("norm, linear and ReLU, memory attention, tiny", [4096, 256, 2048], Activation::Relu),
        ("norm, linear and GELU, stage 1, tiny", [65_536, 96, 384], Activation::Gelu),
        ("norm, linear and ReLU, memory attention, micro", [256, 64, 256], Activation::Relu),
        ("norm, linear and ReLU, the decoder's 8 tokens", [8, 256, 2048], Activation::Relu),
    ] {
        let x = noise([1, tokens, inputs]);
        let layer = LinearConfig::new(inputs, outputs).init(&device);
        let norm = LayerNorm::init(inputs, LayerNorm::EPSILON, &device);
        let fused = FusedLinear::new(&layer).after(&norm).activated(activation);
        compare(criterion, name, || fused.forward(x.clone()), || fused.on_any_device(x.clone()));
    }
}

fn convolution(criterion: &mut Criterion) {
    let device = Device::flex();
    for (name, [batch, inputs, outputs, side]) in [
        ("3 x 3, norm and GELU, mask down-sampler, first step, 1024", [1, 1, 4, 1024]),
        ("3 x 3, norm and GELU, mask down-sampler, last step, 1024", [1, 64, 256, 128]),
        ("3 x 3, norm and GELU, mask down-sampler, last step, micro, 8 objects", [8, 64, 256, 32]),
    ] {
        let x = noise([batch, inputs, side, side]);
        let layer = Conv2dConfig::new([inputs, outputs], [3, 3])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(&device);
        let norm = LayerNorm2d::init(outputs, &device);
        compare(
            criterion,
            name,
            || kernels::convolution(&layer, Some(&norm), x.clone()),
            || kernels::convolution_on_any_device(&layer, Some(&norm), x.clone()),
        );
    }
    let x = noise([1, 256, 64, 64]);
    let layer = Conv2dConfig::new([256, 256], [7, 7])
        .with_groups(256)
        .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
        .init(&device);
    compare(
        criterion,
        "depthwise 7 x 7, tiny",
        || kernels::depthwise_convolution(&layer, x.clone()),
        || layer.forward(x.clone()),
    );
}

fn pointwise(criterion: &mut Criterion) {
    let x = noise([1, 64, 256, 256]);
    let (weight, bias) = (noise([64]), noise([64]));
    compare(criterion, "GELU", || kernels::gelu(x.clone()), || activation::gelu(x.clone()));
    compare(
        criterion,
        "sigmoid, scaled",
        || kernels::scaled_sigmoid(x.clone(), 20.0, -10.0),
        || activation::sigmoid(x.clone()) * 20.0 - 10.0,
    );
    compare(
        criterion,
        "layer norm over the channels of a map",
        || kernels::layer_norm_2d(x.clone(), weight.clone(), bias.clone(), 1e-6),
        || kernels::layer_norm_2d_on_any_device(x.clone(), weight.clone(), bias.clone(), 1e-6),
    );
    let x = noise([1, 65_536, 64]);
    compare(
        criterion,
        "layer norm of tokens",
        || kernels::layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-5),
        || kernels::layer_norm_on_any_device(x.clone(), weight.clone(), bias.clone(), 1e-5),
    );
    let x = noise([1, 28_672, 256]);
    let (cos, sin) = (noise([1, 4096, 128]), noise([1, 4096, 128]));
    compare(
        criterion,
        "rotation of seven memories, tiny",
        || kernels::rotate(x.clone(), cos.clone(), sin.clone(), 28_672),
        || kernels::rotate_on_any_device(x.clone(), cos.clone(), sin.clone(), 28_672),
    );
    let resize = Resize::new(Interpolation::Bilinear, [256; 2], [1024; 2], &Device::flex());
    let x = noise([1, 1, 256, 256]);
    compare(
        criterion,
        "bilinear, 256 x 256 to 1024 x 1024",
        || resize.forward(x.clone()),
        || resize.forward_on_any_device(x.clone()),
    );
}

criterion_group!(benches, attention, memory_keys, linear, convolution, pointwise);
criterion_main!(benches);
