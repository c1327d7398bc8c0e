//! What the index of a video says about the recording as a whole.

use super::demux::Facts;
use super::index::Index;
use super::scaler::ScalerInput;
use crate::size::FrameSize;
use crate::source_info::Timing;
use crate::video_details::{GroupLengths, IndexKind, VideoDetails};

/// Figures about an [`Index`], in units of the stream's time base. Making them takes a pass over
/// the frames, so they are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct IndexSummary {
    frame_count: usize,
    groups: GroupLengths,
    kind: IndexKind,
    /// Time from the first frame to the last one; `None` without time stamps.
    span: Option<i64>,
    /// By how much the longest step from one frame to the next exceeds the shortest.
    unevenness: Option<i64>,
}

impl IndexSummary {
    pub(super) fn of(index: &Index) -> Self {
        let times = index.times().or_else(|| index.times_of_decoding_only());
        let times = times.filter(|times| times.len() > 1).unwrap_or_default();
        let steps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        let extremes = steps.clone().min().zip(steps.max());
        let span = times.iter().max().zip(times.iter().min());
        Self {
            frame_count: index.frame_count(),
            groups: groups(index),
            kind: kind(index),
            span: span.and_then(|(last, first)| last.checked_sub(*first)),
            unevenness: extremes.map(|(shortest, longest)| longest.saturating_sub(shortest)),
        }
    }

    /// Returns the same figures with the groups of an index whose frames have not changed.
    pub(super) fn with_groups_of(self, index: &Index) -> Self {
        Self { groups: groups(index), ..self }
    }

    /// Returns the report about a video with this index. `picture` is its first frame.
    pub(super) fn details(
        &self,
        facts: &Facts,
        picture: &ScalerInput,
        timing: Timing,
        is_cached: bool,
    ) -> VideoDetails {
        /// Time stamps in milliseconds, as in Matroska, give steps that differ by one millisecond.
        const ROUNDING_SECONDS: f64 = 0.002;
        let count = self.frame_count as f64;
        let (matrix, range) = picture.colour.names();
        let (rotation_degrees, mirrored) = facts.orientation.degrees();
        // The last frame is assumed to last as long as the average frame.
        let span = self.span.map(|span| span as f64 * facts.time_base * count / (count - 1.0));
        let by_rate = || Some(count / timing.frames_per_second?);
        let is_variable = |ticks: i64| ticks as f64 * facts.time_base > ROUNDING_SECONDS;
        VideoDetails {
            container: facts.format.clone(),
            codec: facts.codec.clone(),
            pixel_format: picture
                .format
                .descriptor()
                .map_or("unknown", |descriptor| descriptor.name())
                .to_owned(),
            stored_size: FrameSize { width: picture.width, height: picture.height },
            rotation_degrees,
            mirrored,
            colour_matrix: matrix.to_owned(),
            colour_range: range.to_owned(),
            claimed_frames: facts.claimed_frames,
            duration_seconds: span.or_else(by_rate),
            variable_frame_rate: self.unevenness.map(is_variable),
            groups: self.groups,
            index: self.kind,
            index_from_cache: is_cached,
            streams: facts.video_streams.clone(),
        }
    }
}

fn groups(index: &Index) -> GroupLengths {
    let number = index.segment_lengths().count();
    GroupLengths {
        number,
        shortest: index.segment_lengths().min().unwrap_or(0),
        mean: index.frame_count() as f64 / number.max(1) as f64,
        longest: index.segment_lengths().max().unwrap_or(0),
    }
}

fn kind(index: &Index) -> IndexKind {
    match (index.is_counted(), index.is_decoded()) {
        (true, _) => IndexKind::Counted,
        (false, true) => IndexKind::Decoded,
        (false, false) => IndexKind::TimeStamps,
    }
}
