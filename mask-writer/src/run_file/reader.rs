//! Reads run files, including unfinished and damaged ones.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::amend::{Amended, RunIndex};
use super::error::RunFileError;
use super::frame::{self, RunFrame};
use super::header::{RunBatch, RunHeader};
use super::record::{self, HEAD, Kind, MAGIC, Missing};

/// A record of a run file after its header.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunRecord {
    /// The next frame.
    Frame(RunFrame),
    /// The end of a batch: the frames since the previous batch were tracked together.
    Batch(RunBatch),
}

/// Reads a run file record by record and holds one frame at a time in memory.
///
/// An error ends the iteration. If the run was interrupted, the reader first yields everything that
/// is present, then [`RunFileError::Unfinished`]. It checks everything it yields: frames come in
/// order and without gaps, and batches contain exactly the frames before them.
#[derive(Debug)]
pub struct RunReader {
    path: PathBuf,
    header: RunHeader,
    file: BufReader<File>,
    length: u64,
    /// Byte position of the next record.
    position: u64,
    next_frame: usize,
    batch_start: usize,
    ended: bool,
    payload: Vec<u8>,
    /// Amendments that change what was computed.
    amended: Option<Box<Amendments>>,
}

/// Where a reader finds amendments.
#[derive(Debug)]
struct Amendments {
    index: RunIndex,
    amended: Amended,
    file: File,
}

/// The usable part of a run file that may be unfinished.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecoveredRun {
    /// Its header.
    pub header: RunHeader,
    /// The complete batches.
    pub batches: Vec<RunBatch>,
    /// Byte position of the end of the last complete batch.
    pub length: u64,
    /// Whether the file is complete.
    pub finished: bool,
    /// The frames after that position, which belong to a batch that was not ended: the byte
    /// position of the end of each.
    pub loose_frames: Vec<u64>,
}

impl RecoveredRun {
    /// Returns the frame to continue at: the first that no complete batch contains.
    pub fn next_frame(&self) -> usize {
        self.batches.last().map_or(self.header.frames.start, |batch| batch.frames.end)
    }
}

