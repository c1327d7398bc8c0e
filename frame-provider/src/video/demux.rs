//! Opens a file and reads the packets of its video stream.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use video_rs::ffmpeg as ff;

use ff::codec::threading;
use ff::format::context::Input;

use super::ffi;
use super::handover::Watch;
use super::orientation::Orientation;
use crate::error::FrameError;
use crate::size::FrameSize;
use crate::source_info::Timing;
use crate::video_details::VideoStream;

/// Largest number of consecutive errors before reading stops; a demuxer can report the same error
/// forever.
const MAX_ERRORS_IN_A_ROW: usize = 1000;

/// Number of pixels from which several decoder threads pay off.
const PIXELS_FOR_THREADS: u64 = 640 * 480;

/// More threads hold more frames and make every seek more expensive, and one decoder should not
/// occupy a whole machine.
const MOST_THREADS: usize = 4;

/// Demuxers that interpret text or arbitrary bytes as a picture.
const NOT_VIDEO: [&str; 5] = ["tty", "bin", "xbin", "adf", "idf"];

/// An open file at some position, with its video stream chosen.
pub(super) struct Demuxer {
    input: Input,
    stream: usize,
    path: PathBuf,
    /// The parameters that decoders are opened with. Some demuxers change the parameters of the
    /// stream while they read. A new decoder starts with the original parameters and receives the
    /// changes separately.
    parameters: ff::codec::Parameters,
    /// Number of errors while reading, apart from the end of the file.
    pub(super) read_errors: usize,
}

impl Demuxer {
    /// Opens the file and chooses a video stream: by its number among the video streams or, without
    /// a number, the first that can be decoded.
    ///
    /// OpenCV reads the first one in every container, so the tracks of DeepLabCut and SLEAP belong
    /// to it. FFmpeg's own choice would be the largest stream in some containers.
    pub(super) fn open(path: &Path, number: Option<usize>) -> Result<Self, FrameError> {
        Self::open_where(path, |streams, input| match number {
            Some(number) => streams.get(number).map(|stream| stream.index).ok_or_else(|| {
                let path = path.to_owned();
                FrameError::NoSuchStream { path, number, streams: listed(streams) }
            }),
            None => {
                let can_decode = |stream: &&VideoStream| {
                    let stream = input.stream(stream.index);
                    stream
                        .is_some_and(|stream| ff::decoder::find(stream.parameters().id()).is_some())
                };
                let first = streams.iter().find(can_decode).or(streams.first());
                first
                    .map(|stream| stream.index)
                    .ok_or_else(|| FrameError::NoVideoStream { path: path.to_owned() })
            }
        })
    }

    /// Opens the same file again, with the same stream.
    pub(super) fn reopen(&self) -> Result<Self, FrameError> {
        let again = Self::open_where(&self.path, |streams, _| {
            let same = streams.iter().find(|stream| stream.index == self.stream);
            same.map(|stream| stream.index)
                .ok_or_else(|| FrameError::NoVideoStream { path: self.path.clone() })
        })?;
        Ok(Self { parameters: self.parameters.clone(), ..again })
    }

    fn open_where(
        path: &Path,
        choose: impl FnOnce(&[VideoStream], &Input) -> Result<usize, FrameError>,
    ) -> Result<Self, FrameError> {
        initialise()?;
        let input =
            ff::format::input(&check_file(path)?).map_err(|error| not_a_video(path, error))?;
        if NOT_VIDEO.contains(&input.format().name()) {
            let reason = "it holds text or plain data".to_owned();
            return Err(FrameError::NotAVideo { path: path.to_owned(), reason, source: None });
        }
        let stream = choose(&video_streams(&input), &input)?;
        let parameters = input
            .stream(stream)
            .map(|stream| stream.parameters().clone())
            .ok_or_else(|| FrameError::NoVideoStream { path: path.to_owned() })?;
        Ok(Self { input, stream, path: path.to_owned(), parameters, read_errors: 0 })
    }

    /// Returns a watch that records what decoders of the stream receive only once.
    pub(super) fn watch(&self) -> Watch {
        Watch::new(&self.parameters)
    }

    /// Counts the packets, including those that an edit list leaves out; `None` if the file cannot
    /// be read again.
    pub(super) fn packets_without_edits(&self) -> Option<usize> {
        let mut options = ff::Dictionary::new();
        options.set("ignore_editlist", "1");
        let name = check_file(&self.path).ok()?;
        let input = ff::format::input_with_dictionary(&name, options).ok()?;
        let path = self.path.clone();
        let parameters = self.parameters.clone();
        let mut all = Self { input, stream: self.stream, path, parameters, read_errors: 0 };
        Some(std::iter::from_fn(|| all.next_packet()).count())
    }

