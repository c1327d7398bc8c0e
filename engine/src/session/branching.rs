//! Tracking with several pathways: each of them gives three masks, and the best of all go on.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use sam2_model::kernels::join;
use sam2_model::{
    FrameFeatures, MaskPrediction, MemoryFeatures, MemoryQueries, Sam2, read_together,
};

use super::cores::on_cores;
use super::direction::Direction;
use super::distractors::distractors;
use super::features::Frames;
use super::grouping::{Member, Pass, slice_memory, slice_prediction};
use super::pathway::Step;
use super::tracker::Tracker;
use crate::error::EngineError;
use crate::memory_bank::Outcome;
use crate::memory_policy::{Branch, Followed, MemoryPolicy};

/// The masks with which a pathway can go on.
struct Branches {
    member: Member,
    object_score: f32,
    predicted_ious: Vec<f32>,
    candidates: Vec<MaskPrediction>,
    /// Whether the decoder's masks showed another object too.
    distractor: bool,
}

impl<F: Frames> Tracker<F> {
    /// Tracks every pathway of the given objects and returns the steps with which each object goes
    /// on, best first, by object index.
    ///
    /// The choice needs the scores of all pathways, so on a GPU the host waits for these. Memories
    /// are encoded after it, for the chosen masks only.
    pub(super) fn track_pathways(
        &self,
        features: &FrameFeatures,
        objects: &[usize],
        frame: usize,
        direction: Direction,
    ) -> Result<BTreeMap<usize, Vec<Step>>, EngineError> {
        let (model, policy) = (&self.model, self.policy.as_ref());
        let queries = model.memory_queries(features);
        let mut by_object: BTreeMap<usize, Vec<Branches>> = BTreeMap::new();
        for pass in self.passes(objects, frame, direction) {
            let shares = pass.shares(model.parallel_batches());
            let found =
                on_cores(model, shares, |share| branch(share, model, features, &queries, policy))?;
            for branches in found.into_iter().flatten() {
                by_object.entry(branches.member.object).or_default().push(branches);
            }
        }
        let mut chosen = Vec::new();
        for (object, mut branches) in by_object {
            // Pathways of an object may have gone through the network in different passes.
            branches.sort_by_key(|branches| branches.member);
            chosen.extend(self.go_on(object, branches));
        }
        let predictions = chosen.iter().map(|(_, step)| step.outcome.prediction.clone()).collect();
        let memories = self.encode_memories(features, predictions)?;
        let mut steps: BTreeMap<usize, Vec<Step>> = BTreeMap::new();
        for ((object, mut step), memory) in chosen.into_iter().zip(memories) {
            step.outcome.memory = Some(memory);
            steps.entry(object).or_default().push(step);
        }
        Ok(steps)
    }

    /// Chooses the masks that become an object's pathways, best first. Their memories are encoded
    /// afterwards.
    fn go_on(&self, object: usize, branches: Vec<Branches>) -> Vec<(usize, Step)> {
        let state = &self.objects[object];
        let known: Vec<Branch> = branches
            .iter()
            .map(|branches| Branch {
                sum: state.sum_of(branches.member.pathway),
                object_score: branches.object_score,
                predicted_ious: branches.predicted_ious.clone(),
            })
            .collect();
        let step = |Followed { pathway, candidate, sum }| {
            let Branches { member, distractor, candidates, .. } = &branches[pathway];
            let outcome = Outcome { prediction: candidates[candidate].clone(), memory: None };
            let step = Step { continues: member.pathway, sum, outcome, distractor: *distractor };
            (object, step)
        };
        self.pathways.choose(&known).into_iter().map(step).collect()
    }

    /// Encodes memories of masks, as many at a time as the session allows, and returns them in
    /// order.
    fn encode_memories(
        &self,
        features: &FrameFeatures,
        predictions: Vec<MaskPrediction>,
    ) -> Result<Vec<MemoryFeatures>, EngineError> {
        let most = self.options.limits.objects_per_pass.map_or(usize::MAX, NonZeroUsize::get);
        let model = &self.model;
        let share = predictions.len().div_ceil(model.parallel_batches().max(1));
        let batches = predictions.chunks(share.clamp(1, most)).collect();
        let encoded = on_cores(model, batches, |batch: &[MaskPrediction]| {
            let logits = batch.iter().map(|one| one.low_res_logits.clone()).collect();
            let scores = batch.iter().map(|one| one.object_score_logits.clone()).collect();
            let memory = model.encode_memory(features, join(logits, 0), join(scores, 0), false);
            Ok((0..batch.len()).map(|at| slice_memory(&memory, at)).collect::<Vec<_>>())
        })?;
        Ok(encoded.into_iter().flatten().collect())
    }
}

/// Returns the masks with which the pathways of a pass can go on.
fn branch(
    mut pass: Pass,
    model: &Sam2,
    features: &FrameFeatures,
    queries: &MemoryQueries,
    policy: &dyn MemoryPolicy,
) -> Result<Vec<Branches>, EngineError> {
    let outputs = pass.decode(model, features, queries);
    let distractors = distractors(policy, &outputs)?;
    let candidates = model.predict_candidates(&outputs);
    let (_, ious) = outputs.candidates();
    let count = candidates.len();
    let read = read_together(vec![
        ious.reshape([pass.members.len() * count]),
        outputs.object_score_logits.reshape([pass.members.len()]),
    ])?;
    let [ious, scores] = &read[..] else {
        return Err(EngineError::Device("nothing was read".to_owned()));
    };
    let mut found = Vec::with_capacity(pass.members.len());
    let scored = pass.members.into_iter().zip(ious.chunks_exact(count)).zip(scores);
    for (position, ((member, ious), &object_score)) in scored.enumerate() {
        found.push(Branches {
            member,
            object_score,
            predicted_ious: ious.to_vec(),
            candidates: candidates.iter().map(|all| slice_prediction(all, position)).collect(),
            distractor: distractors.get(position) == Some(&true),
        });
    }
    Ok(found)
}
