//! What the callers' threads and the worker thread share: cache, demands, and the rules between them.
//!
//! All waiting is for `answered` (a caller, for its frame) or `work` (the worker, for something to do). The lock is never
//! held while the source decodes, so a hit costs a lookup.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use lru::LruCache;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::lazy::{LazyOptions, LazyStats};
use crate::source::FrameSource;
use crate::travel::Travel;

type Outcome = Result<Arc<RgbFrame>, FrameError>;

pub(super) struct Shared {
    source: Box<dyn FrameSource>,
    capacity: NonZeroUsize,
    prefetch: usize,
    /// What the source had decoded before.
    decoded_before: u64,
    state: Mutex<State>,
    /// Told when there may be something to decode, or when the worker is to end.
    work: Condvar,
    /// Told when a demand has been answered.
    answered: Condvar,
}

struct State {
    cache: LruCache<usize, Entry>,
    /// Frames that callers wait for, with the number of callers and the outcome once known. The outcome stays here until
    /// the last of them has it, since the cache may drop the frame sooner.
    demands: HashMap<usize, Demand>,
    /// Demands that the worker has not begun, first come first served.
    queue: VecDeque<usize>,
    /// What the worker decodes just now.
    in_flight: Option<usize>,
    /// Why a prefetch failed, kept for the first caller that asks for the frame, as long as the frame is on the way.
    failures: HashMap<usize, FrameError>,
    /// The source's number of frames when the cache was last filled.
    frame_count: usize,
    travel: Travel,
    /// Counts `clear`s: a prefetch that began before one is not cached after it.
    generation: u64,
    stopping: bool,
    stats: LazyStats,
}

struct Entry {
    frame: Arc<RgbFrame>,
    /// Prefetched, and not asked for yet.
    unused: bool,
}

#[derive(Default)]
struct Demand {
    waiters: usize,
    outcome: Option<Outcome>,
}

impl Shared {
    pub(super) fn new(source: Box<dyn FrameSource>, options: LazyOptions) -> Self {
        let by_bytes = options.cache_bytes.map_or(usize::MAX, |bytes| {
            usize::try_from(bytes / source.size().rgb_bytes().max(1) as u64).unwrap_or(usize::MAX)
        });
        let capacity =
            NonZeroUsize::new(options.cache_frames.min(by_bytes)).unwrap_or(NonZeroUsize::MIN);
        let state = State {
            // Not `LruCache::new`, which allocates for the whole capacity at once.
            cache: LruCache::sparse(capacity),
            demands: HashMap::new(),
            queue: VecDeque::new(),
            in_flight: None,
            failures: HashMap::new(),
            frame_count: source.frame_count(),
            travel: Travel::default(),
            generation: 0,
            stopping: false,
            stats: LazyStats::default(),
        };
        Self {
            decoded_before: source.decode_stats().frames_decoded,
            source,
            capacity,
            // More would push the present frame, or the nearest ones, out again.
            prefetch: options.prefetch.min(capacity.get() - 1),
            state: Mutex::new(state),
            work: Condvar::new(),
            answered: Condvar::new(),
        }
    }

    pub(super) fn source(&self) -> &dyn FrameSource {
        &*self.source
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.get()
    }

