//! Saving and restoring sessions.
//!
//! A saved session is a safetensors file. The tensors are what the session remembers (f32; for a
//! stream also its newest frame at the network's size, u8). The metadata has the rest as JSON. The
//! file contains neither the weights nor the recording, only what identifies them, so that the
//! session continues with the same ones or not at all.
//!
//! | metadata key | value |
//! |---|---|
//! | `format` | `sam2-session` |
//! | `format_version` | [`FORMAT_VERSION`] |
//! | `session` | JSON: kind, crate version, weights' fingerprint, configuration, options, limits, name of a custom memory policy, size, number of frames, position, objects |
//! | `sha256` | of the JSON and of every tensor's name, format, shape and bytes |

mod error;
mod file;
mod schema;
mod state;

use std::path::Path;
use std::sync::Arc;

use sam2_frame_provider::{FrameSize, FrameSource, RgbFrame};
use sam2_model::Sam2;

pub use error::SessionFileError;
pub use file::FORMAT_VERSION;

use super::stream_session::{NewestFrame, StreamOptions, StreamSession};
use super::tracker::Tracker;
use super::video_session::VideoSession;
use crate::error::EngineError;
use crate::memory_policy::MemoryPolicy;
use file::{Contents, Problem};
use schema::{SavedKind, SavedSession};
use state::Loader;

/// Name of the tensor that holds a stream's newest frame, `[S, S, 3]`.
const NEWEST_INPUT: &str = "newest_input";
/// Limit for the pixels of a stream's frame that a file may claim: a gigabyte of logits for each
/// mask. A file must not decide how much is allocated.
const MOST_PIXELS: u64 = 1 << 28;

impl<S: FrameSource> VideoSession<S> {
    /// Writes the complete state of the session to one file: prompts, memories, results that wait
    /// for the next propagation, history and position.
    /// [`VideoSessionBuilder::restore`](crate::VideoSessionBuilder::restore) continues from it bit
    /// for bit, also in another process.
    ///
    /// An existing file is replaced atomically, and only when the new one is complete. The file is
    /// about as large as the session's objects in memory.
    ///
    /// # Errors
    /// [`EngineError::Write`] if the file cannot be written, [`EngineError::Device`] if tensors
    /// cannot be read back from the device.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), EngineError> {
        self.save_labelled(path.as_ref(), None)
    }

    /// Saves a checkpoint under a label, which
    /// [`VideoSessionBuilder::label`](crate::VideoSessionBuilder::label) requires when restoring.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn save_labelled(&self, path: &Path, label: Option<String>) -> Result<(), EngineError> {
        let tracker = &self.tracker;
        let kind = SavedKind::Video { frame_count: tracker.frame_count };
        let mut contents = Contents::default();
        let mut saved = SavedSession::of(tracker, kind, tracker.options, &mut contents)?;
        saved.label = label;
        contents.write(&saved, path)
    }

    pub(super) fn restore_with(
        model: &Sam2,
        frames: S,
        path: &Path,
        policy: Option<Arc<dyn MemoryPolicy>>,
        label: Option<&str>,
    ) -> Result<Self, EngineError> {
        let (mut contents, saved) = Contents::read(path)?;
        if label.is_some() && saved.label.as_deref() != label {
            return Err(SessionFileError::OtherCheckpoint { path: path.to_owned() }.into());
        }
        let about = |problem: Problem| problem.in_file(path);
        let info = frames.info();
        let (count, size) = (info.frame_count, info.size);
        saved.check_model(model, path)?;
        saved.check_policy(policy.as_deref(), path)?;
        let SavedKind::Video { frame_count } = saved.kind else {
            return Err(about(Problem::OtherKind { found: "a stream", expected: "a recording" }));
        };
        if (frame_count, saved.size) != (count, [size.width, size.height]) {
            return Err(about(Problem::OtherRecording {
                found: describe(frame_count, saved.size),
                expected: describe(count, [size.width, size.height]),
            }));
        }
        let mut tracker =
            Tracker::new(model, frames, saved.session_options(), policy, count, size)?;
        Loader::new(&mut contents, model, count).fill(&mut tracker, saved).map_err(about)?;
        contents.check_used_up().map_err(about)?;
        Ok(Self { tracker })
    }
}

impl StreamSession {
    /// Writes the complete state of the session to one file, including the newest frame at the
    /// network's size. After
    /// [`StreamSessionBuilder::restore`](crate::StreamSessionBuilder::restore) the session takes
    /// the next frame, or prompts for the newest one, as if it had never been interrupted.
    ///
    /// # Errors
    /// As [`VideoSession::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), EngineError> {
        let tracker = self.tracker.as_ref().ok_or(EngineError::NoFrameYet)?;
        let StreamOptions { session, total_frames } = self.options();
        let kind = SavedKind::Stream { newest: tracker.frames.index, total_frames };
        let mut contents = Contents::default();
        let saved = SavedSession::of(tracker, kind, session, &mut contents)?;
        let input = &tracker.frames.input;
        let shape = vec![input.height() as usize, input.width() as usize, 3];
        contents.insert_bytes(NEWEST_INPUT, shape, input.data().to_vec());
        contents.write(&saved, path.as_ref())
    }

    pub(super) fn restore_with(
        model: &Sam2,
        path: &Path,
        policy: Option<Arc<dyn MemoryPolicy>>,
    ) -> Result<Self, EngineError> {
        let (mut contents, saved) = Contents::read(path)?;
        let about = |problem: Problem| problem.in_file(path);
        saved.check_model(model, path)?;
        saved.check_policy(policy.as_deref(), path)?;
        let SavedKind::Stream { newest, total_frames } = saved.kind else {
            return Err(about(Problem::OtherKind { found: "a recording", expected: "a stream" }));
        };
        // Numbering continues from this frame.
        if newest >= total_frames.unwrap_or(usize::MAX).min(usize::MAX / 2) {
            return Err(about(Problem::damaged("more frames than there are")));
        }
        let side = model.config().image_size as u32;
        let bytes = contents.take_bytes(NEWEST_INPUT, [side as usize, side as usize, 3]);
        let input = RgbFrame::new(side, side, bytes.map_err(about)?)?;
        let frame = NewestFrame { index: newest, input: Arc::new(input) };
        let [width, height] = saved.size;
        if width == 0 || height == 0 || u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(about(Problem::Damaged(format!("frames of {width}x{height}"))));
        }
        let options = StreamOptions { session: saved.session_options(), total_frames };
        let mut session = Self::with(model, options, policy);
        let mut tracker = session.tracker_on(frame, FrameSize { width, height })?;
        Loader::new(&mut contents, model, newest + 1).fill(&mut tracker, saved).map_err(about)?;
        contents.check_used_up().map_err(about)?;
        session.tracker = Some(tracker);
        Ok(session)
    }
}

fn describe(frames: usize, [width, height]: [u32; 2]) -> String {
    format!("{frames} frames of {width}x{height}")
}
