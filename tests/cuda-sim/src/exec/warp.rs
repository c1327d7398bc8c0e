//! A warp: its registers, the positions of its threads, and its instructions.

use super::Special;
use super::env::{Env, Place};
use super::lanes::*;
use super::op::*;
use crate::check::Finding;

pub(super) type Run<T> = Result<T, Box<Finding>>;

/// Threads of a warp that are at the same instruction.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The instruction.
    pub pc: u32,
    /// The threads.
    pub mask: u32,
    /// Whether they wait there for other threads of the warp.
    pub(super) waiting: bool,
}

/// A copy to shared memory that is in flight.
#[derive(Debug)]
pub struct Pending {
    /// The lane that started it.
    pub lane: usize,
    /// Number of its group within the lane.
    pub group: u32,
    /// The destination.
    pub to: usize,
    /// The data to be written.
    pub data: [u8; 16],
    /// Number of bytes of the data.
    pub size: usize,
}

/// A warp at a barrier of its block.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Number of the barrier.
    pub id: u32,
    /// Number of expected threads; `None` for the whole block.
    pub count: Option<u32>,
    /// Index of the barrier instruction.
    pub pc: u32,
    /// Lanes whose predicate is true, for a reduction.
    pub votes: u32,
}

/// Why a warp has stopped running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All threads have ended.
    Done,
    /// The warp waits at a barrier.
    Barrier,
    /// The warp has arrived at a barrier for which it does not wait.
    Arrived,
    /// The warp's share of time is used up.
    Yield,
}

/// A warp.
#[derive(Debug)]
pub struct Warp {
    /// Number within the block.
    pub index: usize,
    /// Threads that have not ended.
    pub alive: u32,
    pub(super) r32: Vec<V32>,
    pub(super) r64: Vec<V64>,
    pub(super) p: Vec<u32>,
    pub(super) groups: Vec<Group>,
    /// Local memory of its threads, concatenated, and which of its bytes were written.
    pub(super) local: Vec<u8>,
    pub(super) local_written: Vec<u8>,
    pub(super) pending: Vec<Pending>,
    pub(super) committed: [u32; LANES],
    /// The barrier at which it waits.
    pub arrival: Option<Arrival>,
    /// Number of instructions run.
    pub steps: u64,
    /// Number of instructions run, times the threads that took part.
    pub thread_steps: u64,
}

impl Warp {
    /// Makes a warp with registers for a program.
    pub fn new(env: &Env<'_>, index: usize) -> Self {
        let program = env.program;
        let [preds, narrow, wide] = program.slots;
        let mut warp = Self {
            index,
            alive: 0,
            r32: vec![V32::splat(0xEEEE_EEEE); narrow],
            r64: vec![V64::splat(0xEEEE_EEEE_EEEE_EEEE); wide],
            p: vec![0; preds],
            groups: Vec::new(),
            local: vec![0xEE; program.local_bytes * LANES],
            local_written: vec![0; program.local_bytes * LANES],
            pending: Vec::new(),
            committed: [0; LANES],
            arrival: None,
            steps: 0,
            thread_steps: 0,
        };
        for &(slot, value) in &program.constants32 {
            warp.r32[slot as usize] = V32::splat(value);
        }
        for &(slot, value) in &program.constants64 {
            warp.r64[slot as usize] = V64::splat(value);
        }
        for &slot in &program.truths {
            warp.p[slot as usize] = FULL;
        }
        warp
    }

    /// Resets the warp to the beginning of a block.
    pub fn start(&mut self, env: &Env<'_>) {
        let threads = env.threads().min((self.index as u32 + 1) * 32) - self.index as u32 * 32;
        self.alive = if threads == 32 { FULL } else { (1 << threads) - 1 };
        self.groups.clear();
        self.groups.push(Group { pc: 0, mask: self.alive, waiting: false });
        self.local_written.fill(0);
        self.pending.clear();
        self.committed = [0; LANES];
        self.arrival = None;
        for &(special, slot) in &env.program.specials {
            let thread = |lane: usize| self.index as u32 * 32 + lane as u32;
            let [dx, dy, _] = env.block_size;
            let value = match special {
                Special::Thread(0) => V32::from_fn(|l| thread(l) % dx),
                Special::Thread(1) => V32::from_fn(|l| thread(l) / dx % dy),
                Special::Thread(_) => V32::from_fn(|l| thread(l) / dx / dy),
                Special::Block(axis) => V32::splat(env.block[axis]),
                Special::Threads(axis) => V32::splat(env.block_size[axis]),
                Special::Blocks(axis) => V32::splat(env.grid[axis]),
                Special::Lane => V32::from_fn(|l| l as u32),
                Special::Warp => V32::splat(self.index as u32),
                Special::Warps => V32::splat(env.threads().div_ceil(32)),
                Special::LanesBelow => V32::from_fn(|l| (1 << l) - 1),
                Special::LanesUpTo => V32::from_fn(|l| ((2u64 << l) - 1) as u32),
                Special::LanesAbove => V32::from_fn(|l| !((2u64 << l) - 1) as u32),
                Special::LanesFrom => V32::from_fn(|l| !((1 << l) - 1)),
                Special::LaneBit => V32::from_fn(|l| 1 << l),
                Special::DynamicShared => V32::splat(env.dynamic_shared),
                Special::TotalShared => V32::splat(env.shared.bytes.len() as u32),
                Special::Multiprocessor => {
                    V32::splat(env.block[0] % env.device.limits.multiprocessors)
                }
                Special::Zero => V32::splat(0),
            };
            self.r32[slot as usize] = value;
        }
    }

