//! Memory and copies. A copy, even an asynchronous one, is complete when its call returns.

use std::collections::HashMap;
use std::ffi::{c_uint, c_void};
use std::slice;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::error::put;
use super::recorder::Request;
use super::{CudaError, Driver, Status, call};
use crate::check::{Finding, Kind};
use crate::device::MemoryError;

/// An address of the device.
type Address = u64;

/// Pinned host memory, by address.
static PINNED: LazyLock<Mutex<HashMap<usize, Vec<u64>>>> = LazyLock::new(Mutex::default);

/// Returns the free and the total memory in bytes.
///
/// # Safety
/// Each pointer must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Status {
    call(|driver| {
        let info = driver.device.memory.info();
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe {
            put(free, (info.total - info.used) as usize)?;
            put(total, info.total as usize)
        }
    })
}

/// Allocates device memory.
///
/// # Safety
/// `address` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAlloc_v2(address: *mut Address, bytes: usize) -> Status {
    call(|driver| {
        let found = driver.device.memory.alloc(bytes as u64).map_err(|error| match error {
            MemoryError::Empty => CudaError::ERROR_INVALID_VALUE,
            _ => CudaError::ERROR_OUT_OF_MEMORY,
        })?;
        driver.recorder.request(Request::Allocate, bytes as u64);
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { put(address, found) }
    })
}

/// Allocates device memory.
///
/// # Safety
/// `address` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocAsync(
    address: *mut Address,
    bytes: usize,
    _: *mut c_void,
) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { cuMemAlloc_v2(address, bytes) }
}

/// Frees device memory.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemFree_v2(address: Address) -> Status {
    call(|driver| {
        driver.recorder.request(Request::Free, 0);
        match driver.device.memory.free(address) {
            Ok(()) => Ok(()),
            Err(finding) => {
                driver.found(finding)?;
                Err(CudaError::ERROR_INVALID_VALUE)
            }
        }
    })
}

/// Frees device memory.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemFreeAsync(address: Address, _: *mut c_void) -> Status {
    cuMemFree_v2(address)
}

/// Allocates pinned host memory.
///
/// # Safety
/// `address` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocHost_v2(address: *mut *mut c_void, bytes: usize) -> Status {
    call(|driver| {
        let mut memory = vec![0u64; bytes.div_ceil(8).max(1) + 32];
        // Aligned to 256 bytes, as pinned pages are at least.
        let at = (memory.as_mut_ptr() as usize).next_multiple_of(256);
        PINNED.lock().unwrap_or_else(PoisonError::into_inner).insert(at, memory);
        driver.recorder.request(Request::AllocateHost, bytes as u64);
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { put(address, at as *mut c_void) }
    })
}

/// Frees pinned host memory.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemFreeHost(address: *mut c_void) -> Status {
    call(|driver| {
        let mut pinned = PINNED.lock().unwrap_or_else(PoisonError::into_inner);
        match pinned.remove(&(address as usize)) {
            Some(_) => Ok(()),
            None => {
                let text = format!("host memory at {address:?} is freed but not pinned");
                driver.found(Finding::host(Kind::BadFree, text))?;
                Err(CudaError::ERROR_INVALID_VALUE)
            }
        }
    })
}

/// Reports the finding of a copy, if any.
fn copied<T>(driver: &Driver, result: Result<T, Finding>) -> Result<T, CudaError> {
    result.map_err(|finding| {
        let error = CudaError::of(finding.kind);
        match driver.found(finding) {
            Err(stopped) => stopped,
            Ok(()) => error,
        }
    })
}

/// # Safety
/// `host` must be readable for `bytes` bytes.
unsafe fn copy_in(
    driver: &Driver,
    to: Address,
    host: *const c_void,
    bytes: usize,
) -> Result<(), CudaError> {
    if host.is_null() && bytes > 0 {
        return Err(CudaError::ERROR_INVALID_VALUE);
    }
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: not null, and the caller guarantees that it is readable.
    let host = unsafe { slice::from_raw_parts(host.cast::<u8>(), bytes) };
    copied(driver, driver.device.memory.write(to, host))
}

/// # Safety
/// `host` must be writable for `bytes` bytes.
unsafe fn copy_out(
    driver: &Driver,
    host: *mut c_void,
    from: Address,
    bytes: usize,
) -> Result<(), CudaError> {
    if host.is_null() && bytes > 0 {
        return Err(CudaError::ERROR_INVALID_VALUE);
    }
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: not null, and the caller guarantees that it is writable; a `u8` needs no initial
    // value.
    let host = unsafe { slice::from_raw_parts_mut(host.cast::<u8>(), bytes) };
    if let Some(at) = copied(driver, driver.device.memory.read(from, host))? {
        let text = format!(
            "a copy of {bytes} bytes from {from:#x} to the host: byte {at} was never written"
        );
        driver.found(Finding::host(Kind::UnwrittenCopy, text))?;
    }
    Ok(())
}

