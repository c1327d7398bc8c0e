//! Data that a decoder receives only once and needs from then on.
//!
//! FFmpeg's demuxers deliver some data with one packet only: the colours of palette video with the
//! first packet, a new header with the first packet it applies to. In the same way, a stream can
//! contain a parameter set once. A plain decode meets each of these along the way. A decoder that
//! begins at a later key frame, or after a seek, never does, and shows black or garbage. So this
//! data is recorded while the file is indexed, and the first packet of every decoder carries the
//! data in force at that point.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use video_rs::ffmpeg as ff;

use ff::codec::Id;

use super::coded_size::coded_size;
use super::ffi;
use super::index::Ordinal;
use super::parameter_sets::{Framing, SetName, Standard};

/// Largest number of changes kept for one file. Streams with more changes are unusual, and are read
/// in a slower way instead.
const MOST_CHANGES: usize = 1 << 16;

/// Largest number of bytes of changes kept for one file.
const MOST_BYTES: usize = 64 << 20;

/// Kinds of data that decoders receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Kind {
    /// The colours of palette video; side data of a packet.
    Palette,
    /// The decoder's header; side data of a packet.
    Extradata,
    /// Other parameters, such as the size; side data of a packet.
    Parameters,
    /// A parameter set in the packet itself. `lengths` is the number of bytes of the length before
    /// each unit, 0 for start codes.
    Set { level: u8, number: u32, lengths: u8 },
    /// The size of the picture in the packet itself. It need not be passed on, since each key frame
    /// repeats it.
    Size,
}

impl Kind {
    /// The kinds that are side data of packets.
    const SIDE_DATA: [Self; 3] = [Self::Palette, Self::Extradata, Self::Parameters];

    /// Returns FFmpeg's name of the kind; `None` for kinds that are not side data.
    pub(super) fn side_data(self) -> Option<ff::codec::packet::side_data::Type> {
        use ff::codec::packet::side_data::Type;
        match self {
            Self::Palette => Some(Type::Palette),
            Self::Extradata => Some(Type::NewExtraData),
            Self::Parameters => Some(Type::ParamChange),
            Self::Set { .. } | Self::Size => None,
        }
    }
}

/// A change, with the packet that brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) ordinal: Ordinal,
    pub(super) kind: Kind,
    pub(super) data: Arc<[u8]>,
}

/// All changes of a file, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Handovers {
    pub(super) changes: Vec<Change>,
    /// From this packet on, there were too many changes to keep them: decoding must not begin
    /// there.
    pub(super) lost_from: Option<Ordinal>,
}

impl Handovers {
    /// Returns the packets with which the size of the picture may change, in the order of the file.
    pub(super) fn may_change_size(&self) -> impl Iterator<Item = Ordinal> + '_ {
        let may = |change: &&Change| change.kind != Kind::Palette && change.ordinal > 0;
        self.changes.iter().filter(may).map(|change| change.ordinal)
    }

    /// Returns packet `ordinal` as the first one for a new decoder, with everything in force;
    /// `None` if the packet needs no change.
    pub(super) fn first_packet(&self, ordinal: Ordinal, packet: &ff::Packet) -> Option<ff::Packet> {
        if ordinal == 0 {
            return None;
        }
        let before = self.changes.iter().take_while(|change| change.ordinal <= ordinal);
        let mut side_data = BTreeMap::new();
        let mut sets = BTreeMap::new();
        let mut framing = Framing::StartCodes;
        for change in before {
            match change.kind {
                Kind::Set { level, number, lengths } => {
                    framing = framing_of(lengths);
                    // The packet's own sets come later in it, and so take precedence.
                    sets.insert(SetName { level, number }, &change.data);
                }
                Kind::Size => {}
                kind => {
                    side_data.insert(kind, &change.data);
                }
            }
        }
        if side_data.is_empty() && sets.is_empty() {
            return None;
        }
        let mut prefix = Vec::new();
        for set in sets.values() {
            framing.append(set, &mut prefix);
        }
        let mut first = if prefix.is_empty() {
            packet.clone()
        } else {
            prefix.extend(packet.data().unwrap_or_default());
            ffi::with_payload(packet, &prefix)?
        };
        for (kind, data) in side_data {
            // After a seek, a packet can carry data that was read before the seek and belongs
            // elsewhere. This replaces it.
            ffi::set_side_data(&mut first, kind.side_data()?, data)?;
        }
        Some(first)
    }
}

