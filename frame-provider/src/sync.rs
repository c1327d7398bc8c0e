//! The locks used where threads hand frames over.
//!
//! Those modules are compiled a second time for the tests, with the same names from a model checker that tries out the
//! orders in which threads can run.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
