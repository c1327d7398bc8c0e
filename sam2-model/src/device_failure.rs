//! What a device says when it fails, as an error instead of a panic.
//!
//! The CPU cannot fail in this way. A GPU can: its memory is full, its driver is reset, or it is taken away. burn reports some of that as an error
//! when a result is read back, and the rest as a panic in whatever operation came next; both end here.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// The device failed. The message says what to try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFailure {
    /// The device has no memory left.
    #[error(
        "the device is out of memory ({reason}); close what else uses it, or try half precision, a smaller model or input, fewer objects at once, or the CPU"
    )]
    OutOfMemory {
        /// What the driver said, with its numbers.
        reason: String,
    },
    /// The device was reset or taken away; the process cannot use it any more.
    #[error(
        "the device was lost ({reason}); run again, and look into the system's log if it happens again, or take the CPU"
    )]
    Lost {
        /// What the driver said.
        reason: String,
    },
    /// A kernel could not be compiled or run.
    #[error("the device failed ({reason}); try f32, another device or the CPU")]
    Other {
        /// What burn or the driver said.
        reason: String,
    },
}

impl DeviceFailure {
    /// Tells the kinds apart by what burn and the drivers write, and keeps the part of `text` that says something: no backtraces.
    pub fn from_message(text: &str) -> Self {
        /// Characters of a message that are kept.
        const LONGEST: usize = 400;
        let lower = text.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let end = lower.find("backtrace").filter(|_| text.is_ascii()).unwrap_or(text.len());
        let words = text[..end].split_whitespace().collect::<Vec<_>>().join(" ");
        let reason: String = words.chars().take(LONGEST).collect();
        if says(&[
            "out of memory",
            "out-of-memory",
            "out_of_memory",
            "outofmemory",
            "not enough memory",
            "buffertoobig",
        ]) {
            Self::OutOfMemory { reason }
        } else if says(&["device lost", "device_lost", "devicelost", "poisoned", "device is lost"])
        {
            Self::Lost { reason }
        } else {
            Self::Other { reason }
        }
    }

    /// The same with how much memory is in use, where that is known and matters.
    #[must_use]
    pub fn with_usage(self, usage: Option<crate::DeviceMemory>) -> Self {
        match (self, usage) {
            (Self::OutOfMemory { reason }, Some(usage)) => {
                Self::OutOfMemory { reason: format!("{reason}; {usage}") }
            }
            (failure, _) => failure,
        }
    }
}

thread_local! {
    /// How many guards this thread is in.
    static GUARDS: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work` on a device; a panic in it becomes an error.
///
/// What `work` was changing may be half changed then: the caller lets go of it, or it is something that a failed call leaves alone.
///
/// # Errors
/// [`DeviceFailure`] made of the panic's message.
pub fn guard<R>(work: impl FnOnce() -> R) -> Result<R, DeviceFailure> {
    /// Counts down also when `work` panics.
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            GUARDS.with(|guards| guards.set(guards.get() - 1));
        }
    }
    keep_quiet_in_guards();
    GUARDS.with(|guards| guards.set(guards.get() + 1));
    let inside = Inside;
    let result = catch_unwind(AssertUnwindSafe(work));
    drop(inside);
    result.map_err(|panic| DeviceFailure::from_message(&message(panic.as_ref())))
}

/// The panics that become errors are logged instead of printed; all others go to the hook that was there.
fn keep_quiet_in_guards() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if GUARDS.try_with(Cell::get).unwrap_or(0) > 0 {
                tracing::debug!("caught on a device: {info}");
            } else {
                before(info);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_later_work_goes_on() {
        let error = guard(|| panic!("An out-of-memory error: {} bytes", 12)).unwrap_err();
        let expected =
            DeviceFailure::OutOfMemory { reason: "An out-of-memory error: 12 bytes".into() };
        assert_eq!(error, expected);
        assert_eq!(guard(|| 3), Ok(3));
        GUARDS.with(|guards| assert_eq!(guards.get(), 0));
    }

    #[test]
    fn kinds_are_told_apart_and_backtraces_left_out() {
        let kind = DeviceFailure::from_message;
        assert!(matches!(kind("Parent device is lost"), DeviceFailure::Lost { .. }));
        assert!(matches!(kind("CUDA_ERROR_OUT_OF_MEMORY"), DeviceFailure::OutOfMemory { .. }));
        let other = kind("The kernel\n  cannot be compiled\nBacktrace\n0: main");
        assert_eq!(other, DeviceFailure::Other { reason: "The kernel cannot be compiled".into() });
    }
}
