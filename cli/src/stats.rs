//! `--stats FILE.json`: time and memory that a job took. The format is documented in
//! `docs/stats.md`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use sam2_engine::{DeviceMemory, FrameSource, LazyFrames, LazyStats, Sam2, WriteError};
use sam2_jobs::{BatchTimings, JobObserver, JobReport, JobStage};
use sam2_mask_writer::OutputFile;
use serde::Serialize;
use serde_json::Value;

use crate::exit::ExitStatus;
use crate::process_memory::{HostMemory, reset_peak};
use crate::typed_files;

/// Version of the file format.
const FORMAT_VERSION: u32 = 1;
/// Maximum size in bytes of a file that is read back. A batch takes half a kilobyte.
const MOST_BYTES: u64 = 64 << 20;
/// Version of burn, which the workspace pins.
const BURN_VERSION: &str = "0.22.1";

/// The whole statistics file.
#[derive(Serialize)]
pub struct Stats {
    format_version: u32,
    versions: Versions,
    command_line: Vec<String>,
    started_unix_seconds: u64,
    seconds: f64,
    /// Total time to load all models.
    model_load_seconds: f64,
    model: Option<String>,
    device: Option<String>,
    threads: usize,
    exit_code: u8,
    recordings: Vec<RecordingStats>,
    #[serde(skip)]
    started: Option<Instant>,
}

#[derive(Serialize)]
struct Versions {
    sam2: &'static str,
    burn: &'static str,
    run_file_format: u32,
}

/// Statistics of one recording.
#[derive(Serialize)]
pub struct RecordingStats {
    recording: String,
    outputs: Vec<String>,
    /// One of `done`, `flawed`, `failed`, `interrupted` or `skipped`.
    result: &'static str,
    error: Option<String>,
    frames: usize,
    frames_resumed: usize,
    frames_empty: usize,
    unprompted: Vec<[usize; 2]>,
    flags: Vec<FlagStats>,
    damaged_frames: Vec<usize>,
    stages: StageSeconds,
    cache: CacheStats,
    memory: MemoryStats,
    batches: Vec<BatchStats>,
}

#[derive(Serialize)]
struct FlagStats {
    flag: &'static str,
    object: u32,
    frames: usize,
}

/// Durations in seconds, by stage. `decode_wait` is part of `encode`.
#[derive(Clone, Copy, Default, Serialize)]
struct StageSeconds {
    total: f64,
    open: f64,
    decode_wait: f64,
    encode: f64,
    track: f64,
    write: f64,
}

#[derive(Clone, Copy, Default, Serialize)]
struct CacheStats {
    hits: u64,
    misses: u64,
    late: u64,
    hit_rate: f64,
    prefetched: u64,
    prefetched_for_nothing: u64,
    evicted: u64,
    frames_decoded: u64,
    wait_seconds: f64,
    bytes_held: u64,
    peak_bytes: u64,
}

impl CacheStats {
    fn between(before: LazyStats, after: LazyStats) -> Self {
        let (hits, misses) = (after.hits - before.hits, after.misses - before.misses);
        let requests = hits + misses;
        Self {
            hits,
            misses,
            late: after.late - before.late,
            hit_rate: if requests == 0 { 0.0 } else { hits as f64 / requests as f64 },
            prefetched: after.prefetched - before.prefetched,
            prefetched_for_nothing: after.wasted - before.wasted,
            evicted: after.evicted - before.evicted,
            frames_decoded: after.frames_decoded.saturating_sub(before.frames_decoded),
            wait_seconds: (after.wait_total - before.wait_total).as_secs_f64(),
            bytes_held: after.bytes_held + after.source_bytes_held,
            peak_bytes: after.peak_total_bytes(),
        }
    }
}

/// Memory in bytes at the start, at the end and at the peak; `None` if the system or the device
/// does not report it.
#[derive(Clone, Copy, Default, Serialize)]
struct MemoryStats {
    host_start: Option<u64>,
    host_end: Option<u64>,
    host_peak: Option<u64>,
    /// True if the peak is that of this batch, false if it is that of the process so far.
    host_peak_is_own: bool,
    device_start: Option<u64>,
    device_end: Option<u64>,
    device_peak: Option<u64>,
}

#[derive(Serialize)]
struct BatchStats {
    index: usize,
    frames: [usize; 2],
    prompt_frames: Vec<usize>,
    stages: StageSeconds,
    cache: CacheStats,
    memory: MemoryStats,
    /// Number of times that the batch was repeated with less in flight, for lack of device memory.
    repeats: usize,
}

