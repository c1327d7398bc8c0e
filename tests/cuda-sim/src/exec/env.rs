//! State that the warps of a block share: memory, parameters, and the reporting of findings.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use super::decode::Program;
use super::lanes::lanes_of;
use super::mbarrier::MBarrierState;
use super::op::*;
use super::warp::Warp;
use crate::check::{Action, Conflict, Finding, Kind, RaceShadow, Touch};
use crate::device::{Allocations, Arena, Device, Toucher};

pub(super) type Run<T> = Result<T, Box<Finding>>;

/// The location of an event within a block.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Number of the warp.
    pub warp: usize,
    /// Number of the lane.
    pub lane: usize,
    /// Index of the instruction.
    pub pc: u32,
}

/// States of a byte of shared memory.
pub(super) mod state {
    /// Never written.
    pub const UNWRITTEN: u8 = 0;
    /// Written.
    pub const WRITTEN: u8 = 1;
    /// The target of an asynchronous copy that has begun and has not been waited for.
    pub const IN_FLIGHT: u8 = 2;
}

/// Shared memory of a block.
#[derive(Debug)]
pub struct Shared {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The state of each byte, see [`state`].
    pub(super) state: Vec<u8>,
    pub(super) race: Option<RaceShadow>,
}

/// Returns whether every byte was written; the usual sizes are compared at once.
#[inline(always)]
fn all_written(states: &[u8]) -> bool {
    match states.len() {
        4 => states == [state::WRITTEN; 4],
        8 => states == [state::WRITTEN; 8],
        16 => states == [state::WRITTEN; 16],
        _ => states.iter().all(|&s| s == state::WRITTEN),
    }
}

/// State that the warps of a block share.
#[derive(Debug)]
pub struct Env<'a> {
    pub(super) device: &'a Device,
    pub(super) program: &'a Program,
    pub(super) arena: &'a Arena,
    pub(super) allocations: &'a Allocations,
    /// The most recently used allocations, the latest one first.
    pub(super) recent: [(u64, u64); 4],
    pub(super) params: &'a [u8],
    pub(super) grid: [u32; 3],
    pub(super) block_size: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) dynamic_shared: u32,
    pub(super) shared: Shared,
    pub(super) check_unwritten: bool,
    /// Places that have already been reported.
    reported: RefCell<HashSet<(Kind, u32)>>,
    /// Barriers in shared memory, by address.
    pub(super) mbarriers: HashMap<u64, MBarrierState>,
    /// Set if a thread has polled a barrier in vain, so that another warp should run.
    pub(super) spinning: bool,
    /// Set if this has happened since the last round of the block's warps.
    pub(super) asked_in_vain: bool,
    /// Set if a thread has arrived at an `mbarrier` since then.
    pub(super) progress: bool,
    /// The block's identity for accesses to global memory; `None` if these are not checked.
    pub(super) toucher: Option<Toucher>,
}

impl<'a> Env<'a> {
    pub(super) fn new(
        device: &'a Device,
        launch: &'a super::Launch<'a>,
        allocations: &'a Allocations,
    ) -> Self {
        let program = launch.kernel.program();
        let bytes = program.static_shared + launch.dynamic_shared as usize;
        let threads: u32 = launch.block.iter().product();
        let race = device.findings.action(Kind::Race) != Action::Ignore;
        Self {
            device,
            program,
            arena: device.memory.arena(),
            allocations,
            recent: [(0, 0); 4],
            params: &launch.params,
            grid: launch.grid,
            block_size: launch.block,
            block: [0; 3],
            dynamic_shared: launch.dynamic_shared,
            shared: Shared {
                bytes: vec![crate::device::POISON; bytes],
                state: vec![state::UNWRITTEN; bytes],
                race: race.then(|| {
                    RaceShadow::new(bytes, program.granule, threads.div_ceil(32) as usize)
                }),
            },
            check_unwritten: device.findings.action(Kind::Unwritten) != Action::Ignore,
            reported: RefCell::default(),
            mbarriers: HashMap::new(),
            spinning: false,
            asked_in_vain: false,
            progress: false,
            toucher: (device.findings.action(Kind::BlockRace) != Action::Ignore)
                .then_some(Toucher { launch: launch.number, block: 0, strong: false }),
        }
    }

    /// Prepares for the next block.
    pub(super) fn start(&mut self, block: [u32; 3]) {
        self.block = block;
        let [x, y, _] = self.grid;
        if let Some(toucher) = &mut self.toucher {
            toucher.block = block[0] + x * (block[1] + y * block[2]);
        }
        self.mbarriers.clear();
        self.shared.bytes.fill(crate::device::POISON);
        self.shared.state.fill(state::UNWRITTEN);
        if let Some(race) = &mut self.shared.race {
            race.reset();
        }
    }

    pub(super) fn threads(&self) -> u32 {
        self.block_size.iter().product()
    }

    /// Returns the text of an instruction.
    pub(super) fn text(&self, pc: u32) -> &str {
        let source = self.program.code[pc as usize].source;
        self.program.sources.get(source as usize).map_or("", |s| s.1.as_str())
    }

