//! Attention of a Hiera block, with query pooling at the start of a stage (`MultiScaleAttention`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::max_pool::max_pool_2x2_of;
use crate::kernels::{self, FusedLinear, WindowAttention};
use crate::layer_norm::LayerNorm;

/// Values of queries, keys and values in a band, per thread: two megabytes.
const BAND: usize = 1 << 19;

/// Attention within windows or in the whole map. Its queries may be max-pooled.
#[derive(Module, Debug)]
pub struct MultiScaleAttention {
    qkv: Linear,
    proj: Linear,
    num_heads: usize,
    /// 0 means the whole map.
    window_side: usize,
    pool_queries: bool,
}

impl MultiScaleAttention {
    /// Builds the layer. `window_side` is in tokens of the input, 0 for the whole map.
    /// `pool_queries` halves the output's height and width.
    pub fn init(
        dim: usize,
        dim_out: usize,
        num_heads: usize,
        window_side: usize,
        pool_queries: bool,
        device: &Device,
    ) -> Self {
        Self {
            qkv: LinearConfig::new(dim, 3 * dim_out).init(device),
            proj: LinearConfig::new(dim_out, dim_out).init(device),
            num_heads,
            window_side,
            pool_queries,
        }
    }

    /// Norms `[batch, height, width, dim]`, attends, and adds the result to `shortcut_bhwc` of
    /// shape `[batch, height', width', dim_out]`. The height and width are halved if queries are
    /// pooled.
    ///
    /// The official code cuts the map into windows before the first product. Here the product comes
    /// first. It is the same for each token, needs no work for tokens beyond the edge (whose
    /// product is the bias), and its parts are read where they lie. On the CPU, large maps are
    /// processed in bands of whole windows, so that the values between the two products stay in the
    /// caches and take little memory.
    pub fn refine(
        &self,
        shortcut_bhwc: Tensor<4>,
        norm: &LayerNorm,
        x_bhwc: Tensor<4>,
    ) -> Tensor<4> {
        let rows = self.rows_of_band(&x_bhwc, rayon::current_num_threads());
        self.refine_in_bands(shortcut_bhwc, norm, x_bhwc, rows)
    }

    /// Processes `rows` rows at a time: whole windows, or the whole map.
    fn refine_in_bands(
        &self,
        shortcut_bhwc: Tensor<4>,
        norm: &LayerNorm,
        x_bhwc: Tensor<4>,
        rows: usize,
    ) -> Tensor<4> {
        let [_, height, _, _] = x_bhwc.dims();
        if rows >= height {
            return self.refine_band(shortcut_bhwc, norm, x_bhwc);
        }
        let shrink = if self.pool_queries { 2 } else { 1 };
        let band = |start: usize| {
            let end = (start + rows).min(height);
            let shortcut = shortcut_bhwc.clone().slice_dim(1, start / shrink..end / shrink);
            self.refine_band(shortcut, norm, x_bhwc.clone().slice_dim(1, start..end))
        };
        kernels::join((0..height).step_by(rows).map(band).collect(), 1)
    }

    /// Returns the number of rows that are processed together: whole windows, or all rows of the
    /// map.
    fn rows_of_band(&self, x_bhwc: &Tensor<4>, threads: usize) -> usize {
        let [batch, height, width, _] = x_bhwc.dims();
        let of_row = batch * width * self.qkv.weight.dims()[1];
        let most = BAND * threads;
        if self.window_side == 0
            || height * of_row <= 4 * most
            || !kernels::is_on_cpu(&x_bhwc.device())
        {
            return height;
        }
        (most / of_row / self.window_side).max(1) * self.window_side
    }

    fn refine_band(
        &self,
        shortcut_bhwc: Tensor<4>,
        norm: &LayerNorm,
        x_bhwc: Tensor<4>,
    ) -> Tensor<4> {
        let qkv = FusedLinear::new(&self.qkv).after(norm).for_products().forward(x_bhwc);
        let channels = qkv.dims()[3] / 3;
        // If queries are pooled, windows have even sides, so that no 2 x 2 block of tokens spans
        // two windows.
        let pooled = self.pool_queries.then(|| max_pool_2x2_of(channels, qkv.clone()));
        let outside = match &self.qkv.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([3 * channels], &qkv.device()),
        };
        let attention = WindowAttention { heads: self.num_heads, side: self.window_side };
        let attended = attention.forward(qkv, pooled, outside);
        FusedLinear::new(&self.proj).plus(&shortcut_bhwc).forward(attended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn bands_make_no_difference() {
        let device = Device::flex();
        // Cases: windows that reach beyond the edge, and pooled queries; bands of one window and of
        // two, the last band cut.
        for (size, dim_out, pool) in [([20, 10], 12, false), ([22, 12], 24, true)] {
            let [height, width] = size;
            let attention = MultiScaleAttention::init(12, dim_out, 2, 4, pool, &device);
            let norm = LayerNorm::init(12, 1e-6, &device);
            let x = noise([2, height, width, 12]);
            let shrink = if pool { 2 } else { 1 };
            let shortcut = noise([2, height / shrink, width / shrink, dim_out]);
            let rows = |rows: usize| {
                let out = attention.refine_in_bands(shortcut.clone(), &norm, x.clone(), rows);
                assert_eq!(out.dims(), shortcut.dims());
                out.into_data()
            };
            let whole = rows(height);
            assert_eq!(rows(4), whole);
            assert_eq!(rows(8), whole);
        }
    }

    #[test]
    fn bands_are_for_large_maps_and_of_whole_windows() {
        let device = Device::flex();
        let rows = |side: usize, window: usize, threads: usize| {
            let x = Tensor::<4>::zeros([1, side, side, 96], &device);
            MultiScaleAttention::init(96, 96, 1, window, false, &device).rows_of_band(&x, threads)
        };
        assert_eq!(rows(64, 14, 2), 64, "small");
        assert_eq!(rows(256, 0, 2), 256, "one window");
        assert_eq!(rows(256, 8, 2), 8);
        assert_eq!(rows(256, 8, 4), 24);
        assert_eq!(rows(256, 8, 64), 256, "small for so many threads");
        assert_eq!(rows(256, 14, 1), 14, "a window is more than a band");
    }
}
