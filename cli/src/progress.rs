//! Log lines, errors and progress on stderr.

use std::fmt::Debug;
use std::io::{IsTerminal, Write as _};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sam2_jobs::{FrameSpan, JobObserver, JobStage};
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::prelude::*;

use crate::args::LogFormat;
use crate::plain_text::{ERROR_LENGTH, LOG_LENGTH, plain_line};
use crate::terminal;

/// Minimum interval between progress lines on a stderr that is not a terminal.
pub const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// Time until the first progress line: the first frames tell how long the job will take.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);

/// True if log lines are JSON. No progress bar is shown then.
static JSON: OnceLock<bool> = OnceLock::new();
/// True if `--quiet` was given. The program then prints only warnings and errors, without a
/// progress bar.
static QUIET: OnceLock<bool> = OnceLock::new();

/// Maximum number of prompted frames of a batch that are listed one by one.
const MOST_LISTED: usize = 12;

/// Sets up log lines on stderr: warnings always, more with `-v`.
pub fn init_logging(verbose: u8, quiet: bool, format: LogFormat) {
    let level = match (quiet, verbose) {
        (true, _) => tracing::Level::WARN,
        (_, 0) => tracing::Level::INFO,
        (_, 1) => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    // FFmpeg's own messages (target "video") name no file and rarely matter. Important ones are
    // reported as this program's own warnings and errors.
    let ffmpeg = if verbose > 1 { LevelFilter::from(level) } else { LevelFilter::OFF };
    let filter = Targets::new().with_default(level).with_target("video", ffmpeg);
    let _ = JSON.set(format == LogFormat::Json);
    let _ = QUIET.set(quiet);
    match format {
        LogFormat::Text => {
            let colours = terminal::has_colours();
            let lines = tracing_subscriber::fmt::layer()
                .with_target(false)
                .without_time()
                .with_ansi(colours)
                .fmt_fields(debug_fn(write_field))
                // By default a line that cannot be written is reported to stderr, which panics if stderr is closed.
                .log_internal_errors(false)
                .with_writer(terminal::Lines::new);
            set_up(tracing_subscriber::registry().with(lines.with_filter(filter)));
        }
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_target(false)
                .log_internal_errors(false)
                .with_writer(std::io::stderr);
            set_up(tracing_subscriber::registry().with(lines.with_filter(filter)));
        }
    }
}

/// Makes `subscriber` receive all log lines. `init` would also take over the `log` crate if any
/// dependency enables that bridge, but [`kernel_watch`](crate::kernel_watch) needs `log` to count
/// kernels.
fn set_up(subscriber: impl tracing::Subscriber + Send + Sync) {
    // Fails only if a subscriber is already set; that one stays in use.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Writes a field of a log line: the message as it is, other fields with their names.
fn write_field(to: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => write!(to, "{}", plain_line(&text, LOG_LENGTH)),
        name => write!(to, " {name}={}", plain_line(&text, LOG_LENGTH)),
    }
}

/// Prints an error, as the last line.
pub fn print_error(message: &str) {
    if is_json() {
        tracing::error!("{message}");
    } else {
        terminal::clear_status();
        to_stderr(&format!("error: {}", plain_line(message, ERROR_LENGTH)));
    }
}

/// Prints a line to stderr. A stderr that is closed or full is not an error.
pub fn to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn is_json() -> bool {
    JSON.get().copied().unwrap_or(false)
}

/// Returns true if a progress bar can be shown: stderr is a terminal, and logging is neither quiet
/// nor JSON.
pub fn shows_bars() -> bool {
    let is_quiet = QUIET.get().copied().unwrap_or(false);
    !is_quiet && !is_json() && std::io::stderr().is_terminal()
}

/// Returns a duration for people: 42 s, 12 min, 3 h 05 min, 2 days 4 h.
fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    let minutes = (seconds / 60.0).round() as u64;
    let hours = minutes / 60;
    match minutes {
        0..2 => format!("{seconds:.0} s"),
        2..90 => format!("{minutes} min"),
        _ if hours < 48 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{} days {} h", hours / 24, hours % 24),
    }
}

/// Shows a bar on a terminal, plain lines otherwise, and nothing when quiet.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    started: Instant,
    last_line: Instant,
    resumed: usize,
    /// Time until the next line.
    interval: Duration,
}

impl Progress {
    /// Starts the display for a job of `total` frames.
    pub fn new(total: usize, quiet: bool) -> Self {
        let bar = (!quiet && shows_bars()).then(|| {
            let bar = ProgressBar::new(total as u64);
            let style = "{bar:30} {pos}/{len} frames  {per_sec}  {eta} left  {msg}{prefix}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            terminal::keep_below_lines(&bar);
            bar
        });
        let now = Instant::now();
        Self { bar, quiet, started: now, last_line: now, resumed: 0, interval: FIRST_INTERVAL }
    }

    /// Removes the bar, so that a message can be printed.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, done: usize, total: usize) {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = done.saturating_sub(self.resumed) as f64 / seconds.max(1e-9);
        let left = (total - done) as f64 / rate.max(1e-9);
        tracing::info!("{done} of {total} frames, {rate:.2} a second, {} left", duration(left));
    }
}

impl JobObserver for Progress {
    fn on_stage(&mut self, stage: &JobStage) {
        match stage {
            JobStage::Batch { index, count, frames, prompt_frames, tracked_from } => {
                let span = FrameSpan(frames.clone());
                let text = format!("batch {} of {count}: {span}", index + 1);
                let listed = prompt_frames.iter().take(MOST_LISTED).map(ToString::to_string);
                let mut prompted: Vec<String> = listed.collect();
                if prompt_frames.len() > MOST_LISTED {
                    prompted.push(format!("and {} more", prompt_frames.len() - MOST_LISTED));
                }
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("batch {}/{count}", index + 1));
                }
                // Above the bar, if there is one.
                if !tracked_from.is_empty() && prompted.is_empty() {
                    tracing::info!(
                        "{text}, without a prompt of its own: tracked from those of other batches"
                    );
                } else if prompted.is_empty() {
                    tracing::warn!("{text}: no usable prompt, left empty");
                } else {
                    tracing::info!("{text}, prompted on {}", prompted.join(", "));
                }
            }
            JobStage::Frame { done, total } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(*done as u64);
                } else if !self.quiet && self.last_line.elapsed() >= self.interval {
                    self.last_line = Instant::now();
                    self.interval = LOG_INTERVAL;
                    self.line(*done, *total);
                }
            }
            JobStage::Resumed { frames } => {
                // Frames from an earlier run must not count in the speed estimate.
                self.resumed += frames.len();
                let span = FrameSpan(frames.clone());
                tracing::info!("{span} {} done already", span.are());
            }
            JobStage::LessInFlight { frames, objects_per_pass, feature_cache_frames, reason } => {
                tracing::warn!(
                    "{} again, with {objects_per_pass} objects at a time and {feature_cache_frames} encoded frames kept: \
                     {reason}",
                    FrameSpan(frames.clone())
                );
            }
            JobStage::PromptedAgain { object, frame, before, now, .. } => {
                tracing::info!(
                    "object {object}: prompted again by the track on frame {frame}: {now} instead of {before} flagged masks"
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_for_people() {
        let cases = [
            (0.4, "0 s"),
            (59.0, "59 s"),
            (119.0, "2 min"),
            (3_600.0, "60 min"),
            (11_100.0, "3 h 05 min"),
            (187_200.0, "2 days 4 h"),
            (f64::INFINITY, "0 s"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }
}
