//! What a sink must know about a recording before its first frame.

use std::collections::BTreeMap;

/// The recording that masks belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingInfo {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Number of frames.
    pub frames: usize,
    /// Frames per second, finite and above 0; `None` if unknown.
    pub frames_per_second: Option<f64>,
    /// Name of the recording, for formats that store one.
    pub name: String,
    /// The objects that are known beforehand. Others may appear later; a format that has a place
    /// for each object on each frame then shows them as absent on the earlier frames.
    pub objects: Vec<u32>,
    /// Names of those objects that have one, such as the individuals of a track.
    pub object_names: BTreeMap<u32, String>,
    /// File names of the images that the frames were read from, one per frame; empty if the frames
    /// are not individual image files.
    pub image_names: Vec<String>,
}

impl RecordingInfo {
    /// Returns a recording of `frames` frames of `size` = (width, height), with everything else
    /// unknown.
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

    /// Returns the number of pixels of a frame.
    pub(crate) fn pixels(&self) -> usize {
        self.size.0 as usize * self.size.1 as usize
    }
}