/// Copies from the host.
///
/// # Safety
/// `host` must be readable for `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: Address,
    host: *const c_void,
    bytes: usize,
    _: *mut c_void,
) -> Status {
    call(|driver| {
        driver.recorder.request(Request::CopyIn, bytes as u64);
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { copy_in(driver, to, host, bytes) }
    })
}

/// Copies from the host.
///
/// # Safety
/// `host` must be readable for `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoD_v2(to: Address, host: *const c_void, bytes: usize) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { cuMemcpyHtoDAsync_v2(to, host, bytes, std::ptr::null_mut()) }
}

/// Copies to the host.
///
/// # Safety
/// `host` must be writable for `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    host: *mut c_void,
    from: Address,
    bytes: usize,
    _: *mut c_void,
) -> Status {
    call(|driver| {
        driver.recorder.request(Request::CopyOut, bytes as u64);
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { copy_out(driver, host, from, bytes) }
    })
}

/// Copies to the host.
///
/// # Safety
/// `host` must be writable for `bytes` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoH_v2(host: *mut c_void, from: Address, bytes: usize) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { cuMemcpyDtoHAsync_v2(host, from, bytes, std::ptr::null_mut()) }
}

/// Copies within the device.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoDAsync_v2(
    to: Address,
    from: Address,
    bytes: usize,
    _: *mut c_void,
) -> Status {
    call(|driver| {
        driver.recorder.request(Request::CopyWithin, bytes as u64);
        if bytes == 0 {
            return Ok(());
        }
        copied(driver, driver.device.memory.copy(to, from, bytes as u64))
    })
}

/// Copies within the device.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoD_v2(to: Address, from: Address, bytes: usize) -> Status {
    cuMemcpyDtoDAsync_v2(to, from, bytes, std::ptr::null_mut())
}

/// Sets bytes of device memory.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD8Async(to: Address, value: u8, bytes: usize, _: *mut c_void) -> Status {
    call(|driver| {
        driver.recorder.request(Request::Fill, bytes as u64);
        copied(driver, driver.device.memory.fill(to, value, bytes as u64))
    })
}

/// Sets bytes of device memory.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD8_v2(to: Address, value: u8, bytes: usize) -> Status {
    cuMemsetD8Async(to, value, bytes, std::ptr::null_mut())
}

/// `CUDA_MEMCPY2D`.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Copy2d {
    pub source_x: usize,
    pub source_y: usize,
    pub source_type: c_uint,
    pub source_host: *const c_void,
    pub source_device: Address,
    pub source_array: *mut c_void,
    pub source_pitch: usize,
    pub to_x: usize,
    pub to_y: usize,
    pub to_type: c_uint,
    pub to_host: *mut c_void,
    pub to_device: Address,
    pub to_array: *mut c_void,
    pub to_pitch: usize,
    pub width: usize,
    pub height: usize,
}

const HOST: c_uint = 1;
const DEVICE: c_uint = 2;

/// Copies rows.
///
/// # Safety
/// `copy` must be null or readable, and its host memory must be readable or writable for all rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpy2DAsync_v2(copy: *const Copy2d, _: *mut c_void) -> Status {
    call(|driver| {
        // SAFETY: guaranteed by this function's safety requirements.
        let c = unsafe { copy.as_ref() }.ok_or(CudaError::ERROR_INVALID_VALUE)?;
        let (event, bytes) = match (c.source_type, c.to_type) {
            (HOST, DEVICE) => (Request::CopyIn, c.width * c.height),
            (DEVICE, HOST) => (Request::CopyOut, c.width * c.height),
            (DEVICE, DEVICE) => (Request::CopyWithin, c.width * c.height),
            _ => return Err(CudaError::ERROR_NOT_SUPPORTED),
        };
        driver.recorder.request(event, bytes as u64);
        for row in 0..c.height {
            let source = (row + c.source_y) * c.source_pitch + c.source_x;
            let to = (row + c.to_y) * c.to_pitch + c.to_x;
            let (device_source, device_to) =
                (c.source_device + source as u64, c.to_device + to as u64);
            // SAFETY: guaranteed by this function's safety requirements.
            unsafe {
                match event {
                    Request::CopyIn => {
                        copy_in(driver, device_to, c.source_host.byte_add(source), c.width)?;
                    }
                    Request::CopyOut => {
                        copy_out(driver, c.to_host.byte_add(to), device_source, c.width)?;
                    }
                    _ => copied(
                        driver,
                        driver.device.memory.copy(device_to, device_source, c.width as u64),
                    )?,
                }
            }
        }
        Ok(())
    })
}
