//! Body parts and the animals that have them.

/// The position at which a body part was seen in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// Column in the video in pixels, after [`KeypointSelection::scale`](crate::KeypointSelection::scale).
    pub x: f32,
    /// Row in pixels.
    pub y: f32,
    /// Likelihood, 0 to 1. It is 1 in files without likelihoods (labelled data).
    pub likelihood: f32,
}

/// One animal of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Individual {
    /// Its name. `None` in tracks of one animal, which have no names.
    pub name: Option<String>,
    /// Its body parts, in the order of the selection or else of the file.
    pub bodyparts: Vec<String>,
}
