//! Options of a job.

use sam2_engine::{Passes, SessionOptions};
use sam2_frame_provider::FramesMode;

use crate::computed::{ComputedFrames, FrameStep};
use crate::error::JobError;
use crate::part::FramePart;
use crate::plan::JobPlan;
use crate::reprompt::Reprompt;

/// Options of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobOptions {
    /// Options of each batch's session. Logits are also kept where a sink wants them.
    pub session: SessionOptions,
    /// How the frames of a batch reach its session. All modes except [`FramesMode::Jpeg`],
    /// which is lossy, give the same masks.
    pub frames_mode: FramesMode,
    /// Uses the last masks of a batch as prompts on the first frame of the next one, in addition to
    /// that batch's own, so that identity survives the border.
    pub carry_over: bool,
    /// Which frames are computed.
    pub step: FrameStep,
    /// Lets the pose track prompt again where masks are flagged, with [`Passes::Agreed`].
    pub reprompt: Option<Reprompt>,
    /// Accepts parts and interrupted work that were computed on other kinds of processors and
    /// devices, whose masks differ in a few pixels.
    pub mixed_processors: bool,
    /// Only these frames, which must be whole batches of the plan, so that parts together give what
    /// one job gives. `None` = all.
    pub part: Option<FramePart>,
}

impl JobOptions {
    /// Checks that the options go together, and that a part consists of batches of the plan.
    ///
    /// # Errors
    /// [`JobError::PartBorder`], [`JobError::EmptyPart`], [`JobError::PartOfCarriedOver`],
    /// [`JobError::NothingToCompare`]; with passes from both sides [`JobError::FramesAcrossBatches`], [`JobError::NothingToCarryOver`] and
    /// [`JobError::MasksApart`].
    pub fn check(&self, plan: &JobPlan) -> Result<(), JobError> {
        let part = self.part_of(plan);
        if self.part.is_some() {
            plan.check_part(part)?;
        }
        if self.crosses_batches() {
            if self.frames_mode != FramesMode::Lazy {
                return Err(JobError::FramesAcrossBatches { mode: self.frames_mode });
            }
            if self.carry_over {
                return Err(JobError::NothingToCarryOver);
            }
            if self.session.non_overlap_masks {
                return Err(JobError::MasksApart);
            }
        }
        if self.reprompt.is_some() && self.session.passes != Passes::Agreed {
            return Err(JobError::NothingToCompare);
        }
        if self.carry_over && part.start > 0 {
            return Err(JobError::PartOfCarriedOver { start: part.start });
        }
        Ok(())
    }

    /// Returns true if objects are tracked across the borders of batches, so that batches without a
    /// prompt are tracked too.
    pub fn crosses_batches(&self) -> bool {
        self.session.passes.sees_one_prompt()
    }

    /// Returns how many frames of a plan are computed; the others get masks from those next to them.
    pub fn computed_frames(&self, plan: &JobPlan) -> usize {
        let part = self.part_of(plan).range();
        ComputedFrames::of(plan, self.step).positions(&part).len()
    }

    /// Returns the frames of a plan that the job covers: its part, or all of them.
    pub fn part_of(&self, plan: &JobPlan) -> FramePart {
        self.part.unwrap_or(FramePart { start: 0, end: plan.frame_count() })
    }
}

impl Default for JobOptions {
    /// The official predictor's options, but for [`Passes::Own`]: in a job, both ways means that every
    /// object is tracked both ways from its own prompts.
    fn default() -> Self {
        Self {
            session: SessionOptions::default().passes(Passes::Own),
            frames_mode: FramesMode::default(),
            carry_over: false,
            step: FrameStep::default(),
            reprompt: None,
            mixed_processors: false,
            part: None,
        }
    }
}