    /// Returns the next packet of the video stream, or `None` at the end. Damage in between is
    /// counted and skipped.
    pub(super) fn next_packet(&mut self) -> Option<ff::Packet> {
        let mut in_a_row = 0;
        loop {
            let mut packet = ff::Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream => return Some(packet),
                Ok(()) => in_a_row = 0,
                Err(ff::Error::Eof) => return None,
                Err(error) => {
                    self.read_errors += 1;
                    in_a_row += 1;
                    let passing = matches!(error, ff::Error::InvalidData)
                        || matches!(error, ff::Error::Other { errno } if errno == ff::util::error::EAGAIN);
                    if !passing || in_a_row > MAX_ERRORS_IN_A_ROW {
                        tracing::debug!(path = %self.path.display(), %error, "reading stops here");
                        return None;
                    }
                }
            }
        }
    }

    /// Moves to the last key frame at or before `timestamp`. Returns false if the format does not
    /// support this.
    pub(super) fn seek(&mut self, timestamp: i64) -> bool {
        ffi::seek_backward(&mut self.input, self.stream, timestamp).is_ok()
    }

    /// Opens the stream's decoder. With `threads` 0, the size of the picture decides. `delay` is
    /// the number of frames known to be needed for reordering, 0 if the decoder must learn it.
    pub(super) fn open_decoder(
        &self,
        threads: usize,
        delay: u32,
    ) -> Result<ff::decoder::Video, FrameError> {
        let open = || {
            let stream = self.input.stream(self.stream).ok_or(ff::Error::StreamNotFound)?;
            let mut context = ff::codec::Context::from_parameters(self.parameters.clone())?;
            let count = if threads == 0 { self.default_threads() } else { threads };
            context.set_threading(threading::Config {
                kind: threading::Type::Frame,
                count,
                safe: true,
            });
            ffi::start_from_gray(&mut context);
            ffi::limit_pixels(&mut context, FrameSize::MOST_PIXELS);
            ffi::expect_reordering_delay(&mut context, delay);
            let mut decoder = context.decoder();
            decoder.set_packet_time_base(stream.time_base());
            decoder.video()
        };
        open().map_err(|error| FrameError::Unsupported {
            path: self.path.clone(),
            what: format!("its video cannot be decoded by this FFmpeg ({error}); re-encode it, for example as H.264"),
        })
    }

    /// Returns the default number of threads for the size of the picture.
    fn default_threads(&self) -> usize {
        let pixels = ffi::picture_pixels(&self.parameters);
        if pixels < PIXELS_FOR_THREADS {
            return 1;
        }
        // One more than there are cores, as FFmpeg does: sometimes one thread waits for another.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        (cores + 1).min(MOST_THREADS)
    }

    /// Returns what the container says about the stream.
    pub(super) fn facts(&self) -> Facts {
        let Some(stream) = self.input.stream(self.stream) else {
            return Facts::default();
        };
        let rate = [stream.avg_frame_rate(), stream.rate()]
            .into_iter()
            .map(|rate| Timing::from_rate(f64::from(rate)))
            .find(|timing| timing.frames_per_second.is_some());
        let time_base = f64::from(stream.time_base());
        let orientation = stream
            .side_data()
            .find(|data| data.kind() == ff::codec::packet::side_data::Type::DisplayMatrix)
            .map(|data| Orientation::from_display_matrix(data.data()));
        let is_open = is_open_avi(&self.input, stream.frames());
        let seconds =
            |duration: i64, unit: f64| (duration > 0 && !is_open).then_some(duration as f64 * unit);
        Facts {
            codec: self.parameters.id().name().to_owned(),
            format: self.input.format().name().to_owned(),
            claimed_frames: usize::try_from(stream.frames())
                .ok()
                .filter(|&frames| frames > 0 && !is_open),
            stream_seconds: seconds(stream.duration(), time_base),
            file_seconds: seconds(self.input.duration(), 1.0 / f64::from(ff::ffi::AV_TIME_BASE)),
            streams: self.input.nb_streams() as usize,
            video_streams: video_streams(&self.input)
                .into_iter()
                .map(|found| VideoStream { is_read: found.index == self.stream, ..found })
                .collect(),
            time_base,
            timing: rate.unwrap_or_default(),
            orientation: orientation.unwrap_or_default(),
        }
    }
}

