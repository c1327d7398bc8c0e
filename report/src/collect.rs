//! One pass over the masks of a run.

use std::collections::{BTreeMap, BTreeSet};

use sam2_mask_writer::{LabelledMask, MaskFacts, QualityFlag, RunPrompt};

use crate::candidates::{Candidates, Sight};
use crate::describe::RunDescription;
use crate::error::ReportError;
use crate::object::{ObjectHistory, agreement};
use crate::picture::picture_size;
use crate::report::Report;
use crate::shot::Shot;
use crate::spans::Spans;

/// Limit on the objects that are plotted and drawn; the masks of further objects are only counted.
const MOST_OBJECTS: usize = 64;
/// Number of frames shown because they have a problem.
const WORST_SHOTS: usize = 12;
/// Number of prompted frames shown.
const PROMPTED_SHOTS: usize = 12;
/// Number of frames shown that are spread evenly over the recording.
const EVEN_SHOTS: usize = 8;

/// Totals of the whole run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Number of frames added.
    pub frames: usize,
    /// Number of masks added, including empty ones.
    pub masks: usize,
    /// Number of masks with a flag.
    pub flagged_masks: usize,
    /// Frames with a flagged mask.
    pub flagged: Spans,
    /// Frames in which no object was tracked, because nothing had been prompted.
    pub unprompted: Spans,
    /// Frames in which objects were tracked but no mask has a pixel.
    pub nothing_found: Spans,
    /// Frames with a prompted mask.
    pub prompted: Spans,
    /// Number of masks with each flag, in the order of [`QualityFlag::ALL`].
    pub by_flag: [usize; QualityFlag::ALL.len()],
    /// Objects that are neither plotted nor drawn.
    pub left_out: BTreeSet<u32>,
    /// Number of masks that came with facts about them. The others cannot have a flag.
    pub known: usize,
    /// Number of masks that come from a prompt of their own frame.
    pub prompted_masks: usize,
    /// Number of the other masks that were tracked from two sides, so that their agreement is known.
    pub compared: usize,
}

impl Totals {
    /// Returns the number of frames without a single pixel of any mask, for whatever reason.
    pub(crate) fn empty_frames(&self) -> usize {
        self.unprompted.count() + self.nothing_found.count()
    }

    /// Returns the number of masks with facts that do not come from a prompt of their own frame.
    pub(crate) fn tracked_masks(&self) -> usize {
        self.known - self.prompted_masks
    }

    /// Counts a mask with its facts.
    fn count(&mut self, facts: Option<&MaskFacts>) {
        self.masks += 1;
        let Some(MaskFacts { prompted, flags, .. }) = facts else { return };
        self.known += 1;
        if *prompted {
            self.prompted_masks += 1;
        } else if agreement(facts).is_some() {
            self.compared += 1;
        }
        for (flag, count) in QualityFlag::ALL.into_iter().zip(&mut self.by_flag) {
            *count += usize::from(flags.contains(flag));
        }
        self.flagged_masks += usize::from(!flags.is_empty());
    }
}

/// Takes the masks of a run, frame by frame and in order. Its memory use depends on the number of
/// objects and on how often frames change between flagged and unflagged, not on the length of the
/// recording.
pub struct ReportBuilder {
    run: RunDescription,
    picture: (u32, u32),
    objects: BTreeMap<u32, ObjectHistory>,
    totals: Totals,
    candidates: Candidates,
    prompted: Thinned,
    even: BTreeSet<usize>,
    even_shots: Vec<Shot>,
    last: Option<usize>,
}

impl ReportBuilder {
    /// Starts the report of a run.
    pub fn new(run: RunDescription) -> Self {
        let picture = picture_size(run.size);
        let last = run.frames.len().saturating_sub(1) as u128;
        let even = (0..EVEN_SHOTS).map(|i| (i as u128 * last / (EVEN_SHOTS as u128 - 1)) as usize);
        let even = even.map(|frame| run.frames.start + frame);
        Self {
            picture,
            objects: BTreeMap::new(),
            totals: Totals::default(),
            candidates: Candidates::new(run.frames.clone(), picture),
            prompted: Thinned::default(),
            even: even.collect(),
            even_shots: Vec::new(),
            last: None,
            run,
        }
    }

