//! Results on stdout, for people and for pipes.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

/// Prints a result. A reader that has seen enough, such as `head`, is no error, as `println!` would make it.
pub fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to the standard output")
        }
        _ => Ok(()),
    }
}
