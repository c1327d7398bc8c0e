//! The timeline.

use sam2_mask_writer::QualityFlag;
use serde::Serialize;
use std::ops::Range;

use crate::facts::Facts;

/// Frames in buckets, one for each point on the screen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lanes {
    first: usize,
    last: usize,
    buckets: usize,
    revision: usize,
    /// Whether all frames were read by now.
    complete: bool,
    flag_names: Vec<&'static str>,
    objects: Vec<Lane>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Lane {
    id: u32,
    area: Vec<u8>,
    area_most: u32,
    score: Vec<u8>,
    iou: Vec<u8>,
    agreement: Vec<u8>,
    present: Vec<u8>,
    flags: Vec<u8>,
}

/// Most buckets that are given: more than any screen has points.
const MOST_BUCKETS: usize = 8192;

/// Summarises `frames`, which are counted from `start`, the run's first.
pub(crate) fn lanes(
    facts: &Facts,
    frames: Range<usize>,
    start: usize,
    buckets: usize,
    revision: usize,
) -> Lanes {
    let count = frames.len();
    let buckets = buckets.clamp(1, MOST_BUCKETS).min(count.max(1));
    let span = |bucket: usize| {
        let at = |bucket: usize| frames.start + bucket * count / buckets - start;
        at(bucket)..at(bucket + 1)
    };
    let objects = facts.objects.iter().map(|(&id, all)| {
        let area_most = all.iter().map(|fact| fact.area).max().unwrap_or(0);
        let mut lane = Lane {
            id,
            area: Vec::with_capacity(buckets),
            area_most,
            score: Vec::with_capacity(buckets),
            iou: Vec::with_capacity(buckets),
            agreement: Vec::with_capacity(buckets),
            present: Vec::with_capacity(buckets),
            flags: Vec::with_capacity(buckets),
        };
        for bucket in 0..buckets {
            let span = span(bucket);
            let known = span.start.min(all.len())..span.end.min(all.len());
            let facts = &all[known];
            let length = span.len().max(1);
            let area = facts.iter().map(|fact| fact.area).min().filter(|_| facts.len() == length);
            let share = f64::from(area.unwrap_or(0)) / f64::from(area_most.max(1));
            let lowest = |value: fn(&crate::facts::Fact) -> f32| {
                facts.iter().map(value).filter(|value| !value.is_nan()).fold(1.0_f32, f32::min)
            };
            let seen = facts.iter().filter(|fact| fact.area > 0).count();
            lane.area.push((share * 255.0).ceil() as u8);
            lane.score.push(byte(lowest(|fact| 1.0 / (1.0 + (-fact.score).exp()))));
            lane.iou.push(byte(lowest(|fact| fact.iou)));
            lane.agreement.push(byte(lowest(|fact| fact.agreement)));
            lane.present.push(byte(seen as f32 / length as f32));
            lane.flags.push(facts.iter().fold(0, |all, fact| all | fact.flags));
        }
        lane
    });
    Lanes {
        first: frames.start,
        last: frames.end.saturating_sub(1),
        buckets,
        revision,
        complete: facts.known + start >= frames.end,
        flag_names: QualityFlag::ALL.iter().map(|flag| flag.name()).collect(),
        objects: objects.collect(),
    }
}

fn byte(share: f32) -> u8 {
    (share.clamp(0.0, 1.0) * 255.0).round() as u8
}
