//! Turning a frame and its mask into a memory (section 4 of the SAM 2 paper; `modeling/memory_encoder.py`).

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use crate::config::Sam2Config;
use crate::kernels;
use crate::layer_norm_2d::LayerNorm2d;

/// Halvings from the image to the feature map (stride 16).
const DOWNSAMPLINGS: usize = 4;

/// Convolution, norm and GELU that halve a mask's sides and quadruple its channels.
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

    /// `[batch, 1, S, S]` to `[batch, hidden_dim, S / 16, S / 16]`.
    fn forward(&self, mut mask_bchw: Tensor<4>) -> Tensor<4> {
        for step in &self.steps {
            mask_bchw = kernels::gelu(step.norm.forward(step.conv.forward(mask_bchw)));
        }
        self.out.forward(mask_bchw)
    }
}

/// A ConvNeXt block: depthwise 7 x 7 convolution, norm, perceptron, layer scale, residual.
#[derive(Module, Debug)]
struct FuserBlock {
    dwconv: Conv2d,
    norm: LayerNorm2d,
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
            norm: LayerNorm2d::init(dim, device),
            pwconv1: LinearConfig::new(dim, 4 * dim).init(device),
            pwconv2: LinearConfig::new(4 * dim, dim).init(device),
            gamma: Param::from_tensor(Tensor::ones([dim], device)),
        }
    }

    fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        let channels = x_bchw.dims()[1];
        let mixed = kernels::depthwise_convolution(&self.dwconv, x_bchw.clone());
        let x = self.norm.forward(mixed).permute([0, 2, 3, 1]);
        let x = self.pwconv2.forward(kernels::gelu(self.pwconv1.forward(x)));
        let scaled = x * self.gamma.val().reshape([1, 1, 1, channels]);
        x_bchw + scaled.permute([0, 3, 1, 2])
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
    /// Builds the encoder, to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        let dim = config.hidden_dim;
        Self {
            mask_downsampler: MaskDownSampler::init(dim, device),
            pix_feat_proj: LinearConfig::new(dim, dim).init(device),
            fuser: Fuser { layers: (0..2).map(|_| FuserBlock::init(dim, device)).collect() },
            out_proj: LinearConfig::new(dim, config.memory_dim).init(device),
        }
    }

    /// The frame's stride-16 features `[1, n, hidden_dim]` and the masks `[batch, 1, S, S]`, already scaled for the
    /// memory, to memories `[batch, n, memory_dim]`.
    pub fn forward(&self, frame: Tensor<3>, masks_bchw: Tensor<4>) -> Tensor<3> {
        let masks = self.mask_downsampler.forward(masks_bchw);
        let [batch, channels, height, width] = masks.dims();
        let frame =
            self.pix_feat_proj.forward(frame).swap_dims(1, 2).reshape([1, channels, height, width]);
        let mut x = masks + frame;
        for layer in &self.fuser.layers {
            x = layer.forward(x);
        }
        let tokens = x.reshape([batch, channels, height * width]).swap_dims(1, 2);
        self.out_proj.forward(tokens)
    }
}
