//! Instructions that are not simple functions of registers, with one match arm each.

use super::env::{Env, Place};
use super::float::{bf16_to_f32, f16_to_f32};
use super::lanes::*;
use super::op::*;
use super::warp::{Run, Warp};
use super::{convert_one, extract};
use crate::check::Kind;

impl Warp {
    #[inline(never)]
    pub(super) fn execute_rare(&mut self, env: &mut Env<'_>, op: &Op, m: u32, pc: u32) -> Run<()> {
        match op {
            Op::SetValue { tests, d, a, b, truth } => {
                let (x, y) = (*self.narrow(*a), *self.narrow(*b));
                let half = tests[1].is_some();
                let cut = |v: &V32, shift: u32| {
                    V32::from_fn(|l| if half { v.0[l] >> shift & 0xffff } else { v.0[l] })
                };
                let mut out = V32::splat(0);
                for (part, test) in tests.iter().enumerate() {
                    let Some(test) = test else { continue };
                    let shift = 16 * part as u32;
                    let bits = test(&cut(&x, shift), &cut(&y, shift));
                    for lane in lanes_of(bits) {
                        out.0[lane] |= truth << shift;
                    }
                }
                self.set32(*d, &out, m);
            }
            Op::Convert(c) => {
                for lane in lanes_of(m) {
                    let value = convert_one(c, self.lane_of(c.source, lane));
                    // A narrow result is sign-extended or zero-extended to the register.
                    self.set_lane(c.result, lane, value);
                }
            }
            Op::Bfi32(d, sources) => {
                let [a, b, p, n] = sources.map(|slot| *self.narrow(slot));
                let out = V32::from_fn(|l| {
                    insert(a.0[l].into(), b.0[l].into(), p.0[l], n.0[l], 32) as u32
                });
                self.set32(*d, &out, m);
            }
            Op::Bfi64(d, [a, b], [p, n]) => {
                let (a, b) = (self.r64[*a as usize], self.r64[*b as usize]);
                let (p, n) = (*self.narrow(*p), *self.narrow(*n));
                let mut out = V64::splat(0);
                for l in 0..LANES {
                    out.0[l] = insert(a.0[l], b.0[l], p.0[l], n.0[l], 64);
                }
                self.set64(*d, &out, m);
            }
            Op::Bfe64(d, a, [p, n], signed) => {
                let a = self.r64[*a as usize];
                let (p, n) = (*self.narrow(*p), *self.narrow(*n));
                let mut out = V64::splat(0);
                for l in 0..LANES {
                    out.0[l] = extract(a.0[l], p.0[l], n.0[l], 64, *signed);
                }
                self.set64(*d, &out, m);
            }
            Op::Lop3(d, sources, table) => {
                let [a, b, c] = sources.map(|slot| *self.narrow(slot));
                let out = V32::from_fn(|l| {
                    let (a, b, c) = (a.0[l], b.0[l], c.0[l]);
                    (0..8).filter(|i| table >> i & 1 == 1).fold(0, |sum, i| {
                        let pick = |x: u32, on: bool| if on { x } else { !x };
                        sum | pick(a, i & 4 != 0) & pick(b, i & 2 != 0) & pick(c, i & 1 != 0)
                    })
                });
                self.set32(*d, &out, m);
            }
            Op::Pack(d, parts, bits) => {
                for lane in lanes_of(m) {
                    let mask = if *bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                    let value = parts.iter().enumerate().fold(0, |sum, (i, &slot)| {
                        sum | (self.lane_of(slot, lane) & mask) << (*bits as usize * i)
                    });
                    self.set_lane(*d, lane, value);
                }
            }
            Op::Unpack(parts, a, bits) => {
                for lane in lanes_of(m) {
                    let value = self.lane_of(*a, lane);
                    let mask = if *bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                    for (i, slot) in parts.iter().enumerate() {
                        if let Some(slot) = slot {
                            self.set_lane(*slot, lane, value >> (*bits as usize * i) & mask);
                        }
                    }
                }
            }
            Op::Clock(d) => {
                for lane in lanes_of(m) {
                    self.set_lane(*d, lane, self.steps);
                }
            }
            Op::Atomic(atomic) => env.atomic(self, atomic, m, pc)?,
            Op::CopyAsync(copy) => env.copy_async(self, copy, m, pc)?,
            Op::CopyBulk(copy) => env.copy_bulk(self, copy, m, pc)?,
            Op::MBarrier(barrier) => env.mbarrier(self, barrier, m, pc)?,
            Op::CopyCommit => {
                for lane in lanes_of(m) {
                    self.committed[lane] += 1;
                }
            }
            Op::CopyWait(groups) => env.copy_wait(self, *groups, m, pc)?,
            Op::BarrierWarp(_) => env.sync_warp(self.index),
            Op::Shuffle { mode, d, p, a, b, c, .. } => {
                let (a, b, c) = (*self.narrow(*a), *self.narrow(*b), *self.narrow(*c));
                let mut good = 0;
                let out = V32::from_fn(|lane| {
                    let (source, valid) = shuffle_source(*mode, lane, b.0[lane], c.0[lane]);
                    good |= u32::from(valid) << lane;
                    a.0[if valid { source } else { lane }]
                });
                for lane in lanes_of(m) {
                    let (source, valid) = shuffle_source(*mode, lane, b.0[lane], c.0[lane]);
                    if valid && m >> source & 1 == 0 {
                        let place = Place { warp: self.index, lane, pc };
                        let text = format!("the value of lane {source}, which does not take part");
                        env.raise(place, Kind::WarpMask, text)?;
                    }
                }
                self.set32(*d, &out, m);
                if let Some(p) = p {
                    self.set_pred(*p, good, m);
                }
            }
            Op::Vote { mode, d, p, negate, .. } => {
                let bits = (self.p[*p as usize] ^ negate) & m;
                let value = match mode {
                    VoteMode::All => u32::from(bits == m),
                    VoteMode::Any => u32::from(bits != 0),
                    VoteMode::Uniform => u32::from(bits == m || bits == 0),
                    VoteMode::Ballot => bits,
                };
                self.give(*d, value, m);
            }
            Op::Match { all, d, p, a, .. } => {
                let mut same = [0u32; LANES];
                for lane in lanes_of(m) {
                    let value = self.lane_of(*a, lane);
                    same[lane] = lanes_of(m)
                        .filter(|&other| self.lane_of(*a, other) == value)
                        .fold(0, |bits, other| bits | 1 << other);
                }
                let equal = lanes_of(m).all(|lane| same[lane] == m);
                let out = match all {
                    true => V32::splat(if equal { m } else { 0 }),
                    false => V32(same),
                };
                self.set32(*d, &out, m);
                if let Some(p) = p {
                    self.set_pred(*p, if equal { FULL } else { 0 }, m);
                }
            }
            Op::Reduce { mode, d, a, .. } => {
                let a = *self.narrow(*a);
                let values = lanes_of(m).map(|lane| a.0[lane]);
                let value = match mode {
                    ReduceMode::Add => values.fold(0, u32::wrapping_add),
                    ReduceMode::MinU => values.min().unwrap_or(0),
                    ReduceMode::MaxU => values.max().unwrap_or(0),
                    ReduceMode::MinS => values.map(|v| v as i32).min().unwrap_or(0) as u32,
                    ReduceMode::MaxS => values.map(|v| v as i32).max().unwrap_or(0) as u32,
                    ReduceMode::And => values.fold(u32::MAX, |x, y| x & y),
                    ReduceMode::Or => values.fold(0, |x, y| x | y),
                    ReduceMode::Xor => values.fold(0, |x, y| x ^ y),
                    ReduceMode::Count => m.count_ones(),
                };
                self.set32(*d, &V32::splat(value), m);
            }
            Op::ActiveMask(d) => self.set32(*d, &V32::splat(m), m),
            Op::Elect { d, p, .. } => {
                let leader = m.trailing_zeros();
                self.set32(*d, &V32::splat(leader), m);
                self.set_pred(*p, 1 << leader, m);
            }
            Op::LoadMatrix(load) => env.load_matrix(self, load, pc)?,
            Op::StoreMatrix(store) => env.store_matrix(self, store, pc)?,
            Op::MoveMatrix(d, a) => {
                let a = *self.narrow(*a);
                let element = |row: usize, column: usize| {
                    a.0[row * 4 + column / 2] >> (16 * (column % 2)) & 0xffff
                };
                let out = V32::from_fn(|lane| {
                    let (row, column) = (lane / 4, lane % 4 * 2);
                    element(column, row) | element(column + 1, row) << 16
                });
                self.set32(*d, &out, m);
            }
            Op::Mma(mma) => {
                let get = |slots: &[S32]| -> [&V32; 4] {
                    std::array::from_fn(|i| &self.r32[slots[i.min(slots.len() - 1)] as usize])
                };
                let (a, b, c) = (get(&mma.a), get(&mma.b), get(&mma.c));
                let out = mma.product(&a[..mma.a.len()], &b[..mma.b.len()], &c[..mma.c.len()]);
                for (slot, value) in mma.d.iter().zip(&out) {
                    self.set32(*slot, value, m);
                }
            }
            Op::WmmaLoad(access) => env.wmma_load(self, access, pc)?,
            Op::WmmaStore(access) => env.wmma_store(self, access, pc)?,
            Op::Wmma(product) => {
                let get = |slots: &[S32]| -> [&V32; 8] {
                    std::array::from_fn(|i| &self.r32[slots[i.min(slots.len() - 1)] as usize])
                };
                let out = product.product(&get(&product.a), &get(&product.b), &get(&product.c));
                for (slot, value) in product.d.iter().zip(&out) {
                    self.set32(*slot, value, m);
                }
            }
            Op::Nop => {}
            Op::Trap | Op::AssertFail => {
                let lane = m.trailing_zeros() as usize;
                let place = Place { warp: self.index, lane, pc };
                let text = match op {
                    Op::Trap => "a trap",
                    _ => "an assertion failed",
                };
                env.raise(place, Kind::Assertion, text.to_owned())?;
            }
            Op::Unknown(reason) => {
                let lane = m.trailing_zeros() as usize;
                let place = Place { warp: self.index, lane, pc };
                env.raise(place, Kind::UnknownInstruction, reason.to_string())?;
            }
            // `execute` or `run` handles all others.
            _ => {}
        }
        Ok(())
    }
}

