//! The files written by `data/make_stacks.py` and `data/make_kinds.py`, unpacked.

#![allow(dead_code, clippy::unwrap_used)] // Each test file uses a part of this.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

/// One line of the table: what to open, how, and the hash of each frame.
pub struct Case {
    pub path: String,
    pub axes: String,
    pub intensity: String,
    pub frames: Vec<String>,
}

pub struct StackData {
    pub files: BTreeMap<String, Vec<u8>>,
    pub cases: Vec<Case>,
}

/// Returns everything written by `make_stacks.py`, unpacked once.
pub fn stack_data() -> &'static StackData {
    static DATA: OnceLock<StackData> = OnceLock::new();
    DATA.get_or_init(|| {
        read(include_bytes!("../data/stacks.bin.zst"), include_str!("../data/stacks.tsv"))
    })
}

/// Returns everything written by `make_kinds.py`, unpacked once.
pub fn kinds_data() -> &'static StackData {
    static DATA: OnceLock<StackData> = OnceLock::new();
    DATA.get_or_init(|| {
        read(include_bytes!("../data/kinds.bin.zst"), include_str!("../data/kinds.tsv"))
    })
}

fn read(packed: &[u8], table: &str) -> StackData {
    let all = zstd::bulk::decompress(packed, 64 << 20).unwrap();
    let mut data = StackData { files: BTreeMap::new(), cases: Vec::new() };
    for line in table.lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["file", name, offset, length] => {
                let (offset, length): (usize, usize) =
                    (offset.parse().unwrap(), length.parse().unwrap());
                data.files.insert(name.to_owned(), all[offset..offset + length].to_vec());
            }
            ["case", path, axes, intensity, frames] => data.cases.push(Case {
                path: path.to_owned(),
                axes: axes.to_owned(),
                intensity: intensity.to_owned(),
                frames: frames.split(' ').map(str::to_owned).collect(),
            }),
            _ => assert!(line.starts_with('#'), "{line}"),
        }
    }
    data
}

pub fn file(name: &str) -> &'static [u8] {
    &stack_data().files[name]
}

/// Writes the files whose names start with `prefix` into a new folder, with their subfolders.
pub fn unpack(prefix: &str) -> TempDir {
    unpack_from(stack_data(), prefix)
}

pub fn unpack_from(data: &StackData, prefix: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in data.files.iter().filter(|(name, _)| name.starts_with(prefix)) {
        write(folder.path(), name, bytes);
    }
    folder
}

pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}
