//! Runs memory policies on clips with ground truth.

use sam2_engine::{
    BoxPrompt, Direction, FrameSource, Mask, MemoryPolicyChoice, ObjectId, Point, Sam2,
    SessionOptions, VideoSession,
};

use crate::clips;
use crate::fixture::Fixture;
use crate::hard_clips::HardClip;

/// The first prompt of a generated clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstPrompt {
    /// The bounding box of the ground-truth mask.
    Box,
    /// The ground-truth mask itself.
    Mask,
}

/// Returns the mean of some numbers; 0 if there are none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn options(policy: MemoryPolicyChoice) -> SessionOptions {
    SessionOptions::default().memory_policy(policy)
}

/// Tracks the object of a generated clip, prompted on frame 0. Returns J of every later frame.
pub fn hard_clip(
    model: &Sam2,
    clip: &HardClip,
    policy: MemoryPolicyChoice,
    prompt: FirstPrompt,
) -> Vec<f64> {
    let mut session =
        VideoSession::builder(model).options(options(policy)).open(clip.frames.clone()).unwrap();
    let (object, first) = (ObjectId(1), &clip.truth[0]);
    match prompt {
        FirstPrompt::Box => session.add_box(0, object, bounds(first)).unwrap(),
        FirstPrompt::Mask => session.add_mask(0, object, first).unwrap(),
    };
    let judged = session.propagate(Direction::Forward).skip(1).map(|frame| {
        let frame = frame.unwrap();
        let shown = &frame.objects[0];
        shown.mask.iou(&clip.truth[frame.frame_index])
    });
    judged.collect()
}

/// Tracks the objects of a bundled clip in both directions, with the prompts of the official run.
/// Returns J of every frame of every object.
pub fn bundled_clip(model: &Sam2, name: &str, policy: MemoryPolicyChoice) -> Vec<f64> {
    let fixture = Fixture::open("micro_truth");
    let key = name.replace('-', "_");
    let shape = fixture.shape(&format!("{key}.points"));
    let values = fixture.values(&format!("{key}.points"));
    let prompt_frame = fixture.number(&format!("{key}.prompt_frame")) as usize;
    let mut session =
        VideoSession::builder(model).options(options(policy)).open(clips::frames(name)).unwrap();
    let mut truth = Vec::new();
    for (object, points) in (1..).zip(values.chunks(2 * shape[1])) {
        let points: Vec<Point> = points.chunks(2).map(|p| Point::positive(p[0], p[1])).collect();
        session.add_points(prompt_frame, ObjectId(object), &points).unwrap();
        truth.push(clips::truth(name, object as u8));
    }
    let frames = session.frames().info().frame_count;
    let mut judged: Vec<Vec<Option<f64>>> = vec![vec![None; frames]; truth.len()];
    for direction in [Direction::Forward, Direction::Reverse] {
        for frame in session.propagate(direction) {
            let frame = frame.unwrap();
            for (object, shown) in frame.objects.iter().enumerate() {
                let j = shown.mask.iou(&truth[object][frame.frame_index]);
                judged[object][frame.frame_index] = Some(j);
            }
        }
    }
    judged.into_iter().flatten().map(Option::unwrap).collect()
}

/// Returns the bounding box of a mask.
///
/// # Panics
/// If the mask is empty.
pub fn bounds(mask: &Mask) -> BoxPrompt {
    let width = mask.width() as usize;
    let (mut x0, mut y0, mut x1, mut y1) = (usize::MAX, usize::MAX, 0, 0);
    for pixel in mask.foreground().flatten() {
        let (x, y) = (pixel % width, pixel / width);
        (x0, y0, x1, y1) = (x0.min(x), y0.min(y), x1.max(x + 1), y1.max(y + 1));
    }
    assert!(x0 < x1, "the mask is empty");
    BoxPrompt { x0: x0 as f32, y0: y0 as f32, x1: x1 as f32, y1: y1 as f32 }
}