    pub(super) fn stats(&self) -> LazyStats {
        let decoded = self.source.decode_stats().frames_decoded;
        let memory = self.source.memory();
        let state = self.lock();
        LazyStats {
            frames_held: state.cache.len(),
            frames_decoded: decoded.saturating_sub(self.decoded_before),
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

    /// Whether no caller waits, or has left anything behind.
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

    /// Frame `index`, from the cache or, after waiting, from the worker.
    pub(super) fn request(&self, index: usize) -> Outcome {
        self.check(index)?;
        let mut state = self.lock();
        state.travel.note(index);
        if let Some(outcome) = state.answer_at_once(index) {
            drop(state);
            self.work.notify_one();
            return outcome;
        }
        let started = Instant::now();
        state.stats.late +=
            u64::from(state.in_flight == Some(index) && !state.demands.contains_key(&index));
        state.demand(index);
        self.work.notify_one();
        loop {
            if let Some(outcome) = state.collect(index) {
                state.stats.record_wait(started.elapsed());
                return outcome;
            }
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same when no thread could be started: the caller decodes.
    pub(super) fn request_without_worker(&self, index: usize) -> Outcome {
        self.check(index)?;
        let mut state = self.lock();
        if let Some(outcome) = state.answer_at_once(index) {
            return outcome;
        }
        drop(state);
        let started = Instant::now();
        let outcome = self.decode(index);
        let mut state = self.lock();
        state.stats.record_wait(started.elapsed());
        match &outcome {
            Ok(frame) => state.keep(index, Entry { frame: Arc::clone(frame), unused: false }),
            Err(_) => state.stats.errors += 1,
        }
        outcome
    }

    /// The life of the worker thread.
    pub(super) fn work(&self) {
        let mut state = self.lock();
        while !state.stopping {
            let Some(index) = self.next_job(&mut state) else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.in_flight = Some(index);
            let generation = state.generation;
            drop(state);
            let outcome = self.decode(index);
            state = self.lock();
            state.in_flight = None;
            state.follow_renumbering(self.source.frame_count());
            state.settle(index, outcome, generation);
            self.answered.notify_all();
        }
    }

    fn next_job(&self, state: &mut State) -> Option<usize> {
        if let Some(index) = state.queue.pop_front() {
            return Some(index);
        }
        // All readers' frames must fit in the cache beside those that the readers look at, else they push each other out
        // again. The nearest come first, so that each gets its share.
        let count = self.source.frame_count();
        let fit = self.capacity.get() - state.travel.readers().min(self.capacity.get());
        let upcoming: Vec<usize> = state.travel.upcoming(self.prefetch, count).take(fit).collect();
        state.failures.retain(|index, _| upcoming.contains(index));
        // Those already there are about to be used: they must not be what makes room for the others, so they are promoted.
        upcoming
            .into_iter()
            .find(|index| !state.cache.promote(index) && !state.failures.contains_key(index))
    }

    /// Decodes, turning a panic of the source into an error: a worker that died would leave its callers waiting forever.
    fn decode(&self, index: usize) -> Outcome {
        catch_unwind(AssertUnwindSafe(|| self.source.frame(index))).unwrap_or_else(|panic| {
            let message = format!(
                "{}: frame {index}: the source panicked: {}",
                self.source.describe(),
                text_of(&*panic)
            );
            Err(FrameError::Other { message, source: None })
        })
    }

    fn check(&self, index: usize) -> Result<(), FrameError> {
        let count = self.source.frame_count();
        if index < count {
            return Ok(());
        }
        Err(FrameError::IndexOutOfRange { index, count, path: self.source.describe().into() })
    }

    /// The state is consistent whenever the lock is free, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A cached frame, or the error of an earlier prefetch; counts the hit or miss.
    fn answer_at_once(&mut self, index: usize) -> Option<Outcome> {
        if let Some(entry) = self.cache.get_mut(&index) {
            entry.unused = false;
            self.stats.hits += 1;
            return Some(Ok(Arc::clone(&entry.frame)));
        }
        self.stats.misses += 1;
        let failure = self.failures.remove(&index)?;
        self.stats.errors += 1;
        Some(Err(failure))
    }

    /// Registers a caller that waits for `index`.
    fn demand(&mut self, index: usize) {
        let demand = self.demands.entry(index).or_default();
        demand.waiters += 1;
        let is_first = demand.waiters == 1;
        if is_first && self.in_flight != Some(index) {
            self.queue.push_back(index);
        }
    }

    /// The outcome of a demand, if it is known; the last caller takes it away.
    fn collect(&mut self, index: usize) -> Option<Outcome> {
        let demand = self.demands.get_mut(&index)?;
        let outcome = demand.outcome.clone()?;
        demand.waiters -= 1;
        if demand.waiters == 0 {
            self.demands.remove(&index);
        }
        self.stats.errors += u64::from(outcome.is_err());
        Some(outcome)
    }

    /// Stores what the worker has decoded and hands it to those who wait.
    fn settle(&mut self, index: usize, outcome: Outcome, generation: u64) {
        let demanded = self.demands.contains_key(&index);
        self.stats.prefetched += u64::from(!demanded && outcome.is_ok());
        match &outcome {
            Ok(frame) if generation == self.generation => {
                self.keep(index, Entry { frame: Arc::clone(frame), unused: !demanded });
            }
            Ok(_) => self.stats.wasted += u64::from(!demanded),
            Err(error) if !demanded && generation == self.generation => {
                self.failures.insert(index, error.clone());
            }
            Err(_) => {}
        }
        if let Some(demand) = self.demands.get_mut(&index) {
            demand.outcome = Some(outcome);
        }
    }

    /// Empties the cache, and sees to it that a prefetch in progress does not fill it again.
    fn drop_frames(&mut self) -> Vec<Entry> {
        self.generation += 1;
        self.failures.clear();
        let dropped: Vec<Entry> =
            std::iter::from_fn(|| self.cache.pop_lru()).map(|(_, entry)| entry).collect();
        self.stats.wasted += dropped.iter().filter(|entry| entry.unused).count() as u64;
        self.stats.bytes_held = 0;
        dropped
    }

    /// A source that has found its file damaged numbers the frames anew: what is cached has the old numbers.
    fn follow_renumbering(&mut self, frame_count: usize) {
        if self.frame_count != frame_count {
            self.frame_count = frame_count;
            self.drop_frames();
        }
    }

    fn keep(&mut self, index: usize, entry: Entry) {
        let added = entry.frame.data().len() as u64;
        let removed = self.cache.push(index, entry);
        self.stats.bytes_held += added;
        if let Some((removed_index, removed)) = removed {
            self.stats.bytes_held -= removed.frame.data().len() as u64;
            self.stats.evicted += u64::from(removed_index != index);
            self.stats.wasted += u64::from(removed.unused);
        }
        self.stats.peak_bytes = self.stats.peak_bytes.max(self.stats.bytes_held);
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
