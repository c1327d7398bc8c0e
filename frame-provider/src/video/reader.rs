//! Frame-exact access in any order, on top of the decoders.
//!
//! Two decoders serve forward reading and jumps, so that two sessions at different places do not
//! compete for one decoder. A third decoder, in a separate thread, makes the windows for reading in
//! reverse (`lane`). All of them output numbered frames, so the result does not depend on which one
//! serves a request.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use video_rs::ffmpeg as ff;

use super::build::{self, Counted};
use super::convert::Converter;
use super::decode::Decoder;
use super::index::Index;
use super::index_cache::IndexCache;
use super::lane::{self, Lane, Lost, Produce};
use super::notes::Notes;
use super::window::{Picture, PicturePool, Trail, Window};
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::picture::{Picture as StillPicture, Samples};
use crate::size::FrameSize;
use crate::travel::Travel;

/// Reverse windows reach across segment borders up to this many frames: enough to make seeks rare
/// in files with short groups, few enough that a single step back stays cheap.
const FRAMES_ACROSS_SEGMENTS: usize = 32;

/// Steps back by at most this many frames count as reading in reverse; longer ones are jumps.
const LONGEST_REVERSE_STEP: isize = 8;

/// Number of decoders for reading forward.
const FORWARD_DECODERS: usize = 2;

/// A reader that turns round does so within this many frames of the place where it began: by then,
/// a prefetcher has read ahead in the wrong direction. Until then, the frames before that place are
/// kept.
const FRAMES_TO_TURN: usize = 16;

/// How often a missing frame is searched for from an earlier key frame before the whole file is
/// decoded.
const EARLIER_KEYS: usize = 2;

/// After this many requests that were not for the lane, its memory is released.
const LANE_PATIENCE: usize = 200;

/// Why decoding did not arrive at the wanted frame.
enum Miss {
    /// The frame did not come out where it should.
    Missing,
    /// The key frame that decoding began with turned out not to be one.
    FalseKey(u32),
    /// The file did not continue with the expected packet.
    WrongPacket,
    /// An error that cannot be repaired here.
    Fatal(FrameError),
}

/// Data that decoding needs in addition to a decoder.
#[derive(Clone)]
struct Ground {
    path: PathBuf,
    index: Arc<Index>,
    notes: Arc<Notes>,
    pool: Arc<PicturePool>,
}

impl Ground {
    fn restart(&self, decoder: &mut Decoder, number: usize) -> Result<(), Miss> {
        self.notes.restarts.fetch_add(1, Ordering::Relaxed);
        let segment = self.index.segment_of(number);
        decoder.restart(segment, &self.index).map_err(Miss::Fatal)
    }

    /// Returns the next frame of the clip that comes out of the decoder.
    fn step(&self, decoder: &mut Decoder) -> Result<Option<(usize, Picture)>, Miss> {
        loop {
            let decoded = decoder.next_frame(&self.index).map_err(|_| Miss::WrongPacket)?;
            let Some(decoded) = decoded else {
                return Ok(None);
            };
            self.notes.frames_decoded.fetch_add(1, Ordering::Relaxed);
            if let Some(key) = decoded.false_key {
                return Err(Miss::FalseKey(key));
            }
            if let Some(number) = decoded.number {
                return Ok(Some((number, Picture::new(decoded.picture, &self.notes))));
            }
        }
    }
}

/// Makes the windows of the lane.
struct WindowMaker {
    ground: Ground,
    decoder: Decoder,
    /// Memory of one decoded frame, in bytes.
    frame_bytes: u64,
}

impl Produce for WindowMaker {
    type Frame = Picture;

    fn begin(&mut self, last: usize, room: u64) -> Result<usize, Lost> {
        let frames = lane::window_frames(room, self.frame_bytes);
        let first = self.ground.index.window_start(last, frames, FRAMES_ACROSS_SEGMENTS);
        self.ground.restart(&mut self.decoder, first).map_err(|_| Lost)?;
        Ok(first)
    }

