//! Sets of frames, stored as ranges.

use std::ops::Range;

/// Frames in ascending order, as ranges of which no two touch. Memory use grows with the ranges,
/// not with the frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<Range<usize>>);

impl Spans {
    /// Adds a frame after all frames already in the set.
    pub(crate) fn push(&mut self, frame: usize) {
        match self.0.last_mut() {
            Some(last) if last.end == frame => last.end += 1,
            _ => self.0.push(frame..frame + 1),
        }
    }

    /// Returns the ranges.
    pub(crate) fn ranges(&self) -> &[Range<usize>] {
        &self.0
    }

    /// Returns the number of frames.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }

    /// Returns the number of frames that lie in `frames`.
    pub(crate) fn count_within(&self, frames: &Range<usize>) -> usize {
        let first = self.0.partition_point(|range| range.end <= frames.start);
        let within = self.0[first..].iter().take_while(|range| range.start < frames.end);
        within.map(|range| range.end.min(frames.end) - range.start.max(frames.start)).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ranges for drawing: those closer than `gap` frames are merged.
    pub(crate) fn joined(&self, gap: usize) -> Vec<Range<usize>> {
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in &self.0 {
            match joined.last_mut() {
                Some(last) if range.start - last.end < gap => last.end = range.end,
                _ => joined.push(range.clone()),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn spans_hold_the_frames_that_were_pushed(frames in prop::collection::btree_set(0_usize..200, 0..100)) {
            let mut spans = Spans::default();
            frames.iter().for_each(|&frame| spans.push(frame));
            let back: BTreeSet<usize> = spans.ranges().iter().cloned().flatten().collect();
            prop_assert_eq!(&back, &frames);
            prop_assert_eq!(spans.count(), frames.len());
            prop_assert!(spans.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
            for window in [0..200, 30..31, 50..120, 190..300] {
                let within = frames.range(window.clone()).count();
                prop_assert_eq!(spans.count_within(&window), within);
            }
            prop_assert_eq!(spans.joined(0), spans.ranges());
            let apart = spans.joined(5);
            prop_assert!(apart.windows(2).all(|pair| pair[0].end + 5 <= pair[1].start));
        }
    }
}
