//! State shared by the callers' threads and the worker thread: cache, demands, and their rules.
//!
//! Callers wait on `answered` for their frame; the worker waits on `work` for something to do. The
//! lock is never held while the source decodes, so a hit costs only a lookup.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::lazy::cache::{Cache, Entry, Kind, Wanted};
use crate::lazy::{LazyOptions, LazyStats};
use crate::resize::Scale;
use crate::source::{FrameSource, ScaledFrame};
use crate::source_info::SourceInfo;
use crate::travel::Travel;

type Outcome = Result<Arc<RgbFrame>, FrameError>;

pub(super) struct Shared {
    source: Box<dyn FrameSource>,
    prefetch: usize,
    /// What was known about the source at first. Its way of scaling and its name stay.
    opened: SourceInfo,
    state: Mutex<State>,
    /// Signals that there may be something to decode, or that the worker must end.
    work: Condvar,
    /// Signals that a demand has been answered.
    answered: Condvar,
}

struct State {
    cache: Cache,
    /// Frames that callers wait for, with the number of callers and the outcome once known. The
    /// outcome stays here until the last of these callers has received it, since the cache may drop
    /// the frame sooner.
    demands: HashMap<Wanted, Demand>,
    /// Demands that the worker has not begun, in order of arrival.
    queue: VecDeque<Wanted>,
    /// The frame that the worker is making.
    in_flight: Option<Wanted>,
    /// Errors of failed prefetches. Each is kept for the first caller that requests the frame, as
    /// long as the frame is among the predicted ones.
    failures: HashMap<Wanted, FrameError>,
    /// The source's number of frames when the cache was last filled.
    frame_count: usize,
    travel: Travel<Kind>,
    /// Number of `clear` calls: a prefetch that began before one is not cached after it.
    generation: u64,
    stopping: bool,
    stats: LazyStats,
}

#[derive(Default)]
struct Demand {
    waiters: usize,
    outcome: Option<Outcome>,
}

/// Result of one job: the requested frame, and perhaps the full-size frame that was scaled.
struct Made {
    outcome: Outcome,
    by_product: Option<Arc<RgbFrame>>,
}

impl Shared {
    pub(super) fn new(source: Box<dyn FrameSource>, options: LazyOptions) -> Self {
        let opened = source.info();
        let state = State {
            cache: Cache::new(options, opened.size),
            demands: HashMap::new(),
            queue: VecDeque::new(),
            in_flight: None,
            failures: HashMap::new(),
            frame_count: opened.frame_count,
            travel: Travel::default(),
            generation: 0,
            stopping: false,
            stats: LazyStats::default(),
        };
        Self {
            opened,
            source,
            prefetch: options.prefetch,
            state: Mutex::new(state),
            work: Condvar::new(),
            answered: Condvar::new(),
        }
    }

    pub(super) fn source(&self) -> &dyn FrameSource {
        &*self.source
    }

    pub(super) fn capacity(&self) -> usize {
        self.lock().cache.capacity().0
    }

