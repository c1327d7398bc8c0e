//! The decoder together with its feed: numbered frames, one after the other.

use video_rs::ffmpeg as ff;

use ff::frame::Video as VideoFrame;

use super::demux::Demuxer;
use super::feed::{Feed, WrongPacket};
use super::ffi;
use super::index::{Index, Ordinal, Segment};
use crate::error::FrameError;

/// A decoded frame and its number.
pub(super) struct Decoded {
    /// `None` for a frame that is not part of the clip.
    pub(super) number: Option<usize>,
    pub(super) picture: VideoFrame,
    /// The key frame that decoding began with, if this is its frame, and it needs other frames all the same: then
    /// decoding must not begin there.
    pub(super) false_key: Option<Ordinal>,
}

/// How far decoding has come since it began at a key.
#[derive(Debug, Clone, Copy)]
struct Progress {
    started_at: Ordinal,
    /// The packet to feed next.
    next_packet: Ordinal,
    /// No later frame than this one has come out yet, so this one still can.
    next_frame: usize,
    /// The end of the file has been passed on to the decoder.
    draining: bool,
}

/// Decodes the clip from any key frame on.
pub(super) struct Decoder {
    decoder: ff::decoder::Video,
    feed: Feed,
    threads: usize,
    /// `None` when the next use must begin at a key.
    progress: Option<Progress>,
}

/// Decoding on for so many packets costs less than starting anew.
const PACKETS_WORTH_A_RESTART: Ordinal = 4;

impl Decoder {
    pub(super) fn new(decoder: ff::decoder::Video, feed: Feed, threads: usize) -> Self {
        Self { decoder, feed, threads, progress: None }
    }

    /// A second decoder of the same file, at a position of its own.
    pub(super) fn another(&self) -> Result<Self, FrameError> {
        let feed = self.feed.another()?;
        let delay = ffi::reordering_delay(&self.decoder);
        let decoder = feed.demuxer().open_decoder(self.threads, delay)?;
        Ok(Self::new(decoder, feed, self.threads))
    }

    /// The number of the next frame that can come out without a restart.
    pub(super) fn next_frame_number(&self) -> Option<usize> {
        self.progress.map(|progress| progress.next_frame)
    }

    /// The file, opened again.
    pub(super) fn reopened(&self) -> Result<Demuxer, FrameError> {
        self.feed.demuxer().reopen()
    }

    /// Whether decoding on, without a restart, leads to frame `number` and is the shorter way.
    pub(super) fn leads_to(&self, number: usize, segment: Segment) -> bool {
        self.progress.is_some_and(|progress| {
            progress.next_frame <= number
                && segment.key <= progress.next_packet.saturating_add(PACKETS_WORTH_A_RESTART)
        })
    }

    /// Begins anew with the key frame of `segment`.
    pub(super) fn restart(&mut self, segment: Segment, index: &Index) -> Result<(), FrameError> {
        self.progress = None;
        // A new decoder, not a flushed one: after damage, flushing was seen to leave traces in the frames that follow. What
        // must survive is the reordering delay, which decoders learn on the way.
        let delay = ffi::reordering_delay(&self.decoder);
        self.decoder = self.feed.demuxer().open_decoder(self.threads, delay)?;
        self.feed.start_at(segment.key, index)?;
        self.progress = Some(Progress {
            started_at: segment.key,
            next_packet: segment.key,
            // With frames counted from the start, this is the count.
            next_frame: if index.is_counted() { 0 } else { segment.first },
            draining: false,
        });
        Ok(())
    }

    /// Forgets where decoding was; the next use restarts.
    pub(super) fn forget(&mut self) {
        self.progress = None;
    }

    /// Gives up seeking in the file. False if that was given up before.
    pub(super) fn stop_seeking(&mut self) -> bool {
        self.forget();
        self.feed.stop_seeking()
    }

    /// The next frame, or `None` after the last.
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
                            // A packet that is refused gives no frame, which is noticed there.
                            if let Err(error) = self.decoder.send_packet(packet) {
                                tracing::trace!(packet = progress.next_packet, %error, "the decoder refused a packet");
                            }
                            progress.next_packet = progress.next_packet.saturating_add(1);
                        }
                        Ok(None) => {
                            progress.draining = true;
                            // As with packets, an error here is that of a packet sent before; frames can still follow.
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

/// What a decoder had to give.
pub(super) enum Received {
    Frame,
    /// It wants the next packet.
    Hunger,
    /// There will be no more.
    End,
}

/// The most errors in a row to pass over; a decoder has at most one per packet that it holds.
const MAX_ERRORS_IN_A_ROW: usize = 256;

/// Takes the next frame out of the decoder.
///
/// An error is that of one packet, possibly an earlier one: with several threads, sound frames wait behind it, and no
/// packet is accepted before they have been taken out.
///
/// Adds the errors that it passes over to `errors`.
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

/// Whether the picture was decoded without any other. Decoders that do not say are believed.
pub(super) fn is_intra(picture: &VideoFrame) -> bool {
    use ff::picture::Type;
    matches!(picture.kind(), Type::I | Type::SI | Type::BI | Type::None)
}
