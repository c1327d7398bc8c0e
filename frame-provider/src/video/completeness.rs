//! Checks whether a file is as long as its container says.
//!
//! Containers nest elements that each begin with their length. If an outermost element reaches past
//! the end of the file, the file was cut off, even if only by one byte. Only the headers are read,
//! a few bytes per element.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Largest number of elements to examine; damaged files can hold millions of empty ones.
const MOST_ELEMENTS: usize = 4096;

/// Number of bytes by which writers of AVI get the length wrong (the header itself, or a byte of
/// padding).
const AVI_SLACK: u64 = 9;

/// Returns how many bytes are missing at the end of the file, in words; `None` if none are missing
/// or the container does not say.
pub(super) fn missing_end(path: &Path, format: &str) -> Option<String> {
    let (promised, length) = promised_end(path, format)?;
    let missing = promised.saturating_sub(length);
    (missing > 0).then(|| format!("at least {missing} bytes are missing at its end"))
}

/// Returns true if the container says where the file ends, and the file reaches that point.
pub(super) fn is_whole(path: &Path, format: &str) -> bool {
    promised_end(path, format).is_some_and(|(promised, length)| promised <= length)
}

/// Returns where the container says that the file ends, and where it really ends; `None` if the
/// container does not say.
fn promised_end(path: &Path, format: &str) -> Option<(u64, u64)> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let is = |name: &str| format.split(',').any(|found| found == name);
    let promised = if is("matroska") {
        matroska_end(&mut file)
    } else if is("mov") {
        last_end(&mut file, length, box_end)
    } else if is("avi") {
        last_end(&mut file, length, riff_end).map(|end| end.saturating_sub(AVI_SLACK))
    } else if is("asf") {
        last_end(&mut file, length, asf_end)
    } else if is("ogg") {
        last_ogg_page_end(&mut file, length)
    } else {
        None
    }?;
    Some((promised, length))
}

/// Follows the outermost elements and returns where the last one should end.
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
        // A length of zero would cause an endless loop.
        place = (end > place).then_some(end)?;
    }
    None
}

/// Returns where the ISO media box at `place` ends.
fn box_end(file: &mut File, place: u64, length: u64) -> Option<u64> {
    let head: [u8; 8] = read_at(file, place)?;
    let is_name = head[4..].iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
    match size {
        // The box extends to the end of the file.
        0 => Some(length),
        1 => place.checked_add(u64::from_be_bytes(read_at(file, place + 8)?)),
        8.. if is_name => place.checked_add(size),
        _ => None,
    }
}

/// Returns where the RIFF list at `place` ends. Large AVI files consist of several.
fn riff_end(file: &mut File, place: u64, _length: u64) -> Option<u64> {
    let head: [u8; 8] = read_at(file, place)?;
    let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    // Writers that were interrupted, or that write to a pipe, leave a placeholder.
    let is_known = head[..4] == *b"RIFF" && size != 0 && size != u32::MAX;
    is_known.then(|| place + 8 + u64::from(size) + u64::from(size % 2))
}

/// Returns where the object of an ASF file (WMV, WMA) at `place` ends: 16 bytes of its kind, 8 of
/// its size. Live recordings leave the size of the data open.
fn asf_end(file: &mut File, place: u64, _length: u64) -> Option<u64> {
    const HEAD: u64 = 24;
    const HEADER: u128 = 0x3026_b275_8e66_cf11_a6d9_00aa_0062_ce6c;
    const DATA: u128 = 0x3626_b275_8e66_cf11_a6d9_00aa_0062_ce6c;
    /// Indices by time, by frame and by time code, and of several streams.
    const INDICES: [u128; 4] = [
        0x9008_0033_b1e5_cf11_89f4_00a0_c903_49cb,
        0xd329_e2d6_da35_d111_9034_00a0_c903_49be,
        0xf803_b1fe_ad12_644c_840f_2a1d_2f7a_d48c,
        0xd03f_b73c_4a0c_0348_953d_edf7_b622_8f0c,
    ];
    /// Bytes that follow the size of the data: a file identifier and the number of packets.
    const DATA_HEAD: u64 = 50;
    let kind = u128::from_be_bytes(read_at(file, place)?);
    let size = u64::from_le_bytes(read_at(file, place + 16)?);
    let is_known = match kind {
        HEADER => place == 0,
        DATA => size > DATA_HEAD,
        _ => INDICES.contains(&kind),
    };
    (is_known && size >= HEAD).then(|| place.checked_add(size))?
}

/// Returns where the last page of an Ogg file ends. Its header has 27 bytes, the last of which is
/// the number of segments; the length of each segment follows.
fn last_ogg_page_end(file: &mut File, length: u64) -> Option<u64> {
    /// Bytes read from the end. A page has at most 65,307 bytes.
    const END_BYTES: u64 = 1 << 17;
    const NAME: &[u8] = b"OggS\0";
    const HEAD: u64 = 27;
    let start = length.saturating_sub(END_BYTES);
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(start)).ok()?;
    file.take(END_BYTES).read_to_end(&mut end).ok()?;
    let page = end.windows(NAME.len()).rposition(|window| window == NAME)?;
    let head = end.get(page..)?;
    // If the header itself is cut off, at least one byte is missing.
    let Some(segments) = head.get(HEAD as usize - 1) else { return Some(length + 1) };
    let lengths = head.get(HEAD as usize..)?.iter().take(usize::from(*segments));
    let body: u64 = lengths.clone().map(|length| u64::from(*length)).sum();
    let missing = u64::from(*segments) - lengths.len() as u64;
    Some(start + page as u64 + HEAD + u64::from(*segments) + body + missing)
}

/// Returns where the outermost segment of a Matroska or WebM file ends.
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

/// Returns the name, the start of the contents, and the length of the contents of the EBML element
/// at `place`. Live recordings leave the length open.
fn element(file: &mut File, place: u64) -> Option<(u64, u64, Option<u64>)> {
    let (name, name_bytes) = number(file, place, true)?;
    let (size, size_bytes) = number(file, place + name_bytes, false)?;
    let open = (1 << (7 * size_bytes)) - 1;
    let start = place + name_bytes + size_bytes;
    Some((name, start, (size != open).then_some(size)))
}

/// Returns an EBML number of variable length, with or without the bit that marks the length, and
/// the number of bytes it takes.
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
        let asf = |kind: &str, size: u64| {
            let kind = u128::from_str_radix(kind, 16).unwrap().to_be_bytes();
            let rest = vec![7; size as usize - 24];
            [&kind[..], &size.to_le_bytes(), &rest].concat()
        };
        let asf = [
            asf("3026b2758e66cf11a6d900aa0062ce6c", 30),
            asf("3626b2758e66cf11a6d900aa0062ce6c", 90),
            asf("90080033b1e5cf1189f400a0c90349cb", 40),
        ]
        .concat();
        let page = |body: usize| {
            [&b"OggS\0"[..], &[0; 21], &[2, 255, (body - 255) as u8], &vec![7; body]].concat()
        };
        let ogg = [page(300), page(400)].concat();
        let cases = [
            ("mov,mp4", boxes, 1),
            ("avi", riff, 10),
            ("matroska,webm", ebml, 1),
            ("asf", asf, 1),
            ("ogg", ogg, 1),
        ];
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
