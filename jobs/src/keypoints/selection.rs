//! The requested part of a track.

/// What to take from a track.
#[derive(Clone, Debug, PartialEq)]
pub struct KeypointSelection {
    /// Body parts, in order. Empty = all.
    pub bodyparts: Vec<String>,
    /// The animals to segment. Empty = all, except DeepLabCut's `single`, which holds the body
    /// parts that belong to no animal.
    pub individuals: Vec<String>,
    /// Added to coordinates before [`KeypointSelection::scale`]: the corner of the part of the
    /// video on which the track was made, in pixels of that video. `None` = the corner that
    /// DeepLabCut noted next to the track, unless the recording is that part. Without such a note
    /// nothing is added.
    pub offset: Option<[f32; 2]>,
    /// Factor by which coordinates are multiplied, for a track of a smaller video.
    pub scale: f32,
    /// The name of the recording in the file whose rows are taken, if it differs from the
    /// recording's own name.
    pub video: Option<String>,
    /// The frame of the recording that is frame 0 of the track. `None` = 0. With -1, a track that
    /// counts from 1 begins with the recording's first frame.
    pub first_frame: Option<isize>,
}

impl Default for KeypointSelection {
    fn default() -> Self {
        Self {
            bodyparts: Vec::new(),
            individuals: Vec::new(),
            offset: None,
            scale: 1.0,
            video: None,
            first_frame: None,
        }
    }
}
