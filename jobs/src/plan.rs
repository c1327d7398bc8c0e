//! The plan of a job, which is complete before the model runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;

use sam2_frame_provider::FrameSize;

use super::job_prompt::JobPrompt;
use super::keypoint_prompts::KeypointPrompts;
use super::prompt_set::PromptSet;
use super::span::FrameSpan;
use crate::error::JobError;
use crate::keypoints::{Individual, KeypointError, LocatedTrack, TrackNotice};
use sam2_engine::EngineError;
use sam2_engine::Region;
use sam2_engine::{BoxPrompt, ObjectId};

/// Number of batches without a likely body part that are named individually.
const MOST_UNLIKELY: usize = 5;

/// Frames that are tracked together.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPlan {
    /// Their frames in the recording.
    pub frames: Range<usize>,
    /// Prompts on these frames. Without any, the frames stay empty.
    pub prompts: Vec<JobPrompt>,
}

/// An object without a usable prompt in consecutive frames whose batches have prompts for other
/// objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpromptedObject {
    /// The object.
    pub object: ObjectId,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The frames without a prompt for it.
    pub frames: Range<usize>,
}

impl fmt::Display for UnpromptedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object {}", self.object)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        write!(f, " had no usable prompt in {}", FrameSpan(self.frames.clone()))
    }
}

/// The batches of a recording, in order, without gaps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobPlan {
    /// The batches.
    pub batches: Vec<BatchPlan>,
    /// Names of objects, for messages, such as the individuals of a track. Objects with a name are
    /// expected in every batch.
    pub names: BTreeMap<ObjectId, String>,
}

impl JobPlan {
    /// Plans the whole recording as one batch.
    pub fn whole(frame_count: usize, prompts: Vec<JobPrompt>) -> Self {
        let batches = vec![BatchPlan { frames: 0..frame_count, prompts }];
        Self { batches, names: BTreeMap::new() }
    }

    /// Plans batches of `batch_size` frames (0 = one batch), each with the prompts on its own
    /// frames. The last batch may be shorter. Prompts on frames that do not exist go into the last
    /// batch, where [`Self::check`] finds them.
    pub fn from_prompts(frame_count: usize, batch_size: usize, prompts: PromptSet) -> Self {
        let mut plan = Self { batches: batches(frame_count, batch_size), names: BTreeMap::new() };
        plan.add(prompts);
        plan
    }

    /// Plans batches for the track's recording, each prompted as the options say. Also returns what
    /// the user should know. The individuals of the track become objects 1 to n.
    ///
    /// # Errors
    /// [`KeypointError::MostlyOutside`] if most of the track's points are outside the picture or
    /// the region.
    pub fn from_keypoints(
        track: &LocatedTrack,
        options: &KeypointPrompts,
    ) -> Result<(Self, Vec<TrackNotice>), KeypointError> {
        let limit = options.limit_for(track);
        let outside = track.check_points(limit)?;
        let mut notices: Vec<TrackNotice> = outside.into_iter().map(TrackNotice::Warning).collect();
        let mut batches = batches(track.frame_count(), options.batch_size);
        let (count, mut unlikely) = (batches.len(), 0);
        for (number, batch) in (1..).zip(&mut batches) {
            let found = options.of_batch(track, &batch.frames);
            batch.prompts = found.prompts;
            let Some(likelihood) = found.best_likelihood else { continue };
            unlikely += 1;
            if unlikely <= MOST_UNLIKELY {
                notices.push(TrackNotice::Warning(format!(
                    "batch {number} of {count} ({}): no body part has the likelihood {limit}; prompted by the best there is, {likelihood} \
                     (--min-likelihood sets the limit)",
                    FrameSpan(batch.frames.clone())
                )));
            }
        }
        if unlikely > MOST_UNLIKELY {
            notices.push(TrackNotice::Warning(format!(
                "in {} more batches no body part has the likelihood {limit}; they are prompted by the best there is, too",
                unlikely - MOST_UNLIKELY
            )));
        }
        let name = |(object, individual): (ObjectId, &Individual)| {
            Some((object, individual.name.clone()?))
        };
        Ok((Self { batches, names: track.objects().filter_map(name).collect() }, notices))
    }