    fn next(&mut self) -> Result<(usize, Picture), Lost> {
        match self.ground.step(&mut self.decoder) {
            Ok(Some(decoded)) => Ok(decoded),
            _ => Err(Lost),
        }
    }

    fn keep(&mut self, picture: Picture) -> Picture {
        let picture = self.ground.pool.keep(picture);
        self.frame_bytes = self.frame_bytes.max(picture.bytes());
        picture
    }

    fn bytes(frame: &Picture) -> u64 {
        frame.bytes()
    }
}

/// A decoder for reading forward, and what it has decoded.
struct Cursor {
    decoder: Decoder,
    /// Decoded frames up to the last one served.
    window: Window,
    /// Up to this frame, the window grows instead of moving.
    turn_until: usize,
}

impl Cursor {
    fn new(decoder: Decoder) -> Self {
        Self { decoder, window: Window::default(), turn_until: 0 }
    }
}

pub(super) struct Reader {
    ground: Ground,
    /// The cursors, most recently used first.
    cursors: Vec<Cursor>,
    converter: Converter,
    /// The pictures scaled last, in case the frames themselves are requested.
    trail: Trail,
    threads: usize,
    /// The lane for reading in reverse, once it is needed.
    lane: Option<Lane<WindowMaker>>,
    /// Number of requests since the lane was last used.
    lane_unused: usize,
    /// Memory for decoded frames, in bytes.
    budget: u64,
    /// Memory of one decoded frame, in bytes.
    frame_bytes: u64,
    travel: Travel,
    /// Where the index is stored for the next time, if it is stored.
    cache: Option<IndexCache>,
}

/// Settings of a [`Reader`].
pub(super) struct ReaderOptions {
    pub(super) threads: usize,
    /// Memory for decoded frames, in bytes.
    pub(super) budget: u64,
    pub(super) cache: Option<IndexCache>,
}

impl Reader {
    pub(super) fn new(
        path: PathBuf,
        index: Index,
        decoder: Decoder,
        converter: Converter,
        options: ReaderOptions,
        notes: Arc<Notes>,
    ) -> Self {
        let ReaderOptions { threads, budget, cache } = options;
        notes.describe(&index);
        Self {
            ground: Ground {
                path,
                index: Arc::new(index),
                pool: Arc::new(PicturePool::new(Arc::clone(&notes))),
                notes,
            },
            cursors: vec![Cursor::new(decoder)],
            converter,
            trail: Trail::default(),
            threads,
            lane: None,
            lane_unused: 0,
            budget,
            frame_bytes: 1,
            travel: Travel::default(),
            cache,
        }
    }

    pub(super) fn index(&self) -> &Index {
        &self.ground.index
    }

    /// Returns frame `number` in RGB.
    pub(super) fn frame(&mut self, number: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.release_if_wanted();
        let picture = match self.trail.get(number) {
            Some(picture) => picture,
            None => self.picture(number)?,
        };
        self.converter
            .convert(&picture.frame)
            .map_err(|error| FrameError::decode(&self.ground.path, number, error))
    }

    /// Returns frame `number` before its samples are converted to 8 bits, turned upright. Frames of
    /// 8 bits are returned as RGB.
    pub(super) fn samples(&mut self, number: usize) -> Result<StillPicture, FrameError> {
        let picture = self.picture(number)?;
        if let Some(deep) = self.converter.deep(&picture.frame) {
            return Ok(deep);
        }
        let frame = self.frame(number)?;
        let samples = Samples::Eight(frame.data().to_vec());
        Ok(StillPicture { size: frame.size(), channels: 3, samples })
    }

    /// Reads a few frames of a file whose time stamps say that frames are shown in the order of
    /// decoding, although its decoder reorders them. One example is a raw stream that was copied to
    /// an MP4. If the stamps are wrong, frames are renumbered here, before any frame has been
    /// served with a wrong index.
    pub(super) fn check_order(&mut self) {
        const ENOUGH: usize = 16;
        let delay = self.cursors.first().map_or(0, |cursor| cursor.decoder.delay());
        if delay == 0 || !self.ground.index.claims_no_reordering() {
            return;
        }
        for number in 0..ENOUGH.min(self.ground.index.frame_count()) {
            // An error is reported when the frame is requested.
            if self.picture(number).is_err() || self.ground.index.is_decoded() {
                return;
            }
        }
    }

