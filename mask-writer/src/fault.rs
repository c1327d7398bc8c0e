//! Places at which a test ends the process: before and after each step that changes what is on the disk.
//!
//! Only builds with the feature `faults` have them; in all others [`fault_point`] is empty. There,
//! `SAM2_FAULT=NAME:N` ends the process when it passes the point NAME for the N-th time, as a kill would: nothing is cleaned
//! up. `SAM2_FAULT_LIST=FILE` notes the name of each point that is passed, a line each, so that a test can go through all.

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
        // A list that cannot be written makes the test that reads it fail.
        let _ = writeln!(file, "{name}");
    }
    if std::env::var("SAM2_FAULT").is_ok_and(|wanted| wanted == format!("{name}:{count}")) {
        std::process::abort();
    }
}

/// Returns whether folders are to be replaced as on file systems that cannot exchange two names: `SAM2_FAULT_NO_EXCHANGE` is set.
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
