//! Speed of a model on a device: each step of a tracked frame, and whole frames.
//!
//! The benchmark measures what [`VideoSession`] does with a full memory: 7 memories and, from the
//! seventeenth frame on, 16 object pointers. The frames are synthetic and cost nothing to read.
//! Times do not depend on the content of the picture.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sam2_frame_provider::{
    FrameError, FrameSize, FrameSource, LazyFrames, LazyOptions, RgbFrame, SourceInfo,
};
use sam2_model::{ConditionedFeatures, MemorySelection, ModelPoint, PointerMemory, Sam2, Tensor};

use crate::error::EngineError;
use crate::on_device::{on_device, read};
use crate::prompt::{BoxPrompt, ObjectId};
use crate::session::{Direction, SessionOptions, VideoSession};

/// Size of the synthetic frames: that of many behaviour recordings.
const SIZE: FrameSize = FrameSize { width: 384, height: 288 };
/// Maximum number of objects; their boxes form a grid on the frame.
const MOST_OBJECTS: u32 = 16;
/// Object pointers that a frame reads.
const POINTERS: usize = 16;

/// Options of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchmarkOptions {
    /// Objects to track, 1 to 16.
    pub objects: u32,
    /// Frames to time, 1 or more.
    pub frames: usize,
    /// Warm-up frames before those: enough to fill the memory and to touch everything once. On a
    /// GPU kernels are compiled and tried out during these frames.
    pub warm_up: usize,
    /// How often each single step is timed; 0 = not at all.
    pub repeats: usize,
}

/// One object, 20 frames after 17 warm-up frames, each step five times.
impl Default for BenchmarkOptions {
    fn default() -> Self {
        Self { objects: 1, frames: 20, warm_up: 17, repeats: 5 }
    }
}

/// Results of the benchmark; times are medians.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Benchmark {
    /// From the call to the first mask: one frame encoded and one box answered.
    pub first_mask: Duration,
    /// Duration of the warm-up frames, prompts included.
    pub warm_up: Duration,
    /// A tracked frame with a full memory, all objects.
    pub frame: Duration,
    /// The single steps, if they were requested.
    pub steps: Option<StepTimes>,
}

/// Medians of the steps of a tracked frame, all objects in one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StepTimes {
    /// The image encoder, pixels to features; once per frame.
    pub encode: Duration,
    /// Memory attention and mask decoder, with 7 memories and 16 pointers.
    pub track: Duration,
    /// A box on a frame without memories: prompt encoder and mask decoder.
    pub prompt: Duration,
    /// The memory encoder.
    pub memory_encode: Duration,
}

/// Measures a model on its device.
///
/// # Errors
/// [`EngineError`] if the device fails.
pub fn benchmark(model: &Sam2, options: BenchmarkOptions) -> Result<Benchmark, EngineError> {
    let started = Instant::now();
    let (objects, frames) = (options.objects.clamp(1, MOST_OBJECTS), options.frames.max(1));
    // Scaled ahead of the model, as in a job.
    let source = MadeUpFrames { count: 1 + options.warm_up + frames };
    let source = LazyFrames::new(source, LazyOptions::default());
    let mut session =
        VideoSession::builder(model).options(SessionOptions::default()).open(source)?;
    let mut first_mask = Duration::ZERO;
    for object in 0..objects {
        session.add_box(0, ObjectId(object + 1), box_of(object))?;
        if object == 0 {
            first_mask = started.elapsed();
        }
    }
    let (mut warm_up, mut times) = (Duration::ZERO, Vec::with_capacity(frames));
    let mut last = Instant::now();
    for masks in session.propagate(Direction::Forward) {
        // The prompted frame and the warm-up come first and do not count.
        if masks?.frame_index > options.warm_up {
            times.push(last.elapsed());
        } else {
            warm_up = started.elapsed();
        }
        last = Instant::now();
    }
    drop(session);
    let steps = if options.repeats == 0 {
        None
    } else {
        Some(on_device(model, || steps(model, objects as usize, options.repeats))?)
    };
    Ok(Benchmark { first_mask, warm_up, frame: median(times), steps })
}

/// Returns the box of an object, in a grid of four columns and four rows.
fn box_of(object: u32) -> BoxPrompt {
    let (x, y) = ((object % 4) as f32 * 90.0 + 5.0, (object / 4) as f32 * 65.0 + 5.0);
    BoxPrompt { x0: x, y0: y, x1: x + 60.0, y1: y + 50.0 }
}

