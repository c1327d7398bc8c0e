//! The core of a session: objects, their memories, and tracking frame by frame.
//!
//! It does not know how frames are read or how many will be tracked; [`super::VideoSession`] gives
//! it a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sam2_frame_provider::FrameSize;
use sam2_model::{ConditionedFeatures, FrameFeatures, MemorySelection, Sam2};

use super::direction::{Direction, Passes};
use super::features::{FeatureCache, Frames};
use super::object::ObjectState;
use super::options::{SessionLimits, SessionOptions};
use super::pathway::{Reserve, Step};
use super::placement::Placement;
use super::post_process::{PostProcess, Shown};
use super::results::FrameMasks;
use crate::error::EngineError;
use crate::memory_bank::{MemoryBank, MemoryReach, MemoryRetention, Outcome};
use crate::memory_policy::{
    MemoryPolicy, MemoryQuery, MemoryRead, MemoryView, Pathways, Retained, reads as policy_reads,
};
use crate::prompt::ObjectId;

/// Prompts, memories and results of several objects in the frames of `F`.
pub(super) struct Tracker<F> {
    pub(super) model: Sam2,
    pub(super) frames: F,
    pub(super) options: SessionOptions,
    /// Number of frames that exist or will exist. Pointer distances are in units of this number
    /// minus one, at most 15.
    pub(super) frame_count: usize,
    pub(super) size: FrameSize,
    pub(super) objects: Vec<ObjectState>,
    /// Frames from which a later pass may start: see [`MemoryBank::prune`].
    pub(super) anchors: BTreeSet<usize>,
    pub(super) reach: MemoryReach,
    pub(super) policy: Arc<dyn MemoryPolicy>,
    /// Whether the policy is a custom one that the options do not name.
    pub(super) own_policy: bool,
    /// How much of the past is kept for the policy.
    pub(super) retained: Retained,
    /// How many hypotheses about an object are followed.
    pub(super) pathways: Pathways,
    /// The frame tracked last, and the direction.
    pub(super) position: Option<(usize, Direction)>,
    pub(super) features: FeatureCache,
    /// Time spent reading and encoding frames.
    pub(super) encode_time: Duration,
    pub(super) post_process: PostProcess,
    pub(super) placement: Placement,
}

impl<F: Frames> Tracker<F> {
    /// Returns a tracker; `policy` is a custom policy that the options do not name.
    pub(super) fn new(
        model: &Sam2,
        frames: F,
        options: SessionOptions,
        policy: Option<Arc<dyn MemoryPolicy>>,
        frame_count: usize,
        size: FrameSize,
    ) -> Result<Self, EngineError> {
        let reach = MemoryReach {
            correctable_frames: options.limits.correctable_frames,
            ..MemoryReach::new(
                model.config(),
                options.memory_temporal_stride,
                options.max_conditioning_frames,
            )
        };
        let own_policy = policy.is_some();
        let policy = policy.unwrap_or_else(|| options.memory_policy.policy());
        let placement = Placement::new(size, &options, model.config().image_size, model.device())?;
        Ok(Self {
            model: model.clone(),
            frames,
            options,
            frame_count,
            size,
            objects: Vec::new(),
            anchors: BTreeSet::new(),
            retained: Retained::of(policy.as_ref(), &reach),
            pathways: policy.pathways(),
            policy,
            own_policy,
            reach,
            position: None,
            features: FeatureCache::new(options.limits.feature_cache_frames),
            encode_time: Duration::ZERO,
            post_process: PostProcess::new(model, options, size)?,
            placement,
        })
    }

    pub(super) fn object_ids(&self) -> Vec<ObjectId> {
        self.objects.iter().map(|o| o.id).collect()
    }

    pub(super) fn memory_bank(&self, object: ObjectId) -> Option<&MemoryBank> {
        self.objects.iter().find(|o| o.id == object).map(|o| &o.bank)
    }

    pub(super) fn pathway_count(&self, object: ObjectId) -> Option<usize> {
        self.objects.iter().find(|o| o.id == object).map(ObjectState::pathway_count)
    }

    pub(super) fn pending_outcome(&self, frame: usize, object: ObjectId) -> Option<&Outcome> {
        let state = self.objects.iter().find(|o| o.id == object)?;
        let pending = state.pending_conditioning.iter().chain(&state.pending_corrections);
        pending.into_iter().find(|(f, _)| *f == frame).map(|(_, outcome)| outcome)
    }

