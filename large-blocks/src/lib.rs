//! A global allocator for programs that compute with tensors: the system's allocator with a free list
//! for large blocks.
//!
//! A frame creates and drops hundreds of tensors of several megabytes each. The system's allocators
//! return such blocks at once and request them again, page by page and zeroed, which took a sixth
//! of the time per frame. Here a freed block is kept for the next request of its size; a network
//! uses few different sizes. The free list is bounded, so that the process holds the memory of the
//! largest step plus at most 64 MB.
//!
//! ```
//! use sam2_large_blocks::LargeBlocks;
//!
//! #[global_allocator]
//! static ALLOCATOR: LargeBlocks = LargeBlocks::new();
//!
//! fn main() {
//!     let pixels = vec![0_u8; 4 << 20];
//!     drop(pixels);
//!     // The same block, cleared, without a call to the system.
//!     let pixels = vec![0_u8; 4 << 20];
//!     assert!(pixels.iter().all(|&pixel| pixel == 0));
//! }
//! ```
//!
//! Only a program can choose its allocator; a library leaves that to the programs that use it. It
//! helps on the CPU; the memory of GPUs is not allocated here.
//!
//! `benches/RESULTS.md` compares it with jemalloc and mimalloc. jemalloc is as fast if it may keep
//! everything, which takes half as much memory again.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Minimum size of a large block, in bytes. Smaller blocks go to the system, which keeps those
/// itself.
const LARGE: usize = 1 << 20;
/// Maximum total size of the free list, in bytes.
const MOST_KEPT: usize = 64 << 20;
/// Maximum number of blocks in the free list.
const MOST_BLOCKS: usize = 64;
/// Sizes are rounded up to one of this many steps between two powers of two, so that blocks can be
/// reused.
const STEPS: usize = 8;

/// System allocator with a free list for large blocks, for use as `#[global_allocator]`; see the
/// [crate's documentation](crate).
///
/// Blocks of at least 1 MB are rounded up by at most an eighth. Freed ones are kept, up to 64 blocks
/// and 64 MB together, and the oldest is returned to the system first. It never blocks: if another
/// thread is using the free list, the system serves the request.
pub struct LargeBlocks {
    busy: AtomicBool,
    kept: UnsafeCell<Kept>,
}

impl std::fmt::Debug for LargeBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeBlocks").finish_non_exhaustive()
    }
}

impl Default for LargeBlocks {
    fn default() -> Self {
        Self::new()
    }
}

/// The free list, oldest block first.
struct Kept {
    blocks: [Block; MOST_BLOCKS],
    count: usize,
    bytes: usize,
}

#[derive(Clone, Copy)]
struct Block {
    address: *mut u8,
    layout: Layout,
}

// SAFETY: the free list is accessed only by the thread that has set `busy`.
unsafe impl Sync for LargeBlocks {}

impl LargeBlocks {
    /// Creates an allocator with an empty free list.
    pub const fn new() -> Self {
        let none = Block { address: ptr::null_mut(), layout: Layout::new::<u8>() };
        let kept = Kept { blocks: [none; MOST_BLOCKS], count: 0, bytes: 0 };
        Self { busy: AtomicBool::new(false), kept: UnsafeCell::new(kept) }
    }

    /// Runs `work` on the free list. Returns `None` without blocking if another thread holds it.
    fn with_kept<R>(&self, work: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: this thread has set `busy`, and `work` cannot call back into this allocator: it
        // only moves blocks.
        let done = work(unsafe { &mut *self.kept.get() });
        self.busy.store(false, Ordering::Release);
        Some(done)
    }

    /// Takes a block of this layout from the free list.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        self.with_kept(|kept| kept.take(layout)).flatten()
    }

    /// Adds a block to the free list. If the list is full, the oldest blocks go back to the system.
    ///
    /// # Safety
    /// The system allocated the block with this layout, and nothing uses it any more.
    unsafe fn keep(&self, block: Block) {
        if block.layout.size() > MOST_KEPT {
            // SAFETY: guaranteed by the caller.
            return unsafe { System.dealloc(block.address, block.layout) };
        }
        let mut left = Some(block);
        while let Some(oldest) = self.with_kept(|kept| kept.make_room_or_put(&mut left)).flatten() {
            // SAFETY: a block in the free list is not in use, and it came from the system with its
            // layout.
            unsafe { System.dealloc(oldest.address, oldest.layout) };
        }
        if let Some(block) = left {
            // SAFETY: guaranteed by the caller.
            unsafe { System.dealloc(block.address, block.layout) };
        }
    }
}

