//! Streams and events. Every launch and copy is done when its call returns, so there is never anything to wait for.

use std::collections::HashMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use super::error::put;
use super::recorder::Request;
use super::{CudaError, Status, call};

/// Handles that are in use: for an event, when it was recorded.
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

/// The default streams are always there.
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
/// `stream` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut *mut c_void, _: c_uint) -> Status {
    call(|_| {
        let handle = handles(|h| {
            let handle = h.new_handle();
            h.streams.insert(handle, ());
            handle
        });
        // SAFETY: as this function requires.
        unsafe { put(stream, handle as *mut c_void) }
    })
}

/// Makes a stream with a priority, which changes nothing.
///
/// # Safety
/// `stream` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreateWithPriority(
    stream: *mut *mut c_void,
    flags: c_uint,
    _: c_int,
) -> Status {
    // SAFETY: as this function requires.
    unsafe { cuStreamCreate(stream, flags) }
}

/// Ends a stream.
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

/// Asks whether a stream has done everything: it has.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamQuery(stream: *mut c_void) -> Status {
    call(|_| stream_exists(stream))
}

/// Lets a stream wait for an event.
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
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventCreate(to: *mut *mut c_void, _: c_uint) -> Status {
    call(|_| {
        let handle = handles(|h| {
            let handle = h.new_handle();
            h.events.insert(handle, None);
            handle
        });
        // SAFETY: as this function requires.
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

/// Asks whether an event has happened: it has.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventQuery(of: *mut c_void) -> Status {
    call(|_| event(of, |_| Ok(())))
}

/// Ends an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventDestroy_v2(of: *mut c_void) -> Status {
    call(|_| match handles(|h| h.events.remove(&(of as usize))) {
        Some(_) => Ok(()),
        None => Err(CudaError::ERROR_INVALID_HANDLE),
    })
}

/// Gives the milliseconds between two events.
///
/// # Safety
/// `milliseconds` is null or can be written.
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
        // SAFETY: as this function requires.
        unsafe { put(milliseconds, end.saturating_duration_since(start).as_secs_f32() * 1e3) }
    })
}

/// Gives the milliseconds between two events.
///
/// # Safety
/// `milliseconds` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventElapsedTime_v2(
    milliseconds: *mut f32,
    start: *mut c_void,
    end: *mut c_void,
) -> Status {
    // SAFETY: as this function requires.
    unsafe { cuEventElapsedTime(milliseconds, start, end) }
}
