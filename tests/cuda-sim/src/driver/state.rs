//! The single driver of a process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::config::Config;
use super::recorder::Recorder;
use super::{CudaError, Mode, Status};
use crate::check::Finding;
use crate::device::Device;

/// The driver.
#[derive(Debug)]
pub struct Driver {
    /// Settings.
    pub config: Config,
    /// The device.
    pub device: Device,
    /// The record of calls.
    pub recorder: Recorder,
    /// The error that every call returns, 0 for none.
    sticky: AtomicI32,
}

static DRIVER: OnceLock<Option<Driver>> = OnceLock::new();

/// Returns the driver, which starts on first use; `None` if the host has no room for its memory.
pub fn driver() -> Option<&'static Driver> {
    DRIVER
        .get_or_init(|| {
            let config = Config::from_environment();
            let device = match config.mode {
                Mode::Interpret => {
                    Device::new(config.limits.clone(), config.memory, Config::findings())
                }
                Mode::Count => Device::counting(config.limits.clone(), config.memory),
            };
            let mut device = match device {
                Ok(device) => device,
                Err(error) => {
                    eprintln!("cuda-sim: {error}; set CUDA_SIM_MEMORY to less");
                    return None;
                }
            };
            device.instruction_limit = config.instruction_limit;
            let recorder = Recorder::new(config.log.as_deref());
            // SAFETY: a plain function without arguments, as `atexit` requires.
            unsafe { libc::atexit(at_exit) };
            Some(Driver { config, device, recorder, sticky: AtomicI32::new(0) })
        })
        .as_ref()
}

extern "C" fn at_exit() {
    // Only once, and no panic may escape from the exit handler.
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::SeqCst) {
        return;
    }
    let _ = catch_unwind(|| {
        if let Some(Some(driver)) = DRIVER.get() {
            driver.recorder.finish(driver);
        }
    });
}

impl Driver {
    /// Records a finding; returns an error if it stops the program.
    pub fn found(&self, finding: Finding) -> Result<(), CudaError> {
        match self.device.findings.raise(finding) {
            Ok(()) => Ok(()),
            Err(finding) => Err(CudaError::of(finding.kind)),
        }
    }

    /// Makes every later call fail.
    pub fn lose(&self, error: CudaError) {
        self.sticky.store(error as i32, Ordering::SeqCst);
    }
}

/// Runs the body of a driver function. After a fault every call fails, and no panic crosses into C.
pub fn call(body: impl FnOnce(&'static Driver) -> Result<(), CudaError>) -> Status {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let Some(driver) = driver() else {
            return CudaError::ERROR_NOT_INITIALIZED as Status;
        };
        let sticky = driver.sticky.load(Ordering::SeqCst);
        if sticky != 0 {
            return sticky;
        }
        match body(driver) {
            Ok(()) => 0,
            Err(error) => {
                if error.sticky() {
                    driver.lose(error);
                }
                error as Status
            }
        }
    }));
    result.unwrap_or(CudaError::ERROR_UNKNOWN as Status)
}