fn steps(model: &Sam2, objects: usize, repeats: usize) -> Result<StepTimes, EngineError> {
    let side = model.config().image_size;
    let pixels: Vec<u8> = (0..side * side * 3).map(|i| (i * 31 % 251) as u8).collect();
    let features = model.encode_image(&pixels);
    let each = |one: Tensor<3>| {
        let [_, tokens, channels] = one.dims();
        one.expand([objects, tokens, channels])
    };
    let bare = model.condition_without_memory(&features);
    let bare = ConditionedFeatures(each(bare.0));
    let corners: Vec<_> = box_of(0)
        .corners()
        .into_iter()
        .map(|corner| ModelPoint {
            x: corner.x / SIZE.width as f32 * side as f32,
            y: corner.y / SIZE.height as f32 * side as f32,
            label: corner.label,
        })
        .collect();
    let answer = |boxed: bool| {
        let prompts = match boxed {
            true => model.embed_prompt_batch(&corners.repeat(objects), corners.len(), None),
            false => model.embed_prompts(&[], None),
        };
        model.predict_mask(&model.decode(&features, &bare, &prompts), !boxed)
    };
    let prediction = answer(true);
    let remember = || {
        let logits = prediction.low_res_logits.clone();
        model.encode_memory(&features, logits, prediction.object_score_logits.clone(), false)
    };
    let memory = remember();
    let selection = MemorySelection {
        spatial: (0..model.config().num_maskmem).map(|time| (time, memory.clone())).collect(),
        pointers: (0..POINTERS)
            .map(|distance| PointerMemory {
                distance: distance as i64 + 1,
                pointer: prediction.object_pointer.clone(),
            })
            .collect(),
        pointer_time_scale: POINTERS - 1,
    };
    let track = || {
        let queries = model.memory_queries(&features);
        let conditioned = match model.memory_tokens(&selection) {
            Some(tokens) => model.condition_queries(&queries, &tokens),
            None => model.condition_without_memory(&features),
        };
        let prompts = model.embed_prompts(&[], None);
        model.predict_mask(&model.decode(&features, &conditioned, &prompts), true)
    };
    Ok(StepTimes {
        encode: timed(repeats, || settle(model.encode_image(&pixels).tokens))?,
        track: timed(repeats, || settle(track().low_res_logits))?,
        prompt: timed(repeats, || settle(answer(true).low_res_logits))?,
        memory_encode: timed(repeats, || settle(remember().0))?,
    })
}

/// Waits until an asynchronous device has computed the tensor, by reading one of its values.
fn settle<const D: usize>(tensor: Tensor<D>) -> Result<(), EngineError> {
    let count = tensor.shape().num_elements();
    let one = tensor.reshape([count]).slice_dim(0, 0..1);
    read(one).map(drop)
}

/// Returns the median duration of `repeats` runs, after one run that does not count.
fn timed(
    repeats: usize,
    mut run: impl FnMut() -> Result<(), EngineError>,
) -> Result<Duration, EngineError> {
    run()?;
    let mut times = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let started = Instant::now();
        run()?;
        times.push(started.elapsed());
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Synthetic frames: discs that move over a grey gradient.
struct MadeUpFrames {
    count: usize,
}

impl FrameSource for MadeUpFrames {
    fn info(&self) -> SourceInfo {
        SourceInfo::new(self.count, SIZE).with_description("made-up frames")
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let mut rgb = Vec::with_capacity((SIZE.width * SIZE.height * 3) as usize);
        for (y, x) in (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (y, x))) {
            let (from_x, from_y) = (x % 90, y % 65);
            let sway = (index % 20) as i64 - 10;
            let (dx, dy) = (i64::from(from_x) - 35 - sway, i64::from(from_y) - 30);
            let grey = if dx * dx + dy * dy < 400 { 40 } else { 120 + (x / 4) as u8 };
            rgb.extend([grey, grey, grey]);
        }
        RgbFrame::new(SIZE.width, SIZE.height, rgb).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_some_times() {
        let of =
            |times: &[u64]| median(times.iter().map(|&ms| Duration::from_millis(ms)).collect());
        assert_eq!(of(&[5, 1, 3]), Duration::from_millis(3));
        assert_eq!(of(&[]), Duration::ZERO);
    }

    #[test]
    fn made_up_frames_differ_and_every_box_is_inside() {
        let frames = MadeUpFrames { count: 2 };
        assert_ne!(frames.frame(0).unwrap().data(), frames.frame(1).unwrap().data());
        for object in 0..MOST_OBJECTS {
            let bounds = box_of(object);
            assert!(bounds.x1 <= SIZE.width as f32 && bounds.y1 <= SIZE.height as f32);
        }
    }
}
