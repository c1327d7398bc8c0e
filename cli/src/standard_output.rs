//! Prints results on stdout.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

/// Prints a result. Unlike with `println!`, a reader that stops early, such as `head`, does not
/// cause an error.
pub fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to the standard output")
        }
        _ => Ok(()),
    }
}
