//! Estimates the GPU memory that tracking takes from the sizes of its tensors.

use burn::tensor::Device;

use crate::config::Sam2Config;
use crate::half_weights::is_of_a_large_product;
use crate::precision::Precision;
use crate::weights::expected_tensors;

/// Bytes of a value in f32.
const F32: usize = 4;
/// Largest number of cubes that share the keys of a row if a frame has as many rows as tokens
/// (`kernels::gpu`).
const PIECES: usize = 4;
/// Tokens for the object pointers of one object that a frame attends to: four of the memory's width
/// for each of 16 pointers.
const POINTER_TOKENS: usize = 4 * 16;

/// Bytes that tracking takes, by purpose. Computed from the sizes of the tensors that are alive at
/// the same time. An allocator rounds up and keeps pages, so it takes up to about half as much
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceBudget {
    /// Parameters.
    pub weights: usize,
    /// Tensors that depend only on the configuration: positions, angles, resizing.
    pub tables: usize,
    /// The memories of all objects and the kept features of encoded frames. Does not grow with the
    /// recording.
    pub memories: usize,
    /// The most that one step needs for itself: a block of the trunk or a layer of the memory
    /// attention.
    pub step: usize,
}

impl DeviceBudget {
    /// Returns the budget for tracking `objects` objects together with `feature_frames` encoded
    /// frames kept, for a recording of any length. Each conditioning frame after the first adds a
    /// memory.
    pub fn of(
        config: &Sam2Config,
        precision: Precision,
        objects: usize,
        feature_frames: usize,
    ) -> Self {
        let half = matches!(precision, Precision::F16 | Precision::Bf16);
        let product = if half { 2 } else { F32 };
        let weights = expected_tensors(config, &Device::flex())
            .iter()
            .map(|tensor| {
                let linear = tensor.shape.len() == 2 && tensor.name.ends_with(".weight");
                let size =
                    if linear && is_of_a_large_product(&tensor.name) { product } else { F32 };
                size * tensor.shape.iter().product::<usize>()
            })
            .sum();
        let (side, low, image) =
            (config.feature_size(), config.low_res_mask_size(), config.image_size);
        let (tokens, hidden, narrow) = (side * side, config.hidden_dim, config.memory_dim);
        // Positions of the trunk, of the frame and of prompts; positions of memories by age; two
        // halves of a rotation; two resizes of two axes.
        let tables = F32
            * (low * low * config.trunk.embed_dim
                + 2 * tokens * hidden
                + config.num_maskmem * tokens * narrow
                + tokens * hidden
                + 4 * low * image);
        // Six memories and fifteen results on each side of the current frame, and one prompted
        // frame.
        let (memories, results) = (2 * (config.num_maskmem - 1) + 1, 2 * 15 + 1);
        let remembered = objects * (memories * tokens * narrow + results * (low * low + hidden));
        let features = tokens * hidden + 4 * tokens * hidden / 4 + 16 * tokens * hidden / 8;
        let memories = F32 * (remembered + feature_frames * features);
        let step = trunk_step(config, product).max(attention_step(config, product, objects));
        Self { weights, tables, memories, step }
    }

    /// Returns the sum of all parts.
    pub fn total(&self) -> usize {
        self.weights + self.tables + self.memories + self.step
    }
}

/// Returns the bytes of the trunk's largest step (a block's perceptron, its attention, or the
/// change between two stages), including the outputs that are kept meanwhile.
fn trunk_step(config: &Sam2Config, product: usize) -> usize {
    let places = |stage: usize| (config.low_res_mask_size() >> stage).pow(2);
    let width = |stage: usize| config.trunk.embed_dim << stage;
    let block = |stage: usize| {
        // Either the input, its norm and the hidden layer, or the hidden layer and the result.
        let perceptron = (F32 + 5 * product).max(2 * F32 + 4 * product);
        // The input, queries, keys and values together, and the attention's result.
        let attention = F32 + 4 * product;
        places(stage) * width(stage) * perceptron.max(attention)
    };
    let between = |stage: usize| {
        // At the size before: the input, its norm, its projection to the width after, and queries,
        // keys and values of that width. At the size after: the pooled projection, pooled queries,
        // and the attention's result.
        let (before, after) = (width(stage), width(stage + 1));
        places(stage) * (before * (F32 + product) + after * (F32 + 3 * product))
            + places(stage + 1) * after * (F32 + 2 * product)
    };
    // Outputs of earlier stages are kept for the pyramid: together less than twice the first.
    let waiting = 2 * F32 * places(0) * width(0);
    waiting + (0..4).map(block).chain((0..3).map(between)).max().unwrap_or(0)
}

/// Returns the bytes of a layer of the memory attention with all memories and pointers.
fn attention_step(config: &Sam2Config, product: usize, objects: usize) -> usize {
    let (tokens, hidden) = (config.feature_size().pow(2), config.hidden_dim);
    let keys = objects * (config.num_maskmem * tokens + POINTER_TOKENS);
    // Memories, their positions, and the keys of all layers.
    let memory =
        keys * (2 * F32 * config.memory_dim + config.memory_attention_layers * hidden * product);
    // Either the frame, its norm, queries, keys and values together, and the attention's result; or
    // the hidden layer.
    let frame = (hidden * (F32 + 5 * product))
        .max(hidden * 2 * F32 + config.memory_attention_feed_forward * product);
    // If cubes share a row's keys: the sums, largest score and sum of weights of each cube.
    let shared = PIECES * (config.hidden_dim + 2) * F32;
    memory + objects * tokens * (frame + shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelVersion, Variant};

    #[test]
    fn the_large_model_takes_less_than_3_gb() {
        let config = Sam2Config::new(Variant::Large, ModelVersion::V2_1);
        for precision in [Precision::F16, Precision::F32] {
            let budget = DeviceBudget::of(&config, precision, 1, 2);
            println!("{precision}: {budget:?}, {:.2} GB", budget.total() as f64 / 1e9);
            // Includes the additional half that an allocator may take.
            assert!(budget.total() * 3 / 2 < 3_000_000_000, "{budget:?}");
        }
    }

    #[test]
    fn half_precision_halves_the_weights_and_objects_add_their_memories() {
        let config = Sam2Config::new(Variant::Large, ModelVersion::V2_1);
        let of = |precision, objects| DeviceBudget::of(&config, precision, objects, 1);
        let (f32, f16) = (of(Precision::F32, 1), of(Precision::F16, 1));
        assert!(f16.weights * 10 < f32.weights * 6, "{f16:?} {f32:?}");
        let per_object = of(Precision::F16, 2).memories - f16.memories;
        assert!((20_000_000..40_000_000).contains(&per_object), "{per_object}");
    }
}
