//! Attention of a Hiera block, with query pooling where a stage begins (`MultiScaleAttention`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::max_pool::max_pool_2x2;
use crate::kernels::{FusedLinear, WindowAttention};
use crate::layer_norm::LayerNorm;

/// Attention whose queries may be max-pooled, within windows or in the whole map.
#[derive(Module, Debug)]
pub struct MultiScaleAttention {
    qkv: Linear,
    proj: Linear,
    num_heads: usize,
    /// 0 = the whole map.
    window_side: usize,
    pool_queries: bool,
}

impl MultiScaleAttention {
    /// `window_side` is in tokens of the input, 0 for the whole map; `pool_queries` halves the output's height and width.
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

    /// What comes of `[batch, height, width, dim]` after a norm, added to `shortcut_bhwc`, `[batch, height', width', dim_out]`, primes halved when pooling.
    ///
    /// The official code cuts the map into windows before the first product; token by token the product is the same afterwards, without work for tokens beyond the edge
    /// (of which it makes its bias) and with its parts read where they lie.
    pub fn refine(
        &self,
        shortcut_bhwc: Tensor<4>,
        norm: &LayerNorm,
        x_bhwc: Tensor<4>,
    ) -> Tensor<4> {
        let qkv = FusedLinear::new(&self.qkv).after(norm).for_products().forward(x_bhwc);
        let channels = qkv.dims()[3] / 3;
        // Windows have even sides where queries are pooled, so that no 2 x 2 tokens are of two windows.
        let pooled = self.pool_queries.then(|| max_pool_2x2(qkv.clone().slice_dim(3, 0..channels)));
        let outside = match &self.qkv.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([3 * channels], &qkv.device()),
        };
        let attention = WindowAttention { heads: self.num_heads, side: self.window_side };
        let attended = attention.forward(qkv, pooled, outside);
        FusedLinear::new(&self.proj).plus(&shortcut_bhwc).forward(attended)
    }
}
