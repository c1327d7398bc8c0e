//! Identifies recordings by their contents, not by their names.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sam2_model::hexadecimal;
use sha2::{Digest, Sha256};

use super::spread::spread;

/// Size of one piece that is read of a file, in bytes.
const PIECE: u64 = 64 << 10;
/// Number of pieces read of a file, spread evenly from its first to its last byte. A file of up to
/// a megabyte is read whole.
const PIECES: u64 = 17;
/// Number of files of a folder of which pieces are read, spread evenly. All others count by name
/// and size.
const FILES: usize = 64;
/// Depth to which nested folders are searched. Recordings of several positions have one level.
const DEPTH: usize = 3;
/// Endings of notes and tables that users may add next to the frames of a recording at any time.
const NOTES: [&str; 11] =
    ["txt", "md", "log", "csv", "tsv", "json", "toml", "yaml", "yml", "pickle", "h5"];

/// Returns a fingerprint of the recording that consists of these files, or of this folder. A file
/// counts by its size and seventeen pieces from start to end. A folder counts by the names and
/// sizes of its files and by pieces of sixty-four of them. Reading them takes no longer for an hour
/// of video than for a minute.
///
/// Hidden files do not count, nor do notes and tables next to the frames of a folder. The name and
/// the place of the recording do not count either, as an archive may change them.
///
/// # Errors
/// The system's error, if a file or folder cannot be read.
pub fn recording_fingerprint(paths: &[PathBuf]) -> io::Result<String> {
    let mut digest = Sha256::new();
    if paths.len() > FILES {
        // With thousands of images, most count by their size only.
        for path in paths {
            digest.update(fs::metadata(path)?.len().to_le_bytes());
        }
    }
    for number in spread(paths.len(), FILES) {
        add(&paths[number], &mut digest)?;
    }
    Ok(hexadecimal(&digest.finalize()[..16]))
}

/// Adds a file or a folder.
fn add(path: &Path, digest: &mut Sha256) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        return add_pieces(path, digest);
    }
    let mut files = Vec::new();
    collect(path, path, DEPTH, &mut files)?;
    files.sort();
    for (name, size) in &files {
        digest.update((name.as_os_str().len() as u64).to_le_bytes());
        digest.update(name.as_os_str().as_encoded_bytes());
        digest.update(size.to_le_bytes());
    }
    spread(files.len(), FILES)
        .into_iter()
        .try_for_each(|number| add_pieces(&path.join(&files[number].0), digest))
}

/// Adds names relative to `root` and sizes of the files in `folder`.
fn collect(
    root: &Path,
    folder: &Path,
    depth: usize,
    files: &mut Vec<(PathBuf, u64)>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
        if hidden || ending.is_some_and(|ending| NOTES.contains(&ending.as_str())) {
            continue;
        }
        // Follows links, as reading the frames does. A dangling link is not a frame.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() && depth > 0 {
            collect(root, &path, depth - 1, files)?;
        } else if metadata.is_file() {
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            files.push((name, metadata.len()));
        }
    }
    Ok(())
}

fn add_pieces(path: &Path, digest: &mut Sha256) -> io::Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    digest.update(size.to_le_bytes());
    let mut piece = Vec::new();
    let mut add = |start: u64, length: u64| -> io::Result<()> {
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        (&mut file).take(length).read_to_end(&mut piece)?;
        digest.update(&piece);
        Ok(())
    };
    if size <= PIECE * PIECES {
        return add(0, size);
    }
    (0..PIECES).try_for_each(|at| add(at * ((size - PIECE) / (PIECES - 1)), PIECE))?;
    add(size - PIECE, PIECE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_count_and_names_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let of = |path: &Path| recording_fingerprint(&[path.to_owned()]).unwrap();
        let mut bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        let first = of(&write("a.avi", &bytes));
        assert_eq!(of(&write("b.avi", &bytes)), first);
        let step = (bytes.len() as u64 - PIECE) / (PIECES - 1);
        for changed in [0, (8 * step) as usize, bytes.len() - 1] {
            bytes[changed] ^= 1;
            assert_ne!(of(&write("b.avi", &bytes)), first, "byte {changed}");
            bytes[changed] ^= 1;
        }
        assert_ne!(of(&write("b.avi", &bytes[1..])), first, "another size");
        let two = [write("a.avi", b"one"), write("b.avi", b"two")];
        let joined = recording_fingerprint(&two).unwrap();
        assert_ne!(recording_fingerprint(&[two[1].clone(), two[0].clone()]).unwrap(), joined);
    }

    #[test]
    fn folders_are_their_frames() {
        let folder = tempfile::tempdir().unwrap();
        let of = || recording_fingerprint(&[folder.path().to_owned()]).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("1.png", "one");
        write("2.png", "two");
        let first = of();
        write("notes.txt", "a remark");
        write(".hidden.png", "x");
        assert_eq!(of(), first);
        write("2.png", "owt");
        assert_ne!(of(), first);
        write("2.png", "two");
        assert_eq!(of(), first);
        fs::rename(folder.path().join("2.png"), folder.path().join("3.png")).unwrap();
        assert_ne!(of(), first);
    }
}
