//! Host memory that stands for the device's: one range for the data and one, as large, whose bytes say which data were written.
//!
//! The address space is reserved at once and never given out twice, so that a freed allocation stays recognisable. Pages take room only when they are touched.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// First address of the device's memory.
pub const BASE: u64 = 0x10_0000_0000;
/// Where shared memory stands among generic addresses.
pub const SHARED_WINDOW: u64 = 0x1_0000_0000;
/// Where a thread's memory stands among generic addresses.
pub const LOCAL_WINDOW: u64 = 0x2_0000_0000;
/// Where the kernel's parameters stand among generic addresses.
pub const PARAM_WINDOW: u64 = 0x3_0000_0000;
/// Size of a window.
pub const WINDOW: u64 = 0x1_0000_0000;

/// What a byte that was never written reads as.
pub const POISON: u8 = 0xEE;

/// The two ranges.
#[derive(Debug)]
pub struct Arena {
    data: NonNull<u8>,
    written: NonNull<u8>,
    size: usize,
}

// SAFETY: the ranges live as long as the arena, and every access to them goes through atomics or through the host's copies, which CUDA leaves to the caller to order.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

fn reserve(size: usize) -> Option<NonNull<u8>> {
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
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
        let data = reserve(size)?;
        let Some(written) = reserve(size) else {
            // SAFETY: `data` was mapped above with this size and nothing else knows it.
            unsafe { libc::munmap(data.as_ptr().cast(), size) };
            return None;
        };
        Some(Self { data, written, size })
    }

    /// Size of the address space.
    pub fn size(&self) -> usize {
        self.size
    }

    #[inline(always)]
    fn offset(&self, address: u64, bytes: usize) -> usize {
        let offset = address.wrapping_sub(BASE) as usize;
        assert!(offset < self.size && bytes <= self.size - offset, "address outside the arena");
        offset
    }

    /// The host's address of a range, for copies.
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
        // SAFETY: the range lies within the mapping. Another thread may mark the same bytes: it then writes the same value or the program has a race of its own.
        unsafe { ptr::write_bytes(self.shadow(address, bytes), u8::from(written), bytes) };
    }

    /// Marks a small range of 1, 2, 4, 8 or 16 bytes as written; called for every store of a kernel.
    #[inline]
    pub fn mark_written(&self, address: u64, bytes: usize) {
        let at = self.shadow(address, bytes);
        // SAFETY: the range lies within the mapping and is aligned to its size, which the caller has checked.
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

    /// Whether all bytes of a range were written.
    #[inline]
    pub fn is_written(&self, address: u64, bytes: usize) -> bool {
        let at = self.shadow(address, bytes);
        // SAFETY: the range lies within the mapping; unaligned reads need no alignment.
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

    /// The first byte of a range that was not written, as an offset.
    pub fn first_unwritten(&self, address: u64, bytes: usize) -> Option<usize> {
        // SAFETY: the range lies within the mapping, and a host's copy is not concurrent with kernels.
        let marks = unsafe { std::slice::from_raw_parts(self.shadow(address, bytes), bytes) };
        let chunk = 64 * marks.chunks_exact(64).take_while(|c| c.iter().all(|&m| m == 1)).count();
        marks[chunk..].iter().position(|&m| m != 1).map(|i| chunk + i)
    }

    /// Copies the marks of a range to another one.
    pub fn copy_marks(&self, to: u64, from: u64, bytes: usize) {
        // SAFETY: both ranges lie within the mapping; they may overlap.
        unsafe { ptr::copy(self.shadow(from, bytes), self.shadow(to, bytes), bytes) };
    }

    /// Reads an element of 1, 2, 4 or 8 bytes, whose alignment the caller has checked.
    #[inline]
    pub fn load(&self, address: u64, bytes: usize) -> u64 {
        let at = self.host(address, bytes);
        // SAFETY: within the mapping, aligned, and only touched by atomics while kernels run.
        unsafe {
            match bytes {
                1 => u64::from(AtomicU8::from_ptr(at).load(Ordering::Relaxed)),
                2 => u64::from(AtomicU16::from_ptr(at.cast()).load(Ordering::Relaxed)),
                4 => u64::from(AtomicU32::from_ptr(at.cast()).load(Ordering::Relaxed)),
                _ => AtomicU64::from_ptr(at.cast()).load(Ordering::Relaxed),
            }
        }
    }

    /// Writes an element of 1, 2, 4 or 8 bytes, whose alignment the caller has checked.
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

    /// Replaces an element of 2, 4 or 8 bytes by a function of itself, atomically, and returns what it was.
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

    /// Gives the pages of a range back; they read as never written.
    pub fn discard(&self, address: u64, bytes: usize) {
        for at in [self.host(address, bytes), self.shadow(address, bytes)] {
            // SAFETY: the range lies within a mapping of this arena and begins at a page.
            unsafe { libc::madvise(at.cast(), bytes, libc::MADV_DONTNEED) };
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for at in [self.data, self.written] {
            // SAFETY: mapped in `new` with this size, and nothing borrows from it any more.
            unsafe { libc::munmap(at.as_ptr().cast(), self.size) };
        }
    }
}
