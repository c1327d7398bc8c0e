//! Handles Ctrl-C, SIGTERM, a closed terminal, and the file size limit.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use sam2_jobs::CancelFlag;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// The signal that asked the process to stop; 0 means none.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// Returns the signal that interrupted the job, if any.
pub fn received() -> Option<u8> {
    u8::try_from(SIGNAL.load(Ordering::Relaxed)).ok().filter(|&signal| signal > 0)
}

/// Makes the first Ctrl-C, SIGTERM or SIGHUP stop the job after the current frame, and a second one
/// end the process at once.
///
/// SIGHUP is sent when a terminal or a connection is closed. It is ignored under `nohup`, which
/// asks for that.
pub fn cancel_on_signals() -> Result<CancelFlag> {
    let cancel = CancelFlag::new();
    let armed = Arc::new(AtomicBool::new(false));
    let failed = || "cannot react to signals";
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if signal == SIGHUP && is_ignored(SIGHUP) {
            continue;
        }
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&armed))
            .with_context(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&armed)).with_context(failed)?;
        signal_hook::flag::register(signal, cancel.shared()).with_context(failed)?;
        signal_hook::flag::register_usize(signal, Arc::clone(&SIGNAL), signal as usize)
            .with_context(failed)?;
    }
    // By default, SIGXFSZ kills the process without a message when a file reaches its size limit
    // (`ulimit -f`). If it is caught, the write fails instead with an error that names the file,
    // and the journal is kept.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).with_context(failed)?;
    Ok(cancel)
}

/// Returns whether the process was started with this signal ignored. Only Linux reports this
/// without unsafe code.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
