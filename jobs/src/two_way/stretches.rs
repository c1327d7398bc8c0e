//! Which frames are tracked in reverse before which are tracked forward.

use std::collections::BTreeMap;

use sam2_engine::ObjectId;

/// The prompted frames of every object, and how far its masks from the other side are known.
///
/// Objects may be prompted on different frames. A stretch begins at the next frame to write, and ends
/// where the masks from the other side are no longer known of some object.
pub(super) struct Stretches {
    /// Prompted frames, ascending.
    prompts: BTreeMap<ObjectId, Vec<usize>>,
    /// The last prompted frame from which each object was tracked in reverse.
    covered: BTreeMap<ObjectId, usize>,
}

/// Frames to be written next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The first.
    pub(super) first: usize,
    /// The last, inclusive.
    pub(super) last: usize,
    /// The pass that is needed first; `None` if what is needed is known.
    pub(super) reverse: Option<ReversePass>,
}

/// A pass in reverse down to the first frame of a stretch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReversePass {
    /// The frame where it begins.
    pub(super) from: usize,
    /// The objects that it is for. Masks are new from the first frame of each on.
    pub(super) objects: BTreeMap<ObjectId, NewPart>,
}

/// What a reverse pass tells about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewPart {
    /// The first frame whose mask was not known before.
    pub(super) first: usize,
    /// The last of the object's prompted frames in the pass.
    pub(super) last_prompt: usize,
}

impl Stretches {
    pub(super) fn new(prompts: BTreeMap<ObjectId, Vec<usize>>) -> Self {
        Self { prompts, covered: BTreeMap::new() }
    }

    /// Returns the prompted frames of every object, ascending.
    pub(super) fn prompts(&self) -> &BTreeMap<ObjectId, Vec<usize>> {
        &self.prompts
    }

    /// Returns the prompted frame at or before `frame`.
    pub(super) fn behind(&self, object: ObjectId, frame: usize) -> Option<usize> {
        let prompts = self.prompts.get(&object)?;
        let after = prompts.partition_point(|&prompt| prompt <= frame);
        after.checked_sub(1).and_then(|before| prompts.get(before)).copied()
    }

    /// Returns the prompted frame after `frame`.
    pub(super) fn ahead(&self, object: ObjectId, frame: usize) -> Option<usize> {
        let prompts = self.prompts.get(&object)?;
        prompts.get(prompts.partition_point(|&prompt| prompt <= frame)).copied()
    }

    /// Returns the middle between the prompts on both sides of a frame.
    pub(super) fn middle(&self, object: ObjectId, frame: usize) -> f32 {
        let behind = self.behind(object, frame).unwrap_or(frame);
        let ahead = self.ahead(object, frame).unwrap_or(frame);
        (behind + ahead) as f32 / 2.0
    }

    /// Adds a prompted frame, between frames that are tracked already.
    pub(super) fn add(&mut self, object: ObjectId, frame: usize) {
        let prompts = self.prompts.entry(object).or_default();
        let place = prompts.partition_point(|&prompt| prompt < frame);
        if prompts.get(place) != Some(&frame) {
            prompts.insert(place, frame);
        }
    }

    /// Returns true if an object was tracked in reverse from its prompt on `frame`.
    pub(super) fn is_known(&self, object: ObjectId, frame: usize) -> bool {
        self.covered.get(&object).is_some_and(|&covered| covered >= frame)
    }

    /// Returns true if no prompt lies after `frame`.
    pub(super) fn is_last(&self, frame: usize) -> bool {
        self.prompts.keys().all(|&object| self.ahead(object, frame).is_none())
    }

