//! The locks used where threads pass frames to each other.
//!
//! The tests compile those modules a second time, with locks of the same names from a model checker
//! that tries out the possible orders of the threads.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
