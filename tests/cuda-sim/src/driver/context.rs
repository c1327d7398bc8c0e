//! The context: there is exactly one, and it is always current.

use std::ffi::{c_int, c_void};

use super::error::put;
use super::recorder::Request;
use super::{Status, call};

/// The handle of the only context.
const CONTEXT: usize = 0xC0DE;

/// Returns the device's context.
///
/// # Safety
/// `context` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut *mut c_void, _: c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|_| unsafe { put(context, CONTEXT as *mut c_void) })
}

/// Releases the device's context.
#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRelease_v2(_: c_int) -> Status {
    call(|_| Ok(()))
}

/// Makes a context current.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetCurrent(_: *mut c_void) -> Status {
    call(|_| Ok(()))
}

/// Returns the current context.
///
/// # Safety
/// `context` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetCurrent(context: *mut *mut c_void) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|_| unsafe { put(context, CONTEXT as *mut c_void) })
}

/// Returns the device of the current context.
///
/// # Safety
/// `device` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|_| unsafe { put(device, 0) })
}

/// Waits for all launches.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSynchronize() -> Status {
    call(|driver| {
        driver.recorder.request(Request::WaitStream, 0);
        Ok(())
    })
}

/// Returns the range of priorities of streams.
///
/// # Safety
/// Each pointer must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetStreamPriorityRange(
    least: *mut c_int,
    greatest: *mut c_int,
) -> Status {
    call(|_| {
        // SAFETY: guaranteed by this function's safety requirements; either may be null, which
        // requests only the other one.
        unsafe {
            let _ = put(least, 0);
            let _ = put(greatest, -5);
        }
        Ok(())
    })
}
