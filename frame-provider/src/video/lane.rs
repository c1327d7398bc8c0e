//! Reading in reverse: a background thread decodes the coming windows.
//!
//! A window is a run of frames that is decoded forward, from the key frame before it, and used in
//! reverse. The thread makes one window after another, each below the previous one, and continues
//! as long as there is memory: each frame that the reader has passed makes room for a frame of the
//! next window. So the reader does not stall at the end of a window, and two windows need no more
//! memory than one.
//!
//! This file does not depend on FFmpeg or on files; [`Produce`] does the decoding.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Number of frames already passed by the reader that are kept, since readers go back a step now
/// and then.
const BEHIND: usize = 2;

/// The whole next window has room as soon as only this many frames of the present window are left.
/// A decoder outputs frames with a delay, so it would be too late when only the last frame is left.
const MARGIN: usize = 6;

/// Longest step that counts as reading in reverse. A longer step is a jump: the frames in between
/// would be decoded for nothing.
const REACH: usize = 64;

/// Makes windows of frames.
pub(super) trait Produce: Send + 'static {
    /// A decoded frame.
    type Frame: Send + Sync + 'static;

    /// Begins a window of at most `room` bytes that ends with frame `last`. Returns its first
    /// frame.
    fn begin(&mut self, last: usize, room: u64) -> Result<usize, Lost>;

    /// Returns the next frame in display order, and its index. It can lie before the window.
    fn next(&mut self) -> Result<(usize, Self::Frame), Lost>;

    /// Prepares a frame for being kept for a while. Called once for each frame that becomes part of
    /// a window.
    fn keep(&mut self, frame: Self::Frame) -> Self::Frame {
        frame
    }

    /// Returns the number of bytes of memory that the frame needs.
    fn bytes(frame: &Self::Frame) -> u64;
}

/// Decoding did not arrive where it should. The reader finds out the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

type Frames<P> = BTreeMap<usize, Arc<<P as Produce>::Frame>>;

/// Frames for reading in reverse, made by a separate thread.
pub(super) struct Lane<P: Produce> {
    shared: Arc<Shared<P>>,
    worker: Option<JoinHandle<()>>,
}

impl<P: Produce> Lane<P> {
    /// Starts the thread. It may hold `budget` bytes of frames.
    pub(super) fn start(producer: P, budget: u64) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(budget));
        let for_worker = Arc::clone(&shared);
        let worker = std::thread::Builder::new()
            .name("frame-reverse".into())
            .spawn(move || for_worker.work(producer))?;
        Ok(Self { shared, worker: Some(worker) })
    }

    /// Returns frame `number`, waiting for it if it is on the way. Returns `None` if it is not, or
    /// cannot be made.
    pub(super) fn take(&self, number: usize) -> Option<Arc<P::Frame>> {
        self.shared.take(number)
    }

    /// Returns frame `number` if it is already there. Unlike [`Lane::take`], this call may come
    /// from another reader than the one in reverse, so no frame counts as passed.
    pub(super) fn get(&self, number: usize) -> Option<Arc<P::Frame>> {
        self.shared.lock().frames.get(&number).cloned()
    }

    /// Returns frame `number`, waiting for it, if it is on the way and not far below the frame
    /// taken last.
    pub(super) fn take_near(&self, number: usize) -> Option<Arc<P::Frame>> {
        let reader = self.shared.lock().reader;
        if number <= reader && reader - number <= REACH { self.take(number) } else { None }
    }

    /// Continues with frame `number` and the frames before it. `known` are frames up to `number`,
    /// without a gap.
    pub(super) fn jump(&self, number: usize, known: Frames<P>) {
        self.shared.jump(number, known);
    }

    /// Returns true if an error has occurred; then no more frames are made.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.lock().lost
    }

    /// Returns true if the lane holds no frames and makes none.
    #[cfg(test)]
    pub(super) fn is_resting(&self) -> bool {
        let state = self.shared.lock();
        state.frames.is_empty() && state.window.is_none() && state.next_last.is_none()
    }

    /// Drops all frames and rests until the next jump.
    pub(super) fn rest(&self) {
        self.shared.rest();
    }
}

impl<P: Produce> Drop for Lane<P> {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(worker) = self.worker.take() {
            // If the producer panicked, the reader decodes the missing frames itself.
            let _ = worker.join();
        }
    }
}

/// State shared by the reader's thread and the worker.
pub(super) struct Shared<P: Produce> {
    budget: u64,
    state: Mutex<State<P>>,
    /// Signals that the worker may continue.
    room: Condvar,
    /// Signals that a frame has come, or that none will.
    come: Condvar,
}

struct State<P: Produce> {
    frames: Frames<P>,
    bytes: u64,
    /// The frame that the reader requested last.
    reader: usize,
    /// Number of readers waiting for a frame. That frame must be made regardless of the budget.
    waiting: usize,
    /// The frames still to come of the window being made.
    window: Option<RangeInclusive<usize>>,
    /// The last frame of the window after that.
    next_last: Option<usize>,
    /// Number of jumps: work begun before a jump is discarded.
    jumps: u64,
    lost: bool,
    stopping: bool,
}

impl<P: Produce> Shared<P> {
    pub(super) fn new(budget: u64) -> Self {
        let state = State {
            frames: BTreeMap::new(),
            bytes: 0,
            reader: 0,
            waiting: 0,
            window: None,
            next_last: None,
            jumps: 0,
            lost: false,
            stopping: false,
        };
        Self { budget, state: Mutex::new(state), room: Condvar::new(), come: Condvar::new() }
    }

