//! Reads frames in a format of your own: raw 8-bit grey without a header, as many cameras write it.
//!
//!     cargo run --release -p sam2-engine --example custom_frame_source [-- MODEL RAW WIDTH HEIGHT X Y FOLDER]
//!
//! Without arguments, the example first makes such a file from a bundled recording.

mod shared;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sam2_engine::{
    BigTiffSink, DeviceChoice, Direction, FrameError, FrameSize, FrameSource, LazyFrames,
    LazyOptions, MaskFrame, MaskSink, ObjectId, PixelValues, Point, RgbFrame, Sam2, SourceInfo,
    Timing, VideoSession,
};

/// A recording of raw grey frames. The trait implementation below is all that the engine needs.
struct RawRecording {
    path: PathBuf,
    // Sources are shared between threads: the prefetcher reads, and other threads may too.
    file: Mutex<File>,
    info: SourceInfo,
}

impl RawRecording {
    fn open(path: &Path, size: FrameSize) -> Result<Self, Box<dyn Error>> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let frame = u64::from(size.width) * u64::from(size.height);
        if frame == 0 || bytes % frame != 0 {
            return Err(format!("{bytes} bytes are not a whole number of {size} frames").into());
        }
        let count = usize::try_from(bytes / frame)?;
        let info = SourceInfo::new(count, size)
            .with_timing(Timing::from_rate(25.0))
            .with_description(path.display().to_string());
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), info })
    }

    fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        let size = self.info.size;
        let mut grey = vec![0; size.width as usize * size.height as usize];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(index as u64 * grey.len() as u64))?;
        file.read_exact(&mut grey)?;
        Ok(grey)
    }
}

impl FrameSource for RawRecording {
    fn info(&self) -> SourceInfo {
        // Known since the recording was opened, and cheap to hand out.
        self.info.clone()
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let (path, count) = (self.path.clone(), self.info.frame_count);
        if index >= count {
            return Err(FrameError::IndexOutOfRange { index, count, path });
        }
        let grey = self.read(index).map_err(|e| FrameError::Io { path, source: Arc::new(e) })?;
        let rgb = grey.into_iter().flat_map(|value| [value; 3]).collect();
        RgbFrame::new(self.info.size.width, self.info.size.height, rgb).map(Arc::new)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = Sam2::load(shared::file(1, shared::MODEL), &DeviceChoice::Auto.open()?)?;
    let size = FrameSize { width: shared::argument(3, 320)?, height: shared::argument(4, 240)? };
    let click = Point::positive(shared::argument(5, 137.0)?, shared::argument(6, 110.0)?);
    let folder = shared::folder(7, "custom_frame_source")?;
    let raw = match std::env::args_os().nth(2) {
        Some(path) => PathBuf::from(path),
        None => make_raw(&folder.join("worm.raw"))?,
    };

    // `LazyFrames` caches the frames of any source and prefetches them in the background.
    let frames = LazyFrames::new(RawRecording::open(&raw, size)?, LazyOptions::default());
    let info = frames.info();
    println!("{}: {} frames of {}", info.description, info.frame_count, info.size);

    let output = folder.join("masks.btf");
    let (count, shape) = (info.frame_count, (size.width, size.height));
    let mut stack =
        Box::new(BigTiffSink::create(&output, shape, count, PixelValues::Binary, true)?);
    let mut session = VideoSession::new(&model, &frames)?;
    session.add_points(0, ObjectId(1), &[click])?;
    // In a single direction, masks need not wait: each is written as soon as it is computed.
    for frame in session.propagate(Direction::Forward) {
        let frame = frame?;
        let objects = frame.labelled();
        stack.write(&MaskFrame::new(frame.frame_index, &objects))?;
    }
    stack.finish()?.publish()?;

    let stats = frames.stats();
    let ready = stats.hit_rate() * 100.0;
    println!("{ready:.0} % of the frames were there when the model wanted them");
    println!("wrote {}", output.display());
    Ok(())
}

/// Writes the green channel of the first frames of the bundled recording, frame by frame.
fn make_raw(path: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let video = LazyFrames::open(shared::file(2, "clips/worm.mp4"), LazyOptions::default())?;
    let mut grey = Vec::new();
    for index in 0..video.info().frame_count.min(20) {
        grey.extend(video.frame(index)?.data().chunks_exact(3).map(|rgb| rgb[1]));
    }
    fs::write(path, grey)?;
    Ok(path.to_owned())
}