impl Stats {
    /// Begins the statistics of the process. Call it before anything else is done.
    pub fn begin() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            format_version: FORMAT_VERSION,
            versions: Versions {
                sam2: env!("CARGO_PKG_VERSION"),
                burn: BURN_VERSION,
                run_file_format: sam2_engine::RunHeader::FORMAT_VERSION,
            },
            command_line: std::env::args_os().map(|w| w.to_string_lossy().into_owned()).collect(),
            started_unix_seconds: now.map_or(0, |now| now.as_secs()),
            seconds: 0.0,
            model_load_seconds: 0.0,
            model: None,
            device: None,
            threads: rayon::current_num_threads(),
            exit_code: 0,
            recordings: Vec::new(),
            started: Some(Instant::now()),
        }
    }

    /// Records that a model was loaded.
    pub fn loaded(&mut self, model: &Sam2, device: String, took: Duration) {
        self.model_load_seconds += took.as_secs_f64();
        self.model = Some(model.config().to_string());
        self.device = Some(device);
    }

    /// Adds a recording that is finished.
    pub fn add(&mut self, recording: RecordingStats) {
        self.recordings.push(recording);
    }

    /// Writes the file. An existing file is replaced.
    pub fn write(&mut self, path: &Path, status: ExitStatus) -> Result<(), WriteError> {
        self.exit_code = status.code();
        self.seconds = self.started.map_or(0.0, |started| started.elapsed().as_secs_f64());
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| WriteError::Io { path: path.to_owned(), source: error.into() })?;
        text.push(b'\n');
        OutputFile::write(path, true, &text)
    }
}

/// Returns what `--stats` wrote about a recording, for its report: the values of the whole process,
/// and those of this recording only.
///
/// # Errors
/// Fails if the file cannot be read, was not written by `--stats`, or is about other recordings.
pub fn of_recording(path: &Path, recording: &str) -> Result<Value> {
    let refused = |why: String| {
        anyhow!(
            "cannot use the statistics '{}': {why}; give the file that --stats wrote for this run",
            path.display()
        )
    };
    let io = |error: std::io::Error| refused(error.to_string());
    let length = std::fs::metadata(path).map_err(io)?.len();
    if length > MOST_BYTES {
        return Err(refused(format!("{length} bytes are too many")));
    }
    let text = std::fs::read(path).map_err(io)?;
    let mut all: Value = serde_json::from_slice(&text)
        .map_err(|error| refused(format!("it is not valid JSON ({error})")))?;
    let version = all.get("format_version").and_then(Value::as_u64);
    let recordings = all.get_mut("recordings").and_then(Value::as_array_mut);
    let (Some(version), Some(recordings)) = (version, recordings) else {
        return Err(refused("it holds no statistics".into()));
    };
    if version != u64::from(FORMAT_VERSION) {
        return Err(refused(format!("they are of version {version}, not {FORMAT_VERSION}")));
    }
    let name_of = |one: &Value| {
        let path = one.get("recording")?.as_str()?;
        Some(Path::new(path).file_name()?.to_string_lossy().into_owned())
    };
    let others: Vec<String> = recordings.iter().filter_map(name_of).collect();
    recordings.retain(|one| name_of(one).as_deref() == Some(recording));
    if recordings.is_empty() {
        return Err(refused(format!("they are about {}, not {recording}", others.join(", "))));
    }
    Ok(all)
}

/// Refuses to replace a file that does not hold statistics: it may be a recording.
pub fn check_name(path: &Path) -> Result<()> {
    const BEGIN: &[u8] = b"{\n  \"format_version\":";
    typed_files::regular("--stats", path)?;
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    let mut found = [0; BEGIN.len()];
    match file.read_exact(&mut found) {
        Ok(()) if found == *BEGIN => Ok(()),
        _ => bail!(
            "'{}' is there already and holds no statistics: choose another name for --stats",
            path.display()
        ),
    }
}

impl RecordingStats {
    /// Creates the statistics of a recording before any work on it.
    pub fn new(recording: &Path, outputs: Vec<String>) -> Self {
        Self {
            recording: recording.display().to_string(),
            outputs,
            result: "failed",
            error: None,
            frames: 0,
            frames_resumed: 0,
            frames_empty: 0,
            unprompted: Vec::new(),
            flags: Vec::new(),
            damaged_frames: Vec::new(),
            stages: StageSeconds::default(),
            cache: CacheStats::default(),
            memory: MemoryStats::default(),
            batches: Vec::new(),
        }
    }

    /// Records that the recording was opened.
    pub fn opened(&mut self, took: Duration) {
        self.stages.open = took.as_secs_f64();
    }

    /// Records the result. Without a report and without an error, the outputs existed already.
    pub fn ended(&mut self, status: ExitStatus, report: Option<&JobReport>, took: Duration) {
        self.stages.total = took.as_secs_f64();
        self.result = match status {
            ExitStatus::Done if report.is_none() => "skipped",
            ExitStatus::Done => "done",
            ExitStatus::Flawed => "flawed",
            ExitStatus::Interrupted(_) => "interrupted",
            _ => "failed",
        };
        let Some(report) = report else { return };
        self.frames = report.frames;
        self.frames_resumed = report.resumed;
        self.frames_empty = report.empty_frames;
        self.unprompted = report.unprompted.iter().map(|range| [range.start, range.end]).collect();
        let flags = report.flagged.iter().map(|flagged| FlagStats {
            flag: flagged.flag.name(),
            object: flagged.object.0,
            frames: flagged.count(),
        });
        self.flags = flags.collect();
    }

    /// Records why it failed.
    pub fn error(&mut self, message: &str) {
        self.error = Some(message.to_owned());
    }

