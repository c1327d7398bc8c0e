//! Conditioning a frame on its memories (section 4 of the SAM 2 paper;
//! `modeling/memory_attention.py`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor};

use crate::config::Sam2Config;
use crate::device_failure::DeviceFailure;
use crate::kernels::{Activation, FusedLinear, attention, fused_linear_chain};
use crate::layer_norm::LayerNorm;
use crate::packed::{Part, one_after_the_other, side_by_side};
use crate::rotary::RotaryTable;

/// Weight of the position encoding, which is added to the frame once, before the first layer.
pub(crate) const INPUT_POSITION_WEIGHT: f64 = 0.1;

/// The tokens that a frame attends to: those of the selected memories and object pointers, in the
/// official order (conditioning frames, then oldest to newest, then pointers).
#[derive(Clone, Debug)]
pub struct MemoryTokens {
    /// `[batch, tokens, memory_dim]`: the values, and also the keys before positions are added.
    pub tokens: Tensor<3>,
    /// `[batch or 1, tokens, memory_dim]`: added to the keys only.
    pub positions: Tensor<3>,
    /// Number of tokens at the end that are object pointers. They have no position on the map and
    /// are not rotated.
    pub pointer_tokens: usize,
}

/// Single-head attention whose queries and keys are rotated by their position (`RoPEAttention`).
#[derive(Module, Debug)]
pub struct RotaryAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    /// On a GPU, for self-attention: queries, keys and values in one product.
    #[module(skip)]
    packed: Option<Linear>,
    /// On a GPU, for attention to narrower memories: values and output in one product, after the
    /// attention.
    #[module(skip)]
    narrow_out: Option<Linear>,
}

impl RotaryAttention {
    fn init(dim: usize, key_value_dim: usize, device: &Device) -> Self {
        let linear = |input| LinearConfig::new(input, dim).init(device);
        Self {
            q_proj: linear(dim),
            k_proj: linear(key_value_dim),
            v_proj: linear(key_value_dim),
            out_proj: linear(dim),
            packed: None,
            narrow_out: None,
        }
    }

    /// Packs the layers of self-attention.
    fn pack_for_itself(&mut self, format: FloatDType) -> Result<(), DeviceFailure> {
        let parts = [&self.q_proj, &self.k_proj, &self.v_proj].map(Part::All);
        self.packed = Some(side_by_side(&parts, format)?);
        Ok(())
    }

    /// Packs the layers that follow the attention to memories.
    fn pack_for_memories(&mut self, format: FloatDType) -> Result<(), DeviceFailure> {
        if self.are_narrow(self.v_proj.weight.dims()[0]) {
            self.narrow_out = Some(one_after_the_other(&self.v_proj, &self.out_proj, format)?);
        }
        Ok(())
    }

    /// Returns true if memories with this number of channels are narrower than the values they are
    /// mapped to.
    fn are_narrow(&self, channels: usize) -> bool {
        channels < self.v_proj.weight.dims()[1]
    }

    /// Adds to the frame `x` `[batch, n, dim]` its attention to itself. `norm` comes first.
    fn to_itself(&self, x: Tensor<3>, norm: &LayerNorm, rotary: &RotaryTable) -> Tensor<3> {
        let attended = match &self.packed {
            Some(packed) => {
                let [_, n, dim] = x.dims();
                let all = FusedLinear::new(packed).after(norm).for_products();
                let all = all.rotated(rotary.rotation(n, 2 * dim)).forward(x.clone());
                let part = |i: usize| all.clone().slice_dim(2, i * dim..(i + 1) * dim);
                one_head(part(0), part(1), part(2))
            }
            None => {
                let project =
                    |layer| FusedLinear::new(layer).after(norm).for_products().forward(x.clone());
                let [queries, keys] = [&self.q_proj, &self.k_proj].map(project);
                let values = project(&self.v_proj);
                one_head(rotary.rotate(queries), rotary.rotate(keys), values)
            }
        };
        FusedLinear::new(&self.out_proj).plus(&x).forward(attended)
    }

    /// Adds to the frame `x` `[batch, n, dim]` its attention to its memories,
    /// `[batch, m, key_value_dim]`. `norm` comes first. The pointers, which are the last keys, are
    /// not rotated.
    fn to_memories(
        &self,
        x: Tensor<3>,
        norm: &LayerNorm,
        memory: &MemoryTokens,
        keys: Keys<'_>,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        let queries = FusedLinear::new(&self.q_proj).after(norm).for_products();
        let (queries, keys) = match keys {
            Keys::Projected(keys) => {
                let [_, n, dim] = x.dims();
                (queries.rotated(rotary.rotation(n, dim)).forward(x.clone()), keys.clone())
            }
            Keys::Raw(keys) => {
                let queries = rotary.rotate(queries.forward(x.clone()));
                let keys = FusedLinear::new(&self.k_proj).for_products().forward(keys.clone());
                (queries, rotary.rotate_leading(keys, memory.on_the_map()))
            }
        };
        let values = memory.tokens.clone();
        // Weights sum to one, so a linear map of the values may come after the attention as well as
        // before it. Memories are a quarter as wide as the values they are mapped to (64 and 256),
        // so mapping afterwards makes the second product of the attention a quarter as long.
        let value = FusedLinear::new(&self.v_proj).for_products();
        if !self.are_narrow(values.dims()[2]) {
            let attended = one_head(queries, keys, value.forward(values));
            return FusedLinear::new(&self.out_proj).plus(&x).forward(attended);
        }
        let attended = one_head(queries, keys, values);
        match &self.narrow_out {
            Some(both) => FusedLinear::new(both).plus(&x).forward(attended),
            None => FusedLinear::new(&self.out_proj).plus(&x).forward(value.forward(attended)),
        }
    }
}

