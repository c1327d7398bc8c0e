//! Whether a file is as long as its container says.
//!
//! Containers nest elements that each begin with their length. If the outermost ones reach past the end of the file, the
//! file was cut off, be it by one byte. Only their headers are read, a few bytes per element.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Elements to look at; damaged files can hold millions of empty ones.
const MOST_ELEMENTS: usize = 4096;

/// Bytes by which writers of AVI get the length wrong (its own header, or a byte of padding).
const AVI_SLACK: u64 = 9;

/// How many bytes the end of the file lacks, in words; `None` if it lacks none or the container does not say.
pub(super) fn missing_end(path: &Path, format: &str) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let is = |name: &str| format.split(',').any(|found| found == name);
    let promised = if is("matroska") {
        matroska_end(&mut file)
    } else if is("mov") {
        last_end(&mut file, length, box_end)
    } else if is("avi") {
        last_end(&mut file, length, riff_end).map(|end| end.saturating_sub(AVI_SLACK))
    } else {
        None
    }?;
    let missing = promised.saturating_sub(length);
    (missing > 0).then(|| format!("at least {missing} bytes are missing at its end"))
}

/// Follows the outermost elements to where the last one should end.
fn last_end(
    file: &mut File,
    length: u64,
    end_of: fn(&mut File, u64, u64) -> Option<u64>,
) -> Option<u64> {
    let mut place = 0;
    for _ in 0..MOST_ELEMENTS {
        let end = end_of(file, place, length)?;
        if end >= length {
            return Some(end);
        }
        // Lengths of zero would hold us here for ever.
        place = (end > place).then_some(end)?;
    }
    None
}

/// Where the ISO media box at `place` ends.
fn box_end(file: &mut File, place: u64, length: u64) -> Option<u64> {
    let head: [u8; 8] = read_at(file, place)?;
    let is_name = head[4..].iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
    match size {
        // To the end of the file.
        0 => Some(length),
        1 => place.checked_add(u64::from_be_bytes(read_at(file, place + 8)?)),
        8.. if is_name => place.checked_add(size),
        _ => None,
    }
}

/// Where the RIFF list at `place` ends. Large AVI files consist of several.
fn riff_end(file: &mut File, place: u64, _length: u64) -> Option<u64> {
    let head: [u8; 8] = read_at(file, place)?;
    let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    // Writers that were interrupted, or write to a pipe, leave a placeholder.
    let is_known = head[..4] == *b"RIFF" && size != 0 && size != u32::MAX;
    is_known.then(|| place + 8 + u64::from(size) + u64::from(size % 2))
}

/// Where the segment that holds everything of a Matroska or WebM file ends.
fn matroska_end(file: &mut File) -> Option<u64> {
    const HEADER: u64 = 0x1A45_DFA3;
    const SEGMENT: u64 = 0x1853_8067;
    let (name, start, size) = element(file, 0)?;
    let (next, start, size) = match name {
        HEADER => element(file, start.checked_add(size?)?)?,
        _ => return None,
    };
    if next == SEGMENT { start.checked_add(size?) } else { None }
}

/// Name, start of the contents, and length of the contents of the EBML element at `place`. Live recordings leave the
/// length open.
fn element(file: &mut File, place: u64) -> Option<(u64, u64, Option<u64>)> {
    let (name, name_bytes) = number(file, place, true)?;
    let (size, size_bytes) = number(file, place + name_bytes, false)?;
    let open = (1 << (7 * size_bytes)) - 1;
    let start = place + name_bytes + size_bytes;
    Some((name, start, (size != open).then_some(size)))
}

/// An EBML number of variable length, with or without the bit that marks the length; and its length.
fn number(file: &mut File, place: u64, with_marker: bool) -> Option<(u64, u64)> {
    let [first]: [u8; 1] = read_at(file, place)?;
    let bytes = u64::from(first.leading_zeros()) + 1;
    if bytes > 8 {
        return None;
    }
    let mut value = u64::from(first);
    if !with_marker {
        value &= (1 << (8 - bytes)) - 1;
    }
    for place in place + 1..place + bytes {
        let [byte]: [u8; 1] = read_at(file, place)?;
        value = value << 8 | u64::from(byte);
    }
    Some((value, bytes))
}

fn read_at<const N: usize>(file: &mut File, place: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(place)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(bytes: &[u8], format: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        missing_end(&path, format)
    }

    #[test]
    fn each_container_knows_its_length() {
        let boxes =
            [&[0, 0, 0, 12][..], b"ftyp", &[0; 4], &[0, 0, 0, 16], b"mdat", &[7; 8]].concat();
        let riff = [&b"RIFF"[..], &[40, 0, 0, 0], &[0; 40]].concat();
        let ebml =
            [&[0x1A, 0x45, 0xDF, 0xA3, 0x82, 9, 9, 0x18, 0x53, 0x80, 0x67, 0x40, 20][..], &[0; 20]]
                .concat();
        let cases = [("mov,mp4", boxes, 1), ("avi", riff, 10), ("matroska,webm", ebml, 1)];
        for (format, bytes, cut) in cases {
            assert_eq!(missing(&bytes, format), None, "{format}");
            let message = missing(&bytes[..bytes.len() - cut], format).unwrap();
            assert_eq!(message, "at least 1 bytes are missing at its end", "{format}");
            for length in 0..bytes.len() {
                let _ = missing(&bytes[..length], format);
            }
        }
    }

    #[test]
    fn open_ends_and_nonsense_say_nothing() {
        let live = [0x1A, 0x45, 0xDF, 0xA3, 0x80, 0x18, 0x53, 0x80, 0x67, 0xFF, 0];
        assert_eq!(missing(&live, "matroska,webm"), None);
        assert_eq!(missing(b"RIFF\0\0\0\0AVI ", "avi"), None);
        assert_eq!(missing(&[0; 64], "mov,mp4"), None);
        assert_eq!(missing(&[0; 64], "matroska,webm"), None);
        assert_eq!(missing(b"anything", "mpegts"), None);
    }
}
