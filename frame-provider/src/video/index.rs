//! Which packet holds which frame, and where decoding of a frame can start.
//!
//! A packet is identified by its *ordinal*, its position in the file among the packets of the video
//! stream. The reader sets the ordinal of every packet as its time stamp before decoding it, so
//! that each decoded frame names the packet it came from, however unreliable the container's own
//! time stamps are.

use std::borrow::Cow;
use std::collections::BTreeSet;

use video_rs::ffmpeg as ff;

use super::ffi;
use super::handover::Handovers;

/// The position of a packet in the file among the packets of its stream.
pub(super) type Ordinal = u32;

const NOT_SHOWN: u32 = u32::MAX;

/// Properties of a packet that demuxing reveals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacketInfo {
    pub(super) pts: Option<i64>,
    pub(super) dts: Option<i64>,
    pub(super) position: i64,
    pub(super) size: usize,
    pub(super) key: bool,
    pub(super) discard: bool,
    pub(super) corrupt: bool,
}

impl PacketInfo {
    pub(super) fn of(packet: &ff::Packet) -> Self {
        Self {
            pts: packet.pts(),
            dts: packet.dts(),
            position: packet.position() as i64,
            size: packet.size(),
            key: packet.is_key(),
            discard: ffi::is_discarded(packet),
            corrupt: packet.is_corrupt(),
        }
    }

    /// Returns true if both describe the same packet of the file.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        (self.pts, self.dts, self.position, self.size)
            == (other.pts, other.dts, other.position, other.size)
    }

    /// Returns true if both can be the same packet, read after a seek: demuxers then leave out or
    /// guess some time stamps.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        self.size == other.size && (self.dts == other.dts || self.pts == other.pts)
    }
}

/// A run of frames, in display order, that can be decoded from one key frame onwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The packet to begin decoding with.
    pub(super) key: Ordinal,
    /// The first frame of the run; the run ends where the next one begins.
    pub(super) first: usize,
}

/// The data that an [`Index`] is made from.
#[derive(Debug, Clone)]
pub(super) struct IndexParts<'a> {
    pub(super) packets: Cow<'a, [PacketInfo]>,
    pub(super) shown: Cow<'a, [Ordinal]>,
    pub(super) refused: Cow<'a, BTreeSet<Ordinal>>,
    pub(super) handovers: Cow<'a, Handovers>,
    pub(super) decoded: bool,
    pub(super) counted: bool,
}

/// The order in which frames are shown, and where decoding can start.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The packets, in the order of the file.
    pub(super) packets: Vec<PacketInfo>,
    /// The packet of each frame, in display order.
    shown: Vec<Ordinal>,
    /// The frame of each packet, or [`NOT_SHOWN`].
    frame_of: Vec<u32>,
    /// The segments, in display order; the first begins with frame 0.
    segments: Vec<Segment>,
    /// Key frames that turned out not to give the frames of a sequential decode.
    refused: BTreeSet<Ordinal>,
    /// Data that a decoder receives only once.
    handovers: Handovers,
    /// True if made by decoding the whole file, not from time stamps.
    decoded: bool,
    /// True if decoded frames do not name their packets, or several name the same one. Then only
    /// counting from the start tells them apart.
    counted: bool,
}

impl Index {
    /// Makes an index from demuxing alone: frames are shown in the order of their time stamps.
    pub(super) fn from_time_stamps(packets: Vec<PacketInfo>) -> Self {
        let is_shown = |packet: &PacketInfo| !packet.discard && packet.size > 0;
        let mut shown: Vec<Ordinal> = (0..)
            .zip(&packets)
            .filter(|(_, packet)| is_shown(packet))
            .map(|(ordinal, _)| ordinal)
            .collect();
        shown.sort_by_key(|&ordinal| packets[ordinal as usize].pts);
        let mut index = Self { packets, shown, ..Self::default() };
        index.update();
        index
    }

    /// Makes an index from a sequential decode. `shown` is the packet that each frame named, in the
    /// order of output, and `not_intra` lists the key packets whose picture needs others.
    pub(super) fn from_decode(
        packets: Vec<PacketInfo>,
        shown: Vec<Option<Ordinal>>,
        not_intra: BTreeSet<Ordinal>,
    ) -> Self {
        let named: BTreeSet<Ordinal> = shown.iter().flatten().copied().collect();
        let counted = named.len() != shown.len();
        let shown = shown.into_iter().map(Option::unwrap_or_default).collect();
        let mut index =
            Self { packets, shown, refused: not_intra, decoded: true, counted, ..Self::default() };
        index.update();
        index
    }

