//! `mbarrier` objects: a count of arrivals and of outstanding bytes, phase by phase.

use super::env::{Env, Place, Run};
use super::op::*;
use super::warp::Warp;
use crate::check::Kind;

/// A barrier in shared memory. Its eight bytes there only mark its existence, because PTX does not
/// define their contents.
#[derive(Debug, Clone, Default)]
pub struct MBarrierState {
    /// Arrivals expected in a phase.
    expected: i64,
    /// Arrivals still missing in this phase.
    missing: i64,
    /// Bytes still outstanding in this phase.
    bytes: i64,
    /// Number of the phase.
    phase: u64,
    /// What the arrived threads knew of the others.
    known: [u32; 32],
}

impl MBarrierState {
    fn settle(&mut self) {
        if self.missing <= 0 && self.bytes == 0 {
            self.phase += 1;
            self.missing = self.expected;
        }
    }
}

impl Env<'_> {
    /// Changes the barrier at an address, where one must have been initialised.
    fn with_mbarrier<T: Default>(
        &mut self,
        place: Place,
        at: u64,
        work: impl FnOnce(&mut MBarrierState) -> T,
    ) -> Run<T> {
        self.check_shared(place, at, 8)?;
        match self.mbarriers.get_mut(&at) {
            Some(state) => Ok(work(state)),
            None => {
                let text = format!("there is no initialised mbarrier at {at:#x}");
                self.raise(place, Kind::Unwritten, text)?;
                Ok(T::default())
            }
        }
    }

    /// Makes the warp's knowledge available to those who wait for the barrier.
    fn publish(&mut self, warp: usize, at: u64) {
        let Some(race) = &mut self.shared.race else { return };
        let snapshot = race.arrive(warp);
        if let Some(state) = self.mbarriers.get_mut(&at) {
            for (known, mine) in state.known.iter_mut().zip(snapshot) {
                *known = mine.max(*known);
            }
        }
    }

    pub(super) fn mbarrier(&mut self, warp: &mut Warp, op: &MBarrier, m: u32, pc: u32) -> Run<()> {
        let mut open = 0;
        for place in Self::places(warp, m, pc) {
            let lane = place.lane;
            let at = Self::address(warp, &op.address, lane);
            let operand = op.operand.map(|slot| warp.lane_of(slot, lane));
            let count = operand.unwrap_or(1) as u32 as i64;
            match op.kind {
                MBarrierKind::Init => {
                    self.check_shared(place, at, 8)?;
                    self.write_shared(place, at as usize, &[0; 8], true)?;
                    let state =
                        MBarrierState { expected: count, missing: count, ..Default::default() };
                    self.mbarriers.insert(at, state);
                }
                MBarrierKind::Invalidate => {
                    self.with_mbarrier(place, at, |_| ())?;
                    self.mbarriers.remove(&at);
                }
                MBarrierKind::Expect => self.with_mbarrier(place, at, |s| s.bytes += count)?,
                MBarrierKind::Arrive | MBarrierKind::ArriveExpect => {
                    self.publish(warp.index, at);
                    let expect = op.kind == MBarrierKind::ArriveExpect;
                    let token = self.with_mbarrier(place, at, |s| {
                        let token = s.phase;
                        s.bytes += if expect { count } else { 0 };
                        s.missing -= if expect { 1 } else { count };
                        s.settle();
                        token
                    })?;
                    if let Some(slot) = op.token {
                        warp.set_lane(slot, lane, token);
                    }
                    self.progress = true;
                }
                MBarrierKind::CopyArrive { counted } => {
                    self.finish_copies(warp, lane, pc)?;
                    self.publish(warp.index, at);
                    // Without `.noinc`, the phase expects one arrival more.
                    self.with_mbarrier(place, at, |s| {
                        s.missing -= i64::from(counted);
                        s.settle();
                    })?;
                    self.progress = true;
                }
                MBarrierKind::Wait { parity } => {
                    let asked = operand.unwrap_or_default();
                    let passed = self.with_mbarrier(place, at, |s| match parity {
                        true => s.phase & 1 != asked & 1,
                        false => s.phase != asked,
                    })?;
                    if passed {
                        self.learn(warp.index, at);
                    } else {
                        open |= 1 << lane;
                    }
                }
            }
        }
        if let Some(done) = op.done {
            warp.set_pred(done, !open, m);
            // Polling again makes sense only after other warps have run.
            if open != 0 {
                self.spinning = true;
                self.asked_in_vain = true;
            }
        }
        Ok(())
    }

    fn learn(&mut self, warp: usize, at: u64) {
        if let (Some(race), Some(state)) = (&mut self.shared.race, self.mbarriers.get(&at)) {
            race.learn(warp, &state.known);
        }
    }

    pub(super) fn copy_bulk(&mut self, warp: &mut Warp, op: &CopyBulk, m: u32, pc: u32) -> Run<()> {
        for place in Self::places(warp, m, pc) {
            let lane = place.lane;
            let size = warp.r32[op.size as usize].0[lane] as u64;
            let to = Self::address(warp, &op.to, lane);
            let from = Self::address(warp, &op.from, lane);
            if !size.is_multiple_of(16) {
                let text = format!("a bulk copy of {size} bytes, not a multiple of 16");
                self.raise(place, Kind::Misaligned, text)?;
            }
            for step in (0..size).step_by(16) {
                self.check_global(place, from + step, 16)?;
                self.check_shared(place, to + step, 16)?;
                self.check_written(place, from + step, 16)?;
                self.check_foreign(place, from + step, 16, false)?;
                let mut data = [0; 16];
                data[..8].copy_from_slice(&self.arena.load(from + step, 8).to_le_bytes());
                data[8..].copy_from_slice(&self.arena.load(from + step + 8, 8).to_le_bytes());
                self.write_shared(place, (to + step) as usize, &data, false)?;
            }
            let barrier = Self::address(warp, &op.barrier, lane);
            self.publish(warp.index, barrier);
            self.with_mbarrier(place, barrier, |s| {
                s.bytes -= size as i64;
                s.settle();
            })?;
            self.progress = true;
        }
        Ok(())
    }
}
