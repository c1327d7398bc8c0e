//! A record of a program's calls to the driver: launches, copies, waits.

use std::collections::HashMap;
use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::Driver;
use crate::exec::Stats;

/// A launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Number of the function.
    pub function: usize,
    /// Number of blocks along each axis.
    pub grid: [u32; 3],
    /// Number of threads of a block along each axis.
    pub block: [u32; 3],
    /// Dynamic shared memory in bytes.
    pub shared: u32,
}

/// Number of calls, and of bytes.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Count {
    /// Number of calls.
    pub calls: u64,
    /// Number of bytes of all calls.
    pub bytes: u64,
}

/// A copy or a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Host to device.
    CopyIn,
    /// Device to host.
    CopyOut,
    /// Device to device.
    CopyWithin,
    /// Device memory set to a value.
    Fill,
    /// Device memory allocated.
    Allocate,
    /// Device memory freed.
    Free,
    /// Pinned host memory allocated.
    AllocateHost,
    /// A wait for a stream or for the device.
    WaitStream,
    /// A wait for an event.
    WaitEvent,
    /// An event recorded.
    RecordEvent,
    /// A module loaded.
    LoadModule,
}

#[derive(Debug, Default)]
struct Counts {
    functions: Vec<(String, Vec<usize>)>,
    launches: HashMap<Shape, u64>,
    events: HashMap<Request, Count>,
    stats: HashMap<usize, (Stats, f64)>,
    log: Option<LineWriter<File>>,
    total: u64,
}

/// Records calls.
#[derive(Debug)]
pub struct Recorder {
    counts: Mutex<Counts>,
    started: Instant,
}

#[derive(Serialize)]
struct Summary<'a> {
    mode: &'static str,
    sm: u32,
    launches: u64,
    kernels: usize,
    memory_peak: u64,
    allocations_live_at_exit: usize,
    events: Vec<(Request, Count)>,
    findings: Vec<(&'static str, u64)>,
    by_kernel: Vec<KernelSummary<'a>>,
}

#[derive(Serialize)]
struct KernelSummary<'a> {
    name: &'a str,
    launches: u64,
    parameter_bytes: &'a [usize],
    thread_instructions: u64,
    seconds: f64,
    shapes: Vec<ShapeSummary>,
}

#[derive(Serialize)]
struct ShapeSummary {
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    launches: u64,
}

impl Recorder {
    /// Creates a recorder that writes a line for each call if there is a log file.
    pub fn new(log: Option<&Path>) -> Self {
        let log = log.and_then(|path| match File::create(path) {
            // Line by line, so that a test can read what its own program has done so far.
            Ok(file) => Some(LineWriter::new(file)),
            Err(error) => {
                eprintln!("cuda-sim: {}: {error}", path.display());
                None
            }
        });
        let counts = Counts { log, ..Counts::default() };
        Self { counts: Mutex::new(counts), started: Instant::now() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        work(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn microseconds(&self) -> u128 {
        self.started.elapsed().as_micros()
    }

    /// Registers a function and returns its number.
    pub fn function(&self, name: &str, params: Vec<usize>) -> usize {
        self.with(|counts| {
            counts.functions.push((name.to_owned(), params));
            counts.functions.len() - 1
        })
    }

    /// Records a launch and returns its number, from 1.
    pub fn launch(&self, shape: Shape) -> u64 {
        self.with(|counts| {
            *counts.launches.entry(shape).or_default() += 1;
            counts.total += 1;
            if let Some(log) = &mut counts.log {
                let (name, params) = &counts.functions[shape.function];
                let Shape { grid, block, shared, .. } = shape;
                let _ = writeln!(
                    log,
                    "{}\tlaunch\t{name}\tgrid {grid:?}\tblock {block:?}\tshared {shared}\tparameters {params:?}",
                    self.microseconds()
                );
            }
            counts.total
        })
    }

    /// Records the statistics of a launch.
    pub fn ran(&self, function: usize, stats: Stats, seconds: f64) {
        self.with(|counts| {
            let (sum, time) = counts.stats.entry(function).or_default();
            *sum = sum.and(stats);
            *time += seconds;
        });
    }

    /// Records a copy or a wait.
    pub fn request(&self, event: Request, bytes: u64) {
        self.with(|counts| {
            let count = counts.events.entry(event).or_default();
            count.calls += 1;
            count.bytes += bytes;
            if let Some(log) = &mut counts.log {
                let _ = writeln!(log, "{}\t{event:?}\t{bytes}", self.microseconds());
            }
        });
    }

    /// Writes the summary.
    pub fn finish(&self, driver: &Driver) {
        self.with(|counts| {
            if let Some(log) = &mut counts.log {
                let _ = log.flush();
            }
            let findings = driver.device.findings.counts();
            let Some(path) = &driver.config.summary else {
                if !findings.is_empty() {
                    let list: Vec<_> =
                        findings.iter().map(|(k, n)| format!("{} {n}", k.name())).collect();
                    eprintln!("cuda-sim: findings: {}", list.join(", "));
                }
                return;
            };
            let summary = summary(driver, counts);
            let text = serde_json::to_string_pretty(&summary).unwrap_or_default();
            if path.as_os_str() == "-" {
                eprintln!("{text}");
            } else if let Err(error) = std::fs::write(path, text + "\n") {
                eprintln!("cuda-sim: {}: {error}", path.display());
            }
        });
    }
}

fn summary<'a>(driver: &Driver, counts: &'a Counts) -> Summary<'a> {
    let mut by_name: HashMap<&str, KernelSummary<'a>> = HashMap::new();
    for (&shape, &launches) in &counts.launches {
        let (name, params) = &counts.functions[shape.function];
        let kernel = by_name.entry(name).or_insert_with(|| KernelSummary {
            name,
            launches: 0,
            parameter_bytes: params,
            thread_instructions: 0,
            seconds: 0.0,
            shapes: Vec::new(),
        });
        kernel.launches += launches;
        let Shape { grid, block, shared, .. } = shape;
        kernel.shapes.push(ShapeSummary { grid, block, shared, launches });
    }
    for (&function, (stats, seconds)) in &counts.stats {
        if let Some(kernel) = by_name.get_mut(counts.functions[function].0.as_str()) {
            kernel.thread_instructions += stats.thread_instructions;
            kernel.seconds += seconds;
        }
    }
    let mut by_kernel: Vec<_> = by_name.into_values().collect();
    by_kernel.sort_by(|a, b| b.launches.cmp(&a.launches).then(a.name.cmp(b.name)));
    let mut events: Vec<_> = counts.events.iter().map(|(&e, &c)| (e, c)).collect();
    events.sort_by_key(|e| e.0);
    let memory = driver.device.memory.info();
    Summary {
        mode: match driver.config.mode {
            super::Mode::Interpret => "interpret",
            super::Mode::Count => "count",
        },
        sm: driver.device.limits.sm,
        launches: counts.total,
        kernels: by_kernel.len(),
        memory_peak: memory.peak,
        allocations_live_at_exit: memory.live,
        events,
        findings: driver.device.findings.counts().iter().map(|(k, n)| (k.name(), *n)).collect(),
        by_kernel,
    }
}
