//! Number formats of products on devices with half precision.

use burn::tensor::{DType, FloatDType, Tensor};

/// The largest value in f16.
const F16_MAX: f32 = 65_504.0;

/// Converts a tensor to another format. Values too large for f16 become its largest value instead
/// of infinity, which would make every result that depends on them undefined.
pub(super) fn to_format<const D: usize>(x: Tensor<D>, format: FloatDType) -> Tensor<D> {
    match (DType::from(format), x.dtype()) {
        (to, from) if to == from => x,
        (DType::F16, _) => x.clamp(-F16_MAX, F16_MAX).cast(format),
        _ => x.cast(format),
    }
}

/// Returns the format of values stored in half precision, which is also the format of products with
/// such a weight. Returns `None` for f32, which needs no conversion.
pub(super) fn half(stored: DType) -> Option<FloatDType> {
    match stored {
        DType::F16 => Some(FloatDType::F16),
        DType::BF16 => Some(FloatDType::BF16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn what_f16_does_not_have_becomes_its_largest_number() {
        let x = Tensor::<1>::from_floats([1e6, -1e6, 65_504.0, 1.5], &Device::flex());
        let half: Vec<f32> =
            to_format(x, FloatDType::F16).cast(FloatDType::F32).into_data().try_to_vec().unwrap();
        assert_eq!(half, [65_504.0, -65_504.0, 65_504.0, 1.5]);
    }
}
