//! From pixels to three feature maps (section 4 and appendix D.1 of the SAM 2 paper; `ImageEncoder`).

mod fpn_neck;
mod hiera;
mod max_pool;
mod multi_scale_attention;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

pub use fpn_neck::FpnNeck;
pub use hiera::Hiera;

use crate::config::Sam2Config;
use crate::device_failure::DeviceFailure;

/// Trunk and neck.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    trunk: Hiera,
    neck: FpnNeck,
}

impl ImageEncoder {
    /// Builds the encoder, to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        Self {
            trunk: config.trunk.init(device),
            neck: FpnNeck::init(config.trunk.stage_channels(), config.hidden_dim, device),
        }
    }

    /// Puts layers together for a GPU (see [`crate::packed`]); `projections` as in [`Self::forward`].
    pub(crate) fn pack(&mut self, projections: [&Linear; 2]) -> Result<(), DeviceFailure> {
        self.neck.pack(projections)
    }

    /// The trunk, for its position embedding and for comparing its stages.
    pub fn trunk(&self) -> &Hiera {
        &self.trunk
    }

    /// The neck, for comparing its parts.
    pub fn neck(&self) -> &FpnNeck {
        &self.neck
    }

    /// `[batch, 3, S, S]`, normalised, to maps of strides 4, 8, 16, channels last; the first two as the mask decoder's projections of them
    /// ([`MaskDecoder::high_res_projections`](crate::mask_decoder::MaskDecoder::high_res_projections)) leave them.
    pub fn forward(
        &self,
        image_bchw: Tensor<4>,
        position_embedding: Tensor<4>,
        projections: [&Linear; 2],
    ) -> [Tensor<4>; 3] {
        let stages = self.trunk.forward(image_bchw, position_embedding);
        self.neck.forward_projected(stages, projections)
    }
}
