//! Conditioning a frame on its memories (section 4 of the SAM 2 paper; `modeling/memory_attention.py`).

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation};

use crate::config::Sam2Config;
use crate::kernels::attention;
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

    /// Queries `[batch, n, dim]`, keys and values `[batch, m, key_value_dim]` to `[batch, n, dim]`; the last
    /// `unrotated` keys keep their direction.
    fn forward(
        &self,
        queries: Tensor<3>,
        keys: Tensor<3>,
        values: Tensor<3>,
        rotary: &RotaryTable,
        unrotated: usize,
    ) -> Tensor<3> {
        let queries = rotary.rotate(self.q_proj.forward(queries));
        let keys = self.k_proj.forward(keys);
        let rotated = keys.dims()[1] - unrotated;
        let keys = rotary.rotate_leading(keys, rotated);
        let attend = |values: Tensor<3>| {
            let one_head = |x: Tensor<3>| x.unsqueeze_dim::<4>(1);
            attention(one_head(queries), one_head(keys), one_head(values))
        };
        // Weights sum to one, so a linear map of the values may come after the attention as well as before. Memories are a quarter as wide as
        // what they are mapped to (64 and 256): mapping afterwards makes the second product of the attention a quarter as long.
        let [_, _, narrow] = values.dims();
        let attended = if narrow < self.v_proj.weight.dims()[1] {
            self.v_proj.forward(attend(values))
        } else {
            attend(self.v_proj.forward(values))
        };
        self.out_proj.forward(attended)
    }
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
        let norm = || LayerNormConfig::new(dim).init(device);
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
        let normed = self.norm1.forward(x.clone());
        x + self.self_attn.forward(normed.clone(), normed.clone(), normed, rotary, 0)
    }

    fn cross_attention(
        &self,
        x: Tensor<3>,
        memory: &MemoryTokens,
        keys: &Tensor<3>,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        let normed = self.norm2.forward(x.clone());
        x + self.cross_attn_image.forward(
            normed,
            keys.clone(),
            memory.tokens.clone(),
            rotary,
            memory.pointer_tokens,
        )
    }

    fn feed_forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.norm3.forward(x.clone());
        x + self.linear2.forward(activation::relu(self.linear1.forward(normed)))
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
            norm: LayerNormConfig::new(config.hidden_dim).init(device),
        }
    }

    /// Conditions `frame` `[1, n, hidden_dim]` with its positions (same shape) on the memories of each object of a
    /// batch: `[batch, n, hidden_dim]`.
    ///
    /// Until the first attention to memories nothing depends on the object, so that part runs once.
    pub fn forward(
        &self,
        frame: Tensor<3>,
        frame_positions: Tensor<3>,
        memory: &MemoryTokens,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        let [batch, _, _] = memory.tokens.dims();
        let keys = memory.tokens.clone() + memory.positions.clone();
        let mut x = frame + frame_positions * INPUT_POSITION_WEIGHT;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.self_attention(x, rotary);
            if index == 0 && batch > 1 {
                let [_, tokens, channels] = x.dims();
                x = x.expand([batch, tokens, channels]);
            }
            x = layer.cross_attention(x, memory, &keys, rotary);
            x = layer.feed_forward(x);
        }
        self.norm.forward(x)
    }
}
