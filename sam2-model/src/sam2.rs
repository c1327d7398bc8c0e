//! The model's main interface: frames in, masks and memories out.
//!
//! This module handles tensors only. The engine decides which frames a session remembers, handles
//! the user's clicks, and brings masks to the video's size. Functions here follow
//! `modeling/sam2_base.py`, and their docs name its methods.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};

use crate::config::Sam2Config;
use crate::device::DeviceError;
use crate::device_failure::{self, DeviceFailure};
use crate::error::LoadError;
use crate::fingerprint;
use crate::half_weights;
use crate::kernels::{self, ChosenMask, Curve, Finish, MaskRule, join};
use crate::mask_decoder::{DecoderImage, DecoderOutputs};
use crate::memory_attention::{INPUT_POSITION_WEIGHT, MemoryTokens};
use crate::network::Sam2Network;
use crate::object_pointer::{PointerMemory, pointer_tokens};
use crate::position_encoding::sine_2d_tokens;
use crate::precision::Precision;
use crate::preprocess::PixelTable;
use crate::prompt_encoder::{ModelPoint, PromptEmbeddings};
use crate::resize::{Interpolation, Resize};
use crate::rotary::RotaryTable;
use crate::two_way_transformer::ImagePositions;
use crate::weights;
use crate::weights_file::WeightsFile;

/// Logit of every pixel of an absent object (`NO_OBJ_SCORE`).
pub const NO_OBJECT_LOGIT: f32 = -1024.0;
/// Scale and offset between a mask in 0..1 and logits, for both directions in which SAM 2 converts.
const MASK_SCALE: f64 = 20.0;
const MASK_BIAS: f64 = -10.0;

/// The image encoder's features of one frame.
#[derive(Clone, Debug)]
pub struct FrameFeatures {
    /// Stride 16, channels last: `[1, side * side, hidden_dim]`.
    pub tokens: Tensor<3>,
    /// Stride 4, projected for the mask decoder: `[1, hidden_dim / 8, 4 side, 4 side]`.
    pub stride_4_bchw: Tensor<4>,
    /// Stride 8, projected for the mask decoder: `[1, hidden_dim / 4, 2 side, 2 side]`.
    pub stride_8_bchw: Tensor<4>,
}

/// A frame about to attend to memories, the same for every object: see [`Sam2::memory_queries`].
#[derive(Clone, Debug)]
pub struct MemoryQueries(Tensor<3>);

/// A frame's features after attending to the memories: `[batch, side * side, hidden_dim]`.
#[derive(Clone, Debug)]
pub struct ConditionedFeatures(pub Tensor<3>);

/// A memory of one frame: `[batch, side * side, memory_dim]`, rounded to bfloat16 as the official
/// code stores it.
#[derive(Clone, Debug)]
pub struct MemoryFeatures(pub Tensor<3>);

/// The memories that a frame attends to, in the official order.
#[derive(Clone, Debug, Default)]
pub struct MemorySelection {
    /// Temporal position and memory: 0 for a conditioning frame, then 1 (oldest) to
    /// `num_maskmem - 1` (newest).
    pub spatial: Vec<(usize, MemoryFeatures)>,
    /// Pointers: conditioning frames first, then by growing distance.
    pub pointers: Vec<PointerMemory>,
    /// `min(frames in the recording, 16) - 1`: the unit of pointer distances.
    pub pointer_time_scale: usize,
}

/// The decoder's result for a batch of objects.
#[derive(Clone, Debug)]
pub struct MaskPrediction {
    /// `[batch, 1, S / 4, S / 4]`, filled with [`NO_OBJECT_LOGIT`] if the object is absent.
    pub low_res_logits: Tensor<4>,
    /// `[batch, 1]`: predicted IoU of that mask, 0..1.
    pub iou: Tensor<2>,
    /// `[batch, 1]`: above 0 if the object is in the frame.
    pub object_score_logits: Tensor<2>,
    /// `[batch, hidden_dim]`.
    pub object_pointer: Tensor<2>,
}

