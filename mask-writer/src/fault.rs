//! Points at which a test can end the process: before and after each step that changes files on
//! disk.
//!
//! Only builds with the feature `faults` contain them; in all others [`fault_point`] is empty. In
//! those builds `SAM2_FAULT=NAME:N` ends the process when it passes the point NAME for the N-th
//! time, as a kill would: nothing is cleaned up. `SAM2_FAULT_LIST=FILE` records the name of each
//! point that is passed, one per line, so that a test can try all of them.

/// Ends the process here if `SAM2_FAULT` says so.
#[cfg(feature = "faults")]
pub fn fault_point(name: &'static str) {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::{Mutex, PoisonError};

    static PASSED: Mutex<BTreeMap<&str, usize>> = Mutex::new(BTreeMap::new());
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = passed.entry(name).or_insert(0);
    *count += 1;
    if let Some(list) = std::env::var_os("SAM2_FAULT_LIST")
        && let Ok(mut file) = std::fs::File::options().create(true).append(true).open(list)
    {
        // If the list cannot be written, the test that reads it fails.
        let _ = writeln!(file, "{name}");
    }
    if std::env::var("SAM2_FAULT").is_ok_and(|wanted| wanted == format!("{name}:{count}")) {
        std::process::abort();
    }
}

/// Returns whether to replace folders as on file systems that cannot exchange two names, which a
/// test requests with `SAM2_FAULT_NO_EXCHANGE`.
#[cfg(all(target_os = "linux", feature = "faults"))]
pub(crate) fn exchange_is_off() -> bool {
    std::env::var_os("SAM2_FAULT_NO_EXCHANGE").is_some()
}

/// Returns `false`: this build has no faults.
#[cfg(all(target_os = "linux", not(feature = "faults")))]
#[inline(always)]
pub(crate) fn exchange_is_off() -> bool {
    false
}

/// Does nothing: this build has no faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn fault_point(_name: &'static str) {}