    /// Encodes the memories of new prompts and returns the first frame
    /// (`propagate_in_video_preflight`). After an error nothing has changed.
    pub(super) fn prepare(
        &mut self,
        start: Option<usize>,
        direction: Direction,
    ) -> Result<usize, EngineError> {
        if self.objects.is_empty() {
            return Err(EngineError::NoPrompts);
        }
        start.map_or(Ok(()), |start| self.check_frame(start))?;
        let mut objects = self.with_prompts_taken_up()?;
        // A pass that sees one prompt reads nothing that another one left around its prompt, unless
        // another object is in the middle of a stretch there.
        let prompted: BTreeSet<usize> =
            match self.options.passes.sees_one_prompt() && objects.len() == 1 {
                true => BTreeSet::new(),
                false => objects.iter().flat_map(|o| o.bank.conditioning_frames()).collect(),
            };
        let start = match start {
            Some(start) => start,
            None => first_of(&objects, direction, self.options.passes)?,
        };
        let lost = |object: &ObjectState| {
            let joins = object.joins_at(start, direction, self.options.passes);
            object.has_lost(&self.reads(object, joins, direction))
        };
        if objects.iter().any(lost) {
            return Err(EngineError::MemoriesReleased { start });
        }
        // A pass that does not go on where the last one stopped begins with what was shown.
        if !self.goes_on(start, direction) {
            objects.iter_mut().for_each(ObjectState::end_others);
        }
        self.objects = objects;
        self.anchors = prompted;
        self.anchors.insert(start);
        Ok(start)
    }

    /// Returns true if a pass from `start` continues the last one.
    fn goes_on(&self, start: usize, direction: Direction) -> bool {
        self.position.is_some_and(|(last, before)| {
            before == direction && direction.back(start, 1) == Some(last)
        })
    }

    /// Returns copies of the objects whose banks contain the results of new prompts. Every object
    /// needs a prompt of its own.
    pub(super) fn with_prompts_taken_up(&mut self) -> Result<Vec<ObjectState>, EngineError> {
        if let Some(bare) = self.objects.iter().find(|object| !object.is_conditioned()) {
            return Err(EngineError::ObjectWithoutPrompt(bare.id));
        }
        let mut objects = self.objects.clone();
        for object in &mut objects {
            if object.has_pending() {
                // A prompt is the truth about what was shown.
                object.end_others();
            }
            for (frame, outcome) in std::mem::take(&mut object.pending_corrections) {
                // A conditioning frame keeps its first result; a correction on it only changes the
                // mask shown there (and counts with `corrections_condition`).
                if object.bank.conditioning(frame).is_none() {
                    self.record_prompt(object, frame, &outcome)?;
                    object.insert_tracked(frame, self.with_memory(frame, outcome)?);
                }
                self.clear_around(object, frame);
            }
            for (frame, outcome) in std::mem::take(&mut object.pending_conditioning) {
                self.record_prompt(object, frame, &outcome)?;
                object.insert_conditioning(frame, self.with_memory(frame, outcome)?);
                self.clear_around(object, frame);
            }
        }
        Ok(objects)
    }

    /// Returns the latest results on a frame: those of new prompts, otherwise what is remembered
    /// (`_consolidate_temp_output_across_obj`).
    pub(super) fn masks_on(&self, frame: usize) -> Result<FrameMasks, EngineError> {
        let latest = |object: &ObjectState| {
            let conditions = object.tracked(frame).is_none() || self.options.corrections_condition;
            let outcome = object.latest(frame, conditions)?;
            let pending = object.pending_conditioning.iter().any(|(f, _)| *f == frame);
            let prompted = pending || object.bank.conditioning(frame).is_some();
            let prediction = outcome.prediction.clone();
            Some(Shown { object: object.id, prediction, prompted, raw: false })
        };
        let shown = self.objects.iter().filter_map(latest).collect();
        let mut masks = self.post_process.to_masks(frame, shown)?;
        self.flag_remembered(&mut masks);
        Ok(masks)
    }