    /// Adds what was observed while it ran.
    pub fn seen(&mut self, watch: BatchWatch<'_>, frames: &LazyFrames) {
        self.damaged_frames = frames.info().damaged_frames.to_vec();
        self.cache = CacheStats::between(LazyStats::default(), frames.stats());
        self.batches.extend(watch.batches);
        let mut sum = StageSeconds::default();
        for batch in &self.batches {
            sum.encode += batch.stages.encode;
            sum.track += batch.stages.track;
            sum.write += batch.stages.write;
        }
        let StageSeconds { open, total, .. } = self.stages;
        let decode_wait = self.cache.wait_seconds;
        self.stages = StageSeconds { open, total, decode_wait, ..sum };
        let most = |of: fn(&MemoryStats) -> Option<u64>| {
            self.batches.iter().filter_map(|batch| of(&batch.memory)).max()
        };
        self.memory = MemoryStats {
            host_start: self.batches.first().and_then(|batch| batch.memory.host_start),
            host_end: self.batches.last().and_then(|batch| batch.memory.host_end),
            host_peak: most(|memory| memory.host_peak),
            host_peak_is_own: self.batches.iter().all(|batch| batch.memory.host_peak_is_own),
            device_start: self.batches.first().and_then(|batch| batch.memory.device_start),
            device_end: self.batches.last().and_then(|batch| batch.memory.device_end),
            device_peak: most(|memory| memory.device_peak),
        };
    }
}

/// Measures memory and cache between batches, and forwards every event to another observer.
pub struct BatchWatch<'a> {
    next: &'a mut dyn JobObserver,
    frames: &'a LazyFrames,
    model: &'a Sam2,
    batches: Vec<BatchStats>,
    current: Option<BatchStart>,
}

struct BatchStart {
    prompt_frames: Vec<usize>,
    cache: LazyStats,
    memory: MemoryStats,
    repeats: usize,
}

impl<'a> BatchWatch<'a> {
    /// Creates an observer for a job on `frames`.
    pub fn new(next: &'a mut dyn JobObserver, frames: &'a LazyFrames, model: &'a Sam2) -> Self {
        Self { next, frames, model, batches: Vec::new(), current: None }
    }

    fn begin(&mut self, prompt_frames: &[usize]) {
        let own_peak = reset_peak();
        let host = HostMemory::now();
        let device = device_memory(self.model);
        self.current = Some(BatchStart {
            prompt_frames: prompt_frames.to_vec(),
            cache: self.frames.stats(),
            memory: MemoryStats {
                host_start: host.map(|memory| memory.resident),
                host_peak_is_own: own_peak,
                device_start: device,
                device_peak: device,
                ..MemoryStats::default()
            },
            repeats: 0,
        });
    }

    fn end(&mut self, index: usize, frames: [usize; 2], timings: &BatchTimings) {
        let Some(start) = self.current.take() else { return };
        let (host, device) = (HostMemory::now(), device_memory(self.model));
        let cache = CacheStats::between(start.cache, self.frames.stats());
        let stages = StageSeconds {
            total: timings.total.as_secs_f64(),
            open: 0.0,
            decode_wait: cache.wait_seconds,
            encode: timings.encode.as_secs_f64(),
            track: timings.track.as_secs_f64(),
            write: timings.write.as_secs_f64(),
        };
        let memory = MemoryStats {
            host_end: host.map(|memory| memory.resident),
            host_peak: host.map(|memory| memory.peak),
            device_end: device,
            device_peak: start.memory.device_peak.max(device),
            ..start.memory
        };
        let (prompt_frames, repeats) = (start.prompt_frames, start.repeats);
        self.batches.push(BatchStats {
            index,
            frames,
            prompt_frames,
            stages,
            cache,
            memory,
            repeats,
        });
    }
}

impl JobObserver for BatchWatch<'_> {
    fn on_stage(&mut self, stage: &JobStage) {
        match stage {
            JobStage::Batch { prompt_frames, .. } => self.begin(prompt_frames),
            JobStage::Frame { done, .. } if done % 16 == 0 => {
                // Sampled every 16 frames: no other component records the device's memory in
                // between.
                if let Some(current) = &mut self.current
                    && current.memory.device_start.is_some()
                {
                    let now = device_memory(self.model);
                    current.memory.device_peak = current.memory.device_peak.max(now);
                }
            }
            JobStage::LessInFlight { .. } => {
                self.current.iter_mut().for_each(|current| current.repeats += 1);
            }
            JobStage::BatchDone { index, frames, timings } => {
                self.end(*index, [frames.start, frames.end], timings);
            }
            _ => {}
        }
        self.next.on_stage(stage);
    }
}

/// Returns the number of bytes that the device's allocator holds, or `None` for the CPU, which uses
/// the host's memory.
fn device_memory(model: &Sam2) -> Option<u64> {
    DeviceMemory::of(model.device()).ok().flatten().map(|memory| memory.reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_the_one_that_is_pinned() {
        let pinned = format!("burn = {{ version = \"={BURN_VERSION}\"");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        assert!(std::fs::read_to_string(manifest).unwrap().contains(&pinned));
    }
}
