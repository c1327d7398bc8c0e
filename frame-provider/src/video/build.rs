//! Builds the index and the feed of a file.

use std::collections::BTreeSet;

use video_rs::ffmpeg as ff;

use super::decode::{self, Received, is_intra};
use super::demux::Demuxer;
use super::feed;
use super::handover::Handovers;
use super::index::{Index, Ordinal, PacketInfo};
use crate::error::FrameError;

/// The result of one pass over the file without decoding.
pub(super) struct Scan {
    pub(super) packets: Vec<PacketInfo>,
    /// The packets themselves, named by their ordinals, if together they are small enough.
    pub(super) kept: Option<Vec<ff::Packet>>,
    pub(super) read_errors: usize,
    /// Data that decoders receive only once.
    pub(super) handovers: Handovers,
    /// Time at which the last frame ends, in units of the stream's time base, as far as the packets
    /// tell.
    pub(super) end: Option<i64>,
}

/// Reads all packets of the video stream. Keeps them if they need at most `keep_bytes`.
pub(super) fn scan(demuxer: &mut Demuxer, keep_bytes: u64) -> Scan {
    let mut packets = Vec::new();
    let mut kept = (keep_bytes > 0).then(Vec::new);
    let mut bytes = 0;
    let mut watch = demuxer.watch();
    let mut end = None;
    while let Some(mut packet) = demuxer.next_packet() {
        let Ok(ordinal) = Ordinal::try_from(packets.len()) else {
            break;
        };
        packets.push(PacketInfo::of(&packet));
        watch.see(ordinal, &packet);
        end = end.max(packet.pts().map(|pts| pts.saturating_add(packet.duration().max(0))));
        bytes += packet.size() as u64;
        if bytes > keep_bytes {
            kept = None;
        }
        if let Some(kept) = &mut kept {
            feed::name(&mut packet, ordinal);
            kept.push(packet);
        }
    }
    Scan { packets, kept, read_errors: demuxer.read_errors, handovers: watch.finish(), end }
}

/// An index obtained by decoding the whole file.
pub(super) struct Counted {
    pub(super) index: Index,
    /// Number of packets that the decoder refused or that gave no frame.
    pub(super) errors: usize,
}

/// Decodes the whole file from start to end, with a freshly opened demuxer, and records which
/// packet each frame comes from.
pub(super) fn decode_all(mut demuxer: Demuxer, threads: usize) -> Result<Counted, FrameError> {
    let mut watch = demuxer.watch();
    let mut decoder = demuxer.open_decoder(threads, 0)?;
    let mut packets = Vec::new();
    let mut shown = Vec::new();
    let mut not_intra = BTreeSet::new();
    let mut picture = ff::frame::Video::empty();
    let mut errors = 0;
    let mut receive = |decoder: &mut ff::decoder::Video, packets: &[PacketInfo]| {
        let mut errors = 0;
        while matches!(decode::receive(decoder, &mut picture, &mut errors), Received::Frame) {
            let ordinal = picture.pts().and_then(|pts| Ordinal::try_from(pts).ok());
            let ordinal = ordinal.filter(|&ordinal| (ordinal as usize) < packets.len());
            if let Some(key) =
                ordinal.filter(|&ordinal| packets[ordinal as usize].key && !is_intra(&picture))
            {
                not_intra.insert(key);
            }
            shown.push(ordinal);
        }
        errors
    };
    while let Some(mut packet) = demuxer.next_packet() {
        let Ok(ordinal) = Ordinal::try_from(packets.len()) else {
            break;
        };
        packets.push(PacketInfo::of(&packet));
        watch.see(ordinal, &packet);
        feed::name(&mut packet, ordinal);
        // Damaged packets are refused; only the frames that come out count.
        errors += usize::from(decoder.send_packet(&packet).is_err());
        errors += receive(&mut decoder, &packets);
    }
    let _ = decoder.send_eof();
    errors += receive(&mut decoder, &packets);
    errors += demuxer.read_errors;
    let index = Index::from_decode(packets, shown, not_intra).with_handovers(watch.finish());
    Ok(Counted { index, errors })
}
