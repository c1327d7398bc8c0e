//! Log lines and a progress bar on the same terminal.

use std::io::{IsTerminal, Stderr, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

/// The bar that is shown.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether stderr shows colours: it is a terminal, and the user has nothing against them (<https://no-color.org>: a variable that is set and not
/// empty).
pub fn has_colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}

/// From now on log lines go above this bar.
pub fn keep_below_lines(bar: &ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
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
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar.filter(|bar| !bar.is_finished()) {
            Some(bar) => bar.suspend(|| self.0.write(line)),
            None => self.0.write(line),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
