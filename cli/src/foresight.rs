//! Compares the memory that a job certainly needs with the available memory, before the system
//! kills the process.
//!
//! Only what can be computed from the job counts: frames held in memory, the frame cache and, on a
//! CPU, the model and its memory bank. The decoder and the allocator need more.

use std::path::Path;

use anyhow::{Result, bail};
use sam2_engine::{DeviceBudget, Fit, FrameSource, FramesMode, ResizeMode, Sam2};
use sam2_jobs::{JobOptions, JobPlan};
use sam2_model::{ModelName, ModelVersion, Sam2Config, Variant};

use crate::args::SegmentArgs;
use crate::memory_limits::{Limit, of_cgroup, of_meminfo, of_slurm_job};
use crate::process_memory::HostMemory;

/// A use of memory, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    bytes: u64,
    /// Purpose, for the message.
    what: String,
    /// Option to change.
    remedy: &'static str,
    /// True if the job certainly needs this much; false for an estimate of what a step needs.
    is_certain: bool,
}

/// The available memory.
#[derive(Clone, Debug, Default)]
struct Room {
    /// Memory plus swap space of the machine, in bytes.
    whole: Option<u64>,
    /// Free memory and swap space plus what this process holds already, in bytes.
    free: Option<u64>,
    /// Limit of the control group that the process runs in.
    limit: Option<Limit>,
    /// Amount that the batch system grants. It does not always enforce this limit.
    granted: Option<Limit>,
}

/// Compares the memory that a job needs with the available memory; warns if there may be too
/// little.
///
/// # Errors
/// Fails if the memory of the machine, or the limit of the process, is smaller than what the job
/// certainly needs. The message names the options to change.
pub fn check(
    args: &SegmentArgs,
    model: &Sam2,
    frames: &dyn FrameSource,
    plan: &JobPlan,
    options: &JobOptions,
) -> Result<()> {
    let needed = uses(args, model, frames, plan, options);
    match judge(&needed, &Room::now()) {
        Judgement::Enough => Ok(()),
        Judgement::Doubtful(text) => {
            tracing::warn!("{text}");
            Ok(())
        }
        Judgement::TooLittle(text) => bail!(text),
    }
}

/// Refuses frames that cannot fit, before the model is loaded. [`check`] later checks the needs
/// that are known only from the model.
///
/// # Errors
/// The same as [`check`].
pub fn check_frames(
    args: &SegmentArgs,
    frames: &dyn FrameSource,
    plan: &JobPlan,
    options: &JobOptions,
) -> Result<()> {
    // The side length of the network's input. If the model is unknown, that of the smallest model,
    // as a lower bound.
    let named =
        args.network.model.as_deref().and_then(|model| model.to_str()?.parse::<ModelName>().ok());
    let named =
        named.filter(|_| args.network.model.as_deref().is_some_and(|model| !model.is_file()));
    let smallest = Sam2Config::new(Variant::Micro, ModelVersion::V2_1).image_size;
    let side =
        args.network.image_size.unwrap_or(named.map_or(smallest, |name| name.config().image_size));
    match judge(&frame_uses(args, side, frames, plan, options), &Room::now()) {
        Judgement::TooLittle(text) => bail!(text),
        // `check` warns later.
        _ => Ok(()),
    }
}

/// Refuses weights that exceed the memory of the machine or the limit of the process, before they
/// are read.
///
/// # Errors
/// Fails if the weights do not fit.
pub fn check_weights(path: &Path) -> Result<()> {
    let bytes = path.metadata().map_or(0, |file| file.len());
    let weights = Use {
        bytes,
        what: format!("the weights in '{}'", path.display()),
        remedy: "a smaller --model",
        is_certain: true,
    };
    match judge(&[weights], &Room { free: None, granted: None, ..Room::now() }) {
        Judgement::TooLittle(text) => bail!(text),
        _ => Ok(()),
    }
}

/// Returns the memory that the frames of a job need in the form in which they are held.
fn frame_uses(
    args: &SegmentArgs,
    side: usize,
    frames: &dyn FrameSource,
    plan: &JobPlan,
    options: &JobOptions,
) -> Vec<Use> {
    let frame = frames.info().size.rgb_bytes() as u64;
    let mut uses = Vec::new();
    let part = options.part_of(plan);
    if args.frames.frames_mode == FramesMode::Memory {
        let lengths = plan.batches_in(part).map(|(_, batch)| batch.frames.len());
        let longest = lengths.max().unwrap_or(0) as u64;
        let side = side as u64;
        let is_scaled = options.session.region.is_none() && options.session.fit == Fit::Squash;
        let each = if is_scaled { side * side * 3 } else { frame };
        uses.push(Use {
            bytes: longest.saturating_mul(each),
            what: format!("the {longest} frames of a batch (--frames-mode memory)"),
            remedy: "--frames-mode lazy, or a smaller --batch-size",
            is_certain: true,
        });
    }
    // A video that scales its frames itself fills no frame cache.
    if args.frames.resize != ResizeMode::Decord {
        let cached = part.range().len().min(args.frames.cache_frames) as u64;
        uses.push(Use {
            bytes: cached.saturating_mul(frame),
            what: format!("the cache of {cached} frames (--cache-frames)"),
            remedy: "a smaller --cache-frames",
            is_certain: true,
        });
    }
    uses
}

