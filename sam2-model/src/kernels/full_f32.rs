//! Products of f32 numbers with all their digits.
//!
//! On CUDA GPUs since Ampere, burn gives products of f32 tensors, and where it tunes convolutions too, to the matrix units in TF32, which keep 11 of a factor's 24 digits: nobody asks for it and nothing
//! says so (`adjust_dtypes` of cubek-matmul 0.3). Where f32 was meant, each factor goes in two parts that those units hold, and three products of them make the whole:
//! what is left out is 2^-22 of it. Other devices multiply f32 as f32.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::format::to_format;

/// `product(a, b)`, which is linear in each of its factors, with f32 factors taken as they are on every device.
pub(crate) fn in_full_f32<const A: usize, const B: usize, const R: usize>(
    a: Tensor<A>,
    b: Tensor<B>,
    product: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<R>,
) -> Tensor<R> {
    if sums_in_matrix_units(&a) { in_parts(a, b, product) } else { product(a, b) }
}

fn in_parts<const A: usize, const B: usize, const R: usize>(
    a: Tensor<A>,
    b: Tensor<B>,
    product: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<R>,
) -> Tensor<R> {
    let ((a, a_rest), (b, b_rest)) = (split(a), split(b));
    // The small ones first, so that they are not lost one by one.
    product(a_rest, b.clone()) + product(a.clone(), b_rest) + product(a, b)
}

/// The first 11 digits and the rest. f16 has as many as TF32, and a cast is what no compiler simplifies away; what f16 does not reach is in the rest.
fn split<const D: usize>(x: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let first = to_format(x.clone(), FloatDType::F16).cast(FloatDType::F32);
    (first.clone(), x - first)
}

/// Whether products with this factor are f32's and are made by matrix units.
pub(super) fn sums_in_matrix_units<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && has_tf32(&x.device())
}

/// Whether f32 factors may be shortened there: a CUDA GPU that knows bfloat16 knows TF32 as well.
fn has_tf32(device: &Device) -> bool {
    is_cuda(device) && device.supports_dtype(DType::BF16)
}

#[cfg(feature = "nvidia")]
fn is_cuda(device: &Device) -> bool {
    /// More than are in any machine.
    const GPUS: usize = 32;
    (0..GPUS).any(|index| *device == Device::cuda(index))
}

#[cfg(not(feature = "nvidia"))]
fn is_cuda(_: &Device) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    /// As the matrix units take it: 11 digits.
    fn shortened<const D: usize>(x: Tensor<D>) -> Tensor<D> {
        let short = |value: f32| {
            let bits = value.to_bits();
            f32::from_bits((bits + 0xFFF + ((bits >> 13) & 1)) & !0x1FFF)
        };
        let dims = x.dims();
        let data: Vec<f32> = values(x).into_iter().map(short).collect();
        Tensor::<1>::from_floats(&data[..], &Device::flex()).reshape(dims)
    }

    #[test]
    fn parts_make_up_for_short_factors() {
        for scale in [1.0, 1e-4, 300.0] {
            let (a, b) = (noise([40, 256]) * scale, noise([256, 30]) * 0.1);
            let exact = a.clone().matmul(b.clone());
            let short = |a: Tensor<2>, b: Tensor<2>| shortened(a).matmul(shortened(b));
            let largest = values(exact.clone()).into_iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            let error = |got: Tensor<2>| {
                let pairs = values(got).into_iter().zip(values(exact.clone()));
                pairs.map(|(got, exact)| (got - exact).abs()).fold(0.0, f32::max) / largest
            };
            let plain = error(short(a.clone(), b.clone()));
            let parts = error(in_parts(a, b, short));
            assert!(plain > 5e-5, "{plain}: the test shortens nothing");
            assert!(parts < 1e-6, "{scale}: {parts}");
        }
    }

    #[test]
    fn a_number_is_the_sum_of_its_parts_also_beyond_f16() {
        let numbers = [0.0, 1.0, -3.3, 1e-9, 70_000.0, -1e30, 65_519.0];
        let (first, rest) = split(Tensor::<1>::from_floats(numbers, &Device::flex()));
        assert!(values(first.clone()).iter().all(|value| value.is_finite()));
        assert_eq!(values(first + rest), numbers);
    }

    #[test]
    fn the_cpu_takes_f32_as_it_is() {
        assert!(!has_tf32(&Device::flex()));
    }
}
