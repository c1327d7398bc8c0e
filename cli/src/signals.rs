//! Ctrl-C, SIGTERM, a closed terminal, and files that may not grow any further.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use sam2_engine::CancelFlag;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// The signal that asked to stop; 0 = none.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The signal that interrupted the job, if one did.
pub fn received() -> Option<u8> {
    u8::try_from(SIGNAL.load(Ordering::Relaxed)).ok().filter(|&signal| signal > 0)
}

/// Makes the first Ctrl-C, SIGTERM or SIGHUP stop the job after the current frame, and a second one end the process at once.
///
/// SIGHUP comes when a terminal or a connection is closed; under `nohup`, which asks for it to be ignored, it is.
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
    // By default a file at its allowed size (`ulimit -f`) ends the process without a word. Caught, the write fails instead,
    // which is an error that names the file and keeps the journal.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).with_context(failed)?;
    Ok(cancel)
}

/// Returns whether the process was started with this signal ignored. Only Linux says so without unsafe code.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
