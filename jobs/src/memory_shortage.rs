//! Reduces what is in flight when the device's memory does not suffice, and fails only when nothing
//! is left to reduce.

use std::num::NonZeroUsize;

use crate::error::JobError;
use sam2_engine::SessionOptions;

/// Halves what is in flight for `objects` objects: the number that go through the model at a time,
/// and the number of encoded frames that are kept. The masks stay the same; the job only takes
/// longer. Returns `None` if there is nothing left to halve.
pub(super) fn halved(options: SessionOptions, objects: usize) -> Option<SessionOptions> {
    let at_a_time = at_a_time(options, objects);
    let cached = options.limits.feature_cache_frames.max(1);
    if at_a_time == 1 && cached == 1 {
        return None;
    }
    Some(
        options
            .objects_per_pass(NonZeroUsize::new((at_a_time / 2).max(1)))
            .feature_cache_frames((cached / 2).max(1)),
    )
}

/// Returns the largest number of objects that go through the model at a time.
pub(super) fn at_a_time(options: SessionOptions, objects: usize) -> usize {
    let objects = objects.max(1);
    options.limits.objects_per_pass.map_or(objects, |most| most.get().min(objects))
}

/// Calls `attempt` with `options`. While the device's memory does not suffice, calls it again with
/// less in flight and with the device's error. Leaves the options of the last attempt in `options`,
/// since what failed once will fail again.
pub(super) fn with_less_in_flight<T>(
    options: &mut SessionOptions,
    objects: usize,
    mut attempt: impl FnMut(SessionOptions, Option<String>) -> Result<T, JobError>,
) -> Result<T, JobError> {
    let mut reason = None;
    loop {
        let error = match attempt(*options, reason.take()) {
            Err(error) if error.is_out_of_memory() => error,
            other => return other,
        };
        let Some(less) = halved(*options, objects) else {
            return Err(JobError::DeviceMemory {
                objects: at_a_time(*options, objects),
                cached: options.limits.feature_cache_frames.max(1),
                source: Box::new(error),
            });
        };
        reason = Some(error.to_string());
        *options = less;
    }
}

/// A simulated device that is too small, for tests.
#[cfg(test)]
pub(super) mod injected {
    use std::cell::Cell;

    use super::{SessionOptions, at_a_time};
    use sam2_engine::EngineError;

    use crate::error::JobError;

    thread_local! {
        /// Number of objects at a time for which there is room. More of them fail on the given
        /// frame.
        pub static ROOM: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
    }

    pub fn check(options: SessionOptions, objects: usize, frame: usize) -> Result<(), JobError> {
        match ROOM.get() {
            Some((room, at)) if at == frame && at_a_time(options, objects) > room => {
                Err(EngineError::Device("out of memory: 3.2 GB wanted, 1.1 GB free".into()).into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use sam2_engine::EngineError;

    use super::*;

    fn full() -> JobError {
        EngineError::Device("CUDA_ERROR_OUT_OF_MEMORY: 3.2 GB wanted, 1.1 GB free".into()).into()
    }

    /// Returns objects at a time and cached frames of each attempt, if the device has room for
    /// `room` objects.
    fn attempts(cached: usize, objects: usize, room: usize) -> (Vec<(usize, usize)>, bool) {
        let mut options = SessionOptions::default().feature_cache_frames(cached);
        let mut made = Vec::new();
        let result = with_less_in_flight(&mut options, objects, |options, _| {
            let tried = at_a_time(options, objects);
            made.push((tried, options.limits.feature_cache_frames));
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
            Err(EngineError::NoPrompts.into())
        });
        assert!(matches!(failed, Err(JobError::Engine(EngineError::NoPrompts))));
        assert_eq!(tries, 1);
    }
}