fn framing_of(lengths: u8) -> Framing {
    if lengths == 0 { Framing::StartCodes } else { Framing::Lengths(lengths) }
}

/// Records changes while packets pass.
pub(super) struct Watch {
    codec: Id,
    standard: Option<Standard>,
    framing: Framing,
    /// The data in force, by kind.
    side_data: BTreeMap<Kind, Arc<[u8]>>,
    sets: BTreeMap<SetName, Arc<[u8]>>,
    size: Option<(u32, u32)>,
    bytes: usize,
    found: Handovers,
}

impl Watch {
    /// Makes a watch for a stream whose decoders are opened with these parameters.
    pub(super) fn new(parameters: &ff::codec::Parameters) -> Self {
        let codec = parameters.id();
        let standard = match codec {
            Id::H264 => Some(Standard::H264),
            Id::HEVC => Some(Standard::Hevc),
            _ => None,
        };
        let extradata = ffi::extradata(parameters);
        let mut watch = Self {
            codec,
            standard,
            framing: Framing::StartCodes,
            side_data: BTreeMap::new(),
            sets: BTreeMap::new(),
            size: None,
            bytes: 0,
            found: Handovers::default(),
        };
        // Decoders know these from the start.
        watch.side_data.insert(Kind::Extradata, extradata.into());
        if let Some(standard) = standard {
            let (framing, sets) = standard.extradata(extradata);
            watch.framing = framing;
            watch.sets = sets.into_iter().map(|(name, set)| (name, set.into())).collect();
        }
        watch
    }

    /// Records what `packet` changes.
    pub(super) fn see(&mut self, ordinal: Ordinal, packet: &ff::Packet) {
        if self.found.lost_from.is_some() {
            return;
        }
        for data in packet.side_data() {
            let kind =
                Kind::SIDE_DATA.into_iter().find(|kind| kind.side_data() == Some(data.kind()));
            if let Some(kind) = kind
                && self.side_data.get(&kind).is_none_or(|known| **known != *data.data())
            {
                let data: Arc<[u8]> = data.data().into();
                self.side_data.insert(kind, Arc::clone(&data));
                if let (Kind::Extradata, Some(standard)) = (kind, self.standard) {
                    let (framing, sets) = standard.extradata(&data);
                    self.framing = framing;
                    for (name, set) in sets {
                        self.sets.remove(&name);
                        self.see_set(ordinal, name, set);
                    }
                }
                self.add(ordinal, kind, data);
            }
        }
        let payload = packet.data().unwrap_or_default();
        if let Some(standard) = self.standard {
            for (name, set) in standard.sets(payload, self.framing) {
                self.see_set(ordinal, name, set);
            }
        } else if let Some(size) = coded_size(self.codec, payload)
            && self.size.replace(size).is_some_and(|known| known != size)
        {
            self.add(ordinal, Kind::Size, Arc::from([]));
        }
    }

    fn see_set(&mut self, ordinal: Ordinal, name: SetName, set: &[u8]) {
        if self.sets.get(&name).is_some_and(|known| **known == *set) {
            return;
        }
        let set: Arc<[u8]> = set.into();
        self.sets.insert(name, Arc::clone(&set));
        self.add(ordinal, self.set_kind(name), set);
        if name.level < SetName::PICTURE {
            // Decoders drop the picture sets that refer to a changed set, so these are sent again
            // after it.
            let below = self.sets.iter().filter(|(other, _)| other.level > name.level);
            let below: Vec<_> = below.map(|(name, set)| (*name, Arc::clone(set))).collect();
            for (name, set) in below {
                self.add(ordinal, self.set_kind(name), set);
            }
        }
    }

    fn set_kind(&self, name: SetName) -> Kind {
        let lengths = match self.framing {
            Framing::StartCodes => 0,
            Framing::Lengths(bytes) => bytes,
        };
        Kind::Set { level: name.level, number: name.number, lengths }
    }

