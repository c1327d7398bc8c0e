//! The limits of the GPUs that this device emulates.

use super::Kernel;

/// The limits of a device of one compute capability.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Compute capability: 75, 80 or 90.
    pub sm: u32,
    /// Name of the device.
    pub name: String,
    /// Number of streaming multiprocessors.
    pub multiprocessors: u32,
    /// Largest number of threads in a block.
    pub threads_per_block: u32,
    /// Shared memory of a block without an explicit request, in bytes.
    pub shared: u32,
    /// Shared memory of a block that a kernel can request, in bytes.
    pub shared_opt_in: u32,
    /// Shared memory of a multiprocessor, in bytes.
    pub shared_per_multiprocessor: u32,
    /// Largest number of threads on a multiprocessor.
    pub threads_per_multiprocessor: u32,
    /// Largest number of blocks on a multiprocessor.
    pub blocks_per_multiprocessor: u32,
    /// Size of the second-level cache in bytes.
    pub l2_cache: u32,
    /// Memory of the usual board in bytes.
    pub memory: u64,
}

const GIB: u64 = 1 << 30;

impl Limits {
    /// Returns the limits of a T4 (75), an A100 (80) or an H100 (90).
    pub fn of(sm: u32) -> Option<Self> {
        let (board, multiprocessors, shared_kb, opt_in_kb, threads, blocks, l2_mb, memory) =
            match sm {
                75 => ("T4", 40, 64, 64, 1024, 16, 4, 15 * GIB),
                80 => ("A100", 108, 164, 163, 2048, 32, 40, 40 * GIB),
                90 => ("H100", 132, 228, 227, 2048, 32, 50, 80 * GIB),
                _ => return None,
            };
        Some(Self {
            sm,
            name: format!("NVIDIA {board} (software, no GPU)"),
            multiprocessors,
            threads_per_block: 1024,
            shared: 48 << 10,
            shared_opt_in: opt_in_kb << 10,
            shared_per_multiprocessor: shared_kb << 10,
            threads_per_multiprocessor: threads,
            blocks_per_multiprocessor: blocks,
            l2_cache: l2_mb << 20,
            memory,
        })
    }

    /// Checks whether a launch is possible on this device, and says why if it is not.
    pub(super) fn check(
        &self,
        grid: [u32; 3],
        block: [u32; 3],
        kernel: &Kernel,
        dynamic_shared: u32,
    ) -> Result<(), String> {
        let threads = block.iter().map(|&n| u64::from(n)).product::<u64>();
        if threads == 0 || grid.contains(&0) {
            return Err(format!("a launch of nothing: grid {grid:?}, block {block:?}"));
        }
        let allowed = match kernel.max_threads() {
            0 => self.threads_per_block,
            n => n.min(self.threads_per_block),
        };
        if threads > u64::from(allowed) || block[2] > 64 {
            return Err(format!("a block of {block:?} is more than the {allowed} threads allowed"));
        }
        if grid[0] > i32::MAX as u32 || grid[1] > 65535 || grid[2] > 65535 {
            return Err(format!("a grid of {grid:?} is more than 2147483647 x 65535 x 65535"));
        }
        let shared = kernel.static_shared() + dynamic_shared;
        let allowed = self.shared.max(kernel.shared_allowed().min(self.shared_opt_in));
        if shared > allowed {
            return Err(format!(
                "{shared} bytes of shared memory are more than the {allowed} allowed to this kernel (sm_{}, at most {})",
                self.sm, self.shared_opt_in
            ));
        }
        Ok(())
    }
}
