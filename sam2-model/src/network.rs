//! The parameters of SAM 2 as one burn module, with the official field names (`SAM2Base`).

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::config::{ModelVersion, Sam2Config};
use crate::image_encoder::ImageEncoder;
use crate::kernels::Activation;
use crate::mask_decoder::MaskDecoder;
use crate::memory_attention::MemoryAttention;
use crate::memory_encoder::MemoryEncoder;
use crate::mlp::Mlp;
use crate::prompt_encoder::PromptEncoder;

/// All layers and loose parameters, which [`crate::Sam2`] puts to use.
#[derive(Module, Debug)]
pub struct Sam2Network {
    /// Trunk and neck.
    pub image_encoder: ImageEncoder,
    /// Conditions a frame on its memories.
    pub memory_attention: MemoryAttention,
    /// Makes a memory from a frame and its mask.
    pub memory_encoder: MemoryEncoder,
    /// Embeds points and masks.
    pub sam_prompt_encoder: PromptEncoder,
    /// Predicts masks.
    pub sam_mask_decoder: MaskDecoder,
    /// Turns a mask token into an object pointer.
    pub obj_ptr_proj: Mlp,
    /// 2.1 only: turns the temporal position of a pointer into a memory-wide vector.
    pub obj_ptr_tpos_proj: Option<Linear>,
    /// Brings a mask prompt to the scale of logits for the decoder, 4 x 4 with stride 4.
    pub mask_downsample: Conv2d,
    /// `[num_maskmem, 1, 1, memory_dim]`: encoding of a memory's age.
    pub maskmem_tpos_enc: Param<Tensor<4>>,
    /// `[1, 1, hidden_dim]`: added to a frame that has no memories.
    pub no_mem_embed: Param<Tensor<3>>,
    /// `[1, 1, hidden_dim]`: in every checkpoint, but not used by any published configuration.
    pub no_mem_pos_enc: Param<Tensor<3>>,
    /// `[1, hidden_dim]`: the pointer of an absent object.
    pub no_obj_ptr: Param<Tensor<2>>,
    /// 2.1 only, `[1, memory_dim]`: added to the memory of a frame without the object.
    pub no_obj_embed_spatial: Option<Param<Tensor<2>>>,
}

impl Sam2Network {
    /// Builds the network of `config` with parameters to be loaded.
    pub fn init(config: &Sam2Config, device: &Device) -> Self {
        let (hidden, memory) = (config.hidden_dim, config.memory_dim);
        let is_2_1 = config.version == ModelVersion::V2_1;
        Self {
            image_encoder: ImageEncoder::init(config, device),
            memory_attention: MemoryAttention::init(config, device),
            memory_encoder: MemoryEncoder::init(config, device),
            sam_prompt_encoder: PromptEncoder::init(config, device),
            sam_mask_decoder: MaskDecoder::init(config, device),
            obj_ptr_proj: Mlp::init(&[hidden; 4], Activation::Relu, device),
            obj_ptr_tpos_proj: is_2_1.then(|| LinearConfig::new(hidden, memory).init(device)),
            mask_downsample: Conv2dConfig::new([1, 1], [4, 4]).with_stride([4, 4]).init(device),
            maskmem_tpos_enc: zeros([config.num_maskmem, 1, 1, memory], device),
            no_mem_embed: zeros([1, 1, hidden], device),
            no_mem_pos_enc: zeros([1, 1, hidden], device),
            no_obj_ptr: zeros([1, hidden], device),
            no_obj_embed_spatial: is_2_1.then(|| zeros([1, memory], device)),
        }
    }
}

fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}
