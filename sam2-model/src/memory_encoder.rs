//! The memory encoder: turns a frame and its mask into a memory (section 4 of the SAM 2 paper;
//! `modeling/memory_encoder.py`).

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use crate::config::Sam2Config;
use crate::kernels::{self, Activation, FusedLinear, fused_linear_chain};
use crate::layer_norm::LayerNorm;
use crate::layer_norm_2d::{self, LayerNorm2d};

/// Number of halvings from the image to the feature map (stride 16).
const DOWNSAMPLINGS: usize = 4;

/// Convolution, norm and GELU, which halve a mask's sides and quadruple its channels.
#[derive(Module, Debug)]
struct MaskDownSamplerStep {
    conv: Conv2d,
    norm: LayerNorm2d,
}

/// Brings a mask to the size and width of the feature map.
#[derive(Module, Debug)]
pub struct MaskDownSampler {
    steps: Vec<MaskDownSamplerStep>,
    out: Conv2d,
}

impl MaskDownSampler {
    fn init(hidden_dim: usize, device: &Device) -> Self {
        let steps = (0..DOWNSAMPLINGS)
            .map(|step| {
                let (input, output) = (1 << (2 * step), 1 << (2 * (step + 1)));
                MaskDownSamplerStep {
                    conv: Conv2dConfig::new([input, output], [3, 3])
                        .with_stride([2, 2])
                        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                        .init(device),
                    norm: LayerNorm2d::init(output, device),
                }
            })
            .collect();
        let width = 1 << (2 * DOWNSAMPLINGS);
        Self { steps, out: Conv2dConfig::new([width, hidden_dim], [1, 1]).init(device) }
    }

    /// Down-samples `[batch, 1, S, S]` to `[batch, S / 16, S / 16, hidden_dim]` and adds the
    /// projected frame, `[1, n, hidden_dim]`.
    fn forward(&self, mut mask_bchw: Tensor<4>, frame: Tensor<3>) -> Tensor<4> {
        for step in &self.steps {
            mask_bchw = kernels::convolution(&step.conv, Some(&step.norm), mask_bchw);
        }
        let [_, _, height, width] = mask_bchw.dims();
        let [_, _, channels] = frame.dims();
        let frame_bchw = frame.reshape([1, height, width, channels]).permute([0, 3, 1, 2]);
        let mixed_bchw = kernels::convolution_plus(&self.out, mask_bchw, &frame_bchw);
        mixed_bchw.permute([0, 2, 3, 1])
    }
}

/// A ConvNeXt block: depthwise 7 x 7 convolution, norm, perceptron, layer scale, residual.
#[derive(Module, Debug)]
struct FuserBlock {
    dwconv: Conv2d,
    /// A norm over the channels, which are the last axis here.
    norm: LayerNorm,
    pwconv1: Linear,
    pwconv2: Linear,
    gamma: Param<Tensor<1>>,
}

impl FuserBlock {
    fn init(dim: usize, device: &Device) -> Self {
        Self {
            dwconv: Conv2dConfig::new([dim, dim], [7, 7])
                .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
                .with_groups(dim)
                .init(device),
            norm: LayerNorm::init(dim, layer_norm_2d::EPSILON, device),
            pwconv1: LinearConfig::new(dim, 4 * dim).init(device),
            pwconv2: LinearConfig::new(4 * dim, dim).init(device),
            gamma: Param::from_tensor(Tensor::ones([dim], device)),
        }
    }

    /// Runs the block on `[batch, height, width, channels]`. The shape stays the same.
    fn forward(&self, x_bhwc: Tensor<4>) -> Tensor<4> {
        let mixed =
            kernels::depthwise_convolution(&self.dwconv, x_bhwc.clone().permute([0, 3, 1, 2]));
        let wide = FusedLinear::new(&self.pwconv1).after(&self.norm).activated(Activation::Gelu);
        let gamma = self.gamma.val();
        let narrow = FusedLinear::new(&self.pwconv2).scaled(&gamma).plus(&x_bhwc);
        fused_linear_chain(&[wide, narrow], mixed.permute([0, 2, 3, 1]))
    }
}

/// The blocks that mix the frame with its mask.
#[derive(Module, Debug)]
struct Fuser {
    layers: Vec<FuserBlock>,
}

/// Mask down-sampler, projection of the frame, fuser and output projection.
#[derive(Module, Debug)]
pub struct MemoryEncoder {
    mask_downsampler: MaskDownSampler,
    pix_feat_proj: Linear,
    fuser: Fuser,
    out_proj: Linear,
}

impl MemoryEncoder {
    /// Builds the encoder with parameters to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        let dim = config.hidden_dim;
        Self {
            mask_downsampler: MaskDownSampler::init(dim, device),
            pix_feat_proj: LinearConfig::new(dim, dim).init(device),
            fuser: Fuser { layers: (0..2).map(|_| FuserBlock::init(dim, device)).collect() },
            out_proj: LinearConfig::new(dim, config.memory_dim).init(device),
        }
    }

    /// Encodes the frame's stride-16 features `[1, n, hidden_dim]` and the masks
    /// `[batch, 1, S, S]`, already scaled for the memory, as memories `[batch, n, memory_dim]`.
    pub fn forward(&self, frame: Tensor<3>, masks_bchw: Tensor<4>) -> Tensor<3> {
        let frame = FusedLinear::new(&self.pix_feat_proj).forward(frame);
        let mut x_bhwc = self.mask_downsampler.forward(masks_bchw, frame);
        let [batch, height, width, channels] = x_bhwc.dims();
        for layer in &self.fuser.layers {
            x_bhwc = layer.forward(x_bhwc);
        }
        FusedLinear::new(&self.out_proj).forward(x_bhwc.reshape([batch, height * width, channels]))
    }
}
