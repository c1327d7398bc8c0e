//! Video files, frame by frame and exactly.
//!
//! How it works, from the bottom up: `demux` reads packets; `index` says which packet holds which frame and from which
//! key frame it can be decoded; `feed` supplies packets from memory or by seeking; `decode` turns them into numbered
//! frames; `window` keeps decoded frames for reading in reverse; `reader` puts these together and finds a way out when
//! the file is not what its time stamps say; `convert` makes RGB of a decoded frame.

mod build;
mod claims;
mod convert;
mod decode;
mod demux;
mod feed;
mod ffi;
mod index;
mod notes;
mod orientation;
mod reader;
mod window;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::FrameError;
use crate::frame::{FrameSize, RgbFrame};
use crate::source::{DecodeStats, FrameSource, Timing};
use build::Scan;
use convert::Converter;
use decode::Decoder;
use demux::Demuxer;
use feed::{Feed, FileFeed};
use index::Index;
use notes::Notes;
use reader::Reader;

/// How the frames of a video are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IndexMode {
    /// From the packets' time stamps, which takes about a hundredth of a decode; by decoding the whole file if these are
    /// in doubt or turn out to be wrong.
    #[default]
    Auto,
    /// Always by decoding the whole file when it is opened. Then the count can never change later, even for a file with
    /// damage that does not show from outside.
    Decode,
}

/// Settings of [`VideoFrames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoOptions {
    /// Decoder threads; 0 chooses: two from 1280x720 on, else one. Default 0.
    pub threads: usize,
    /// How frames are numbered. Default [`IndexMode::Auto`].
    pub index: IndexMode,
    /// Memory in bytes for decoded frames, so that reading in reverse need not decode a whole group of pictures per
    /// frame. Default 128 MiB.
    pub reverse_bytes: u64,
    /// Files whose compressed video is at most this many bytes are kept in memory, which saves all seeking; 0 never.
    /// Default 32 MiB.
    pub packet_bytes: u64,
}

impl Default for VideoOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            index: IndexMode::Auto,
            reverse_bytes: 128 << 20,
            packet_bytes: 32 << 20,
        }
    }
}

/// The frames of a video file, through FFmpeg.
///
/// **Exact:** `frame(i)` is the `i`-th frame of a plain decode from start to end, in whatever order frames are read:
/// variable frame rates, edit lists, open groups of pictures, missing time stamps and wrong header counts do not shift
/// it. So frame numbers agree with those of `cv2.VideoCapture.read` and of `ffmpeg -vsync passthrough`.
///
/// **Pixels** are those of `ffmpeg -pix_fmt rgb24`: the stream's colour matrix and range are respected, deeper samples
/// are brought to 8 bits, alpha is dropped. The display rotation of the file is applied.
///
/// **Cost:** opening reads the file once without decoding. Reading forward decodes each frame once. A jump decodes from
/// the nearest key frame on. Reading in reverse keeps decoded frames within [`VideoOptions::reverse_bytes`], so that the
/// average cost stays at one to a few decodes per frame.
///
/// **Damaged files** yield the frames that can be decoded. Damage inside a packet does not show when the file is opened;
/// once it shows, the file is decoded from start to end, the frames after the damage are renumbered and a warning is
/// given. Use [`IndexMode::Decode`] to have that over with when opening, which is the better choice when frames will be
/// read in reverse: there, the damage shows only after frames with the old numbers have been served. Parts of a picture
/// that are damaged are the decoder's guess, announced by a warning; only there, and in the frames up to the next key
/// frame, pixels can depend on what was read before.
///
/// Not handled: more than one video stream (the best is chosen), frames whose size changes in mid-stream (an error for
/// those frames), non-square pixels (frames come as stored), files that are still being written.
pub struct VideoFrames {
    path: PathBuf,
    size: FrameSize,
    timing: Timing,
    claimed: Option<usize>,
    notes: Arc<Notes>,
    reader: Mutex<Reader>,
}

