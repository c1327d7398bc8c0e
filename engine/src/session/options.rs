//! How a session behaves.

use sam2_frame_provider::resize::ResizeMode;

use crate::memory_bank::MemoryRetention;

/// Options of a [`super::VideoSession`]; the defaults are the official predictor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Holes in a mask of up to this many low-resolution pixels (a quarter of the model's side) are filled; 0 = off.
    /// Official: 8 on a GPU. Without its CUDA extension PyTorch skips the step silently.
    pub fill_hole_area: u32,
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
    /// the official default, whose cost grows with the number of prompted frames.
    pub max_conditioning_frames: Option<usize>,
    /// How much of the past is kept.
    pub retention: MemoryRetention,
    /// How frames are brought to the model's size. Official: Pillow for folders of JPEG files, decord for MP4 files.
    /// Default: Pillow for both, since the published figures are of folders of JPEG files.
    pub resize: ResizeMode,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            fill_hole_area: 8,
            corrections_condition: false,
            non_overlap_masks: false,
            clear_memories_around_prompts: false,
            memory_temporal_stride: 1,
            max_conditioning_frames: None,
            retention: MemoryRetention::Bounded,
            resize: ResizeMode::PillowBicubic,
        }
    }
}
