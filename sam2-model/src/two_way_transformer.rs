//! The decoder's transformer: tokens attend to the image, and the image to the tokens (SAM;
//! `TwoWayTransformer` in `modeling/sam/transformer.py`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor};

use crate::device_failure::DeviceFailure;
use crate::kernels::{Activation, FusedLinear, attention};
use crate::layer_norm::LayerNorm;
use crate::mlp::Mlp;
use crate::packed::{Part, side_by_side};

/// Number of blocks in the transformer.
const DEPTH: usize = 2;
/// Number of heads of each of its attentions.
const NUM_HEADS: usize = 8;
/// Hidden width of the perceptrons.
const MLP_DIM: usize = 2048;
/// Factor by which cross attentions reduce the width.
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

    /// Attends from queries `[batch, n, dim]` to keys and values `[batch, m, dim]`. Returns
    /// `[batch, n, dim]`, added to `residual` if there is one.
    fn forward(
        &self,
        queries: Tensor<3>,
        keys: Tensor<3>,
        values: Tensor<3>,
        residual: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        let project = |layer, x: Tensor<3>| {
            let [heads] = split(FusedLinear::new(layer).forward(x));
            heads
        };
        let (queries, keys) = (project(&self.q_proj, queries), project(&self.k_proj, keys));
        self.attend(queries, keys, project(&self.v_proj, values), residual)
    }

    /// Returns the queries of tokens with their positions, `[batch, heads, n, width]`.
    fn queries_of_sum(&self, tokens: &Tensor<3>, positions: &Tensor<3>) -> Tensor<4> {
        let layer = FusedLinear::new(&self.q_proj);
        let outputs = self.q_proj.weight.dims()[1];
        let [queries] = split(layer.of_sum(positions, outputs).forward(tokens.clone()));
        queries
    }

    /// Attends with projected queries, keys and values, `[batch, heads, n or m, width]` each.
    fn attend(
        &self,
        queries: Tensor<4>,
        keys: Tensor<4>,
        values: Tensor<4>,
        residual: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        let attended = attention(queries, keys, values);
        let out = FusedLinear::new(&self.out_proj);
        residual.map_or(out, |residual| out.plus(residual)).forward(attended)
    }
}

/// Splits `[batch, tokens, channels]` into `N` parts of equal width, each as
/// `[batch, heads, tokens, width]`.
fn split<const N: usize>(x: Tensor<3>) -> [Tensor<4>; N] {
    let [batch, tokens, channels] = x.dims();
    // Heads first: reshaping a slice would copy it.
    let heads = x.reshape([batch, tokens, N * NUM_HEADS, channels / (N * NUM_HEADS)]);
    std::array::from_fn(|part| {
        let of_part = part * NUM_HEADS..(part + 1) * NUM_HEADS;
        heads.clone().slice_dim(2, of_part).swap_dims(1, 2)
    })
}

/// The position encoding of the image, and the tensors made from it when a model is loaded for a
/// GPU.
#[derive(Clone, Debug)]
pub struct ImagePositions {
    /// `[1, n, dim]`.
    pub tokens: Tensor<3>,
    /// The positions' contribution to the image's projections, for each block and then for the last
    /// attention, `[1, n, parts * dim / 2]`. Empty if nothing is packed.
    projected: Vec<Tensor<3>>,
}

/// A block's layers merged for a GPU (see [`crate::packed`]).
#[derive(Clone, Debug)]
struct PackedBlock {
    /// Queries, keys and values of the tokens' self-attention.
    tokens: Linear,
    /// Projections of the image: keys and values for the tokens, then queries for attending to
    /// them. Both attentions use the same image.
    image: Linear,
    /// Contribution of the image's positions to its projections: keys, nothing, queries.
    positions: Linear,
    /// Projections of the tokens for the image: keys and values.
    for_image: Linear,
}

/// The last attention's layers merged for a GPU.
#[derive(Clone, Debug)]
struct PackedEnd {
    /// Projections of the image: keys and values.
    image: Linear,
    /// Contribution of positions to them: keys, nothing.
    positions: Linear,
}

