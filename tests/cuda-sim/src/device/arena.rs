//! Host memory that represents the device's memory: one range for the data; one of the same size
//! whose bytes record which data were written; and one with a word for every four bytes that
//! records which block wrote them last.
//!
//! The address space is reserved at once and never reused, so that a freed allocation remains
//! recognisable. Pages occupy memory only once they are touched.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// First address of the device's memory.
pub const BASE: u64 = 0x10_0000_0000;
/// First generic address of shared memory.
pub const SHARED_WINDOW: u64 = 0x1_0000_0000;
/// First generic address of a thread's local memory.
pub const LOCAL_WINDOW: u64 = 0x2_0000_0000;
/// First generic address of the kernel's parameters.
pub const PARAM_WINDOW: u64 = 0x3_0000_0000;
/// Size of a window.
pub const WINDOW: u64 = 0x1_0000_0000;

/// The value that a never-written byte reads as.
pub const POISON: u8 = 0xEE;

/// The memory ranges.
#[derive(Debug)]
pub struct Arena {
    data: NonNull<u8>,
    written: NonNull<u8>,
    writers: NonNull<u8>,
    size: usize,
}

/// A block of a launch that accesses memory.
#[derive(Debug, Clone, Copy)]
pub struct Toucher {
    /// Number of the launch.
    pub launch: u32,
    /// Number of the block within the launch.
    pub block: u32,
    /// An atomic or volatile access: two such accesses do not race.
    pub strong: bool,
}

/// The last writer of four bytes: launch (26 bits), block (32), bytes of the four (4), several
/// blocks (1), strong (1).
#[derive(Debug, Clone, Copy)]
struct Writer(u64);

impl Writer {
    fn new(by: Toucher, bytes: u64, several: bool) -> Self {
        let flags = bytes << 2 | u64::from(several) << 1 | u64::from(by.strong);
        Self(u64::from(by.launch & 0x3ff_ffff) << 38 | u64::from(by.block) << 6 | flags)
    }

    fn bytes(self) -> u64 {
        self.0 >> 2 & 0xf
    }

    fn block(self) -> u32 {
        (self.0 >> 6) as u32
    }

    /// Returns whether the writer belongs to the same launch.
    fn current(self, by: Toucher) -> bool {
        self.0 >> 38 == u64::from(by.launch & 0x3ff_ffff) && self.bytes() != 0
    }

    /// Returns the writer's block if it is another block of the same launch that wrote these bytes
    /// without synchronisation. After several blocks have written, the writer of each byte is
    /// unknown, so this is not reported.
    fn conflict(self, by: Toucher, bytes: u64) -> Option<u32> {
        let both_strong = self.0 & 1 == 1 && by.strong;
        let other = self.current(by) && self.block() != by.block && self.bytes() & bytes != 0;
        (other && self.0 >> 1 & 1 == 0 && !both_strong).then_some(self.block())
    }
}

/// Returns, for each aligned group of four bytes that a range touches, the group's number and a
/// mask of the bytes.
fn quads(offset: usize, bytes: usize) -> impl Iterator<Item = (usize, u64)> {
    let end = offset + bytes;
    (offset / 4..end.div_ceil(4)).map(move |quad| {
        let from = offset.saturating_sub(4 * quad).min(4);
        let to = (end - 4 * quad).min(4);
        (quad, (1 << to) - (1 << from))
    })
}

// SAFETY: the ranges live as long as the arena. Every access to them goes through atomics or
// through the host's copies, which CUDA requires the caller to order.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

fn reserve(size: usize) -> Option<NonNull<u8>> {
    // SAFETY: a new anonymous mapping at an address that the kernel chooses affects nothing that
    // exists.
    let at = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED { None } else { NonNull::new(at.cast()) }
}

impl Arena {
    /// Reserves address space of this size.
    pub fn new(size: usize) -> Option<Self> {
        let mut ranges: Vec<NonNull<u8>> = Vec::new();
        for bytes in [size, size, 2 * size] {
            let Some(range) = reserve(bytes) else {
                for (&range, bytes) in ranges.iter().zip([size, size]) {
                    // SAFETY: mapped just now with this size, and not shared with anything else.
                    unsafe { libc::munmap(range.as_ptr().cast(), bytes) };
                }
                return None;
            };
            ranges.push(range);
        }
        let [data, written, writers] = ranges[..] else { return None };
        Some(Self { data, written, writers, size })
    }

    /// Returns the size of the address space.
    pub fn size(&self) -> usize {
        self.size
    }

    #[inline(always)]
    fn offset(&self, address: u64, bytes: usize) -> usize {
        let offset = address.wrapping_sub(BASE) as usize;
        assert!(offset < self.size && bytes <= self.size - offset, "address outside the arena");
        offset
    }

    /// Returns the host's address of a range, for copies.
    #[inline(always)]
    pub fn host(&self, address: u64, bytes: usize) -> *mut u8 {
        // SAFETY: `offset` has checked that the range lies within the mapping.
        unsafe { self.data.as_ptr().add(self.offset(address, bytes)) }
    }

