//! State of each frame, in memory that does not grow with the number of frames.

use std::collections::BTreeMap;

/// A value for each of some frames, stored as runs of equal values.
///
/// Frames are tracked in order, so a recording of any length is one run, plus a few for each prompt
/// or new start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRuns<T> {
    /// First frame of a run to its last frame and its value; runs do not overlap, and adjacent runs
    /// differ in value.
    runs: BTreeMap<usize, (usize, T)>,
}

impl<T> Default for FrameRuns<T> {
    fn default() -> Self {
        Self { runs: BTreeMap::new() }
    }
}

impl<T: Copy + PartialEq> FrameRuns<T> {
    /// Returns the frame's value, if it has one.
    pub(super) fn get(&self, frame: usize) -> Option<T> {
        self.run_around(frame).map(|(_, _, value)| value)
    }

    /// Sets a frame's value, or removes it with `None`.
    pub fn set(&mut self, frame: usize, value: Option<T>) {
        if self.get(frame) == value {
            return;
        }
        if let Some((first, last, old)) = self.run_around(frame) {
            self.runs.remove(&first);
            if first < frame {
                self.runs.insert(first, (frame - 1, old));
            }
            if frame < last {
                self.runs.insert(frame + 1, (last, old));
            }
        }
        if let Some(value) = value {
            self.join(frame, value);
        }
    }

    /// Inserts a frame that is in no run, and merges it with neighbours of the same value.
    fn join(&mut self, frame: usize, value: T) {
        let (mut first, mut last) = (frame, frame);
        let before = frame.checked_sub(1).and_then(|before| self.run_around(before));
        if let Some((start, _, _)) = before.filter(|run| run.2 == value) {
            self.runs.remove(&start);
            first = start;
        }
        let after = frame.checked_add(1).and_then(|after| self.run_around(after));
        if let Some((start, end, _)) = after.filter(|run| run.2 == value) {
            self.runs.remove(&start);
            last = end;
        }
        self.runs.insert(first, (last, value));
    }

    /// Appends a run after all others. The error says why the run is invalid.
    pub(super) fn push_run(
        &mut self,
        first: usize,
        last: usize,
        value: T,
    ) -> Result<(), &'static str> {
        let end = self.runs.last_key_value().map(|(_, &(end, old))| (end, old));
        if first > last || end.is_some_and(|(end, _)| end >= first) {
            return Err("the history is out of order");
        }
        if end.is_some_and(|(end, old)| end + 1 == first && old == value) {
            return Err("the history is in pieces");
        }
        self.runs.insert(first, (last, value));
        Ok(())
    }

    /// Removes the values of all frames before `first`.
    pub(super) fn forget_before(&mut self, first: usize) {
        let kept = self.runs.split_off(&first);
        let cut = self.runs.pop_last().filter(|(_, (last, _))| *last >= first);
        self.runs = kept;
        if let Some((_, run)) = cut {
            self.runs.insert(first, run);
        }
    }

    /// Removes the values of the frames from `first` to `last`, inclusive.
    pub(super) fn clear(&mut self, first: usize, last: usize) {
        let mut rest = self.clone();
        self.cut_from(first);
        if let Some(next) = last.checked_add(1) {
            rest.forget_before(next);
            self.runs.append(&mut rest.runs);
        }
    }

    /// Removes the values of `first` and all later frames.
    fn cut_from(&mut self, first: usize) {
        self.runs.split_off(&first);
        if let (Some((_, run)), Some(before)) =
            (self.runs.iter_mut().next_back(), first.checked_sub(1))
        {
            run.0 = run.0.min(before);
        }
    }

    /// Returns first frame, last frame and value of every run, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, T)> + '_ {
        self.runs.iter().map(|(&first, &(last, value))| (first, last, value))
    }

    /// Returns the number of runs, to which the memory in use is proportional.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    fn run_around(&self, frame: usize) -> Option<(usize, usize, T)> {
        let (&first, &(last, value)) = self.runs.range(..=frame).next_back()?;
        (frame <= last).then_some((first, last, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn runs(runs: &FrameRuns<u8>) -> Vec<(usize, usize, u8)> {
        runs.iter().collect()
    }

    #[test]
    fn frames_in_a_row_are_one_run() {
        let mut all = FrameRuns::default();
        (0..20_000).for_each(|frame| all.set(frame, Some(1)));
        assert_eq!(runs(&all), [(0, 19_999, 1)]);
        all.set(7, Some(2));
        all.set(9, None);
        assert_eq!(runs(&all), [(0, 6, 1), (7, 7, 2), (8, 8, 1), (10, 19_999, 1)]);
        all.set(7, Some(1));
        all.set(9, Some(1));
        assert_eq!(runs(&all), [(0, 19_999, 1)]);
        all.forget_before(5);
        assert_eq!(runs(&all), [(5, 19_999, 1)]);
        all.set(usize::MAX, Some(1));
        all.forget_before(20_000);
        assert_eq!(runs(&all), [(usize::MAX, usize::MAX, 1)]);
    }

    proptest! {
        #[test]
        fn runs_answer_as_a_vector_does(
            changes in prop::collection::vec((0_usize..24, prop::option::of(0_u8..2)), 0..60),
            cut in 0_usize..26,
            hole in (0_usize..26, 0_usize..26),
        ) {
            let mut all = FrameRuns::default();
            let mut plain = [None; 24];
            for (frame, value) in changes {
                all.set(frame, value);
                plain[frame] = value;
                for (frame, expected) in plain.iter().enumerate() {
                    prop_assert_eq!(all.get(frame), *expected);
                }
                let edges = plain.windows(2).filter(|pair| pair[0] != pair[1]).count();
                prop_assert!(all.len() <= edges + 1);
            }
            all.clear(hole.0, hole.0.max(hole.1));
            let cleared = hole.0..=hole.0.max(hole.1);
            for (frame, value) in plain.iter_mut().enumerate() {
                *value = value.filter(|_| !cleared.contains(&frame));
                prop_assert_eq!(all.get(frame), *value);
            }
            all.forget_before(cut);
            plain.iter_mut().take(cut).for_each(|value| *value = None);
            for (frame, expected) in plain.iter().enumerate() {
                prop_assert_eq!(all.get(frame), *expected);
            }
        }
    }
}
