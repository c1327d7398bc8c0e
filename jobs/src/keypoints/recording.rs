//! The recording that a track belongs to.

use sam2_engine::Region;
use sam2_frame_provider::{FrameSize, FrameSource};

/// The facts about a recording that a track needs to find its frames.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedRecording {
    /// The name of its file or folder.
    pub name: String,
    /// Number of frames.
    pub frame_count: usize,
    /// Size of the frames.
    pub size: FrameSize,
    /// The part of the picture in which points may lie. `None` = all of it.
    pub region: Option<Region>,
    /// The file name of each frame's image, without folder. Empty if frames are not image files.
    pub images: Vec<String>,
    /// The time of each frame, in seconds from the start. Empty if they have none.
    pub times: Vec<f64>,
}

impl TrackedRecording {
    /// Collects these facts from a source of frames, without a region.
    pub fn of<S: FrameSource + ?Sized>(frames: &S) -> Self {
        let info = frames.info();
        let indices = 0..info.frame_count;
        // Either all frames have names or none: sources consist of image files or do not.
        let images = indices.clone().map(|frame| info.frame_name(frame).map(str::to_owned));
        let times = indices.map(|frame| info.time(frame));
        Self {
            name: info.description.to_string(),
            frame_count: info.frame_count,
            size: info.size,
            region: None,
            images: images.collect::<Option<_>>().unwrap_or_default(),
            times: times.collect::<Option<_>>().unwrap_or_default(),
        }
    }
}
