//! Error codes of the driver.

use std::ffi::{c_char, c_int};

use super::call;
use crate::check::Kind;

/// The return value of a driver function.
pub type Status = c_int;

macro_rules! errors {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// An error of the driver.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(i32)]
        #[allow(missing_docs)]
        pub enum CudaError { $($name = $code,)* }

        /// Returns the C name and the description of a code, each with a terminating zero.
        fn texts(code: Status) -> Option<(&'static str, &'static str)> {
            match code {
                $($code => Some((concat!("CUDA_", stringify!($name), "\0"), concat!($text, "\0"))),)*
                _ => None,
            }
        }
    };
}

#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
mod codes {
    use super::*;

    errors! {
        SUCCESS = 0, "no error";
        ERROR_INVALID_VALUE = 1, "invalid argument";
        ERROR_OUT_OF_MEMORY = 2, "out of memory";
        ERROR_NOT_INITIALIZED = 3, "initialization error";
        ERROR_INVALID_DEVICE = 101, "invalid device ordinal";
        ERROR_INVALID_CONTEXT = 201, "invalid device context";
        ERROR_INVALID_PTX = 218, "a PTX JIT compilation failed";
        ERROR_UNSUPPORTED_PTX_VERSION = 222, "the provided PTX was compiled with an unsupported toolchain.";
        ERROR_INVALID_HANDLE = 400, "invalid resource handle";
        ERROR_NOT_FOUND = 500, "named symbol not found";
        ERROR_ILLEGAL_ADDRESS = 700, "an illegal memory access was encountered";
        ERROR_LAUNCH_OUT_OF_RESOURCES = 701, "too many resources requested for launch";
        ERROR_LAUNCH_TIMEOUT = 702, "the launch timed out and was terminated";
        ERROR_ASSERT = 710, "device-side assert triggered";
        ERROR_ILLEGAL_INSTRUCTION = 715, "an illegal instruction was encountered";
        ERROR_MISALIGNED_ADDRESS = 716, "misaligned address";
        ERROR_LAUNCH_FAILED = 719, "unspecified launch failure";
        ERROR_NOT_SUPPORTED = 801, "operation not supported";
        ERROR_UNKNOWN = 999, "unknown error";
    }

    pub(super) fn find(code: Status) -> Option<(&'static str, &'static str)> {
        texts(code)
    }
}

pub use codes::CudaError;

impl CudaError {
    /// Returns the error that hardware gives for a finding, where hardware detects it.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::OutOfBounds | Kind::UseAfterFree => CudaError::ERROR_ILLEGAL_ADDRESS,
            Kind::Misaligned => CudaError::ERROR_MISALIGNED_ADDRESS,
            Kind::UnknownInstruction => CudaError::ERROR_ILLEGAL_INSTRUCTION,
            Kind::Assertion => CudaError::ERROR_ASSERT,
            Kind::Timeout => CudaError::ERROR_LAUNCH_TIMEOUT,
            Kind::Limit | Kind::BadFree => CudaError::ERROR_INVALID_VALUE,
            _ => CudaError::ERROR_LAUNCH_FAILED,
        }
    }

    /// Returns whether every later call fails with it, as the manual says of errors in kernels.
    pub fn sticky(self) -> bool {
        matches!(
            self,
            CudaError::ERROR_ILLEGAL_ADDRESS
                | CudaError::ERROR_LAUNCH_TIMEOUT
                | CudaError::ERROR_ASSERT
                | CudaError::ERROR_ILLEGAL_INSTRUCTION
                | CudaError::ERROR_MISALIGNED_ADDRESS
                | CudaError::ERROR_LAUNCH_FAILED
        )
    }
}

/// Returns the C name of an error.
///
/// # Safety
/// `text` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(code: Status, text: *mut *const c_char) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { give(text, codes::find(code).map(|t| t.0)) }
}

/// Returns the description of an error.
///
/// # Safety
/// `text` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorString(code: Status, text: *mut *const c_char) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { give(text, codes::find(code).map(|t| t.1)) }
}

unsafe fn give(to: *mut *const c_char, text: Option<&'static str>) -> Status {
    if to.is_null() {
        return CudaError::ERROR_INVALID_VALUE as Status;
    }
    let (pointer, status) = match text {
        Some(text) => (text.as_ptr().cast(), CudaError::SUCCESS),
        None => (std::ptr::null(), CudaError::ERROR_INVALID_VALUE),
    };
    // SAFETY: not null, and the caller guarantees that it is writable.
    unsafe { to.write(pointer) };
    status as Status
}

/// Writes a result through the caller's pointer.
///
/// # Safety
/// `to` must be null or writable.
pub unsafe fn put<T>(to: *mut T, value: T) -> Result<(), CudaError> {
    if to.is_null() {
        return Err(CudaError::ERROR_INVALID_VALUE);
    }
    // SAFETY: not null, and the caller guarantees that it is writable.
    unsafe { to.write(value) };
    Ok(())
}

/// Starts the driver.
#[unsafe(no_mangle)]
pub extern "C" fn cuInit(_flags: u32) -> Status {
    call(|_| Ok(()))
}