    /// Adds the data that decoders receive only once.
    pub(super) fn with_handovers(mut self, handovers: Handovers) -> Self {
        if let Some(lost) = handovers.lost_from {
            let late = (0..).zip(&self.packets).filter(|(ordinal, p)| *ordinal >= lost && p.key);
            self.refused.extend(late.map(|(ordinal, _)| ordinal));
        }
        self.handovers = handovers;
        self.update();
        self
    }

    /// Returns the data that decoders receive only once.
    pub(super) fn handovers(&self) -> &Handovers {
        &self.handovers
    }

    /// Returns the first frame, in display order, that comes with packet `ordinal` or a later one.
    pub(super) fn first_frame_from(&self, ordinal: Ordinal) -> Option<usize> {
        let frames = self.frame_of.get(ordinal as usize..)?;
        frames.iter().filter(|&&frame| frame != NOT_SHOWN).min().map(|&frame| frame as usize)
    }

    /// Returns the data to store in a file; [`Index::from_parts`] reverses it.
    pub(super) fn parts(&self) -> IndexParts<'_> {
        IndexParts {
            packets: Cow::Borrowed(&self.packets),
            shown: Cow::Borrowed(&self.shown),
            refused: Cow::Borrowed(&self.refused),
            handovers: Cow::Borrowed(&self.handovers),
            decoded: self.decoded,
            counted: self.counted,
        }
    }

    /// Makes an index from stored data; `None` if the data cannot have come from an index.
    pub(super) fn from_parts(parts: IndexParts<'_>) -> Option<Self> {
        let packets = parts.packets.into_owned();
        let shown = parts.shown.into_owned();
        let exists = |ordinal: &Ordinal| (*ordinal as usize) < packets.len();
        let mut index = Self {
            shown,
            refused: parts.refused.into_owned(),
            handovers: parts.handovers.into_owned(),
            decoded: parts.decoded,
            counted: parts.counted,
            ..Self::default()
        };
        let mut once = vec![false; packets.len()];
        let is_sound = !index.shown.is_empty()
            && u32::try_from(packets.len()).is_ok()
            && index.refused.iter().all(exists)
            && index.shown.iter().all(|ordinal| {
                exists(ordinal)
                    && (!std::mem::replace(&mut once[*ordinal as usize], true) || index.counted)
            });
        index.packets = packets;
        is_sound.then(|| {
            index.update();
            index
        })
    }

    /// Returns the lengths of the runs of frames, each of which can be decoded from one key frame
    /// onwards, in display order.
    pub(super) fn segment_lengths(&self) -> impl Iterator<Item = usize> + '_ {
        let ends = self.segments.iter().skip(1).map(|segment| segment.first);
        self.segments
            .iter()
            .zip(ends.chain([self.shown.len()]))
            .map(|(start, end)| end - start.first)
    }

    /// Returns the time stamps of the frames in display order; `None` if one is missing, or if
    /// frames do not name their packets.
    ///
    /// AVI with B-frames stores only the times at which packets are decoded. If all frames last
    /// equally long, these times in ascending order are also the times of the frames, apart from a
    /// delay that is the same for all.
    pub(super) fn times(&self) -> Option<Vec<i64>> {
        if self.counted {
            return None;
        }
        self.stamps(|packet| packet.pts).or_else(|| {
            let mut decoded = self.stamps(|packet| packet.dts)?;
            let is_in_order = self.shown.is_sorted();
            decoded.sort_unstable();
            (is_in_order || is_steady(&decoded)).then_some(decoded)
        })
    }

    /// Returns the time stamps of decoding, ascending, if they do not give the display times and no
    /// other time stamps exist.
    pub(super) fn times_of_decoding_only(&self) -> Option<Vec<i64>> {
        if self.counted || self.times().is_some() {
            return None;
        }
        let mut stamps = self.stamps(|packet| packet.dts)?;
        stamps.sort_unstable();
        Some(stamps)
    }

    /// Returns the time stamps of one kind in display order; `None` if one is missing.
    fn stamps(&self, stamp: fn(&PacketInfo) -> Option<i64>) -> Option<Vec<i64>> {
        self.shown.iter().map(|&ordinal| stamp(self.packets.get(ordinal as usize)?)).collect()
    }

    /// Returns true if the time stamps say that frames are shown in the order in which they are
    /// decoded.
    pub(super) fn claims_no_reordering(&self) -> bool {
        !self.decoded && self.packets.iter().all(|packet| packet.pts == packet.dts)
    }

    /// Returns the number of frames.
    pub(super) fn frame_count(&self) -> usize {
        self.shown.len()
    }

    /// Returns true if the index comes from a decode of the whole file.
    pub(super) fn is_decoded(&self) -> bool {
        self.decoded
    }

    /// Returns true if frames can be told apart only by counting from the start.
    pub(super) fn is_counted(&self) -> bool {
        self.counted
    }

    /// Returns the frame that the packet holds, if it is shown.
    pub(super) fn frame_of(&self, ordinal: Ordinal) -> Option<usize> {
        self.frame_of
            .get(ordinal as usize)
            .filter(|&&frame| frame != NOT_SHOWN)
            .map(|&frame| frame as usize)
    }

    /// Returns the position in [`Index::segments`] of the segment that holds `frame`.
    fn segment_number(&self, frame: usize) -> usize {
        self.segments.partition_point(|segment| segment.first <= frame).saturating_sub(1)
    }

    /// Returns the segment that holds `frame`.
    pub(super) fn segment_of(&self, frame: usize) -> Segment {
        self.segments
            .get(self.segment_number(frame))
            .copied()
            .unwrap_or(Segment { key: 0, first: 0 })
    }

    /// Returns the first frame of a window of at most `frames` frames that ends with `last`, chosen
    /// so that decoding from there wastes least: within one segment, or across a few whole ones if
    /// they are short.
    pub(super) fn window_start(&self, last: usize, frames: usize, frames_across: usize) -> usize {
        let lowest = (last + 1).saturating_sub(frames);
        let mut number = self.segment_number(last);
        let mut start = self.segment_of(last).first.max(lowest);
        while number > 0 {
            number -= 1;
            let first = self.segments[number].first;
            if first < lowest || last - first >= frames_across {
                break;
            }
            start = first;
        }
        start
    }

    /// Never starts decoding at `key` again. Returns false if the key was already refused.
    pub(super) fn refuse(&mut self, key: Ordinal) -> bool {
        let is_new = self.refused.insert(key);
        self.update();
        is_new
    }

    /// Makes the beginning of the file the only place where decoding starts.
    pub(super) fn refuse_all(&mut self) {
        self.refused.extend(
            (1..)
                .zip(self.packets.iter().skip(1))
                .filter(|(_, p)| p.key)
                .map(|(ordinal, _)| ordinal),
        );
        self.update();
    }

    /// Returns the key frames before `ordinal`, nearest first.
    pub(super) fn keys_before(&self, ordinal: Ordinal) -> impl Iterator<Item = &PacketInfo> {
        self.packets[..(ordinal as usize).min(self.packets.len())]
            .iter()
            .rev()
            .filter(|packet| packet.key)
    }

    /// Returns true if both number the frames in the same way.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        self.shown == other.shown && !self.counted && !other.counted
    }

    /// Derives `frame_of` and `segments` from the rest.
    fn update(&mut self) {
        self.frame_of = vec![NOT_SHOWN; self.packets.len()];
        for (frame, &ordinal) in (0..).zip(&self.shown) {
            if let Some(entry) = self.frame_of.get_mut(ordinal as usize) {
                *entry = frame;
            }
        }
        self.segments =
            if self.counted { vec![Segment { key: 0, first: 0 }] } else { self.find_segments() };
    }

    fn find_segments(&self) -> Vec<Segment> {
        let mut starts: Vec<Segment> = (0..)
            .zip(&self.packets)
            .filter(|(ordinal, packet)| packet.key && !self.refused.contains(ordinal))
            .filter_map(|(key, packet)| {
                Some(Segment { key, first: self.first_served_by(key, packet)? })
            })
            .collect();
        starts.push(Segment { key: 0, first: 0 });
        // If several segments begin with the same frame, the last key is the nearest. The stable
        // sort keeps them in order, except for the entry of the start, which exists only for files
        // that do not begin with a key frame.
        starts.sort_by_key(|segment| (segment.first, segment.key));
        starts.reverse();
        starts.dedup_by_key(|segment| segment.first);
        // From the last to the first: drop a start if one of the frames it serves is coded before
        // the key frame itself. Its frames go to the previous segment.
        let mut end = self.shown.len();
        let mut earliest = Ordinal::MAX;
        let mut segments = Vec::with_capacity(starts.len());
        for start in starts {
            earliest =
                self.shown[start.first.min(end)..end].iter().copied().fold(earliest, Ordinal::min);
            end = start.first.min(end);
            if start.first == 0 || earliest >= start.key {
                let key = if earliest >= start.key { start.key } else { 0 };
                segments.push(Segment { key, first: start.first });
                earliest = Ordinal::MAX;
            }
        }
        segments.reverse();
        segments
    }

    /// Returns the first frame that decoding from this key serves: its own frame or, if an edit
    /// list hides that, the first one after it.
    fn first_served_by(&self, key: Ordinal, packet: &PacketInfo) -> Option<usize> {
        if let Some(frame) = self.frame_of(key) {
            return Some(frame);
        }
        // After a full decode, time stamps are ignored.
        let pts = packet.pts.filter(|_| !self.decoded)?;
        let frame =
            self.shown.partition_point(|&ordinal| self.packets[ordinal as usize].pts <= Some(pts));
        (frame < self.shown.len()).then_some(frame)
    }
}