    /// Adds the masks of the next frame; an empty slice if no object was tracked. Frames may be
    /// missing, as in an interrupted run.
    ///
    /// # Errors
    /// [`ReportError`] if the frame is out of order or not in the run, or if a mask has another
    /// size than the recording's frames.
    pub fn add(&mut self, frame: usize, objects: &[LabelledMask]) -> Result<(), ReportError> {
        if let Some(last) = self.last.filter(|&last| frame <= last) {
            return Err(ReportError::OutOfOrder { last, found: frame });
        }
        if !self.run.frames.contains(&frame) {
            return Err(ReportError::FrameOutOfRange { frame, frames: self.run.frames.clone() });
        }
        let size = |labelled: &LabelledMask| (labelled.mask.width(), labelled.mask.height());
        if let Some(odd) = objects.iter().find(|labelled| size(labelled) != self.run.size) {
            return Err(ReportError::MaskSize { frame, expected: self.run.size, found: size(odd) });
        }
        self.last = Some(frame);
        self.totals.frames += 1;
        if objects.is_empty() {
            self.totals.unprompted.push(frame);
        } else if objects.iter().all(|labelled| labelled.mask.area() == 0) {
            self.totals.nothing_found.push(frame);
        }
        let shown = self.note(frame, objects);
        if self.even.contains(&frame) {
            self.even_shots.push(Shot::draw(frame, &shown, self.picture));
        }
        if shown.iter().any(|labelled| labelled.facts.is_some_and(|facts| facts.prompted)) {
            self.totals.prompted.push(frame);
            let picture = self.picture;
            self.prompted.add(|| Shot::draw(frame, &shown, picture));
        }
        Ok(())
    }

    /// Adds prompts to be drawn into their frames, either all at once or as they become known. Mask
    /// prompts are not drawn: the frame's own mask shows them.
    pub fn add_prompts(&mut self, prompts: &[RunPrompt]) {
        let drawn = prompts.iter().filter(|p| !p.points.is_empty() || p.bounds.is_some());
        let without_mask =
            |prompt: &RunPrompt| RunPrompt { points: prompt.points.clone(), mask: None, ..*prompt };
        self.run.prompts.extend(drawn.map(without_mask));
    }

    /// Stores the values to be plotted and returns the masks to be drawn.
    fn note(&mut self, frame: usize, objects: &[LabelledMask]) -> Vec<LabelledMask> {
        let pixels = f64::from(self.run.size.0) * f64::from(self.run.size.1);
        let mut shown = Vec::with_capacity(objects.len().min(MOST_OBJECTS));
        let mut sights = Vec::with_capacity(shown.capacity());
        let mut seen = BTreeSet::new();
        let mut any_flag = false;
        for labelled in objects {
            let facts = labelled.facts.as_ref();
            self.totals.count(facts);
            any_flag |= facts.is_some_and(|facts| !facts.flags.is_empty());
            let room =
                self.objects.len() < MOST_OBJECTS || self.objects.contains_key(&labelled.object);
            if !room {
                if self.totals.left_out.len() < 10 * MOST_OBJECTS {
                    self.totals.left_out.insert(labelled.object);
                }
                continue;
            }
            // An object has one mask per frame; ignore a second one.
            if !seen.insert(labelled.object) {
                continue;
            }
            let frames = &self.run.frames;
            let history = self
                .objects
                .entry(labelled.object)
                .or_insert_with(|| ObjectHistory::new(labelled.object, frames));
            let area = labelled.mask.area();
            let change = history.add(frame, area, facts);
            sights.push(Sight {
                object: labelled.object,
                facts,
                share: area as f64 / pixels.max(1.0),
                change,
                begun: history.begun(),
            });
            // Without logits, which can be far larger than everything else.
            shown.push(LabelledMask { logits: None, ..labelled.clone() });
        }
        if any_flag {
            self.totals.flagged.push(frame);
        }
        self.candidates.add(frame, &shown, &sights);
        shown
    }

