//! Attention within the windows of a map.

use burn::tensor::{FloatDType, Tensor};
use sam2_cpu_kernels::{HeadsView, WindowGrid};

use super::attention::{attention_on_any_device, on_the_cpu};
use super::bridge::{from_values, into_flex, values};
use super::format::half;
use super::join::join;
use super::on_gpu;

/// Attention within square windows of a map of tokens, as used by hierarchical vision transformers.
#[derive(Clone, Copy, Debug)]
pub struct WindowAttention {
    /// Number of heads, which share the channels equally.
    pub heads: usize,
    /// Tokens along a window's side; 0 means that the whole map is one window. Windows that reach
    /// beyond the lower or the right edge of the map are padded.
    pub side: usize,
}

impl WindowAttention {
    /// Maps the queries, keys and values of each token, `[batch, height, width, 3 * channels]`, to
    /// `[batch, height, width, channels]`.
    ///
    /// `outside`, `[3 * channels]`, replaces them for a token beyond the edge. It is the output for
    /// zeros of the layer that made them: its bias. Such tokens are keys like any other, as in the
    /// official code (`window_partition`).
    ///
    /// `pooled` replaces the queries in `qkv_bhwc` with one query for each 2 x 2 tokens:
    /// `[batch, height / 2, width / 2, channels]`, which is then also the shape of the result. In
    /// this case the map and the windows must have even sides.
    pub fn forward(
        self,
        qkv_bhwc: Tensor<4>,
        pooled: Option<Tensor<4>>,
        outside: Tensor<1>,
    ) -> Tensor<4> {
        self.in_place(&qkv_bhwc, pooled.as_ref(), &outside)
            .or_else(|| on_gpu::window_attention(self, &qkv_bhwc, pooled.as_ref(), &outside))
            .unwrap_or_else(|| self.on_any_device(qkv_bhwc, pooled, outside))
    }

    /// Runs on the CPU: nothing is copied, and queries beyond the edge are skipped.
    fn in_place(
        self,
        qkv_bhwc: &Tensor<4>,
        pooled: Option<&Tensor<4>>,
        outside: &Tensor<1>,
    ) -> Option<Tensor<4>> {
        let [batch, height, width, by_token] = qkv_bhwc.dims();
        let channels = by_token / 3;
        let qkv = into_flex(qkv_bhwc.clone()).ok()?;
        let outside = into_flex(outside.clone()).ok()?;
        let shape = [batch, self.heads, channels / self.heads];
        let grid = |side, size| if self.side == 0 { None } else { WindowGrid::new(side, size) };
        let windows = grid(self.side, [height, width]);
        let part = |index: usize| {
            let start = index * channels;
            let outside = values(&outside).get(start..start + channels)?;
            let tokens = Tokens { data: values(&qkv), start, by_token, count: height * width };
            tokens.view(windows.as_ref(), shape, Some(outside))
        };
        let (out, [rows, columns]) = match pooled {
            None => (on_the_cpu(part(0)?, part(1)?, part(2)?)?, [height, width]),
            Some(pooled) => {
                let [_, rows, columns, by_token] = pooled.dims();
                let pooled = into_flex(pooled.clone()).ok()?;
                let windows = grid(self.side / 2, [rows, columns]);
                let data = values(&pooled);
                let tokens = Tokens { data, start: 0, by_token, count: rows * columns };
                let queries = tokens.view(windows.as_ref(), shape, None)?;
                (on_the_cpu(queries, part(1)?, part(2)?)?, [rows, columns])
            }
        };
        Some(from_values(out, [batch, rows, columns, channels]))
    }

    /// Does the same with burn's operations, on any device.
    pub fn on_any_device(
        self,
        qkv_bhwc: Tensor<4>,
        pooled: Option<Tensor<4>>,
        outside: Tensor<1>,
    ) -> Tensor<4> {
        let [_, height, width, by_token] = qkv_bhwc.dims();
        let (channels, side) = (by_token / 3, self.side);
        let partition = |x: Tensor<4>, side: usize, outside: &Tensor<1>| {
            if side == 0 { x } else { partition(x, side, outside) }
        };
        let windows = partition(qkv_bhwc, side, &outside);
        let part =
            |index: usize| windows.clone().slice_dim(3, index * channels..(index + 1) * channels);
        let (queries, size) = match pooled {
            None => (part(0), [height, width]),
            Some(pooled) => {
                let [_, rows, columns, _] = pooled.dims();
                let outside = outside.slice_dim(0, 0..channels);
                (partition(pooled, side / 2, &outside), [rows, columns])
            }
        };
        let query_shape = queries.dims();
        let heads = |x: Tensor<4>| {
            let [count, rows, columns, _] = x.dims();
            let tokens = rows * columns;
            x.reshape([count, tokens, self.heads, channels / self.heads]).swap_dims(1, 2)
        };
        let attended = attention_on_any_device(heads(queries), heads(part(1)), heads(part(2)));
        let attended = attended.reshape(query_shape);
        if side == 0 { attended } else { unpartition(attended, query_shape[1], size) }
    }
}

