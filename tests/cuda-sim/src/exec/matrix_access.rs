//! Matrices in memory: `ldmatrix`, `stmatrix`, and `wmma`'s loads and stores.

use super::access::{element, resolve};
use super::env::{Env, Place, Run};
use super::lanes::{FULL, LANES, V32};
use super::matrix::{LoadMatrix, WmmaAccess};
use super::op::Space;
use super::warp::Warp;
use crate::check::Kind;

impl Env<'_> {
    /// Returns the addresses of the 8 rows of a matrix, each provided by a lane.
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
            let mut halves = [[0u16; 8]; 8];
            for (to, &at) in halves.iter_mut().zip(&rows) {
                let row = &self.shared.bytes[at..at + 16];
                for (half, pair) in to.iter_mut().zip(row.chunks_exact(2)) {
                    *half = u16::from_le_bytes([pair[0], pair[1]]);
                }
            }
            if load.transposed {
                let rows = halves;
                for (i, row) in halves.iter_mut().enumerate() {
                    *row = rows.map(|other| other[i]);
                }
            }
            let mut value = V32::splat(0);
            for (four, row) in value.0.chunks_exact_mut(4).zip(&halves) {
                for (to, pair) in four.iter_mut().zip(row.chunks_exact(2)) {
                    *to = u32::from(pair[0]) | u32::from(pair[1]) << 16;
                }
            }
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

    /// Checks and returns the address and the stride, which must be the same in all lanes.
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

    /// Reads 16 bytes of a matrix.
    fn wmma_read(&mut self, place: Place, space: Space, at: u64, to: &mut [u8]) -> Run<()> {
        if space == Space::Shared {
            self.check_shared(place, at, 16)?;
            self.before_read(place, at as usize, 16, false)?;
            to.copy_from_slice(&self.shared.bytes[at as usize..at as usize + 16]);
            return Ok(());
        }
        self.check_global(place, at, 16)?;
        self.check_foreign(place, at, 16, false)?;
        if self.check_written(place, at, 16)? {
            to[..8].copy_from_slice(&self.arena.load(at, 8).to_le_bytes());
            to[8..].copy_from_slice(&self.arena.load(at + 8, 8).to_le_bytes());
        } else {
            to.fill(crate::device::POISON);
        }
        Ok(())
    }

    pub(super) fn wmma_load(&mut self, warp: &mut Warp, access: &WmmaAccess, pc: u32) -> Run<()> {
        let (space, base, stride) = self.wmma_address(warp, access, pc)?;
        let width = access.element.bytes();
        let mut values = [V32::splat(0); 8];
        let mut used = 0;
        let (lines, length) = access.lines();
        for line in 0..lines {
            let start = base + (line * stride * width) as u64;
            let mut bytes = [0; 128];
            // 16 bytes at a time: the starts and lengths of lines are multiples of that.
            for (chunk, to) in bytes[..length * width].chunks_exact_mut(16).enumerate() {
                let at = start + 16 * chunk as u64;
                let (_, _, lane) = access.kept(line, 16 / width * chunk);
                self.wmma_read(Place { warp: warp.index, lane, pc }, space, at, to)?;
            }
            for at in 0..length {
                let (register, shift, lane) = access.kept(line, at);
                let bits = element(&bytes[at * width..(at + 1) * width]) as u32;
                values[register].0[lane] |= bits << shift;
                used = used.max(register + 1);
            }
        }
        // A fragment of f16 stores everything twice.
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