/// Returns true if ascending stamps are evenly spaced, apart from rounding.
fn is_steady(stamps: &[i64]) -> bool {
    /// Tolerated difference between steps, as a fraction (1/16) of a step: 33 and 34 milliseconds
    /// count as equal.
    const TOLERATED: i64 = 16;
    let steps = || stamps.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let (shortest, longest) = (steps().min().unwrap_or(0), steps().max().unwrap_or(0));
    longest.saturating_sub(shortest).saturating_mul(TOLERATED) <= longest
}

/// Returns, in words for the user, why an index made from time stamps cannot be relied on; `None`
/// if it can.
pub(super) fn doubt(packets: &[PacketInfo], read_errors: usize) -> Option<String> {
    let count = |condition: fn(&PacketInfo) -> bool| {
        packets.iter().filter(|packet| condition(packet)).count()
    };
    let mut times: Vec<i64> =
        packets.iter().filter(|packet| !packet.discard).filter_map(|packet| packet.pts).collect();
    times.sort_unstable();
    let doubled = times.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let found = [
        (count(|packet| packet.pts.is_none()), "packets without a time stamp"),
        (doubled, "doubled time stamps"),
        (count(|packet| packet.corrupt), "packets marked as damaged"),
        (count(|packet| packet.size == 0), "empty packets"),
        (read_errors, "read errors"),
        (
            usize::from(packets.first().is_some_and(|packet| !packet.key)),
            "start without a key frame",
        ),
    ];
    let doubts: Vec<String> = found
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    (!doubts.is_empty()).then(|| doubts.join(", "))
}

