//! The JSON description in a session file.

use std::path::Path;

use sam2_model::{ModelPoint, PointLabel, Sam2, Sam2Config};
use serde::{Deserialize, Serialize};

use super::error::SessionFileError;
use super::file::Contents;
use super::state::{Owner, Part, save_outcome};
use crate::error::EngineError;
use crate::frame_record::FrameRecord;
use crate::memory_bank::{MemoryBank, Outcome};
use crate::memory_policy::MemoryPolicy;
use crate::session::direction::Direction;
use crate::session::history::FrameRuns;
use crate::session::object::ObjectState;
use crate::session::options::{SessionLimits, SessionOptions};
use crate::session::tracker::Tracker;

/// A session.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedSession {
    pub(super) kind: SavedKind,
    /// Label of a job's checkpoint, so that it is restored only where it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    /// Version of this library, for people who read the file.
    pub(super) crate_version: String,
    /// See [`Sam2::fingerprint`].
    pub(super) weights: String,
    pub(super) configuration: Sam2Config,
    pub(super) options: SessionOptions,
    /// Limits, which the options leave out when they are serialised.
    pub(super) limits: SessionLimits,
    /// Name of a custom memory policy, which the options do not contain.
    #[serde(default)]
    pub(super) memory_policy: Option<String>,
    /// Width and height of the frames.
    pub(super) size: [u32; 2],
    /// The frame tracked last, and the direction.
    pub(super) position: Option<(usize, Direction)>,
    pub(super) anchors: Vec<usize>,
    pub(super) objects: Vec<SavedObject>,
}

/// The kind of session, with the numbers of frames.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum SavedKind {
    Video { frame_count: usize },
    Stream { newest: usize, total_frames: Option<usize> },
}

/// One object. Outcomes are lists of frames; their tensors are named after list and frame.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedObject {
    pub(super) id: u32,
    pub(super) conditioning: Vec<SavedOutcome>,
    pub(super) tracked: Vec<SavedOutcome>,
    /// Copies of tracked frames that the memory policy keeps in reserve, whatever their age.
    #[serde(default)]
    pub(super) kept_apart: Vec<SavedOutcome>,
    pub(super) pending_conditioning: Vec<SavedOutcome>,
    pub(super) pending_corrections: Vec<SavedOutcome>,
    /// Clicks and box corners by frame.
    pub(super) points: Vec<(usize, Vec<SavedPoint>)>,
    /// First frame, last frame and direction of each tracked run.
    pub(super) history: Vec<(usize, usize, Direction)>,
    /// Frame, area in pixels and flags of each mask; sessions saved before flags existed have none.
    #[serde(default)]
    pub(super) records: Vec<(usize, u64, u8)>,
    /// Ordinary frames that were corrected.
    #[serde(default)]
    pub(super) corrected: Vec<usize>,
    /// Frames with another object in sight.
    #[serde(default)]
    pub(super) distractors: Vec<usize>,
    /// First and last frame of each released run.
    pub(super) released: Vec<(usize, usize)>,
    /// Bits of the shown pathway's sum, an f64.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) sum: u64,
    /// The other pathways, best first; none unless the memory policy follows several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) others: Vec<SavedPathway>,
}

/// A pathway that is not shown. Conditioning frames, and which frames were corrected, are the shown
/// pathway's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedPathway {
    /// Bits of the sum, an f64.
    pub(super) sum: u64,
    /// Results that no earlier pathway has.
    pub(super) tracked: Vec<SavedOutcome>,
    /// Frame, and index of an earlier pathway that has the same result; 0 is the shown one.
    pub(super) shared: Vec<(usize, usize)>,
    pub(super) kept_apart: Vec<SavedOutcome>,
    /// Frame, area in pixels and flags of each mask.
    pub(super) records: Vec<(usize, u64, u8)>,
    /// Frames with another object in sight.
    pub(super) distractors: Vec<usize>,
}

