//! Log lines and a progress bar on the same terminal.

use std::io::{IsTerminal, Stderr, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

/// The bar or status line below the log lines.
static BAR: Mutex<Option<Shown>> = Mutex::new(None);

/// A progress bar, or a status line that is shown in its place.
struct Shown {
    bar: ProgressBar,
    is_status: bool,
}

fn shown() -> MutexGuard<'static, Option<Shown>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether stderr shows colours: it is a terminal, and `NO_COLOR` is not set to a non-empty
/// value (<https://no-color.org>).
pub fn has_colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}

/// Keeps this bar below the log lines from now on.
pub fn keep_below_lines(bar: &ProgressBar) {
    clear_status();
    *shown() = Some(Shown { bar: bar.clone(), is_status: false });
}

/// Shows what the program is doing: `short` at the end of the progress bar or, without a bar,
/// `text` on its own line. Start `short` with spaces to separate it from the bar.
pub fn show_status(text: &str, short: &str) {
    let mut shown = shown();
    match &*shown {
        Some(Shown { bar, is_status: false }) if !bar.is_finished() => {
            bar.set_prefix(short.to_owned());
        }
        Some(Shown { bar, is_status: true }) if !bar.is_finished() => {
            bar.set_message(text.to_owned());
        }
        _ => {
            let bar = ProgressBar::no_length();
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                bar.set_style(style);
            }
            bar.set_message(text.to_owned());
            *shown = Some(Shown { bar, is_status: true });
        }
    }
}

/// Removes what [`show_status`] shows.
pub fn clear_status() {
    let mut shown = shown();
    match &*shown {
        Some(Shown { bar, is_status: true }) => {
            bar.finish_and_clear();
            *shown = None;
        }
        Some(Shown { bar, .. }) => bar.set_prefix(""),
        None => {}
    }
}

/// Stderr for log lines. The bar is hidden while a line is written, and then shown again below it.
#[derive(Debug)]
pub struct Lines(Stderr);

impl Lines {
    /// Creates a writer for one line.
    pub fn new() -> Self {
        Self(std::io::stderr())
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let bar = shown().as_ref().map(|shown| shown.bar.clone());
        match bar.filter(|bar| !bar.is_finished()) {
            Some(bar) => bar.suspend(|| self.0.write(line)),
            None => self.0.write(line),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