impl VideoFrames {
    /// Opens a video file with the default options.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::IsDirectory`], [`FrameError::Io`], [`FrameError::NotAVideo`],
    /// [`FrameError::NoVideoStream`], [`FrameError::NoFrames`], or [`FrameError::Unsupported`] for a codec that this
    /// FFmpeg lacks.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FrameError> {
        Self::open_with(path, VideoOptions::default())
    }

    /// Opens a video file.
    ///
    /// # Errors
    /// Those of [`VideoFrames::open`].
    pub fn open_with(path: impl AsRef<Path>, options: VideoOptions) -> Result<Self, FrameError> {
        let path = path.as_ref().to_owned();
        let notes = Arc::new(Notes::default());
        let mut demuxer = Demuxer::open(&path)?;
        let facts = demuxer.facts();
        let decoder = demuxer.open_decoder(options.threads, 0)?;
        let Scan { packets, kept, read_errors } = build::scan(&mut demuxer, options.packet_bytes);
        if packets.is_empty() {
            return Err(FrameError::NoFrames { path });
        }
        if let Some(warning) = claims::truncation(&path, &facts, &packets) {
            notes.warn(warning);
        }
        let index = match (options.index, index::doubt(&packets, read_errors)) {
            (IndexMode::Auto, None) => Index::from_time_stamps(packets),
            (_, doubt) => {
                if let Some(doubt) = doubt {
                    notes.warn(format!(
                        "{}: the file is decoded once to number its frames, since its time stamps are in doubt ({doubt})",
                        path.display()
                    ));
                }
                let index = build::decode_all(&path, options.threads)?;
                notes.frames_decoded.fetch_add(index.frame_count() as u64, Ordering::Relaxed);
                index
            }
        };
        if index.frame_count() == 0 {
            return Err(FrameError::NoFrames { path });
        }
        let feed = match kept {
            Some(packets) => Feed::Memory { packets, demuxer },
            None => Feed::File(Box::new(FileFeed::new(Demuxer::open(&path)?))),
        };
        let decoder = Decoder::new(decoder, feed, options.threads);
        let converter = Converter::new(facts.orientation);
        let mut reader =
            Reader::new(path.clone(), index, decoder, converter, options, Arc::clone(&notes));
        // The first frame tells the true size: a header can lie about that too.
        let size = match reader.frame(0) {
            Ok(frame) => frame.size(),
            Err(FrameError::IndexOutOfRange { .. }) => return Err(FrameError::NoFrames { path }),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path,
            size,
            timing: facts.timing,
            claimed: facts.claimed_frames,
            notes,
            reader: Mutex::new(reader),
        })
    }

    /// The number of frames that the container claims, true or not; `None` if it says nothing. For the true number see
    /// [`FrameSource::frame_count`].
    pub fn claimed_frame_count(&self) -> Option<usize> {
        self.claimed
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl FrameSource for VideoFrames {
    fn frame_count(&self) -> usize {
        self.notes.frame_count.load(Ordering::Relaxed)
    }

    fn size(&self) -> FrameSize {
        self.size
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        // A panic in the reader cannot leave it in a state that serves wrong frames: it would only decode again.
        let frame = self.reader.lock().unwrap_or_else(PoisonError::into_inner).frame(index)?;
        if frame.size() != self.size {
            let (expected, found) = (self.size, frame.size());
            return Err(FrameError::SizeChanged {
                path: self.path.clone(),
                index,
                expected,
                found,
            });
        }
        Ok(frame)
    }

    fn timing(&self) -> Timing {
        self.timing
    }

    fn describe(&self) -> String {
        self.path
            .file_name()
            .map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into())
    }

    fn decode_stats(&self) -> DecodeStats {
        self.notes.decode_stats()
    }

    fn warnings(&self) -> Vec<String> {
        self.notes.warnings()
    }
}

impl std::fmt::Debug for VideoFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoFrames")
            .field("path", &self.path)
            .field("size", &self.size)
            .field("frames", &self.frame_count())
            .finish_non_exhaustive()
    }
}
