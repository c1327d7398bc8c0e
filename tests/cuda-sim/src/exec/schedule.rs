//! The loop that runs a warp: which of its threads run next, where they reconverge, and which
//! threads they wait for.

use super::env::{Env, Place};
use super::lanes::{FULL, lanes_of};
use super::op::*;
use super::warp::{Arrival, Group, Run, Stop, Warp};
use crate::check::{Finding, Kind};

/// Number of instructions after which another warp gets its turn.
const SLICE: u64 = 1 << 16;

impl Warp {
    /// Joins groups that are at the same instruction, and chooses the one that is furthest behind.
    /// `None` if all wait.
    fn schedule(&mut self) -> Option<usize> {
        let mut at = 0;
        while at < self.groups.len() {
            let Group { pc, mask, .. } = self.groups[at];
            match self.groups[..at].iter().position(|g| g.pc == pc) {
                Some(first) => {
                    self.groups[first].mask |= mask;
                    self.groups[first].waiting = false;
                    self.groups.swap_remove(at);
                }
                None => at += 1,
            }
        }
        let runnable = self.groups.iter().enumerate().filter(|(_, g)| !g.waiting);
        runnable.min_by_key(|(_, g)| g.pc).map(|(index, _)| index)
    }

    /// Runs until the warp ends, waits, or has used its share.
    pub fn run(&mut self, env: &mut Env<'_>) -> Run<Stop> {
        let code = &env.program.code[..];
        let limit = self.steps + SLICE;
        loop {
            if self.groups.is_empty() {
                return Ok(Stop::Done);
            }
            let Some(current) = self.schedule() else {
                return Err(self.stuck(env));
            };
            let Group { mut pc, mask, .. } = self.groups[current];
            // When this group reaches that instruction, another one joins or takes over.
            let next = self
                .groups
                .iter()
                .enumerate()
                .filter(|(index, g)| *index != current && g.pc > pc)
                .map(|(_, g)| g.pc)
                .min()
                .unwrap_or(u32::MAX);
            let alone = self.groups.len() == 1;
            loop {
                let inst = &code[pc as usize];
                let m = match inst.guard {
                    ALWAYS => mask,
                    slot => mask & (self.p[slot as usize] ^ inst.negate),
                };
                self.steps += 1;
                self.thread_steps += u64::from(mask.count_ones());
                if m == 0 {
                    pc += 1;
                    if pc >= next {
                        self.groups[current].pc = pc;
                        break;
                    }
                    continue;
                }
                match &inst.op {
                    Op::Branch(target) => {
                        if m == mask {
                            pc = *target;
                        } else {
                            self.groups[current].pc = pc + 1;
                            self.groups[current].mask = mask & !m;
                            self.groups.push(Group { pc: *target, mask: m, waiting: false });
                            break;
                        }
                        if self.steps >= limit || std::mem::take(&mut env.spinning) {
                            self.groups[current].pc = pc;
                            return Ok(Stop::Yield);
                        }
                        if !alone && (pc >= next || self.behind(pc, current)) {
                            self.groups[current].pc = pc;
                            break;
                        }
                        continue;
                    }
                    Op::BranchTable(index, targets) => {
                        let index = *self.narrow(*index);
                        self.groups.swap_remove(current);
                        if mask & !m != 0 {
                            self.groups.push(Group { pc: pc + 1, mask: mask & !m, waiting: false });
                        }
                        for lane in lanes_of(m) {
                            let Some(&target) = targets.get(index.0[lane] as usize) else {
                                let place = Place { warp: self.index, lane, pc };
                                let text =
                                    format!("index {} is not in the branch table", index.0[lane]);
                                env.raise(place, Kind::OutOfBounds, text)?;
                                continue;
                            };
                            self.groups.push(Group { pc: target, mask: 1 << lane, waiting: false });
                        }
                        break;
                    }
                    Op::Exit => {
                        self.alive &= !m;
                        self.groups[current].pc = pc + 1;
                        self.groups[current].mask = mask & !m;
                        self.groups.retain(|g| g.mask != 0);
                        // The waiting threads may have waited for these threads only.
                        self.groups.iter_mut().for_each(|g| g.waiting = false);
                        break;
                    }
                    Op::Barrier(barrier) => {
                        if m != self.alive {
                            self.groups[current].pc = pc;
                            if m != mask {
                                let place = Place { warp: self.index, lane: 0, pc };
                                let text = "some threads of the warp skip the barrier by its guard";
                                env.raise(place, Kind::Barrier, text.to_owned())?;
                            }
                            self.groups[current].waiting = true;
                            break;
                        }
                        self.groups[current].pc = pc;
                        let id = self.uniform(env, barrier.id, pc)?;
                        let count = match barrier.count {
                            Some(slot) => Some(self.uniform(env, slot, pc)?),
                            None => None,
                        };
                        let votes = barrier
                            .reduce
                            .map_or(0, |(_, p, negate, _)| (self.p[p as usize] ^ negate) & m);
                        self.arrival = Some(Arrival { id, count, pc, votes });
                        return Ok(if barrier.arrive { Stop::Arrived } else { Stop::Barrier });
                    }
                    op => {
                        if self.must_wait(env, op, m, pc)? {
                            self.groups[current].pc = pc;
                            self.groups[current].waiting = true;
                            break;
                        }
                        self.execute(env, op, m, pc)?;
                        pc += 1;
                        if pc >= next {
                            self.groups[current].pc = pc;
                            break;
                        }
                    }
                }
            }
            if self.steps >= limit {
                return Ok(Stop::Yield);
            }
        }
    }

