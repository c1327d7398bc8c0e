//! Predicts the next frames from the requests so far, which may come from several readers at once.
//!
//! Requests do not name their reader: two sessions, or one session that alternates between two
//! places, look like one sequence of jumps. So requests are grouped by the stream they continue,
//! not by their sender. A request that lies one step from a recent one, or that repeats a stride,
//! begins a *stream*. From then on, each request for the stream's next frame advances it. A stream
//! expires when no request advances it. A request that continues no stream does not start one:
//! after a jump, no frame is predicted until a new direction appears.
//!
//! Frames can be requested in several kinds (original or scaled). A reader is expected to stay with
//! the kind in which it began, so requests of different kinds are tracked separately.

use std::collections::VecDeque;

/// The largest stride that counts as a direction. Beyond it, reading ahead costs more decoding than
/// it can save.
const MAX_STRIDE: isize = 64;

/// Number of requests remembered for finding a direction. It is also the number of readers that can
/// take turns and still be told apart.
const HISTORY: usize = 6;

/// Largest number of readers followed: each one costs memory for the frames ahead of it.
const MAX_STREAMS: usize = 4;

/// A stream expires after this many other requests since it last advanced.
const PATIENCE: u64 = 48;

/// A reader and its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stream<K> {
    kind: K,
    /// The frame requested last.
    last: usize,
    /// Step from one frame to the next; never 0.
    stride: isize,
    /// The number of the request that last advanced the stream.
    moved_at: u64,
}

impl<K> Stream<K> {
    /// Returns the frame `steps` further on, if it lies in `0..count`.
    fn ahead(&self, steps: usize, count: usize) -> Option<usize> {
        let distance = self.stride.checked_mul(isize::try_from(steps).ok()?)?;
        self.last.checked_add_signed(distance).filter(|&index| index < count)
    }
}

/// The directions of travel, learned from the order of requests.
#[derive(Debug)]
pub(crate) struct Travel<K = ()> {
    /// Recent requests, latest first, without immediate repetitions.
    recent: VecDeque<(K, usize)>,
    /// The streams, the most recently advanced first.
    streams: Vec<Stream<K>>,
    requests: u64,
}

impl<K> Default for Travel<K> {
    fn default() -> Self {
        Self { recent: VecDeque::new(), streams: Vec::new(), requests: 0 }
    }
}

impl Travel {
    /// Same as [`Travel::note_kind`], for readers with only one kind.
    #[cfg(any(feature = "video", test))]
    pub(crate) fn note(&mut self, index: usize) -> Option<isize> {
        self.note_kind((), index)
    }
}

impl<K: Copy + PartialEq> Travel<K> {
    /// Records a request for frame `index`. Returns the stride of the stream that it belongs to, if
    /// any.
    pub(crate) fn note_kind(&mut self, kind: K, index: usize) -> Option<isize> {
        let known = self
            .streams
            .iter()
            .position(|stream| stream.kind == kind && stream.ahead(1, usize::MAX) == Some(index));
        if known.is_none() && self.recent.front() == Some(&(kind, index)) {
            // Requesting the same frame again, for example for the overlay, says nothing about the
            // direction.
            let first = self.streams.first();
            return first.filter(|s| s.kind == kind && s.last == index).map(|s| s.stride);
        }
        self.requests += 1;
        let stride = match known {
            Some(number) => Some(self.streams.remove(number).stride),
            None => self.guess(kind, index),
        };
        self.recent.push_front((kind, index));
        self.recent.truncate(HISTORY);
        let now = self.requests;
        if let Some(stride) = stride {
            // A new direction from the last frame of a stream means that its reader turned round:
            // the old stream ends.
            let origin = index.checked_add_signed(-stride);
            self.streams.retain(|stream| {
                known.is_some() || stream.kind != kind || Some(stream.last) != origin
            });
            self.streams.insert(0, Stream { kind, last: index, stride, moved_at: now });
            self.streams.truncate(MAX_STREAMS);
        }
        self.streams.retain(|stream| now - stream.moved_at <= PATIENCE);
        stride
    }

    /// Returns the stride by which a reader may have come to `index`.
    ///
    /// A step of one is accepted at once, since that is how propagation reads. Longer strides are
    /// accepted when they occur twice in a row.
    fn guess(&self, kind: K, index: usize) -> Option<isize> {
        if self.recent.is_empty() {
            // Nothing is known yet; most clips are read forward from wherever reading starts.
            return Some(1);
        }
        let was_recent =
            |frame: Option<usize>| frame.is_some_and(|f| self.recent.contains(&(kind, f)));
        let of_kind = self.recent.iter().filter(|(other, _)| *other == kind);
        let steps = of_kind.map(|&(_, from)| index as isize - from as isize);
        let single = steps.clone().find(|step| step.abs() == 1);
        single.or_else(|| {
            steps.into_iter().filter(|step| (2..=MAX_STRIDE).contains(&step.abs())).find(|&step| {
                let from = index.checked_add_signed(-step);
                let before = from.and_then(|from| from.checked_add_signed(-step));
                // A reader with steps of one that skips a frame does not have a longer stride.
                let between = from.and_then(|from| from.checked_add_signed(-step.signum()));
                was_recent(before) && !was_recent(between)
            })
        })
    }