    fn thread(&self, number: u32) -> [u32; 3] {
        let [x, y, _] = self.block_size;
        [number % x, number / x % y, number / x / y]
    }

    pub(super) fn finding(&self, place: Place, kind: Kind, message: String) -> Box<Finding> {
        let source = self.program.code[place.pc as usize].source;
        let (line, text) = self.program.sources.get(source as usize).cloned().unwrap_or_default();
        Box::new(Finding {
            kind,
            kernel: self.program.name.clone(),
            block: self.block,
            thread: self.thread((place.warp * 32 + place.lane) as u32),
            line,
            instruction: text,
            message,
        })
    }

    #[cold]
    pub(super) fn raise(&self, place: Place, kind: Kind, message: String) -> Run<()> {
        let findings = &self.device.findings;
        // A place that was already reported is only counted.
        if findings.action(kind) == Action::Report
            && !self.reported.borrow_mut().insert((kind, place.pc))
        {
            findings.count(kind);
            return Ok(());
        }
        self.device.findings.raise(*self.finding(place, kind, message))
    }

    pub(super) fn sync_warp(&mut self, warp: usize) {
        if let Some(race) = &mut self.shared.race {
            race.sync_warp(warp);
        }
    }

    #[cold]
    fn raise_race(&self, place: Place, conflict: Conflict, wrote: bool) -> Run<()> {
        let who = match conflict.thread {
            Some(thread) => format!("thread {:?}", self.thread(thread)),
            None => "several threads".to_owned(),
        };
        let text = format!(
            "{} shared memory that {who} {}, with no barrier between",
            if wrote { "writes" } else { "reads" },
            if conflict.wrote { "wrote" } else { "read" },
        );
        self.raise(place, Kind::Race, text)
    }

    /// Checks a range of global memory.
    #[inline(always)]
    pub(super) fn check_global(&mut self, place: Place, at: u64, bytes: usize) -> Run<()> {
        let (start, end) = self.allocation_of(at);
        if at < start || at.wrapping_add(bytes as u64) > end {
            let (kind, text) = self.device.memory.describe(at, bytes as u64);
            self.raise(place, kind, format!("touches {text}"))?;
        }
        if at & (bytes as u64 - 1) != 0 {
            let text = format!("the address {at:#x} is not a multiple of {bytes}");
            self.raise(place, Kind::Misaligned, text)?;
        }
        Ok(())
    }

    /// Returns the allocation that contains an address; an empty one if there is none.
    #[inline(always)]
    pub(super) fn allocation_of(&mut self, at: u64) -> (u64, u64) {
        for (start, end) in self.recent {
            if at >= start && at < end {
                return (start, end);
            }
        }
        self.find_allocation(at)
    }

    #[inline(never)]
    fn find_allocation(&mut self, at: u64) -> (u64, u64) {
        let Some(found) = self.allocations.find(at) else { return (1, 0) };
        self.recent.rotate_right(1);
        self.recent[0] = found;
        found
    }

    /// Checks a range of shared memory.
    #[inline(always)]
    pub(super) fn check_shared(&self, place: Place, at: u64, bytes: usize) -> Run<()> {
        let size = self.shared.bytes.len() as u64;
        if at.wrapping_add(bytes as u64) > size || at > size {
            let text = format!("touches {bytes} bytes at {at:#x} of {size} bytes of shared memory");
            self.raise(place, Kind::OutOfBounds, text)?;
        }
        if at & (bytes as u64 - 1) != 0 {
            let text = format!("the address {at:#x} is not a multiple of {bytes}");
            self.raise(place, Kind::Misaligned, text)?;
        }
        Ok(())
    }

    fn touch(place: Place, strong: bool) -> Touch {
        Touch { warp: place.warp as u32, lane: place.lane as u32, strong }
    }

    /// Checks that bytes of shared memory were written, and that no other thread writes them at the
    /// same time.
    #[inline(always)]
    pub(super) fn before_read(
        &mut self,
        place: Place,
        at: usize,
        bytes: usize,
        strong: bool,
    ) -> Run<()> {
        if self.check_unwritten {
            let states = &self.shared.state[at..at + bytes];
            if !all_written(states) {
                let text = match states.contains(&state::IN_FLIGHT) {
                    true => {
                        "reads shared memory to which cp.async still copies: no wait for its group"
                    }
                    false => "reads shared memory that was never written",
                };
                self.raise(place, Kind::Unwritten, text.to_owned())?;
            }
        }
        if let Some(race) = &mut self.shared.race
            && let Err(conflict) = race.read(at, bytes, Self::touch(place, strong))
        {
            return self.raise_race(place, conflict, false);
        }
        Ok(())
    }

