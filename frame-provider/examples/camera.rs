//! A custom source: frames of a camera that arrive one after another and are kept in a ring buffer.
//!
//! Everything that implements `FrameSource` can be segmented: here a simulated camera, in your
//! program the driver of a real one. Such a source must decide what happens to frames that are
//! requested too early or too late. This one waits a while if a frame is requested too early, and
//! returns an explanatory error if it is too late.
//!
//!     cargo run -p sam2-frame-provider --example camera

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sam2_frame_provider::{
    FrameError, FrameSize, FrameSource, LazyFrames, LazyOptions, RgbFrame, SourceInfo, Timing,
};

/// A recording with a known number of frames, of which the last few are kept.
struct Camera {
    size: FrameSize,
    frames_per_second: f64,
    /// Number of frames that the recording will have.
    length: usize,
    ring: Arc<Ring>,
    driver: Option<JoinHandle<()>>,
}

/// State that the driver writes and readers read.
struct Ring {
    capacity: usize,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    /// Number of frames so far; the last of them are in `frames`.
    count: usize,
    frames: VecDeque<Arc<RgbFrame>>,
    stop: bool,
}

/// How long a reader waits for the camera.
const PATIENCE: Duration = Duration::from_secs(5);

impl Camera {
    fn start(size: FrameSize, frames_per_second: f64, length: usize, capacity: usize) -> Self {
        let ring = Arc::new(Ring { capacity, state: Mutex::default(), arrived: Condvar::new() });
        let for_driver = Arc::clone(&ring);
        let driver = std::thread::spawn(move || {
            for index in 0..length {
                std::thread::sleep(Duration::from_secs_f64(1.0 / frames_per_second));
                if !for_driver.push(expose(size, index)) {
                    break;
                }
            }
        });
        Self { size, frames_per_second, length, ring, driver: Some(driver) }
    }

    fn error(message: String) -> FrameError {
        FrameError::Other { message, source: None }
    }
}

impl Ring {
    /// Adds a frame. Returns false if the camera was closed.
    fn push(&self, frame: RgbFrame) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.frames.push_back(Arc::new(frame));
        if state.frames.len() > self.capacity {
            state.frames.pop_front();
        }
        state.count += 1;
        self.arrived.notify_all();
        !state.stop
    }
}

impl FrameSource for Camera {
    // The number of frames is known from the start, as the trait requires. If it were not, the
    // source would be opened when the recording ends.
    fn info(&self) -> SourceInfo {
        SourceInfo::new(self.length, self.size)
            .with_timing(Timing::from_rate(self.frames_per_second))
            .with_description("the camera")
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        if index >= self.length {
            return Err(FrameError::IndexOutOfRange {
                index,
                count: self.length,
                path: "the camera".into(),
            });
        }
        let state = self.ring.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .ring
            .arrived
            .wait_timeout_while(state, PATIENCE, |state| state.count <= index)
            .unwrap_or_else(PoisonError::into_inner);
        if state.count <= index {
            return Err(Self::error(format!(
                "the camera: frame {index} did not come; check the cable"
            )));
        }
        let oldest = state.count - state.frames.len();
        let kept = index.checked_sub(oldest).and_then(|place| state.frames.get(place));
        kept.cloned().ok_or_else(|| {
            Self::error(format!(
                "the camera: frame {index} is gone, {oldest} is the oldest; read faster or keep more frames"
            ))
        })
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.ring.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        if let Some(driver) = self.driver.take() {
            // If the driver panicked, there is nothing more to report here.
            let _ = driver.join();
        }
    }
}

/// Returns a picture of the simulated camera: a bright spot that moves to the right.
fn expose(size: FrameSize, index: usize) -> RgbFrame {
    let mut data = vec![30; size.rgb_bytes()];
    let (width, height) = (size.width as usize, size.height as usize);
    let spot = (height / 2 * width + index * 4 % width) * 3;
    data[spot..spot + 3].fill(250);
    RgbFrame::new(size.width, size.height, data).expect("the length is that of the size")
}

fn main() -> Result<(), FrameError> {
    let size = FrameSize { width: 64, height: 48 };
    // The cache keeps frames that the ring buffer drops, so going back a little is possible.
    let camera = Camera::start(size, 200.0, 60, 16);
    let frames = LazyFrames::new(camera, LazyOptions { prefetch: 0, ..LazyOptions::default() });
    for index in 0..frames.info().frame_count {
        let frame = frames.frame(index)?;
        let spot = (0..size.width).find(|&x| frame.pixel(x, size.height / 2) == Some([250; 3]));
        if index % 10 == 0 {
            println!("frame {index}: the spot is in column {spot:?}");
        }
    }
    println!("{}: {:?}", frames.info().description, frames.stats());
    Ok(())
}