/// Returns the lane from which a shuffle takes its value, and whether that lane is in range.
fn shuffle_source(mode: ShuffleMode, lane: usize, b: u32, c: u32) -> (usize, bool) {
    let lane = lane as i32;
    let (b, clamp, segment) = ((b & 0x1f) as i32, (c & 0x1f) as i32, (c >> 8 & 0x1f) as i32);
    let most = (lane & segment) | (clamp & !segment);
    let least = lane & segment;
    let (source, good) = match mode {
        ShuffleMode::Up => (lane - b, lane - b >= most),
        ShuffleMode::Down => (lane + b, lane + b <= most),
        ShuffleMode::Butterfly => (lane ^ b, lane ^ b <= most),
        ShuffleMode::Index => {
            let source = least | (b & !segment);
            (source, source <= most)
        }
    };
    (source.clamp(0, 31) as usize, good)
}

/// Inserts `n` bits of `a` into `b` at position `p`, as `bfi` defines it.
fn insert(a: u64, b: u64, p: u32, n: u32, width: u32) -> u64 {
    let (p, n) = (p & 0xff, n & 0xff);
    if p >= width || n == 0 {
        return b;
    }
    let kept = n.min(width - p);
    let mask = if kept >= 64 { u64::MAX } else { ((1u64 << kept) - 1) << p };
    b & !mask | a << p & mask
}

/// Returns the result of an atomic addition of narrow floats.
pub(super) fn half_add(old: u32, b: u32, bf16: bool) -> u32 {
    use super::float::{f32_to_bf16, f32_to_f16};
    if bf16 {
        f32_to_bf16(bf16_to_f32(old & 0xffff) + bf16_to_f32(b & 0xffff))
    } else {
        f32_to_f16(f16_to_f32(old & 0xffff) + f16_to_f32(b & 0xffff))
    }
}
