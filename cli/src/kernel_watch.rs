//! Reports that GPU kernels are being compiled. On the first run this takes minutes without any
//! other output.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sam2_model::KernelCache;

use crate::{progress, terminal};

/// CubeCL's log target for kernels that go to the compiler. Cached kernels produce no record.
const TARGET: &str = "cubecl::compilation";
/// Interval between two looks at the counter.
const INTERVAL: Duration = Duration::from_millis(500);
/// Compilation shorter than this is not reported.
const DELAY: Duration = Duration::from_secs(1);
/// Nearly every kernel compiles within this time. Without a new kernel for this long, compilation
/// counts as finished.
const LONGEST: Duration = Duration::from_secs(5);

/// Number of kernels that went to the compiler.
static COMPILED: AtomicUsize = AtomicUsize::new(0);

/// Counts CubeCL's records and drops all other records of the `log` crate: this program logs
/// through `tracing`.
struct Counter;

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target() == TARGET {
            COMPILED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// Starts to count kernels and to show the count while they are compiled. Call it before the first
/// launch on a GPU; further calls do nothing.
pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if log::set_logger(&Counter).is_err() {
            return;
        }
        log::set_max_level(log::LevelFilter::Debug);
        let kept = KernelCache::here().map(|cache| cache.path.display().to_string());
        // The thread runs until the process ends.
        let thread = std::thread::Builder::new().name("kernel watch".to_owned());
        let _ = thread.spawn(move || watch(kept.as_deref()));
    });
}

fn watch(kept: Option<&str>) {
    let mut compiling = Compiling::default();
    let mut is_shown = false;
    let mut last_line: Option<Instant> = None;
    loop {
        std::thread::sleep(INTERVAL);
        let now = Instant::now();
        let state = compiling.look(COMPILED.load(Ordering::Relaxed), now);
        if progress::shows_bars() {
            match state {
                Some(state) => terminal::show_status(&state.text(kept), &state.short_text()),
                None if is_shown => terminal::clear_status(),
                None => {}
            }
            is_shown = state.is_some();
        } else if let Some(state) = state
            && last_line.is_none_or(|last| now - last >= progress::LOG_INTERVAL)
        {
            last_line = Some(now);
            tracing::info!("{}", state.text(kept));
        }
    }
}

/// Derives from the count over time whether kernels are being compiled.
#[derive(Default)]
struct Compiling {
    count: usize,
    /// Times of the first and the last new kernel of the current span; `None` while nothing is
    /// being compiled.
    span: Option<(Instant, Instant)>,
    /// Total duration of the earlier spans.
    before: Duration,
}

/// Progress of the compilation so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    count: usize,
    seconds: u64,
}

impl Compiling {
    fn look(&mut self, count: usize, now: Instant) -> Option<State> {
        if count > self.count {
            let first = self.span.map_or(now, |(first, _)| first);
            self.span = Some((first, now));
            self.count = count;
        } else if let Some((first, last)) = self.span
            && now - last >= LONGEST
        {
            self.before += last - first;
            self.span = None;
        }
        let (first, _) = self.span?;
        let taken = now - first;
        (taken >= DELAY).then(|| State { count, seconds: (self.before + taken).as_secs() })
    }
}

impl State {
    /// Returns the message. `kept` is the path of the kernel cache.
    fn text(self, kept: Option<&str>) -> String {
        let Self { count, seconds } = self;
        match kept {
            Some(path) => format!(
                "compiling GPU kernels for the first time: {count} so far, {seconds} s; they are kept in {path}"
            ),
            None => format!(
                "compiling GPU kernels: {count} so far, {seconds} s; they are not kept for the next run"
            ),
        }
    }

    fn short_text(self) -> String {
        format!("  compiling GPU kernels: {}, {} s", self.count, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiling_begins_with_a_kernel_and_ends_some_time_after_the_last() {
        let begin = Instant::now();
        let after = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let mut compiling = Compiling::default();
        assert_eq!(compiling.look(0, after(0.0)), None);
        // A few kernels at once are not reported.
        assert_eq!(compiling.look(3, after(1.0)), None);
        assert_eq!(compiling.look(5, after(2.5)), Some(State { count: 5, seconds: 1 }));
        // One kernel that takes long.
        assert_eq!(compiling.look(5, after(7.0)), Some(State { count: 5, seconds: 6 }));
        assert_eq!(compiling.look(5, after(7.5)), None);
        // Count and time continue after a pause: kernels were compiled from 1.0 to 2.5.
        assert_eq!(compiling.look(6, after(60.0)), None);
        assert_eq!(compiling.look(9, after(62.0)), Some(State { count: 9, seconds: 3 }));
    }

    #[test]
    fn the_line_says_how_many_and_where_they_are_kept() {
        let state = State { count: 34, seconds: 20 };
        assert_eq!(
            state.text(Some("/c/default.db")),
            "compiling GPU kernels for the first time: 34 so far, 20 s; they are kept in /c/default.db"
        );
        assert!(state.text(None).contains("are not kept"));
    }
}
