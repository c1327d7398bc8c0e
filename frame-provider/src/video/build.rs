//! Making the index and the feed of a file.

use std::collections::BTreeSet;
use std::path::Path;

use video_rs::ffmpeg as ff;

use super::decode::{self, Received, is_intra};
use super::demux::Demuxer;
use super::feed;
use super::index::{Index, Ordinal, PacketInfo};
use crate::error::FrameError;

/// What one pass over the file without decoding gives.
pub(super) struct Scan {
    pub(super) packets: Vec<PacketInfo>,
    /// The packets themselves, named by their ordinals, if all together are small enough.
    pub(super) kept: Option<Vec<ff::Packet>>,
    pub(super) read_errors: usize,
}

/// Reads all packets of the video stream. Keeps them if they need at most `keep_bytes`.
pub(super) fn scan(demuxer: &mut Demuxer, keep_bytes: u64) -> Scan {
    let mut packets = Vec::new();
    let mut kept = (keep_bytes > 0).then(Vec::new);
    let mut bytes = 0;
    while let Some(mut packet) = demuxer.next_packet() {
        let Ok(ordinal) = Ordinal::try_from(packets.len()) else {
            break;
        };
        packets.push(PacketInfo::of(&packet));
        bytes += packet.size() as u64;
        if bytes > keep_bytes {
            kept = None;
        }
        if let Some(kept) = &mut kept {
            feed::name(&mut packet, ordinal);
            kept.push(packet);
        }
    }
    Scan { packets, kept, read_errors: demuxer.read_errors }
}

/// Decodes the whole file from start to end and notes which packet each frame comes from.
pub(super) fn decode_all(path: &Path, threads: usize) -> Result<Index, FrameError> {
    let mut demuxer = Demuxer::open(path)?;
    let mut decoder = demuxer.open_decoder(threads, 0)?;
    let mut packets = Vec::new();
    let mut shown = Vec::new();
    let mut not_intra = BTreeSet::new();
    let mut picture = ff::frame::Video::empty();
    let mut receive = |decoder: &mut ff::decoder::Video, packets: &[PacketInfo]| {
        while matches!(decode::receive(decoder, &mut picture), Received::Frame) {
            let ordinal = picture.pts().and_then(|pts| Ordinal::try_from(pts).ok());
            let ordinal = ordinal.filter(|&ordinal| (ordinal as usize) < packets.len());
            if let Some(key) =
                ordinal.filter(|&ordinal| packets[ordinal as usize].key && !is_intra(&picture))
            {
                not_intra.insert(key);
            }
            shown.push(ordinal);
        }
    };
    while let Some(mut packet) = demuxer.next_packet() {
        let Ok(ordinal) = Ordinal::try_from(packets.len()) else {
            break;
        };
        packets.push(PacketInfo::of(&packet));
        feed::name(&mut packet, ordinal);
        // Damaged packets are refused; the frames that do come out are what counts.
        let _ = decoder.send_packet(&packet);
        receive(&mut decoder, &packets);
    }
    let _ = decoder.send_eof();
    receive(&mut decoder, &packets);
    Ok(Index::from_decode(packets, shown, not_intra))
}
