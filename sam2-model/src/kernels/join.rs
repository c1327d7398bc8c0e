//! Concatenation of tensors.

use burn::tensor::Tensor;

use super::on_gpu;

/// Concatenates tensors along `axis`. All other axes have the same length, except that a batch of 1
/// is used for every batch entry.
///
/// If a GPU cannot make a tensor, for example because its memory is full, burn marks it as never
/// written, and with it every tensor that is made from it. Reading a value then gives an error.
/// burn's own concatenation loses that mark: it writes each part into one tensor with a write of
/// its own, and one successful write marks the whole tensor as written (cubecl-server 0.11.3,
/// `exit_write`). Our kernel takes all parts in one launch.
pub fn join<const D: usize>(parts: Vec<Tensor<D>>, axis: usize) -> Tensor<D> {
    on_gpu::join(&parts, axis).unwrap_or_else(|| {
        let batch = parts.iter().map(|part| part.dims()[0]).max().unwrap_or(0);
        let whole = |part: Tensor<D>| {
            let mut shape = part.dims();
            if axis == 0 || shape[0] == batch {
                return part;
            }
            shape[0] = batch;
            part.expand(shape)
        };
        Tensor::cat(parts.into_iter().map(whole).collect(), axis)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn a_batch_of_one_serves_all() {
        let (one, two) = (noise([1, 3, 4]), noise([2, 1, 4]));
        let joined = join(vec![one.clone(), two.clone()], 1);
        assert_eq!(joined.dims(), [2, 4, 4]);
        for batch in 0..2 {
            let part = joined.clone().slice_dim(0, batch..batch + 1);
            assert_eq!(part.clone().slice_dim(1, 0..3).into_data(), one.clone().into_data());
            let expected = two.clone().slice_dim(0, batch..batch + 1);
            assert_eq!(part.slice_dim(1, 3..4).into_data(), expected.into_data());
        }
    }
}
