//! Scenarios that both the official predictor and ours play: `tests/parity/scenarios/*.json`.

use std::path::Path;

use sam2_engine::{Mask, MemoryRetention, SessionOptions};
use sam2_model::{ModelVersion, Variant};
use serde::Deserialize;

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    /// Name of the file, without `.json`.
    pub name: String,
    /// A description of what the scenario shows.
    pub about: String,
    /// The weights to use.
    pub model: ModelChoice,
    /// Options that differ from the defaults.
    #[serde(default)]
    pub options: Options,
    /// The clip.
    pub clip: Clip,
    /// The actions, in order.
    pub ops: Vec<Op>,
}

/// The weights to use.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "weights", rename_all = "kebab-case")]
pub enum ModelChoice {
    /// The bundled checkpoint.
    Micro {
        /// Value added to every object score.
        #[serde(default)]
        object_score_shift: f32,
    },
    /// Seeded weights of an official architecture.
    Seeded {
        /// Variant of the model.
        variant: Variant,
        /// Generation of the model.
        version: ModelVersion,
    },
}

/// Options that differ from the official predictor's defaults on a CPU.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Side of the model's input in pixels.
    pub image_size: Option<usize>,
    /// See [`SessionOptions::memory_temporal_stride`].
    pub memory_temporal_stride: Option<usize>,
    /// See [`SessionOptions::max_conditioning_frames`].
    pub max_conditioning_frames: Option<usize>,
    /// See [`SessionOptions::non_overlap_masks`].
    pub non_overlap_masks: bool,
    /// See [`SessionOptions::fill_hole_area`].
    pub fill_hole_area: u32,
    /// See [`SessionOptions::corrections_condition`].
    pub corrections_condition: bool,
}

impl Options {
    /// Returns the options for a session.
    pub fn session(&self) -> SessionOptions {
        SessionOptions::default()
            .fill_hole_area(self.fill_hole_area)
            .corrections_condition(self.corrections_condition)
            .non_overlap_masks(self.non_overlap_masks)
            .memory_temporal_stride(self.memory_temporal_stride.unwrap_or(1))
            .max_conditioning_frames(self.max_conditioning_frames)
            .retention(MemoryRetention::All)
    }
}

/// Frames `start..start + count` of a source.
#[derive(Clone, Debug, Deserialize)]
pub struct Clip {
    /// Name of a bundled clip or of a computed one.
    pub source: String,
    /// First frame.
    #[serde(default)]
    pub start: usize,
    /// Number of frames.
    pub count: usize,
}

/// One action.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Adds point prompts, a box or both.
    Points {
        /// The frame index.
        frame: usize,
        /// The object.
        object: u32,
        /// x, y, label.
        #[serde(default)]
        points: Vec<[f32; 3]>,
        /// x0, y0, x1, y1.
        #[serde(default, rename = "box")]
        bounds: Option<[f32; 4]>,
        /// Whether earlier points are dropped.
        #[serde(default = "yes")]
        clear_old_points: bool,
    },
    /// Adds a mask: the pixels inside an ellipse.
    Mask {
        /// The frame index.
        frame: usize,
        /// The object.
        object: u32,
        /// Centre and half axes: cx, cy, rx, ry.
        ellipse: [f64; 4],
    },
    /// Propagates.
    Propagate {
        /// Whether to propagate towards the start.
        #[serde(default)]
        reverse: bool,
        /// First frame; by default the earliest conditioning frame.
        #[serde(default)]
        start: Option<usize>,
        /// Number of frames after the first.
        #[serde(default)]
        max_frames: Option<usize>,
    },
    /// Removes the prompts of an object on a frame.
    ClearPrompts {
        /// The frame index.
        frame: usize,
        /// The object.
        object: u32,
    },
    /// Removes an object.
    RemoveObject {
        /// The object.
        object: u32,
    },
    /// Resets the session.
    Reset,
}

fn yes() -> bool {
    true
}

impl Scenario {
    /// Reads one file.
    ///
    /// # Panics
    /// If the file is not a scenario.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

/// Returns the pixels inside an ellipse.
pub fn ellipse_mask([cx, cy, rx, ry]: [f64; 4], width: u32, height: u32) -> Mask {
    let inside = |i: u32| {
        let (x, y) = (f64::from(i % width), f64::from(i / width));
        ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) <= 1.0
    };
    let pixels = (0..width * height).map(inside).collect::<Vec<_>>();
    Mask::from_pixels(width, height, pixels.into_iter()).unwrap_or_else(|e| panic!("{e}"))
}