    /// Adds prompts to the plan. Points are added to those that the object already has on the
    /// frame; a box or a mask replaces an earlier one.
    pub fn add(&mut self, prompts: PromptSet) {
        for (object, name) in prompts.names() {
            self.names.entry(*object).or_insert_with(|| name.clone());
        }
        // Prompt files can hold a hundred thousand prompts.
        let mut places = HashMap::new();
        for batch in &self.batches {
            let numbered = batch.prompts.iter().enumerate();
            places.extend(numbered.map(|(at, prompt)| ((prompt.frame, prompt.object), at)));
        }
        for added in prompts.prompts() {
            let after = self.batches.partition_point(|batch| batch.frames.end <= added.frame);
            let last = self.batches.len().saturating_sub(1);
            let Some(batch) = self.batches.get_mut(after.min(last)) else { continue };
            let next = batch.prompts.len();
            let at = *places.entry((added.frame, added.object)).or_insert(next);
            match batch.prompts.get_mut(at) {
                Some(prompt) => {
                    prompt.points.extend(added.points.iter().cloned());
                    prompt.bounds = added.bounds.or(prompt.bounds);
                    prompt.candidate = added.candidate.or(prompt.candidate);
                    if added.mask.is_some() {
                        prompt.mask.clone_from(&added.mask);
                    }
                }
                None => batch.prompts.push(added.clone()),
            }
        }
    }

    /// Returns every object that has a prompt or a name.
    pub fn objects(&self) -> BTreeSet<ObjectId> {
        let prompted = self.batches.iter().flat_map(|batch| &batch.prompts);
        prompted.map(|prompt| prompt.object).chain(self.names.keys().copied()).collect()
    }

    /// Returns objects without a prompt in batches that have prompts for others. Adjoining batches
    /// are given as one range.
    pub fn unprompted_objects(&self) -> Vec<UnpromptedObject> {
        self.unprompted_objects_in(&(0..usize::MAX))
    }

    /// Returns the same for the batches that lie in `part`.
    pub(super) fn unprompted_objects_in(&self, part: &Range<usize>) -> Vec<UnpromptedObject> {
        let mut found: Vec<UnpromptedObject> = Vec::new();
        for object in self.objects() {
            let lacks = |batch: &&BatchPlan| {
                part.start <= batch.frames.start
                    && batch.frames.end <= part.end
                    && !batch.prompts.is_empty()
                    && batch.prompts.iter().all(|p| p.object != object)
            };
            for batch in self.batches.iter().filter(lacks) {
                let frames = batch.frames.clone();
                match found.last_mut() {
                    Some(last) if last.object == object && last.frames.end == frames.start => {
                        last.frames.end = frames.end;
                    }
                    _ => {
                        let name = self.names.get(&object).cloned();
                        found.push(UnpromptedObject { object, name, frames });
                    }
                }
            }
        }
        found
    }

    /// Checks every prompt against the recording before anything is computed or written.
    ///
    /// # Errors
    /// [`JobError`] for the first invalid prompt, with its frame, its point and the remedy.
    pub fn check(&self, frame_count: usize, size: FrameSize) -> Result<(), JobError> {
        for prompt in self.batches.iter().flat_map(|batch| &batch.prompts) {
            let frame = prompt.frame;
            if frame >= frame_count {
                return Err(EngineError::FrameOutOfRange { frame, count: frame_count }.into());
            }
            if prompt.points.len() > JobPrompt::MOST_POINTS {
                let (object, points) = (prompt.object, prompt.points.len());
                let limit = JobPrompt::MOST_POINTS;
                return Err(JobError::TooManyPoints { object, frame, points, limit });
            }
            if let Some([x, y]) = prompt.contradiction() {
                return Err(JobError::ContradictoryPoints { object: prompt.object, frame, x, y });
            }
            let corners = prompt.bounds.into_iter().flat_map(|bounds| {
                bounds.corners().map(|corner| ("the box corner".to_owned(), corner))
            });
            for (name, point) in prompt.points.iter().cloned().chain(corners) {
                let inside = |value: f32, length: u32| (0.0..=length as f32).contains(&value);
                if !inside(point.x, size.width) || !inside(point.y, size.height) {
                    let (x, y) = (point.x, point.y);
                    return Err(EngineError::PointOutside { what: name, x, y, frame, size }.into());
                }
            }
            if let Some(BoxPrompt { x0, y0, x1, y1 }) = prompt.bounds
                && (x0 >= x1 || y0 >= y1)
            {
                return Err(EngineError::EmptyBox { x0, y0, x1, y1, frame }.into());
            }
            if let Some(mask) = &prompt.mask {
                let found = FrameSize { width: mask.width(), height: mask.height() };
                if found != size {
                    let (object, expected) = (prompt.object, size);
                    return Err(
                        EngineError::MaskPromptSize { object, frame, expected, found }.into()
                    );
                }
            }
            if let Some(index) = prompt.candidate.filter(|&index| index >= JobPrompt::CANDIDATES) {
                let (object, index) = (prompt.object, usize::from(index));
                return Err(EngineError::NoSuchCandidate { object, frame, index }.into());
            }
            if prompt.mask.is_none() && prompt.bounds.is_none() && prompt.points.is_empty() {
                return Err(EngineError::EmptyPrompt { object: prompt.object, frame }.into());
            }
        }
        Ok(())
    }

