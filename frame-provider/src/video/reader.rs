//! Frame-exact access in any order, on top of the decoder.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use video_rs::ffmpeg as ff;

use ff::frame::Video as VideoFrame;

use super::VideoOptions;
use super::build;
use super::convert::Converter;
use super::decode::Decoder;
use super::ffi;
use super::index::Index;
use super::notes::Notes;
use super::window::{Ahead, Window};
use crate::error::FrameError;
use crate::frame::RgbFrame;

/// Reverse windows reach over segment borders up to this many frames: enough to make seeks rare in files with short
/// groups, few enough that a single step back stays cheap.
const FRAMES_ACROSS_SEGMENTS: usize = 32;

/// Steps back by at most this many frames count as reading in reverse; longer ones are jumps.
const LONGEST_REVERSE_STEP: usize = 8;

/// From this many steps back in a row on, reading is expected to go on in reverse.
const REVERSE_STEPS_TO_BELIEVE: usize = 2;

/// How often a missing frame is looked for from an earlier key before the whole file is decoded.
const EARLIER_KEYS: usize = 2;

/// Why decoding did not arrive at the wanted frame.
enum Miss {
    /// The frame did not come out where it should.
    Missing,
    /// The key that decoding began with is none.
    FalseKey(u32),
    /// The file did not continue as it should.
    WrongPacket,
    /// Beyond repair here.
    Fatal(FrameError),
}

pub(super) struct Reader {
    path: PathBuf,
    index: Index,
    decoder: Decoder,
    converter: Converter,
    threads: usize,
    notes: Arc<Notes>,
    /// Decoded frames up to the last one served.
    window: Window,
    /// The window before that one, if it is being made.
    ahead: Option<Ahead>,
    /// Memory for each of the two.
    window_bytes: u64,
    /// Memory of one decoded frame.
    frame_bytes: u64,
    last_request: Option<usize>,
    /// Steps back in a row.
    reverse_steps: usize,
    /// Whether the user has been told of a frame with concealed damage.
    told_of_damage: bool,
}

impl Reader {
    pub(super) fn new(
        path: PathBuf,
        index: Index,
        decoder: Decoder,
        converter: Converter,
        options: VideoOptions,
        notes: Arc<Notes>,
    ) -> Self {
        notes.frame_count.store(index.frame_count(), Ordering::Relaxed);
        Self {
            path,
            index,
            decoder,
            converter,
            threads: options.threads,
            notes,
            window: Window::default(),
            ahead: None,
            window_bytes: options.reverse_bytes / 2,
            frame_bytes: 1,
            last_request: None,
            reverse_steps: 0,
            told_of_damage: false,
        }
    }

    /// Frame `number` in RGB.
    pub(super) fn frame(&mut self, number: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.check(number)?;
        self.note_direction(number);
        if !self.window.contains(number) {
            self.take_window_ahead(number);
        }
        if !self.window.contains(number) {
            self.fill(number)?;
        }
        let frame = self.convert(number);
        if self.reverse_steps >= REVERSE_STEPS_TO_BELIEVE {
            self.work_ahead(number);
        }
        frame
    }

    fn note_direction(&mut self, number: usize) {
        let Some(last) = self.last_request.replace(number) else {
            return;
        };
        if number > last || last - number > LONGEST_REVERSE_STEP {
            self.reverse_steps = 0;
        } else if number < last {
            self.reverse_steps += 1;
        }
    }

    fn check(&self, index: usize) -> Result<(), FrameError> {
        let count = self.index.frame_count();
        if index < count {
            return Ok(());
        }
        Err(FrameError::IndexOutOfRange { index, count, path: self.path.clone() })
    }

    fn convert(&mut self, number: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let picture = self.window.get(number).ok_or_else(|| self.failure(number))?;
        if !self.told_of_damage && (picture.has_decode_errors() || picture.is_corrupt()) {
            self.told_of_damage = true;
            self.notes.warn(format!(
                "{}: frame {number} is damaged, and perhaps others: parts of the picture are the decoder's guess",
                self.path.display()
            ));
        }
        self.converter
            .convert(picture)
            .map_err(|error| FrameError::decode(&self.path, number, error))
    }

    /// Makes sure that the window holds frame `number`, by whatever it takes.
    fn fill(&mut self, number: usize) -> Result<(), FrameError> {
        self.ahead = None;
        let mut missing = 0;
        loop {
            self.check(number)?;
            match self.decode_to(number) {
                Ok(()) => return Ok(()),
                Err(Miss::Fatal(error)) => return Err(error),
                Err(Miss::FalseKey(key)) if self.index.refuse(key) => {
                    tracing::debug!(key, "decoding cannot begin at this key frame");
                }
                Err(Miss::WrongPacket) if self.decoder.stop_seeking() => {
                    tracing::debug!(path = %self.path.display(), "seeking in this file leads astray");
                }
                Err(_) => {
                    missing += 1;
                    let key = self.index.segment_of(number).key;
                    let looked_enough = key == 0 || missing > EARLIER_KEYS;
                    if looked_enough && !self.index.is_decoded() {
                        self.rebuild()?;
                        missing = 0;
                    } else if key == 0 {
                        return Err(self.failure(number));
                    } else if looked_enough {
                        self.index.refuse_all();
                    } else {
                        self.index.refuse(key);
                    }
                }
            }
            self.decoder.forget();
        }
    }

