//! The decoder's transformer: tokens attend to the image, the image to the tokens (SAM;
//! `TwoWayTransformer` in `modeling/sam/transformer.py`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::kernels::{Activation, FusedLinear, attention};
use crate::layer_norm::LayerNorm;
use crate::mlp::Mlp;

/// Blocks in the transformer.
const DEPTH: usize = 2;
/// Heads of every attention in it.
const NUM_HEADS: usize = 8;
/// Hidden width of the perceptrons.
const MLP_DIM: usize = 2048;
/// Cross attentions work at half the width.
const CROSS_DOWNSAMPLE: usize = 2;

/// Multi-head attention that may work at a reduced width.
#[derive(Module, Debug)]
pub struct TokenAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
}

impl TokenAttention {
    fn init(dim: usize, downsample: usize, device: &Device) -> Self {
        let internal = dim / downsample;
        let inward = || LinearConfig::new(dim, internal).init(device);
        Self {
            q_proj: inward(),
            k_proj: inward(),
            v_proj: inward(),
            out_proj: LinearConfig::new(internal, dim).init(device),
        }
    }

    /// Queries `[batch, n, dim]`, keys and values `[batch, m, dim]` to `[batch, n, dim]`, added to `residual` if there is one.
    fn forward(
        &self,
        queries: Tensor<3>,
        keys: Tensor<3>,
        values: Tensor<3>,
        residual: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        let heads = |layer, x: Tensor<3>| {
            let x: Tensor<3> = FusedLinear::new(layer).forward(x);
            let [batch, tokens, channels] = x.dims();
            x.reshape([batch, tokens, NUM_HEADS, channels / NUM_HEADS]).swap_dims(1, 2)
        };
        let attended = attention(
            heads(&self.q_proj, queries),
            heads(&self.k_proj, keys),
            heads(&self.v_proj, values),
        );
        let out = FusedLinear::new(&self.out_proj);
        residual.map_or(out, |residual| out.plus(residual)).forward(attended)
    }
}

/// Self-attention of the tokens, tokens to image, perceptron, image to tokens; each normed after.
#[derive(Module, Debug)]
struct TwoWayBlock {
    self_attn: TokenAttention,
    norm1: LayerNorm,
    cross_attn_token_to_image: TokenAttention,
    norm2: LayerNorm,
    mlp: Mlp,
    norm3: LayerNorm,
    norm4: LayerNorm,
    cross_attn_image_to_token: TokenAttention,
}

impl TwoWayBlock {
    fn init(dim: usize, device: &Device) -> Self {
        let norm = || LayerNorm::init(dim, LayerNorm::EPSILON, device);
        let cross = || TokenAttention::init(dim, CROSS_DOWNSAMPLE, device);
        Self {
            self_attn: TokenAttention::init(dim, 1, device),
            norm1: norm(),
            cross_attn_token_to_image: cross(),
            norm2: norm(),
            mlp: Mlp::init(&[dim, MLP_DIM, dim], Activation::Relu, device),
            norm3: norm(),
            norm4: norm(),
            cross_attn_image_to_token: cross(),
        }
    }

    fn forward(
        &self,
        tokens: Tensor<3>,
        image: Tensor<3>,
        token_positions: &Tensor<3>,
        image_positions: &Tensor<3>,
        first: bool,
    ) -> (Tensor<3>, Tensor<3>) {
        // The first block replaces the tokens instead of adding to them, and without positions.
        let tokens = if first {
            self.self_attn.forward(tokens.clone(), tokens.clone(), tokens, None)
        } else {
            let placed = tokens.clone() + token_positions.clone();
            self.self_attn.forward(placed.clone(), placed, tokens.clone(), Some(&tokens))
        };
        let tokens = self.norm1.forward(tokens);

        let queries = tokens.clone() + token_positions.clone();
        let keys = image.clone() + image_positions.clone();
        let (values, residual) = (image.clone(), Some(&tokens));
        let attended =
            self.cross_attn_token_to_image.forward(queries, keys.clone(), values, residual);
        let tokens = self.norm2.forward(attended);

        let tokens = self.norm3.forward(self.mlp.refine(tokens, None));

        let token_keys = tokens.clone() + token_positions.clone();
        let (values, residual) = (tokens.clone(), Some(&image));
        let attended = self.cross_attn_image_to_token.forward(keys, token_keys, values, residual);
        let image = self.norm4.forward(attended);
        (tokens, image)
    }
}

/// The transformer.
#[derive(Module, Debug)]
pub struct TwoWayTransformer {
    layers: Vec<TwoWayBlock>,
    final_attn_token_to_image: TokenAttention,
    norm_final_attn: LayerNorm,
}

impl TwoWayTransformer {
    /// Builds the transformer for vectors of `dim`, to be loaded.
    pub fn init(dim: usize, device: &Device) -> Self {
        Self {
            layers: (0..DEPTH).map(|_| TwoWayBlock::init(dim, device)).collect(),
            final_attn_token_to_image: TokenAttention::init(dim, CROSS_DOWNSAMPLE, device),
            norm_final_attn: LayerNorm::init(dim, LayerNorm::EPSILON, device),
        }
    }

    /// Image `[batch, n, dim]`, its positions `[1, n, dim]` and tokens `[batch, t, dim]` to the processed tokens
    /// and image, shapes kept.
    pub fn forward(
        &self,
        mut image: Tensor<3>,
        image_positions: Tensor<3>,
        tokens: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let token_positions = tokens.clone();
        let mut queries = tokens;
        for (index, layer) in self.layers.iter().enumerate() {
            (queries, image) =
                layer.forward(queries, image, &token_positions, &image_positions, index == 0);
        }
        let placed = queries.clone() + token_positions;
        let keys = image.clone() + image_positions;
        let (values, residual) = (image.clone(), Some(&queries));
        let attended = self.final_attn_token_to_image.forward(placed, keys, values, residual);
        (self.norm_final_attn.forward(attended), image)
    }
}