    /// Ends the run and returns its report.
    pub fn finish(self) -> Report {
        let worst = self.candidates.choose(WORST_SHOTS);
        let prompted = self.prompted.finish(PROMPTED_SHOTS);
        let objects = self.objects.into_values().collect();
        Report::new(self.run, self.picture, objects, self.totals, worst, prompted, self.even_shots)
    }
}

/// Evenly spread samples of a sequence of shots whose length is not known beforehand.
#[derive(Default)]
struct Thinned {
    came: usize,
    /// Every `2 ^ halvings`-th shot is kept.
    halvings: u32,
    kept: Vec<Shot>,
}

impl Thinned {
    fn add(&mut self, draw: impl FnOnce() -> Shot) {
        if self.came.is_multiple_of(1 << self.halvings) {
            if self.kept.len() == 2 * PROMPTED_SHOTS {
                let mut odd = true;
                self.kept.retain(|_| {
                    odd = !odd;
                    !odd
                });
                self.halvings += 1;
            }
            if self.came.is_multiple_of(1 << self.halvings) {
                self.kept.push(draw());
            }
        }
        self.came += 1;
    }

    /// Returns at most `most` shots, including the first and the last that were kept.
    fn finish(self, most: usize) -> Vec<Shot> {
        let count = self.kept.len();
        let wanted: BTreeSet<usize> = if count <= most {
            (0..count).collect()
        } else {
            (0..most).map(|i| i * (count - 1) / (most - 1).max(1)).collect()
        };
        let numbered = self.kept.into_iter().enumerate();
        numbered.filter(|(number, _)| wanted.contains(number)).map(|(_, shot)| shot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_mask_writer::Mask;

    fn builder(frames: usize) -> ReportBuilder {
        ReportBuilder::new(RunDescription { size: (4, 3), frames: 0..frames, ..Default::default() })
    }

    #[test]
    fn what_does_not_belong_to_the_recording_is_refused() {
        let mask = |width, height| [LabelledMask::new(1, Mask::empty(width, height))];
        let mut builder = builder(5);
        builder.add(1, &mask(4, 3)).unwrap();
        let again = builder.add(1, &mask(4, 3)).unwrap_err();
        assert_eq!(again, ReportError::OutOfOrder { last: 1, found: 1 });
        let beyond = builder.add(5, &[]).unwrap_err();
        assert_eq!(beyond, ReportError::FrameOutOfRange { frame: 5, frames: 0..5 });
        let turned = builder.add(2, &mask(3, 4)).unwrap_err();
        assert!(matches!(turned, ReportError::MaskSize { frame: 2, .. }));
    }

    #[test]
    fn thinning_keeps_few_from_all_over() {
        for count in [0, 1, 12, 13, 24, 25, 100, 5000] {
            let mut thinned = Thinned::default();
            for frame in 0..count {
                thinned.add(|| Shot { frame, objects: Vec::new() });
                assert!(thinned.kept.len() <= 2 * PROMPTED_SHOTS);
            }
            let frames: Vec<usize> = thinned.finish(12).iter().map(|shot| shot.frame).collect();
            assert_eq!(frames.len(), count.min(12), "{count}");
            assert!(frames.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(
                count < 2 || frames.last() >= Some(&(count * 4 / 5 - 1)),
                "{count}: {frames:?}"
            );
        }
    }

    #[test]
    fn a_crowd_is_counted_and_partly_shown() {
        let masks: Vec<_> =
            (1..=1000).map(|object| LabelledMask::new(object, Mask::empty(4, 3))).collect();
        let mut builder = builder(3);
        (0..3).for_each(|frame| builder.add(frame, &masks).unwrap());
        assert_eq!(builder.totals.masks, 3000);
        assert_eq!(builder.objects.len(), MOST_OBJECTS);
        assert!(!builder.totals.left_out.is_empty());
    }
}
