//! Finds the parameter sets of H.264 and HEVC in a stream.
//!
//! Pictures refer to parameter sets by number. A stream may contain a set once and use it for
//! hours, so a decoder that begins later must receive it separately. Layouts are those of ITU-T
//! H.264 (7.3) and H.265 (7.3), and of ISO/IEC 14496-15 for length fields and for `avcC` and
//! `hvcC`.

/// The standards that have parameter sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standard {
    H264,
    Hevc,
}

/// How units are delimited in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Each unit follows a start code.
    StartCodes,
    /// Each unit follows its length, which takes 1 to 4 bytes, as given.
    Lengths(u8),
}

/// Identifies a set. The order is the one that decoders need: a set refers to sets before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetName {
    /// 0: video, 1: sequence, 2: picture.
    pub(super) level: u8,
    pub(super) number: u32,
}

impl SetName {
    pub(super) const PICTURE: u8 = 2;
}

impl Standard {
    /// Returns the name of a unit; `None` if it is not a parameter set.
    fn name(self, unit: &[u8]) -> Option<SetName> {
        let (level, number) = match self {
            Self::H264 => match unit.first()? & 31 {
                // After the profile, the constraints and the level.
                7 => (1, Bits::of(unit.get(1..)?).skip(24).number()?),
                8 => (2, Bits::of(unit.get(1..)?).number()?),
                _ => return None,
            },
            // Sets of further layers (stereo) are numbered separately, and FFmpeg reads only the
            // first layer.
            Self::Hevc if unit.first()? & 1 != 0 || unit.get(1)? >> 3 != 0 => return None,
            Self::Hevc => match unit.first()? >> 1 & 63 {
                32 => (0, Bits::of(unit.get(2..)?).take(4)?),
                33 => (1, hevc_sequence_number(unit.get(2..)?)?),
                34 => (2, Bits::of(unit.get(2..)?).number()?),
                _ => return None,
            },
        };
        Some(SetName { level, number })
    }

    /// Returns true if the unit holds a part of a picture.
    fn is_picture(self, unit: &[u8]) -> bool {
        unit.first().is_some_and(|first| match self {
            Self::H264 => (1..=5).contains(&(first & 31)),
            Self::Hevc => first >> 1 & 63 < 32,
        })
    }

    /// Returns the parameter sets of a packet, in the packet's order.
    pub(super) fn sets(self, packet: &[u8], framing: Framing) -> Vec<(SetName, &[u8])> {
        let mut sets = Vec::new();
        let mut rest = packet;
        while let Some(start) = match framing {
            Framing::StartCodes => find_start_code(rest).map(|place| place + 3),
            Framing::Lengths(bytes) => Some(usize::from(bytes)),
        } {
            let Some((head, after)) = rest.split_at_checked(start) else { break };
            let length = match framing {
                // Sets precede the picture, so its bytes need not be searched.
                Framing::StartCodes if self.is_picture(after) => break,
                Framing::StartCodes => find_start_code(after).unwrap_or(after.len()),
                Framing::Lengths(_) => number(head),
            };
            let Some((unit, after)) = after.split_at_checked(length) else { break };
            let unit = match framing {
                // Zeros before the next start code belong to that start code.
                Framing::StartCodes => without_padding(unit),
                Framing::Lengths(_) => unit,
            };
            sets.extend(self.name(unit).map(|name| (name, unit)));
            rest = after;
        }
        sets
    }

    /// Returns the framing that the extradata declares, and the sets in it.
    pub(super) fn extradata(self, data: &[u8]) -> (Framing, Vec<(SetName, &[u8])>) {
        let has_lengths = match (self, data) {
            (Self::H264, [1, ..]) => data.len() >= 7,
            // Some old writers leave the version at 0; a start code has only zeros before its 1.
            (Self::Hevc, [a, b, c, ..]) => data.len() >= 23 && (*a != 0 || *b != 0 || *c > 1),
            _ => false,
        };
        if !has_lengths {
            return (Framing::StartCodes, self.sets(data, Framing::StartCodes));
        }
        let at = if self == Self::H264 { 4 } else { 21 };
        let bytes = data.get(at).map_or(4, |byte| (byte & 3) + 1);
        let units = match self {
            Self::H264 => avcc_units(data),
            Self::Hevc => hvcc_units(data),
        };
        let sets = units.into_iter().filter_map(|unit| Some((self.name(unit)?, unit)));
        (Framing::Lengths(bytes), sets.collect())
    }
}

impl Framing {
    /// Appends the unit with the framing that it has in a packet.
    pub(super) fn append(self, unit: &[u8], packet: &mut Vec<u8>) {
        match self {
            Self::StartCodes => packet.extend([0, 0, 0, 1]),
            Self::Lengths(bytes) => {
                let length = (unit.len() as u64).to_be_bytes();
                packet.extend(&length[length.len() - usize::from(bytes.clamp(1, 4))..]);
            }
        }
        packet.extend(unit);
    }
}

/// Reads a big-endian number.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

fn without_padding(unit: &[u8]) -> &[u8] {
    let padding = unit.iter().rev().take_while(|&&byte| byte == 0).count();
    &unit[..unit.len() - padding]
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|three| three == [0, 0, 1])
}