    /// Returns the stretch that begins at `first`, which ends before frame `end` at the latest.
    pub(super) fn next(&mut self, first: usize, end: usize) -> Stretch {
        let known = |covered: &BTreeMap<ObjectId, usize>, object| {
            covered.get(&object).copied().filter(|&covered| covered > first)
        };
        let next_prompt = |covered: &BTreeMap<ObjectId, usize>, object| {
            self.ahead(object, known(covered, object).unwrap_or(first))
        };
        let objects: Vec<ObjectId> = self.prompts.keys().copied().collect();
        let needed = objects
            .iter()
            .filter(|&&object| known(&self.covered, object).is_none())
            .filter_map(|&object| next_prompt(&self.covered, object))
            .max();
        let mut reverse = None;
        if let Some(from) = needed {
            // An object whose turn comes soon is taken along, so that frames are not encoded again
            // for it alone.
            let soon = from.saturating_add(from - first);
            let taken: BTreeMap<ObjectId, usize> = objects
                .iter()
                .filter_map(|&object| Some((object, next_prompt(&self.covered, object)?)))
                .filter(|(_, prompt)| *prompt <= soon)
                .collect();
            let from = taken.values().copied().max().unwrap_or(from);
            let part = |(&object, _): (&ObjectId, &usize)| {
                let covered = self.covered.get(&object).filter(|&&covered| covered >= first);
                let first = covered.map_or(first, |covered| covered + 1);
                let last_prompt = self.behind(object, from).unwrap_or(from);
                (object, NewPart { first, last_prompt })
            };
            let objects: BTreeMap<_, _> = taken.iter().map(part).collect();
            for (&object, part) in &objects {
                self.covered.insert(object, part.last_prompt);
            }
            reverse = Some(ReversePass { from, objects });
        }
        let known = |object: &ObjectId| {
            self.covered.get(object).copied().filter(|&covered| covered > first)
        };
        // Up to the prompt at which an object's masks from the other side run out; behind the last
        // prompts there is no other side.
        let runs_out = objects.iter().filter_map(|object| {
            let covered = known(object)?;
            self.ahead(*object, covered).map(|_| covered)
        });
        let last = runs_out.min().or_else(|| objects.iter().filter_map(known).max());
        let last = last.map_or(end, |last| last.saturating_add(1)).min(end).max(first + 1) - 1;
        Stretch { first, last, reverse }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stretches(prompts: &[&[usize]]) -> Stretches {
        let numbered = (1..).map(ObjectId).zip(prompts.iter().map(|frames| frames.to_vec()));
        Stretches::new(numbered.collect())
    }

    /// Returns first frame, last frame and beginning of the reverse pass of every stretch.
    fn all(prompts: &[&[usize]], end: usize) -> Vec<(usize, usize, Option<usize>)> {
        let (mut stretches, mut found, mut next) = (stretches(prompts), Vec::new(), 0);
        while next < end {
            let stretch = stretches.next(next, end);
            found.push((next, stretch.last, stretch.reverse.map(|pass| pass.from)));
            next = stretch.last + 1;
        }
        found
    }

    #[test]
    fn one_object_goes_from_prompt_to_prompt() {
        let found = all(&[&[10, 50, 90]], 120);
        let expected = [(0, 10, Some(10)), (11, 50, Some(50)), (51, 90, Some(90)), (91, 119, None)];
        assert_eq!(found, expected);
        // A prompt on the first frame needs no pass of its own.
        assert_eq!(all(&[&[0, 50]], 60), [(0, 50, Some(50)), (51, 59, None)]);
        assert_eq!(all(&[&[0]], 60), [(0, 59, None)]);
        assert_eq!(all(&[], 60), [(0, 59, None)]);
        // A part that ends between two prompts needs the second.
        assert_eq!(all(&[&[0, 50]], 30), [(0, 29, Some(50))]);
    }

    #[test]
    fn objects_prompted_on_other_frames_go_together() {
        let found = all(&[&[10, 410, 810], &[30, 430, 830]], 900);
        let expected =
            [(0, 10, Some(30)), (11, 410, Some(430)), (411, 830, Some(830)), (831, 899, None)];
        assert_eq!(found, expected);
        // One is prompted every 400 frames, the other only once, far ahead.
        let found = all(&[&[0, 400, 800, 1200], &[1100]], 1300);
        assert_eq!(found, [(0, 800, Some(1100)), (801, 1200, Some(1200)), (1201, 1299, None)]);
    }

    proptest! {
        #[test]
        fn every_frame_is_written_once_and_has_what_it_needs(
            prompts in prop::collection::vec(prop::collection::btree_set(0_usize..60, 0..6), 1..4),
            end in 1_usize..70,
        ) {
            let prompts: Vec<Vec<usize>> =
                prompts.into_iter().map(|frames| frames.into_iter().collect()).collect();
            let slices: Vec<&[usize]> = prompts.iter().map(Vec::as_slice).collect();
            let mut stretches = stretches(&slices);
            let mut known = vec![[0_usize; 70]; prompts.len()];
            let mut next = 0;
            while next < end {
                let stretch = stretches.next(next, end);
                prop_assert!(stretch.first == next && (next..end).contains(&stretch.last));
                if let Some(pass) = &stretch.reverse {
                    for (object, part) in &pass.objects {
                        let index = object.0 as usize - 1;
                        prop_assert!(prompts[index].contains(&part.last_prompt));
                        prop_assert!(part.last_prompt <= pass.from && part.first >= next);
                        known[index][part.first..=part.last_prompt].iter_mut().for_each(|n| *n += 1);
                    }
                }
                for (frames, known) in prompts.iter().zip(&known) {
                    for (frame, &times) in known.iter().enumerate() {
                        let needs = (next..=stretch.last).contains(&frame)
                            && !frames.contains(&frame)
                            && frames.iter().any(|&prompt| prompt > frame);
                        prop_assert!(!needs || times == 1, "frame {frame} of {frames:?}");
                    }
                }
                next = stretch.last + 1;
            }
            // Nothing is tracked in reverse twice.
            prop_assert!(known.iter().flatten().all(|&times| times <= 1));
        }
    }
}