    /// Tracks all objects on one frame. After an error nothing of it is remembered.
    ///
    /// `upcoming` is the frame that will probably be tracked next; see [`Self::beside_the_next`].
    pub(super) fn track_frame(
        &mut self,
        frame: usize,
        direction: Direction,
        upcoming: Option<usize>,
    ) -> Result<FrameMasks, EngineError> {
        let to_track: Vec<usize> = (0..self.objects.len())
            .filter(|&i| self.is_to_be_tracked(&self.objects[i], frame, direction))
            .collect();
        let features = if to_track.is_empty() { None } else { Some(self.features(frame)?) };
        let (tracked, mut masks, unshown) =
            self.beside_the_next(upcoming, direction, |tracker, meanwhile| {
                let tracked = match &features {
                    Some(features) if tracker.pathways.count > 1 => {
                        tracker.track_pathways(features, &to_track, frame, direction)?
                    }
                    Some(features) => {
                        tracker.track_objects(features, &to_track, frame, direction)?
                    }
                    None => BTreeMap::new(),
                };
                let showing = tracker.post_process.begin(tracker.shown(frame, &tracked));
                let others = tracker.post_process.begin(tracker.unshown(&tracked));
                meanwhile();
                let masks = tracker.post_process.finish(frame, showing)?;
                let others = tracker.post_process.finish_unshown(others)?;
                Ok::<_, EngineError>((tracked, masks, others))
            })?;
        let judged = match &features {
            Some(features) => self.judge_all(tracked, &masks, unshown, direction, features),
            None => Vec::new(),
        };
        // From here on nothing can fail.
        let passes = self.options.passes;
        for (index, steps) in judged {
            let state = &mut self.objects[index];
            let window = state.window(frame, direction, passes);
            state.advance(frame, steps, Reserve { window, limit: self.retained.apart });
        }
        // A prompt is the truth: only the pathway that was shown before it goes on.
        for state in &mut self.objects {
            if state.bank.conditioning(frame).is_some() {
                state.end_others();
            }
        }
        if let Some((first, last)) = self.cleared_around(frame) {
            let conditioned = |state: &&mut ObjectState| {
                state.bank.conditioning(frame).is_some()
                    && state.is_tracked_on(frame, direction, passes)
            };
            self.objects
                .iter_mut()
                .filter(conditioned)
                .for_each(|state| state.forget_tracked(first, last));
        }
        for state in &mut self.objects {
            if state.is_tracked_on(frame, direction, passes) {
                state.mark_tracked(frame, direction);
            }
        }
        self.flag_tracked(&mut masks, direction);
        self.position = Some((frame, direction));
        if self.options.limits.retention == MemoryRetention::Bounded {
            for state in &mut self.objects {
                state.prune(&self.anchors, frame, self.retained, self.reach.correctable_frames);
            }
        }
        Ok(masks)
    }

    /// Returns true if a pass computes a new result of the object on `frame`.
    pub(super) fn is_to_be_tracked(
        &self,
        object: &ObjectState,
        frame: usize,
        direction: Direction,
    ) -> bool {
        object.bank.conditioning(frame).is_none()
            && object.is_tracked_on(frame, direction, self.options.passes)
    }

    /// Sets how much goes through the model at a time and which results are returned. What decides
    /// which memories are kept stays as it was when the session was opened.
    pub(super) fn set_limits(&mut self, limits: SessionLimits) {
        let SessionLimits { retention, correctable_frames, .. } = self.options.limits;
        self.options.limits = SessionLimits { retention, correctable_frames, ..limits };
        self.features = FeatureCache::new(limits.feature_cache_frames);
        self.post_process.set_options(self.options);
    }

    /// See [`super::VideoSession::release_before`].
    pub(super) fn release_before(&mut self, frame: usize) {
        let passes = self.options.passes;
        if passes.sees_one_prompt() {
            for object in &mut self.objects {
                let (first, _) = object.window(frame, Direction::Forward, passes);
                object.release_before(first);
            }
        }
    }

    /// Tracks the given objects, each along its only pathway, and returns the results by object
    /// index.
    fn track_objects(
        &self,
        features: &FrameFeatures,
        objects: &[usize],
        frame: usize,
        direction: Direction,
    ) -> Result<BTreeMap<usize, Vec<Step>>, EngineError> {
        let queries = self.model.memory_queries(features);
        let mut results = BTreeMap::new();
        for pass in self.passes(objects, frame, direction) {
            let tracked = self.track_pass(features, &queries, pass)?;
            results.extend(tracked.into_iter().map(|(index, step)| (index, vec![step])));
        }
        Ok(results)
    }

