//! Turns failures of a device into errors instead of panics.
//!
//! The CPU cannot fail in this way. A GPU can: its memory is full, its driver is reset, or it is
//! removed. burn reports some of these failures as an error when a result is read back, and the
//! rest as a panic in whatever operation came next. Both become a [`DeviceFailure`].

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

/// The device failed. The message suggests a remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFailure {
    /// The device has no memory left.
    #[error(
        "the device is out of memory ({reason}); close what else uses it, or try half precision, a smaller model or input, fewer objects at once, or the CPU"
    )]
    OutOfMemory {
        /// The driver's message, with its numbers.
        reason: String,
    },
    /// The device was reset or removed. The process cannot use it any more.
    #[error(
        "the device was lost ({reason}); run again, and look into the system's log if it happens again, or take the CPU"
    )]
    Lost {
        /// The driver's message.
        reason: String,
    },
    /// A kernel could not be compiled or run.
    #[error("the device failed ({reason}); try f32, another device or the CPU")]
    Other {
        /// The message of burn or of the driver.
        reason: String,
    },
}

impl DeviceFailure {
    /// Determines the kind of failure from a message of burn or a driver. Keeps only the
    /// informative part of `text`: no backtraces, and of a chain of causes the one that determines
    /// the kind.
    ///
    /// Only burn's own thread reports that a CUDA device is lost. Later requests to the device only
    /// report that memory does not exist.
    pub fn from_message(text: &str) -> Self {
        let said = DEVICE_THREAD_SAID.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self::of_messages(text, said.as_deref())
    }

    /// Does the same when a device's thread has panicked with the message `before`.
    fn of_messages(text: &str, before: Option<&str>) -> Self {
        /// Number of characters of a message that are kept.
        const LONGEST: usize = 400;
        const OUT_OF_MEMORY: [&str; 8] = [
            "out of memory",
            "out-of-memory",
            "out_of_memory",
            "outofmemory",
            "not enough memory",
            "out of device memory",
            "can't allocate",
            "buffertoobig",
        ];
        const LOST: [&str; 5] =
            ["device lost", "device_lost", "devicelost", "poisoned", "device is lost"];
        /// CUDA's errors after which the process cannot use the device any more.
        const FATAL: [&str; 8] = [
            "cuda_error_launch_failed",
            "cuda_error_launch_timeout",
            "cuda_error_illegal",
            "cuda_error_misaligned_address",
            "cuda_error_ecc_uncorrectable",
            "cuda_error_hardware_stack_error",
            "cuda_error_device_unavailable",
            "cuda_error_unknown",
        ];
        let ends = ["No backtrace", "Backtrace", "backtrace"].map(|words| text.find(words));
        let end = ends.into_iter().flatten().min().unwrap_or(text.len());
        let causes: Vec<String> = text[..end]
            .split("Caused by:")
            .map(|cause| cause.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let says = |words: &[&str]| {
            let lower = causes.iter().map(|cause| cause.to_lowercase());
            let mut found = lower
                .zip(&causes)
                .filter(|(lower, _)| words.iter().any(|word| lower.contains(word)));
            found.next().map(|(_, cause)| cause.clone())
        };
        let shortened = |reason: String| reason.chars().take(LONGEST).collect();
        let fatal = |said: &&str| {
            let lower = said.to_lowercase();
            FATAL.iter().any(|error| lower.contains(error))
        };
        if let Some(cause) = says(&OUT_OF_MEMORY) {
            return Self::OutOfMemory { reason: shortened(cause) };
        }
        if let Some(said) = before.filter(fatal) {
            // The text before `DriverError(` only says where in burn the error happened.
            let reason = said.split("DriverError(").nth(1).unwrap_or(said).trim_end_matches(')');
            return Self::Lost { reason: shortened(reason.to_owned()) };
        }
        // An allocation failed, and the failure itself was reported elsewhere.
        if let Some(cause) = says(&["was never allocated"]) {
            Self::OutOfMemory { reason: shortened(cause) }
        } else if let Some(cause) = says(&LOST) {
            Self::Lost { reason: shortened(cause) }
        } else {
            Self::Other { reason: shortened(causes.join(": ")) }
        }
    }
}

thread_local! {
    /// Number of guards that this thread is in.
    static GUARDS: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work` on a device. A panic in it becomes an error.
///
/// After a failure, data that `work` was changing may be half changed. The caller must drop it,
/// unless it is data that a failed call leaves unchanged.
///
/// # Errors
/// [`DeviceFailure`] made from the panic's message.
pub fn guard<R>(work: impl FnOnce() -> R) -> Result<R, DeviceFailure> {
    /// Decrements the count, also when `work` panics.
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

/// The latest panic message of a device's own thread.
static DEVICE_THREAD_SAID: Mutex<Option<String>> = Mutex::new(None);

/// Prefix of the names of CubeCL's device threads.
const DEVICE_THREAD: &str = "DSD-";

/// Installs a panic hook. It logs the panics that become errors and those of device threads instead
/// of printing them, and passes all others to the previous hook.
fn keep_quiet_in_guards() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let of_device =
                std::thread::current().name().is_some_and(|name| name.starts_with(DEVICE_THREAD));
            if of_device {
                let mut said = DEVICE_THREAD_SAID.lock().unwrap_or_else(PoisonError::into_inner);
                *said = Some(message(info.payload()));
            }
            if of_device || GUARDS.try_with(Cell::get).unwrap_or(0) > 0 {
                tracing::debug!("a device failed: {}", message(info.payload()));
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
        for text in [
            "CUDA_ERROR_OUT_OF_MEMORY",
            // The wording of cubecl 0.11.
            "out of device memory allocating 12 bytes",
            "can't allocate buffer of size: 12",
            "Can't allocate 12 bytes: every page size is smaller",
        ] {
            assert!(matches!(kind(text), DeviceFailure::OutOfMemory { .. }), "{text}");
        }
        let chain = "An error happened\nCaused by:\n  Several at once\n  Caused by: out of device memory allocating 12 bytes\nCaused by: more";
        let reason = "out of device memory allocating 12 bytes".to_owned();
        assert_eq!(kind(chain), DeviceFailure::OutOfMemory { reason });
        let said = "called `Result::unwrap()` on an `Err` value: DriverError(CUDA_ERROR_LAUNCH_FAILED, \"unspecified launch failure\")";
        let after = DeviceFailure::of_messages("memory 3 was never allocated", Some(said));
        let reason = "CUDA_ERROR_LAUNCH_FAILED, \"unspecified launch failure\"".to_owned();
        assert_eq!(after, DeviceFailure::Lost { reason });
        // Another device may still be full.
        let other_full = DeviceFailure::of_messages("out of memory", Some(said));
        assert!(matches!(other_full, DeviceFailure::OutOfMemory { .. }));
        let full = DeviceFailure::of_messages("out of memory", Some("CUDA_ERROR_OUT_OF_MEMORY"));
        assert!(matches!(full, DeviceFailure::OutOfMemory { .. }));
        let other = kind("The kernel\n  cannot be compiled\nBacktrace\n0: main");
        assert_eq!(other, DeviceFailure::Other { reason: "The kernel cannot be compiled".into() });
    }
}
