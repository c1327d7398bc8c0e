//! Putting tensors together without losing that one of them could not be made.

use burn::tensor::{FloatDType, Tensor};

use super::is_on_cpu;

/// `Tensor::cat`, also where a GPU fails.
///
/// What a GPU cannot make, for want of memory say, burn marks as never written, and so all that is made of it, until somebody reads a number and gets an error. Joining loses that mark: it is one
/// write per part into one tensor, and the write of a part that is there counts for all of it (cubecl-server 0.11.3, `exit_write`). The gap holds what was in that memory before: wrong
/// numbers, and nobody is told. So one number of each part is added to the result, as nothing: that keeps the mark.
pub fn join<const D: usize>(parts: Vec<Tensor<D>>, axis: usize) -> Tensor<D> {
    let can_fail = parts.len() > 1 && !is_on_cpu(&parts[0].device());
    let nothing = if can_fail { nothing_of(&parts) } else { None };
    let joined = Tensor::cat(parts, axis);
    match nothing.map(|nothing| nothing.cast(joined.dtype())) {
        Some(nothing) => joined + nothing,
        None => joined,
    }
}

/// Zero, `[1, ...]`, made of one number of each part. Not a product with zero, which a compiler may leave out together with what it reads.
fn nothing_of<const D: usize>(parts: &[Tensor<D>]) -> Option<Tensor<D>> {
    let one = |part: &Tensor<D>| {
        part.clone().slice(std::array::from_fn::<_, D, _>(|_| 0..1)).cast(FloatDType::F32)
    };
    let some = parts.iter().filter(|part| part.shape().num_elements() > 0);
    let sum = some.map(one).reduce(|sum, next| sum + next)?;
    // No finite numbers are that large; sums of them that overflow are no longer right anyway.
    Some(sum.abs().greater_elem(f32::MAX).float())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn marks_add_nothing() {
        let parts = [noise([2, 3]) * 1e30, noise([2, 5]) * 1e-30, noise([2, 0])];
        let nothing: Vec<f32> =
            nothing_of(&parts).map(|x| x.into_data().try_to_vec().unwrap()).unwrap();
        assert_eq!(nothing, [0.0]);
        let joined = join(parts.to_vec(), 1);
        assert_eq!(joined.into_data(), Tensor::cat(parts.to_vec(), 1).into_data());
        assert!(nothing_of::<2>(&[noise([0, 3])]).is_none());
    }
}
