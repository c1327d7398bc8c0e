//! What a sink must know of a recording before its first frame.

use std::collections::BTreeMap;

/// The recording that masks belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingInfo {
    /// Columns and rows.
    pub size: (u32, u32),
    /// Its number of frames.
    pub frames: usize,
    /// Frames per second, finite and above 0; `None` if unknown.
    pub frames_per_second: Option<f64>,
    /// What formats that name their recording call it.
    pub name: String,
    /// The objects that are known beforehand. Others may come up on the way: a format that has a place for each object on
    /// each frame then shows them absent before.
    pub objects: Vec<u32>,
    /// What objects are called, where they have names: the individuals of a track, say.
    pub object_names: BTreeMap<u32, String>,
    /// File names of the images that the frames were read from, one for each frame; empty where frames are not image files
    /// of their own.
    pub image_names: Vec<String>,
}

impl RecordingInfo {
    /// A recording of `frames` frames of `size` = (width, height), of which nothing else is known.
    pub fn new(size: (u32, u32), frames: usize) -> Self {
        Self {
            size,
            frames,
            frames_per_second: None,
            name: "recording".into(),
            objects: vec![],
            object_names: BTreeMap::new(),
            image_names: vec![],
        }
    }

    /// Pixels of a frame.
    pub(crate) fn pixels(&self) -> usize {
        self.size.0 as usize * self.size.1 as usize
    }
}
