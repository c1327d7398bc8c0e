//! Comparing what the container promises with what can be read.

use std::path::Path;

use super::completeness;
use super::demux::Facts;
use super::index::PacketInfo;

/// Headers are rounded, and the last frames of sound recordings end late: smaller gaps mean nothing.
const TOLERATED_FRAMES: f64 = 0.02;
/// When sound may be what is longer, only a large gap says something about the video.
const TOLERATED_FRAMES_WITH_SOUND: f64 = 0.10;
/// In a duration, gaps below this many seconds mean nothing either.
const TOLERATED_SECONDS: f64 = 0.5;

/// Containers whose duration is written in a header, not guessed from the bytes that are left.
const DURATION_IN_HEADER: [&str; 4] = ["matroska", "avi", "mov", "flv"];

/// Bytes of a transport stream packet.
const TRANSPORT_PACKET: u64 = 188;

/// A warning if the file seems to have been cut off.
pub(super) fn truncation(path: &Path, facts: &Facts, packets: &[PacketInfo]) -> Option<String> {
    let lost = lost_frames(facts, packets)
        .or_else(|| lost_time(facts, packets))
        .or_else(|| cut_packet(path, facts))
        .or_else(|| completeness::missing_end(path, &facts.format))?;
    Some(format!(
        "{}: the file seems to be truncated: {lost}; only what can be read is used",
        path.display()
    ))
}

fn lost_frames(facts: &Facts, packets: &[PacketInfo]) -> Option<String> {
    let claimed = facts.claimed_frames?;
    // With an edit list, the container also counts frames that lie outside of it.
    let is_cut = packets.iter().any(|packet| packet.discard);
    let gap = claimed.saturating_sub(packets.len());
    let is_lost = !is_cut && gap > 1 && gap as f64 > claimed as f64 * TOLERATED_FRAMES;
    is_lost
        .then(|| format!("its header promises {claimed} frames, but {} are there", packets.len()))
}

fn lost_time(facts: &Facts, packets: &[PacketInfo]) -> Option<String> {
    if facts.claimed_frames.is_some()
        || !DURATION_IN_HEADER.iter().any(|name| facts.format.split(',').any(|n| n == *name))
    {
        return None;
    }
    let times = packets.iter().filter_map(|packet| packet.pts);
    let (first, last) = (times.clone().min()?, times.max()?);
    let frame = facts.timing.frames_per_second.map_or(0.0, |rate| 1.0 / rate);
    // A header may count from zero or from the first frame. Only what is missing either way is missing.
    let read = (last - first.min(0)) as f64 * facts.time_base + frame;
    let (promised, tolerated) = match (facts.stream_seconds, facts.file_seconds) {
        (Some(stream), _) => (stream, TOLERATED_FRAMES),
        (None, Some(file)) if facts.streams == 1 => (file, TOLERATED_FRAMES),
        (None, Some(file)) => (file, TOLERATED_FRAMES_WITH_SOUND),
        (None, None) => return None,
    };
    let gap = promised - read;
    let is_lost = gap > TOLERATED_SECONDS && gap > promised * tolerated;
    is_lost.then(|| format!("its header promises {promised:.1} seconds, but {read:.1} are there"))
}

/// Transport streams promise nothing, but consist of packets of one size.
fn cut_packet(path: &Path, facts: &Facts) -> Option<String> {
    let length = std::fs::metadata(path).ok()?.len();
    let is_cut = facts.format == "mpegts" && length % TRANSPORT_PACKET != 0;
    is_cut.then(|| "its last packet is incomplete".to_owned())
}