    /// Returns the size of frame `number`.
    pub(super) fn size_of(&mut self, number: usize) -> Result<FrameSize, FrameError> {
        let picture = self.picture(number)?;
        Ok(self.converter.size(&picture.frame))
    }

    /// Returns frame `number` scaled directly from the decoder's format, and the size of the frame
    /// itself.
    ///
    /// The frame itself is rarely needed, and making it costs a twentieth of the decode, so it is
    /// not made. Going back for it might cost a group of pictures, so the decoder's picture is kept
    /// for a while.
    pub(super) fn scaled(
        &mut self,
        number: usize,
        size: FrameSize,
    ) -> Result<(Arc<RgbFrame>, FrameSize), FrameError> {
        let picture = self.picture(number)?;
        let scaled = self
            .converter
            .scale(&picture.frame, size)
            .map_err(|error| FrameError::decode(&self.ground.path, number, error))?;
        let own_size = self.converter.size(&picture.frame);
        self.trail.keep(number, picture, self.budget / 2);
        Ok((scaled, own_size))
    }

    /// Returns frame `number` as the decoder returned it.
    pub(super) fn picture(&mut self, number: usize) -> Result<Arc<Picture>, FrameError> {
        self.release_if_wanted();
        self.check(number)?;
        self.ground.pool.open();
        let stride = self.travel.note(number);
        let in_reverse = stride.is_some_and(|stride| (-LONGEST_REVERSE_STEP..0).contains(&stride));
        let from_lane = if in_reverse { self.picture_from_lane(number) } else { None };
        let picture = match from_lane {
            Some(picture) => picture,
            None => {
                self.rest_lane();
                self.picture_from_window(number, stride)?
            }
        };
        if (picture.frame.is_corrupt() || picture.frame.has_decode_errors())
            && self.ground.notes.damaged(number)
        {
            self.ground.notes.warn(format!(
                "{}: frame {number} is damaged, and perhaps others: parts of the picture are the decoder's guess",
                self.ground.path.display()
            ));
        }
        Ok(picture)
    }

    fn release_if_wanted(&mut self) {
        if self.ground.notes.release_wanted.swap(false, Ordering::Relaxed) {
            self.release();
        }
    }

    /// Frees all decoded frames.
    pub(super) fn release(&mut self) {
        self.clear_windows();
        if let Some(lane) = &self.lane {
            lane.rest();
        }
        self.ground.pool.close();
    }

    fn clear_windows(&mut self) {
        self.trail.clear();
        self.cursors.iter_mut().for_each(|cursor| cursor.window.clear());
    }

    fn check(&self, index: usize) -> Result<(), FrameError> {
        let count = self.ground.index.frame_count();
        if index < count {
            return Ok(());
        }
        Err(FrameError::IndexOutOfRange { index, count, path: self.ground.path.clone() })
    }

    /// Returns frame `number` from the windows made in the background; `None` if it must be decoded
    /// here.
    fn picture_from_lane(&mut self, number: usize) -> Option<Arc<Picture>> {
        self.lane_unused = 0;
        if self.lane.is_none() {
            // If another decoder or thread cannot be created, reading in reverse is only slower.
            let decoder = self.cursors.first()?.decoder.another().ok()?;
            let maker =
                WindowMaker { ground: self.ground.clone(), decoder, frame_bytes: self.frame_bytes };
            self.lane = Some(Lane::start(maker, self.budget).ok()?);
        }
        let lane = self.lane.as_ref()?;
        if let Some(picture) = lane.take(number) {
            return Some(picture);
        }
        let comes_next = |cursor: &Cursor| cursor.decoder.next_frame_number() == Some(number);
        if self.cursors.iter().any(comes_next) {
            // Where a forward reader meets a reverse one, the two can be confused for a moment.
            return None;
        }
        if !lane.is_lost() {
            // The frames decoded on the way to the place where the reader turned round need not be
            // decoded again.
            let mut windows = self.cursors.iter_mut().map(|cursor| &mut cursor.window);
            let known = windows
                .find(|window| window.get(number).is_some())
                .map_or_else(BTreeMap::new, |window| window.take_run(number));
            // Both share one budget, and the reader in reverse takes all of it.
            self.cursors.iter_mut().for_each(|cursor| cursor.window.clear());
            lane.jump(number, known);
            if let Some(picture) = lane.take(number) {
                return Some(picture);
            }
        }
        // Here, the cause is found and, if possible, removed; then a new lane can begin.
        self.lane = None;
        None
    }