    /// Returns whether a group that can run is before this instruction.
    fn behind(&self, pc: u32, current: usize) -> bool {
        self.groups.iter().enumerate().any(|(i, g)| i != current && !g.waiting && g.pc < pc)
    }

    /// Returns the value that all threads share, or a finding if they differ.
    fn uniform(&self, env: &Env<'_>, slot: S32, pc: u32) -> Run<u32> {
        let values = self.narrow(slot);
        let first = self.alive.trailing_zeros() as usize % 32;
        for lane in lanes_of(self.alive) {
            if values.0[lane] != values.0[first] {
                let place = Place { warp: self.index, lane, pc };
                let text = "threads of a warp name different barriers".to_owned();
                env.raise(place, Kind::Barrier, text)?;
            }
        }
        Ok(values.0[first])
    }

    /// Returns whether an instruction needs threads that have not arrived yet.
    #[inline(always)]
    fn must_wait(&self, env: &Env<'_>, op: &Op, m: u32, pc: u32) -> Run<bool> {
        let slot = match op {
            Op::Shuffle { members, .. }
            | Op::Vote { members, .. }
            | Op::Match { members, .. }
            | Op::Reduce { members, .. }
            | Op::Elect { members, .. }
            | Op::BarrierWarp(members) => Some(*members),
            Op::LoadMatrix(_)
            | Op::StoreMatrix(_)
            | Op::MoveMatrix(..)
            | Op::Mma(_)
            | Op::WmmaLoad(_)
            | Op::WmmaStore(_)
            | Op::Wmma(_) => None,
            _ => return Ok(false),
        };
        // Every lane provides the mask; the first lane's is used.
        let members = slot.map_or(FULL, |s| self.narrow(s).0[m.trailing_zeros() as usize]);
        if m == members {
            return Ok(false);
        }
        self.wait_for(env, members, slot.is_none(), m, pc)
    }

    /// Checks that the named threads have arrived. Returns whether some have not arrived yet.
    /// Threads that have ended, or that a small block does not have, are not waited for.
    fn wait_for(&self, env: &Env<'_>, members: u32, all: bool, m: u32, pc: u32) -> Run<bool> {
        let place = |lane: u32| Place { warp: self.index, lane: lane as usize % 32, pc };
        if m & !members != 0 {
            let lane = (m & !members).trailing_zeros();
            let text = format!("the mask {members:#010x} does not name the executing thread");
            env.raise(place(lane), Kind::WarpMask, text)?;
        }
        let missing = members & !m;
        if all && missing & !self.alive != 0 {
            let text = format!("needs a whole warp; of this one only {:#010x} run", self.alive);
            env.raise(place(m.trailing_zeros()), Kind::WarpMask, text)?;
        }
        Ok(missing & self.alive != 0)
    }

    /// Returns the finding for groups that all wait: for each other, or for threads that never
    /// arrive.
    fn stuck(&self, env: &Env<'_>) -> Box<Finding> {
        let group = self.groups[0];
        let place = Place {
            warp: self.index,
            lane: group.mask.trailing_zeros() as usize % 32,
            pc: group.pc,
        };
        let other = self.groups.get(1).map_or(group, |g| *g);
        let kind = match env.program.code[group.pc as usize].op {
            Op::Barrier(_) => Kind::Barrier,
            _ => Kind::WarpMask,
        };
        let text = format!(
            "threads {:#010x} of the warp wait here, threads {:#010x} at: {}",
            group.mask,
            other.mask,
            env.text(other.pc)
        );
        match env.raise(place, kind, text) {
            Err(finding) => finding,
            Ok(()) => env.finding(place, kind, "threads of a warp wait for each other".to_owned()),
        }
    }
}
