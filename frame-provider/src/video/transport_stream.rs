//! Checks whether a transport stream ends in the middle of a packet.
//!
//! Transport streams do not state their length, but consist of packets of one size: 188 bytes
//! (ISO/IEC 13818-1), 192 with a time before each (.m2ts and .MTS of AVCHD cameras and Blu-ray), or
//! 204 with a checksum after each (DVB).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// First byte of each packet.
const SYNC: u8 = 0x47;

/// Bytes from one packet to the next, and bytes of the time before the packet.
const LAYOUTS: [(usize, usize); 3] = [(188, 0), (192, 4), (204, 0)];

/// Number of packets in a row that must begin where the layout says. By chance, one in 256 bytes
/// looks like the start of a packet.
const PACKETS_IN_A_ROW: usize = 8;

/// Returns a description if the last packet is incomplete; `None` if it is whole, or if the file
/// does not consist of known packets.
pub(super) fn cut_packet(path: &Path, format: &str) -> Option<String> {
    if format != "mpegts" {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut head = Vec::new();
    (&mut file).take(204 * (PACKETS_IN_A_ROW as u64 + 1)).read_to_end(&mut head).ok()?;
    let (size, first) = layout(&head)?;
    let rest = length.checked_sub(first as u64)? % size as u64;
    if rest == 0 {
        return None;
    }
    // Other data at the end, such as padding, is not a packet.
    let (_, time) = LAYOUTS.into_iter().find(|(of, _)| *of == size)?;
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(length - rest)).ok()?;
    file.take(rest).read_to_end(&mut end).ok()?;
    let is_packet = end.get(time).is_none_or(|byte| *byte == SYNC);
    is_packet.then(|| "its last packet is incomplete".to_owned())
}

/// Returns the number of bytes from one packet to the next, and where the first whole one begins,
/// including its time.
fn layout(head: &[u8]) -> Option<(usize, usize)> {
    for (size, time) in LAYOUTS {
        for first in 0..size {
            let mut starts = head.iter().skip(first + time).step_by(size);
            let seen = starts.by_ref().take(PACKETS_IN_A_ROW).take_while(|byte| **byte == SYNC);
            if seen.count() == PACKETS_IN_A_ROW {
                return Some((size, first));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(size: usize, time: usize, packets: usize) -> Vec<u8> {
        let mut packet = vec![0; size];
        packet[time] = SYNC;
        packet.repeat(packets)
    }

    #[test]
    fn packets_of_each_size_are_whole_or_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let cut = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            cut_packet(&path, "mpegts").is_some()
        };
        for (size, time) in LAYOUTS {
            let whole = stream(size, time, 20);
            assert!(!cut(&whole), "{size}");
            assert!(cut(&whole[..whole.len() - 1]), "{size}");
            assert!(cut(&whole[..whole.len() - size + 10]), "{size}");
            // A recording that began in the middle of a packet, and one with padding at its end.
            assert!(!cut(&whole[50..]), "{size}");
            assert!(!cut(&[&whole[..], &[0xFF; 100]].concat()), "{size}");
        }
        assert!(!cut(&[1; 5000]));
        assert!(!cut(&[]));
    }
}