/// A frame with a result, and whether its memory is kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedOutcome {
    pub(super) frame: usize,
    pub(super) memory: bool,
}

/// A point in the model's pixels: the bits of two f32 values, because decimal digits would be
/// rounded twice, and the label's number in the official code.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct SavedPoint(u32, u32, u8);

impl SavedSession {
    /// Returns the options of the session, its limits included.
    pub(super) fn session_options(&self) -> SessionOptions {
        self.options.limits(self.limits)
    }

    /// Describes a session and puts its tensors into `contents`.
    pub(super) fn of<F>(
        tracker: &Tracker<F>,
        kind: SavedKind,
        options: SessionOptions,
        contents: &mut Contents,
    ) -> Result<Self, EngineError> {
        let objects = tracker
            .objects
            .iter()
            .enumerate()
            .map(|(index, object)| SavedObject::of(index, object, contents))
            .collect::<Result<_, _>>()?;
        let model = &tracker.model;
        Ok(Self {
            kind,
            label: None,
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
            weights: fingerprint(model)?.to_owned(),
            configuration: model.config().clone(),
            options,
            limits: options.limits,
            memory_policy: tracker.own_policy.then(|| tracker.policy.name().to_owned()),
            size: [tracker.size.width, tracker.size.height],
            position: tracker.position,
            anchors: tracker.anchors.iter().copied().collect(),
            objects,
        })
    }

    /// Refuses weights or a configuration other than the model's.
    pub(super) fn check_model(&self, model: &Sam2, path: &Path) -> Result<(), EngineError> {
        let expected = fingerprint(model)?;
        let (path, config) = (path.to_owned(), model.config());
        if self.weights != expected {
            let (found, expected) = (self.weights.clone(), expected.to_owned());
            return Err(SessionFileError::OtherWeights { path, found, expected }.into());
        }
        if self.configuration != *config {
            let (found, expected) = (self.configuration.to_string(), config.to_string());
            return Err(SessionFileError::OtherConfiguration { path, found, expected }.into());
        }
        Ok(())
    }

    /// Refuses a memory policy other than the one in the file. The policy is `given` or, if that is
    /// `None`, the one that the options name.
    pub(super) fn check_policy(
        &self,
        given: Option<&dyn MemoryPolicy>,
        path: &Path,
    ) -> Result<(), EngineError> {
        if self.memory_policy.as_deref() == given.map(MemoryPolicy::name) {
            return Ok(());
        }
        let named = self.options.memory_policy.policy();
        let found = self.memory_policy.clone().unwrap_or_else(|| named.name().to_owned());
        let expected = given.unwrap_or(named.as_ref()).name().to_owned();
        let path = path.to_owned();
        Err(SessionFileError::OtherMemoryPolicy { path, found, expected }.into())
    }
}

fn fingerprint(model: &Sam2) -> Result<&str, EngineError> {
    Ok(model.fingerprint()?)
}

impl SavedObject {
    fn of(
        index: usize,
        object: &ObjectState,
        contents: &mut Contents,
    ) -> Result<Self, EngineError> {
        let owner = Owner { object: index, pathway: 0 };
        let mut save = |part: Part, outcomes: &mut dyn Iterator<Item = (usize, &Outcome)>| {
            save_outcomes(owner, part, outcomes, contents)
        };
        let bank = &object.bank;
        Ok(Self {
            id: object.id.0,
            conditioning: save(Part::Conditioning, &mut bank.conditioning_outcomes())?,
            tracked: save(Part::Tracked, &mut bank.tracked_outcomes())?,
            kept_apart: save(Part::KeptApart, &mut bank.kept_apart())?,
            pending_conditioning: save(
                Part::PendingConditioning,
                &mut object.pending_conditioning.iter().map(|(frame, outcome)| (*frame, outcome)),
            )?,
            pending_corrections: save(
                Part::PendingCorrections,
                &mut object.pending_corrections.iter().map(|(frame, outcome)| (*frame, outcome)),
            )?,
            points: object
                .points
                .iter()
                .map(|(&frame, points)| (frame, points.iter().map(SavedPoint::of).collect()))
                .collect(),
            history: object.tracked.iter().collect(),
            records: records(bank),
            corrected: frames_where(bank, |frame, record| {
                record.prompted && bank.tracked(frame).is_some()
            }),
            distractors: frames_where(bank, |_, record| record.distractor),
            released: released(&object.released),
            sum: object.sum.to_bits(),
            others: (1..object.pathway_count())
                .map(|pathway| {
                    let owner = Owner { object: index, pathway };
                    SavedPathway::of(owner, object, contents)
                })
                .collect::<Result<_, _>>()?,
        })
    }
}

