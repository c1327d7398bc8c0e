//! Checks whether an MPEG program stream (`.mpg`, `.vob`) ends in the middle of a packet.
//!
//! Program streams do not state their length, but consist of packs of packets that each begin with
//! their length (ISO/IEC 11172-1 and 13818-1).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Number of bytes read from the end: more than the largest packet, which has 65,541 bytes, and the
/// pack before it.
const END_BYTES: u64 = 1 << 18;

/// First bytes of each pack.
const PACK: [u8; 4] = [0, 0, 1, 0xBA];

/// Number of packets that must follow each other, to exclude a start code that occurs by chance.
const PACKETS_IN_A_ROW: usize = 3;

/// How a run of packets ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
    /// The bytes are not packets.
    Unknown,
}

/// Returns a description if the last packet is incomplete; `None` if it is whole, or if the file
/// does not end with packets.
pub(super) fn cut_packet(path: &Path, format: &str) -> Option<String> {
    if format != "mpeg" {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END_BYTES))).ok()?;
    let mut end = Vec::new();
    file.take(END_BYTES).read_to_end(&mut end).ok()?;
    let starts = end.windows(PACK.len()).enumerate().filter(|(_, window)| *window == PACK);
    // Sound data can look like a pack by chance; then bytes that are not a packet soon follow.
    let known =
        starts.map(|(place, _)| ending(&end, place)).find(|ending| *ending != End::Unknown)?;
    (known == End::Cut).then(|| "its last packet is incomplete".to_owned())
}

/// Follows the packets from `place` and returns how they end.
fn ending(bytes: &[u8], mut place: usize) -> End {
    let mut seen = 0;
    loop {
        let rest = &bytes[place..];
        if rest.is_empty() {
            return End::Whole;
        }
        let size = match size(rest) {
            Ok(size) => size,
            Err(End::Cut) if seen >= PACKETS_IN_A_ROW => return End::Cut,
            Err(_) => return End::Unknown,
        };
        if size > rest.len() {
            return if seen >= PACKETS_IN_A_ROW { End::Cut } else { End::Unknown };
        }
        place += size;
        seen += 1;
    }
}

/// Returns the size in bytes of the pack header or packet at the start of `bytes`.
fn size(bytes: &[u8]) -> Result<usize, End> {
    const START: [u8; 3] = [0, 0, 1];
    let known = bytes.len().min(START.len());
    if bytes[..known] != START[..known] {
        return Err(End::Unknown);
    }
    match bytes.get(3) {
        None => Err(End::Cut),
        // The end of the stream.
        Some(0xB9) => Ok(4),
        // A pack's header: that of MPEG-2 says how many bytes of padding follow it.
        Some(0xBA) => match bytes.get(4).map(|byte| byte >> 4) {
            None => Err(End::Cut),
            Some(0b0010) => Ok(12),
            Some(0b0100..=0b0111) => {
                bytes.get(13).map(|byte| 14 + usize::from(byte & 7)).ok_or(End::Cut)
            }
            Some(_) => Err(End::Unknown),
        },
        Some(0xBB..) => match bytes.get(4..6) {
            Some(length) => Ok(6 + usize::from(u16::from_be_bytes([length[0], length[1]]))),
            None => Err(End::Cut),
        },
        Some(_) => Err(End::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_whole_or_cut() {
        let packet =
            |kind: u8, bytes: u8| [&[0, 0, 1, kind, 0, bytes][..], &vec![7; bytes.into()]].concat();
        let first = [&PACK[..], &[0b0010_0001, 0, 0, 0, 0, 0, 0, 0]].concat();
        let second = [&PACK[..], &[0b0100_0100, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xFF, 0xFF]].concat();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let cut = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            cut_packet(&path, "mpeg").is_some()
        };
        for pack in [&first, &second] {
            let packets = [packet(0xBB, 9), packet(0xE0, 200), packet(0xC0, 90), packet(0xE0, 30)];
            let whole = [&pack[..], &packets.concat()].concat();
            assert!(!cut(&whole));
            assert!(!cut(&[&whole[..], &[0, 0, 1, 0xB9]].concat()));
            for missing in 1..35 {
                assert!(cut(&whole[..whole.len() - missing]), "{missing}");
            }
            // Other data at the end is not a packet.
            assert!(!cut(&[&whole[..], &[0x55; 100]].concat()));
            // Three packets and the header of their pack.
            assert!(!cut(&whole[..whole.len() - 36]));
        }
        assert!(!cut(&[0; 500]) && !cut(&[]));
    }
}