impl RunReader {
    /// Opens a run file and reads its header. Frames and batches are given as they are after the
    /// amendments of the run, if there are any.
    ///
    /// # Errors
    /// [`RunFileError`] if it cannot be read, is not a run file or has another format version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RunFileError> {
        let mut reader = Self::open_as_computed(path)?;
        let io = |source| RunFileError::Io { path: reader.path.clone(), source };
        let file = File::open(&reader.path).map_err(io)?;
        let mut index = RunIndex::behind(reader.position, reader.header.frames.clone());
        index.read_on(&file).map_err(io)?;
        if index.head() > 0 {
            if let Some(reason) = index.damage {
                let (path, at, reason) = (reader.path.clone(), index.end, reason.to_owned());
                return Err(RunFileError::Damaged { path, at, reason });
            }
            let amended = Amended::new(&reader.header, &index, index.head());
            reader.header.object_names = amended.names();
            reader.amended = Some(Box::new(Amendments { index, amended, file }));
        }
        Ok(reader)
    }

    /// Opens a run file as [`Self::open`] does, but gives everything as it was computed at first.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as_computed(path: impl AsRef<Path>) -> Result<Self, RunFileError> {
        let path = path.as_ref().to_owned();
        let io = |source| RunFileError::Io { path: path.clone(), source };
        let not =
            |reason: &str| RunFileError::NotARun { path: path.clone(), reason: reason.into() };
        let file = File::open(&path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(not("it is a folder"));
        }
        let length = metadata.len();
        let mut file = BufReader::new(file);
        let mut magic = [0; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Ok(()) => return Err(not("it does not begin like one")),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(not("it is too short"));
            }
            Err(source) => return Err(io(source)),
        }
        let start = MAGIC.len() as u64;
        let mut payload = Vec::new();
        match record::read(&mut file, length - start.min(length), &mut payload) {
            Ok(Kind::Header) => {}
            Ok(_) => return Err(not("it has no head")),
            Err(Missing::Io(source)) => return Err(io(source)),
            Err(Missing::Torn) => return Err(not("its head is cut off")),
            Err(Missing::Damaged(reason)) => {
                return Err(not(&format!("its head is damaged: {reason}")));
            }
        }
        let header = parse_header(&payload, &path)?;
        let position = start + HEAD + payload.len() as u64;
        let first = header.frames.start;
        Ok(Self {
            path,
            header,
            file,
            length,
            position,
            next_frame: first,
            batch_start: first,
            ended: false,
            payload,
            amended: None,
        })
    }

    /// Returns the file's header.
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// Returns the byte position behind the header.
    pub(super) fn head_end(&self) -> u64 {
        self.position
    }

    /// Returns an iterator over the frames only.
    pub fn frames(self) -> RunFrames {
        RunFrames(self)
    }

    /// Reads a file that may be unfinished or damaged and returns the part that can be used.
    ///
    /// # Errors
    /// As [`Self::open`]; [`RunFileError::Io`] if reading fails. Damage after the header is not an
    /// error.
    pub fn recover(path: impl AsRef<Path>) -> Result<RecoveredRun, RunFileError> {
        let mut reader = Self::open_as_computed(path)?;
        let mut found = RecoveredRun {
            header: reader.header.clone(),
            batches: Vec::new(),
            length: reader.position,
            finished: false,
            loose_frames: Vec::new(),
        };
        loop {
            match reader.step() {
                Ok(Some(RunRecord::Frame(_))) => found.loose_frames.push(reader.position),
                Ok(Some(RunRecord::Batch(batch))) => {
                    found.batches.push(batch);
                    found.length = reader.position;
                    found.loose_frames.clear();
                }
                Ok(None) => {
                    found.finished = true;
                    return Ok(found);
                }
                Err(error @ RunFileError::Io { .. }) => return Err(error),
                Err(_) => return Ok(found),
            }
        }
    }

    /// Returns the next record; `None` after the end of a finished run.
    fn step(&mut self) -> Result<Option<RunRecord>, RunFileError> {
        let at = self.position;
        let mut payload = std::mem::take(&mut self.payload);
        let kind = record::read(&mut self.file, self.length.saturating_sub(at), &mut payload);
        let record = match kind {
            Ok(kind) => {
                self.position = at + HEAD + payload.len() as u64;
                self.understand(kind, &payload)
            }
            Err(Missing::Io(source)) => {
                return Err(RunFileError::Io { path: self.path.clone(), source });
            }
            Err(Missing::Torn) => {
                return Err(RunFileError::Unfinished {
                    path: self.path.clone(),
                    expected: self.header.frames.len(),
                    found: self.next_frame - self.header.frames.start,
                });
            }
            Err(Missing::Damaged(reason)) => Err(reason.to_owned()),
        };
        self.payload = payload;
        record.map_err(|reason| RunFileError::Damaged { path: self.path.clone(), at, reason })
    }

    fn as_amended(&mut self, record: Option<RunRecord>) -> Result<Option<RunRecord>, RunFileError> {
        let Some(amendments) = &mut self.amended else { return Ok(record) };
        let Amendments { index, amended, file } = amendments.as_mut();
        Ok(match record {
            Some(RunRecord::Frame(mut frame)) => {
                amended.change(&mut frame, index, file, &self.path)?;
                Some(RunRecord::Frame(frame))
            }
            Some(RunRecord::Batch(batch)) => Some(RunRecord::Batch(amended.state().batch(&batch))),
            None => None,
        })
    }

    fn understand(&mut self, kind: Kind, payload: &[u8]) -> Result<Option<RunRecord>, String> {
        let (frames, next) = (self.header.frames.clone(), self.next_frame);
        match kind {
            Kind::Header => Err("a second head".into()),
            Kind::Frame => {
                let frame = frame::decode(payload, (self.header.width, self.header.height))?;
                if frame.index != next || !frames.contains(&next) {
                    return Err(format!("frame {} where {next} was due", frame.index));
                }
                self.next_frame += 1;
                Ok(Some(RunRecord::Frame(frame)))
            }
            Kind::Batch => {
                let batch: RunBatch =
                    serde_json::from_slice(payload).map_err(|error| error.to_string())?;
                if batch.frames != (self.batch_start..next) {
                    return Err("a batch of other frames than those before its end".into());
                }
                if !batch.prompt_frames.iter().all(|frame| frames.contains(frame)) {
                    return Err("a batch prompted on a frame that is not there".into());
                }
                if !batch.prompts.iter().all(|prompt| batch.frames.contains(&prompt.frame)) {
                    return Err("a prompt on a frame of another batch".into());
                }
                self.batch_start = next;
                Ok(Some(RunRecord::Batch(batch)))
            }
            Kind::End if next == frames.end && self.batch_start == next && payload.is_empty() => {
                Ok(None)
            }
            Kind::End => Err("an end before the last frame".into()),
            Kind::Amendment | Kind::Patch => Err("an amendment before the end".into()),
        }
    }
}

impl Iterator for RunReader {
    type Item = Result<RunRecord, RunFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step().and_then(|record| self.as_amended(record)).transpose();
        self.ended = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Iterates over the frames of a run file in order. See [`RunReader`].
#[derive(Debug)]
pub struct RunFrames(RunReader);

impl Iterator for RunFrames {
    type Item = Result<RunFrame, RunFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next()? {
                Ok(RunRecord::Frame(frame)) => return Some(Ok(frame)),
                Ok(RunRecord::Batch(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn parse_header(json: &[u8], path: &Path) -> Result<RunHeader, RunFileError> {
    #[derive(serde::Deserialize)]
    struct Version {
        format_version: u32,
    }
    let not = |reason: String| RunFileError::NotARun { path: path.to_owned(), reason };
    // In another format version, only this field is certain to exist.
    let Version { format_version: found } =
        serde_json::from_slice(json).map_err(|error| not(error.to_string()))?;
    let expected = RunHeader::FORMAT_VERSION;
    if found != expected {
        return Err(RunFileError::FormatVersion { path: path.to_owned(), found, expected });
    }
    let header: RunHeader = serde_json::from_slice(json).map_err(|error| not(error.to_string()))?;
    let pixels = u64::from(header.width) * u64::from(header.height);
    if pixels == 0 || pixels > RunHeader::MOST_PIXELS {
        return Err(not(format!("frames of {}x{}", header.width, header.height)));
    }
    let frames = &header.frames;
    if frames.start > frames.end || frames.end > header.frame_count {
        return Err(not(format!("frames {frames:?} of {}", header.frame_count)));
    }
    if !header.image_names.is_empty() && header.image_names.len() != header.frame_count {
        let (names, frames) = (header.image_names.len(), header.frame_count);
        return Err(not(format!("{names} names of images for {frames} frames")));
    }
    if header.frames_per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(not("an impossible frame rate".into()));
    }
    Ok(header)
}