    fn failure(&self, number: usize) -> FrameError {
        FrameError::decode(&self.path, number, ff::Error::InvalidData)
    }

    /// Decodes until frame `number` is in the window.
    fn decode_to(&mut self, number: usize) -> Result<(), Miss> {
        let segment = self.index.segment_of(number);
        let mut keep_from = number;
        if !self.decoder.leads_to(number, segment) {
            // After a jump, the frames before the wanted one are decoded anyway. Keeping them makes going back from here
            // cheap, and costs nothing but the memory set aside for that.
            let across = if self.reverse_steps > 0 { FRAMES_ACROSS_SEGMENTS } else { 1 };
            keep_from = self.index.window_start(number, self.window_frames(), across);
            self.restart(keep_from)?;
        }
        self.window.clear();
        loop {
            let (found, picture) = self.step()?.ok_or(Miss::Missing)?;
            if (keep_from..=number).contains(&found) {
                self.window.insert(found, picture);
            }
            if found == number {
                return Ok(());
            }
            if found > number {
                return Err(Miss::Missing);
            }
        }
    }

    fn restart(&mut self, number: usize) -> Result<(), Miss> {
        self.notes.restarts.fetch_add(1, Ordering::Relaxed);
        let segment = self.index.segment_of(number);
        self.decoder.restart(segment, &self.index, &self.path).map_err(Miss::Fatal)
    }

    /// The next frame of the clip that comes out of the decoder.
    fn step(&mut self) -> Result<Option<(usize, VideoFrame)>, Miss> {
        loop {
            let Some(decoded) =
                self.decoder.next_frame(&self.index).map_err(|_| Miss::WrongPacket)?
            else {
                return Ok(None);
            };
            self.notes.frames_decoded.fetch_add(1, Ordering::Relaxed);
            if let Some(key) = decoded.false_key {
                return Err(Miss::FalseKey(key));
            }
            self.frame_bytes = ffi::frame_bytes(&decoded.picture).max(1);
            if let Some(number) = decoded.number {
                return Ok(Some((number, decoded.picture)));
            }
        }
    }

    /// How many frames a window may hold.
    fn window_frames(&self) -> usize {
        usize::try_from(self.window_bytes / self.frame_bytes).unwrap_or(usize::MAX).max(1)
    }

    /// Numbers the frames by decoding the whole file, because the quick index was found wrong.
    fn rebuild(&mut self) -> Result<(), FrameError> {
        tracing::info!(path = %self.path.display(), "decoding the whole file to number its frames");
        let index = build::decode_all(&self.path, self.threads)?;
        self.notes.frames_decoded.fetch_add(index.frame_count() as u64, Ordering::Relaxed);
        if !index.agrees_with(&self.index) {
            self.notes.warn(format!(
                "{}: the file is damaged: it has {} frames that can be decoded, not {}; frame numbers after the damage \
                 have changed",
                self.path.display(),
                index.frame_count(),
                self.index.frame_count(),
            ));
        }
        self.index = index;
        self.window.clear();
        self.notes.frame_count.store(self.index.frame_count(), Ordering::Relaxed);
        Ok(())
    }

    /// Changes over to the window that was made ahead, if frame `number` is in it.
    fn take_window_ahead(&mut self, number: usize) {
        let Some(mut ahead) = self.ahead.take_if(|ahead| ahead.range().contains(&number)) else {
            return;
        };
        while !ahead.is_complete() {
            if !self.extend(&mut ahead) {
                return; // `fill` will find out what is wrong.
            }
        }
        self.window = ahead.into_window();
    }

    /// In reverse, decodes a part of the window before the present one, so that the work is spread evenly over the
    /// frames served instead of piling up at the edge of each window.
    fn work_ahead(&mut self, number: usize) {
        let Some(first) = self.window.first() else {
            return;
        };
        if self.ahead.is_none() {
            let Some(last) = first.checked_sub(1) else {
                return;
            };
            let start = self.index.window_start(last, self.window_frames(), FRAMES_ACROSS_SEGMENTS);
            if self.restart(start).is_err() {
                return;
            }
            let to_decode = last + 1 - self.index.segment_of(start).first;
            self.ahead = Some(Ahead::new(start..=last, to_decode));
        }
        let Some(mut ahead) = self.ahead.take() else {
            return;
        };
        // What is left to decode, over what is left to serve from the present window.
        let steps = ahead.to_decode().div_ceil(number.saturating_sub(first) + 1);
        for _ in 0..steps {
            if !ahead.is_complete() && !self.extend(&mut ahead) {
                return;
            }
        }
        self.ahead = Some(ahead);
    }

    /// One step towards the window ahead; false if it cannot be made.
    fn extend(&mut self, ahead: &mut Ahead) -> bool {
        match self.step() {
            Ok(Some((number, picture))) => ahead.offer(number, picture),
            _ => {
                self.decoder.forget();
                false
            }
        }
    }
}
