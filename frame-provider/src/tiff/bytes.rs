//! Reads a file by offset, never past its end, and never allocates more than the file holds.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::TiffError;
use crate::error::FrameError;

/// A file, or bytes in memory, read by offset from any thread.
#[derive(Debug)]
pub(crate) struct Bytes {
    place: Place,
    length: u64,
}

#[derive(Debug)]
enum Place {
    // Reading is fast compared with decoding, so one handle behind a lock serves all threads.
    File(Mutex<File>),
    Memory(Arc<[u8]>),
}

impl Bytes {
    /// Opens a regular file. Pipes and devices are rejected, because opening them could block
    /// forever.
    pub(crate) fn open(path: &Path) -> Result<Self, FrameError> {
        let io_error = |error| FrameError::from_io(path, error);
        let metadata = std::fs::metadata(path).map_err(io_error)?;
        if metadata.is_dir() {
            return Err(FrameError::IsDirectory { path: path.to_owned() });
        }
        if !metadata.is_file() {
            return Err(FrameError::NotAnImage {
                path: path.to_owned(),
                reason: "a pipe or device cannot be read in any order".into(),
                source: None,
            });
        }
        let file = File::open(path).map_err(io_error)?;
        let length = file.metadata().map_err(io_error)?.len();
        Ok(Self { place: Place::File(Mutex::new(file)), length })
    }

    pub(crate) fn in_memory(data: impl Into<Arc<[u8]>>) -> Self {
        let data = data.into();
        Self { length: data.len() as u64, place: Place::Memory(data) }
    }

    /// Returns the number of bytes in the file when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Returns `length` bytes from `offset` onwards.
    pub(crate) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, TiffError> {
        let end = offset.checked_add(length).filter(|&end| end <= self.length);
        let (Some(end), Ok(length)) = (end, usize::try_from(length)) else {
            return Err(TiffError::malformed(format!(
                "it refers to {length} bytes at {offset}, but the file has {}",
                self.length
            )));
        };
        match &self.place {
            Place::Memory(data) => Ok(data[offset as usize..end as usize].to_vec()),
            Place::File(file) => {
                let mut bytes = vec![0; length];
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(|error| match error.kind() {
                        io::ErrorKind::UnexpectedEof => {
                            TiffError::malformed("the file has become shorter since it was opened")
                        }
                        _ => TiffError::Io(error),
                    })?;
                Ok(bytes)
            }
        }
    }

    /// Returns up to `length` bytes from `offset` onwards; fewer or none at the end of the file.
    pub(crate) fn read_up_to(&self, offset: u64, length: u64) -> Result<Vec<u8>, TiffError> {
        let offset = offset.min(self.length);
        self.read(offset, length.min(self.length - offset))
    }
}