impl Kept {
    /// Takes the most recent block of this layout: recently written memory may still be in a CPU
    /// cache.
    fn take(&mut self, layout: Layout) -> Option<*mut u8> {
        let at = self.blocks[..self.count].iter().rposition(|block| block.layout == layout)?;
        let found = self.blocks[at];
        self.remove(at);
        Some(found.address)
    }

    /// Puts the block into the list if there is room. Otherwise removes and returns the oldest
    /// block.
    fn make_room_or_put(&mut self, block: &mut Option<Block>) -> Option<Block> {
        let size = block.as_ref().map_or(0, |block| block.layout.size());
        if self.count > 0 && (self.count == MOST_BLOCKS || self.bytes + size > MOST_KEPT) {
            let oldest = self.blocks[0];
            self.remove(0);
            return Some(oldest);
        }
        if let Some(block) = block.take() {
            self.blocks[self.count] = block;
            self.count += 1;
            self.bytes += size;
        }
        None
    }

    fn remove(&mut self, at: usize) {
        self.bytes -= self.blocks[at].layout.size();
        self.blocks.copy_within(at + 1..self.count, at);
        self.count -= 1;
    }
}

/// Returns the layout with which a large block is allocated, or `None` for a small block, which is
/// left to the system.
fn rounded(layout: Layout) -> Option<Layout> {
    let size = layout.size();
    if size < LARGE {
        return None;
    }
    let step = (1 << size.ilog2()) / STEPS;
    let size = size.checked_next_multiple_of(step)?;
    Layout::from_size_align(size, layout.align()).ok()
}

