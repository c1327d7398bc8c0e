//! Loads, stores, atomic operations, asynchronous copies and matrices in memory.

use super::env::{Env, Place, Run};
use super::lanes::{FULL, LANES, V32, lanes_of};
use super::matrix::{LoadMatrix, WmmaAccess};
use super::op::*;
use super::rare::half_add;
use super::warp::{Pending, Warp};
use crate::check::Kind;
use crate::device::{BASE, LOCAL_WINDOW, PARAM_WINDOW, POISON, SHARED_WINDOW, WINDOW};

/// Gives the memory that an address means, and the address within it.
#[inline(always)]
fn resolve(space: Space, at: u64) -> (Space, u64) {
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

fn element(bytes: &[u8]) -> u64 {
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
            && self.all_written(&addresses, m, bytes)
        {
            if self.toucher.is_some() {
                for place in Self::places(warp, m, pc) {
                    self.check_foreign(place, addresses[place.lane], bytes, access.strong)?;
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
                    self.check_foreign(place, at, bytes, access.strong)?;
                    if self.check_written(place, at, bytes)? {
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
                    self.before_read(place, at, bytes, access.strong)?;
                    for (i, &register) in access.registers.iter().enumerate() {
                        let value = element(&self.shared.bytes[at + i * W..at + (i + 1) * W]);
                        warp.set_lane(register, place.lane, extended(value, W, access.signed));
                    }
                }
                Space::Local => {
                    let at = self.check_local(place, at, bytes)?;
                    if self.check_unwritten && warp.local_written[at..at + bytes].contains(&0) {
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

    /// Whether a store changes nothing.
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

    /// The addresses of all lanes if they lie, aligned, in one allocation: nearly always. Otherwise every lane is looked at by itself.
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
            // Lanes that do not take part count as the first that does.
            let at = if m >> lane & 1 == 1 { at } else { first };
            (least, most, bits) = (least.min(at), most.max(at), bits | at);
        }
        let inside = least >= start && most < end && bytes as u64 <= end - most;
        (inside && bits & (bytes as u64 - 1) == 0).then_some(addresses)
    }

    /// Whether all bytes were written that a load reads.
    #[inline(always)]
    fn all_written(&self, addresses: &[u64; LANES], m: u32, bytes: usize) -> bool {
        !self.check_unwritten
            || lanes_of(m).all(|lane| self.arena.is_written(addresses[lane], bytes))
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
                // The source must be aligned to the whole size even if less is read.
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

    /// Lets the copies of all but the last `groups` groups arrive.
    pub(super) fn copy_wait(&mut self, warp: &mut Warp, groups: u32, m: u32, pc: u32) -> Run<()> {
        let mut pending = std::mem::take(&mut warp.pending);
        let mut result = Ok(());
        pending.retain(|copy| {
            let done = m >> copy.lane & 1 == 1 && copy.group + groups < warp.committed[copy.lane];
            if done && result.is_ok() {
                let place = Place { warp: warp.index, lane: copy.lane, pc };
                result = self.write_shared(place, copy.to, &copy.data[..copy.size], false);
            }
            !done
        });
        warp.pending = pending;
        result
    }

    /// The addresses of the 8 rows of a matrix, each given by a lane.
    fn rows(&mut self, warp: &Warp, load: &LoadMatrix, matrix: usize, pc: u32) -> Run<[usize; 8]> {
        let mut rows = [0; 8];
        for (row, to) in rows.iter_mut().enumerate() {
            let place = Place { warp: warp.index, lane: 8 * matrix + row, pc };
            let at = Self::address(warp, &load.address, place.lane);
            let (space, at) = resolve(load.address.space, at);
            if space != Space::Shared {
                let text = format!("the address {at:#x} is not in shared memory");
                self.raise(place, Kind::OutOfBounds, text)?;
            }
            self.check_shared(place, at, 16)?;
            *to = at as usize;
        }
        Ok(rows)
    }

    pub(super) fn load_matrix(&mut self, warp: &mut Warp, load: &LoadMatrix, pc: u32) -> Run<()> {
        for (matrix, &register) in load.registers.iter().enumerate() {
            let rows = self.rows(warp, load, matrix, pc)?;
            for (row, &at) in rows.iter().enumerate() {
                let place = Place { warp: warp.index, lane: 8 * matrix + row, pc };
                self.before_read(place, at, 16, false)?;
            }
            let bytes = &self.shared.bytes;
            let half = |row: usize, column: usize| {
                let at = rows[row] + 2 * column;
                u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
            };
            let value = V32::from_fn(|lane| {
                let (a, b) = (lane / 4, lane % 4 * 2);
                match load.transposed {
                    false => half(a, b) | half(a, b + 1) << 16,
                    true => half(b, a) | half(b + 1, a) << 16,
                }
            });
            warp.set32(register, &value, FULL);
        }
        Ok(())
    }

    pub(super) fn store_matrix(&mut self, warp: &mut Warp, load: &LoadMatrix, pc: u32) -> Run<()> {
        for (matrix, &register) in load.registers.iter().enumerate() {
            let rows = self.rows(warp, load, matrix, pc)?;
            let value = warp.r32[register as usize];
            let mut halves = [[0u16; 8]; 8];
            for lane in 0..LANES {
                let (a, b) = (lane / 4, lane % 4 * 2);
                for h in 0..2 {
                    let bits = (value.0[lane] >> (16 * h)) as u16;
                    match load.transposed {
                        false => halves[a][b + h] = bits,
                        true => halves[b + h][a] = bits,
                    }
                }
            }
            for (row, &at) in rows.iter().enumerate() {
                let place = Place { warp: warp.index, lane: 8 * matrix + row, pc };
                let mut data = [0; 16];
                for (to, half) in data.chunks_mut(2).zip(halves[row]) {
                    to.copy_from_slice(&half.to_le_bytes());
                }
                self.write_shared(place, at, &data, false)?;
            }
        }
        Ok(())
    }

    /// Checks and gives the address and the stride, which all lanes give alike.
    fn wmma_address(&self, warp: &Warp, access: &WmmaAccess, pc: u32) -> Run<(Space, u64, usize)> {
        let place = Place { warp: warp.index, lane: 0, pc };
        let stride = match access.stride {
            Some(slot) => warp.r32[slot as usize].0[0] as usize,
            None => access.natural_stride(),
        };
        let at = Self::address(warp, &access.address, 0);
        for lane in 1..LANES {
            if Self::address(warp, &access.address, lane) != at {
                let text = "threads of a warp give different addresses of a matrix".to_owned();
                self.raise(place, Kind::WarpMask, text)?;
            }
        }
        if at % 16 != 0 || !(stride * access.element.bytes()).is_multiple_of(16) {
            let text = format!(
                "a matrix at {at:#x} with {stride} elements from row to row is not aligned to 16 bytes"
            );
            self.raise(place, Kind::Misaligned, text)?;
        }
        let (space, at) = resolve(access.address.space, at);
        Ok((space, at, stride))
    }

    pub(super) fn wmma_load(&mut self, warp: &mut Warp, access: &WmmaAccess, pc: u32) -> Run<()> {
        let (space, base, stride) = self.wmma_address(warp, access, pc)?;
        let width = access.element.bytes();
        let mut values = [V32::splat(0); 8];
        let mut used = 0;
        for (offset, register, shift, lane) in access.elements(stride) {
            let at = base + (offset * width) as u64;
            let place = Place { warp: warp.index, lane, pc };
            let bits = match space {
                Space::Shared => {
                    self.check_shared(place, at, width)?;
                    self.before_read(place, at as usize, width, false)?;
                    element(&self.shared.bytes[at as usize..at as usize + width])
                }
                _ => {
                    self.check_global(place, at, width)?;
                    self.check_written(place, at, width)?;
                    self.check_foreign(place, at, width, false)?;
                    self.arena.load(at, width)
                }
            };
            values[register].0[lane] |= (bits as u32) << shift;
            used = used.max(register + 1);
        }
        // A fragment of f16 holds everything twice.
        for (i, &slot) in access.registers.iter().enumerate() {
            warp.set32(slot, &values[i % used], FULL);
        }
        Ok(())
    }

    pub(super) fn wmma_store(&mut self, warp: &mut Warp, access: &WmmaAccess, pc: u32) -> Run<()> {
        let (space, base, stride) = self.wmma_address(warp, access, pc)?;
        let width = access.element.bytes();
        for (offset, register, shift, lane) in access.elements(stride) {
            let at = base + (offset * width) as u64;
            let place = Place { warp: warp.index, lane, pc };
            let slot = access.registers[register];
            let bits = warp.r32[slot as usize].0[lane] >> shift;
            match space {
                Space::Shared => {
                    self.check_shared(place, at, width)?;
                    self.write_shared(place, at as usize, &bits.to_le_bytes()[..width], false)?;
                }
                _ => {
                    self.check_global(place, at, width)?;
                    let mask = u64::MAX >> (64 - 8 * width);
                    let same = || self.arena.load(at, width) == u64::from(bits) & mask;
                    self.claim(place, at, width, false, same)?;
                    self.arena.store(at, width, bits.into());
                    self.arena.mark_written(at, width);
                }
            }
        }
        Ok(())
    }
}

/// The new value of an atomic operation; `None` if the operation is not defined for the type.
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