    /// Releases the lane's memory once reading in reverse has ended.
    fn rest_lane(&mut self) {
        self.lane_unused += 1;
        if self.lane_unused == LANE_PATIENCE
            && let Some(lane) = &self.lane
        {
            lane.rest();
            self.ground.pool.close();
        }
    }

    /// Returns frame `number` from the frames kept, or else decodes it here. `stride` is that of
    /// the reader, if it is known.
    fn picture_from_window(
        &mut self,
        number: usize,
        stride: Option<isize>,
    ) -> Result<Arc<Picture>, FrameError> {
        let known =
            |cursors: &[Cursor]| cursors.iter().find_map(|cursor| cursor.window.get(number));
        if let Some(picture) = known(&self.cursors) {
            return Ok(picture);
        }
        // A reader in reverse that found some frames in a cache requests the next one further down.
        let from_lane = self
            .lane
            .as_ref()
            .filter(|_| stride.is_none())
            .and_then(|lane| lane.get(number).or_else(|| lane.take_near(number)));
        if let Some(picture) = from_lane {
            return Ok(picture);
        }
        self.fill(number)?;
        known(&self.cursors).ok_or_else(|| self.failure(number))
    }

    /// Makes sure that a window holds frame `number`, trying every available way.
    fn fill(&mut self, number: usize) -> Result<(), FrameError> {
        let mut missing = 0;
        loop {
            self.check(number)?;
            match self.decode_to(number) {
                Ok(()) => return Ok(()),
                Err(Miss::Fatal(error)) => return Err(error),
                Err(Miss::FalseKey(key)) if self.change_index(|index| index.refuse(key)) => {
                    tracing::debug!(key, "decoding cannot begin at this key frame");
                }
                Err(Miss::WrongPacket) if self.stop_seeking() => {
                    tracing::debug!(path = %self.ground.path.display(), "seeking in this file is unreliable");
                }
                Err(_) => {
                    missing += 1;
                    let key = self.ground.index.segment_of(number).key;
                    let looked_enough = key == 0 || missing > EARLIER_KEYS;
                    if looked_enough && !self.ground.index.is_decoded() {
                        self.rebuild()?;
                        missing = 0;
                    } else if key == 0 {
                        return Err(self.failure(number));
                    } else if looked_enough {
                        self.change_index(Index::refuse_all);
                    } else {
                        self.change_index(|index| index.refuse(key));
                    }
                }
            }
            self.cursors.iter_mut().for_each(|cursor| cursor.decoder.forget());
        }
    }

    /// Changes what is known about the file. The lane works with the state from its start, so it
    /// ends.
    fn change_index<T>(&mut self, change: impl FnOnce(&mut Index) -> T) -> T {
        self.lane = None;
        let changed = change(Arc::make_mut(&mut self.ground.index));
        self.ground.notes.describe_groups(&self.ground.index);
        changed
    }

    fn stop_seeking(&mut self) -> bool {
        self.lane = None;
        // Every cursor must be stopped, so this does not use `any`, which would return at the
        // first.
        let stopped = self
            .cursors
            .iter_mut()
            .filter_map(|cursor| cursor.decoder.stop_seeking().then_some(()));
        stopped.count() > 0
    }

    fn failure(&self, number: usize) -> FrameError {
        self.ground.notes.damaged(number);
        FrameError::decode(&self.ground.path, number, ff::Error::InvalidData)
    }

