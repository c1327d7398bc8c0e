//! The Hiera trunk: a hierarchical vision transformer with windowed attention (Ryali et al. 2023;
//! `modeling/backbones/hieradet.py`).

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::max_pool::max_pool_2x2;
use super::multi_scale_attention::MultiScaleAttention;
use crate::config::HieraConfig;
use crate::kernels::{self, Activation, FusedLinear};
use crate::layer_norm::LayerNorm;
use crate::mlp::Mlp;
use crate::resize::{Interpolation, Resize};

/// Epsilon of the norms in the trunk (the rest of SAM 2 uses 1e-5).
const NORM_EPSILON: f32 = 1e-6;
/// Ratio of the hidden width of a block's perceptron to the block's width.
const MLP_RATIO: usize = 4;

/// 7 x 7 convolution with stride 4 that turns pixels into tokens.
#[derive(Module, Debug)]
struct PatchEmbed {
    proj: Conv2d,
}

/// One transformer block.
#[derive(Module, Debug)]
struct MultiScaleBlock {
    norm1: LayerNorm,
    attn: MultiScaleAttention,
    norm2: LayerNorm,
    mlp: Mlp,
    /// Present only if the width changes.
    proj: Option<Linear>,
    pool: bool,
}

impl MultiScaleBlock {
    fn forward(&self, x_bhwc: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.proj {
            Some(proj) => {
                let projected = FusedLinear::new(proj).after(&self.norm1).forward(x_bhwc.clone());
                if self.pool { max_pool_2x2(projected) } else { projected }
            }
            None => x_bhwc.clone(),
        };
        let x_bhwc = self.attn.refine(shortcut, &self.norm1, x_bhwc);
        self.mlp.refine(x_bhwc, Some(&self.norm2))
    }
}

/// The trunk.
#[derive(Module, Debug)]
pub struct Hiera {
    patch_embed: PatchEmbed,
    /// `[1, embed_dim, background rows, background columns]`.
    pos_embed: Param<Tensor<4>>,
    /// `[1, embed_dim, window, window]`.
    pos_embed_window: Param<Tensor<4>>,
    blocks: Vec<MultiScaleBlock>,
    #[module(skip)]
    stage_ends: [usize; 4],
}

impl HieraConfig {
    /// Builds the trunk with parameters to be loaded.
    pub fn init(&self, device: &Device) -> Hiera {
        let stage_starts: [usize; 4] = std::array::from_fn(|s| self.stages[..s].iter().sum());
        let channels = self.stage_channels();
        let blocks = (0..self.depth())
            .map(|index| {
                let stage = stage_starts.partition_point(|&start| start <= index) - 1;
                let starts_stage = stage > 0 && index == stage_starts[stage];
                // The first block of a stage still has the width and the window of the previous
                // stage.
                let inherited = if starts_stage { stage - 1 } else { stage };
                let (dim, dim_out) = (channels[inherited], channels[stage]);
                let global = self.global_attention_blocks.contains(&index);
                let norm = |width| LayerNorm::init(width, NORM_EPSILON, device);
                MultiScaleBlock {
                    norm1: norm(dim),
                    attn: MultiScaleAttention::init(
                        dim,
                        dim_out,
                        self.num_heads << stage,
                        if global { 0 } else { self.window_spec[inherited] },
                        starts_stage,
                        device,
                    ),
                    norm2: norm(dim_out),
                    mlp: Mlp::init(
                        &[dim_out, MLP_RATIO * dim_out, dim_out],
                        Activation::Gelu,
                        device,
                    ),
                    proj: (dim != dim_out).then(|| LinearConfig::new(dim, dim_out).init(device)),
                    pool: starts_stage,
                }
            })
            .collect();
        let embedding = |rows, columns| {
            Param::from_tensor(Tensor::zeros([1, self.embed_dim, rows, columns], device))
        };
        Hiera {
            patch_embed: PatchEmbed {
                proj: Conv2dConfig::new([3, self.embed_dim], [7, 7])
                    .with_stride([4, 4])
                    .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
                    .init(device),
            },
            pos_embed: embedding(self.background_size[0], self.background_size[1]),
            pos_embed_window: embedding(self.window_spec[0], self.window_spec[0]),
            blocks,
            stage_ends: std::array::from_fn(|s| stage_starts[s] + self.stages[s] - 1),
        }
    }
}

impl Hiera {
    /// Returns the position embedding of a `side` x `side` token map: `[1, side, side, embed_dim]`.
    ///
    /// It is the bicubic interpolation of the background plus the repeated window embedding. It
    /// depends only on the size, so compute it once.
    pub fn position_embedding(&self, side: usize) -> Tensor<4> {
        let background = self.pos_embed.val();
        let window = self.pos_embed_window.val();
        let [_, _, rows, columns] = background.dims();
        let [_, _, window_rows, window_columns] = window.dims();
        let device = background.device();
        let resize = Resize::new(Interpolation::Bicubic, [rows, columns], [side, side], &device);
        let tiled = window.repeat(&[1, 1, side / window_rows, side / window_columns]);
        (resize.forward(background) + tiled).permute([0, 2, 3, 1])
    }

    /// Turns an image `[batch, 3, S, S]`, with the embedding from [`Self::position_embedding`] for
    /// S / 4, into the outputs of the four stages, channels last: `[batch, S / 4, S / 4, c]`, then
    /// S / 8, S / 16, S / 32.
    pub fn forward(&self, image_bchw: Tensor<4>, position_embedding: Tensor<4>) -> [Tensor<4>; 4] {
        let positions_bchw = position_embedding.permute([0, 3, 1, 2]);
        let proj = &self.patch_embed.proj;
        let patches = kernels::convolution_plus(proj, image_bchw, &positions_bchw);
        let mut x = patches.permute([0, 2, 3, 1]);
        let mut outputs = Vec::with_capacity(4);
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x);
            if self.stage_ends.contains(&index) {
                outputs.push(x.clone());
            }
        }
        // There is exactly one push per stage, so the conversion cannot fail.
        outputs.try_into().unwrap_or_else(|_| unreachable!("a trunk has four stages"))
    }
}
