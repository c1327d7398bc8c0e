//! Rotary encoding.

use burn::backend::Flex;
use burn::tensor::{FloatDType, Tensor};
use sam2_cpu_kernels as cpu;

use super::bridge::{in_place, into_flex, values};
use super::join::join;
use super::on_gpu;

/// Rotates each pair of adjacent channels of the first `turned` tokens of
/// `[batch, length, channels]` by the angle whose cosine and sine are in
/// `[1, tokens, channels / 2]`. The table repeats; `turned` is a multiple of `tokens`.
pub fn rotate(x: Tensor<3>, cos: Tensor<3>, sin: Tensor<3>, turned: usize) -> Tensor<3> {
    let [_, length, channels] = x.dims();
    let (Ok(cos_flex), Ok(sin_flex)) = (into_flex(cos.clone()), into_flex(sin.clone())) else {
        return on_gpu::rotate(&x, &cos, &sin, turned)
            .unwrap_or_else(|| rotate_on_any_device(x, cos, sin, turned));
    };
    match into_flex(x) {
        Ok(x) => {
            let (cos, sin) = (values(&cos_flex), values(&sin_flex));
            Tensor::from_primitive::<Flex>(in_place(x, |tier, tokens| {
                for one in tokens.chunks_exact_mut((length * channels).max(1)) {
                    cpu::rotate(tier, &mut one[..turned * channels], channels, cos, sin);
                }
            }))
        }
        Err(x) => rotate_on_any_device(*x, cos, sin, turned),
    }
}

/// Does the same with burn's operations, on any device.
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
    // The rotation is computed in f32, whatever the format of the products around it.
    let format = x.dtype();
    let x = x.cast(FloatDType::F32);
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
    let whole = match rest {
        Some(rest) => join(vec![result, rest], 1),
        None => result,
    };
    whole.cast(format)
}
