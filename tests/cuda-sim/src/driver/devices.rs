//! Functions about the device.

use std::ffi::{c_char, c_int};

use super::error::put;
use super::{CudaError, Status, call};

/// Returns the driver's version.
///
/// # Safety
/// `version` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|driver| unsafe { put(version, driver.config.driver) })
}

/// Returns the number of devices: one.
///
/// # Safety
/// `count` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|_| unsafe { put(count, 1) })
}

/// Returns a device by number.
///
/// # Safety
/// `device` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> Status {
    call(|_| match ordinal {
        // SAFETY: guaranteed by this function's safety requirements.
        0 => unsafe { put(device, 0) },
        _ => Err(CudaError::ERROR_INVALID_DEVICE),
    })
}

/// Writes a text with a terminating zero into the caller's buffer.
///
/// # Safety
/// `to` must be null or have room for `length` bytes.
unsafe fn text(to: *mut c_char, length: c_int, text: &str) -> Result<(), CudaError> {
    if to.is_null() || length <= 0 {
        return Err(CudaError::ERROR_INVALID_VALUE);
    }
    let count = text.len().min(length as usize - 1);
    // SAFETY: `count` bytes and the terminating zero fit into `length` bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), to, count);
        to.add(count).write(0);
    }
    Ok(())
}

/// Returns the device's name.
///
/// # Safety
/// `name` must be null or have room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, _: c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|driver| unsafe { text(name, length, &driver.device.limits.name) })
}

/// Returns the device's bus address.
///
/// # Safety
/// `id` must be null or have room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetPCIBusId(id: *mut c_char, length: c_int, _: c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|_| unsafe { text(id, length, "0000:00:00.0") })
}

/// Returns the device's UUID.
///
/// # Safety
/// `uuid` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetUuid(uuid: *mut [u8; 16], _: c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|_| unsafe { put(uuid, *b"software-no-gpu-") })
}

/// Returns the device's UUID.
///
/// # Safety
/// `uuid` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { cuDeviceGetUuid(uuid, device) }
}

/// Returns the size of the device's memory.
///
/// # Safety
/// `bytes` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _: c_int) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    call(|driver| unsafe { put(bytes, driver.config.memory as usize) })
}

/// Returns an attribute of the device. An unknown attribute is an error, because a made-up value
/// could select the wrong kernel.
///
/// # Safety
/// `value` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetAttribute(
    value: *mut c_int,
    attribute: c_int,
    _: c_int,
) -> Status {
    call(|driver| {
        let limits = &driver.device.limits;
        let found = match attribute {
            // Threads of a block, and along each axis.
            1..=3 => limits.threads_per_block as c_int,
            4 => 64,
            // Blocks along each axis.
            5 => c_int::MAX,
            6 | 7 => 65535,
            8 => limits.shared as c_int,
            // Constant memory.
            9 => 65536,
            // Threads of a warp.
            10 => 32,
            // Registers of a block, and of a multiprocessor.
            12 | 82 => 65536,
            // Clock, in kHz.
            13 | 36 => 1_500_000,
            16 => limits.multiprocessors as c_int,
            // No display, no run-time limit; not integrated; maps host memory; default compute
            // mode.
            17 | 18 | 20 => 0,
            19 => 1,
            // Concurrent kernels; no error correction.
            31 => 1,
            32 => 0,
            // Bus address.
            33 | 34 | 50 => 0,
            // Width of the memory bus.
            37 => 256,
            38 => limits.l2_cache as c_int,
            39 => limits.threads_per_multiprocessor as c_int,
            // Copy engines; unified addressing.
            40 => 2,
            41 => 1,
            75 => (limits.sm / 10) as c_int,
            76 => (limits.sm % 10) as c_int,
            // Priorities of streams; managed memory.
            78 => 1,
            81 => limits.shared_per_multiprocessor as c_int,
            83 => 0,
            // Cooperative launch.
            95 => 0,
            97 => limits.shared_opt_in as c_int,
            106 => limits.blocks_per_multiprocessor as c_int,
            // Pools of memory.
            115 => 1,
            _ => {
                eprintln!("cuda-sim: the attribute {attribute} of the device is not known");
                return Err(CudaError::ERROR_INVALID_VALUE);
            }
        };
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { put(value, found) }
    })
}