impl SavedPathway {
    fn of(
        owner: Owner,
        object: &ObjectState,
        contents: &mut Contents,
    ) -> Result<Self, EngineError> {
        let bank = object.bank_of(owner.pathway);
        let all = save_outcomes(owner, Part::Tracked, &mut bank.tracked_outcomes(), contents)?;
        let (mut tracked, mut shared) = (Vec::new(), Vec::new());
        for outcome in all {
            let frame = outcome.frame;
            let name = |pathway| Part::Tracked.prefix(Owner { pathway, ..owner }, frame);
            let (own, mut earlier) = (name(owner.pathway), 0..owner.pathway);
            match earlier.find(|&pathway| contents.remove_copy(&own, &name(pathway))) {
                Some(pathway) => shared.push((frame, pathway)),
                None => tracked.push(outcome),
            }
        }
        Ok(Self {
            sum: object.sum_of(owner.pathway).to_bits(),
            tracked,
            shared,
            kept_apart: save_outcomes(owner, Part::KeptApart, &mut bank.kept_apart(), contents)?,
            records: records(bank),
            distractors: frames_where(bank, |_, record| record.distractor),
        })
    }
}

fn save_outcomes(
    owner: Owner,
    part: Part,
    outcomes: &mut dyn Iterator<Item = (usize, &Outcome)>,
    contents: &mut Contents,
) -> Result<Vec<SavedOutcome>, EngineError> {
    outcomes.map(|(frame, outcome)| save_outcome(owner, part, frame, outcome, contents)).collect()
}

fn records(bank: &MemoryBank) -> Vec<(usize, u64, u8)> {
    let records = bank.records();
    records.map(|(frame, record)| (frame, record.area, record.flags.bits())).collect()
}

fn is_zero(bits: &u64) -> bool {
    *bits == 0
}

fn frames_where(bank: &MemoryBank, belongs: impl Fn(usize, &FrameRecord) -> bool) -> Vec<usize> {
    bank.records()
        .filter(|(frame, record)| belongs(*frame, record))
        .map(|(frame, _)| frame)
        .collect()
}

fn released(runs: &FrameRuns<()>) -> Vec<(usize, usize)> {
    runs.iter().map(|(first, last, ())| (first, last)).collect()
}

impl SavedPoint {
    fn of(point: &ModelPoint) -> Self {
        let label = match point.label {
            PointLabel::Negative => 0,
            PointLabel::Positive => 1,
            PointLabel::BoxTopLeft => 2,
            PointLabel::BoxBottomRight => 3,
        };
        Self(point.x.to_bits(), point.y.to_bits(), label)
    }

    /// Returns `None` if the values cannot be those of a prompt.
    pub(super) fn to_model(self) -> Option<ModelPoint> {
        let label = match self.2 {
            0 => PointLabel::Negative,
            1 => PointLabel::Positive,
            2 => PointLabel::BoxTopLeft,
            3 => PointLabel::BoxBottomRight,
            _ => return None,
        };
        let (x, y) = (f32::from_bits(self.0), f32::from_bits(self.1));
        (x.is_finite() && y.is_finite()).then_some(ModelPoint { x, y, label })
    }
}
