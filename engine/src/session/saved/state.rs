//! Conversion of objects to the file's lists and tensors, and back.

use std::collections::{BTreeMap, BTreeSet};

use sam2_model::{MaskPrediction, MemoryFeatures, Sam2, Tensor};

use super::file::{Contents, Problem};
use super::schema::{SavedObject, SavedOutcome, SavedPathway, SavedPoint, SavedSession};
use crate::error::EngineError;
use crate::frame_record::FrameRecord;
use crate::memory_bank::{MemoryBank, Outcome};
use crate::on_device::read;
use crate::prompt::ObjectId;
use crate::session::history::FrameRuns;
use crate::session::object::ObjectState;
use crate::session::pathway::Pathway;
use crate::session::tracker::Tracker;
use sam2_mask_writer::QualityFlags;

/// The pathway of an object that results belong to.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    /// Index of the object in the file.
    pub(super) object: usize,
    /// Index of the pathway, 0 being the shown one.
    pub(super) pathway: usize,
}

/// The lists of results that an object has.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Conditioning,
    Tracked,
    KeptApart,
    PendingConditioning,
    PendingCorrections,
}

impl Part {
    /// Returns the prefix of the tensor names of one result.
    pub(super) fn prefix(self, owner: Owner, frame: usize) -> String {
        let list = match self {
            Self::Conditioning => "conditioning",
            Self::Tracked => "tracked",
            Self::KeptApart => "kept_apart",
            Self::PendingConditioning => "pending_conditioning",
            Self::PendingCorrections => "pending_corrections",
        };
        match owner {
            Owner { object, pathway: 0 } => format!("objects.{object}.{list}.{frame}"),
            Owner { object, pathway } => {
                format!("objects.{object}.pathways.{pathway}.{list}.{frame}")
            }
        }
    }
}

/// Puts the tensors of one result into `contents`.
pub(super) fn save_outcome(
    owner: Owner,
    part: Part,
    frame: usize,
    outcome: &Outcome,
    contents: &mut Contents,
) -> Result<SavedOutcome, EngineError> {
    let prefix = part.prefix(owner, frame);
    let prediction = &outcome.prediction;
    contents.insert(format!("{prefix}.low_res_logits"), &prediction.low_res_logits)?;
    contents.insert(format!("{prefix}.iou"), &prediction.iou)?;
    contents.insert(format!("{prefix}.object_score_logits"), &prediction.object_score_logits)?;
    contents.insert(format!("{prefix}.object_pointer"), &prediction.object_pointer)?;
    if let Some(memory) = &outcome.memory {
        contents.insert(format!("{prefix}.memory"), &memory.0)?;
    }
    Ok(SavedOutcome { frame, memory: outcome.memory.is_some() })
}

/// Rebuilds objects from a file. The file is not trusted: any inconsistency is an error.
pub(super) struct Loader<'a> {
    contents: &'a mut Contents,
    model: &'a Sam2,
    /// Number of frames; indices in the file must be below it.
    frame_count: usize,
    /// Maximum number of frames that the memory policy keeps in reserve.
    most_apart: usize,
    /// Maximum number of pathways that the memory policy follows for an object.
    most_pathways: usize,
}

impl<'a> Loader<'a> {
    pub(super) fn new(contents: &'a mut Contents, model: &'a Sam2, frame_count: usize) -> Self {
        Self { contents, model, frame_count, most_apart: 0, most_pathways: 1 }
    }

