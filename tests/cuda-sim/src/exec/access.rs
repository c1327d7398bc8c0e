//! Loads, stores, atomic operations and asynchronous copies.

use std::ops::Range;

use super::env::{Env, Place, Run};
use super::lanes::{LANES, lanes_of};
use super::op::*;
use super::rare::half_add;
use super::warp::{Pending, Warp};
use crate::check::Kind;
use crate::device::{BASE, LOCAL_WINDOW, PARAM_WINDOW, POISON, SHARED_WINDOW, WINDOW};

/// Returns the memory that an address refers to, and the address within it.
#[inline(always)]
pub(super) fn resolve(space: Space, at: u64) -> (Space, u64) {
    if space != Space::Generic || at >= BASE {
        return (if space == Space::Generic { Space::Global } else { space }, at);
    }
    match at / WINDOW * WINDOW {
        SHARED_WINDOW => (Space::Shared, at - SHARED_WINDOW),
        LOCAL_WINDOW => (Space::Local, at - LOCAL_WINDOW),
        PARAM_WINDOW => (Space::Param, at - PARAM_WINDOW),
        _ => (Space::Global, at),
    }
}

/// Reads a little-endian number of up to 8 bytes.
pub(super) fn element(bytes: &[u8]) -> u64 {
    let mut value = [0; 8];
    value[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(value)
}

fn extended(value: u64, width: usize, signed: bool) -> u64 {
    if !signed || width == 8 {
        return value;
    }
    let spare = 64 - 8 * width as u32;
    ((value << spare) as i64 >> spare) as u64
}

impl Env<'_> {
    #[inline(always)]
    pub(super) fn load(&mut self, warp: &mut Warp, access: &Access, m: u32, pc: u32) -> Run<()> {
        match access.width {
            4 => self.load_width::<4>(warp, access, m, pc),
            8 => self.load_width::<8>(warp, access, m, pc),
            2 => self.load_width::<2>(warp, access, m, pc),
            _ => self.load_width::<1>(warp, access, m, pc),
        }
    }

    fn load_width<const W: usize>(
        &mut self,
        warp: &mut Warp,
        access: &Access,
        m: u32,
        pc: u32,
    ) -> Run<()> {
        let bytes = W * access.registers.len();
        if let Some(addresses) = self.plain_global(warp, &access.address, m, bytes)
            && self.all_written(&addresses, m, &access.used)
        {
            if self.toucher.is_some() {
                for place in Self::places(warp, m, pc) {
                    self.check_used(place, addresses[place.lane], access)?;
                }
            }
            for (i, &register) in access.registers.iter().enumerate() {
                let step = (i * W) as u64;
                match register {
                    Slot::Narrow(slot) => {
                        let target = &mut warp.r32[slot as usize].0;
                        for lane in lanes_of(m) {
                            let value = self.arena.load(addresses[lane] + step, W);
                            target[lane] = extended(value, W, access.signed) as u32;
                        }
                    }
                    Slot::Wide(slot) => {
                        let target = &mut warp.r64[slot as usize].0;
                        for lane in lanes_of(m) {
                            let value = self.arena.load(addresses[lane] + step, W);
                            target[lane] = extended(value, W, access.signed);
                        }
                    }
                }
            }
            return Ok(());
        }
        for place in Self::places(warp, m, pc) {
            let (space, at) =
                resolve(access.address.space, Self::address(warp, &access.address, place.lane));
            match space {
                Space::Global | Space::Generic => {
                    self.check_global(place, at, bytes)?;
                    self.check_used(place, at, access)?;
                    let mut written = true;
                    for used in &access.used {
                        written &= self.check_written(place, at + used.start as u64, used.len())?;
                    }
                    if written {
                        for (i, &register) in access.registers.iter().enumerate() {
                            let value = self.arena.load(at + (i * W) as u64, W);
                            warp.set_lane(register, place.lane, extended(value, W, access.signed));
                        }
                    } else {
                        for &register in &access.registers {
                            let value = element(&[POISON; 8][..W]);
                            warp.set_lane(register, place.lane, extended(value, W, access.signed));
                        }
                    }
                }
                Space::Shared => {
                    self.check_shared(place, at, bytes)?;
                    let at = at as usize;
                    for used in &access.used {
                        self.before_read(place, at + used.start, used.len(), access.strong)?;
                    }
                    for (i, &register) in access.registers.iter().enumerate() {
                        let value = element(&self.shared.bytes[at + i * W..at + (i + 1) * W]);
                        warp.set_lane(register, place.lane, extended(value, W, access.signed));
                    }
                }
                Space::Local => {
                    let at = self.check_local(place, at, bytes)?;
                    let unwritten = |used: &Range<usize>| {
                        warp.local_written[at + used.start..at + used.end].contains(&0)
                    };
                    if self.check_unwritten && access.used.iter().any(unwritten) {
                        let text = "reads local memory that was never written".to_owned();
                        self.raise(place, Kind::Unwritten, text)?;
                    }
                    for (i, &register) in access.registers.iter().enumerate() {
                        let value = element(&warp.local[at + i * W..at + (i + 1) * W]);
                        warp.set_lane(register, place.lane, extended(value, W, access.signed));
                    }
                }
                Space::Param => {
                    let at = self.check_param(place, at, bytes)?;
                    for (i, &register) in access.registers.iter().enumerate() {
                        let value = element(&self.params[at + i * W..at + (i + 1) * W]);
                        warp.set_lane(register, place.lane, extended(value, W, access.signed));
                    }
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn store(&mut self, warp: &mut Warp, access: &Access, m: u32, pc: u32) -> Run<()> {
        match access.width {
            4 => self.store_width::<4>(warp, access, m, pc),
            8 => self.store_width::<8>(warp, access, m, pc),
            2 => self.store_width::<2>(warp, access, m, pc),
            _ => self.store_width::<1>(warp, access, m, pc),
        }
    }

    fn store_width<const W: usize>(
        &mut self,
        warp: &mut Warp,
        access: &Access,
        m: u32,
        pc: u32,
    ) -> Run<()> {
        let bytes = W * access.registers.len();
        if let Some(addresses) = self.plain_global(warp, &access.address, m, bytes) {
            if self.toucher.is_some() {
                for place in Self::places(warp, m, pc) {
                    let at = addresses[place.lane];
                    let same = || self.same_bytes::<W>(warp, access, at, place.lane);
                    self.claim(place, at, bytes, access.strong, same)?;
                }
            }
            for (i, &register) in access.registers.iter().enumerate() {
                let step = (i * W) as u64;
                for lane in lanes_of(m) {
                    self.arena.store(addresses[lane] + step, W, warp.lane_of(register, lane));
                }
            }
            for lane in lanes_of(m) {
                self.arena.mark_written(addresses[lane], bytes);
            }
            return Ok(());
        }
        for place in Self::places(warp, m, pc) {
            let (space, at) =
                resolve(access.address.space, Self::address(warp, &access.address, place.lane));
            if matches!(space, Space::Global | Space::Generic) {
                self.check_global(place, at, bytes)?;
                let same = || self.same_bytes::<W>(warp, access, at, place.lane);
                self.claim(place, at, bytes, access.strong, same)?;
                for (i, &register) in access.registers.iter().enumerate() {
                    let value = warp.lane_of(register, place.lane);
                    self.arena.store(at + (i * W) as u64, W, value);
                }
                self.arena.mark_written(at, bytes);
                continue;
            }
            let mut data = [0; 64];
            for (i, &register) in access.registers.iter().enumerate() {
                let value = warp.lane_of(register, place.lane).to_le_bytes();
                data[i * W..(i + 1) * W].copy_from_slice(&value[..W]);
            }
            match space {
                Space::Shared => {
                    self.check_shared(place, at, bytes)?;
                    self.write_shared(place, at as usize, &data[..bytes], access.strong)?;
                }
                Space::Local => {
                    let at = self.check_local(place, at, bytes)?;
                    warp.local[at..at + bytes].copy_from_slice(&data[..bytes]);
                    warp.local_written[at..at + bytes].fill(1);
                }
                _ => {
                    let text = "writes a parameter of the kernel".to_owned();
                    self.raise(place, Kind::OutOfBounds, text)?;
                }
            }
        }
        Ok(())
    }

    /// Returns whether a store changes nothing.
    #[inline(always)]
    fn same_bytes<const W: usize>(
        &self,
        warp: &Warp,
        access: &Access,
        at: u64,
        lane: usize,
    ) -> bool {
        let mask = u64::MAX >> (64 - 8 * W);
        access.registers.iter().enumerate().all(|(i, &register)| {
            self.arena.load(at + (i * W) as u64, W) == warp.lane_of(register, lane) & mask
        })
    }

    /// Returns the addresses of all lanes if they are aligned and lie in one allocation, which is
    /// nearly always so. Otherwise each lane is checked separately.
    #[inline(always)]
    fn plain_global(
        &mut self,
        warp: &Warp,
        address: &Address,
        m: u32,
        bytes: usize,
    ) -> Option<[u64; LANES]> {
        let (Space::Global | Space::Generic, Some(Slot::Wide(slot))) =
            (address.space, address.base)
        else {
            return None;
        };
        let base = &warp.r64[slot as usize].0;
        let first = base[m.trailing_zeros() as usize % LANES].wrapping_add(address.offset);
        let (start, end) = self.allocation_of(first);
        let (mut least, mut most, mut bits) = (u64::MAX, 0, 0);
        let mut addresses = [0; LANES];
        for lane in 0..LANES {
            let at = base[lane].wrapping_add(address.offset);
            addresses[lane] = at;
            // Lanes that do not take part are treated like the first that does.
            let at = if m >> lane & 1 == 1 { at } else { first };
            (least, most, bits) = (least.min(at), most.max(at), bits | at);
        }
        let inside = least >= start && most < end && bytes as u64 <= end - most;
        (inside && bits & (bytes as u64 - 1) == 0).then_some(addresses)
    }

    /// Returns whether all bytes that a load reads were written.
    #[inline(always)]
    fn all_written(&self, addresses: &[u64; LANES], m: u32, used: &[Range<usize>]) -> bool {
        !self.check_unwritten
            || lanes_of(m).all(|lane| {
                used.iter()
                    .all(|u| self.arena.is_written(addresses[lane] + u.start as u64, u.len()))
            })
    }

    /// Looks for another block that wrote the used bytes of a load.
    #[inline(always)]
    fn check_used(&self, place: Place, at: u64, access: &Access) -> Run<()> {
        for used in &access.used {
            self.check_foreign(place, at + used.start as u64, used.len(), access.strong)?;
        }
        Ok(())
    }

    pub(super) fn atomic(&mut self, warp: &mut Warp, atomic: &Atomic, m: u32, pc: u32) -> Run<()> {
        let bytes = match atomic.ty {
            AtomicType::F16 | AtomicType::Bf16 | AtomicType::B16 => 2,
            AtomicType::U64 | AtomicType::S64 | AtomicType::F64 => 8,
            _ => 4,
        };
        for place in Self::places(warp, m, pc) {
            let (space, at) =
                resolve(atomic.address.space, Self::address(warp, &atomic.address, place.lane));
            let b = warp.lane_of(atomic.b, place.lane);
            let c = atomic.c.map_or(0, |slot| warp.lane_of(slot, place.lane));
            let change = |old: u64| changed(atomic.op, atomic.ty, old, b, c);
            if change(0).is_none() {
                let text = "this atomic operation of this type is not known".to_owned();
                self.raise(place, Kind::UnknownInstruction, text)?;
            }
            let old = match space {
                Space::Global | Space::Generic => {
                    self.check_global(place, at, bytes)?;
                    if atomic.op != AtomicOp::Exchange {
                        self.check_written(place, at, bytes)?;
                    }
                    self.claim(place, at, bytes, true, || false)?;
                    let old = self.arena.update(at, bytes, |old| change(old).unwrap_or(old));
                    self.arena.mark_written(at, bytes);
                    old
                }
                Space::Shared => {
                    self.check_shared(place, at, bytes)?;
                    let at = at as usize;
                    if atomic.op != AtomicOp::Exchange {
                        self.before_read(place, at, bytes, true)?;
                    }
                    let old = element(&self.shared.bytes[at..at + bytes]);
                    let new = change(old).unwrap_or(old).to_le_bytes();
                    self.write_shared(place, at, &new[..bytes], true)?;
                    old
                }
                _ => {
                    let text = "an atomic operation on memory of a thread".to_owned();
                    self.raise(place, Kind::OutOfBounds, text)?;
                    0
                }
            };
            if let Some(slot) = atomic.result {
                warp.set_lane(slot, place.lane, old);
            }
        }
        Ok(())
    }

    pub(super) fn copy_async(
        &mut self,
        warp: &mut Warp,
        copy: &CopyAsync,
        m: u32,
        pc: u32,
    ) -> Run<()> {
        for place in Self::places(warp, m, pc) {
            let lane = place.lane;
            let to = Self::address(warp, &copy.to, lane);
            let from = Self::address(warp, &copy.from, lane);
            self.check_shared(place, to, copy.size)?;
            let mut read = copy.read.map_or(copy.size, |s| warp.r32[s as usize].0[lane] as usize);
            if read > copy.size {
                let text = format!("copies {read} bytes into {}", copy.size);
                self.raise(place, Kind::OutOfBounds, text)?;
                read = copy.size;
            }
            if copy.ignore.is_some_and(|p| warp.p[p as usize] >> lane & 1 == 1) {
                read = 0;
            }
            let mut data = [0; 16];
            if read > 0 {
                // The source must be aligned to the whole size, even if less is read.
                if !from.is_multiple_of(copy.size as u64) {
                    let text = format!("the address {from:#x} is not a multiple of {}", copy.size);
                    self.raise(place, Kind::Misaligned, text)?;
                }
                for (i, byte) in data.iter_mut().enumerate().take(read) {
                    self.check_global(place, from + i as u64, 1)?;
                    *byte = self.arena.load(from + i as u64, 1) as u8;
                }
                self.check_written(place, from, read)?;
                self.check_foreign(place, from, read, false)?;
            }
            self.begin_copy(place, to as usize, copy.size)?;
            let (to, group, size) = (to as usize, warp.committed[lane], copy.size);
            warp.pending.push(Pending { lane, group, to, data, size });
        }
        Ok(())
    }

    /// Completes the copies of all but the last `groups` groups.
    pub(super) fn copy_wait(&mut self, warp: &mut Warp, groups: u32, m: u32, pc: u32) -> Run<()> {
        self.finish(warp, pc, |warp, copy| {
            m >> copy.lane & 1 == 1 && copy.group + groups < warp.committed[copy.lane]
        })
    }

    /// Completes all copies of a lane.
    pub(super) fn finish_copies(&mut self, warp: &mut Warp, lane: usize, pc: u32) -> Run<()> {
        self.finish(warp, pc, |_, copy| copy.lane == lane)
    }

    fn finish(
        &mut self,
        warp: &mut Warp,
        pc: u32,
        done: impl Fn(&Warp, &Pending) -> bool,
    ) -> Run<()> {
        let mut pending = std::mem::take(&mut warp.pending);
        let mut result = Ok(());
        pending.retain(|copy| {
            let done = done(warp, copy);
            if done && result.is_ok() {
                let place = Place { warp: warp.index, lane: copy.lane, pc };
                result = self.write_shared(place, copy.to, &copy.data[..copy.size], false);
            }
            !done
        });
        warp.pending = pending;
        result
    }
}

/// Returns the new value of an atomic operation; `None` if the operation is not defined for the
/// type.
fn changed(op: AtomicOp, ty: AtomicType, old: u64, b: u64, c: u64) -> Option<u64> {
    use AtomicOp::*;
    use AtomicType::*;
    let (old32, b32) = (old as u32, b as u32);
    Some(match (op, ty) {
        (Exchange, _) => b,
        (CompareExchange, U64) => {
            if old == b {
                c
            } else {
                old
            }
        }
        (CompareExchange, B16) => {
            if old as u16 == b as u16 {
                c
            } else {
                old
            }
        }
        (CompareExchange, U32) => u64::from(if old32 == b32 { c as u32 } else { old32 }),
        (Add, U32 | S32) => old32.wrapping_add(b32).into(),
        (Add, U64 | S64) => old.wrapping_add(b),
        (Add, F32) => (f32::from_bits(old32) + f32::from_bits(b32)).to_bits().into(),
        (Add, F64) => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        (Add, F16 | Bf16) => half_add(old32, b32, ty == Bf16).into(),
        (Add, F16x2 | Bf16x2) => {
            let bf16 = ty == Bf16x2;
            let high = half_add(old32 >> 16, b32 >> 16, bf16);
            u64::from(half_add(old32, b32, bf16) | high << 16)
        }
        (Min, U32) => old32.min(b32).into(),
        (Max, U32) => old32.max(b32).into(),
        (Min, S32) => ((old32 as i32).min(b32 as i32) as u32).into(),
        (Max, S32) => ((old32 as i32).max(b32 as i32) as u32).into(),
        (Min, U64) => old.min(b),
        (Max, U64) => old.max(b),
        (Min, S64) => (old as i64).min(b as i64) as u64,
        (Max, S64) => (old as i64).max(b as i64) as u64,
        (And, U32 | U64) => old & b,
        (Or, U32 | U64) => old | b,
        (Xor, U32 | U64) => old ^ b,
        (Increment, U32) => u64::from(if old32 >= b32 { 0 } else { old32 + 1 }),
        (Decrement, U32) => u64::from(if old32 == 0 || old32 > b32 { b32 } else { old32 - 1 }),
        _ => return None,
    })
}
