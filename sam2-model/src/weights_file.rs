//! Reading a safetensors file tensor by tensor.
//!
//! A file is never in memory as a whole. Each tensor is read into a buffer that is reused for the
//! next one, and is converted to the values that the network keeps. So loading takes no more memory
//! than the network, and uses all cores.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::error::LoadError;
use crate::tensor_shapes::TensorShapes;

/// Bytes of the header length at the start of a file.
const LENGTH: usize = 8;
/// Largest header in bytes, as in the format's reference implementation.
const LONGEST_HEADER: u64 = 100_000_000;

/// A safetensors file, on disk or in memory.
pub(crate) struct WeightsFile<'a> {
    /// Name of the file in error messages.
    origin: String,
    metadata: Metadata,
    data: Data<'a>,
}

enum Data<'a> {
    /// The bytes after the header.
    Memory(&'a [u8]),
    Disk {
        file: Mutex<File>,
        path: PathBuf,
        /// Offset of the end of the header.
        first: u64,
    },
}

impl WeightsFile<'static> {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`LoadError`] if it cannot be read or is not a complete safetensors file.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { path: path.to_owned(), source };
        let origin = path.display().to_string();
        let broken = |source| LoadError::NotSafetensors { origin: origin.clone(), source };
        let mut file = File::open(path).map_err(io)?;
        let whole = file.metadata().map_err(io)?.len();
        let mut length = [0; LENGTH];
        if whole < LENGTH as u64 {
            return Err(broken(SafeTensorError::HeaderTooSmall));
        }
        file.read_exact(&mut length).map_err(io)?;
        let header = u64::from_le_bytes(length);
        let after = whole - LENGTH as u64;
        if header > LONGEST_HEADER {
            return Err(broken(SafeTensorError::HeaderTooLarge));
        }
        if header > after {
            return Err(broken(SafeTensorError::InvalidHeaderLength));
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(io)?;
        let metadata = parse(&text, after - header).map_err(broken)?;
        let (file, path) = (Mutex::new(file), path.to_owned());
        let data = Data::Disk { file, path, first: LENGTH as u64 + header };
        Ok(Self { origin, metadata, data })
    }
}

impl<'a> WeightsFile<'a> {
    /// Does the same for the bytes of a file; `origin` names them in errors.
    ///
    /// # Errors
    /// [`LoadError::NotSafetensors`].
    pub(crate) fn of_bytes(bytes: &'a [u8], origin: &str) -> Result<Self, LoadError> {
        let origin = origin.to_owned();
        match safetensors::SafeTensors::read_metadata(bytes) {
            Ok((header, metadata)) => {
                Ok(Self { origin, metadata, data: Data::Memory(&bytes[LENGTH + header..]) })
            }
            Err(source) => Err(LoadError::NotSafetensors { origin, source }),
        }
    }

    /// Returns the file's name for error messages.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the names and shapes of the tensors.
    pub(crate) fn shapes(&self) -> TensorShapes {
        let tensors = self.metadata.tensors().into_iter();
        tensors.map(|(name, info)| (name, info.shape.clone())).collect()
    }

    /// Checks that every tensor is stored in a readable number format.
    ///
    /// # Errors
    /// [`LoadError::NumberFormat`].
    pub(crate) fn check_formats(&self) -> Result<(), LoadError> {
        for name in self.metadata.offset_keys() {
            let info = self.info(&name)?;
            if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
                return Err(LoadError::NumberFormat {
                    origin: self.origin.clone(),
                    tensor: name,
                    format: format!("{:?}", info.dtype),
                });
            }
        }
        Ok(())
    }

    /// Returns a tensor of the file, by its name in [`Self::shapes`].
    ///
    /// # Errors
    /// [`LoadError::NotSafetensors`] if it does not exist.
    pub(crate) fn info(&self, name: &str) -> Result<&TensorInfo, LoadError> {
        self.metadata.info(name).ok_or_else(|| LoadError::NotSafetensors {
            origin: self.origin.clone(),
            source: SafeTensorError::TensorNotFound(name.to_owned()),
        })
    }

    /// Returns the bytes of a tensor, read into `buffer` if they are not in memory.
    ///
    /// # Errors
    /// [`LoadError::Io`].
    pub(crate) fn bytes<'b>(
        &'b self,
        info: &TensorInfo,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], LoadError> {
        let (start, end) = info.data_offsets;
        match &self.data {
            Data::Memory(data) => Ok(&data[start..end]),
            Data::Disk { file, path, first } => {
                buffer.resize(end - start, 0);
                // One thread reads while the others convert the bytes that they have read.
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let read = file
                    .seek(SeekFrom::Start(first + start as u64))
                    .and_then(|_| file.read_exact(buffer));
                read.map_err(|source| LoadError::Io { path: path.clone(), source })?;
                Ok(buffer)
            }
        }
    }
}

/// Parses a header that is followed by `data` bytes.
fn parse(header: &[u8], data: u64) -> Result<Metadata, SafeTensorError> {
    let text = std::str::from_utf8(header).map_err(SafeTensorError::InvalidHeader)?;
    // This also checks that the tensors are contiguous and have the sizes that their shapes
    // require.
    let metadata: Metadata =
        serde_json::from_str(text).map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    if metadata.data_len() as u64 == data {
        Ok(metadata)
    } else {
        Err(SafeTensorError::MetadataIncompleteBuffer)
    }
}