/// The keys of a layer, `[batch, m, channels]`.
#[derive(Clone, Copy, Debug)]
enum Keys<'a> {
    /// Memories with their positions.
    Raw(&'a Tensor<3>),
    /// The layer's own keys, already rotated.
    Projected(&'a Tensor<3>),
}

impl MemoryTokens {
    /// Returns the number of tokens that have a position on the map: all except the pointers.
    fn on_the_map(&self) -> usize {
        self.tokens.dims()[1] - self.pointer_tokens
    }
}

/// Computes attention with a single head. All arguments are `[batch, tokens, channels]`.
fn one_head(queries: Tensor<3>, keys: Tensor<3>, values: Tensor<3>) -> Tensor<3> {
    let head = |x: Tensor<3>| x.unsqueeze_dim::<4>(1);
    attention(head(queries), head(keys), head(values))
}

/// One layer: self-attention, attention to the memories, feed-forward, each after a norm.
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
        keys: Keys<'_>,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        self.cross_attn_image.to_memories(x, &self.norm2, memory, keys, rotary)
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
    /// On a GPU: the keys of all layers in one product.
    #[module(skip)]
    all_keys: Option<Linear>,
}

impl MemoryAttention {
    /// Builds the stack with parameters to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        Self {
            layers: (0..config.memory_attention_layers)
                .map(|_| MemoryAttentionLayer::init(config, device))
                .collect(),
            norm: LayerNorm::init(config.hidden_dim, LayerNorm::EPSILON, device),
            all_keys: None,
        }
    }

    /// Merges layers for a GPU, with weights in `format` (see [`crate::packed`]).
    pub(crate) fn pack(&mut self, format: FloatDType) -> Result<(), DeviceFailure> {
        for layer in &mut self.layers {
            layer.self_attn.pack_for_itself(format)?;
            layer.cross_attn_image.pack_for_memories(format)?;
        }
        let keys: Vec<_> =
            self.layers.iter().map(|layer| Part::All(&layer.cross_attn_image.k_proj)).collect();
        self.all_keys = (!keys.is_empty()).then(|| side_by_side(&keys, format)).transpose()?;
        Ok(())
    }

    /// Adds `frame_positions`, which is a tenth of the positions, to `frame` (both
    /// `[1, n, hidden_dim]`), and runs the steps before the first attention to memories. These do
    /// not depend on the object, so once per frame is enough for any number of objects.
    pub fn begin(
        &self,
        frame: Tensor<3>,
        frame_positions: Tensor<3>,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        let x = frame + frame_positions;
        match self.layers.first() {
            Some(layer) => layer.self_attention(x, rotary),
            None => x,
        }
    }

    /// Conditions a frame, as returned by [`Self::begin`], on the memories of each object of a
    /// batch. Returns `[batch, n, hidden_dim]`.
    pub fn attend(
        &self,
        begun: Tensor<3>,
        memory: &MemoryTokens,
        rotary: &RotaryTable,
    ) -> Tensor<3> {
        let [batch, _, _] = memory.tokens.dims();
        let [_, tokens, channels] = begun.dims();
        let keys = memory.tokens.clone() + memory.positions.clone();
        let projected = self.all_keys.as_ref().map(|layer| {
            let outputs = layer.weight.dims()[1];
            let rotation = rotary.rotation(memory.on_the_map(), outputs);
            FusedLinear::new(layer).for_products().rotated(rotation).forward(keys.clone())
        });
        let mut x = begun.expand([batch, tokens, channels]);
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                x = layer.self_attention(x, rotary);
            }
            let of_layer = index * channels..(index + 1) * channels;
            let projected = projected.as_ref().map(|all| all.clone().slice_dim(2, of_layer));
            let keys = projected.as_ref().map_or(Keys::Raw(&keys), Keys::Projected);
            x = layer.cross_attention(x, memory, keys, rotary);
            x = layer.feed_forward(x);
        }
        self.norm.forward(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelVersion, Variant};
    use crate::noise::noise;

    #[test]
    fn packed_layers_give_what_single_ones_give() {
        let config = Sam2Config {
            hidden_dim: 16,
            memory_dim: 8,
            memory_attention_feed_forward: 24,
            ..Sam2Config::new(Variant::Micro, ModelVersion::V2_1)
        };
        let device = Device::flex();
        let plain = MemoryAttention::init(&config, &device);
        let mut packed = plain.clone();
        packed.pack(FloatDType::F32).unwrap();
        let rotary = RotaryTable::new(16, 3, &device);
        let (frame, positions) = (noise([1, 9, 16]), noise([1, 9, 16]));
        // Two objects with two memories of the map and three pointer tokens each.
        let memory = MemoryTokens {
            tokens: noise([2, 21, 8]),
            positions: noise([1, 21, 8]),
            pointer_tokens: 3,
        };
        let of = |attention: &MemoryAttention| {
            let begun = attention.begin(frame.clone(), positions.clone(), &rotary);
            attention.attend(begun, &memory, &rotary)
        };
        let off: f32 = (of(&plain) - of(&packed)).abs().max().into_scalar();
        assert!(off < 1e-5, "{off}");
    }
}
