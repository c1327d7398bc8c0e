//! Options of a session.

use std::num::NonZeroUsize;

use sam2_frame_provider::resize::ResizeMode;
use serde::{Deserialize, Serialize};

use super::direction::Passes;
use super::quality::QualityOptions;
use super::region::{Fit, Region};
use crate::memory_bank::MemoryRetention;
use crate::memory_policy::MemoryPolicyChoice;

/// What decides the masks of a [`super::VideoSession`], and in [`Self::limits`] what does not; the
/// defaults are the official predictor's.
///
/// Only what decides masks is serialised: it is part of a job's identity.
///
/// ```
/// use sam2_engine::{MemoryRetention, SessionOptions};
///
/// let options = SessionOptions::default().remove_island_area(8).retention(MemoryRetention::All);
/// assert_eq!(options.limits.retention, MemoryRetention::All);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Fill holes in a mask of up to this many low-resolution pixels (a quarter of the model's
    /// side); 0 = off. Official: 8 on a GPU. Without its CUDA extension PyTorch skips the step
    /// silently.
    pub fill_hole_area: u32,
    /// Remove islands in a mask of up to this many low-resolution pixels, after holes were filled:
    /// their logits become -0.1; 0 = off. An object that is smaller as a whole is then never found.
    /// Like filling holes, this changes the returned masks, the starting point of a later click and
    /// the memories of prompted frames, but not the memories of tracked frames. Official: never.
    pub remove_island_area: u32,
    /// Frames that are corrected after they were tracked also become conditioning frames
    /// (`add_all_frames_to_correct_as_cond`). Official default: false.
    pub corrections_condition: bool,
    /// Where objects overlap, only the one with the highest logit keeps the pixel. This affects the
    /// returned masks, not the memories (`non_overlap_masks`). Official default: false.
    pub non_overlap_masks: bool,
    /// Prompting a frame forgets the object's ordinary memories around it, which may show the
    /// mistake that the prompt corrects (`clear_non_cond_mem_around_input`, which crashes in `sam2`
    /// 1.1.0). Official default: false.
    pub clear_memories_around_prompts: bool,
    /// Take memories from every n-th frame, in addition to the preceding frame
    /// (`memory_temporal_stride_for_eval`); at least 1. [`MemoryPolicyChoice::Dam4sam`] has a number
    /// of its own instead.
    pub memory_temporal_stride: usize,
    /// Read at most this many conditioning frames, the closest in time (`max_cond_frames_in_attn`);
    /// at least 2. `None` = all, the official default.
    ///
    /// The cap bounds the time per frame. Each conditioning frame adds `(S / 16)^2` memory tokens
    /// (4096 at 1024 x 1024) and a pointer to the attention of every frame, which otherwise reads
    /// six memories. With hundreds of prompted frames and no cap, a frame takes tens of times as
    /// long, and the attention needs as many times the memory. Conditioning frames that are not
    /// chosen still serve as ordinary frames near them. With a cap, masks far from a prompt no
    /// longer depend on it.
    ///
    /// Memory grows with the number of prompted frames either way, because a later pass may start
    /// from each of them. For every object, a prompted frame takes 1.3 MB (at 1024 x 1024) and,
    /// with [`MemoryRetention::Bounded`], up to 20 MB more for the frames around it once they were
    /// tracked. Only a [`super::StreamSession`] with a cap is bounded in this respect too.
    pub max_conditioning_frames: Option<usize>,
    /// On which frames of a pass an object is tracked. Official: on all of them.
    pub passes: Passes,
    /// Which memories a frame reads, and how many hypotheses about an object are followed. Official
    /// default: the conditioning frames and the last six frames, whatever they show, and one.
    pub memory_policy: MemoryPolicyChoice,
    /// How frames are resized to the model's size. Official: Pillow for folders of JPEG files,
    /// decord for MP4 files. Default: Pillow for both, because the published figures were measured
    /// on folders of JPEG files.
    #[serde(with = "resize_mode")]
    pub resize: ResizeMode,
    /// Use only this part of the frames: prompts must lie in it, and masks never extend outside it.
    /// Prompts and masks keep the recording's coordinates and size. Official: the whole frame.
    pub region: Option<Region>,
    /// How the frame or region fits the network's square input. Official: squashed.
    pub fit: Fit,
    /// When a mask is flagged in [`super::ObjectMask::flags`].
    pub quality: QualityOptions,
    /// What is kept, and how much goes through the model at a time: never a reason for other masks.
    #[serde(skip)]
    pub limits: SessionLimits,
}

