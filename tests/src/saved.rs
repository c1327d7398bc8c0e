//! Continues a session, for tests that do this in one process and, after restoring the session, in
//! another.

use std::path::Path;

use sam2_engine::{
    Direction, EngineError, FrameMasks, FrameSource, ObjectId, Point, RgbFrame, Sam2,
    StreamSession, VideoSession,
};
use sam2_frame_provider::MemoryFrames;

use crate::clips;
use crate::exact::bits;

/// Number of frames of the recording.
pub const FRAMES: usize = 44;
/// Number of frames after which the stream is saved.
pub const STREAMED: usize = 24;

/// Loads the micro model with a small input, for speed.
pub fn model() -> Sam2 {
    clips::micro_model().with_image_size(128).unwrap()
}

/// Returns the frames of the recording.
pub fn frames() -> Vec<RgbFrame> {
    let clip = clips::frames("two-crossing");
    (0..FRAMES).map(|i| (*clip.frame(i).unwrap()).clone()).collect()
}

/// Returns the recording.
pub fn recording() -> MemoryFrames {
    MemoryFrames::new(frames()).unwrap()
}

/// Restores a session on the recording.
pub fn restore_video(model: &Sam2, path: impl AsRef<Path>) -> VideoSession<MemoryFrames> {
    VideoSession::builder(model).restore(recording(), path).unwrap()
}

/// Restores a stream.
pub fn restore_stream(model: &Sam2, path: impl AsRef<Path>) -> StreamSession {
    StreamSession::builder(model).restore(path).unwrap()
}

/// Goes on from where the session is to the end, corrects it there, and goes back to the start.
pub fn continue_video(session: &mut VideoSession<MemoryFrames>) -> Vec<u32> {
    let next = session.position().map(|(frame, _)| frame + 1);
    let mut shown = flat(session.propagate_from(next, Direction::Forward, None));
    let correction = [Point::positive(120.0, 120.0)];
    let corrected = session.add_points(FRAMES - 2, session.object_ids()[0], &correction);
    shown.extend(bits(&[corrected.unwrap()]));
    shown.extend(flat(session.propagate(Direction::Reverse)));
    shown
}

/// Prompts the newest frame and pushes the rest of the recording.
pub fn continue_stream(session: &mut StreamSession) -> Vec<u32> {
    let object = ObjectId(9);
    let prompted = session.add_points(object, &[Point::positive(200.0, 90.0)]);
    let mut shown = bits(&[prompted.unwrap()]);
    let rest = &frames()[session.frame_count()..];
    shown.extend(flat(rest.iter().map(|frame| session.push(frame))));
    shown
}

/// Returns everything that the frames show as one vector.
pub fn flat(run: impl Iterator<Item = Result<FrameMasks, EngineError>>) -> Vec<u32> {
    let mut shown = Vec::new();
    for masks in run {
        let masks = masks.unwrap();
        shown.extend([masks.frame_index as u32, masks.objects.len() as u32]);
        shown.extend(bits(&masks.objects));
    }
    shown
}
