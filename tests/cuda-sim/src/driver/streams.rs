//! Streams and events. Every launch and copy is complete when its call returns, so there is never
//! anything to wait for.

use std::collections::HashMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use super::error::put;
use super::recorder::Request;
use super::{CudaError, Status, call};

/// Handles in use; for an event, with the time at which it was recorded.
#[derive(Default)]
struct Handles {
    next: usize,
    streams: HashMap<usize, ()>,
    events: HashMap<usize, Option<Instant>>,
}

static HANDLES: LazyLock<Mutex<Handles>> = LazyLock::new(Mutex::default);

fn handles<T>(work: impl FnOnce(&mut Handles) -> T) -> T {
    work(&mut HANDLES.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Handles {
    fn new_handle(&mut self) -> usize {
        self.next += 16;
        0x1000 + self.next
    }
}

/// Checks that a stream exists; the default streams always do.
fn stream_exists(stream: *mut c_void) -> Result<(), CudaError> {
    let known = stream as usize <= 2 || handles(|h| h.streams.contains_key(&(stream as usize)));
    if known { Ok(()) } else { Err(CudaError::ERROR_INVALID_HANDLE) }
}

fn event<T>(
    event: *mut c_void,
    work: impl FnOnce(&mut Option<Instant>) -> Result<T, CudaError>,
) -> Result<T, CudaError> {
    handles(|h| match h.events.get_mut(&(event as usize)) {
        Some(time) => work(time),
        None => Err(CudaError::ERROR_INVALID_HANDLE),
    })
}

/// Makes a stream.
///
/// # Safety
/// `stream` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut *mut c_void, _: c_uint) -> Status {
    call(|_| {
        let handle = handles(|h| {
            let handle = h.new_handle();
            h.streams.insert(handle, ());
            handle
        });
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { put(stream, handle as *mut c_void) }
    })
}

/// Makes a stream with a priority, which has no effect.
///
/// # Safety
/// `stream` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreateWithPriority(
    stream: *mut *mut c_void,
    flags: c_uint,
    _: c_int,
) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { cuStreamCreate(stream, flags) }
}

/// Destroys a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamDestroy_v2(stream: *mut c_void) -> Status {
    call(|_| match handles(|h| h.streams.remove(&(stream as usize))) {
        Some(()) => Ok(()),
        None => Err(CudaError::ERROR_INVALID_HANDLE),
    })
}

/// Waits for a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamSynchronize(stream: *mut c_void) -> Status {
    call(|driver| {
        stream_exists(stream)?;
        driver.recorder.request(Request::WaitStream, 0);
        Ok(())
    })
}

/// Returns whether a stream has finished, which is always true.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamQuery(stream: *mut c_void) -> Status {
    call(|_| stream_exists(stream))
}

/// Makes a stream wait for an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamWaitEvent(stream: *mut c_void, of: *mut c_void, _: c_uint) -> Status {
    call(|_| {
        stream_exists(stream)?;
        event(of, |_| Ok(()))
    })
}

/// Makes an event.
///
/// # Safety
/// `to` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventCreate(to: *mut *mut c_void, _: c_uint) -> Status {
    call(|_| {
        let handle = handles(|h| {
            let handle = h.new_handle();
            h.events.insert(handle, None);
            handle
        });
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { put(to, handle as *mut c_void) }
    })
}

/// Records an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventRecord(of: *mut c_void, stream: *mut c_void) -> Status {
    call(|driver| {
        stream_exists(stream)?;
        driver.recorder.request(Request::RecordEvent, 0);
        event(of, |time| {
            *time = Some(Instant::now());
            Ok(())
        })
    })
}

/// Waits for an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventSynchronize(of: *mut c_void) -> Status {
    call(|driver| {
        driver.recorder.request(Request::WaitEvent, 0);
        event(of, |_| Ok(()))
    })
}

/// Returns whether an event has happened, which is always true.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventQuery(of: *mut c_void) -> Status {
    call(|_| event(of, |_| Ok(())))
}

/// Destroys an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventDestroy_v2(of: *mut c_void) -> Status {
    call(|_| match handles(|h| h.events.remove(&(of as usize))) {
        Some(_) => Ok(()),
        None => Err(CudaError::ERROR_INVALID_HANDLE),
    })
}

/// Returns the milliseconds between two events.
///
/// # Safety
/// `milliseconds` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventElapsedTime(
    milliseconds: *mut f32,
    start: *mut c_void,
    end: *mut c_void,
) -> Status {
    call(|_| {
        let (start, end) = (event(start, |t| Ok(*t))?, event(end, |t| Ok(*t))?);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(CudaError::ERROR_INVALID_HANDLE);
        };
        // SAFETY: guaranteed by this function's safety requirements.
        unsafe { put(milliseconds, end.saturating_duration_since(start).as_secs_f32() * 1e3) }
    })
}

/// Returns the milliseconds between two events.
///
/// # Safety
/// `milliseconds` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventElapsedTime_v2(
    milliseconds: *mut f32,
    start: *mut c_void,
    end: *mut c_void,
) -> Status {
    // SAFETY: guaranteed by this function's safety requirements.
    unsafe { cuEventElapsedTime(milliseconds, start, end) }
}