/// What a [`super::VideoSession`] keeps, and how much goes through the model at a time. None of it
/// changes a mask; it decides about memory, speed and what can be asked for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionLimits {
    /// A tracked frame can be corrected exactly as long as everything it was tracked with is kept.
    /// With [`MemoryRetention::Bounded`], this holds for up to this many frames before the newest
    /// one. Each costs one more memory and one more result per object: about 1.3 MB at 1024 x 1024.
    /// Corrections further back are refused with [`crate::EngineError::ResultReleased`], except
    /// where enough is kept around a prompted frame.
    pub correctable_frames: usize,
    /// Number of frames whose encoder features are cached, at least 1: the most recently used ones.
    /// A value above 1 helps when prompts go back and forth between a few frames; each of them is
    /// then encoded once. A frame takes `S^2 * hidden_dim / 16` bytes: 0.26 MB for the micro model
    /// at 256 x 256, 16.8 MB for every published model at 1024 x 1024.
    pub feature_cache_frames: usize,
    /// At most this many objects go through memory attention, mask decoder and memory encoder at a
    /// time; `None` = all objects whose memories have the same layout, which is fastest. With a
    /// limit, the memory for these steps, in addition to the objects' own state, does not grow with
    /// the number of objects. Each pathway of an object counts ([`crate::Pathways`]).
    pub objects_per_pass: Option<NonZeroUsize>,
    /// Also return the mask logits at the recording's size: [`super::ObjectMask::video_logits`], 4
    /// bytes per pixel and object.
    pub keep_video_logits: bool,
    /// How much of the past is kept.
    pub retention: MemoryRetention,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            fill_hole_area: 8,
            remove_island_area: 0,
            corrections_condition: false,
            non_overlap_masks: false,
            clear_memories_around_prompts: false,
            memory_temporal_stride: 1,
            max_conditioning_frames: None,
            passes: Passes::Official,
            memory_policy: MemoryPolicyChoice::Official,
            resize: ResizeMode::PillowBicubic,
            region: None,
            fit: Fit::Squash,
            quality: QualityOptions::default(),
            limits: SessionLimits::default(),
        }
    }
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            correctable_frames: 4,
            feature_cache_frames: 1,
            objects_per_pass: None,
            keep_video_logits: false,
            retention: MemoryRetention::Bounded,
        }
    }
}

/// Makes a chained setter of each field, `place` being where the field is.
macro_rules! setters {
    ($($field:ident: $type:ty => $($place:ident).+;)*) => {
        $(
            #[doc = concat!("Sets `", stringify!($field), "`.")]
            #[must_use]
            pub fn $field(mut self, $field: $type) -> Self {
                self.$($place).+ = $field;
                self
            }
        )*
    };
}

impl SessionOptions {
    setters! {
        fill_hole_area: u32 => fill_hole_area;
        remove_island_area: u32 => remove_island_area;
        corrections_condition: bool => corrections_condition;
        non_overlap_masks: bool => non_overlap_masks;
        clear_memories_around_prompts: bool => clear_memories_around_prompts;
        memory_temporal_stride: usize => memory_temporal_stride;
        max_conditioning_frames: Option<usize> => max_conditioning_frames;
        passes: Passes => passes;
        memory_policy: MemoryPolicyChoice => memory_policy;
        resize: ResizeMode => resize;
        region: Option<Region> => region;
        fit: Fit => fit;
        quality: QualityOptions => quality;
        limits: SessionLimits => limits;
        correctable_frames: usize => limits.correctable_frames;
        feature_cache_frames: usize => limits.feature_cache_frames;
        objects_per_pass: Option<NonZeroUsize> => limits.objects_per_pass;
        keep_video_logits: bool => limits.keep_video_logits;
        retention: MemoryRetention => limits.retention;
    }
}

impl SessionLimits {
    setters! {
        correctable_frames: usize => correctable_frames;
        feature_cache_frames: usize => feature_cache_frames;
        objects_per_pass: Option<NonZeroUsize> => objects_per_pass;
        keep_video_logits: bool => keep_video_logits;
        retention: MemoryRetention => retention;
    }
}

/// Serialises a resize mode by its name.
mod resize_mode {
    use sam2_frame_provider::resize::ResizeMode;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(mode: &ResizeMode, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(mode)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ResizeMode, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_saved_before_there_were_flags_can_be_read_and_no_number_is_too_odd_to_save() {
        let parse = |json: &str| serde_json::from_str::<SessionOptions>(json).unwrap();
        assert_eq!(parse("{}"), SessionOptions::default());
        let quality = QualityOptions { area_factor: Some(f32::INFINITY), ..Default::default() };
        let odd = SessionOptions::default().quality(quality);
        let read = parse(&serde_json::to_string(&odd).unwrap());
        let off = QualityOptions { area_factor: None, ..Default::default() };
        assert_eq!(read.quality, off);
    }
}
