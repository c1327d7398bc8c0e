//! The options that a run was computed with, read back from its header.

use sam2_engine::{Passes, SessionOptions};
use sam2_frame_provider::FramesMode;
use sam2_mask_writer::RunHeader;
use serde_json::Value;

use crate::between::Between;
use crate::computed::FrameStep;
use crate::error::JobError;
use crate::options::JobOptions;
use crate::settings::{self, COMPUTED_WITH};

/// How a run was computed, as far as its header says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunOptions {
    /// Options of the job, without its part.
    pub job: JobOptions,
}

impl RunOptions {
    /// Reads the options from a header.
    ///
    /// # Errors
    /// [`JobError::UnknownSetting`] for a setting that this program does not know.
    pub fn of(header: &RunHeader) -> Result<Self, JobError> {
        let text = |name: &str| header.settings.get(name).map(String::as_str);
        let unknown = |name: &str| JobError::UnknownSetting {
            name: name.to_owned(),
            value: text(name).unwrap_or("missing").to_owned(),
        };
        let mut session = serde_json::to_value(SessionOptions::default())?;
        if let Value::Object(fields) = &mut session {
            for (name, value) in fields {
                let told = name.replace('_', " ");
                let Some(text) = text(&told) else { continue };
                let parsed = |value: &Value| {
                    let one = serde_json::json!({ name.as_str(): value });
                    serde_json::from_value::<SessionOptions>(one).is_ok()
                };
                // Strings are kept without their quotes.
                let as_json = serde_json::from_str::<Value>(text).ok().filter(parsed);
                let as_text = Some(Value::from(text)).filter(parsed);
                *value = as_json.or(as_text).ok_or_else(|| unknown(&told))?;
            }
        }
        let step = match text("computed frames") {
            None => FrameStep::default(),
            Some(text) => step(text).ok_or_else(|| unknown("computed frames"))?,
        };
        let lossy = text("frames") == Some("through jpeg");
        Ok(Self {
            job: JobOptions {
                session: serde_json::from_value(session)?,
                frames_mode: if lossy { FramesMode::Jpeg } else { FramesMode::Lazy },
                carry_over: text("carry over") == Some("true"),
                step,
                mixed_processors: text(COMPUTED_WITH) == Some(settings::MIXED),
                ..JobOptions::default()
            },
        })
    }

    /// Returns the options with which stretches are tracked again: each frame from the prompts next to
    /// it.
    pub(super) fn for_correction(&self) -> JobOptions {
        let passes = match self.job.session.passes {
            Passes::Agreed => Passes::Agreed,
            _ => Passes::Nearest,
        };
        let session = self.job.session.passes(passes);
        JobOptions { session, carry_over: false, reprompt: None, ..self.job }
    }
}

/// Reads the words for a [`FrameStep`].
fn step(text: &str) -> Option<FrameStep> {
    let (every, between) = text.strip_prefix("every ")?.split_once(", between them ")?;
    let known = [Between::Nearest, Between::Interpolate, Between::None];
    let between = known.into_iter().find(|known| known.to_string() == between)?;
    Some(FrameStep { every: every.parse().ok()?, between })
}

/// Settings that a correction need not share with the run: those of its plan.
const OF_THE_PLAN: [&str; 6] = ["batches", "carry over", "passes", "prompts", "reprompt", "track"];

/// Returns the first difference between a run and the header that [`crate::run_header`] makes for the
/// model, the recording and the options at hand, as name, value in the run and value now. Prompts, batches
/// and passes do not count.
pub fn difference_to_run(run: &RunHeader, now: &RunHeader) -> Option<(String, String, String)> {
    let mut now = now.clone();
    now.recording.clone_from(&run.recording);
    now.frames.clone_from(&run.frames);
    now.object_names.clone_from(&run.object_names);
    now.logits = run.logits;
    for name in OF_THE_PLAN {
        match run.settings.get(name) {
            Some(value) => now.settings.insert(name.to_owned(), value.clone()),
            None => now.settings.remove(name),
        };
    }
    settings::job_difference(run, &now)
}
