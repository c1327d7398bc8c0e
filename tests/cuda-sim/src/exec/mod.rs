//! The interpreter: PTX is decoded once into [`Program`]s, then blocks run on all cores.

mod access;
mod block;
mod decode;
mod env;
mod float;
mod lanes;
mod matrix;
mod matrix_access;
mod mbarrier;
mod op;
mod rare;
mod schedule;
mod warp;

pub use decode::Program;

use decode::{Special, convert_one, extract};

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::check::Finding;
use crate::device::{Device, Kernel};

/// A launch of a kernel.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Number of the launch.
    pub number: u32,
    /// Number of blocks along each axis.
    pub grid: [u32; 3],
    /// Number of threads of a block along each axis.
    pub block: [u32; 3],
    /// Bytes of shared memory in addition to those that the text declares.
    pub dynamic_shared: u32,
    /// The parameters' bytes.
    pub params: Vec<u8>,
}

/// Statistics of a launch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Number of blocks run.
    pub blocks: u64,
    /// Number of instructions, each counted once per warp.
    pub warp_instructions: u64,
    /// Number of instructions, each counted once for every thread that took part.
    pub thread_instructions: u64,
}

impl Stats {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            blocks: self.blocks + other.blocks,
            warp_instructions: self.warp_instructions + other.warp_instructions,
            thread_instructions: self.thread_instructions + other.thread_instructions,
        }
    }
}

/// Runs a launch to its end, or to the first finding that stops it.
pub fn run(device: &Device, launch: &Launch<'_>) -> Result<Stats, Box<Finding>> {
    let allocations = device.memory.allocations();
    let [x, y, z] = launch.grid.map(u64::from);
    let stopped = AtomicBool::new(false);
    (0..x * y * z)
        .into_par_iter()
        .map_init(
            || block::Block::new(device, launch, &allocations),
            |room, number| {
                if stopped.load(Ordering::Relaxed) {
                    return Ok(Stats::default());
                }
                let at = [number % x, number / x % y, number / x / y].map(|n| n as u32);
                room.run(at).inspect_err(|_| stopped.store(true, Ordering::Relaxed))
            },
        )
        .try_reduce(Stats::default, |a, b| Ok(a.and(b)))
}
