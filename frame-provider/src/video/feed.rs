//! Packets for the decoder, from memory or from the file, by ordinal.

use std::sync::Arc;

use video_rs::ffmpeg as ff;

use super::demux::Demuxer;
use super::index::{Index, Ordinal, PacketInfo};
use crate::error::FrameError;

/// How many key frames before the wanted one to try, when seeking to it lands elsewhere.
const EARLIER_KEYS: usize = 2;

/// Where packets come from.
pub(super) enum Feed {
    /// All of them, each with its ordinal as time stamps; the file stays open for the stream's parameters.
    Memory {
        packets: Arc<[ff::Packet]>,
        demuxer: Demuxer,
    },
    File(Box<FileFeed>),
}

/// The packets of an open file from some position on.
pub(super) struct FileFeed {
    demuxer: Demuxer,
    /// The ordinal of the packet that the demuxer reads next.
    next: Option<Ordinal>,
    /// Found while seeking, and to be fed first.
    pending: Option<ff::Packet>,
    /// The packet that was handed out last.
    current: ff::Packet,
    /// Switched off for good when it led astray: then every restart reads from the beginning of the file.
    seeking: bool,
}

/// The file did not continue with the packet that the index says. Restart without seeking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file does not continue with the packet that was there when it was opened")]
pub(super) struct WrongPacket;

impl FileFeed {
    /// `demuxer` has just been opened.
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

    /// Reads on until the packet is `wanted`, and keeps it; false once that cannot come any more.
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
            // The index knows how many there are: fewer means that the file was cut meanwhile, or a bad seek.
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
    /// Another feed of the same packets, at a position of its own. Opens the file again.
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

    /// The open file.
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

    /// Packet `ordinal`, which must follow the one before or be that of `start_at`; `None` after the last.
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

    /// From now on, reads from the beginning instead of seeking. False if that is so already.
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

/// Gives the packet its ordinal as time stamps, so that its frame can be told.
pub(super) fn name(packet: &mut ff::Packet, ordinal: Ordinal) {
    packet.set_pts(Some(i64::from(ordinal)));
    packet.set_dts(Some(i64::from(ordinal)));
}
