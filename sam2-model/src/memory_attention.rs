//! Conditioning a frame on its memories (section 4 of the SAM 2 paper; `modeling/memory_attention.py`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::config::Sam2Config;
use crate::kernels::{Activation, FusedLinear, attention, fused_linear_chain, projections};
use crate::layer_norm::LayerNorm;
use crate::rotary::RotaryTable;

/// Weight of the position encoding that is added to the frame once, before the first layer.
const INPUT_POSITION_WEIGHT: f64 = 0.1;

/// What a frame attends to: the tokens of the selected memories and object pointers, in the official order
/// (conditioning frames, then oldest to newest, then pointers).
#[derive(Clone, Debug)]
pub struct MemoryTokens {
    /// `[batch, tokens, memory_dim]`: the values, and the keys before positions.
    pub tokens: Tensor<3>,
    /// `[batch or 1, tokens, memory_dim]`: added to the keys only.
    pub positions: Tensor<3>,
    /// How many tokens at the end are object pointers: they have no place on the map and are not rotated.
    pub pointer_tokens: usize,
}

/// One-head attention whose queries and keys are rotated by their place (`RoPEAttention`).
#[derive(Module, Debug)]
pub struct RotaryAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
}

impl RotaryAttention {
    fn init(dim: usize, key_value_dim: usize, device: &Device) -> Self {
        let linear = |input| LinearConfig::new(input, dim).init(device);
        Self {
            q_proj: linear(dim),
            k_proj: linear(key_value_dim),
            v_proj: linear(key_value_dim),
            out_proj: linear(dim),
        }
    }

    /// The frame `x` `[batch, n, dim]` with what it has seen of itself; `norm` comes first.
    fn to_itself(&self, x: Tensor<3>, norm: &LayerNorm, rotary: &RotaryTable) -> Tensor<3> {
        let layers = [&self.q_proj, &self.k_proj, &self.v_proj];
        let [queries, keys, values] = projections(norm, layers, &x);
        let attended = one_head(rotary.rotate(queries), rotary.rotate(keys), values);
        FusedLinear::new(&self.out_proj).plus(&x).forward(attended)
    }

    /// The frame `x` `[batch, n, dim]` with what it has seen of its memories, `[batch, m, key_value_dim]`; `norm` comes first. The pointers, the last
    /// of the keys, keep their direction.
    fn to_memories(
        &self,
        x: Tensor<3>,
        norm: &LayerNorm,
        memory: &MemoryTokens,
        keys: Tensor<3>,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        let queries = FusedLinear::new(&self.q_proj).after(norm).for_products().forward(x.clone());
        let queries = rotary.rotate(queries);
        let keys = FusedLinear::new(&self.k_proj).for_products().forward(keys);
        let rotated = keys.dims()[1] - memory.pointer_tokens;
        let keys = rotary.rotate_leading(keys, rotated);
        let values = memory.tokens.clone();
        // Weights sum to one, so a linear map of the values may come after the attention as well as before. Memories are a quarter as wide as
        // what they are mapped to (64 and 256): mapping afterwards makes the second product of the attention a quarter as long.
        let [_, _, narrow] = values.dims();
        let value = FusedLinear::new(&self.v_proj).for_products();
        let attended = if narrow < self.v_proj.weight.dims()[1] {
            value.forward(one_head(queries, keys, values))
        } else {
            one_head(queries, keys, value.forward(values))
        };
        FusedLinear::new(&self.out_proj).plus(&x).forward(attended)
    }
}

/// Attention with a single head, `[batch, tokens, channels]` each.
fn one_head(queries: Tensor<3>, keys: Tensor<3>, values: Tensor<3>) -> Tensor<3> {
    let head = |x: Tensor<3>| x.unsqueeze_dim::<4>(1);
    attention(head(queries), head(keys), head(values))
}

/// Self-attention, attention to the memories, feed-forward; each normed before.
#[derive(Module, Debug)]
pub struct MemoryAttentionLayer {
    self_attn: RotaryAttention,
    cross_attn_image: RotaryAttention,
    linear1: Linear,
    linear2: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
    norm3: LayerNorm,
}

impl MemoryAttentionLayer {
    fn init(config: &Sam2Config, device: &Device) -> Self {
        let (dim, hidden) = (config.hidden_dim, config.memory_attention_feed_forward);
        let norm = || LayerNorm::init(dim, LayerNorm::EPSILON, device);
        Self {
            self_attn: RotaryAttention::init(dim, dim, device),
            cross_attn_image: RotaryAttention::init(dim, config.memory_dim, device),
            linear1: LinearConfig::new(dim, hidden).init(device),
            linear2: LinearConfig::new(hidden, dim).init(device),
            norm1: norm(),
            norm2: norm(),
            norm3: norm(),
        }
    }

    fn self_attention(&self, x: Tensor<3>, rotary: &RotaryTable) -> Tensor<3> {
        self.self_attn.to_itself(x, &self.norm1, rotary)
    }

    fn cross_attention(
        &self,
        x: Tensor<3>,
        memory: &MemoryTokens,
        keys: &Tensor<3>,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        self.cross_attn_image.to_memories(x, &self.norm2, memory, keys.clone(), rotary)
    }

    fn feed_forward(&self, x: Tensor<3>) -> Tensor<3> {
        let wide = FusedLinear::new(&self.linear1).after(&self.norm3).activated(Activation::Relu);
        fused_linear_chain(&[wide, FusedLinear::new(&self.linear2).plus(&x)], x.clone())
    }
}

/// The stack of layers and the final norm.
#[derive(Module, Debug)]
pub struct MemoryAttention {
    layers: Vec<MemoryAttentionLayer>,
    norm: LayerNorm,
}

impl MemoryAttention {
    /// Builds the stack, to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        Self {
            layers: (0..config.memory_attention_layers)
                .map(|_| MemoryAttentionLayer::init(config, device))
                .collect(),
            norm: LayerNorm::init(config.hidden_dim, LayerNorm::EPSILON, device),
        }
    }

    /// Takes `frame` `[1, n, hidden_dim]` with its positions (same shape) through what comes before the first attention to memories. Nothing here
    /// depends on the object: once per frame is enough, however many objects there are.
    pub fn begin(
        &self,
        frame: Tensor<3>,
        frame_positions: Tensor<3>,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        let x = frame + frame_positions * INPUT_POSITION_WEIGHT;
        match self.layers.first() {
            Some(layer) => layer.self_attention(x, rotary),
            None => x,
        }
    }

    /// Conditions what [`Self::begin`] has made of a frame on the memories of each object of a batch: `[batch, n, hidden_dim]`.
    pub fn attend(
        &self,
        begun: Tensor<3>,
        memory: &MemoryTokens,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        let [batch, _, _] = memory.tokens.dims();
        let [_, tokens, channels] = begun.dims();
        let keys = memory.tokens.clone() + memory.positions.clone();
        let mut x = begun.expand([batch, tokens, channels]);
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                x = layer.self_attention(x, rotary);
            }
            x = layer.cross_attention(x, memory, &keys, rotary);
            x = layer.feed_forward(x);
        }
        self.norm.forward(x)
    }
}
