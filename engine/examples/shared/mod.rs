//! Command-line arguments of the examples, and the defaults for those that are not given.

#![allow(dead_code)] // No example needs all of it.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The small demonstration model bundled with this repository; use an official model for real work.
pub const MODEL: &str = "micro/sam2.1_hiera_micro.safetensors";

/// Returns the file named by the argument at `position` (from 1), or a bundled file.
pub fn file(position: usize, bundled: &str) -> PathBuf {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    std::env::args_os().nth(position).map_or_else(|| assets.join(bundled), PathBuf::from)
}

/// Parses the argument at `position` (from 1), or returns `default` if there is none.
pub fn argument<T: FromStr<Err: Display>>(position: usize, default: T) -> Result<T, String> {
    match std::env::args().nth(position) {
        Some(text) => {
            text.parse().map_err(|error| format!("argument {position}, '{text}': {error}"))
        }
        None => Ok(default),
    }
}

/// Returns the output folder named by the argument at `position` (from 1), or a folder for this
/// example in the system's temporary directory. Creates it if necessary.
pub fn folder(position: usize, example: &str) -> io::Result<PathBuf> {
    let temporary = std::env::temp_dir().join("sam2-examples").join(example);
    let folder = std::env::args_os().nth(position).map_or(temporary, PathBuf::from);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