    fn add(&mut self, ordinal: Ordinal, kind: Kind, data: Arc<[u8]>) {
        self.bytes += data.len();
        if self.found.changes.len() >= MOST_CHANGES || self.bytes > MOST_BYTES {
            self.found.lost_from.get_or_insert(ordinal);
            return;
        }
        self.found.changes.push(Change { ordinal, kind, data });
    }

    /// Returns the recorded changes.
    pub(super) fn finish(self) -> Handovers {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::codec::packet::side_data::Type;

    fn side_data(packet: &ff::Packet, kind: Type) -> Option<Vec<u8>> {
        let mut all = packet.side_data();
        all.find(|data| data.kind() == kind).map(|data| data.data().to_vec())
    }

    #[test]
    fn a_palette_is_handed_on_until_the_next_one() {
        let mut watch = Watch::new(&ff::codec::Parameters::new());
        for ordinal in 0..8 {
            let mut packet = ff::Packet::copy(&[1, 2, 3]);
            if ordinal == 0 || ordinal == 1 || ordinal == 5 {
                let colours = if ordinal < 5 { [7; 1024] } else { [9; 1024] };
                ffi::set_side_data(&mut packet, Type::Palette, &colours).unwrap();
            }
            watch.see(ordinal, &packet);
        }
        let handovers = watch.finish();
        assert_eq!(handovers.changes.len(), 2, "the same palette again is no change");
        let mut packet = ff::Packet::copy(&[1, 2, 3]);
        packet.set_pts(Some(4));
        assert!(handovers.first_packet(0, &packet).is_none());
        let first = handovers.first_packet(4, &packet).unwrap();
        assert_eq!((first.pts(), first.data()), (Some(4), Some(&[1, 2, 3][..])));
        assert_eq!(side_data(&first, Type::Palette), Some(vec![7; 1024]));
        let first = handovers.first_packet(5, &first).unwrap();
        assert_eq!(side_data(&first, Type::Palette), Some(vec![9; 1024]), "and replaces others");
        assert_eq!(handovers.may_change_size().count(), 0);
    }

    #[test]
    fn sets_that_came_once_are_put_before_the_first_packet() {
        let mut parameters = ff::codec::Parameters::new();
        parameters.set_medium(ff::media::Type::Video);
        parameters.set_id(Id::H264);
        let mut watch = Watch::new(&parameters);
        let sps = |level| [0x67, 66, 0, level, 0b1010_0000];
        let pps = [0x68, 0b1100_0000];
        let stream = |units: &[&[u8]]| {
            let mut bytes = Vec::new();
            units.iter().for_each(|unit| Framing::StartCodes.append(unit, &mut bytes));
            bytes
        };
        let slice = [0x65, 1, 2, 3];
        let packets = [
            stream(&[&sps(30), &pps, &slice]),
            stream(&[&slice]),
            stream(&[&sps(31), &slice]),
            stream(&[&slice]),
        ];
        for (ordinal, bytes) in (0..).zip(&packets) {
            watch.see(ordinal, &ff::Packet::copy(bytes));
        }
        let handovers = watch.finish();
        let first = |ordinal: Ordinal| {
            let packet = ff::Packet::copy(&packets[ordinal as usize]);
            handovers.first_packet(ordinal, &packet).map(|packet| packet.data().unwrap().to_vec())
        };
        assert_eq!(first(1), Some(stream(&[&sps(30), &pps, &slice])));
        assert_eq!(first(3), Some(stream(&[&sps(31), &pps, &slice])));
        assert_eq!(handovers.may_change_size().collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn changes_without_end_are_not_kept() {
        let mut watch = Watch::new(&ff::codec::Parameters::new());
        for number in 0..MOST_CHANGES as u32 + 5 {
            let mut packet = ff::Packet::copy(&[1]);
            ffi::set_side_data(&mut packet, Type::Palette, &number.to_le_bytes()).unwrap();
            watch.see(number, &packet);
        }
        let handovers = watch.finish();
        assert_eq!(handovers.lost_from, Some(MOST_CHANGES as u32));
        assert_eq!(handovers.changes.len(), MOST_CHANGES);
    }
}