    /// Fills a new tracker with the saved state.
    pub(super) fn fill<F>(
        &mut self,
        tracker: &mut Tracker<F>,
        saved: SavedSession,
    ) -> Result<(), Problem> {
        for &frame in saved.anchors.iter().chain(saved.position.iter().map(|(frame, _)| frame)) {
            self.frame(frame)?;
        }
        let ids: BTreeSet<u32> = saved.objects.iter().map(|object| object.id).collect();
        if ids.len() != saved.objects.len() {
            return Err(Problem::damaged("an object appears twice"));
        }
        self.most_apart = tracker.retained.apart;
        self.most_pathways = tracker.pathways.count.max(1);
        tracker.position = saved.position;
        tracker.anchors = saved.anchors.into_iter().collect();
        tracker.objects = saved
            .objects
            .into_iter()
            .enumerate()
            .map(|(index, object)| self.object(index, object))
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    fn object(&mut self, index: usize, saved: SavedObject) -> Result<ObjectState, Problem> {
        let mut history = FrameRuns::default();
        for (first, last, direction) in saved.history {
            self.run(first, last)?;
            history.push_run(first, last, direction).map_err(Problem::damaged)?;
        }
        let mut released = FrameRuns::default();
        for (first, last) in saved.released {
            self.run(first, last)?;
            released.push_run(first, last, ()).map_err(Problem::damaged)?;
        }
        let owner = Owner { object: index, pathway: 0 };
        let conditioning = self.outcomes(owner, Part::Conditioning, &saved.conditioning)?;
        let tracked = self.outcomes(owner, Part::Tracked, &saved.tracked)?;
        if let Some((frame, _)) =
            tracked.iter().find(|(frame, _)| conditioning.iter().any(|(f, _)| f == frame))
        {
            return Err(Problem::Damaged(format!(
                "frame {frame} is both a conditioning frame and a tracked frame"
            )));
        }
        let apart = self.apart(owner, &saved.kept_apart, &conditioning)?;
        let mut bank = MemoryBank::from_outcomes(conditioning, tracked, apart);
        fill_records(&mut bank, saved.records, &saved.corrected, &saved.distractors)?;
        if saved.others.len() >= self.most_pathways {
            return Err(Problem::damaged("an object has too many pathways"));
        }
        let mut others: Vec<Pathway> = Vec::new();
        for pathway in saved.others {
            let earlier: Vec<&MemoryBank> =
                std::iter::once(&bank).chain(others.iter().map(|other| &other.bank)).collect();
            let other = self.pathway(index, pathway, &earlier, &saved.corrected)?;
            others.push(other);
        }
        Ok(ObjectState {
            id: ObjectId(saved.id),
            bank,
            sum: finite(saved.sum)?,
            others,
            points: self.points(saved.points)?,
            pending_conditioning: self.outcomes(
                owner,
                Part::PendingConditioning,
                &saved.pending_conditioning,
            )?,
            pending_corrections: self.outcomes(
                owner,
                Part::PendingCorrections,
                &saved.pending_corrections,
            )?,
            tracked: history,
            released,
        })
    }

    /// Returns the frames in reserve, which must be few enough and none of those that condition.
    fn apart(
        &mut self,
        owner: Owner,
        saved: &[SavedOutcome],
        conditioning: &[(usize, Outcome)],
    ) -> Result<Vec<(usize, Outcome)>, Problem> {
        let apart = self.outcomes(owner, Part::KeptApart, saved)?;
        if apart.len() > self.most_apart
            || apart.iter().any(|(frame, _)| conditioning.iter().any(|(f, _)| f == frame))
        {
            return Err(Problem::damaged("the frames kept apart are invalid"));
        }
        Ok(apart)
    }

    /// Rebuilds a pathway that is not shown. `earlier` has the banks of the pathways before it, the
    /// shown one first.
    fn pathway(
        &mut self,
        object: usize,
        saved: SavedPathway,
        earlier: &[&MemoryBank],
        corrected: &[usize],
    ) -> Result<Pathway, Problem> {
        let owner = Owner { object, pathway: earlier.len() };
        let mut tracked = self.outcomes(owner, Part::Tracked, &saved.tracked)?;
        for (frame, pathway) in saved.shared {
            let shared = earlier.get(pathway).and_then(|bank| bank.tracked(frame)).cloned();
            let shared = shared.ok_or_else(|| Problem::damaged("a shared result is missing"))?;
            tracked.push((frame, shared));
        }
        let shown = earlier.first().copied().cloned().unwrap_or_default();
        tracked.sort_by_key(|(frame, _)| *frame);
        let kept = |(frame, outcome): (usize, &Outcome)| (frame, outcome.memory.is_some());
        let found = tracked.iter().map(|(frame, outcome)| kept((*frame, outcome)));
        if !shown.tracked_outcomes().map(kept).eq(found) {
            return Err(Problem::damaged("the pathways have results of different frames"));
        }
        let conditioning: Vec<(usize, Outcome)> = shown
            .conditioning_outcomes()
            .map(|(frame, outcome)| (frame, outcome.clone()))
            .collect();
        let apart = self.apart(owner, &saved.kept_apart, &conditioning)?;
        let mut bank = MemoryBank::from_outcomes(conditioning, tracked, apart);
        fill_records(&mut bank, saved.records, corrected, &saved.distractors)?;
        Ok(Pathway { bank, sum: finite(saved.sum)? })
    }

    fn outcomes(
        &mut self,
        owner: Owner,
        part: Part,
        saved: &[SavedOutcome],
    ) -> Result<Vec<(usize, Outcome)>, Problem> {
        let distinct: BTreeSet<usize> = saved.iter().map(|outcome| outcome.frame).collect();
        if distinct.len() != saved.len() {
            return Err(Problem::damaged("a frame appears twice"));
        }
        saved
            .iter()
            .map(|&SavedOutcome { frame, memory }| {
                self.frame(frame)?;
                Ok((frame, self.outcome(&part.prefix(owner, frame), memory)?))
            })
            .collect()
    }

    fn outcome(&mut self, prefix: &str, memory: bool) -> Result<Outcome, Problem> {
        let (config, device) = (self.model.config(), self.model.device());
        let (low, places) = (config.low_res_mask_size(), config.feature_size().pow(2));
        let (contents, name) = (&mut *self.contents, |part: &str| format!("{prefix}.{part}"));
        let prediction = MaskPrediction {
            low_res_logits: contents.take(&name("low_res_logits"), [1, 1, low, low], device)?,
            iou: contents.take(&name("iou"), [1, 1], device)?,
            object_score_logits: contents.take(&name("object_score_logits"), [1, 1], device)?,
            object_pointer: contents.take(
                &name("object_pointer"),
                [1, config.hidden_dim],
                device,
            )?,
        };
        let memory = memory
            .then(|| contents.take(&name("memory"), [1, places, config.memory_dim], device))
            .transpose()?
            .map(MemoryFeatures);
        Ok(Outcome { prediction, memory })
    }

    fn points(
        &self,
        saved: Vec<(usize, Vec<SavedPoint>)>,
    ) -> Result<BTreeMap<usize, Vec<sam2_model::ModelPoint>>, Problem> {
        saved
            .into_iter()
            .map(|(frame, points)| {
                self.frame(frame)?;
                let points: Option<Vec<_>> = points.into_iter().map(SavedPoint::to_model).collect();
                match points.filter(|points| !points.is_empty()) {
                    Some(points) => Ok((frame, points)),
                    None => {
                        Err(Problem::Damaged(format!("the clicks on frame {frame} are invalid")))
                    }
                }
            })
            .collect()
    }

    fn run(&self, first: usize, last: usize) -> Result<(), Problem> {
        self.frame(first)?;
        self.frame(last)
    }

    fn frame(&self, frame: usize) -> Result<(), Problem> {
        if frame < self.frame_count {
            Ok(())
        } else {
            Err(Problem::Damaged(format!("frame {frame} of {}", self.frame_count)))
        }
    }
}

/// Returns the number with these bits.
fn finite(bits: u64) -> Result<f64, Problem> {
    let number = f64::from_bits(bits);
    let valid = number.is_finite().then_some(number);
    valid.ok_or_else(|| Problem::damaged("the sum of a pathway is not a number"))
}

/// Adds the records to a bank that already holds their results. The scores come from the results.
fn fill_records(
    bank: &mut MemoryBank,
    saved: Vec<(usize, u64, u8)>,
    corrected: &[usize],
    distractors: &[usize],
) -> Result<(), Problem> {
    let senseless =
        |frame: usize| Problem::Damaged(format!("the record of frame {frame} is inconsistent"));
    for (frame, area, flags) in saved {
        let flags = QualityFlags::from_bits(flags).filter(|_| bank.record(frame).is_none());
        let (Some(flags), Some(outcome)) = (flags, bank.outcome(frame)) else {
            return Err(senseless(frame));
        };
        let prediction = &outcome.prediction;
        let score = |tensor: &Tensor<2>| {
            let values =
                read(tensor.clone()).map_err(|error| Problem::Damaged(error.to_string()))?;
            Ok(values.first().copied().unwrap_or(f32::NAN))
        };
        let record = FrameRecord {
            object_score: score(&prediction.object_score_logits)?,
            predicted_iou: score(&prediction.iou)?,
            area,
            flags,
            prompted: bank.conditioning(frame).is_some(),
            distractor: false,
        };
        bank.insert_record(frame, record);
    }
    for &frame in corrected {
        let record = bank.record(frame).copied().filter(|record| !record.prompted);
        let record = record.ok_or_else(|| senseless(frame))?;
        bank.insert_record(frame, FrameRecord { prompted: true, ..record });
    }
    for &frame in distractors {
        let record = bank.record(frame).copied().filter(|record| !record.distractor);
        let record = record.ok_or_else(|| senseless(frame))?;
        bank.insert_record(frame, FrameRecord { distractor: true, ..record });
    }
    Ok(())
}