/// SAM 2 with its weights, on a device. A clone shares the weights and costs a few pointers.
#[derive(Clone, Debug)]
pub struct Sam2 {
    network: Arc<Sam2Network>,
    config: Sam2Config,
    tables: Arc<Tables>,
    device: Device,
    /// Never [`Precision::Auto`].
    precision: Precision,
    /// Computed at the first request. Clones and models with other input sizes share it.
    fingerprint: Arc<OnceLock<String>>,
}

/// Tensors that depend on the configuration and the weights, but not on a frame.
#[derive(Clone, Debug)]
struct Tables {
    /// `[1, S / 4, S / 4, embed_dim]`.
    trunk_positions: Tensor<4>,
    /// `[1, side * side, hidden_dim]`, already multiplied by the memory attention's weight for it.
    frame_positions: Tensor<3>,
    /// For each temporal position, the position on the map plus age,
    /// `[1, side * side, memory_dim]`.
    memory_positions: Vec<Tensor<3>>,
    /// The positions on the map, for the mask decoder.
    dense_positions: ImagePositions,
    rotary: RotaryTable,
    low_res_to_model: Resize,
    model_to_low_res: Resize,
    pixels: PixelTable,
}

impl Tables {
    fn new(network: &Sam2Network, config: &Sam2Config, device: &Device) -> Self {
        let side = config.feature_size();
        let place = sine_2d_tokens(config.memory_dim, side, side, device);
        let memory_positions = (0..config.num_maskmem)
            .map(|time| {
                // Conditioning frames (time 0) use the last row, the newest memory the first row.
                let row = config.num_maskmem - time - 1;
                let age = network.maskmem_tpos_enc.val().slice_dim(0, row..row + 1);
                place.clone() + age.reshape([1, 1, config.memory_dim])
            })
            .collect();
        let (model, low) = (config.image_size, config.low_res_mask_size());
        let resize = |kind, from: usize, to: usize| Resize::new(kind, [from; 2], [to; 2], device);
        let dense = network.sam_prompt_encoder.dense_position_encoding(side);
        let dense = dense.reshape([1, config.hidden_dim, side * side]).swap_dims(1, 2);
        let frame = sine_2d_tokens(config.hidden_dim, side, side, device);
        Self {
            trunk_positions: network
                .image_encoder
                .trunk()
                .position_embedding(config.low_res_mask_size()),
            frame_positions: frame * INPUT_POSITION_WEIGHT,
            memory_positions,
            dense_positions: network.sam_mask_decoder.image_positions(dense),
            rotary: RotaryTable::new(config.hidden_dim, side, device),
            low_res_to_model: resize(Interpolation::Bilinear, low, model),
            model_to_low_res: resize(Interpolation::BilinearAntialias, model, low),
            pixels: PixelTable::new(device),
        }
    }
}