/// Takes `count` units, each after its length in two bytes, from the front of `rest`.
fn take_units<'a>(rest: &mut &'a [u8], count: usize, units: &mut Vec<&'a [u8]>) -> Option<()> {
    for _ in 0..count {
        let (length, after) = rest.split_at_checked(2)?;
        let (unit, after) = after.split_at_checked(number(length))?;
        units.push(unit);
        *rest = after;
    }
    Some(())
}

fn avcc_units(data: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let mut rest = data.get(5..).unwrap_or_default();
    for mask in [31, 255] {
        let Some((&count, after)) = rest.split_first() else { break };
        rest = after;
        if take_units(&mut rest, usize::from(count & mask), &mut units).is_none() {
            break;
        }
    }
    units
}

fn hvcc_units(data: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let Some((&arrays, mut rest)) = data.get(22..).and_then(<[u8]>::split_first) else {
        return units;
    };
    for _ in 0..arrays {
        let Some((head, after)) = rest.split_at_checked(3) else { break };
        rest = after;
        if take_units(&mut rest, number(&head[1..]), &mut units).is_none() {
            break;
        }
    }
    units
}

/// Returns the number of an HEVC sequence parameter set, which follows the profiles of all its
/// layers.
fn hevc_sequence_number(data: &[u8]) -> Option<u32> {
    const PROFILE: usize = 88;
    const LEVEL: usize = 8;
    let mut bits = Bits::of(data).skip(4);
    let layers = bits.take(3)? as usize;
    bits = bits.skip(1 + PROFILE + LEVEL);
    if layers > 0 {
        let mut skipped = 0;
        for layer in 0..8 {
            let (profile, level) = (bits.take(1)?, bits.take(1)?);
            if layer < layers {
                skipped += profile as usize * PROFILE + level as usize * LEVEL;
            }
        }
        bits = bits.skip(skipped);
    }
    bits.number()
}

/// Bits of the first bytes of a unit, without the emulation prevention bytes.
struct Bits {
    bytes: Vec<u8>,
    place: usize,
}

impl Bits {
    /// Enough bytes for the header of seven layers.
    const MOST_BYTES: usize = 160;

    fn of(unit: &[u8]) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(unit.len().min(Self::MOST_BYTES));
        let mut zeros = 0;
        for &byte in unit.iter().take(Self::MOST_BYTES) {
            if byte == 3 && zeros >= 2 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, place: 0 }
    }

    fn skip(mut self, bits: usize) -> Self {
        self.place += bits;
        self
    }

    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.place / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.place % 8) & 1);
            self.place += 1;
        }
        Some(value)
    }

    /// Reads an unsigned number in Exp-Golomb code.
    fn number(mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS: [u8; 5] = [0x67, 66, 0, 30, 0b1010_0000];
    const PPS: [u8; 2] = [0x68, 0b0100_0000];
    const SLICE: [u8; 3] = [0x65, 1, 2];

    fn name(level: u8, number: u32) -> SetName {
        SetName { level, number }
    }

    #[test]
    fn sets_are_found_before_the_picture_in_either_framing() {
        for framing in [Framing::StartCodes, Framing::Lengths(4), Framing::Lengths(2)] {
            let mut packet = Vec::new();
            for unit in [&[9, 16][..], &SPS, &PPS, &SLICE] {
                framing.append(unit, &mut packet);
            }
            let found = Standard::H264.sets(&packet, framing);
            let expected = [(name(1, 0), &SPS[..]), (name(2, 1), &PPS[..])];
            assert_eq!(found, expected, "{framing:?}");
        }
    }

    #[test]
    fn extradata_says_the_framing_and_holds_sets() {
        let mut avcc = vec![1, 66, 0, 30, 0xFF, 0xE1, 0, 5];
        avcc.extend(SPS);
        avcc.extend([1, 0, 2]);
        avcc.extend(PPS);
        let (framing, sets) = Standard::H264.extradata(&avcc);
        assert_eq!(framing, Framing::Lengths(4));
        assert_eq!(sets, [(name(1, 0), &SPS[..]), (name(2, 1), &PPS[..])]);
        assert_eq!(Standard::H264.extradata(&[]), (Framing::StartCodes, vec![]));
    }

    #[test]
    fn numbers_of_hevc_lie_after_the_profiles() {
        // Number 2 ("011"), after 4 + 3 + 1 + 96 bits.
        let mut sps = vec![0x42, 1, 0x01];
        sps.extend([9; 12]);
        sps.push(0b0110_0000);
        assert_eq!(Standard::Hevc.name(&sps), Some(name(1, 2)));
        assert_eq!(Standard::Hevc.name(&[0x40, 1, 0x3C]), Some(name(0, 3)));
        assert_eq!(Standard::Hevc.name(&[0x44, 1, 0b1100_0000]), Some(name(2, 0)));
        assert_eq!(Standard::Hevc.name(&[0x26, 1, 2]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(data in proptest::collection::vec(any::<u8>(), 0..300), bytes in 1u8..=4) {
            for standard in [Standard::H264, Standard::Hevc] {
                let _ = standard.extradata(&data);
                let _ = standard.sets(&data, Framing::StartCodes);
                let _ = standard.sets(&data, Framing::Lengths(bytes));
            }
        }
    }
}
