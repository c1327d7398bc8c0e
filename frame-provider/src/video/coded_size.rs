//! The size of a picture as given in its own packet, for codecs that store it in a few bytes at a
//! fixed place.
//!
//! Layouts: JPEG (ITU-T T.81, B.2.2), VP8 (RFC 6386, 9.1), VP9 (bitstream specification, 6.2),
//! MPEG-1 and MPEG-2 (ITU-T H.262, 6.2.2.1).

use video_rs::ffmpeg::codec::Id;

/// Returns width and height; `None` if the packet does not contain them, or if the codec stores
/// them elsewhere.
pub(super) fn coded_size(codec: Id, packet: &[u8]) -> Option<(u32, u32)> {
    let (width, height) = match codec {
        Id::MJPEG => jpeg(packet)?,
        Id::VP8 => vp8(packet)?,
        Id::VP9 => vp9(packet)?,
        Id::MPEG1VIDEO | Id::MPEG2VIDEO => mpeg(packet)?,
        _ => return None,
    };
    (width > 0 && height > 0).then_some((width, height))
}

fn jpeg(packet: &[u8]) -> Option<(u32, u32)> {
    let mut rest = packet.strip_prefix(&[0xFF, 0xD8])?;
    loop {
        let (&[0xFF, marker], after) = rest.split_first_chunk()? else { return None };
        let (length, _) = after.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        // The frame headers, without the tables and the extension whose codes lie in the same
        // range.
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            let number =
                |at: usize| Some(u32::from(*after.get(at)?) << 8 | u32::from(*after.get(at + 1)?));
            return Some((number(5)?, number(3)?));
        }
        // The picture's data: no header can follow.
        if marker == 0xDA {
            return None;
        }
        rest = after.get(length.max(2)..)?;
    }
}

fn vp8(packet: &[u8]) -> Option<(u32, u32)> {
    let is_key = packet.first()? & 1 == 0;
    let size = packet.get(3..)?.strip_prefix(&[0x9D, 0x01, 0x2A])?.first_chunk::<4>()?;
    let number = |low: u8, high: u8| u32::from(low) | u32::from(high & 63) << 8;
    is_key.then(|| (number(size[0], size[1]), number(size[2], size[3])))
}

fn vp9(packet: &[u8]) -> Option<(u32, u32)> {
    let mut place = 0;
    let mut bits = |count: usize| {
        (0..count).try_fold(0_u32, |value, _| {
            let bit = packet.get(place / 8)? >> (7 - place % 8) & 1;
            place += 1;
            Some(value << 1 | u32::from(bit))
        })
    };
    if bits(2)? != 2 {
        return None;
    }
    let profile = bits(1)? | bits(1)? << 1;
    if profile == 3 {
        bits(1)?;
    }
    let (shows_existing, is_inter) = (bits(1)?, bits(1)?);
    bits(2)?;
    if shows_existing == 1 || is_inter == 1 || bits(24)? != 0x49_8342 {
        return None;
    }
    if profile >= 2 {
        bits(1)?;
    }
    const RGB: u32 = 7;
    match bits(3)? {
        RGB if profile % 2 == 1 => bits(1)?,
        RGB => return None,
        _ if profile % 2 == 1 => bits(4)?,
        _ => bits(1)?,
    };
    Some((bits(16)? + 1, bits(16)? + 1))
}

fn mpeg(packet: &[u8]) -> Option<(u32, u32)> {
    // A sequence header comes first, if there is one.
    let size = packet.strip_prefix(&[0, 0, 1, 0xB3])?.first_chunk::<3>()?;
    let [a, b, c] = size.map(u32::from);
    Some((a << 4 | b >> 4, (b & 15) << 8 | c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_codec_says_its_size() {
        let jpeg = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 1, 0xFF, 0xC0, 0, 11, 8, 0, 48, 0, 64, 1];
        assert_eq!(coded_size(Id::MJPEG, &jpeg), Some((64, 48)));
        let vp8 = [0x10, 0, 0, 0x9D, 0x01, 0x2A, 64, 0, 48, 0x40];
        assert_eq!(coded_size(Id::VP8, &vp8), Some((64, 48)));
        let mpeg = [0, 0, 1, 0xB3, 0x14, 0x00, 0xF0, 0x13];
        assert_eq!(coded_size(Id::MPEG2VIDEO, &mpeg), Some((320, 240)));
        assert_eq!(coded_size(Id::H264, &jpeg), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            for codec in [Id::MJPEG, Id::VP8, Id::VP9, Id::MPEG2VIDEO] {
                let _ = coded_size(codec, &data);
                let marked = [&[0xFF, 0xD8, 0xFF][..], &data].concat();
                let _ = coded_size(codec, &marked);
            }
        }
    }
}