    /// Returns the predictions to show on a frame: for each object the new result of its best
    /// pathway, otherwise the result of its prompt there.
    fn shown(&self, frame: usize, tracked: &BTreeMap<usize, Vec<Step>>) -> Vec<Shown> {
        let objects = self.objects.iter().enumerate().filter_map(|(index, state)| {
            let best = tracked.get(&index).and_then(|steps| steps.first());
            let new = best.map(|step| &step.outcome);
            let outcome = new.or_else(|| state.bank.conditioning(frame))?;
            let (prediction, raw) = (outcome.prediction.clone(), new.is_some());
            Some(Shown { object: state.id, prediction, prompted: !raw, raw })
        });
        objects.collect()
    }

    /// Returns the predictions of the other pathways, object by object.
    fn unshown(&self, tracked: &BTreeMap<usize, Vec<Step>>) -> Vec<Shown> {
        let others = tracked.iter().flat_map(|(&index, steps)| {
            let object = self.objects[index].id;
            steps.iter().skip(1).map(move |step| {
                let prediction = step.outcome.prediction.clone();
                Shown { object, prediction, prompted: false, raw: true }
            })
        });
        others.collect()
    }

    /// Returns the memories that a pathway of the object, whose bank is `bank`, reads.
    pub(super) fn select(
        &self,
        object: &ObjectState,
        bank: &MemoryBank,
        frame: usize,
        direction: Direction,
    ) -> MemorySelection {
        self.policy.select(&self.view(object, bank, frame, direction))
    }

    /// Returns the past of an object's pathway as the policy sees it from `frame`.
    pub(super) fn view<'a>(
        &self,
        object: &ObjectState,
        bank: &'a MemoryBank,
        frame: usize,
        direction: Direction,
    ) -> MemoryView<'a> {
        let window = object.window(frame, direction, self.options.passes);
        MemoryView::new(bank, self.retained, self.query(frame, direction)).within(window)
    }

    /// Returns what tracking the object on `frame` in `direction` may read.
    pub(super) fn reads(
        &self,
        object: &ObjectState,
        frame: usize,
        direction: Direction,
    ) -> Vec<MemoryRead> {
        let (first, last) = object.window(frame, direction, self.options.passes);
        let mut reads = policy_reads(self.policy.as_ref(), &self.query(frame, direction));
        reads.retain(|read| (first..=last).contains(&read.frame));
        reads
    }

    fn query(&self, frame: usize, direction: Direction) -> MemoryQuery {
        MemoryQuery { frame, direction, frame_count: self.frame_count, reach: self.reach }
    }

    pub(super) fn condition(
        &self,
        features: &FrameFeatures,
        selection: &MemorySelection,
    ) -> ConditionedFeatures {
        match self.model.memory_tokens(selection) {
            Some(memory) => self.model.condition_on_memory(features, &memory),
            None => self.model.condition_without_memory(features),
        }
    }

    /// Forgets the ordinary frames around a prompt, if the options say so.
    fn clear_around(&self, object: &mut ObjectState, frame: usize) {
        if let Some((first, last)) = self.cleared_around(frame) {
            object.forget_tracked(first, last);
        }
    }

    /// Returns the first and the last frame that a prompt on `frame` makes the session forget;
    /// `None` if the option is off.
    fn cleared_around(&self, frame: usize) -> Option<(usize, usize)> {
        let official = self.reach.stride.saturating_mul(self.reach.num_maskmem);
        // A policy that looks further back must not find frames there that the official policy
        // would have forgotten.
        let reach = official.max(self.retained.memories);
        self.options
            .clear_memories_around_prompts
            .then(|| (frame.saturating_sub(reach), frame.saturating_add(reach)))
    }

    fn with_memory(&mut self, frame: usize, outcome: Outcome) -> Result<Outcome, EngineError> {
        let features = self.features(frame)?;
        let memory = self.model.encode_memory(
            &features,
            outcome.low_res_logits(),
            outcome.prediction.object_score_logits.clone(),
            true,
        );
        Ok(Outcome { memory: Some(memory), ..outcome })
    }
}

/// Returns the frame on which a pass begins: the first prompt of any object; for a reverse pass of
/// each object from its own prompt, the last frame on which one of them begins.
fn first_of(
    objects: &[ObjectState],
    direction: Direction,
    passes: Passes,
) -> Result<usize, EngineError> {
    let first = match (passes, direction) {
        (Passes::Official, _) | (_, Direction::Forward) => {
            objects.iter().filter_map(ObjectState::first_prompt).min()
        }
        _ => objects.iter().filter_map(|object| object.first_of_pass(direction, passes)).max(),
    };
    first.ok_or(EngineError::NoPrompts)
}
