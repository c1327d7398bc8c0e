//! Supplies the decoder with packets by ordinal, from memory or from the file.

use std::sync::Arc;

use video_rs::ffmpeg as ff;

use super::demux::Demuxer;
use super::index::{Index, Ordinal, PacketInfo};
use crate::error::FrameError;

/// Number of earlier key frames to try if seeking to the wanted one lands elsewhere.
const EARLIER_KEYS: usize = 2;

/// Source of packets.
pub(super) enum Feed {
    /// All packets, each with its ordinal as time stamps. The file stays open for the stream's
    /// parameters.
    Memory {
        packets: Arc<[ff::Packet]>,
        demuxer: Demuxer,
    },
    File(Box<FileFeed>),
}

/// The packets of an open file from some position onwards.
pub(super) struct FileFeed {
    demuxer: Demuxer,
    /// The ordinal of the packet that the demuxer reads next.
    next: Option<Ordinal>,
    /// A packet found while seeking, to be fed first.
    pending: Option<ff::Packet>,
    /// The packet that was returned last.
    current: ff::Packet,
    /// Switched off permanently when a seek ended at the wrong place; then every restart reads from
    /// the beginning of the file.
    seeking: bool,
}

/// The file did not continue with the packet that the index expects. The remedy is to restart
/// without seeking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file does not continue with the packet that was there when it was opened")]
pub(super) struct WrongPacket;

impl FileFeed {
    /// Makes a feed from a `demuxer` that has just been opened.
    pub(super) fn new(demuxer: Demuxer) -> Self {
        Self { demuxer, next: Some(0), pending: None, current: ff::Packet::empty(), seeking: true }
    }

    /// Makes `key` the next packet.
    fn start_at(&mut self, key: Ordinal, index: &Index) -> Result<(), FrameError> {
        self.pending = None;
        if self.next == Some(key) {
            return Ok(());
        }
        self.next = None;
        if key != 0 && self.seeking && self.seek_to(key, index) {
            return Ok(());
        }
        // Counting from the beginning is slow but cannot go wrong.
        self.demuxer = self.demuxer.reopen()?;
        for _ in 0..key {
            self.demuxer.next_packet();
        }
        self.next = Some(key);
        Ok(())
    }

    fn seek_to(&mut self, key: Ordinal, index: &Index) -> bool {
        let Some(wanted) = index.packets.get(key as usize) else {
            return false;
        };
        let earlier = index.keys_before(key).take(EARLIER_KEYS).filter_map(|packet| packet.dts);
        let mut tried = None;
        for time in wanted.dts.into_iter().chain(wanted.pts).chain(earlier) {
            if tried.replace(time) == Some(time) {
                continue;
            }
            if self.demuxer.seek(time) && self.read_until(wanted) {
                self.next = Some(key);
                return true;
            }
            tracing::trace!(key, time, "seeking did not find the key frame");
        }
        false
    }

    /// Reads on until the packet is `wanted`, and keeps that packet. Returns false once the packet
    /// cannot come any more.
    fn read_until(&mut self, wanted: &PacketInfo) -> bool {
        while let Some(packet) = self.demuxer.next_packet() {
            let found = PacketInfo::of(&packet);
            if found.is_same_as(wanted) {
                self.pending = Some(packet);
                return true;
            }
            if found.dts.zip(wanted.dts).is_some_and(|(found, wanted)| found > wanted) {
                return false;
            }
        }
        false
    }

    fn packet(
        &mut self,
        ordinal: Ordinal,
        index: &Index,
    ) -> Result<Option<&ff::Packet>, WrongPacket> {
        if self.next != Some(ordinal) {
            return Err(WrongPacket);
        }
        let pending = self.pending.take();
        let Some(mut packet) = pending.or_else(|| self.demuxer.next_packet()) else {
            // The index knows the number of packets. Fewer mean that the file was cut in the
            // meantime, or that a seek went wrong.
            self.next = None;
            return if (ordinal as usize) < index.packets.len() {
                Err(WrongPacket)
            } else {
                Ok(None)
            };
        };
        if !index
            .packets
            .get(ordinal as usize)
            .is_some_and(|expected| PacketInfo::of(&packet).may_be(expected))
        {
            self.next = None;
            return Err(WrongPacket);
        }
        name(&mut packet, ordinal);
        self.next = ordinal.checked_add(1);
        self.current = packet;
        Ok(Some(&self.current))
    }
}

impl Feed {
    /// Returns another feed of the same packets, with its own position. Opens the file again.
    pub(super) fn another(&self) -> Result<Self, FrameError> {
        let demuxer = self.demuxer().reopen()?;
        Ok(match self {
            Self::Memory { packets, .. } => Self::Memory { packets: Arc::clone(packets), demuxer },
            Self::File(file) => {
                let seeking = file.seeking;
                Self::File(Box::new(FileFeed { seeking, ..FileFeed::new(demuxer) }))
            }
        })
    }

    /// Returns the open file.
    pub(super) fn demuxer(&self) -> &Demuxer {
        match self {
            Self::Memory { demuxer, .. } => demuxer,
            Self::File(file) => &file.demuxer,
        }
    }

    /// Makes `key` the next packet.
    pub(super) fn start_at(&mut self, key: Ordinal, index: &Index) -> Result<(), FrameError> {
        match self {
            Self::Memory { .. } => Ok(()),
            Self::File(file) => file.start_at(key, index),
        }
    }

    /// Returns packet `ordinal`, which must be the one set by `start_at` or follow the previous
    /// packet; `None` after the last.
    pub(super) fn packet(
        &mut self,
        ordinal: Ordinal,
        index: &Index,
    ) -> Result<Option<&ff::Packet>, WrongPacket> {
        match self {
            Self::Memory { packets, .. } => Ok(packets.get(ordinal as usize)),
            Self::File(file) => file.packet(ordinal, index),
        }
    }

    /// Reads from the beginning instead of seeking from now on. Returns false if seeking was
    /// already off.
    pub(super) fn stop_seeking(&mut self) -> bool {
        match self {
            Self::Memory { .. } => false,
            Self::File(file) => {
                file.next = None;
                std::mem::replace(&mut file.seeking, false)
            }
        }
    }
}

/// Sets the ordinal of the packet as its time stamps, so that its frame can be identified.
pub(super) fn name(packet: &mut ff::Packet, ordinal: Ordinal) {
    packet.set_pts(Some(i64::from(ordinal)));
    packet.set_dts(Some(i64::from(ordinal)));
}
