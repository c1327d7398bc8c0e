//! The context: there is one, and it is always current.

use std::ffi::{c_int, c_void};

use super::error::put;
use super::recorder::Request;
use super::{Status, call};

/// The handle of the one context.
const CONTEXT: usize = 0xC0DE;

/// Gives the device's context.
///
/// # Safety
/// `context` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut *mut c_void, _: c_int) -> Status {
    // SAFETY: as this function requires.
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

/// Gives the current context.
///
/// # Safety
/// `context` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetCurrent(context: *mut *mut c_void) -> Status {
    // SAFETY: as this function requires.
    call(|_| unsafe { put(context, CONTEXT as *mut c_void) })
}

/// Gives the device of the current context.
///
/// # Safety
/// `device` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> Status {
    // SAFETY: as this function requires.
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

/// Gives the range of priorities of streams.
///
/// # Safety
/// Both pointers are null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetStreamPriorityRange(
    least: *mut c_int,
    greatest: *mut c_int,
) -> Status {
    call(|_| {
        // SAFETY: as this function requires; either may be null, which asks for the other only.
        unsafe {
            let _ = put(least, 0);
            let _ = put(greatest, -5);
        }
        Ok(())
    })
}