    /// Returns the counters. `source` is what is known about the source now.
    pub(super) fn stats(&self, source: &SourceInfo) -> LazyStats {
        let (decoded, memory) = (source.decode_stats.frames_decoded, source.memory);
        let decoded_before = self.opened.decode_stats.frames_decoded;
        let state = self.lock();
        let (frames_held, scaled_held) = state.cache.len();
        LazyStats {
            frames_held,
            scaled_held,
            frames_decoded: decoded.saturating_sub(decoded_before),
            readers: state.travel.readers(),
            source_bytes_held: memory.bytes_held,
            source_peak_bytes: memory.peak_bytes,
            ..state.stats
        }
    }

    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.travel.reset();
        let dropped = state.drop_frames();
        drop(state); // Freeing gigabytes takes a while; do it without the lock.
        drop(dropped);
        self.source.release_memory();
    }

    /// Returns true if no caller waits, and no demand is left over.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.demands.is_empty() && state.queue.is_empty()
    }

    /// Tells the worker to end.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.work.notify_all();
    }

    /// Returns a frame from the cache or, after waiting, from the worker.
    pub(super) fn request(&self, wanted: Wanted) -> Outcome {
        self.check(wanted.index)?;
        let mut state = self.lock();
        state.travel.note_kind(wanted.kind, wanted.index);
        if let Some(outcome) = state.answer_at_once(wanted) {
            drop(state);
            self.work.notify_one();
            return outcome;
        }
        let started = Instant::now();
        state.stats.late +=
            u64::from(state.in_flight == Some(wanted) && !state.demands.contains_key(&wanted));
        state.demand(wanted);
        self.work.notify_one();
        loop {
            if let Some(outcome) = state.collect(wanted) {
                state.stats.record_wait(started.elapsed());
                return outcome;
            }
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does the same as [`Self::request`] if no thread could be started: the caller decodes.
    pub(super) fn request_without_worker(&self, wanted: Wanted) -> Outcome {
        self.check(wanted.index)?;
        let mut state = self.lock();
        if let Some(outcome) = state.answer_at_once(wanted) {
            return outcome;
        }
        let known = state.cache.peek_frame(wanted.index);
        drop(state);
        let started = Instant::now();
        let Made { outcome, by_product } = self.make(wanted, known);
        let mut state = self.lock();
        state.stats.record_wait(started.elapsed());
        match &outcome {
            Ok(frame) => state.keep(wanted, frame, by_product, false),
            Err(_) => state.stats.errors += 1,
        }
        outcome
    }

    /// Runs the worker thread until it is told to stop.
    pub(super) fn work(&self) {
        let mut state = self.lock();
        while !state.stopping {
            let Some(wanted) = self.next_job(&mut state) else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.in_flight = Some(wanted);
            let generation = state.generation;
            let known = state.cache.peek_frame(wanted.index);
            drop(state);
            let made = self.make(wanted, known);
            state = self.lock();
            state.in_flight = None;
            state.follow_renumbering(self.source.info().frame_count);
            state.settle(wanted, made, generation);
            self.answered.notify_all();
        }
    }

    fn next_job(&self, state: &mut State) -> Option<Wanted> {
        if let Some(wanted) = state.queue.pop_front() {
            return Some(wanted);
        }
        // The frames ahead of all readers must fit in the cache next to the frames in use, or they
        // evict each other. The nearest come first, so that each reader gets its share.
        let count = self.source.info().frame_count;
        let readers = state.travel.readers();
        let (frames, scaled) = state.cache.capacity();
        let (mut frames, mut scaled) =
            (frames.saturating_sub(readers), scaled.saturating_sub(readers));
        let has_room = |wanted: &Wanted| {
            let room = if wanted.kind.is_some() { &mut scaled } else { &mut frames };
            let fits = *room > 0;
            *room = room.saturating_sub(1);
            fits
        };
        let upcoming = state.travel.upcoming(self.prefetch, count);
        let upcoming: Vec<Wanted> =
            upcoming.map(|(kind, index)| Wanted { kind, index }).filter(has_room).collect();
        state.failures.retain(|wanted, _| upcoming.contains(wanted));
        // The frames already cached are about to be used. Promote them, so that they are not
        // evicted for the others.
        upcoming
            .into_iter()
            .find(|&wanted| !state.cache.promote(wanted) && !state.failures.contains_key(&wanted))
    }

    /// Decodes the frame, and scales it if requested. `known` is the frame, if it is in the cache.
    fn make(&self, wanted: Wanted, known: Option<Arc<RgbFrame>>) -> Made {
        let outcome = match wanted.kind {
            None => self.guarded(wanted.index, || {
                Ok(ScaledFrame { scaled: self.source.frame(wanted.index)?, frame: None })
            }),
            Some(scale) => self.guarded(wanted.index, || self.scale(wanted.index, scale, known)),
        };
        match outcome {
            Ok(ScaledFrame { scaled, frame }) => Made { outcome: Ok(scaled), by_product: frame },
            Err(error) => Made { outcome: Err(error), by_product: None },
        }
    }

    fn scale(
        &self,
        index: usize,
        scale: Scale,
        known: Option<Arc<RgbFrame>>,
    ) -> Result<ScaledFrame, FrameError> {
        match known.filter(|_| self.opened.scales_from_frames(scale.mode)) {
            Some(frame) => ScaledFrame::of(frame, scale),
            None => self.source.scaled(index, scale),
        }
    }

    /// Turns a panic of the source into an error: if the worker died, its callers would wait
    /// forever.
    fn guarded<T>(
        &self,
        index: usize,
        run: impl FnOnce() -> Result<T, FrameError>,
    ) -> Result<T, FrameError> {
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let message = format!(
                "{}: frame {index}: the source panicked: {}",
                self.opened.description,
                text_of(&*panic)
            );
            Err(FrameError::Other { message, source: None })
        })
    }

    fn check(&self, index: usize) -> Result<(), FrameError> {
        let count = self.source.info().frame_count;
        if index < count {
            return Ok(());
        }
        let path = self.opened.description.as_ref().into();
        Err(FrameError::IndexOutOfRange { index, count, path })
    }

    /// Locks the state. It is consistent whenever the lock is free, so a panic elsewhere does not
    /// spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns a cached frame, or the error of an earlier prefetch; counts the hit or miss.
    fn answer_at_once(&mut self, wanted: Wanted) -> Option<Outcome> {
        if let Some(entry) = self.cache.get(wanted) {
            entry.unused = false;
            self.stats.hits += 1;
            return Some(Ok(Arc::clone(&entry.frame)));
        }
        self.stats.misses += 1;
        let failure = self.failures.remove(&wanted)?;
        self.stats.errors += 1;
        Some(Err(failure))
    }

    /// Registers a waiting caller.
    fn demand(&mut self, wanted: Wanted) {
        let demand = self.demands.entry(wanted).or_default();
        demand.waiters += 1;
        let is_first = demand.waiters == 1;
        if is_first && self.in_flight != Some(wanted) {
            self.queue.push_back(wanted);
        }
    }

    /// Returns the outcome of a demand, if it is known; the last caller removes it.
    fn collect(&mut self, wanted: Wanted) -> Option<Outcome> {
        let demand = self.demands.get_mut(&wanted)?;
        let outcome = demand.outcome.clone()?;
        demand.waiters -= 1;
        if demand.waiters == 0 {
            self.demands.remove(&wanted);
        }
        self.stats.errors += u64::from(outcome.is_err());
        Some(outcome)
    }

    /// Stores the worker's result and passes it to the waiting callers.
    fn settle(&mut self, wanted: Wanted, made: Made, generation: u64) {
        let Made { outcome, by_product } = made;
        let demanded = self.demands.contains_key(&wanted);
        self.stats.prefetched += u64::from(!demanded && outcome.is_ok());
        // Callers that wait for the full-size frame made along the way receive it too.
        let on_the_way = Wanted { kind: None, ..wanted };
        if let (Some(frame), Some(demand)) = (&by_product, self.demands.get_mut(&on_the_way)) {
            demand.outcome.get_or_insert_with(|| Ok(Arc::clone(frame)));
            self.queue.retain(|queued| *queued != on_the_way);
        }
        match &outcome {
            Ok(frame) if generation == self.generation => {
                self.keep(wanted, frame, by_product, !demanded);
            }
            Ok(_) => self.stats.wasted += u64::from(!demanded),
            Err(error) if !demanded && generation == self.generation => {
                self.failures.insert(wanted, error.clone());
            }
            Err(_) => {}
        }
        if let Some(demand) = self.demands.get_mut(&wanted) {
            demand.outcome = Some(outcome);
        }
    }

    /// Empties the cache, and makes sure that a prefetch in progress does not fill it again.
    fn drop_frames(&mut self) -> Vec<Entry> {
        self.generation += 1;
        self.failures.clear();
        let dropped = self.cache.take_all();
        self.stats.wasted += dropped.iter().filter(|entry| entry.unused).count() as u64;
        self.stats.bytes_held = 0;
        dropped
    }

    /// Drops cached frames if the source has renumbered its frames after finding damage: the cached
    /// frames have the old indices.
    fn follow_renumbering(&mut self, frame_count: usize) {
        if self.frame_count != frame_count {
            self.frame_count = frame_count;
            self.drop_frames();
        }
    }

    fn keep(
        &mut self,
        wanted: Wanted,
        frame: &Arc<RgbFrame>,
        by_product: Option<Arc<RgbFrame>>,
        unused: bool,
    ) {
        if let Some(frame) = by_product {
            self.cache.keep_by_product(wanted.index, frame, &mut self.stats);
        }
        self.cache.keep(wanted, Entry { frame: Arc::clone(frame), unused }, &mut self.stats);
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
