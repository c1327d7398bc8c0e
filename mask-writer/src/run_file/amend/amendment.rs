//! What can be amended.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::run_file::RunPrompt;

/// One correction of a run: who did what, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    /// Its number, counted from 1 in the order of the file.
    pub number: usize,
    /// The amendment whose state it changes; 0 = the run as it was computed.
    pub parent: usize,
    /// When it was made, as RFC 3339 has it (`2026-12-01T12:30:00Z`).
    pub when: String,
    /// Who made it.
    pub who: String,
    /// What it does.
    pub action: Action,
}

/// What an [`Amendment`] does. Ranges of frames end before `end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// Sets the prompt of an object on a frame, in place of the one there.
    Prompt {
        /// The whole prompt.
        prompt: RunPrompt,
    },
    /// Removes the prompt of an object on a frame.
    Unprompt {
        /// The object.
        object: u32,
        /// The frame.
        frame: usize,
    },
    /// Says that an object is not there, whatever is tracked: its masks are empty.
    Absent {
        /// The object.
        object: u32,
        /// Where it is not.
        frames: Range<usize>,
        /// `false` takes it back.
        on: bool,
    },
    /// Removes an object from frames, with its prompts there.
    Delete {
        /// The object.
        object: u32,
        /// From which frames.
        frames: Range<usize>,
    },
    /// Exchanges two objects. On both sides of the borders their masks are kept as they are, and what
    /// is tracked again starts from them.
    Swap {
        /// The two objects.
        objects: [u32; 2],
        /// On which frames.
        frames: Range<usize>,
    },
    /// Joins an object to another, on all frames.
    Merge {
        /// The object that ceases to exist.
        object: u32,
        /// The object that has the masks of both.
        into: u32,
    },
    /// Locks frames: nothing changes them until they are unlocked, and what is tracked again up to
    /// them starts from their masks.
    Lock {
        /// The object; `None` = all.
        object: Option<u32>,
        /// The frames.
        frames: Range<usize>,
        /// `false` unlocks them.
        on: bool,
    },
    /// Names an object.
    Name {
        /// The object.
        object: u32,
        /// Its name; empty = none.
        name: String,
    },
    /// Sets the colour in which an object is shown.
    Colour {
        /// The object.
        object: u32,
        /// `#rrggbb`.
        colour: String,
    },
    /// Marks an item of a review list as looked at.
    Reviewed {
        /// The item.
        item: String,
        /// `false` takes the mark away.
        on: bool,
    },
    /// Announces masks that were computed again; they follow, frame by frame. Frames that do not follow,
    /// because the computation was stopped, stay as they were.
    Computed {
        /// The objects that were tracked. Other objects stay as they were.
        objects: Vec<u32>,
        /// The frames.
        frames: Range<usize>,
    },
    /// Returns to the state after an earlier amendment, or before all of them.
    Return {
        /// Its number; 0 = the run as it was computed.
        to: usize,
    },
}

impl Action {
    /// Returns the frames that the action names; `None` if it names none.
    pub fn frames(&self) -> Option<Range<usize>> {
        match self {
            Self::Prompt { prompt } => Some(prompt.frame..prompt.frame.saturating_add(1)),
            Self::Unprompt { frame, .. } => Some(*frame..frame.saturating_add(1)),
            Self::Absent { frames, .. }
            | Self::Delete { frames, .. }
            | Self::Swap { frames, .. }
            | Self::Lock { frames, .. }
            | Self::Computed { frames, .. } => Some(frames.clone()),
            Self::Merge { .. }
            | Self::Name { .. }
            | Self::Colour { .. }
            | Self::Reviewed { .. }
            | Self::Return { .. } => None,
        }
    }

    /// Returns true for what a person decides, and false for masks that were computed because of it.
    pub fn is_decision(&self) -> bool {
        !matches!(self, Self::Computed { .. } | Self::Return { .. })
    }
}

/// Describes the action in a few words.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |frames: &Range<usize>| match frames.len() {
            1 => format!("frame {}", frames.start),
            _ => format!("frames {} to {}", frames.start, frames.end.saturating_sub(1)),
        };
        match self {
            Self::Prompt { prompt } => {
                let mut what = Vec::new();
                if prompt.mask.is_some() {
                    what.push("mask".to_owned());
                }
                if prompt.bounds.is_some() {
                    what.push("box".to_owned());
                }
                match prompt.points.len() {
                    0 => {}
                    1 => what.push("1 point".to_owned()),
                    points => what.push(format!("{points} points")),
                }
                if let Some(candidate) = prompt.candidate {
                    what.push(format!("candidate {candidate}"));
                }
                let what = what.join(", ");
                write!(f, "object {}: prompt on frame {} ({what})", prompt.object, prompt.frame)
            }
            Self::Unprompt { object, frame } => {
                write!(f, "object {object}: no prompt on frame {frame}")
            }
            Self::Absent { object, frames, on: true } => {
                write!(f, "object {object}: absent on {}", span(frames))
            }
            Self::Absent { object, frames, on: false } => {
                write!(f, "object {object}: not absent on {}", span(frames))
            }
            Self::Delete { object, frames } => {
                write!(f, "object {object}: deleted on {}", span(frames))
            }
            Self::Swap { objects: [a, b], frames } => {
                write!(f, "objects {a} and {b}: exchanged on {}", span(frames))
            }
            Self::Merge { object, into } => write!(f, "object {object}: joined to object {into}"),
            Self::Lock { object, frames, on } => {
                let what = if *on { "locked" } else { "unlocked" };
                match object {
                    Some(object) => write!(f, "object {object}: {what} on {}", span(frames)),
                    None => write!(f, "{}: {what}", span(frames)),
                }
            }
            Self::Name { object, name } if name.is_empty() => write!(f, "object {object}: no name"),
            Self::Name { object, name } => write!(f, "object {object}: named '{name}'"),
            Self::Colour { object, colour } => write!(f, "object {object}: shown in {colour}"),
            Self::Reviewed { item, on: true } => write!(f, "looked at: {item}"),
            Self::Reviewed { item, on: false } => write!(f, "not looked at: {item}"),
            Self::Computed { objects, frames } => {
                let objects: Vec<String> = objects.iter().map(u32::to_string).collect();
                let plural = if objects.len() == 1 { "" } else { "s" };
                write!(f, "object{plural} {}: tracked on {}", objects.join(", "), span(frames))
            }
            Self::Return { to: 0 } => f.write_str("back to the run as it was computed"),
            Self::Return { to } => write!(f, "back to number {to}"),
        }
    }
}