/// One block: self-attention of the tokens, tokens to image, perceptron, image to tokens, each
/// followed by a norm.
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
    #[module(skip)]
    packed: Option<PackedBlock>,
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
            packed: None,
        }
    }

    /// Merges layers for a GPU.
    fn pack(&mut self) -> Result<(), DeviceFailure> {
        let together = |layers: &[&Linear]| {
            let parts: Vec<_> = layers.iter().copied().map(Part::All).collect();
            side_by_side(&parts, FloatDType::F32)
        };
        let itself = &self.self_attn;
        let (to_image, to_tokens) =
            (&self.cross_attn_token_to_image, &self.cross_attn_image_to_token);
        let values = Part::Nothing(to_image.v_proj.weight.dims()[1]);
        let [keys, queries] = [&to_image.k_proj, &to_tokens.q_proj].map(Part::WithoutBias);
        self.packed = Some(PackedBlock {
            tokens: together(&[&itself.q_proj, &itself.k_proj, &itself.v_proj])?,
            image: together(&[&to_image.k_proj, &to_image.v_proj, &to_tokens.q_proj])?,
            positions: side_by_side(&[keys, values, queries], FloatDType::F32)?,
            for_image: together(&[&to_tokens.k_proj, &to_tokens.v_proj])?,
        });
        Ok(())
    }

    /// Runs [`Self::forward`] with merged layers. `image_term` is the positions' contribution to
    /// the image's projections.
    fn forward_packed(
        &self,
        packed: &PackedBlock,
        tokens: Tensor<3>,
        image: Tensor<3>,
        token_positions: &Tensor<3>,
        image_term: &Tensor<3>,
        first: bool,
    ) -> (Tensor<3>, Tensor<3>) {
        let itself = FusedLinear::new(&packed.tokens);
        let outputs = packed.tokens.weight.dims()[1];
        let (itself, residual) = if first {
            (itself, None)
        } else {
            (itself.of_sum(token_positions, 2 * outputs / 3), Some(&tokens))
        };
        let [queries, keys, values] = split(itself.forward(tokens.clone()));
        let tokens = self.norm1.forward(self.self_attn.attend(queries, keys, values, residual));

        let to_image = &self.cross_attn_token_to_image;
        let of_image = FusedLinear::new(&packed.image).plus(image_term).forward(image.clone());
        let [keys, values, image_queries] = split(of_image);
        let queries = to_image.queries_of_sum(&tokens, token_positions);
        let attended = to_image.attend(queries, keys, values, Some(&tokens));
        let tokens = self.norm2.forward(attended);

        let tokens = self.norm3.forward(self.mlp.refine(tokens, None));

        let for_image = FusedLinear::new(&packed.for_image);
        let outputs = packed.for_image.weight.dims()[1];
        let for_image = for_image.of_sum(token_positions, outputs / 2).forward(tokens.clone());
        let [keys, values] = split(for_image);
        let attended =
            self.cross_attn_image_to_token.attend(image_queries, keys, values, Some(&image));
        (tokens, self.norm4.forward(attended))
    }

    fn forward(
        &self,
        tokens: Tensor<3>,
        image: Tensor<3>,
        token_positions: &Tensor<3>,
        image_positions: &Tensor<3>,
        first: bool,
    ) -> (Tensor<3>, Tensor<3>) {
        // The first block replaces the tokens instead of adding to them, and uses no positions.
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
    #[module(skip)]
    packed_end: Option<PackedEnd>,
}

impl TwoWayTransformer {
    /// Builds the transformer for vectors of `dim` with parameters to be loaded.
    pub fn init(dim: usize, device: &Device) -> Self {
        Self {
            layers: (0..DEPTH).map(|_| TwoWayBlock::init(dim, device)).collect(),
            final_attn_token_to_image: TokenAttention::init(dim, CROSS_DOWNSAMPLE, device),
            norm_final_attn: LayerNorm::init(dim, LayerNorm::EPSILON, device),
            packed_end: None,
        }
    }

    /// Merges layers for a GPU (see [`crate::packed`]).
    pub(crate) fn pack(&mut self) -> Result<(), DeviceFailure> {
        for layer in &mut self.layers {
            layer.pack()?;
        }
        let last = &self.final_attn_token_to_image;
        let values = Part::Nothing(last.v_proj.weight.dims()[1]);
        let together = |parts: [Part<'_>; 2]| side_by_side(&parts, FloatDType::F32);
        self.packed_end = Some(PackedEnd {
            image: together([Part::All(&last.k_proj), Part::All(&last.v_proj)])?,
            positions: together([Part::WithoutBias(&last.k_proj), values])?,
        });
        Ok(())
    }

    /// Prepares the image's position encoding `[1, n, dim]` for [`Self::forward`].
    pub fn image_positions(&self, tokens: Tensor<3>) -> ImagePositions {
        let blocks = self.layers.iter().filter_map(|layer| layer.packed.as_ref());
        let layers = blocks
            .map(|block| &block.positions)
            .chain(self.packed_end.iter().map(|end| &end.positions));
        let projected =
            layers.map(|layer| FusedLinear::new(layer).forward(tokens.clone())).collect();
        ImagePositions { tokens, projected }
    }

    /// Processes the image `[batch, n, dim]`, with its positions, and tokens `[batch, t, dim]`.
    /// Returns the tokens and the image in the same shapes.
    pub fn forward(
        &self,
        mut image: Tensor<3>,
        image_positions: &ImagePositions,
        tokens: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let token_positions = tokens.clone();
        let mut queries = tokens;
        let mut projected = image_positions.projected.iter();
        for (index, layer) in self.layers.iter().enumerate() {
            let first = index == 0;
            (queries, image) = match (&layer.packed, projected.next()) {
                (Some(packed), Some(term)) => {
                    layer.forward_packed(packed, queries, image, &token_positions, term, first)
                }
                _ => {
                    let positions = &image_positions.tokens;
                    layer.forward(queries, image, &token_positions, positions, first)
                }
            };
        }
        let last = &self.final_attn_token_to_image;
        let attended = match (&self.packed_end, projected.next()) {
            (Some(packed), Some(term)) => {
                let of_image = FusedLinear::new(&packed.image).plus(term).forward(image.clone());
                let [keys, values] = split(of_image);
                let placed = last.queries_of_sum(&queries, &token_positions);
                last.attend(placed, keys, values, Some(&queries))
            }
            _ => {
                let placed = queries.clone() + token_positions;
                let keys = image.clone() + image_positions.tokens.clone();
                last.forward(placed, keys, image.clone(), Some(&queries))
            }
        };
        (self.norm_final_attn.forward(attended), image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn packed_layers_give_what_single_ones_give() {
        let plain = TwoWayTransformer::init(32, &Device::flex());
        let mut packed = plain.clone();
        packed.pack().unwrap();
        let (image, places, tokens) = (noise([2, 30, 32]), noise([1, 30, 32]), noise([2, 5, 32]));
        let of = |transformer: &TwoWayTransformer| {
            let positions = transformer.image_positions(places.clone());
            transformer.forward(image.clone(), &positions, tokens.clone())
        };
        let ((a, b), (c, d)) = (of(&plain), of(&packed));
        let off = |a: Tensor<3>, b: Tensor<3>| -> f32 { (a - b).abs().max().into_scalar() };
        assert!(off(a, c) < 1e-5);
        assert!(off(b, d) < 1e-5);
    }
}
