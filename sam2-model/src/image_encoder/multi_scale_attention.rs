//! Attention of a Hiera block, with query pooling where a stage begins (`MultiScaleAttention`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::max_pool::max_pool_2x2;
use crate::kernels::{FusedLinear, attention};

/// Multi-head self-attention within each map of a batch of windows (or of one whole map).
#[derive(Module, Debug)]
pub struct MultiScaleAttention {
    qkv: Linear,
    proj: Linear,
    num_heads: usize,
    pool_queries: bool,
}

impl MultiScaleAttention {
    /// `pool_queries` halves the output's height and width.
    pub fn init(
        dim: usize,
        dim_out: usize,
        num_heads: usize,
        pool_queries: bool,
        device: &Device,
    ) -> Self {
        Self {
            qkv: LinearConfig::new(dim, 3 * dim_out).init(device),
            proj: LinearConfig::new(dim_out, dim_out).init(device),
            num_heads,
            pool_queries,
        }
    }

    /// `[batch, height, width, dim]` to `[batch, height', width', dim_out]`, primes halved when pooling.
    pub fn forward(&self, x_bhwc: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, _] = x_bhwc.dims();
        let tokens = height * width;
        let qkv = FusedLinear::new(&self.qkv).for_products().forward(x_bhwc);
        let channels = qkv.dims()[3] / 3;
        let part =
            |index: usize| qkv.clone().slice_dim(3, index * channels..(index + 1) * channels);
        let heads = |x: Tensor<4>, tokens: usize| {
            x.reshape([batch, tokens, self.num_heads, channels / self.num_heads]).swap_dims(1, 2)
        };

        let mut queries = part(0);
        if self.pool_queries {
            queries = max_pool_2x2(queries);
        }
        let [_, query_height, query_width, _] = queries.dims();
        let attended = attention(
            heads(queries, query_height * query_width),
            heads(part(1), tokens),
            heads(part(2), tokens),
        );
        let merged = attended.reshape([batch, query_height, query_width, channels]);
        FusedLinear::new(&self.proj).forward(merged)
    }
}
