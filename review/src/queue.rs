//! The list of what to look at, the worst first.

use std::ops::Range;

use sam2_mask_writer::{QualityFlag, QualityFlags, RunState};
use serde::Serialize;

use crate::facts::Facts;

/// Everything that is flagged, or was at first.
#[derive(Debug, Serialize)]
pub(crate) struct Queue {
    pub(crate) revision: usize,
    pub(crate) reviewed: usize,
    pub(crate) total: usize,
    pub(crate) items: Vec<Item>,
}

impl Queue {
    /// Returns the frames that a person will probably look at next, the first ones first.
    pub(crate) fn next(&self) -> impl Iterator<Item = usize> {
        self.items.iter().filter(|item| item.state == "open").map(|item| item.worst)
    }
}

/// Neighbouring flagged frames of an object.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    object: u32,
    first: usize,
    last: usize,
    worst: usize,
    flags: Vec<&'static str>,
    badness: f32,
    state: &'static str,
    text: String,
}

/// Flagged frames with at most so many others between them are one item.
const GAP: usize = 5;

/// Lists what is flagged now, and what was flagged at first and is not any more. `start` is the run's first
/// frame.
pub(crate) fn queue(facts: &Facts, state: &RunState, start: usize, revision: usize) -> Queue {
    let mut items = Vec::new();
    for (&object, all) in &facts.objects {
        let flags: Vec<u8> = all.iter().map(|fact| fact.flags).collect();
        for span in spans(flags.iter().copied()) {
            let mut found = item(object, span.clone(), start, &flags);
            let mut frames = found.first..found.last + 1;
            let is_locked = frames.all(|frame| state.is_locked(object, frame));
            if state.reviewed.contains(&found.id) || is_locked {
                found.state = "reviewed";
            }
            items.push(found);
        }
    }
    for (&object, flags) in &facts.first_flags {
        let is_flagged = |at: usize| facts.of(object, at).flags != 0;
        for span in spans(flags.iter().copied()).into_iter().filter(|s| !s.clone().any(is_flagged))
        {
            items.push(Item { state: "corrected", ..item(object, span, start, flags) });
        }
    }
    items.sort_by(|a, b| b.badness.total_cmp(&a.badness).then(a.first.cmp(&b.first)));
    let reviewed = items.iter().filter(|item| item.state != "open").count();
    Queue { revision, reviewed, total: items.len(), items }
}

/// Returns runs of flagged frames.
fn spans(flags: impl Iterator<Item = u8>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in flags.enumerate().filter(|(_, flags)| *flags != 0) {
        match found.last_mut() {
            Some(last) if at <= last.end + GAP => last.end = at + 1,
            _ => found.push(at..at + 1),
        }
    }
    found
}

fn item(object: u32, span: Range<usize>, start: usize, flags: &[u8]) -> Item {
    let of = |at: usize| QualityFlags::from_bits(flags[at]).unwrap_or_default();
    let all: QualityFlags = span.clone().flat_map(|at| of(at).iter().collect::<Vec<_>>()).collect();
    let weight_at = |at: usize| of(at).iter().map(weight).fold(0.0, f32::max);
    // Of equally bad frames, the one in the middle shows most.
    let most = span.clone().map(weight_at).fold(0.0, f32::max);
    let bad: Vec<usize> = span.clone().filter(|&at| weight_at(at) == most).collect();
    let worst = bad.get(bad.len() / 2).copied().unwrap_or(span.start);
    let length = span.len();
    let badness = most * (0.6 + 0.4 * ((length as f32).ln_1p() / 7.0).min(1.0));
    let (first, last) = (start + span.start, start + span.end - 1);
    let told: Vec<String> = all.iter().map(|flag| flag.to_string()).collect();
    let frames = if length == 1 { "1 frame".into() } else { format!("{length} frames") };
    Item {
        id: format!("{object}:{first}-{last}"),
        object,
        first,
        last,
        worst: start + worst,
        flags: all.iter().map(QualityFlag::name).collect(),
        badness,
        state: "open",
        text: format!("{frames}: {}", told.join("; ")),
    }
}

/// How bad it is if a flag is right, 0 to 1.
fn weight(flag: QualityFlag) -> f32 {
    match flag {
        QualityFlag::Inverted | QualityFlag::NearlyFull => 1.0,
        QualityFlag::Disagree | QualityFlag::OffTrack => 0.95,
        QualityFlag::Overlap | QualityFlag::DoubtfulPrompt => 0.9,
        QualityFlag::Lost => 0.85,
        _ => 0.6,
    }
}