// SAFETY: blocks come from the system, under a layout that depends only on the requested one, and
// are returned under the same layout. A block in the free list is handed out once, to a request
// with that layout.
unsafe impl GlobalAlloc for LargeBlocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let whole = rounded(layout);
        // SAFETY: guaranteed by the caller; a rounded layout is never smaller.
        whole
            .and_then(|whole| self.take(whole))
            .unwrap_or_else(|| unsafe { System.alloc(whole.unwrap_or(layout)) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let whole = rounded(layout);
        match whole.and_then(|whole| self.take(whole)) {
            Some(block) => {
                // SAFETY: the block is at least as long as requested.
                unsafe { block.write_bytes(0, layout.size()) };
                block
            }
            // SAFETY: as above.
            None => unsafe { System.alloc_zeroed(whole.unwrap_or(layout)) },
        }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        match rounded(layout) {
            // SAFETY: the caller gives up the block, and `whole` is the layout that it was
            // allocated with.
            Some(whole) => unsafe { self.keep(Block { address, layout: whole }) },
            // SAFETY: guaranteed by the caller.
            None => unsafe { System.dealloc(address, layout) },
        }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        match (rounded(layout), rounded(wanted)) {
            // SAFETY: guaranteed by the caller.
            (None, None) => unsafe { System.realloc(address, layout, size) },
            (Some(before), Some(after)) if before == after => address,
            // The system moves large blocks without copying them.
            // SAFETY: guaranteed by the caller; these are the actual old layout and the new size.
            (Some(before), Some(after)) => unsafe { System.realloc(address, before, after.size()) },
            // SAFETY: the system allocated the block with `before`. The caller guarantees that
            // `size` is not zero, and `wanted` exists, so it is valid with this alignment.
            (Some(before), None) => unsafe { System.realloc(address, before, size) },
            // SAFETY: `layout` is not rounded, so the system allocated the block with it. `after`
            // is a layout of the same alignment, at least as large as `size` and so not zero.
            (None, Some(after)) => unsafe { System.realloc(address, layout, after.size()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 16).unwrap()
    }

    #[test]
    fn a_block_that_was_freed_is_given_out_again_and_cleared_if_that_is_asked() {
        let blocks = LargeBlocks::new();
        let size = 3 << 20;
        // SAFETY: blocks are used within their sizes, and freed once, with their own layouts.
        unsafe {
            let first = blocks.alloc(layout(size));
            first.write_bytes(7, size);
            blocks.dealloc(first, layout(size));
            // A slightly smaller size rounds to the same layout.
            let second = blocks.alloc_zeroed(layout(size - 1000));
            assert_eq!(first, second);
            assert!(std::slice::from_raw_parts(second, size - 1000).iter().all(|&byte| byte == 0));
            let third = blocks.alloc(layout(size));
            assert_ne!(second, third);
            blocks.dealloc(second, layout(size - 1000));
            blocks.dealloc(third, layout(size));
            let kept = blocks.with_kept(|kept| (kept.count, kept.bytes));
            assert_eq!(kept, Some((2, 2 * size)));
        }
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes_first() {
        let blocks = LargeBlocks::new();
        let size = |i: usize| (12 << 20) + (i << 21);
        // SAFETY: each block is freed once, with its own layout.
        unsafe {
            let all: Vec<_> = (0..8).map(|i| blocks.alloc(layout(size(i)))).collect();
            for (i, address) in all.into_iter().enumerate() {
                blocks.dealloc(address, layout(size(i)));
            }
            let huge = blocks.alloc(layout(MOST_KEPT + 1));
            blocks.dealloc(huge, layout(MOST_KEPT + 1));
            for _ in 0..2 * MOST_BLOCKS {
                let many: Vec<_> = (0..3).map(|_| blocks.alloc(layout(LARGE))).collect();
                many.into_iter().for_each(|block| blocks.dealloc(block, layout(LARGE)));
            }
        }
        let (count, bytes, oldest) = blocks
            .with_kept(|kept| (kept.count, kept.bytes, kept.blocks[0].layout.size()))
            .unwrap();
        assert!(bytes <= MOST_KEPT && count <= MOST_BLOCKS, "{count} {bytes}");
        assert!(oldest >= size(5), "{oldest}");
    }

    #[test]
    fn rounding_adds_an_eighth_at_most_and_nothing_to_what_was_rounded() {
        assert_eq!(rounded(layout(LARGE - 1)), None);
        assert_eq!(rounded(layout(LARGE)).unwrap().size(), LARGE);
        for size in (LARGE..40 << 20).step_by(12_345) {
            let whole = rounded(layout(size)).unwrap();
            assert!(whole.size() >= size && whole.size() - size <= size / STEPS);
            assert_eq!(rounded(whole), Some(whole));
        }
        let most = Layout::from_size_align(isize::MAX as usize - 15, 16).unwrap();
        assert!(rounded(most).is_none_or(|whole| whole.size() >= most.size()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn no_block_is_two_peoples_and_contents_survive_growing(
            steps in prop::collection::vec((0_usize..6, 1_usize..(6 << 20)), 1..60),
        ) {
            let blocks = LargeBlocks::new();
            let mut held: Vec<(*mut u8, usize, u8)> = Vec::new();
            // SAFETY: blocks are used within their sizes, and freed once, with their own layouts.
            unsafe {
                // Writes marks only at both ends and in the middle: writing everything would take
                // minutes.
                let places = |size: usize| [0, size / 2, size - 1];
                let check = |&(address, size, mark): &(*mut u8, usize, u8)| {
                    places(size).into_iter().all(|at| address.add(at).read() == mark)
                };
                for (number, (step, size)) in steps.into_iter().enumerate() {
                    let mark = number as u8;
                    match (step, held.pop()) {
                        (0, Some(oldest)) => {
                            prop_assert!(check(&oldest));
                            blocks.dealloc(oldest.0, layout(oldest.1));
                        }
                        (1, Some((address, before, old))) => {
                            let address = blocks.realloc(address, layout(before), size);
                            prop_assert!(before.min(size) == 0 || address.read() == old);
                            places(size).into_iter().for_each(|at| address.add(at).write(mark));
                            held.push((address, size, mark));
                        }
                        (_, last) => {
                            held.extend(last);
                            let address = match step {
                                2 => blocks.alloc_zeroed(layout(size)),
                                _ => blocks.alloc(layout(size)),
                            };
                            prop_assert!(!address.is_null());
                            prop_assert!(step != 2 || places(size).iter().all(|&at| address.add(at).read() == 0));
                            places(size).into_iter().for_each(|at| address.add(at).write(mark));
                            held.insert(0, (address, size, mark));
                        }
                    }
                    prop_assert!(held.iter().all(check));
                }
                held.iter().for_each(|&(address, size, _)| blocks.dealloc(address, layout(size)));
            }
        }
    }
}
