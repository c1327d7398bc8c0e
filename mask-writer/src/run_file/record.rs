//! Records, the units of a run file.

use std::io::{self, Read, Write};

/// The first bytes of a run file.
pub(super) const MAGIC: &[u8; 8] = b"SAM2RUN\n";
/// Number of bytes of a record before its payload.
pub(super) const HEAD: u64 = 13;

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header = 0,
    Frame = 1,
    Batch = 2,
    End = 3,
    Amendment = 4,
    Patch = 5,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Header, Self::Frame, Self::Batch, Self::End, Self::Amendment, Self::Patch]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Writes one record.
pub(super) fn write(to: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let length = (payload.len() as u64).to_le_bytes();
    to.write_all(&[kind as u8])?;
    to.write_all(&length)?;
    to.write_all(&checksum(kind as u8, length, payload).to_le_bytes())?;
    to.write_all(payload)
}

fn checksum(kind: u8, length: [u8; 8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind]);
    crc.update(&length);
    crc.update(payload);
    crc.finalize()
}

/// Why a record could not be read.
#[derive(Debug)]
pub(super) enum Missing {
    /// The file ends here or in the middle of the record.
    Torn,
    /// The record differs from what was written.
    Damaged(&'static str),
    Io(io::Error),
}

/// Reads one record into `payload`; `left` is the number of bytes that remain in the file.
pub(super) fn read(
    from: &mut impl Read,
    left: u64,
    payload: &mut Vec<u8>,
) -> Result<Kind, Missing> {
    let mut head = [0; HEAD as usize];
    if left < HEAD {
        return Err(Missing::Torn);
    }
    from.read_exact(&mut head).map_err(Missing::Io)?;
    let [kind, l0, l1, l2, l3, l4, l5, l6, l7, c0, c1, c2, c3] = head;
    let length = [l0, l1, l2, l3, l4, l5, l6, l7];
    let payload_length = u64::from_le_bytes(length);
    // Never read, and so never allocate, more than the file has left.
    if payload_length > left - HEAD {
        return Err(Missing::Torn);
    }
    payload.clear();
    let read = from.by_ref().take(payload_length).read_to_end(payload).map_err(Missing::Io)?;
    if (read as u64) < payload_length {
        return Err(Missing::Torn);
    }
    if checksum(kind, length, payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(Missing::Damaged("its checksum is wrong"));
    }
    Kind::of(kind).ok_or(Missing::Damaged(UNKNOWN))
}

const UNKNOWN: &str = "a record of an unknown kind";

/// Reads the head of a record, of which `left` bytes remain in the file: its kind and the length of
/// its payload. Returns `None` if the record is not whole.
pub(super) fn peek(
    from: &mut impl Read,
    left: u64,
) -> io::Result<Option<(Result<Kind, &'static str>, u64)>> {
    let mut head = [0; HEAD as usize];
    if left < HEAD {
        return Ok(None);
    }
    from.read_exact(&mut head)?;
    let [kind, l0, l1, l2, l3, l4, l5, l6, l7, ..] = head;
    let length = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
    Ok((length <= left - HEAD).then_some((Kind::of(kind).ok_or(UNKNOWN), length)))
}

/// Number of bytes before the masks in a record of masks that were computed again.
pub(super) const PATCH_HEAD: usize = 16;

/// Returns the amendment and the frame of such a record.
pub(super) fn patch_head(payload: &[u8]) -> Option<(usize, usize)> {
    let number = |at: usize| {
        let bytes = payload.get(at..at + 8)?;
        usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    Some((number(0)?, number(8)?))
}