    /// Writes bytes of shared memory after checking for other threads that access them at the same
    /// time.
    #[inline(always)]
    pub(super) fn write_shared(
        &mut self,
        place: Place,
        at: usize,
        bytes: &[u8],
        strong: bool,
    ) -> Run<()> {
        let range = at..at + bytes.len();
        if let Some(race) = &mut self.shared.race {
            let same = self.shared.bytes[range.clone()] == *bytes
                && self.shared.state[range.clone()].iter().all(|&s| s == state::WRITTEN);
            if let Err(conflict) = race.write(at, bytes.len(), Self::touch(place, strong), same) {
                self.raise_race(place, conflict, true)?;
            }
        }
        self.shared.bytes[range.clone()].copy_from_slice(bytes);
        self.shared.state[range].fill(state::WRITTEN);
        Ok(())
    }

    /// Marks the destination of an asynchronous copy.
    pub(super) fn begin_copy(&mut self, place: Place, at: usize, bytes: usize) -> Run<()> {
        if let Some(race) = &mut self.shared.race
            && let Err(conflict) = race.write(at, bytes, Self::touch(place, false), false)
        {
            self.raise_race(place, conflict, true)?;
        }
        self.shared.bytes[at..at + bytes].fill(crate::device::POISON);
        self.shared.state[at..at + bytes].fill(state::IN_FLIGHT);
        Ok(())
    }

    /// Checks that bytes of global memory were written.
    #[inline(always)]
    pub(super) fn check_written(&self, place: Place, at: u64, bytes: usize) -> Run<bool> {
        if !self.check_unwritten || self.arena.is_written(at, bytes) {
            return Ok(true);
        }
        let text = format!("reads {bytes} bytes at {at:#x} that were never written");
        self.raise(place, Kind::Unwritten, text)?;
        Ok(false)
    }

    #[cold]
    fn raise_block_race(&self, place: Place, other: u32, wrote: bool) -> Run<()> {
        let [x, y, _] = self.grid;
        let block = [other % x, other / x % y, other / x / y];
        let text = format!(
            "{} global memory that block {block:?} of the same launch wrote",
            if wrote { "writes" } else { "reads" }
        );
        self.raise(place, Kind::BlockRace, text)
    }

    /// Looks for another block that wrote what a load reads.
    #[inline(always)]
    pub(super) fn check_foreign(
        &self,
        place: Place,
        at: u64,
        bytes: usize,
        strong: bool,
    ) -> Run<()> {
        if let Some(toucher) = self.toucher
            && let Some(other) = self.arena.foreign(at, bytes, Toucher { strong, ..toucher })
        {
            self.raise_block_race(place, other, false)?;
        }
        Ok(())
    }

    /// Looks for another block that wrote where a store writes. `same` means that the bytes do not
    /// change, which does no harm.
    #[inline(always)]
    pub(super) fn claim(
        &self,
        place: Place,
        at: u64,
        bytes: usize,
        strong: bool,
        same: impl FnOnce() -> bool,
    ) -> Run<()> {
        if let Some(toucher) = self.toucher
            && let Some(other) = self.arena.claim(at, bytes, Toucher { strong, ..toucher })
            && !same()
        {
            self.raise_block_race(place, other, true)?;
        }
        Ok(())
    }

    /// Checks a range of a thread's local memory and returns its position in the warp's memory.
    pub(super) fn check_local(&self, place: Place, at: u64, bytes: usize) -> Run<usize> {
        let size = self.program.local_bytes as u64;
        if at.wrapping_add(bytes as u64) > size || at > size {
            let text = format!("touches {bytes} bytes at {at:#x} of {size} bytes of local memory");
            self.raise(place, Kind::OutOfBounds, text)?;
        }
        if at & (bytes as u64 - 1) != 0 {
            let text = format!("the local address {at:#x} is not a multiple of {bytes}");
            self.raise(place, Kind::Misaligned, text)?;
        }
        Ok(place.lane * self.program.local_bytes + at as usize)
    }

    /// Checks a range of the parameters.
    pub(super) fn check_param(&self, place: Place, at: u64, bytes: usize) -> Run<usize> {
        if at.wrapping_add(bytes as u64) > self.params.len() as u64 {
            let text = format!("touches {bytes} bytes at {at:#x} of the kernel's parameters");
            self.raise(place, Kind::OutOfBounds, text)?;
        }
        Ok(at as usize)
    }

    /// Returns the address of a lane.
    #[inline(always)]
    pub(super) fn address(warp: &Warp, address: &Address, lane: usize) -> u64 {
        match address.base {
            None => address.offset,
            Some(Slot::Wide(slot)) => warp.r64[slot as usize].0[lane].wrapping_add(address.offset),
            // 32-bit addresses wrap around at 32 bits.
            Some(Slot::Narrow(slot)) => {
                u64::from(warp.r32[slot as usize].0[lane].wrapping_add(address.offset as u32))
            }
        }
    }

    /// Iterates over the lanes of a mask, each with its location.
    pub(super) fn places(warp: &Warp, m: u32, pc: u32) -> impl Iterator<Item = Place> + use<> {
        let index = warp.index;
        lanes_of(m).map(move |lane| Place { warp: index, lane, pc })
    }
}
