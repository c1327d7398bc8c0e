//! Compares the kernels with burn's own operations.

#![allow(clippy::unwrap_used)]

use burn::nn::PaddingConfig2d;
use burn::tensor::{Device, Tensor, activation};

use super::*;
use crate::layer_norm::LayerNorm;
use crate::layer_norm_2d::LayerNorm2d;
use crate::noise::noise;
use crate::precision::Precision;
use burn::nn::LinearConfig;

use crate::resize::{Interpolation, Resize};
use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};

fn assert_close<const D: usize>(ours: Tensor<D>, burns: Tensor<D>) {
    assert_eq!(ours.dims(), burns.dims());
    let values = |t: Tensor<D>| -> Vec<f32> { t.into_data().try_to_vec().unwrap() };
    for (a, b) in values(ours).into_iter().zip(values(burns)) {
        assert!((a - b).abs() < 2e-5, "{a} {b}");
    }
}

#[test]
fn kernels_agree_with_burn_whatever_the_layout() {
    // Permuted, sliced, shared with another owner, and plain.
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
    assert_close(gelu(map.clone().slice_dim(1, 2..5)), activation::gelu(map.slice_dim(1, 2..5)));
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
    let (map, norm) = (noise([2, 11, 13, 9]).permute([0, 3, 1, 2]), LayerNorm2d::init(16, &device));
    for norm in [None, Some(&norm)] {
        assert_close(
            convolution(&down, norm, map.clone()),
            convolution_on_any_device(&down, norm, map.clone()),
        );
    }
    let add = noise([1, 6, 7, 16]).permute([0, 3, 1, 2]);
    assert_close(
        convolution_plus(&down, map.clone(), &add),
        convolution_on_any_device(&down, None, map.clone()) + add,
    );
    let up = ConvTranspose2dConfig::new([9, 16], [2, 2]).with_stride([2, 2]).init(&device);
    let add = noise([1, 22, 26, 16]).permute([0, 3, 1, 2]);
    let sum = up.forward(map.clone()) + add.clone();
    let (weight, bias, epsilon) = norm.parameters();
    let normed = layer_norm_2d_on_any_device(sum.clone(), weight, bias, epsilon);
    for (norm, expected) in [(None, sum), (Some(&norm), normed)] {
        let made = transposed_convolution(&up, norm, map.clone(), &add);
        assert_close(made, activation::gelu(expected));
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

#[test]
fn products_in_bf16_are_close_to_those_in_f32() {
    let rounded = |work: &dyn Fn() -> Tensor<3>| with_products_in(Precision::Bf16, work);
    let within = |ours: Tensor<3>, exact: Tensor<3>, bar: f32| {
        let off: f32 = (ours - exact).abs().max().into_scalar();
        assert!(off < bar, "{off}");
        off
    };
    let device = Device::flex();
    let (narrow, wide) =
        (LinearConfig::new(70, 130).init(&device), LinearConfig::new(130, 70).init(&device));
    let norm = LayerNorm::init(70, LayerNorm::EPSILON, &device);
    let x = noise([2, 40, 70]);
    let perceptron = || {
        let first = FusedLinear::new(&narrow).after(&norm).activated(Activation::Gelu);
        fused_linear_chain(&[first, FusedLinear::new(&wide).plus(&x)], x.clone())
    };
    let off = within(rounded(&perceptron), perceptron(), 2e-2);
    // The result is rounded if the processor has bfloat16 instructions.
    assert_eq!(off > 1e-5, CpuTier::current().multiplies_bf16(), "{off}");
    let (q, k, v) = (noise([2, 3, 50, 24]), noise([2, 3, 90, 24]), noise([2, 3, 90, 40]));
    let attend = || attention(q.clone(), k.clone(), v.clone());
    within(rounded(&attend), attend(), 4e-2);
}