/// Returns true if an AVI file promises 2^30 frames. This is FFmpeg's placeholder, which remains if
/// the file was written to a pipe.
fn is_open_avi(input: &Input, frames: i64) -> bool {
    const PLACEHOLDER: i64 = 1 << 30;
    input.format().name() == "avi" && frames >= PLACEHOLDER
}

/// Lists the video streams, numbered from 0. FFmpeg treats pictures that belong to a sound
/// recording as video streams; they are left out here.
fn video_streams(input: &Input) -> Vec<VideoStream> {
    let is_video = |stream: &ff::format::stream::Stream<'_>| {
        stream.parameters().medium() == ff::media::Type::Video && !ffi::is_picture_only(stream)
    };
    let describe = |(number, stream): (usize, ff::format::stream::Stream<'_>)| {
        let parameters = stream.parameters();
        let (width, height) = ffi::picture_size(&parameters);
        let seconds = stream.duration() as f64 * f64::from(stream.time_base());
        let is_open = is_open_avi(input, stream.frames());
        VideoStream {
            number,
            index: stream.index(),
            codec: parameters.id().name().to_owned(),
            size: FrameSize { width, height },
            claimed_frames: usize::try_from(stream.frames())
                .ok()
                .filter(|&frames| frames > 0 && !is_open),
            duration_seconds: (stream.duration() > 0 && !is_open).then_some(seconds),
            is_read: false,
        }
    };
    input.streams().filter(is_video).enumerate().map(describe).collect()
}

/// Describes the streams for messages.
pub(super) fn listed(streams: &[VideoStream]) -> String {
    let each = streams.iter().map(VideoStream::to_string);
    each.collect::<Vec<_>>().join(", ")
}

/// Initialises FFmpeg once. Among other things, its messages go to `tracing` from then on.
fn initialise() -> Result<(), FrameError> {
    static OUTCOME: OnceLock<Result<(), String>> = OnceLock::new();
    let outcome = OUTCOME.get_or_init(|| video_rs::init().map_err(|error| error.to_string()));
    outcome.clone().map_err(|error| FrameError::Other {
        message: format!("FFmpeg cannot be initialised: {error}"),
        source: None,
    })
}

/// Claims of the container about the video stream, which may be wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// FFmpeg's name of the codec.
    pub(super) codec: String,
    /// Names of the format, separated by commas.
    pub(super) format: String,
    pub(super) claimed_frames: Option<usize>,
    pub(super) stream_seconds: Option<f64>,
    pub(super) file_seconds: Option<f64>,
    pub(super) streams: usize,
    /// The video streams of the file, in the file's order.
    pub(super) video_streams: Vec<VideoStream>,
    /// Duration in seconds of one unit of the packets' time stamps.
    pub(super) time_base: f64,
    pub(super) timing: Timing,
    pub(super) orientation: Orientation,
}

/// Checks that `path` is a plain file and returns the name that makes FFmpeg open exactly this
/// file.
fn check_file(path: &Path) -> Result<String, FrameError> {
    let metadata = fs::metadata(path).map_err(|error| FrameError::from_io(path, error))?;
    let not_a_video = |reason: &str| FrameError::NotAVideo {
        path: path.to_owned(),
        reason: reason.to_owned(),
        source: None,
    };
    if metadata.is_dir() {
        return Err(FrameError::IsDirectory { path: path.to_owned() });
    }
    if !metadata.is_file() {
        // A pipe can be read only once, so its frames cannot be numbered before they are needed.
        return Err(not_a_video("it is a pipe or a device, not a file"));
    }
    if metadata.len() == 0 {
        return Err(not_a_video("it is empty"));
    }
    // FFmpeg reports a refused open with the same error as damage.
    fs::File::open(path).map_err(|error| FrameError::from_io(path, error))?;
    let name = path.to_str().ok_or_else(|| FrameError::Unsupported {
        path: path.to_owned(),
        what: "its name is not UTF-8, which FFmpeg's bindings need; rename the file".into(),
    })?;
    // The prefix stops FFmpeg from interpreting `rat:1.mp4` or `concat:...` as a URL.
    Ok(format!("file:{name}"))
}

fn not_a_video(path: &Path, error: ff::Error) -> FrameError {
    let reason = match error {
        ff::Error::InvalidData => "damaged, incomplete, or of another kind".to_owned(),
        other => other.to_string(),
    };
    FrameError::NotAVideo { path: path.to_owned(), reason, source: Some(Arc::new(error)) }
}
