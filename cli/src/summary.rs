//! Messages about a finished job.

use sam2_engine::{FrameSource, LazyFrames};
use sam2_jobs::{FlaggedFrames, FrameSpan, JobReport};

use crate::exit::ExitStatus;
use crate::output_sizes::told;
use crate::outputs::Output;

/// Logs what was written and what the user should check. Returns the exit status.
pub fn summarise(outputs: &[Output], report: &JobReport) -> ExitStatus {
    for Output { path, .. } in outputs {
        let file = std::fs::metadata(path).ok().filter(|found| found.is_file());
        let size = file.map_or(String::new(), |f| format!(", {}", told(f.len())));
        tracing::info!("{}: {} frames{size}", path.display(), report.frames);
    }
    warnings(&report.flagged).iter().for_each(|line| tracing::warn!("{line}"));
    for range in &report.unprompted {
        let span = FrameSpan(range.clone());
        tracing::warn!("{span} had no usable prompt and {} empty", span.are());
    }
    for missing in &report.unprompted_objects {
        tracing::warn!("{missing}");
    }
    let complete = report.unprompted.is_empty() && report.unprompted_objects.is_empty();
    if complete { ExitStatus::Done } else { ExitStatus::Flawed }
}

/// Returns one line for each kind of flag: the number of frames, the objects, and the first places.
fn warnings(flagged: &[FlaggedFrames]) -> Vec<String> {
    /// Maximum number of ranges that are listed one by one.
    const FIRST: usize = 5;
    flagged
        .chunk_by(|a, b| a.flag == b.flag)
        .map(|of_kind| {
            let count: usize = of_kind.iter().map(FlaggedFrames::count).sum();
            let objects: Vec<String> = of_kind.iter().map(|f| f.object.to_string()).collect();
            let mut ranges: Vec<_> = of_kind.iter().flat_map(|flagged| &flagged.ranges).collect();
            // Objects that are lost together have the same ranges.
            ranges.sort_by_key(|range| (range.start, range.end));
            ranges.dedup();
            let mut list: Vec<String> = ranges
                .iter()
                .take(FIRST)
                .map(|range| match range.len() {
                    1 => range.start.to_string(),
                    _ => format!("{}-{}", range.start, range.end - 1),
                })
                .collect();
            if ranges.len() > FIRST {
                list.push(format!("and {} more", ranges.len() - FIRST));
            }
            format!(
                "{}: {count} {} (object {}), frames {}",
                of_kind[0].flag,
                if count == 1 { "mask" } else { "masks" },
                objects.join(", "),
                list.join(", ")
            )
        })
        .collect()
}

/// Lists the frames that were replaced. A warning for each was logged when it was read.
pub fn report_bad_frames(frames: &LazyFrames) {
    /// Maximum number of frame indices that are listed one by one.
    const MANY: usize = 20;
    let bad = frames.info().damaged_frames;
    if bad.is_empty() {
        return;
    }
    let mut list: Vec<String> = bad.iter().take(MANY).map(ToString::to_string).collect();
    if bad.len() > MANY {
        list.push(format!("and {} more", bad.len() - MANY));
    }
    tracing::warn!("{} damaged frames: {}", bad.len(), list.join(", "));
}

/// Returns whether the recording has all the frames that it declares; warns if not.
pub fn is_complete(frames: &dyn FrameSource) -> bool {
    let info = frames.info();
    let missing = &info.flaws.missing_frames;
    if let Some(missing) = missing {
        tracing::warn!(
            "{}: frames are missing: {missing}; the masks are those of the frames that can be read",
            info.description
        );
    }
    missing.is_none()
}

/// Logs the cost of reading the frames (with `-v`).
pub fn report_reading(frames: &LazyFrames) {
    let stats = frames.stats();
    tracing::debug!(
        "frames: {:.1} % of requests answered at once; waited {:.3} s in all, {:.3} s at most; {:.2} decoded for each \
         served; {} read ahead, {} of them for nothing; {:.1} MB at most",
        stats.hit_rate() * 100.0,
        stats.wait_total.as_secs_f64(),
        stats.wait_max.as_secs_f64(),
        stats.decoded_per_served(),
        stats.prefetched,
        stats.wasted,
        stats.peak_total_bytes() as f64 / 1e6,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_flag_is_one_line_with_the_first_ranges() {
        use sam2_engine::{ObjectId, QualityFlag};
        let flagged = |flag, object, ranges: &[std::ops::Range<usize>]| {
            FlaggedFrames::new(flag, ObjectId(object), ranges.to_vec())
        };
        let many: Vec<_> = (0..7).map(|i| 10 * i..10 * i + 1).collect();
        let lines = warnings(&[
            flagged(QualityFlag::Lost, 1, &[3..5, 9..10]),
            flagged(QualityFlag::Lost, 2, std::slice::from_ref(&(0..20))),
            flagged(QualityFlag::AreaJump, 2, &many),
            flagged(QualityFlag::Inverted, 4, std::slice::from_ref(&(6..7))),
        ]);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].ends_with("found: 23 masks (object 1, 2), frames 0-19, 3-4, 9"));
        assert!(lines[1].ends_with("7 masks (object 2), frames 0, 10, 20, 30, 40, and 2 more"));
        assert!(lines[2].ends_with("1 mask (object 4), frames 6"), "{}", lines[2]);
        assert!(warnings(&[]).is_empty());
    }
}
