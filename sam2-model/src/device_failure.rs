//! What a device says when it fails, as an error instead of a panic.
//!
//! The CPU cannot fail in this way. A GPU can: its memory is full, its driver is reset, or it is taken away. burn reports some of that as an error
//! when a result is read back, and the rest as a panic in whatever operation came next; both end here.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

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
    /// Tells the kinds apart by what burn and the drivers write, and keeps the part of `text` that says something: no backtraces, and of a chain of causes the one that tells the kind.
    ///
    /// A CUDA device that is lost is told of by burn's own thread only: whoever asks it for anything afterwards hears of memory that is not there.
    pub fn from_message(text: &str) -> Self {
        let said = DEVICE_THREAD_SAID.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self::of_messages(text, said.as_deref())
    }

    /// The same, where a device's thread panicked with the words `before`.
    fn of_messages(text: &str, before: Option<&str>) -> Self {
        /// Characters of a message that are kept.
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
        /// CUDA's errors after which a process can use the device no more.
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
            // What stands between it and its words says where in burn it happened.
            let reason = said.split("DriverError(").nth(1).unwrap_or(said).trim_end_matches(')');
            return Self::Lost { reason: shortened(reason.to_owned()) };
        }
        // What is left of an allocation that failed, where the failure itself was told to somebody else.
        if let Some(cause) = says(&["was never allocated"]) {
            Self::OutOfMemory { reason: shortened(cause) }
        } else if let Some(cause) = says(&LOST) {
            Self::Lost { reason: shortened(cause) }
        } else {
            Self::Other { reason: shortened(causes.join(": ")) }
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

/// What a device's own thread said when it panicked last.
static DEVICE_THREAD_SAID: Mutex<Option<String>> = Mutex::new(None);

/// How the names of CubeCL's threads for devices begin.
const DEVICE_THREAD: &str = "DSD-";

/// The panics that become errors are logged instead of printed, and those of devices' own threads; all others go to the hook that was there.
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
            // As cubecl 0.11 has it.
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
        // Another device may be full all the same.
        let other_full = DeviceFailure::of_messages("out of memory", Some(said));
        assert!(matches!(other_full, DeviceFailure::OutOfMemory { .. }));
        let full = DeviceFailure::of_messages("out of memory", Some("CUDA_ERROR_OUT_OF_MEMORY"));
        assert!(matches!(full, DeviceFailure::OutOfMemory { .. }));
        let other = kind("The kernel\n  cannot be compiled\nBacktrace\n0: main");
        assert_eq!(other, DeviceFailure::Other { reason: "The kernel cannot be compiled".into() });
    }
}