    #[inline(always)]
    fn shadow(&self, address: u64, bytes: usize) -> *mut u8 {
        // SAFETY: as in `host`; the second mapping has the same size.
        unsafe { self.written.as_ptr().add(self.offset(address, bytes)) }
    }

    /// Marks a range as written or not.
    pub fn mark(&self, address: u64, bytes: usize, written: bool) {
        // SAFETY: the range lies within the mapping. If another thread marks the same bytes, it
        // writes the same value, or the program itself has a race.
        unsafe { ptr::write_bytes(self.shadow(address, bytes), u8::from(written), bytes) };
    }

    /// Marks a small range of 1, 2, 4, 8 or 16 bytes as written; called for every store of a
    /// kernel.
    #[inline]
    pub fn mark_written(&self, address: u64, bytes: usize) {
        let at = self.shadow(address, bytes);
        // SAFETY: the range lies within the mapping and is aligned to its size; the caller has
        // checked both.
        unsafe {
            match bytes {
                1 => AtomicU8::from_ptr(at).store(1, Ordering::Relaxed),
                2 => AtomicU16::from_ptr(at.cast()).store(0x101, Ordering::Relaxed),
                4 => AtomicU32::from_ptr(at.cast()).store(0x101_0101, Ordering::Relaxed),
                _ => {
                    for part in 0..bytes / 8 {
                        AtomicU64::from_ptr(at.cast::<u64>().add(part))
                            .store(0x101_0101_0101_0101, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn writer(&self, quad: usize) -> &AtomicU64 {
        // SAFETY: there is a word for every four bytes, and the callers' ranges lie within the
        // arena.
        unsafe { AtomicU64::from_ptr(self.writers.as_ptr().cast::<u64>().add(quad)) }
    }

    /// Records that a block writes a range. Returns another block of the launch that wrote there
    /// before.
    #[inline(always)]
    pub fn claim(&self, address: u64, bytes: usize, by: Toucher) -> Option<u32> {
        let offset = self.offset(address, bytes);
        let mut other = None;
        // Nearly always whole words.
        if (offset | bytes) & 3 == 0 {
            let mine = Writer::new(by, 0xf, false);
            for quad in offset / 4..(offset + bytes) / 4 {
                let cell = self.writer(quad);
                let before = Writer(cell.load(Ordering::Relaxed));
                if before.0 != mine.0 {
                    other = other.or(before.conflict(by, 0xf));
                    cell.store(mine.0, Ordering::Relaxed);
                }
            }
            return other;
        }
        for (quad, mask) in quads(offset, bytes) {
            let cell = self.writer(quad);
            let before = Writer(cell.load(Ordering::Relaxed));
            let (mut written, mut several) = (mask, false);
            if before.current(by) {
                other = other.or(before.conflict(by, mask));
                written |= before.bytes();
                several = before.block() != by.block && before.bytes() & !mask != 0;
            }
            cell.store(Writer::new(by, written, several).0, Ordering::Relaxed);
        }
        other
    }

    /// Returns another block of the launch that wrote into a range.
    #[inline(always)]
    pub fn foreign(&self, address: u64, bytes: usize, by: Toucher) -> Option<u32> {
        let offset = self.offset(address, bytes);
        if (offset | bytes) & 3 == 0 {
            return (offset / 4..(offset + bytes) / 4)
                .find_map(|q| Writer(self.writer(q).load(Ordering::Relaxed)).conflict(by, 0xf));
        }
        quads(offset, bytes).find_map(|(quad, mask)| {
            Writer(self.writer(quad).load(Ordering::Relaxed)).conflict(by, mask)
        })
    }

    /// Returns whether all bytes of a range were written.
    #[inline]
    pub fn is_written(&self, address: u64, bytes: usize) -> bool {
        let at = self.shadow(address, bytes);
        // SAFETY: the range lies within the mapping, and unaligned reads require no alignment.
        unsafe {
            match bytes {
                4 => at.cast::<u32>().read_unaligned() == 0x101_0101,
                8 => at.cast::<u64>().read_unaligned() == 0x101_0101_0101_0101,
                16 => at.cast::<u128>().read_unaligned() == u128::MAX / 0xff,
                2 => at.cast::<u16>().read_unaligned() == 0x101,
                _ => (0..bytes).all(|i| at.add(i).read() == 1),
            }
        }
    }

    /// Returns the offset of the first byte of a range that was never written.
    pub fn first_unwritten(&self, address: u64, bytes: usize) -> Option<usize> {
        // SAFETY: the range lies within the mapping, and a host's copy is not concurrent with
        // kernels.
        let marks = unsafe { std::slice::from_raw_parts(self.shadow(address, bytes), bytes) };
        let chunk = 64 * marks.chunks_exact(64).take_while(|c| c.iter().all(|&m| m == 1)).count();
        marks[chunk..].iter().position(|&m| m != 1).map(|i| chunk + i)
    }

    /// Copies the written marks of one range to another.
    pub fn copy_marks(&self, to: u64, from: u64, bytes: usize) {
        // SAFETY: both ranges lie within the mapping; they may overlap.
        unsafe { ptr::copy(self.shadow(from, bytes), self.shadow(to, bytes), bytes) };
    }

    /// Reads an element of 1, 2, 4 or 8 bytes. The caller has checked its alignment.
    #[inline]
    pub fn load(&self, address: u64, bytes: usize) -> u64 {
        let at = self.host(address, bytes);
        // SAFETY: the element lies within the mapping, is aligned, and is only accessed by atomics
        // while kernels run.
        unsafe {
            match bytes {
                1 => u64::from(AtomicU8::from_ptr(at).load(Ordering::Relaxed)),
                2 => u64::from(AtomicU16::from_ptr(at.cast()).load(Ordering::Relaxed)),
                4 => u64::from(AtomicU32::from_ptr(at.cast()).load(Ordering::Relaxed)),
                _ => AtomicU64::from_ptr(at.cast()).load(Ordering::Relaxed),
            }
        }
    }

    /// Writes an element of 1, 2, 4 or 8 bytes. The caller has checked its alignment.
    #[inline]
    pub fn store(&self, address: u64, bytes: usize, value: u64) {
        let at = self.host(address, bytes);
        // SAFETY: as in `load`.
        unsafe {
            match bytes {
                1 => AtomicU8::from_ptr(at).store(value as u8, Ordering::Relaxed),
                2 => AtomicU16::from_ptr(at.cast()).store(value as u16, Ordering::Relaxed),
                4 => AtomicU32::from_ptr(at.cast()).store(value as u32, Ordering::Relaxed),
                _ => AtomicU64::from_ptr(at.cast()).store(value, Ordering::Relaxed),
            }
        }
    }

    /// Atomically replaces an element of 2, 4 or 8 bytes by a function of itself, and returns the
    /// previous value.
    pub fn update(&self, address: u64, bytes: usize, change: impl Fn(u64) -> u64) -> u64 {
        let at = self.host(address, bytes);
        let all = Ordering::SeqCst;
        // SAFETY: as in `load`.
        unsafe {
            match bytes {
                2 => AtomicU16::from_ptr(at.cast())
                    .fetch_update(all, all, |v| Some(change(v.into()) as u16))
                    .map_or(0, u64::from),
                4 => AtomicU32::from_ptr(at.cast())
                    .fetch_update(all, all, |v| Some(change(v.into()) as u32))
                    .map_or(0, u64::from),
                _ => AtomicU64::from_ptr(at.cast())
                    .fetch_update(all, all, |v| Some(change(v)))
                    .unwrap_or(0),
            }
        }
    }

    /// Releases the pages of a range, which then counts as never written.
    pub fn discard(&self, address: u64, bytes: usize) {
        for at in [self.host(address, bytes), self.shadow(address, bytes)] {
            // SAFETY: the range lies within a mapping of this arena and begins at a page.
            unsafe { libc::madvise(at.cast(), bytes, libc::MADV_DONTNEED) };
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let ranges = [(self.data, 1), (self.written, 1), (self.writers, 2)];
        for (at, times) in ranges {
            // SAFETY: mapped in `new` with this size, and no borrow of it remains.
            unsafe { libc::munmap(at.as_ptr().cast(), times * self.size) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quads_cover_their_bytes() {
        let list = |offset, bytes| quads(offset, bytes).collect::<Vec<_>>();
        assert_eq!(list(4, 4), [(1, 0b1111)]);
        assert_eq!(list(6, 1), [(1, 0b0100)]);
        assert_eq!(list(2, 4), [(0, 0b1100), (1, 0b0011)]);
        assert_eq!(list(8, 16).len(), 4);
    }

    #[test]
    fn blocks_of_one_launch_conflict() {
        let arena = Arena::new(1 << 20).unwrap();
        let by = |launch, block, strong| Toucher { launch, block, strong };
        assert_eq!(arena.claim(BASE, 4, by(1, 0, false)), None);
        assert_eq!(arena.claim(BASE, 4, by(1, 7, false)), Some(0));
        assert_eq!(arena.foreign(BASE, 4, by(1, 0, false)), Some(7));
        assert_eq!(arena.foreign(BASE, 4, by(2, 0, false)), None);
        // Two halves of four bytes.
        assert_eq!(arena.claim(BASE + 8, 2, by(1, 0, false)), None);
        assert_eq!(arena.claim(BASE + 10, 2, by(1, 1, false)), None);
        // Atomic operations.
        assert_eq!(arena.claim(BASE + 16, 4, by(1, 0, true)), None);
        assert_eq!(arena.claim(BASE + 16, 4, by(1, 1, true)), None);
        assert_eq!(arena.foreign(BASE + 16, 4, by(1, 0, false)), Some(1));
    }
}