fn uses(
    args: &SegmentArgs,
    model: &Sam2,
    frames: &dyn FrameSource,
    plan: &JobPlan,
    options: &JobOptions,
) -> Vec<Use> {
    let mut uses = frame_uses(args, model.config().image_size, frames, plan, options);
    if model.is_on_cpu() {
        let objects = plan.objects().len().max(1);
        let features = options.session.limits.feature_cache_frames;
        let budget = DeviceBudget::of(model.config(), model.precision(), objects, features);
        uses.push(Use {
            bytes: (budget.weights + budget.tables) as u64,
            what: "the model".into(),
            remedy: "a smaller --model",
            is_certain: true,
        });
        // While frames are tracked in reverse, the forward session waits.
        let sessions = if options.crosses_batches() { 2 } else { 1 };
        uses.push(Use {
            bytes: (sessions * budget.memories + budget.step) as u64,
            what: format!(
                "a step of the model and what it remembers of {objects} {}",
                if objects == 1 { "object" } else { "objects" }
            ),
            remedy: "a smaller --image-size or --model, or fewer objects at a time",
            is_certain: false,
        });
    }
    uses
}

impl Room {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let of = |name: &str| of_meminfo(&text, name);
        let both =
            |memory: &str, swap: &str| Some(of(memory)?.saturating_add(of(swap).unwrap_or(0)));
        let held = HostMemory::now().map_or(0, |memory| memory.resident);
        Self {
            whole: both("MemTotal", "SwapTotal"),
            free: both("MemAvailable", "SwapFree").map(|free| free.saturating_add(held)),
            limit: of_cgroup(Path::new("/")),
            granted: of_slurm_job(),
        }
    }
}

/// Result of the comparison, with the message if memory is short.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Judgement {
    Enough,
    Doubtful(String),
    TooLittle(String),
}

fn judge(uses: &[Use], room: &Room) -> Judgement {
    let sum = |is_counted: fn(&&Use) -> bool| -> u64 {
        uses.iter().filter(is_counted).map(|one| one.bytes).fold(0, u64::saturating_add)
    };
    let (certain, likely) = (sum(|one| one.is_certain), sum(|_| true));
    let whole = room.whole.map(|bytes| Limit { bytes, by: "the machine" });
    let hard = [whole, room.limit.clone()].into_iter().flatten().min_by_key(|limit| limit.bytes);
    if let Some(limit) = hard.filter(|limit| certain > limit.bytes) {
        return Judgement::TooLittle(sentence(uses, true, certain, &has(&limit)));
    }
    let free = room.free.map(|bytes| Limit { bytes, by: "free" });
    let soft = [free, room.limit.clone(), room.granted.clone()];
    let soft = soft.into_iter().flatten().min_by_key(|limit| limit.bytes);
    match soft.filter(|limit| likely > limit.bytes) {
        Some(limit) => {
            let text = sentence(uses, false, likely, &has(&limit));
            Judgement::Doubtful(format!("{text}; the system may end the process"))
        }
        None => Judgement::Enough,
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Returns the part of the message that says how much memory is available.
fn has(limit: &Limit) -> String {
    let bytes = gigabytes(limit.bytes);
    match limit.by {
        "the machine" => format!("the machine has {bytes}"),
        "free" => format!("{bytes} are free"),
        by => format!("{by} allows {bytes}"),
    }
}

fn sentence(uses: &[Use], certain_only: bool, needed: u64, has: &str) -> String {
    let mut counted: Vec<&Use> =
        uses.iter().filter(|one| one.bytes > 0 && (one.is_certain || !certain_only)).collect();
    counted.sort_by_key(|one| std::cmp::Reverse(one.bytes));
    let each: Vec<String> =
        counted.iter().map(|one| format!("{} for {}", gigabytes(one.bytes), one.what)).collect();
    let remedy = counted.first().map_or("a smaller --model", |largest| largest.remedy);
    format!(
        "this job needs at least {} of memory, and {has}: {}; use {remedy}",
        gigabytes(needed),
        each.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(cache: u64, step: u64) -> Vec<Use> {
        let one = |bytes, what: &str, remedy, is_certain| Use {
            bytes: bytes * 1_000_000_000,
            what: what.into(),
            remedy,
            is_certain,
        };
        vec![
            one(cache, "the cache", "a smaller --cache-frames", true),
            one(step, "a step", "x", false),
        ]
    }

    fn room(whole: u64, free: u64, limit: Option<u64>) -> Room {
        let giga = |number: u64| number * 1_000_000_000;
        let limit = limit.map(|bytes| Limit { bytes: giga(bytes), by: "the control group" });
        Room { whole: Some(giga(whole)), free: Some(giga(free)), limit, granted: None }
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_may_not_be_is_warned_of() {
        assert_eq!(judge(&uses(4, 2), &room(16, 8, None)), Judgement::Enough);
        assert_eq!(judge(&uses(4, 2), &Room::default()), Judgement::Enough);
        let expected = "this job needs at least 20.0 GB of memory, and the machine has 16.0 GB: 20.0 GB for the cache; use a \
                        smaller --cache-frames";
        let told = judge(&uses(20, 2), &room(16, 8, None));
        assert_eq!(told, Judgement::TooLittle(expected.into()));
        let Judgement::TooLittle(told) = judge(&uses(5, 2), &room(16, 8, Some(4))) else {
            panic!("more than the limit")
        };
        assert!(told.contains("the control group allows 4.0 GB"), "{told}");
        // The need of a step is an estimate, and the free memory changes: both only warn.
        for (uses, room) in [(uses(3, 2), room(16, 8, Some(4))), (uses(9, 2), room(16, 8, None))] {
            let Judgement::Doubtful(told) = judge(&uses, &room) else { panic!("{uses:?}") };
            assert!(told.contains("--cache-frames") && told.contains("a step"), "{told}");
        }
    }
}
