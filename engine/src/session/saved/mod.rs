//! Sessions in files.
//!
//! A saved session is a safetensors file: the tensors are what the session remembers (f32; for a stream also its newest frame
//! in the network's size, u8), and the metadata says the rest as JSON. It holds neither the weights nor the recording, only
//! what tells them apart from others, so that it is continued with the same or not at all.
//!
//! | metadata key | value |
//! |---|---|
//! | `format` | `sam2-session` |
//! | `format_version` | [`FORMAT_VERSION`] |
//! | `session` | JSON: kind, crate version, weights' fingerprint, configuration, options, name of an own memory policy, size, number of frames, position, objects |
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
/// Pixels of a stream's frame that are believed without the frame at hand: a gigabyte of logits for each mask. What a file claims must
/// not decide how much is allocated.
const MOST_PIXELS: u64 = 1 << 28;

impl<'m, S: FrameSource> VideoSession<'m, S> {
    /// Writes everything that the session knows to one file: prompts, memories, results that wait for the next propagation,
    /// history and position. [`Self::restore`] continues from it bit for bit, also in another process.
    ///
    /// A file that is there is replaced, at once and only when the new one is complete. It takes about as much space as the
    /// session's objects do in memory.
    ///
    /// # Errors
    /// [`EngineError::Write`] if the file cannot be written, [`EngineError::Device`] if the device does not give tensors back.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), EngineError> {
        self.save_labelled(path.as_ref(), None)
    }

    /// Saves a checkpoint of a job under a label, which [`Self::restore_labelled`] asks for.
    pub(crate) fn save_labelled(
        &self,
        path: &Path,
        label: Option<String>,
    ) -> Result<(), EngineError> {
        let tracker = &self.tracker;
        let kind = SavedKind::Video { frame_count: tracker.frame_count };
        let mut contents = Contents::default();
        let mut saved = SavedSession::of(tracker, kind, tracker.options, &mut contents)?;
        saved.label = label;
        contents.write(&saved, path)
    }

    /// Opens a checkpoint that was saved under this very label.
    ///
    /// # Errors
    /// As [`Self::restore`], and [`SessionFileError::OtherCheckpoint`].
    pub(crate) fn restore_labelled(
        model: &'m Sam2,
        frames: S,
        path: &Path,
        label: &str,
    ) -> Result<Self, EngineError> {
        Self::restore_with(model, frames, path, None, Some(label))
    }

    /// Opens a session as it was when it was saved, its options included, on the same recording with the same weights.
    ///
    /// # Errors
    /// [`EngineError::SessionFile`] for a file that is damaged or that belongs to other weights, another configuration, a
    /// recording of another size or length, or another format version.
    pub fn restore(
        model: &'m Sam2,
        frames: S,
        path: impl AsRef<Path>,
    ) -> Result<Self, EngineError> {
        Self::restore_with(model, frames, path.as_ref(), None, None)
    }

    /// Opens a session that was opened with [`Self::with_memory_policy`], with the same policy.
    ///
    /// # Errors
    /// As [`Self::restore`], and [`SessionFileError::OtherMemoryPolicy`] if the policy in the file has another name.
    pub fn restore_with_memory_policy(
        model: &'m Sam2,
        frames: S,
        path: impl AsRef<Path>,
        policy: Arc<dyn MemoryPolicy>,
    ) -> Result<Self, EngineError> {
        Self::restore_with(model, frames, path.as_ref(), Some(policy), None)
    }

    fn restore_with(
        model: &'m Sam2,
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
        let (count, size) = (frames.frame_count(), frames.size());
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
        let mut tracker = Tracker::new(model, frames, saved.options, policy, count, size)?;
        Loader::new(&mut contents, model, count).fill(&mut tracker, saved).map_err(about)?;
        contents.check_used_up().map_err(about)?;
        Ok(Self { tracker })
    }
}

impl<'m> StreamSession<'m> {
    /// Writes everything that the session knows to one file, the newest frame in the network's size included:
    /// [`Self::restore`] then takes the next frame, or prompts for the newest one, as if nothing had happened.
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

    /// Opens a stream as it was when it was saved, its options included. The next frame must be of the same size.
    ///
    /// # Errors
    /// As [`VideoSession::restore`], without the recording.
    pub fn restore(model: &'m Sam2, path: impl AsRef<Path>) -> Result<Self, EngineError> {
        Self::restore_with(model, path.as_ref(), None)
    }

    /// Opens a stream that was opened with [`Self::with_memory_policy`], with the same policy.
    ///
    /// # Errors
    /// As [`VideoSession::restore_with_memory_policy`], without the recording.
    pub fn restore_with_memory_policy(
        model: &'m Sam2,
        path: impl AsRef<Path>,
        policy: Arc<dyn MemoryPolicy>,
    ) -> Result<Self, EngineError> {
        Self::restore_with(model, path.as_ref(), Some(policy))
    }

    fn restore_with(
        model: &'m Sam2,
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
        // Frames are counted on from there.
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
        let options = StreamOptions { session: saved.options, total_frames };
        let mut session = Self::new(model, options);
        session.policy = policy;
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
