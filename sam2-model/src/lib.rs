//! Segment Anything 2 (Ravi et al. 2024, <https://arxiv.org/abs/2408.00714>) on
//! [burn](https://burn.dev).
//!
//! One implementation for all published checkpoints, 2.0 and 2.1, from tiny to large. It is a port
//! of the official PyTorch package `sam2` 1.1.0 (Apache-2.0) and is compared with it tensor by
//! tensor. Tensors in, tensors out: this crate does not handle video, and reads no files except
//! weights. Names and docs state layouts: `_bchw` is `[batch, channels, height, width]`, tokens are
//! `[batch, tokens, channels]`.
//!
//! A frame passes through [`Sam2::encode_image`] -> [`Sam2::condition_on_memory`] (or
//! [`Sam2::condition_without_memory`]) -> [`Sam2::decode`] -> [`Sam2::predict_mask`] ->
//! [`Sam2::encode_memory`]. Later frames attend to the resulting memory.

pub mod config;
pub mod cuda;
pub mod device;
mod device_budget;
pub mod device_failure;
mod device_list;
mod device_memory;
pub mod error;
mod fingerprint;
mod half_weights;
mod hexadecimal;
pub mod image_encoder;
mod kernel_cache;
pub mod kernels;
pub mod layer_norm;
pub mod layer_norm_2d;
pub mod mask_decoder;
pub mod memory_attention;
pub mod memory_encoder;
pub mod mlp;
mod model_name;
pub mod network;
#[cfg(test)]
mod noise;
pub mod object_pointer;
mod packed;
pub mod position_encoding;
pub mod precision;
pub mod preprocess;
pub mod prompt_encoder;
mod read_back;
pub mod resize;
pub mod rotary;
mod sam2;
mod tensor_shapes;
pub mod two_way_transformer;
mod upload;
pub mod weights;
mod weights_file;

pub use burn::nn;
pub use burn::tensor::{Device, Distribution, FloatDType, Tensor};
pub use config::{ModelVersion, Sam2Config, Variant};
pub use device::{DeviceChoice, DeviceError};
pub use device_budget::DeviceBudget;
pub use device_failure::DeviceFailure;
pub use device_list::{ListedDevice, MissingFeature, list_devices, missing_features};
pub use device_memory::DeviceMemory;
pub use error::LoadError;
pub use hexadecimal::hexadecimal;
pub use kernel_cache::KernelCache;
pub use memory_attention::MemoryTokens;
pub use model_name::ModelName;
pub use object_pointer::PointerMemory;
pub use precision::{Precision, UnknownPrecision};
pub use prompt_encoder::{ModelPoint, PointLabel};
pub use read_back::read_together;
pub use sam2::{
    ConditionedFeatures, FrameFeatures, MaskPrediction, MemoryFeatures, MemoryQueries,
    MemorySelection, NO_OBJECT_LOGIT, Sam2,
};
