//! Compares what the container promises with what can be read.

use std::path::Path;

use super::build::Scan;
use super::completeness;
use super::demux::Facts;
use super::index::PacketInfo;
use super::{endings, program_stream, transport_stream};

/// Fraction of missing frames that is tolerated. Headers are rounded, and the last frames of sound
/// recordings end late.
const TOLERATED_FRAMES: f64 = 0.02;
/// Tolerated fraction if the longer part may be sound: then only a large gap says anything about
/// the video.
const TOLERATED_FRAMES_WITH_SOUND: f64 = 0.10;
/// Tolerated gap of a duration, in seconds.
const TOLERATED_SECONDS: f64 = 0.5;

/// Containers whose duration is written in a header, not estimated from the bytes that are left.
const DURATION_IN_HEADER: [&str; 6] = ["matroska", "avi", "mov", "flv", "mxf", "rm"];

/// Content that the container promises but the file does not hold.
pub(super) struct Lost {
    /// Description for the user.
    pub(super) what: String,
    /// True if frames of the video are missing; false if only sound may be missing.
    pub(super) is_certain: bool,
}

impl Lost {
    /// Returns the warning for the user.
    pub(super) fn warning(&self, path: &Path) -> String {
        let what = &self.what;
        format!(
            "{}: the file seems to be truncated: {what}; only what can be read is used",
            path.display()
        )
    }
}

/// Returns what is missing, if the file seems to have been cut off. `all_packets` returns the
/// number of packets including those that an edit list leaves out.
pub(super) fn truncation(
    path: &Path,
    facts: &Facts,
    scan: &Scan,
    all_packets: impl FnOnce() -> Option<usize>,
) -> Option<Lost> {
    let certain = |what: String| Lost { what, is_certain: true };
    let is_whole = || completeness::is_whole(path, &facts.format);
    lost_frames(facts, &scan.packets, all_packets, is_whole)
        .map(certain)
        .or_else(|| lost_time(facts, scan))
        .or_else(|| transport_stream::cut_packet(path, &facts.format).map(certain))
        .or_else(|| program_stream::cut_packet(path, &facts.format).map(certain))
        .or_else(|| completeness::missing_end(path, &facts.format).map(certain))
        .or_else(|| endings::cut(path, &facts.format).map(certain))
        .or_else(|| lost_ivf_frames(path, facts, &scan.packets).map(certain))
        .or_else(|| cut_packet(path, facts, &scan.packets).map(certain))
}

/// Returns a description if the file ends within the last packet.
fn cut_packet(path: &Path, facts: &Facts, packets: &[PacketInfo]) -> Option<String> {
    /// Length in bytes of the line before each frame of a Y4M file.
    const Y4M_LINE: u64 = 6;
    let last = packets.last()?;
    let is_cut = match facts.format.as_str() {
        // In this format, packets are marked as corrupt for other reasons too.
        "mpegts" => false,
        // All frames have the same length.
        "dv" => {
            let length = std::fs::metadata(path).ok()?.len();
            last.size > 0 && length % last.size as u64 != 0
        }
        // An incomplete frame does not become a packet.
        "yuv4mpegpipe" => {
            let end = u64::try_from(last.position).ok()? + Y4M_LINE + last.size as u64;
            std::fs::metadata(path).ok()?.len() > end
        }
        _ => last.corrupt,
    };
    is_cut.then(|| "its last packet is incomplete".to_owned())
}

fn lost_frames(
    facts: &Facts,
    packets: &[PacketInfo],
    all_packets: impl FnOnce() -> Option<usize>,
    is_whole: impl FnOnce() -> bool,
) -> Option<String> {
    let claimed = facts.claimed_frames?;
    let is_lost = |found: usize| {
        let gap = claimed.saturating_sub(found);
        gap > 1 && gap as f64 > claimed as f64 * TOLERATED_FRAMES
    };
    // With an edit list, the container also counts frames outside of the list.
    let is_cut = packets.iter().any(|packet| packet.discard);
    if is_cut || !is_lost(packets.len()) {
        return None;
    }
    let found = if facts.format == "avi" {
        // It also counts the empty chunks that stand for dropped frames; so do the time stamps.
        let ticks = packets.iter().filter_map(|packet| packet.dts.max(packet.pts));
        let last = ticks.clone().max()?;
        let steps = ticks.clone().zip(ticks.skip(1)).map(|(a, b)| b.saturating_sub(a));
        // If frames last for several of its units, so does the last one; for how many, only the end
        // of the file tells.
        let longest = steps.max().unwrap_or(1).max(1);
        if longest > 1 && is_whole() {
            return None;
        }
        packets.len().max(usize::try_from(last.saturating_add(longest)).unwrap_or(0))
    } else {
        all_packets().unwrap_or(packets.len())
    };
    is_lost(found).then(|| format!("its header promises {claimed} frames, but {found} are there"))
}

/// Returns a description if the header of an IVF file counts more frames than the file holds.
/// FFmpeg writes the duration in units of time into this field, so the time stamps are considered
/// too.
fn lost_ivf_frames(path: &Path, facts: &Facts, packets: &[PacketInfo]) -> Option<String> {
    let claimed = endings::ivf_frames(path, &facts.format)?;
    let times = packets.iter().filter_map(|packet| packet.pts);
    let (first, last) = (times.clone().min()?, times.clone().max()?);
    let steps = times.clone().zip(times.skip(1)).map(|(a, b)| b.saturating_sub(a));
    let longest = steps.max().unwrap_or(1).max(1);
    let units = last.saturating_sub(first.min(0)).saturating_add(longest);
    let found = packets.len().max(usize::try_from(units).unwrap_or(0));
    let gap = claimed.saturating_sub(found);
    let is_lost = gap > 1 && gap as f64 > claimed as f64 * TOLERATED_FRAMES;
    is_lost
        .then(|| format!("its header promises {claimed} frames, but {} are there", packets.len()))
}

fn lost_time(facts: &Facts, scan: &Scan) -> Option<Lost> {
    if facts.claimed_frames.is_some()
        || !DURATION_IN_HEADER.iter().any(|name| facts.format.split(',').any(|n| n == *name))
    {
        return None;
    }
    let times = scan.packets.iter().filter_map(|packet| packet.pts);
    let (first, last) = (times.clone().min()?, times.max()?);
    let frame = facts.timing.frames_per_second.map_or(0.0, |rate| 1.0 / rate);
    let seconds = |ticks: i64| ticks.saturating_sub(first.min(0)) as f64 * facts.time_base;
    // A header may count from zero or from the first frame, and the last frame may be a long one.
    // Time counts as missing only if it is missing in both readings.
    let read = (seconds(last) + frame).max(scan.end.map_or(0.0, seconds));
    let (promised, tolerated, is_certain) = match (facts.stream_seconds, facts.file_seconds) {
        (Some(stream), _) => (stream, TOLERATED_FRAMES, true),
        (None, Some(file)) if facts.streams == 1 => (file, TOLERATED_FRAMES, true),
        (None, Some(file)) => (file, TOLERATED_FRAMES_WITH_SOUND, false),
        (None, None) => return None,
    };
    let gap = promised - read;
    let is_lost = gap > TOLERATED_SECONDS && gap > promised * tolerated;
    let what = format!("its header promises {promised:.1} seconds, but {read:.1} are there");
    is_lost.then_some(Lost { what, is_certain })
}
