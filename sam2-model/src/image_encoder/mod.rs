//! The image encoder: from pixels to three feature maps (section 4 and appendix D.1 of the SAM 2
//! paper; `ImageEncoder`).

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
    /// Builds the encoder with parameters to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        Self {
            trunk: config.trunk.init(device),
            neck: FpnNeck::init(config.trunk.stage_channels(), config.hidden_dim, device),
        }
    }

    /// Merges layers for a GPU (see [`crate::packed`]). `projections` is as in [`Self::forward`].
    pub(crate) fn pack(&mut self, projections: [&Linear; 2]) -> Result<(), DeviceFailure> {
        self.neck.pack(projections)
    }

    /// Returns the trunk, for its position embedding and for comparing its stages.
    pub fn trunk(&self) -> &Hiera {
        &self.trunk
    }

    /// Returns the neck, for comparing its parts.
    pub fn neck(&self) -> &FpnNeck {
        &self.neck
    }

    /// Turns a normalised image `[batch, 3, S, S]` into maps of strides 4, 8 and 16, channels last.
    /// The first two are projected for the mask decoder
    /// ([`MaskDecoder::high_res_projections`](crate::mask_decoder::MaskDecoder::high_res_projections)).
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
