//! The decoder together with its feed: yields numbered frames in order.

use video_rs::ffmpeg as ff;

use ff::frame::Video as VideoFrame;

use super::demux::Demuxer;
use super::feed::{Feed, WrongPacket};
use super::ffi;
use super::index::{Index, Ordinal, Segment};
use crate::error::FrameError;

/// A decoded frame and its index.
pub(super) struct Decoded {
    /// The frame index; `None` for a frame that is not part of the clip.
    pub(super) number: Option<usize>,
    pub(super) picture: VideoFrame,
    /// The key frame that decoding began with, if this is its frame but it needs other frames:
    /// decoding must not begin there.
    pub(super) false_key: Option<Ordinal>,
}

/// How far decoding has come since it began at a key frame.
#[derive(Debug, Clone, Copy)]
struct Progress {
    started_at: Ordinal,
    /// The packet to feed next.
    next_packet: Ordinal,
    /// The lowest index of a frame that can still come out: no frame from here on has come out yet.
    next_frame: usize,
    /// True if the decoder has been told that the file has ended.
    draining: bool,
}

/// Decodes the clip onwards from any key frame.
pub(super) struct Decoder {
    decoder: ff::decoder::Video,
    feed: Feed,
    threads: usize,
    /// `None` if the next use must begin at a key frame.
    progress: Option<Progress>,
}

/// Decoding up to this many more packets costs less than restarting.
const PACKETS_WORTH_A_RESTART: Ordinal = 4;

impl Decoder {
    pub(super) fn new(decoder: ff::decoder::Video, feed: Feed, threads: usize) -> Self {
        Self { decoder, feed, threads, progress: None }
    }

    /// Returns a second decoder of the same file, with its own position.
    pub(super) fn another(&self) -> Result<Self, FrameError> {
        let feed = self.feed.another()?;
        let delay = self.delay();
        let decoder = feed.demuxer().open_decoder(self.threads, delay)?;
        Ok(Self::new(decoder, feed, self.threads))
    }

    /// Returns the index of the next frame that can come out without a restart.
    pub(super) fn next_frame_number(&self) -> Option<usize> {
        self.progress.map(|progress| progress.next_frame)
    }

    /// Returns how many frames the decoder holds back for reordering, as far as it has learned.
    pub(super) fn delay(&self) -> u32 {
        ffi::reordering_delay(&self.decoder)
    }

    /// Opens the file again.
    pub(super) fn reopened(&self) -> Result<Demuxer, FrameError> {
        self.feed.demuxer().reopen()
    }

    /// Returns true if continuing to decode, without a restart, leads to frame `number` and is the
    /// shorter way.
    pub(super) fn leads_to(&self, number: usize, segment: Segment) -> bool {
        self.progress.is_some_and(|progress| {
            progress.next_frame <= number
                && segment.key <= progress.next_packet.saturating_add(PACKETS_WORTH_A_RESTART)
        })
    }

    /// Restarts at the key frame of `segment`.
    pub(super) fn restart(&mut self, segment: Segment, index: &Index) -> Result<(), FrameError> {
        self.progress = None;
        // Use a new decoder, not a flushed one: after damage, flushing was seen to leave traces in
        // later frames. Only the reordering delay must be carried over, since decoders learn it as
        // they go.
        let delay = self.delay();
        self.decoder = self.feed.demuxer().open_decoder(self.threads, delay)?;
        self.feed.start_at(segment.key, index)?;
        self.progress = Some(Progress {
            started_at: segment.key,
            next_packet: segment.key,
            // If frames are counted from the start, this is the count.
            next_frame: if index.is_counted() { 0 } else { segment.first },
            draining: false,
        });
        Ok(())
    }

    /// Forgets the decoding position; the next use restarts.
    pub(super) fn forget(&mut self) {
        self.progress = None;
    }

    /// Stops seeking in the file. Returns false if seeking was already off.
    pub(super) fn stop_seeking(&mut self) -> bool {
        self.forget();
        self.feed.stop_seeking()
    }

    /// Returns the next frame, or `None` after the last.
    pub(super) fn next_frame(&mut self, index: &Index) -> Result<Option<Decoded>, WrongPacket> {
        let mut picture = VideoFrame::empty();
        while let Some(progress) = &mut self.progress {
            match receive(&mut self.decoder, &mut picture, &mut 0) {
                Received::Frame => {
                    let ordinal = picture.pts().and_then(|pts| Ordinal::try_from(pts).ok());
                    let number = if index.is_counted() {
                        Some(progress.next_frame)
                    } else {
                        ordinal.and_then(|ordinal| index.frame_of(ordinal))
                    };
                    let false_key = ordinal.filter(|&ordinal| {
                        ordinal == progress.started_at && ordinal != 0 && !is_intra(&picture)
                    });
                    if let Some(number) = number {
                        progress.next_frame = progress.next_frame.max(number + 1);
                    }
                    return Ok(Some(Decoded { number, picture, false_key }));
                }
                Received::End => self.progress = None,
                Received::Hunger if !progress.draining => {
                    match self.feed.packet(progress.next_packet, index) {
                        Ok(Some(packet)) => {
                            let is_first = progress.next_packet == progress.started_at;
                            let complete = is_first
                                .then(|| {
                                    index.handovers().first_packet(progress.next_packet, packet)
                                })
                                .flatten();
                            let packet = complete.as_ref().unwrap_or(packet);
                            // A refused packet gives no frame; the missing frame is noticed later.
                            if let Err(error) = self.decoder.send_packet(packet) {
                                tracing::trace!(packet = progress.next_packet, %error, "the decoder refused a packet");
                            }
                            progress.next_packet = progress.next_packet.saturating_add(1);
                        }
                        Ok(None) => {
                            progress.draining = true;
                            // As with packets, an error here belongs to a packet sent before;
                            // frames can still follow.
                            let _ = self.decoder.send_eof();
                        }
                        Err(error) => {
                            self.progress = None;
                            return Err(error);
                        }
                    }
                }
                Received::Hunger => self.progress = None,
            }
        }
        Ok(None)
    }
}

/// Result of asking a decoder for a frame.
pub(super) enum Received {
    Frame,
    /// It needs the next packet.
    Hunger,
    /// There are no more frames.
    End,
}

/// Largest number of consecutive errors to skip; a decoder has at most one per packet that it
/// holds.
const MAX_ERRORS_IN_A_ROW: usize = 256;

/// Takes the next frame out of the decoder.
///
/// An error belongs to one packet, possibly an earlier one. With several threads, sound frames can
/// still be queued after it, and the decoder accepts no packet before they have been taken out.
///
/// Adds the number of skipped errors to `errors`.
pub(super) fn receive(
    decoder: &mut ff::decoder::Video,
    picture: &mut VideoFrame,
    errors: &mut usize,
) -> Received {
    for _ in 0..MAX_ERRORS_IN_A_ROW {
        match decoder.receive_frame(picture) {
            Ok(()) => return Received::Frame,
            Err(ff::Error::Eof) => return Received::End,
            Err(ff::Error::Other { errno }) if errno == ff::util::error::EAGAIN => {
                return Received::Hunger;
            }
            Err(error) => {
                *errors += 1;
                tracing::trace!(%error, "the decoder gave an error for a frame");
            }
        }
    }
    Received::End
}

/// Returns true if the picture was decoded without any other. If the decoder does not say, the
/// answer is true.
pub(super) fn is_intra(picture: &VideoFrame) -> bool {
    use ff::picture::Type;
    matches!(picture.kind(), Type::I | Type::SI | Type::BI | Type::None)
}
