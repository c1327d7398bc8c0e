//! How a session behaves.

use std::num::NonZeroUsize;

use sam2_frame_provider::resize::ResizeMode;
use serde::{Deserialize, Serialize};

use super::placement::{Fit, Region};
use super::quality::QualityOptions;
use crate::memory_bank::MemoryRetention;
use crate::memory_policy::MemoryPolicyChoice;

/// Options of a [`super::VideoSession`]; the defaults are the official predictor's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionOptions {
    /// Holes in a mask of up to this many low-resolution pixels (a quarter of the model's side) are filled; 0 = off.
    /// Official: 8 on a GPU. Without its CUDA extension PyTorch skips the step silently.
    pub fill_hole_area: u32,
    /// Islands in a mask of up to this many low-resolution pixels lose their logits (-0.1), after holes were filled; 0 = off. An
    /// object that is smaller as a whole is then never found. Like filling holes, this changes the masks that are given out, what
    /// a later click starts from and the memories of prompted frames, not those of tracked ones. Official: never.
    pub remove_island_area: u32,
    /// Frames that are corrected after they were tracked become conditioning frames too
    /// (`add_all_frames_to_correct_as_cond`). Official default: false.
    pub corrections_condition: bool,
    /// Where objects overlap, only the one with the highest logit keeps the pixel, in the masks that are given out; memories
    /// are not touched (`non_overlap_masks`). Official default: false.
    pub non_overlap_masks: bool,
    /// Prompting a frame forgets the object's ordinary memories around it, which may show what the prompt corrects
    /// (`clear_non_cond_mem_around_input`, which crashes in `sam2` 1.1.0). Official default: false.
    pub clear_memories_around_prompts: bool,
    /// Take memories from every n-th frame, besides the frame just before (`memory_temporal_stride_for_eval`); at least 1.
    pub memory_temporal_stride: usize,
    /// Look at no more than this many conditioning frames, the closest in time (`max_cond_frames_in_attn`); at least 2. `None` = all,
    /// the official default.
    ///
    /// What it bounds is time: each conditioning frame adds `(S / 16)^2` memory tokens (4096 at 1024 x 1024) and a pointer to what
    /// every frame attends to, which has six memories otherwise; with hundreds of prompted frames without a cap a frame takes
    /// tens of times as long, and the attention as much more memory. The conditioning frames that are passed over still serve as
    /// ordinary frames near them. With a cap, masks far from a prompt no longer depend on it.
    ///
    /// Memory grows with the number of prompted frames either way, because a later pass may start from each: for every object
    /// 1.3 MB for the frame itself (at 1024 x 1024), and with [`MemoryRetention::Bounded`] up to 20 MB for the frames around it
    /// once they were tracked. Only a [`super::StreamSession`] with a cap is bounded in this too.
    pub max_conditioning_frames: Option<usize>,
    /// A tracked frame can be corrected exactly as long as everything that it was tracked with is kept: with
    /// [`MemoryRetention::Bounded`], up to this many frames behind the newest one. Each costs one more memory and one more
    /// result an object: about 1.3 MB at 1024 x 1024. Corrections further back are refused with
    /// [`crate::EngineError::ResultReleased`], except where enough is kept around a prompted frame.
    pub correctable_frames: usize,
    /// Frames whose encoder features are kept, at least 1: those used last. More than one is for going back and forth between a
    /// few frames while prompting them, which then encodes each once. A frame takes `S^2 * hidden_dim / 16` bytes: 0.26 MB for the
    /// micro model at 256 x 256, 16.8 MB for every published one at 1024 x 1024.
    pub feature_cache_frames: usize,
    /// At most this many objects go through memory attention, mask decoder and memory encoder at a time; `None` = all whose
    /// memories lie alike, which is fastest. What those need beside the objects' own state then does not grow with the number of
    /// objects.
    pub objects_per_pass: Option<NonZeroUsize>,
    /// Give out the mask logits at the recording's size too: [`super::ObjectMask::video_logits`], 4 bytes a pixel and object.
    pub keep_video_logits: bool,
    /// What a frame looks at. Official default: the conditioning frames and the last six, whatever they show.
    pub memory_policy: MemoryPolicyChoice,
    /// How much of the past is kept.
    pub retention: MemoryRetention,
    /// How frames are brought to the model's size. Official: Pillow for folders of JPEG files, decord for MP4 files.
    /// Default: Pillow for both, since the published figures are of folders of JPEG files.
    #[serde(with = "resize_mode")]
    pub resize: ResizeMode,
    /// Look at this part of the frames only: prompts must lie in it, and nothing outside of it is ever in a mask. Prompts and masks keep
    /// the recording's coordinates and size. Official: the whole frame.
    pub region: Option<Region>,
    /// How the frame, or the region, fits the network's square. Official: squashed.
    pub fit: Fit,
    /// When a mask is flagged in [`super::ObjectMask::flags`].
    pub quality: QualityOptions,
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
            correctable_frames: 4,
            feature_cache_frames: 1,
            objects_per_pass: None,
            keep_video_logits: false,
            memory_policy: MemoryPolicyChoice::Official,
            retention: MemoryRetention::Bounded,
            resize: ResizeMode::PillowBicubic,
            region: None,
            fit: Fit::Squash,
            quality: QualityOptions::default(),
        }
    }
}

/// A resize mode by its name.
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
        let odd = SessionOptions { quality, ..SessionOptions::default() };
        let read = parse(&serde_json::to_string(&odd).unwrap());
        let off = QualityOptions { area_factor: None, ..Default::default() };
        assert_eq!(read.quality, off);
    }
}
