//! When the device's memory does not suffice: less at a time, and only then an error.

use std::num::NonZeroUsize;

use crate::error::EngineError;
use crate::session::SessionOptions;

/// Halves what is in flight for `objects` objects: those that go through the model at a time, and the encoded frames that are kept. The
/// masks stay the same, it only takes longer. `None` if there is nothing left to halve.
pub(super) fn halved(options: SessionOptions, objects: usize) -> Option<SessionOptions> {
    let at_a_time = at_a_time(options, objects);
    let cached = options.feature_cache_frames.max(1);
    if at_a_time == 1 && cached == 1 {
        return None;
    }
    Some(SessionOptions {
        objects_per_pass: NonZeroUsize::new((at_a_time / 2).max(1)),
        feature_cache_frames: (cached / 2).max(1),
        ..options
    })
}

/// Objects that go through the model at a time, at most.
pub(super) fn at_a_time(options: SessionOptions, objects: usize) -> usize {
    let objects = objects.max(1);
    options.objects_per_pass.map_or(objects, |most| most.get().min(objects))
}

/// Calls `attempt` with `options`, and as long as the device's memory does not suffice with ever less in flight, and what the device said.
/// What the last attempt was made with is left in `options`, since what failed once will fail again.
pub(super) fn with_less_in_flight<T>(
    options: &mut SessionOptions,
    objects: usize,
    mut attempt: impl FnMut(SessionOptions, Option<String>) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let mut reason = None;
    loop {
        let error = match attempt(*options, reason.take()) {
            Err(error) if error.is_out_of_memory() => error,
            other => return other,
        };
        let Some(less) = halved(*options, objects) else {
            return Err(EngineError::DeviceMemory {
                objects: at_a_time(*options, objects),
                cached: options.feature_cache_frames.max(1),
                source: Box::new(error),
            });
        };
        reason = Some(error.to_string());
        *options = less;
    }
}

/// A device that is too small, for tests.
#[cfg(test)]
pub(super) mod injected {
    use std::cell::Cell;

    use super::{SessionOptions, at_a_time};
    use crate::error::EngineError;

    thread_local! {
        /// Room for so many objects at a time; more of them fail on the frame given.
        pub static ROOM: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
    }

    pub fn check(options: SessionOptions, objects: usize, frame: usize) -> Result<(), EngineError> {
        match ROOM.get() {
            Some((room, at)) if at == frame && at_a_time(options, objects) > room => {
                Err(EngineError::Device("out of memory: 3.2 GB wanted, 1.1 GB free".into()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> EngineError {
        EngineError::Device("CUDA_ERROR_OUT_OF_MEMORY: 3.2 GB wanted, 1.1 GB free".into())
    }

    /// Objects at a time and cached frames of each attempt, if the device has room for `room` objects.
    fn attempts(cached: usize, objects: usize, room: usize) -> (Vec<(usize, usize)>, bool) {
        let mut options = SessionOptions { feature_cache_frames: cached, ..Default::default() };
        let mut made = Vec::new();
        let result = with_less_in_flight(&mut options, objects, |options, _| {
            let tried = at_a_time(options, objects);
            made.push((tried, options.feature_cache_frames));
            if tried <= room { Ok(()) } else { Err(full()) }
        });
        (made, result.is_ok())
    }

    #[test]
    fn what_is_in_flight_is_halved_until_it_fits() {
        assert_eq!(attempts(1, 9, 9), (vec![(9, 1)], true));
        assert_eq!(attempts(4, 9, 2), (vec![(9, 4), (4, 2), (2, 1)], true));
        assert_eq!(attempts(1, 1, 0), (vec![(1, 1)], false));
        assert_eq!(attempts(5, 3, 0), (vec![(3, 5), (1, 2), (1, 1)], false));
    }

    #[test]
    fn the_last_error_has_the_numbers_and_other_errors_are_not_tried_again() {
        let mut options = SessionOptions::default();
        let mut told = 0;
        let failed: Result<(), _> = with_less_in_flight(&mut options, 2, |_, reason| {
            told += usize::from(reason.is_some_and(|reason| reason.contains("3.2 GB")));
            Err(full())
        });
        let message = failed.unwrap_err().to_string();
        for part in ["1 object", "3.2 GB wanted"] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(told, 1);
        let mut tries = 0;
        let failed: Result<(), _> = with_less_in_flight(&mut options, 8, |_, _| {
            tries += 1;
            Err(EngineError::NoPrompts)
        });
        assert!(matches!(failed, Err(EngineError::NoPrompts)));
        assert_eq!(tries, 1);
    }
}
