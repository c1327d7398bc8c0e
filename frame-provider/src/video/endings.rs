//! Checks whether a file is complete, for formats that end with their own mark or whose headers
//! count bytes or frames.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Number of bytes read from the end.
const END_BYTES: u64 = 1 << 10;

/// Number of bytes read from the start: more than the header and its metadata.
const HEAD_BYTES: u64 = 1 << 12;

/// Returns a description if the end of the file is missing; `None` if the file is whole, or if its
/// format does not tell.
pub(super) fn cut(path: &Path, format: &str) -> Option<String> {
    let missing = |what: &str| Some(format!("{what}, with which it should end, is missing"));
    match format {
        "gif" if !end_of(path)?.0.ends_with(&[0x3B]) => missing("the mark 0x3B"),
        "apng" if !holds(&end_of(path)?.0, b"IEND") => missing("the chunk IEND"),
        "mjpeg" | "jpeg_pipe" if !end_of(path)?.0.ends_with(&[0xFF, 0xD9]) => {
            missing("the mark FF D9 of the last picture")
        }
        "nut" if !has_nut_index(path)? => missing("the index"),
        "flv" => missing_bytes(path, flv_length(&head_of(path)?)?),
        "swf" => missing_bytes(path, swf_length(&head_of(path)?)?),
        _ => None,
    }
}

/// Returns the number of frames in the header of an IVF file, if it has one.
pub(super) fn ivf_frames(path: &Path, format: &str) -> Option<usize> {
    if format != "ivf" {
        return None;
    }
    let frames = u32::from_le_bytes(head_of(path)?.get(24..28)?.try_into().ok()?);
    // A file written to a pipe keeps a placeholder.
    (frames != 0 && frames != u32::MAX).then_some(frames as usize)
}

fn missing_bytes(path: &Path, promised: u64) -> Option<String> {
    let missing = promised.saturating_sub(std::fs::metadata(path).ok()?.len());
    (missing > 0).then(|| format!("at least {missing} bytes are missing at its end"))
}

/// Returns the last bytes without the zeros that some programs add, and the length of the file.
fn end_of(path: &Path) -> Option<(Vec<u8>, u64)> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END_BYTES))).ok()?;
    let mut end = Vec::new();
    file.take(END_BYTES).read_to_end(&mut end).ok()?;
    while end.last() == Some(&0) {
        end.pop();
    }
    Some((end, length))
}

fn head_of(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    Some(head)
}

fn holds(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|window| window == name)
}

/// Returns true if a NUT file ends with its index, whose length precedes the checksum at the end.
fn has_nut_index(path: &Path) -> Option<bool> {
    const INDEX: [u8; 8] = [0x4E, 0x58, 0xDD, 0x67, 0x2F, 0x23, 0xE6, 0x4E];
    const TAIL: u64 = 12;
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut bytes = [0; 8];
    file.seek(SeekFrom::Start(length.checked_sub(TAIL)?)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    let Some(start) = length.checked_sub(u64::from_be_bytes(bytes)) else { return Some(false) };
    file.seek(SeekFrom::Start(start)).ok()?;
    Some(file.read_exact(&mut bytes).is_ok() && bytes == INDEX)
}

/// Returns the length given in the metadata of an FLV file: the name, the type byte of a number,
/// and the number.
fn flv_length(head: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\0\x08filesize\0";
    let at = head.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let length = f64::from_be_bytes(head.get(at..at + 8)?.try_into().ok()?);
    (length > 0.0 && length < 1e15).then_some(length as u64)
}

/// Returns the length given in the header of a Flash file, if the file is not compressed.
fn swf_length(head: &[u8]) -> Option<u64> {
    /// The placeholder that FFmpeg leaves when it writes to a pipe.
    const PLACEHOLDER: u32 = 100 * 1024 * 1024;
    let length = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
    (head.starts_with(b"FWS") && length != PLACEHOLDER).then_some(u64::from(length))
}
