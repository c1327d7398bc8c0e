//! A run file that several threads amend.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sam2_mask_writer::RunAmender;

/// A run that is amended, shared by what amends it and what tracks it again.
#[derive(Clone, Debug)]
pub struct SharedRun(Arc<Mutex<RunAmender>>);

impl SharedRun {
    /// Shares a run.
    pub fn new(run: RunAmender) -> Self {
        Self(Arc::new(Mutex::new(run)))
    }

    /// Returns the run, once nobody else uses it. It is never held while something is computed.
    pub fn lock(&self) -> MutexGuard<'_, RunAmender> {
        // Its methods leave it whole, even if one of them ends with a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
