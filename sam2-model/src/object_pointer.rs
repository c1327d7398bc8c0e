//! Object pointers: one vector per object and frame that later frames attend to (section 4 of the
//! paper).

use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use crate::kernels::{FusedLinear, join};
use crate::position_encoding::sine_1d;

/// A pointer and the distance of its frame.
#[derive(Clone, Debug)]
pub struct PointerMemory {
    /// Number of frames from the pointer's frame to the current one, in the direction of tracking.
    /// Negative for a conditioning frame that is still to come.
    pub distance: i64,
    /// `[batch, hidden_dim]`.
    pub pointer: Tensor<2>,
}

/// Splits pointers of `hidden_dim` values into tokens of `memory_dim` and encodes their temporal
/// positions.
///
/// Returns tokens `[batch, pointers * (hidden_dim / memory_dim), memory_dim]` and positions
/// `[1, same, memory_dim]`. `projection` is 2.1's `obj_ptr_tpos_proj`. Without it positions are
/// zero, as in 2.0. `time_scale` is `min(frames in the recording, 16) - 1`.
pub(crate) fn pointer_tokens(
    pointers: &[PointerMemory],
    projection: Option<&Linear>,
    memory_dim: usize,
    time_scale: usize,
    device: &Device,
) -> (Tensor<3>, Tensor<3>) {
    let count = pointers.len();
    let each = pointers.iter().map(|pointer| pointer.pointer.clone().unsqueeze_dim(1));
    let stacked = join::<3>(each.collect(), 1);
    let [batch, _, hidden_dim] = stacked.dims();
    let split = hidden_dim / memory_dim;
    let tokens = stacked.reshape([batch, count * split, memory_dim]);
    let positions = match projection {
        Some(projection) => {
            let scale = time_scale.max(1) as f32;
            let distances: Vec<f32> = pointers.iter().map(|p| p.distance as f32 / scale).collect();
            FusedLinear::new(projection)
                .forward(sine_1d(&distances, hidden_dim, device))
                .reshape([count, 1, memory_dim])
                .expand([count, split, memory_dim])
                .reshape([1, count * split, memory_dim])
        }
        None => Tensor::zeros([1, count * split, memory_dim], device),
    };
    (tokens, positions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn a_pointer_becomes_consecutive_tokens_of_one_object() {
        let device = Device::flex();
        let pointer = |start: f32| {
            let data: Vec<f32> = (0..8).map(|i| start + i as f32).collect();
            // Two objects with pointers of four channels.
            PointerMemory {
                distance: 1,
                pointer: Tensor::from_data(TensorData::new(data, [2, 4]), &device),
            }
        };
        let (tokens, positions) =
            pointer_tokens(&[pointer(0.0), pointer(100.0)], None, 2, 15, &device);
        assert_eq!(tokens.dims(), [2, 4, 2]);
        let values: Vec<f32> = tokens.into_data().try_to_vec().unwrap();
        assert_eq!(&values[..8], [0., 1., 2., 3., 100., 101., 102., 103.]);
        assert_eq!(&values[8..], [4., 5., 6., 7., 104., 105., 106., 107.]);
        assert_eq!(positions.dims(), [1, 4, 2]);
    }
}