    /// Returns what is odd about prompts, though possible: one sentence for each kind.
    pub fn doubts(&self) -> Vec<String> {
        let only_negative: Vec<&JobPrompt> = self
            .batches
            .iter()
            .flat_map(|batch| &batch.prompts)
            .filter(|prompt| prompt.says_only_where_not())
            .collect();
        only_negative.first().map_or_else(Vec::new, |first| {
            let (object, frame) = (first.object, first.frame);
            let more = match only_negative.len() - 1 {
                0 => String::new(),
                more => format!(", and {more} more prompts are like that"),
            };
            vec![format!(
                "object {object} has only negative points on frame {frame}{more}: the mask can be anything but that; add a positive point, a box or a mask"
            )]
        })
    }

    /// Checks that a region lies within the frames, and every prompt within the region.
    ///
    /// # Errors
    /// [`EngineError::RegionOutside`], [`EngineError::PointOutsideRegion`].
    pub fn check_region(&self, region: Option<Region>, size: FrameSize) -> Result<(), JobError> {
        let Some(region) = region else { return Ok(()) };
        if !region.is_within(size) {
            return Err(EngineError::RegionOutside { region, size }.into());
        }
        for prompt in self.batches.iter().flat_map(|batch| &batch.prompts) {
            let corners = prompt.bounds.into_iter().flat_map(|bounds| {
                bounds.corners().map(|corner| ("the box corner".to_owned(), corner))
            });
            for (what, point) in prompt.points.iter().cloned().chain(corners) {
                if !region.contains(point) {
                    let (x, y, frame) = (point.x, point.y, prompt.frame);
                    return Err(
                        EngineError::PointOutsideRegion { what, x, y, frame, region }.into()
                    );
                }
            }
        }
        Ok(())
    }

    /// Returns the prompted frames, each once, in ascending order.
    pub fn prompt_frames(&self) -> Vec<usize> {
        self.batches.iter().flat_map(BatchPlan::prompt_frames).collect()
    }

    /// Returns the number of frames in the recording.
    pub fn frame_count(&self) -> usize {
        self.batches.last().map_or(0, |batch| batch.frames.end)
    }
}

impl BatchPlan {
    /// Returns the prompted frames, each once, in ascending order.
    pub fn prompt_frames(&self) -> Vec<usize> {
        frames_of(&self.prompts)
    }
}

/// Returns the prompted frames, each once, in ascending order.
pub(super) fn frames_of(prompts: &[JobPrompt]) -> Vec<usize> {
    let frames: BTreeSet<usize> = prompts.iter().map(|prompt| prompt.frame).collect();
    frames.into_iter().collect()
}

/// Cuts a recording into batches without prompts.
fn batches(frame_count: usize, batch_size: usize) -> Vec<BatchPlan> {
    let size = if batch_size == 0 { frame_count.max(1) } else { batch_size };
    let range = |start: usize| start..start.saturating_add(size).min(frame_count);
    let starts = (0..frame_count).step_by(size);
    starts.map(|start| BatchPlan { frames: range(start), prompts: Vec::new() }).collect()
}

#[cfg(test)]
mod tests {
    use sam2_engine::Point;
    use sam2_mask_writer::Mask;

    use super::*;
    use crate::keypoints::{KeypointSelection, KeypointTrack, TrackedRecording};
    use std::path::Path;

    const SIZE: FrameSize = FrameSize { width: 100, height: 100 };

    fn plan(rows: usize, size: usize, min_likelihood: f32) -> JobPlan {
        let mut text = "scorer,n,n,n\nbodyparts,s,s,s\ncoords,x,y,likelihood\n".to_owned();
        for row in 0..rows {
            text.push_str(&format!("{row},1,1,{}\n", if row % 5 == 3 { 0.9 } else { 0.5 }));
        }
        let selection = KeypointSelection::default();
        let track = KeypointTrack::parse(Path::new("t"), text.into(), &selection).unwrap();
        let min_likelihood = Some(min_likelihood);
        let options = KeypointPrompts { batch_size: size, min_likelihood, ..Default::default() };
        plan_of(track, rows, &options).0
    }

    fn plan_of(
        track: KeypointTrack,
        frame_count: usize,
        options: &KeypointPrompts,
    ) -> (JobPlan, Vec<TrackNotice>) {
        let recording = TrackedRecording {
            name: "r.mp4".into(),
            frame_count,
            size: SIZE,
            region: None,
            images: Vec::new(),
            times: Vec::new(),
        };
        JobPlan::from_keypoints(&track.locate(&recording).unwrap(), options).unwrap()
    }