    /// Returns the location of its current threads, for messages about a deadlock.
    pub fn place(&self) -> Place {
        let pc = self.arrival.map_or_else(|| self.groups.first().map_or(0, |g| g.pc), |a| a.pc);
        Place { warp: self.index, lane: self.alive.trailing_zeros() as usize % 32, pc }
    }

    /// Lets the warp continue after a barrier. `result` is the result of a reduction.
    pub fn release(&mut self, env: &Env<'_>, result: u32) {
        let Some(arrival) = self.arrival.take() else { return };
        if let Op::Barrier(barrier) = &env.program.code[arrival.pc as usize].op
            && let Some((_, _, _, target)) = barrier.reduce
        {
            self.give(target, result, self.alive);
        }
        for group in &mut self.groups {
            group.pc += 1;
        }
    }

    pub(super) fn give(&mut self, target: Result32, value: u32, m: u32) {
        match target {
            Result32::Value(slot) => self.set32(slot, &V32::splat(value), m),
            Result32::Pred(slot) => {
                let bits = if value != 0 { FULL } else { 0 };
                self.set_pred(slot, bits, m);
            }
        }
    }

    #[inline(always)]
    pub(super) fn set32(&mut self, slot: S32, value: &V32, m: u32) {
        write(&mut self.r32[slot as usize].0, &value.0, m);
    }

    #[inline(always)]
    pub(super) fn set64(&mut self, slot: S64, value: &V64, m: u32) {
        write(&mut self.r64[slot as usize].0, &value.0, m);
    }

    #[inline(always)]
    pub(super) fn set_pred(&mut self, slot: SPred, bits: u32, m: u32) {
        let target = &mut self.p[slot as usize];
        *target = *target & !m | bits & m;
    }

    pub(super) fn narrow(&self, slot: S32) -> &V32 {
        &self.r32[slot as usize]
    }

    /// Returns a lane of a register of either width.
    pub(super) fn lane_of(&self, slot: Slot, lane: usize) -> u64 {
        match slot {
            Slot::Narrow(slot) => u64::from(self.r32[slot as usize].0[lane]),
            Slot::Wide(slot) => self.r64[slot as usize].0[lane],
        }
    }

    pub(super) fn set_lane(&mut self, slot: Slot, lane: usize, value: u64) {
        match slot {
            Slot::Narrow(slot) => self.r32[slot as usize].0[lane] = value as u32,
            Slot::Wide(slot) => self.r64[slot as usize].0[lane] = value,
        }
    }