    /// Returns the next predicted frames, at most `ahead` for each reader, all below `count`. The
    /// nearest come first; among equally near frames, that of the most recently advanced reader.
    pub(crate) fn upcoming(
        &self,
        ahead: usize,
        count: usize,
    ) -> impl Iterator<Item = (K, usize)> + '_ {
        let at = move |s: &Stream<K>, steps| Some((s.kind, s.ahead(steps, count)?));
        (1..=ahead).flat_map(move |steps| self.streams.iter().filter_map(move |s| at(s, steps)))
    }

    /// Returns the number of readers followed.
    pub(crate) fn readers(&self) -> usize {
        self.streams.len()
    }

    /// Forgets everything, and predicts nothing until the next request.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn travel(requests: &[usize]) -> Travel {
        let mut travel = Travel::default();
        for &index in requests {
            travel.note(index);
        }
        travel
    }

    fn upcoming(travel: &Travel, ahead: usize, count: usize) -> Vec<usize> {
        travel.upcoming(ahead, count).map(|((), index)| index).collect()
    }

    fn after(requests: &[usize]) -> Vec<usize> {
        upcoming(&travel(requests), 3, 100)
    }

    #[test]
    fn follows_forward_reverse_and_strides() {
        assert!(after(&[]).is_empty());
        assert_eq!(after(&[5]), [6, 7, 8]);
        assert_eq!(after(&[5, 6]), [7, 8, 9]);
        assert_eq!(after(&[5, 6, 6]), [7, 8, 9]);
        assert_eq!(after(&[5, 4]), [3, 2, 1]);
        assert_eq!(after(&[10, 11, 10]), [9, 8, 7]);
        assert_eq!(travel(&[10, 20]).note(30), Some(10));
        assert_eq!(travel(&[30, 20]).note(10), Some(-10));
        assert_eq!(travel(&[8, 9, 10]).note(12), None, "a gap is no stride");
    }

    #[test]
    fn a_first_guess_that_proves_wrong_is_forgotten() {
        // The reader that was expected to continue from 10 moved on by 20 instead.
        let mut travel = travel(&[10, 20, 30]);
        assert_eq!(upcoming(&travel, 1, 100), [40, 11]);
        for index in [40, 50, 60, 70].into_iter().chain(71..120) {
            travel.note(index);
        }
        assert_eq!(travel.readers(), 1);
    }

    #[test]
    fn stops_at_the_ends() {
        assert_eq!(after(&[98]), [99]);
        assert_eq!(after(&[2, 1]), [0]);
    }

    #[test]
    fn random_access_is_no_travel() {
        let mut travel = travel(&[0]);
        let mut followed = 0;
        for round in 0..200_usize {
            followed += usize::from(travel.note((round * 617 + 13) % 1000).is_some());
        }
        assert_eq!((followed, travel.readers()), (0, 0));
    }

    #[test]
    fn readers_that_take_turns_are_told_apart() {
        let mut travel = Travel::default();
        for step in 0..20 {
            let strides =
                [travel.note(100 + step), travel.note(90 - step), travel.note(500 + 3 * step)];
            if step > 1 {
                assert_eq!(strides, [Some(1), Some(-1), Some(3)], "step {step}");
            }
        }
        assert_eq!(travel.readers(), 3);
        assert_eq!(upcoming(&travel, 2, 1000), [560, 70, 120, 563, 69, 121]);
    }

    #[test]
    fn readers_that_meet_go_on() {
        let mut travel = Travel::default();
        for step in 0..20 {
            let mut strides = [travel.note(step), travel.note(20 - step)];
            // Where they meet they cannot be told apart, and it does not matter.
            strides.sort_unstable();
            assert!(step < 2 || strides == [Some(-1), Some(1)], "step {step}: {strides:?}");
        }
        assert_eq!(travel.readers(), 2);
    }

    #[test]
    fn a_slow_reader_is_not_forgotten_beside_a_fast_one() {
        let mut travel = Travel::default();
        travel.note(900);
        let mut place = 0;
        for step in 1..10 {
            for _ in 0..20 {
                place += 1;
                travel.note(place);
            }
            assert_eq!(travel.note(900 + step), Some(1));
        }
    }

    #[test]
    fn kinds_have_nothing_to_do_with_each_other() {
        let mut travel = Travel::default();
        for step in 0..5 {
            assert_eq!(travel.note_kind('a', 50 + step), Some(1));
            // An occasional request for the same frame in another kind, as for an overview, is not
            // a direction.
            assert_eq!(travel.note_kind('b', 50 + step), if step < 1 { None } else { Some(1) });
        }
        assert_eq!(travel.note_kind('c', 56), None, "one step from the others, but not their kind");
        let upcoming: Vec<_> = travel.upcoming(1, 100).collect();
        assert_eq!(upcoming, [('b', 55), ('a', 55)]);
    }
}