impl Sam2 {
    /// Loads a safetensors file and recognises the variant from its tensors.
    ///
    /// # Errors
    /// [`LoadError`] for an unreadable, damaged or unknown file.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, LoadError> {
        Self::load_with(path, None, device)
    }

    /// Does the same as [`Self::load`], with an explicit configuration for weights that are not
    /// recognised.
    ///
    /// # Errors
    /// [`LoadError`] for an unreadable or damaged file, or one that does not fit `config`.
    pub fn load_with(
        path: impl AsRef<Path>,
        config: Option<Sam2Config>,
        device: &Device,
    ) -> Result<Self, LoadError> {
        Self::from_file(&WeightsFile::open(path.as_ref())?, config, device)
    }

    /// Loads the bytes of a safetensors file; `origin` names them in errors.
    ///
    /// # Errors
    /// [`LoadError`] for damaged bytes or weights that do not fit.
    pub fn from_bytes(
        bytes: &[u8],
        origin: &str,
        config: Option<Sam2Config>,
        device: &Device,
    ) -> Result<Self, LoadError> {
        Self::from_file(&WeightsFile::of_bytes(bytes, origin)?, config, device)
    }

    fn from_file(
        file: &WeightsFile<'_>,
        config: Option<Sam2Config>,
        device: &Device,
    ) -> Result<Self, LoadError> {
        let shapes = file.shapes();
        let config = match config {
            Some(config) => config,
            None => weights::recognise(&shapes, file.origin())?,
        };
        weights::check(&shapes, &config, file.origin())?;
        let (network, tables) = device_failure::guard(|| {
            let network = Sam2Network::init(&config, device);
            let mut network = weights::apply(network, file, device)?;
            if !kernels::is_on_cpu(device) {
                pack(&mut network)?;
            }
            let tables = Tables::new(&network, &config, device);
            Ok::<_, LoadError>((network, tables))
        })??;
        let fingerprint = Arc::default();
        let (device, precision) = (device.clone(), Precision::F32);
        let (network, tables) = (Arc::new(network), Arc::new(tables));
        Ok(Self { network, config, tables, device, precision, fingerprint })
    }

    /// Returns the same weights in another number format. Loading gives [`Precision::F32`]. Only
    /// products change: see [`Precision`]. Precision that was lost by rounding does not come back.
    ///
    /// # Errors
    /// [`DeviceError::Precision`] if the device does not compute in that format.
    pub fn with_precision(self, precision: Precision) -> Result<Self, DeviceError> {
        let format = precision.on(&self.device)?;
        let precision = match format {
            FloatDType::BF16 => Precision::Bf16,
            FloatDType::F16 => Precision::F16,
            _ => Precision::F32,
        };
        // The CPU's kernels round while they compute.
        if precision == self.precision || kernels::is_on_cpu(&self.device) {
            return Ok(Self { precision, ..self });
        }
        let mut network = Arc::unwrap_or_clone(self.network);
        let network = device_failure::guard(|| {
            // Packed before the weights are rounded. The other packed layers stay in f32.
            network.memory_attention.pack(format)?;
            Ok::<_, DeviceFailure>(half_weights::with_products_in(network, format))
        })??;
        // Rounded weights are different weights, and have a fingerprint of their own.
        Ok(Self { network: Arc::new(network), precision, fingerprint: Arc::default(), ..self })
    }

    /// Returns the number format in use, which is never [`Precision::Auto`].
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the same weights for another input size, without loading them again.
    ///
    /// The network was trained at its own size: other sizes trade quality for speed or detail.
    /// Returns `None` unless `size` is a multiple of 32 that leaves whole windows (a multiple of
    /// `4 * window`, so of 32 for all published variants).
    pub fn with_image_size(&self, size: usize) -> Option<Self> {
        let step = (4 * self.config.trunk.window_spec[0]).max(32);
        if size == 0 || !size.is_multiple_of(step) {
            return None;
        }
        let config = Sam2Config { image_size: size, ..self.config.clone() };
        let tables = Tables::new(&self.network, &config, &self.device);
        Some(Self { config, tables: Arc::new(tables), ..self.clone() })
    }

    /// Returns the configuration in use.
    pub fn config(&self) -> &Sam2Config {
        &self.config
    }

    /// Returns the device that holds the weights.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns true if the model runs on the CPU's own kernels.
    pub fn is_on_cpu(&self) -> bool {
        kernels::is_on_cpu(&self.device)
    }

    /// Returns the number of batches that are worth running at the same time: on the CPU one per
    /// thread, and one on other devices, which a single batch keeps busy.
    pub fn parallel_batches(&self) -> usize {
        if kernels::is_on_cpu(&self.device) { rayon::current_num_threads() } else { 1 }
    }

    /// Returns the layers, for comparing them one by one with another implementation.
    pub fn network(&self) -> &Sam2Network {
        &self.network
    }

    /// Returns the SHA-256 of the names, shapes and f32 values of all parameters, as 64 hexadecimal
    /// digits. Two models with the same fingerprint have the same weights, however the files that
    /// they came from store them.
    ///
    /// Names and layouts are those of the official state dict. The fingerprint is computed once,
    /// which takes from a fraction of a second to several seconds.
    ///
    /// # Errors
    /// [`DeviceFailure`] if the weights cannot be read back from the device.
    pub fn fingerprint(&self) -> Result<&str, DeviceFailure> {
        if let Some(known) = self.fingerprint.get() {
            return Ok(known);
        }
        let fingerprint = fingerprint::of(&self.network)?;
        Ok(self.fingerprint.get_or_init(|| fingerprint))
    }

    /// Returns the number of parameters, learned or fixed.
    pub fn parameter_count(&self) -> usize {
        self.network.num_params()
    }

    /// Runs the image encoder on an RGB8 image `[S, S, 3]` of the model's size (`forward_image`).
    ///
    /// # Panics
    /// If `rgb` is not `S * S * 3` bytes long.
    pub fn encode_image(&self, rgb: &[u8]) -> FrameFeatures {
        self.encode_tensor(self.tables.pixels.normalise(rgb, self.config.image_size))
    }

    /// Runs the image encoder on a normalised `[1, 3, S, S]`.
    pub fn encode_tensor(&self, image_bchw: Tensor<4>) -> FrameFeatures {
        let positions = self.tables.trunk_positions.clone();
        let network = &self.network;
        let projections = network.sam_mask_decoder.high_res_projections();
        let [stride_4, stride_8, stride_16] =
            kernels::on_pool(&self.device, self.precision, || {
                network.image_encoder.forward(image_bchw, positions, projections)
            });
        let [batch, height, width, channels] = stride_16.dims();
        FrameFeatures {
            tokens: stride_16.reshape([batch, height * width, channels]),
            stride_4_bchw: stride_4.permute([0, 3, 1, 2]),
            stride_8_bchw: stride_8.permute([0, 3, 1, 2]),
        }
    }

    /// Returns the features of a frame that has no memories yet (`directly_add_no_mem_embed`).
    pub fn condition_without_memory(&self, features: &FrameFeatures) -> ConditionedFeatures {
        ConditionedFeatures(features.tokens.clone() + self.network.no_mem_embed.val())
    }

    /// Arranges the selected memories as tokens with their positions (the first half of
    /// `_prepare_memory_conditioned_features`). Returns `None` when nothing is selected.
    pub fn memory_tokens(&self, selection: &MemorySelection) -> Option<MemoryTokens> {
        let mut tokens = Vec::with_capacity(selection.spatial.len() + 1);
        let mut positions = Vec::with_capacity(selection.spatial.len() + 1);
        for (time, memory) in &selection.spatial {
            tokens.push(memory.0.clone());
            positions.push(self.tables.memory_positions[*time].clone());
        }
        let mut pointer_count = 0;
        if !selection.pointers.is_empty() {
            let (pointers, times) = pointer_tokens(
                &selection.pointers,
                self.network.obj_ptr_tpos_proj.as_ref(),
                self.config.memory_dim,
                selection.pointer_time_scale,
                &self.device,
            );
            pointer_count = pointers.dims()[1];
            tokens.push(pointers);
            positions.push(times);
        }
        (!tokens.is_empty()).then(|| MemoryTokens {
            tokens: join(tokens, 1),
            positions: join(positions, 1),
            pointer_tokens: pointer_count,
        })
    }

    /// Returns the features of a frame after attending to memories (the second half of
    /// `_prepare_memory_conditioned_features`).
    pub fn condition_on_memory(
        &self,
        features: &FrameFeatures,
        memory: &MemoryTokens,
    ) -> ConditionedFeatures {
        self.condition_queries(&self.memory_queries(features), memory)
    }

    /// Runs the part of [`Self::condition_on_memory`] that is the same for every object in the
    /// frame.
    pub fn memory_queries(&self, features: &FrameFeatures) -> MemoryQueries {
        let positions = self.tables.frame_positions.clone();
        let frame = features.tokens.clone();
        let (attention, rotary) = (&self.network.memory_attention, &self.tables.rotary);
        MemoryQueries(kernels::on_pool(&self.device, self.precision, || {
            attention.begin(frame, positions, rotary)
        }))
    }

    /// Runs the rest of [`Self::condition_on_memory`], for the objects to which these memories
    /// belong.
    pub fn condition_queries(
        &self,
        queries: &MemoryQueries,
        memory: &MemoryTokens,
    ) -> ConditionedFeatures {
        let (attention, rotary) = (&self.network.memory_attention, &self.tables.rotary);
        ConditionedFeatures(kernels::on_pool(&self.device, self.precision, || {
            attention.attend(queries.0.clone(), memory, rotary)
        }))
    }

    /// Embeds clicks and box corners, and optionally low-resolution mask logits
    /// `[batch, 1, S / 4, S / 4]`.
    pub fn embed_prompts(
        &self,
        points: &[ModelPoint],
        mask: Option<Tensor<4>>,
    ) -> PromptEmbeddings {
        self.network.sam_prompt_encoder.forward(points, self.config.image_size, mask)
    }

    /// Embeds a batch of prompts of `per_prompt` points each, one prompt after another, to be
    /// decoded in one pass. See
    /// [`PromptEncoder::forward_batch`](crate::prompt_encoder::PromptEncoder::forward_batch).
    pub fn embed_prompt_batch(
        &self,
        points: &[ModelPoint],
        per_prompt: usize,
        mask: Option<Tensor<4>>,
    ) -> PromptEmbeddings {
        let size = self.config.image_size;
        self.network.sam_prompt_encoder.forward_batch(points, per_prompt, size, mask)
    }

    /// Embeds low-resolution mask logits `[batch, 1, S / 4, S / 4]` alone, without the padding
    /// point of video prompts.
    pub fn embed_mask_only(&self, mask: Tensor<4>) -> PromptEmbeddings {
        self.network.sam_prompt_encoder.forward_mask(mask)
    }

    /// Returns every output of the mask decoder's heads.
    pub fn decode(
        &self,
        features: &FrameFeatures,
        conditioned: &ConditionedFeatures,
        prompts: &PromptEmbeddings,
    ) -> DecoderOutputs {
        let image = DecoderImage {
            tokens: conditioned.0.clone(),
            stride_4_bchw: features.stride_4_bchw.clone(),
            stride_8_bchw: features.stride_8_bchw.clone(),
        };
        let positions = &self.tables.dense_positions;
        let decoder = &self.network.sam_mask_decoder;
        let decode = || decoder.forward(&image, positions, prompts);
        kernels::on_pool(&self.device, Precision::F32, decode)
    }

    /// Returns the mask, its scores and the object pointer (`_forward_sam_heads`).
    ///
    /// With `candidates`, chooses among three candidate masks, as SAM 2 does for one click or none.
    /// Otherwise takes the single mask.
    pub fn predict_mask(&self, outputs: &DecoderOutputs, candidates: bool) -> MaskPrediction {
        let rule = if candidates { MaskRule::BestCandidate } else { MaskRule::SingleIfStable };
        self.prediction(outputs.choose(rule, NO_OBJECT_LOGIT), outputs)
    }

    /// Returns all three candidate masks, each with its score and the object pointer that it would
    /// have if it were chosen, in the decoder's order.
    pub fn predict_candidates(&self, outputs: &DecoderOutputs) -> [MaskPrediction; 3] {
        outputs.each_candidate(NO_OBJECT_LOGIT).map(|chosen| self.prediction(chosen, outputs))
    }

    /// Completes a chosen mask with the object's score and pointer.
    fn prediction(&self, chosen: ChosenMask, outputs: &DecoderOutputs) -> MaskPrediction {
        let ChosenMask { mask_logits, iou, token } = chosen;
        let score = outputs.object_score_logits.clone();
        let pointer = self.network.obj_ptr_proj.forward(token);
        MaskPrediction {
            low_res_logits: mask_logits,
            iou,
            object_pointer: self.mark_absent(pointer, score.clone()),
            object_score_logits: score,
        }
    }

    /// Takes the user's masks `[batch, 1, S, S]` of zeros and ones as the result
    /// (`_use_mask_as_output`). Only the pointer comes from the decoder.
    pub fn use_mask_as_output(
        &self,
        features: &FrameFeatures,
        masks_bchw: Tensor<4>,
    ) -> MaskPrediction {
        let batch = masks_bchw.dims()[0];
        let [_, tokens, channels] = features.tokens.dims();
        let prompt = kernels::convolution(&self.network.mask_downsample, None, masks_bchw.clone());
        let frame = features.tokens.clone().expand([batch, tokens, channels]);
        let outputs = self.decode(
            features,
            &ConditionedFeatures(frame),
            &self.embed_prompts(&[], Some(prompt)),
        );
        let pointer = self.predict_mask(&outputs, false).object_pointer;
        let logits = masks_bchw.clone() * MASK_SCALE + MASK_BIAS;
        // Rows first: otherwise a GPU would give a million pixels to one thread.
        let highest = masks_bchw.max_dim(3).max_dim(2).reshape([batch, 1]);
        MaskPrediction {
            low_res_logits: self.tables.model_to_low_res.forward(logits),
            iou: Tensor::ones([batch, 1], &self.device),
            // The pointer of absent objects is mixed in a second time, now by the mask itself.
            object_pointer: self.mark_absent(pointer, highest.clone()),
            object_score_logits: kernels::present(highest) * MASK_SCALE + MASK_BIAS,
        }
    }

    /// Makes memories from a frame and its masks (`_encode_new_memory`).
    ///
    /// `low_res_logits` `[batch, 1, S / 4, S / 4]` and `object_score_logits` `[batch, 1]` are those
    /// predicted. If `prompted`, the user gave a prompt on this frame, so the mask enters as
    /// binary, as the user saw it.
    pub fn encode_memory(
        &self,
        features: &FrameFeatures,
        low_res_logits: Tensor<4>,
        object_score_logits: Tensor<2>,
        prompted: bool,
    ) -> MemoryFeatures {
        kernels::on_pool(&self.device, Precision::F32, || {
            self.memory_of(features, low_res_logits, object_score_logits, prompted)
        })
    }

    fn memory_of(
        &self,
        features: &FrameFeatures,
        low_res_logits: Tensor<4>,
        object_score_logits: Tensor<2>,
        prompted: bool,
    ) -> MemoryFeatures {
        let finish = Finish {
            curve: if prompted { Curve::Step } else { Curve::Sigmoid },
            scale: MASK_SCALE as f32,
            shift: MASK_BIAS as f32,
        };
        let masks = self.tables.low_res_to_model.forward_finished(low_res_logits, finish);
        let memory = self.network.memory_encoder.forward(features.tokens.clone(), masks);
        let embedding = self.network.no_obj_embed_spatial.as_ref();
        let absent = embedding.map(|embedding| (object_score_logits, embedding.val()));
        MemoryFeatures(kernels::finish_memory(memory, absent))
    }

    /// Replaces pointers `[batch, hidden_dim]` whose logit `[batch, 1]` is not above 0 with the
    /// learned pointer for absent objects.
    fn mark_absent(&self, pointer: Tensor<2>, logits: Tensor<2>) -> Tensor<2> {
        kernels::mark_absent(pointer, logits, self.network.no_obj_ptr.val())
    }
}

/// Merges layers for a GPU, with weights in f32.
fn pack(network: &mut Sam2Network) -> Result<(), DeviceFailure> {
    network.image_encoder.pack(network.sam_mask_decoder.high_res_projections())?;
    network.memory_attention.pack(FloatDType::F32)?;
    network.sam_mask_decoder.pack()
}