    pub(super) fn take(&self, number: usize) -> Option<Arc<P::Frame>> {
        let mut state = self.lock();
        if !state.is_on_the_way(number) && !state.frames.contains_key(&number) {
            return None;
        }
        state.reader = number;
        state.drop_passed();
        self.room.notify_one();
        loop {
            if let Some(frame) = state.frames.get(&number) {
                return Some(Arc::clone(frame));
            }
            if state.lost || state.stopping || !state.is_on_the_way(number) {
                return None;
            }
            state.waiting += 1;
            self.room.notify_one();
            state = self.come.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    pub(super) fn jump(&self, number: usize, known: Frames<P>) {
        let mut state = self.lock();
        state.restart();
        state.reader = number;
        state.bytes = known.values().map(|frame| P::bytes(frame)).sum();
        state.next_last = match known.keys().next() {
            Some(first) => first.checked_sub(1),
            None => Some(number),
        };
        state.frames = known;
        state.lost = false;
        self.room.notify_one();
        self.come.notify_all();
    }

    pub(super) fn rest(&self) {
        self.lock().restart();
        self.room.notify_one();
        self.come.notify_all();
    }

    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.room.notify_one();
        self.come.notify_all();
    }

    /// Runs the worker thread until it is told to stop.
    pub(super) fn work(&self, mut producer: P) {
        // If the producer panics, a waiting reader must not wait forever.
        let _guard = LostOnPanic(self);
        let mut state = self.lock();
        while !state.stopping {
            let Some(last) = state.next_last.take().filter(|_| !state.lost) else {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // Until its first frame is known, the window consists of this one frame: a reader that
            // requests it waits.
            state.window = Some(last..=last);
            let jumps = state.jumps;
            drop(state);
            let first = producer.begin(last, self.budget);
            state = self.lock();
            if state.jumps != jumps || state.stopping {
                continue;
            }
            match first {
                Ok(first) => {
                    state.window = Some(first.min(last)..=last);
                    state.next_last = first.checked_sub(1);
                    state = self.make_window(&mut producer, state, first..=last, jumps);
                }
                Err(Lost) => state.lost = true,
            }
            self.come.notify_all();
        }
    }

    /// Decodes one window, no faster than room becomes available.
    fn make_window<'a>(
        &'a self,
        producer: &mut P,
        mut state: MutexGuard<'a, State<P>>,
        range: RangeInclusive<usize>,
        jumps: u64,
    ) -> MutexGuard<'a, State<P>> {
        loop {
            drop(state);
            let next = match producer.next() {
                Ok((number, frame)) if range.contains(&number) => {
                    Ok((number, producer.keep(frame)))
                }
                other => other,
            };
            state = self.lock();
            if let Ok((number, frame)) = &next
                && range.contains(number)
            {
                let bytes = P::bytes(frame);
                while !state.has_room(bytes, self.budget) && state.jumps == jumps && !state.stopping
                {
                    state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
            if state.jumps != jumps || state.stopping {
                return state;
            }
            match next {
                Ok((number, _)) if number < *range.start() => {}
                Ok((number, frame)) if number <= *range.end() => {
                    state.bytes += P::bytes(&frame);
                    state.frames.insert(number, Arc::new(frame));
                    state.drop_passed();
                    let is_last = number == *range.end();
                    state.window = (!is_last).then(|| number + 1..=*range.end());
                    if state.waiting > 0 {
                        self.come.notify_all();
                    }
                    if is_last {
                        return state;
                    }
                }
                Ok(_) | Err(Lost) => {
                    state.lost = true;
                    state.window = None;
                    state.next_last = None;
                    return state;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Produce> State<P> {
    /// Returns true if frame `number` will come without a jump.
    fn is_on_the_way(&self, number: usize) -> bool {
        let is_below = self.next_last.is_some_and(|last| number <= last);
        let soon = is_below && self.reader.abs_diff(number) <= REACH;
        soon || self.window.as_ref().is_some_and(|window| window.contains(&number))
    }

    /// Returns true if a frame of `bytes` bytes may be added: there is memory, or a reader waits
    /// for a frame that is not there yet. (The frame may be there already if the reader was
    /// notified but has not run yet.)
    fn has_room(&self, bytes: u64, budget: u64) -> bool {
        let is_needed = self.waiting > 0 && !self.frames.contains_key(&self.reader);
        is_needed || self.bytes + bytes <= budget
    }

    /// Drops the frames that the reader has passed.
    fn drop_passed(&mut self) {
        let passed = self.frames.split_off(&(self.reader + BEHIND + 1));
        self.bytes -= passed.values().map(|frame| P::bytes(frame)).sum::<u64>();
    }

    /// Discards everything that was held or begun.
    fn restart(&mut self) {
        self.jumps += 1;
        self.frames.clear();
        self.bytes = 0;
        self.window = None;
        self.next_last = None;
    }
}

/// Marks the lane as lost when the worker unwinds.
struct LostOnPanic<'a, P: Produce>(&'a Shared<P>);

impl<P: Produce> Drop for LostOnPanic<'_, P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().lost = true;
            self.0.come.notify_all();
        }
    }
}

/// Returns how many frames of `bytes` bytes each a window may have so that windows follow each
/// other without a stall.
pub(super) fn window_frames(budget: u64, bytes: u64) -> usize {
    let fit = usize::try_from(budget / bytes.max(1)).unwrap_or(usize::MAX);
    fit.saturating_sub(BEHIND + MARGIN).max(1)
}
