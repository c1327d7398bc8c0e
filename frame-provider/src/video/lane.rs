//! Reading in reverse: a background thread that decodes the windows to come.
//!
//! A window is a run of frames that is decoded forward, from the key frame before it, and used backward. The thread makes
//! one window after the other, each below the one before, and goes on as long as there is memory: each frame that the
//! reader has passed makes room for one of the window to come. So a window's end never stalls the reader, and no more
//! memory is needed for two windows than for one.
//!
//! This file knows neither FFmpeg nor files; [`Produce`] is what does the decoding.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Frames behind the reader that are not dropped yet, since readers go back a step now and then.
const BEHIND: usize = 2;

/// Frames of the window to come that have room when the present one is used up but for this many. A decoder gives frames
/// with a delay, so the last one of a window is not enough.
const MARGIN: usize = 6;

/// A reader that goes further at once does not read in reverse, but jumps: what lies between would be made for nothing.
const REACH: usize = 64;

/// Makes windows of frames.
pub(super) trait Produce: Send + 'static {
    /// A decoded frame.
    type Frame: Send + Sync + 'static;

    /// Begins a window of at most `room` bytes that ends with frame `last`. Returns its first frame.
    fn begin(&mut self, last: usize, room: u64) -> Result<usize, Lost>;

    /// The next frame in the order shown and its number; it can lie before the window.
    fn next(&mut self) -> Result<(usize, Self::Frame), Lost>;

    /// Makes a frame fit for being kept for a while. Called once for each that becomes part of a window.
    fn keep(&mut self, frame: Self::Frame) -> Self::Frame {
        frame
    }

    /// Bytes of memory that the frame needs.
    fn bytes(frame: &Self::Frame) -> u64;
}

/// Decoding did not arrive where it should. The reader finds out why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

type Frames<P> = BTreeMap<usize, Arc<<P as Produce>::Frame>>;

/// Frames in reverse, made by a thread of its own.
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

    /// Frame `number`, waiting for it if it is on the way. `None` if it is not, or cannot be made.
    pub(super) fn take(&self, number: usize) -> Option<Arc<P::Frame>> {
        self.shared.take(number)
    }

    /// Frame `number` if it is there already. Unlike with `take`, the asker need not be the one who reads in reverse, so
    /// nothing counts as passed.
    pub(super) fn get(&self, number: usize) -> Option<Arc<P::Frame>> {
        self.shared.lock().frames.get(&number).cloned()
    }

    /// Frame `number`, waiting for it, if it is on the way and not far below the one taken last.
    pub(super) fn take_near(&self, number: usize) -> Option<Arc<P::Frame>> {
        let reader = self.shared.lock().reader;
        if number <= reader && reader - number <= REACH { self.take(number) } else { None }
    }

    /// Goes on with frame `number` and those before it. `known` are frames up to that one, without a gap.
    pub(super) fn jump(&self, number: usize, known: Frames<P>) {
        self.shared.jump(number, known);
    }

    /// Whether something went wrong; then nothing more is made.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.lock().lost
    }

    /// Whether it holds and makes nothing.
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
            // If the producer panicked, the frames that it owed are decoded by the reader.
            let _ = worker.join();
        }
    }
}

/// What the reader's thread and the worker share.
pub(super) struct Shared<P: Produce> {
    budget: u64,
    state: Mutex<State<P>>,
    /// Told when the worker may go on.
    room: Condvar,
    /// Told when a frame has come, or none will.
    come: Condvar,
}

struct State<P: Produce> {
    frames: Frames<P>,
    bytes: u64,
    /// The frame the reader asked for last.
    reader: usize,
    /// Readers that wait for a frame: whatever the budget says, it must come.
    waiting: usize,
    /// What is still to come of the window that is being made.
    window: Option<RangeInclusive<usize>>,
    /// The last frame of the window after that.
    next_last: Option<usize>,
    /// Counts jumps: what was begun before one is thrown away.
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

    /// The life of the worker thread.
    pub(super) fn work(&self, mut producer: P) {
        // If the producer panics, a reader that waits must not wait for ever.
        let _guard = LostOnPanic(self);
        let mut state = self.lock();
        while !state.stopping {
            let Some(last) = state.next_last.take().filter(|_| !state.lost) else {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // Until its first frame is known, the window is that one frame: a reader that asks for it waits.
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

    /// Decodes one window, at the pace at which there is room.
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
    /// Whether frame `number` comes without a jump.
    fn is_on_the_way(&self, number: usize) -> bool {
        let is_below = self.next_last.is_some_and(|last| number <= last);
        let soon = is_below && self.reader.abs_diff(number) <= REACH;
        soon || self.window.as_ref().is_some_and(|window| window.contains(&number))
    }

    /// Whether a frame of so many `bytes` may be added: there is memory, or a reader waits, and what it waits for is not
    /// there (it may be, if the reader has been told but did not run yet).
    fn has_room(&self, bytes: u64, budget: u64) -> bool {
        let is_needed = self.waiting > 0 && !self.frames.contains_key(&self.reader);
        is_needed || self.bytes + bytes <= budget
    }

    /// Drops what the reader has left behind.
    fn drop_passed(&mut self) {
        let passed = self.frames.split_off(&(self.reader + BEHIND + 1));
        self.bytes -= passed.values().map(|frame| P::bytes(frame)).sum::<u64>();
    }

    /// Forgets everything that was held or begun.
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

/// How many frames of `bytes` each a window may have, so that windows follow each other without a stall.
pub(super) fn window_frames(budget: u64, bytes: u64) -> usize {
    let fit = usize::try_from(budget / bytes.max(1)).unwrap_or(usize::MAX);
    fit.saturating_sub(BEHIND + MARGIN).max(1)
}
