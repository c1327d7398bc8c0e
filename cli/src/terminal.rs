//! Log lines and a progress bar on the same terminal.

use std::io::{IsTerminal, Stderr, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

/// What is shown below the log lines.
static BAR: Mutex<Option<Shown>> = Mutex::new(None);

/// A bar, or a line in the place of one.
struct Shown {
    bar: ProgressBar,
    is_status: bool,
}

fn shown() -> MutexGuard<'static, Option<Shown>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether stderr shows colours: it is a terminal, and the user has nothing against them (<https://no-color.org>: a variable that is set and not
/// empty).
pub fn has_colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}

/// From now on log lines go above this bar.
pub fn keep_below_lines(bar: &ProgressBar) {
    clear_status();
    *shown() = Some(Shown { bar: bar.clone(), is_status: false });
}

/// Shows what the program is doing: `short` at the end of the progress bar or, without a bar, `text` on its own line. Start `short` with spaces to separate it from the bar.
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

/// Stderr for log lines: a bar is taken away while a line is written, and comes back below it.
#[derive(Debug)]
pub struct Lines(Stderr);

impl Lines {
    /// A writer for one line.
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