    /// Runs an instruction that changes neither the position nor the number of threads.
    #[inline(always)]
    pub(super) fn execute(&mut self, env: &mut Env<'_>, op: &Op, m: u32, pc: u32) -> Run<()> {
        let r32 = |slot: S32| slot as usize;
        match op {
            Op::Un32(f, d, a) => {
                let mut out = V32::splat(0);
                f(&self.r32[r32(*a)], &mut out);
                self.set32(*d, &out, m);
            }
            Op::Bin32(f, d, a, b) => {
                let mut out = V32::splat(0);
                f(&self.r32[r32(*a)], &self.r32[r32(*b)], &mut out);
                self.set32(*d, &out, m);
            }
            Op::Tri32(f, d, a, b, c) => {
                let mut out = V32::splat(0);
                f(&self.r32[r32(*a)], &self.r32[r32(*b)], &self.r32[r32(*c)], &mut out);
                self.set32(*d, &out, m);
            }
            Op::Un64(f, d, a) => {
                let mut out = V64::splat(0);
                f(&self.r64[r32(*a)], &mut out);
                self.set64(*d, &out, m);
            }
            Op::Bin64(f, d, a, b) => {
                let mut out = V64::splat(0);
                f(&self.r64[r32(*a)], &self.r64[r32(*b)], &mut out);
                self.set64(*d, &out, m);
            }
            Op::Tri64(f, d, a, b, c) => {
                let mut out = V64::splat(0);
                f(&self.r64[r32(*a)], &self.r64[r32(*b)], &self.r64[r32(*c)], &mut out);
                self.set64(*d, &out, m);
            }
            Op::Mixed64(f, d, a, b) => {
                let mut out = V64::splat(0);
                f(&self.r64[r32(*a)], &self.r32[r32(*b)], &mut out);
                self.set64(*d, &out, m);
            }
            Op::Widen(f, d, a) => {
                let mut out = V64::splat(0);
                f(&self.r32[r32(*a)], &mut out);
                self.set64(*d, &out, m);
            }
            Op::Widen2(f, d, a, b) => {
                let mut out = V64::splat(0);
                f(&self.r32[r32(*a)], &self.r32[r32(*b)], &mut out);
                self.set64(*d, &out, m);
            }
            Op::WidenAdd(f, d, a, b, c) => {
                let mut out = V64::splat(0);
                f(&self.r32[r32(*a)], &self.r32[r32(*b)], &mut out);
                for (x, y) in out.0.iter_mut().zip(&self.r64[r32(*c)].0) {
                    *x = x.wrapping_add(*y);
                }
                self.set64(*d, &out, m);
            }
            Op::Narrow(f, d, a) => {
                let mut out = V32::splat(0);
                f(&self.r64[r32(*a)], &mut out);
                self.set32(*d, &out, m);
            }
            Op::Mov32(d, a) => {
                let value = self.r32[r32(*a)];
                self.set32(*d, &value, m);
            }
            Op::Mov64(d, a) => {
                let value = self.r64[r32(*a)];
                self.set64(*d, &value, m);
            }
            Op::MovPred(d, a) => self.set_pred(*d, self.p[r32(*a)], m),
            Op::Pred(f, d, a, b) => self.set_pred(*d, f(self.p[r32(*a)], self.p[r32(*b)]), m),
            Op::Set32(f, to, a, b) => {
                let bits = f(&self.r32[r32(*a)], &self.r32[r32(*b)]);
                self.set_test(to, bits, m);
            }
            Op::Set64(f, to, a, b) => {
                let bits = f(&self.r64[r32(*a)], &self.r64[r32(*b)]);
                self.set_test(to, bits, m);
            }
            Op::Select32(d, a, b, p) => {
                let (bits, a, b) = (self.p[r32(*p)], &self.r32[r32(*a)], &self.r32[r32(*b)]);
                let mut out = V32::splat(0);
                for lane in 0..LANES {
                    out.0[lane] = if bits >> lane & 1 == 1 { a.0[lane] } else { b.0[lane] };
                }
                self.set32(*d, &out, m);
            }
            Op::Select64(d, a, b, p) => {
                let (bits, a, b) = (self.p[r32(*p)], &self.r64[r32(*a)], &self.r64[r32(*b)]);
                let mut out = V64::splat(0);
                for lane in 0..LANES {
                    out.0[lane] = if bits >> lane & 1 == 1 { a.0[lane] } else { b.0[lane] };
                }
                self.set64(*d, &out, m);
            }
            Op::Load(access) => env.load(self, access, m, pc)?,
            Op::Store(access) => env.store(self, access, m, pc)?,
            other => self.execute_rare(env, other, m, pc)?,
        }
        Ok(())
    }

    fn set_test(&mut self, to: &SetTo, bits: u32, m: u32) {
        let (mut p, mut q) = (bits, !bits);
        if let Some((f, slot, negate)) = to.with {
            let other = self.p[slot as usize] ^ negate;
            (p, q) = (f(p, other), f(q, other));
        }
        self.set_pred(to.p, p, m);
        if let Some(slot) = to.q {
            self.set_pred(slot, q, m);
        }
    }
}

/// Writes the lanes of a mask into a register.
#[inline(always)]
fn write<T: Copy>(register: &mut [T; LANES], value: &[T; LANES], m: u32) {
    if m == FULL {
        *register = *value;
        return;
    }
    for lane in 0..LANES {
        if m >> lane & 1 == 1 {
            register[lane] = value[lane];
        }
    }
}
