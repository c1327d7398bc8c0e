//! The device: its limits, memory, modules and launches. This is the library's own interface;
//! `driver` provides the C functions based on it.

mod arena;
mod limits;
mod memory;
mod module;

pub use limits::Limits;
pub use memory::{Allocations, Memory, MemoryError, MemoryInfo};
pub use module::{Kernel, Module};

pub(crate) use arena::{
    Arena, BASE, LOCAL_WINDOW, PARAM_WINDOW, POISON, SHARED_WINDOW, Toucher, WINDOW,
};

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::check::{Finding, Findings};
use crate::exec::{self, Launch, Stats};

/// A software CUDA device.
#[derive(Debug)]
pub struct Device {
    /// Limits of the emulated device.
    pub limits: Limits,
    /// Its memory.
    pub memory: Memory,
    /// Findings of the checks.
    pub findings: Findings,
    /// Number of warp instructions after which a block counts as endless.
    pub instruction_limit: u64,
    launches: AtomicU32,
}

/// A launch that did not finish.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A check stopped it.
    #[error("{0}")]
    Finding(#[from] Box<Finding>),
    /// The launch is invalid.
    #[error("{0}")]
    Invalid(String),
}

impl Device {
    /// Makes a device with `memory_bytes` of memory.
    pub fn new(limits: Limits, memory_bytes: u64, findings: Findings) -> Result<Self, MemoryError> {
        let memory = Memory::new(memory_bytes, true)?;
        Ok(Self {
            limits,
            memory,
            findings,
            instruction_limit: 1 << 32,
            launches: AtomicU32::new(0),
        })
    }

    /// Makes a device for counting only, which does not track written bytes.
    pub fn counting(limits: Limits, memory_bytes: u64) -> Result<Self, MemoryError> {
        let memory = Memory::new(memory_bytes, false)?;
        Ok(Self {
            limits,
            memory,
            findings: Findings::default(),
            instruction_limit: 1 << 32,
            launches: AtomicU32::new(0),
        })
    }

    /// Loads PTX text.
    pub fn load(&self, ptx: &str) -> Result<Arc<Module>, String> {
        Module::load(self, ptx).map(Arc::new)
    }

    /// Runs a kernel to its end. `args` holds the bytes of each parameter, in order.
    pub fn launch(
        &self,
        kernel: &Kernel,
        grid: [u32; 3],
        block: [u32; 3],
        dynamic_shared: u32,
        args: &[&[u8]],
    ) -> Result<Stats, LaunchError> {
        let params = kernel.pack(args).map_err(LaunchError::Invalid)?;
        self.limits
            .check(grid, block, kernel, dynamic_shared)
            .map_err(|message| self.limit(kernel, message))?;
        let launch = Launch {
            kernel,
            number: self.launches.fetch_add(1, Ordering::Relaxed) + 1,
            grid,
            block,
            dynamic_shared,
            params,
        };
        Ok(exec::run(self, &launch)?)
    }

    fn limit(&self, kernel: &Kernel, message: String) -> LaunchError {
        let mut finding = Finding::host(crate::check::Kind::Limit, message);
        finding.kernel = kernel.name().to_owned();
        match self.findings.raise(finding) {
            Err(finding) => LaunchError::Finding(finding),
            Ok(()) => LaunchError::Invalid("a launch beyond the limits of the device".to_owned()),
        }
    }
}