    #[test]
    fn batches_cover_every_frame_once() {
        for (frames, size, expected) in [(10, 4, 3), (8, 4, 2), (9, 4, 3), (3, 400, 1), (5, 0, 1)] {
            let plan = plan(frames, size, 0.0);
            assert_eq!(plan.batches.len(), expected);
            let covered: Vec<usize> = plan.batches.iter().flat_map(|b| b.frames.clone()).collect();
            assert_eq!(covered, (0..frames).collect::<Vec<_>>());
            assert_eq!(plan.frame_count(), frames);
        }
    }

    #[test]
    fn each_batch_takes_its_own_best_frame() {
        assert_eq!(plan(10, 4, 0.0).prompt_frames(), [3, 4, 8]);
        let prompts: Vec<usize> =
            plan(10, 4, 0.8).batches.iter().map(|b| b.prompts.len()).collect();
        assert_eq!(prompts, [1, 0, 1]);
    }

    #[test]
    fn batches_without_a_likely_body_part_are_named() {
        let mut text = "scorer,n,n,n\nbodyparts,s,s,s\ncoords,x,y,likelihood\n".to_owned();
        for row in 0..16 {
            text.push_str(&format!("{row},1,1,{}\n", if row < 2 { 0.9 } else { 0.25 }));
        }
        let selection = KeypointSelection::default();
        let track = KeypointTrack::parse(Path::new("t"), text.into(), &selection).unwrap();
        let options = KeypointPrompts { batch_size: 2, ..Default::default() };
        let (plan, notices) = plan_of(track, 16, &options);
        assert_eq!(plan.prompt_frames(), [0, 2, 4, 6, 8, 10, 12, 14]);
        let [TrackNotice::Warning(first), .., TrackNotice::Warning(last)] = notices.as_slice()
        else {
            panic!("{notices:?}")
        };
        assert!(first.contains("batch 2 of 8 (frames 2 to 3)"), "{first}");
        assert!(first.contains("0.6;") && first.contains("0.25"), "{first}");
        assert!(notices.len() == 6 && last.contains("2 more batches"), "{last}");
    }

    #[test]
    fn clicks_go_to_the_batch_of_their_frame_and_join_what_is_there() {
        let mut set = PromptSet::new();
        set.add_point(3, ObjectId(1), Point::negative(2.0, 2.0));
        set.add_point(5, ObjectId(1), Point::positive(3.0, 3.0));
        set.add_point(99, ObjectId(2), Point::positive(3.0, 3.0));
        let mut plan = plan(10, 4, 0.0);
        plan.add(set);
        assert_eq!(plan.prompt_frames(), [3, 4, 5, 8, 99]);
        assert_eq!(plan.batches[0].prompts[0].points.len(), 2);
        let missing = plan.unprompted_objects();
        let told: Vec<String> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["object 2 had no usable prompt in frames 0 to 7"]);
        let message = plan.check(10, SIZE).unwrap_err().to_string();
        assert!(message.contains("frame 99"), "{message}");
    }

    #[test]
    fn prompts_outside_are_found_before_the_work() {
        let size = FrameSize { width: 10, height: 10 };
        let prompt = |x: f32, frame| JobPrompt {
            points: vec![("snout".into(), Point::positive(x, 5.0))],
            ..JobPrompt::empty(frame, ObjectId(1))
        };
        let check = |prompt| JobPlan::whole(4, vec![prompt]).check(4, size);
        assert!(check(prompt(10.0, 3)).is_ok());
        for (x, frame) in [(10.5, 0), (-0.1, 0), (f32::NAN, 0), (5.0, 4)] {
            assert!(check(prompt(x, frame)).is_err(), "{x} on {frame}");
        }
        let message = check(prompt(20.0, 2)).unwrap_err().to_string();
        assert!(message.contains("snout") && message.contains("10x10"), "{message}");
        assert!(check(JobPrompt::empty(0, ObjectId(1))).is_err());
        let many = |count| JobPrompt {
            points: vec![("point".to_owned(), Point::positive(5.0, 5.0)); count],
            ..JobPrompt::empty(0, ObjectId(1))
        };
        assert!(check(many(1000)).is_ok());
        let message = check(many(1001)).unwrap_err().to_string();
        assert!(message.contains("1001 points on frame 0"), "{message}");
        let mask = Some(Mask::empty(9, 10));
        let message = check(JobPrompt { mask, ..JobPrompt::empty(0, ObjectId(1)) }).unwrap_err();
        assert!(message.to_string().contains("9x10"), "{message}");
    }
}
