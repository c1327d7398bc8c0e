//! Allocations of the device's memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::{Arena, BASE};
use crate::check::{Finding, Kind};

/// Allocations begin at multiples of this and are at least this far apart.
const PAGE: u64 = 4096;

/// An allocation that is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The device's memory is full.
    #[error("{asked} bytes were asked for, {free} of {total} are free")]
    Full {
        /// Number of bytes requested.
        asked: u64,
        /// Number of free bytes.
        free: u64,
        /// Number of bytes of the device.
        total: u64,
    },
    /// The host cannot provide this much address space.
    #[error("the host does not reserve {0} bytes of address space")]
    Reserve(u64),
    /// An allocation of zero bytes.
    #[error("an allocation of 0 bytes")]
    Empty,
}

/// Usage of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Number of bytes of the device.
    pub total: u64,
    /// Number of allocated bytes.
    pub used: u64,
    /// Largest number of allocated bytes so far.
    pub peak: u64,
    /// Number of live allocations.
    pub live: usize,
    /// Number of allocations made so far.
    pub made: u64,
}

/// The live allocations at one moment, sorted by address.
#[derive(Debug, Default)]
pub struct Allocations(Vec<(u64, u64)>);

impl Allocations {
    /// Returns the allocation (first address, end) that contains an address.
    pub fn find(&self, address: u64) -> Option<(u64, u64)> {
        let after = self.0.partition_point(|&(start, _)| start <= address);
        let found = *self.0.get(after.checked_sub(1)?)?;
        (address < found.1).then_some(found)
    }

    /// Returns the nearest allocation below an address.
    pub fn below(&self, address: u64) -> Option<(u64, u64)> {
        let after = self.0.partition_point(|&(start, _)| start <= address);
        self.0.get(after.checked_sub(1)?).copied()
    }
}

#[derive(Debug)]
struct State {
    live: BTreeMap<u64, u64>,
    freed: BTreeMap<u64, u64>,
    next: u64,
    used: u64,
    peak: u64,
    made: u64,
    snapshot: Option<Arc<Allocations>>,
}

/// The device's memory.
#[derive(Debug)]
pub struct Memory {
    arena: Arena,
    total: u64,
    /// Whether written bytes are tracked.
    tracking: bool,
    state: Mutex<State>,
}

impl Memory {
    /// Makes memory of `total` bytes. `tracking` makes it track which bytes were written, which
    /// costs a second byte for each.
    pub fn new(total: u64, tracking: bool) -> Result<Self, MemoryError> {
        // Addresses are never reused, so there are many more of them than bytes. If the host
        // refuses, less is requested.
        let arena = [64, 16, 4, 2]
            .iter()
            .find_map(|times| Arena::new((total.saturating_mul(*times)).min(1 << 42) as usize))
            .ok_or(MemoryError::Reserve(total * 2))?;
        let state = State {
            live: BTreeMap::new(),
            freed: BTreeMap::new(),
            next: BASE + PAGE,
            used: 0,
            peak: 0,
            made: 0,
            snapshot: None,
        };
        Ok(Self { arena, total, tracking, state: Mutex::new(state) })
    }

    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allocates memory. The bytes count as never written.
    pub fn alloc(&self, bytes: u64) -> Result<u64, MemoryError> {
        let mut state = self.state();
        let free = self.total - state.used;
        let room = (self.arena.size() as u64 + BASE).saturating_sub(state.next + PAGE);
        if bytes == 0 {
            return Err(MemoryError::Empty);
        }
        if bytes > free || bytes > room {
            return Err(MemoryError::Full {
                asked: bytes,
                free: free.min(room),
                total: self.total,
            });
        }
        let address = state.next;
        state.next += bytes.div_ceil(PAGE) * PAGE + PAGE;
        state.live.insert(address, bytes);
        state.used += bytes;
        state.made += 1;
        state.peak = state.peak.max(state.used);
        state.snapshot = None;
        Ok(address)
    }