/// Makes an index of packets read from arbitrary bytes and asserts the invariants of every index;
/// for tests and fuzzing.
#[cfg(any(test, fuzzing))]
pub fn check_index(bytes: &[u8]) {
    let time = |byte: u8| (byte != 255).then_some(i64::from(byte));
    let packets: Vec<PacketInfo> = (0..)
        .zip(bytes.chunks_exact(3))
        .map(|(number, chunk): (i64, &[u8])| PacketInfo {
            pts: time(chunk[0]),
            dts: time(chunk[1]),
            position: number * 100,
            size: usize::from(chunk[2] >> 3),
            key: chunk[2] & 1 != 0,
            discard: chunk[2] & 2 != 0,
            corrupt: chunk[2] & 4 != 0,
        })
        .collect();
    let _ = doubt(&packets, bytes.len());
    let shown = packets.iter().filter(|packet| !packet.discard && packet.size > 0).count();
    let from_times = Index::from_time_stamps(packets.clone());
    assert_eq!(from_times.frame_count(), shown, "each packet that is shown is one frame");
    check(from_times);
    // Frames as a decoder might output them: some missing, some doubled, some without a packet.
    let names = (0..).zip(bytes.chunks_exact(3)).filter(|(_, chunk)| chunk[0] % 7 != 0).map(
        |(ordinal, chunk): (Ordinal, &[u8])| match chunk[0] {
            250.. => None,
            240.. => Some(0),
            _ => Some(ordinal),
        },
    );
    let not_intra =
        (0..).zip(&packets).filter(|(_, p)| p.key && p.corrupt).map(|(ordinal, _)| ordinal);
    check(Index::from_decode(packets.clone(), names.collect(), not_intra.collect()));
}

#[cfg(any(test, fuzzing))]
fn check(mut index: Index) {
    loop {
        let count = index.frame_count();
        assert_eq!(index.segment_lengths().sum::<usize>(), count);
        for frame in 0..count {
            let segment = index.segment_of(frame);
            assert!(segment.first <= frame);
            let ordinal = index.shown[frame];
            assert!(index.counted || segment.key <= ordinal, "a frame is coded after its key");
            assert!(index.counted || index.frame_of(ordinal) == Some(frame));
            let start = index.window_start(frame, 5, 3);
            assert!(start <= frame && frame - start < 5);
        }
        let again = Index::from_parts(IndexParts {
            packets: Cow::Owned(index.packets.clone()),
            shown: Cow::Owned(index.shown.clone()),
            refused: Cow::Owned(index.refused.clone()),
            handovers: Cow::Owned(index.handovers.clone()),
            decoded: index.decoded,
            counted: index.counted,
        });
        assert!(count == 0 || again.is_some_and(|again| again.segments == index.segments));
        // The same must hold while keys turn out to be false one by one, until none is left.
        let key = index.segments.iter().map(|segment| segment.key).find(|key| *key != 0);
        let Some(key) = key else {
            break;
        };
        assert!(index.refuse(key));
    }
    index.refuse_all();
    assert!(index.segments.iter().all(|segment| segment.key == 0));
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
