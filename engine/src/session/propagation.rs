//! Propagation as an iterator.

use sam2_frame_provider::FrameSource;

use super::direction::Direction;
use super::results::FrameMasks;
use super::video_session::VideoSession;
use crate::error::EngineError;
use crate::memory_bank::{MemoryBank, Outcome};
use crate::on_device::on_device;
use crate::prompt::ObjectId;

/// Yields the masks of one frame at a time; see [`VideoSession::propagate`].
///
/// Masks are computed only when [`Iterator::next`] is called, although the next frame may already
/// have been read and encoded. To report progress, read [`Self::frames_done`] between two frames.
/// To cancel, stop calling `next` or drop the iterator: the session stays where the iterator
/// stopped, and [`VideoSession::position`] returns that frame. The iterator can be moved to another
/// thread.
///
/// ```no_run
/// # use sam2_engine::{Direction, EngineError, FrameSource, VideoSession};
/// # fn track<S: FrameSource>(session: &mut VideoSession<S>, stop: &std::sync::atomic::AtomicBool) -> Result<(), EngineError> {
/// let mut run = session.propagate(Direction::Forward);
/// while let Some(masks) = run.next() {
///     let masks = masks?;
///     eprintln!("frame {}: {} of {}", masks.frame_index, run.frames_done(), run.frames_total());
///     if stop.load(std::sync::atomic::Ordering::Relaxed) {
///         break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Propagation<'s, S> {
    session: &'s mut VideoSession<S>,
    direction: Direction,
    /// The next frame; `None` at the end.
    next: Option<usize>,
    last: usize,
    done: usize,
    total: usize,
    failed: Option<EngineError>,
}

impl<'s, S: FrameSource> Propagation<'s, S> {
    pub(super) fn new(
        session: &'s mut VideoSession<S>,
        start: usize,
        direction: Direction,
        limit: Option<usize>,
    ) -> Self {
        let limit = limit.unwrap_or(session.frame_count());
        let last = match direction {
            Direction::Forward => start.saturating_add(limit).min(session.frame_count() - 1),
            Direction::Reverse => start.saturating_sub(limit),
        };
        // The official predictor does nothing in reverse from frame 0 and does not even yield that
        // frame.
        let next = (direction == Direction::Forward || start > 0).then_some(start);
        let total = next.map_or(0, |next| next.abs_diff(last) + 1);
        Self { session, direction, next, last, done: 0, total, failed: None }
    }

    /// Returns the number of frames yielded so far.
    pub fn frames_done(&self) -> usize {
        self.done
    }

    /// Returns the number of frames that this pass yields if nothing stops it; 0 if it cannot
    /// start.
    pub fn frames_total(&self) -> usize {
        self.total
    }

    /// Returns the time spent reading and encoding frames; see [`VideoSession::encode_time`].
    pub fn encode_time(&self) -> std::time::Duration {
        self.session.encode_time()
    }

    /// Returns the memory bank of an object at this point.
    pub fn memory_bank(&self, object: ObjectId) -> Option<&MemoryBank> {
        self.session.memory_bank(object)
    }

    /// Replaces the result that was just remembered; see [`VideoSession::set_outcome`].
    ///
    /// # Errors
    /// As [`VideoSession::set_outcome`].
    pub fn set_outcome(
        &mut self,
        frame: usize,
        object: ObjectId,
        outcome: Outcome,
    ) -> Result<(), EngineError> {
        self.session.set_outcome(frame, object, outcome)
    }

    pub(super) fn failed(session: &'s mut VideoSession<S>, error: EngineError) -> Self {
        let direction = Direction::Forward;
        Self { session, direction, next: None, last: 0, done: 0, total: 0, failed: Some(error) }
    }
}

impl<S: FrameSource> Iterator for Propagation<'_, S> {
    type Item = Result<FrameMasks, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let frame = self.next?;
        let (tracker, direction) = (&mut self.session.tracker, self.direction);
        let upcoming = match direction {
            _ if frame == self.last => None,
            Direction::Forward => frame.checked_add(1),
            Direction::Reverse => frame.checked_sub(1),
        };
        let model = tracker.model.clone();
        let masks = on_device(&model, || tracker.track_frame(frame, direction, upcoming));
        self.done += usize::from(masks.is_ok());
        self.next = upcoming.filter(|_| masks.is_ok());
        Some(masks)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.next.map_or(0, |next| next.abs_diff(self.last) + 1);
        (0, Some(left + usize::from(self.failed.is_some())))
    }
}
