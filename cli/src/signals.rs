//! Ctrl-C and SIGTERM.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use sam2_engine::CancelFlag;

/// The signal that asked to stop; 0 = none.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The signal that interrupted the job, if one did.
pub fn received() -> Option<u8> {
    u8::try_from(SIGNAL.load(Ordering::Relaxed)).ok().filter(|&signal| signal > 0)
}

/// The first Ctrl-C or SIGTERM stops after the current frame, a second one at once.
pub fn cancel_on_signals() -> Result<CancelFlag> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let cancel = CancelFlag::new();
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let failed = || "cannot react to signals";
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&armed))
            .with_context(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&armed)).with_context(failed)?;
        signal_hook::flag::register(signal, cancel.shared()).with_context(failed)?;
        signal_hook::flag::register_usize(signal, Arc::clone(&SIGNAL), signal as usize)
            .with_context(failed)?;
    }
    Ok(cancel)
}