/// Some channels of the tokens of maps, row-major `[maps, count, by_token]`, from channel `start`
/// on.
struct Tokens<'a> {
    data: &'a [f32],
    start: usize,
    by_token: usize,
    count: usize,
}

impl<'a> Tokens<'a> {
    /// Returns a view of them as `[maps, heads, channels]`, in windows or all together.
    fn view(
        self,
        windows: Option<&'a WindowGrid>,
        shape: [usize; 3],
        outside: Option<&'a [f32]>,
    ) -> Option<HeadsView<'a>> {
        let Self { data, start, by_token, count } = self;
        let [maps, heads, channels] = shape;
        match windows {
            Some(grid) => HeadsView::in_windows(data, start, by_token, grid, shape, outside),
            None => {
                let strides = [count * by_token, channels, by_token, 1].map(|by| by as isize);
                HeadsView::new(data, start, [maps, heads, count, channels], strides)
            }
        }
    }
}

/// Cuts `[batch, height, width, channels]` into windows `[batch * windows, side, side, channels]`,
/// in reading order. `outside`, `[channels]`, fills tokens beyond the edge.
fn partition(x_bhwc: Tensor<4>, side: usize, outside: &Tensor<1>) -> Tensor<4> {
    let [batch, height, width, channels] = x_bhwc.dims();
    let [rows, columns] = [height, width].map(|length| length.div_ceil(side));
    let filled = |x: Tensor<4>, dim: usize, length: usize| {
        let mut shape = x.dims();
        if shape[dim] == length {
            return x;
        }
        shape[dim] = length - shape[dim];
        let format = half(x.dtype()).unwrap_or(FloatDType::F32);
        let beyond = outside.clone().cast(format).reshape([1, 1, 1, channels]).expand(shape);
        join(vec![x, beyond], dim)
    };
    let x = filled(filled(x_bhwc, 1, rows * side), 2, columns * side);
    x.reshape([batch, rows, side, columns, side, channels]).swap_dims(2, 3).reshape([
        batch * rows * columns,
        side,
        side,
        channels,
    ])
}

/// Undoes [`partition`]: restores `[batch, height, width, channels]`.
fn unpartition(windows: Tensor<4>, side: usize, [height, width]: [usize; 2]) -> Tensor<4> {
    let [count, _, _, channels] = windows.dims();
    let [rows, columns] = [height, width].map(|length| length.div_ceil(side));
    let batch = count / (rows * columns);
    let x = windows
        .reshape([batch, rows, columns, side, side, channels])
        .swap_dims(2, 3)
        .reshape([batch, rows * side, columns * side, channels]);
    if [rows * side, columns * side] == [height, width] {
        x
    } else {
        x.slice([0..batch, 0..height, 0..width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use burn::tensor::Device;

    #[test]
    fn unpartition_undoes_partition() {
        for (height, width, side) in [(8, 8, 4), (7, 9, 4), (3, 3, 5), (16, 16, 6)] {
            let x = noise([2, height, width, 3]);
            let windows = partition(x.clone(), side, &noise([3]));
            let back = unpartition(windows, side, [height, width]);
            assert_eq!(x.into_data(), back.into_data());
        }
    }

    #[test]
    fn windows_are_in_reading_order_and_filled_up() {
        let device = Device::flex();
        let x =
            Tensor::<1>::from_data([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &device).reshape([1, 2, 3, 1]);
        let outside = Tensor::<1>::from_data([9.0], &device);
        let windows: Vec<f32> = partition(x, 2, &outside).into_data().try_to_vec().unwrap();
        assert_eq!(windows, [1.0, 2.0, 4.0, 5.0, 3.0, 9.0, 6.0, 9.0]);
    }

    #[test]
    fn the_cpu_agrees_with_burn() {
        for (size, side, pooled) in [
            ([8, 12], 4, false),
            ([8, 12], 4, true),
            ([7, 9], 4, false),
            ([10, 14], 8, true),
            ([6, 4], 0, false),
            ([6, 4], 0, true),
            ([3, 3], 7, false),
        ] {
            let [height, width] = size;
            let (qkv, outside) = (noise([2, height, width, 3 * 24]), noise([72]));
            let pooled = pooled.then(|| noise([2, height / 2, width / 2, 24]));
            let attention = WindowAttention { heads: 3, side };
            let ours = attention.forward(qkv.clone(), pooled.clone(), outside.clone());
            let burns = attention.on_any_device(qkv, pooled, outside);
            assert_eq!(ours.dims(), burns.dims());
            let off: f32 = (ours - burns).abs().max().into_scalar();
            assert!(off < 2e-5, "{size:?} {side}: {off}");
        }
    }
}
