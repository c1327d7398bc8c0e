//! Direction through the recording.

use serde::{Deserialize, Serialize};

/// Direction of propagation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the end.
    Forward,
    /// Towards the start.
    Reverse,
}

/// The frames of a pass on which an object is tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Passes {
    /// Every object on every frame of a pass, also before its own first prompt: a forward pass that
    /// begins at another object's prompt looks for it with nothing but prompts from the future, and
    /// easily takes a look-alike. This is what the official predictor does.
    #[default]
    Official,
    /// Each object forward from its own first prompt and in reverse from it, whatever other objects
    /// do, so that its masks are those of the object alone. (With
    /// [`SessionOptions::non_overlap_masks`](crate::SessionOptions::non_overlap_masks), masks are kept
    /// apart from those of objects in the same pass only.)
    Own,
    /// Each object from each of its prompts, towards the next one in the direction of the pass, and
    /// with nothing but that prompt and the frames tracked from it in memory. Between two prompts, a
    /// forward pass tracks the half that is nearer to the earlier one (and the frame in the middle),
    /// a reverse pass the other half, so that every frame is tracked once, from its nearest prompt.
    ///
    /// Where look-alikes cross, a prompt from the future misleads a pass: the official predictor has
    /// the other animal's pose from the second prompt in memory, and is worse with two correct prompts
    /// than with one. A single animal is tracked slightly worse (`docs/passes.md` has the
    /// measurements).
    Nearest,
    /// As [`Passes::Nearest`], but each pass tracks the whole stretch up to the next prompt, so that
    /// every frame between two prompts is tracked twice, and the masks can be compared. A job takes
    /// the nearer one where they agree, and flags the frame where they do not.
    Agreed,
}

impl Passes {
    /// Returns true if each frame sees only the last prompt behind it and what was tracked from that:
    /// with [`Passes::Nearest`] and [`Passes::Agreed`].
    pub fn sees_one_prompt(self) -> bool {
        matches!(self, Self::Nearest | Self::Agreed)
    }
}

impl Direction {
    /// Returns the frame `steps` before `frame` in the direction of propagation, if there is one on
    /// that side.
    pub(crate) fn back(self, frame: usize, steps: usize) -> Option<usize> {
        match self {
            Self::Forward => frame.checked_sub(steps),
            Self::Reverse => frame.checked_add(steps),
        }
    }

    /// Returns how many frames `earlier` precedes `frame` in the direction of propagation; negative
    /// if it lies ahead.
    pub(crate) fn distance(self, earlier: usize, frame: usize) -> i64 {
        let forward = frame as i64 - earlier as i64;
        match self {
            Self::Forward => forward,
            Self::Reverse => -forward,
        }
    }
}