    /// Moves the cursor that is to decode `number` to the front: the nearest one on the way there,
    /// or else the least recently used. Returns true if it is on the way.
    fn choose_cursor(&mut self, number: usize) -> bool {
        let segment = self.ground.index.segment_of(number);
        let nearest = (0..self.cursors.len())
            .filter(|&place| self.cursors[place].decoder.leads_to(number, segment))
            .max_by_key(|&place| self.cursors[place].decoder.next_frame_number());
        let chosen = nearest.unwrap_or_else(|| {
            let is_idle = |cursor: &Cursor| cursor.decoder.next_frame_number().is_none();
            if self.cursors.len() < FORWARD_DECODERS
                && !self.cursors.iter().any(is_idle)
                && let Some(Ok(another)) = self.cursors.first().map(|first| first.decoder.another())
            {
                self.cursors.push(Cursor::new(another));
            }
            self.cursors.iter().position(is_idle).unwrap_or(self.cursors.len() - 1)
        });
        self.cursors[..=chosen].rotate_right(1);
        nearest.is_some()
    }

    /// Decodes until frame `number` is in the window.
    fn decode_to(&mut self, number: usize) -> Result<(), Miss> {
        let is_on_the_way = self.choose_cursor(number);
        let Some(Cursor { decoder, window, turn_until }) = self.cursors.first_mut() else {
            return Err(Miss::Missing);
        };
        let mut keep_from = number;
        if !is_on_the_way {
            window.clear();
            // After a jump, the frames before the wanted one are decoded anyway. Keeping them makes
            // going back from here cheap, and costs only the memory set aside for that.
            let held = self.ground.notes.memory().bytes_held;
            let used = held.saturating_sub(self.ground.pool.free_bytes());
            let left = self.budget.saturating_sub(used);
            let frames = lane::window_frames(left, self.frame_bytes);
            keep_from = self.ground.index.window_start(number, frames, 1);
            self.ground.restart(decoder, keep_from)?;
            *turn_until = number + FRAMES_TO_TURN;
        } else if number > *turn_until || !window.reaches(number) {
            window.clear();
        }
        loop {
            let (found, picture) = self.ground.step(decoder)?.ok_or(Miss::Missing)?;
            self.frame_bytes = self.frame_bytes.max(picture.bytes());
            if found == number {
                window.insert(found, picture);
            } else if (keep_from..number).contains(&found) {
                window.insert(found, self.ground.pool.keep(picture));
            }
            if found == number {
                return Ok(());
            }
            if found > number {
                return Err(Miss::Missing);
            }
        }
    }

    /// Numbers the frames by decoding the whole file, because the quick index turned out to be
    /// wrong.
    fn rebuild(&mut self) -> Result<(), FrameError> {
        let path = &self.ground.path;
        tracing::info!(path = %path.display(), "decoding the whole file to number its frames");
        let Some(cursor) = self.cursors.first() else { return Ok(()) };
        let Counted { index, errors } =
            build::decode_all(cursor.decoder.reopened()?, self.threads)?;
        let notes = &self.ground.notes;
        notes.frames_decoded.fetch_add(index.frame_count() as u64, Ordering::Relaxed);
        if !index.agrees_with(&self.ground.index) {
            notes.forget_damaged();
            let (found, before) = (index.frame_count(), self.ground.index.frame_count());
            let path = path.display();
            if errors > 0 && found < before {
                let missing = format!("it has {found} frames that can be decoded, not {before}");
                notes.warn(format!(
                    "{path}: the file is damaged: {missing}; frame numbers after the damage have changed"
                ));
                notes.misses_frames(missing);
            } else if found != before {
                notes.warn(format!(
                    "{path}: decoding the file gives {found} frames, not {before} as its packets do; frames are numbered as \
                     they are decoded"
                ));
            } else {
                notes.warn(format!(
                    "{path}: the frames come in another order than their time stamps say; they are numbered as they are decoded"
                ));
            }
        }
        notes.describe(&index);
        if let Some(cache) = &self.cache {
            cache.store(&index, &notes.warnings(), notes.flaws().missing_frames);
        }
        self.change_index(|old| *old = index);
        self.clear_windows();
        Ok(())
    }
}
