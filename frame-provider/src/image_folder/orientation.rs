//! Images that are stored turned or mirrored, with metadata that says which way is up.

use std::io::{Read, Seek, SeekFrom};

use image::metadata::Orientation;

use crate::picture::{Picture, Samples};
use crate::size::FrameSize;

/// Largest chunk that is read for its orientation.
const MOST_EXIF_BYTES: u32 = 1 << 20;

/// Returns the orientation in the EXIF data of a JPEG. `bytes` must hold at least everything before
/// the picture.
pub(super) fn of_jpeg(bytes: &[u8]) -> Orientation {
    jpeg_exif(bytes).and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Goes from marker to marker until the first EXIF segment.
fn jpeg_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        let &[0xff, marker] = bytes.get(at..at + 2)? else { return None };
        match marker {
            // Padding before a marker.
            0xff => at += 1,
            // Markers without a length.
            0x01 | 0xd0..=0xd8 => at += 2,
            // The picture starts, or the file ends.
            0xd9 | 0xda => return None,
            _ => {
                let length = u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?);
                let end = at + 2 + usize::from(length);
                let body = bytes.get(at + 4..end.min(bytes.len()))?;
                if marker == 0xe1
                    && let Some(exif) = body.strip_prefix(b"Exif\0\0")
                {
                    return Some(exif);
                }
                at = end;
            }
        }
    }
}

/// Returns the orientation in the `eXIf` chunk of a PNG, which may come before or after the
/// picture.
pub(super) fn of_png(file: &mut (impl Read + Seek)) -> Orientation {
    let exif = png_exif(file);
    let exif = exif.as_deref().map(|bytes| bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes));
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Goes from chunk to chunk, reading eight bytes of each.
fn png_exif(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    const SIGNATURE_BYTES: u64 = 8;
    const CHECKSUM_BYTES: i64 = 4;
    file.seek(SeekFrom::Start(SIGNATURE_BYTES)).ok()?;
    loop {
        let mut head = [0; 8];
        file.read_exact(&mut head).ok()?;
        let [a, b, c, d, kind @ ..] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        match &kind {
            b"eXIf" if length <= MOST_EXIF_BYTES => {
                let mut exif = Vec::new();
                file.take(length.into()).read_to_end(&mut exif).ok()?;
                return Some(exif);
            }
            b"IEND" => return None,
            _ => {}
        }
        file.seek(SeekFrom::Current(i64::from(length) + CHECKSUM_BYTES)).ok()?;
    }
}

/// Returns the meaning of TIFF's tag 274, which EXIF took its values from.
pub(super) fn of_tiff(tag: u64) -> Orientation {
    u8::try_from(tag).ok().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// Returns the size after turning.
pub(super) fn upright_size(stored: FrameSize, orientation: Orientation) -> FrameSize {
    if swaps_sides(orientation) {
        FrameSize { width: stored.height, height: stored.width }
    } else {
        stored
    }
}

fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
}

/// Turns and mirrors a picture as its orientation says.
pub(super) fn upright(picture: Picture, orientation: Orientation) -> Picture {
    if orientation == Orientation::NoTransforms {
        return picture;
    }
    let Picture { size, channels, samples } = picture;
    let samples = match samples {
        Samples::Eight(samples) => Samples::Eight(turned(&samples, size, channels, orientation)),
        Samples::Sixteen(samples) => {
            Samples::Sixteen(turned(&samples, size, channels, orientation))
        }
        Samples::Real(samples, kind) => {
            Samples::Real(turned(&samples, size, channels, orientation), kind)
        }
    };
    Picture { size: upright_size(size, orientation), channels, samples }
}

fn turned<T: Copy>(
    samples: &[T],
    stored: FrameSize,
    channels: usize,
    orientation: Orientation,
) -> Vec<T> {
    let (width, height) = (stored.width as usize, stored.height as usize);
    let size = upright_size(stored, orientation);
    let mut upright = Vec::with_capacity(samples.len());
    for y in 0..size.height as usize {
        for x in 0..size.width as usize {
            let (column, row) = match orientation {
                Orientation::NoTransforms => (x, y),
                Orientation::FlipHorizontal => (width - 1 - x, y),
                Orientation::Rotate180 => (width - 1 - x, height - 1 - y),
                Orientation::FlipVertical => (x, height - 1 - y),
                Orientation::Rotate90FlipH => (y, x),
                Orientation::Rotate90 => (y, height - 1 - x),
                Orientation::Rotate270FlipH => (width - 1 - y, height - 1 - x),
                Orientation::Rotate270 => (width - 1 - y, x),
            };
            let at = (row * width + column) * channels;
            upright.extend_from_slice(&samples[at..at + channels]);
        }
    }
    upright
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_orientation_turns_as_exif_says() {
        // 1 2 3
        // 4 5 6
        let stored = Picture {
            size: FrameSize { width: 3, height: 2 },
            channels: 1,
            samples: Samples::Eight(vec![1, 2, 3, 4, 5, 6]),
        };
        for (value, expected) in [
            (1, [1, 2, 3, 4, 5, 6]),
            (2, [3, 2, 1, 6, 5, 4]),
            (3, [6, 5, 4, 3, 2, 1]),
            (4, [4, 5, 6, 1, 2, 3]),
            (5, [1, 4, 2, 5, 3, 6]),
            (6, [4, 1, 5, 2, 6, 3]),
            (7, [6, 3, 5, 2, 4, 1]),
            (8, [3, 6, 2, 5, 1, 4]),
        ] {
            let turned = upright(stored.clone(), of_tiff(value));
            let Samples::Eight(samples) = turned.samples else { panic!() };
            assert_eq!(samples, expected, "{value}");
            let side = if value > 4 { (2, 3) } else { (3, 2) };
            assert_eq!((turned.size.width, turned.size.height), side, "{value}");
        }
        for odd in [0, 9, u64::MAX] {
            assert_eq!(of_tiff(odd), Orientation::NoTransforms);
        }
    }

    #[test]
    fn damaged_headers_have_no_orientation() {
        let exif = b"\xff\xd8\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        assert_eq!(of_jpeg(exif), Orientation::Rotate90);
        for length in 0..30 {
            assert_eq!(of_jpeg(&exif[..length]), Orientation::NoTransforms, "{length}");
        }
        assert_eq!(of_jpeg(b"\xff\xd8\xff\xe1\x00\x00"), Orientation::NoTransforms);
        let endless = std::io::Cursor::new(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT".to_vec());
        assert_eq!(of_png(&mut { endless }), Orientation::NoTransforms);
    }
}