    /// Frees an allocation.
    pub fn free(&self, address: u64) -> Result<(), Finding> {
        let mut state = self.state();
        let Some(bytes) = state.live.remove(&address) else {
            let message = match state.freed.get(&address) {
                Some(bytes) => format!("{address:#x} ({bytes} bytes) is freed a second time"),
                None => format!("{address:#x} is freed but was never allocated"),
            };
            return Err(Finding::host(Kind::BadFree, message));
        };
        state.freed.insert(address, bytes);
        state.used -= bytes;
        state.snapshot = None;
        drop(state);
        self.arena.discard(address, bytes as usize);
        Ok(())
    }

    /// Returns the usage of the memory.
    pub fn info(&self) -> MemoryInfo {
        let state = self.state();
        MemoryInfo {
            total: self.total,
            used: state.used,
            peak: state.peak,
            live: state.live.len(),
            made: state.made,
        }
    }

    /// Returns the live allocations.
    pub fn allocations(&self) -> Arc<Allocations> {
        let mut state = self.state();
        if let Some(snapshot) = &state.snapshot {
            return snapshot.clone();
        }
        let list = state.live.iter().map(|(&start, &bytes)| (start, start + bytes)).collect();
        let snapshot = Arc::new(Allocations(list));
        state.snapshot = Some(snapshot.clone());
        snapshot
    }

    /// Describes what lies at a range that is not within one allocation.
    pub fn describe(&self, address: u64, bytes: u64) -> (Kind, String) {
        let state = self.state();
        let below = |map: &BTreeMap<u64, u64>| {
            map.range(..=address).next_back().map(|(&start, &size)| (start, size))
        };
        if let Some((start, size)) = below(&state.freed)
            && address < start + size
        {
            let message = format!(
                "{bytes} bytes at {address:#x} lie {} bytes into an allocation of {size} bytes that has been freed",
                address - start
            );
            return (Kind::UseAfterFree, message);
        }
        let place = match below(&state.live) {
            Some((start, size)) if address < start + size + PAGE => format!(
                "{bytes} bytes at {address:#x}: {} bytes from the beginning of an allocation of {size} bytes",
                address - start
            ),
            _ => format!("{bytes} bytes at {address:#x}, which is in no allocation"),
        };
        (Kind::OutOfBounds, place)
    }

    /// Checks that the range of a host copy lies within one allocation.
    pub fn check(&self, address: u64, bytes: u64) -> Result<(), Finding> {
        match self.allocations().find(address) {
            Some((_, end)) if bytes <= end - address => Ok(()),
            _ => {
                let (kind, message) = self.describe(address, bytes);
                Err(Finding::host(kind, format!("a copy touches {message}")))
            }
        }
    }

    /// Copies from the host.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Finding> {
        self.check(address, bytes.len() as u64)?;
        let to = self.arena.host(address, bytes.len());
        // SAFETY: the range was checked, and the host's bytes lie elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        if self.tracking {
            self.arena.mark(address, bytes.len(), true);
        }
        Ok(())
    }

    /// Copies to the host. Returns the offset of the first byte that was never written, if any.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<Option<usize>, Finding> {
        self.check(address, bytes.len() as u64)?;
        let from = self.arena.host(address, bytes.len());
        // SAFETY: the range was checked, and the host's bytes lie elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        Ok(if self.tracking { self.arena.first_unwritten(address, bytes.len()) } else { None })
    }

    /// Copies within the device. Bytes that were never written stay marked as such.
    pub fn copy(&self, to: u64, from: u64, bytes: u64) -> Result<(), Finding> {
        self.check(to, bytes)?;
        self.check(from, bytes)?;
        let (target, source) =
            (self.arena.host(to, bytes as usize), self.arena.host(from, bytes as usize));
        // SAFETY: both ranges were checked; they may overlap.
        unsafe { std::ptr::copy(source, target, bytes as usize) };
        if self.tracking {
            self.arena.copy_marks(to, from, bytes as usize);
        }
        Ok(())
    }

    /// Sets every byte of a range.
    pub fn fill(&self, address: u64, value: u8, bytes: u64) -> Result<(), Finding> {
        self.check(address, bytes)?;
        let to = self.arena.host(address, bytes as usize);
        // SAFETY: the range was checked.
        unsafe { std::ptr::write_bytes(to, value, bytes as usize) };
        if self.tracking {
            self.arena.mark(address, bytes as usize, true);
        }
        Ok(())
    }
}
