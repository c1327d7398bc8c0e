//! Reports about a recording, for people and for scripts.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::size::FrameSize;
use crate::source::FrameSource;
use crate::video_details::VideoDetails;

/// Report about a recording.
///
/// The report can be serialised; the names of the fields are part of this crate's interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The source's short name.
    pub source: String,
    /// `video`, `folder` (also for images selected by a pattern), `file` (of images), or `frames`
    /// for a source without a path.
    pub kind: String,
    /// The true number of frames.
    pub frames: usize,
    /// Size of the frames in pixels, after rotation.
    pub size: FrameSize,
    /// Mean frames per second, if known.
    pub frames_per_second: Option<f64>,
    /// Further details, if the recording is a video.
    pub video: Option<VideoDetails>,
    /// True if every frame was decoded for this report. If false, damage inside the file may have
    /// gone unnoticed.
    pub verified: bool,
    /// Indices of the frames found damaged, ascending: frames that cannot be decoded, and frames in
    /// which the decoder had to guess a part of the picture. Packets of a video that give no frame
    /// at all have no index; they appear as an issue.
    pub damaged_frames: Vec<usize>,
    /// Reason why frames are missing that the recording promises; `None` if none are missing. The
    /// warnings in `issues` include it too.
    pub missing_frames: Option<String>,
    /// Messages for the user, one sentence each.
    pub issues: Vec<String>,
}

/// Returns what is known about the recording at `path`, which is opened as [`open`](crate::open)
/// does.
///
/// With `verify`, every frame is decoded, so that damage inside the file is found too. In addition,
/// some frames are read again, onwards from the middle, in reverse and in jumps, and must be the
/// same. Without `verify`, only what opening needs is read.
///
/// # Errors
/// Those of [`open`](crate::open). Damaged frames are not an error: they are listed in the report.
pub fn probe(path: impl AsRef<Path>, verify: bool) -> Result<ProbeReport, FrameError> {
    let path = path.as_ref();
    let source = crate::open(path)?;
    let mut report = probe_source(&source, verify);
    if report.video.is_none() {
        // If the path is neither a file nor a folder, it is a pattern of images in a folder.
        report.kind = if path.is_file() { "file" } else { "folder" }.to_owned();
    }
    Ok(report)
}

/// Returns what is known about an open source; see [`probe`].
pub fn probe_source(source: &dyn FrameSource, verify: bool) -> ProbeReport {
    let mut damaged = Vec::new();
    let mut issues = Vec::new();
    if verify {
        let read = read_all(source, &mut damaged, &mut issues);
        read_again(source, &read, &mut damaged, &mut issues);
    }
    let info = source.info();
    damaged.extend(info.damaged_frames.iter());
    damaged.sort_unstable();
    damaged.dedup();
    if let Some(error) = info.flaws.size_change.map(|error| error.to_string())
        && !issues.contains(&error)
    {
        issues.insert(0, error);
    }
    issues.splice(0..0, info.warnings.iter().cloned());
    ProbeReport {
        source: info.description.to_string(),
        kind: if info.video.is_some() { "video" } else { "frames" }.to_owned(),
        frames: info.frame_count,
        size: info.size,
        frames_per_second: info.timing.frames_per_second,
        video: info.video.map(Arc::unwrap_or_clone),
        verified: verify,
        damaged_frames: damaged,
        missing_frames: info.flaws.missing_frames,
        issues,
    }
}

/// Reads every frame in order. Returns a fingerprint of 8 bytes for each frame; `None` for frames
/// that cannot be read.
fn read_all(
    source: &dyn FrameSource,
    damaged: &mut Vec<usize>,
    issues: &mut Vec<String>,
) -> Vec<Option<u64>> {
    let mut read = Vec::new();
    // A video that turns out to be damaged renumbers its frames once, and then has fewer or more.
    while read.len() < source.info().frame_count {
        let index = read.len();
        match source.frame(index) {
            Ok(frame) => read.push(Some(fingerprint(&frame))),
            Err(error) => {
                read.push(None);
                damaged.push(index);
                // One message per frame would hide the other messages; the indices are in the list.
                if damaged.len() == 1 {
                    issues.push(error.to_string());
                }
            }
        }
    }
    read
}

/// Reads some frames again: onwards from the middle, in reverse from the end, and in jumps. A
/// reader must see the same frames wherever it begins. This costs as much as reading a few hundred
/// frames, regardless of the length of the recording.
fn read_again(
    source: &dyn FrameSource,
    read: &[Option<u64>],
    damaged: &mut Vec<usize>,
    issues: &mut Vec<String>,
) {
    /// Frames in each stretch.
    const STRETCH: usize = 32;
    /// Number of jumps; each costs up to a group of pictures.
    const JUMPS: usize = 12;
    let count = read.len();
    if source.info().frame_count != count {
        // The video was renumbered at the very end, so the fingerprints belong to other frames.
        return;
    }
    source.release_memory();
    let middle = count / 2;
    // The step is coprime to most counts, so that the jumps go back and forth over the whole
    // recording.
    let jumps = (1..=JUMPS).map(|jump| jump * (count * 7 / 17 + 1) % count.max(1));
    let order = (middle..count.min(middle + STRETCH))
        .chain((count.saturating_sub(STRETCH)..count).rev())
        .chain(jumps.filter(|_| count > 0));
    let mut differing = BTreeSet::new();
    for index in order {
        let Some(Some(expected)) = read.get(index) else { continue };
        if source.frame(index).map(|frame| fingerprint(&frame)).ok() != Some(*expected) {
            differing.insert(index);
        }
    }
    if source.info().frame_count == count
        && let Some(first) = differing.first()
    {
        issues.push(format!(
            "{}: {} of the frames that were read again are not the same when reading begins elsewhere, the first is frame \
             {first}; re-encode the recording with ffmpeg, and please report it",
            source.info().description,
            differing.len()
        ));
        damaged.extend(differing);
    }
}

/// Returns a hash that tells pictures apart. Not suitable for storage.
fn fingerprint(frame: &RgbFrame) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(frame.data());
    hasher.finish()
}
