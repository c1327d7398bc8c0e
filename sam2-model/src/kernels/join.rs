//! Putting tensors together.

use burn::tensor::Tensor;

use super::on_gpu;

/// Puts tensors together along `axis`; all other axes are of one length, but for a batch of 1 that serves all.
///
/// What a GPU cannot make, for want of memory say, burn marks as never written, and so all that is made of it, until somebody reads a number and gets an error. Its own joining loses that mark: it is one
/// write per part into one tensor, and the write of a part that is there counts for all of it (cubecl-server 0.11.3, `exit_write`). Our kernel takes all parts in one launch.
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
