//! The file format: safetensors with metadata and a digest.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sam2_mask_writer::{OutputFile, WriteError};
use sam2_model::{Device, Tensor, hexadecimal};
use sha2::{Digest, Sha256};

use super::error::SessionFileError;
use super::schema::SavedSession;
use crate::error::EngineError;
use crate::on_device::read;

/// Version of the format that this library writes and reads.
pub const FORMAT_VERSION: u32 = 2;
const FORMAT: &str = "sam2-session";

/// A problem with a file, before the path is added.
#[derive(Debug)]
pub(super) enum Problem {
    Damaged(String),
    OtherKind { found: &'static str, expected: &'static str },
    OtherRecording { found: String, expected: String },
}

impl Problem {
    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged(reason.into())
    }

    pub(super) fn in_file(self, path: &Path) -> EngineError {
        let path = path.to_owned();
        EngineError::SessionFile(match self {
            Self::Damaged(reason) => SessionFileError::Damaged { path, reason },
            Self::OtherKind { found, expected } => {
                SessionFileError::OtherKind { path, found, expected }
            }
            Self::OtherRecording { found, expected } => {
                SessionFileError::OtherRecording { path, found, expected }
            }
        })
    }
}

/// One tensor as stored in the file.
#[derive(PartialEq)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The tensors of a session, by name.
#[derive(Default)]
pub(super) struct Contents(BTreeMap<String, Stored>);

impl Contents {
    pub(super) fn insert<const D: usize>(
        &mut self,
        name: String,
        tensor: &Tensor<D>,
    ) -> Result<(), EngineError> {
        let shape = tensor.dims().to_vec();
        let values = read(tensor.clone())?;
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.0.insert(name, Stored { dtype: Dtype::F32, shape, bytes });
        Ok(())
    }

    pub(super) fn insert_bytes(&mut self, name: &str, shape: Vec<usize>, bytes: Vec<u8>) {
        self.0.insert(name.to_owned(), Stored { dtype: Dtype::U8, shape, bytes });
    }

    /// Removes a tensor of exactly this shape and returns it.
    pub(super) fn take<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, Problem> {
        let stored = self.take_stored(name, Dtype::F32, &shape)?;
        let values: Vec<f32> = stored
            .bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        Ok(Tensor::<1>::from_floats(&values[..], device).reshape(shape))
    }

    pub(super) fn take_bytes(&mut self, name: &str, shape: [usize; 3]) -> Result<Vec<u8>, Problem> {
        Ok(self.take_stored(name, Dtype::U8, &shape)?.bytes)
    }

    fn take_stored(
        &mut self,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
    ) -> Result<Stored, Problem> {
        let stored = self
            .0
            .remove(name)
            .ok_or_else(|| Problem::Damaged(format!("tensor {name} is missing")))?;
        if stored.dtype == dtype && stored.shape == shape {
            return Ok(stored);
        }
        let Stored { dtype: found, shape: sides, .. } = stored;
        Err(Problem::Damaged(format!(
            "{name} is {found:?} {sides:?}, expected {dtype:?} {shape:?}"
        )))
    }

    /// Removes the tensors whose names begin with `copy` and a dot if they are equal to those whose
    /// names begin with `original` and a dot, and returns whether they were.
    pub(super) fn remove_copy(&mut self, copy: &str, original: &str) -> bool {
        let (copy, original) = (format!("{copy}."), format!("{original}."));
        let of = |prefix: &str| {
            let from = self.0.range(prefix.to_owned()..);
            let length = prefix.len();
            let prefix = prefix.to_owned();
            from.take_while(move |(name, _)| name.starts_with(&prefix))
                .map(move |(name, stored)| (name[length..].to_owned(), stored))
        };
        let equal = of(&copy).eq(of(&original));
        if equal {
            self.0.retain(|name, _| !name.starts_with(&copy));
        }
        equal
    }

    /// Refuses a file with tensors that were not taken.
    pub(super) fn check_used_up(&self) -> Result<(), Problem> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Problem::Damaged(format!("unknown tensor {name}"))),
        }
    }

    /// Writes to a temporary file next to `path`, which gets its name when it is complete.
    pub(super) fn write(&self, session: &SavedSession, path: &Path) -> Result<(), EngineError> {
        let failed = |error: String| WriteError::Io {
            path: path.to_owned(),
            source: std::io::Error::other(error),
        };
        let json = serde_json::to_string(session).map_err(|error| failed(error.to_string()))?;
        let metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("format_version".to_owned(), FORMAT_VERSION.to_string()),
            ("sha256".to_owned(), self.digest(&json)),
            ("session".to_owned(), json),
        ]);
        let views = self
            .0
            .iter()
            .map(|(name, stored)| {
                TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes)
                    .map(|view| (name, view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| failed(error.to_string()))?;
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|error| failed(error.to_string()))?;
        Ok(OutputFile::write(path, true, &bytes)?)
    }

    /// Reads a file and verifies that its contents are those that were written.
    pub(super) fn read(path: &Path) -> Result<(Self, SavedSession), EngineError> {
        let bytes = std::fs::read(path)
            .map_err(|source| SessionFileError::Io { path: path.to_owned(), source })?;
        Ok(Self::parse(&bytes, path)?)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<(Self, SavedSession), SessionFileError> {
        let other =
            |reason: String| SessionFileError::NotASession { path: path.to_owned(), reason };
        let damaged = |reason: String| SessionFileError::Damaged { path: path.to_owned(), reason };
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| other(error.to_string()))?;
        let entry = |key: &str| header.metadata().as_ref().and_then(|all| all.get(key));
        if entry("format").is_none_or(|format| format != FORMAT) {
            return Err(other(format!("its format is not {FORMAT}")));
        }
        let found = entry("format_version").map_or("no version", String::as_str);
        if found != FORMAT_VERSION.to_string() {
            let (path, found) = (path.to_owned(), found.to_owned());
            return Err(SessionFileError::FormatVersion { path, found, expected: FORMAT_VERSION });
        }
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        let contents = Self(
            tensors
                .iter()
                .map(|(name, view)| {
                    let (dtype, shape) = (view.dtype(), view.shape().to_vec());
                    (name.to_owned(), Stored { dtype, shape, bytes: view.data().to_vec() })
                })
                .collect(),
        );
        let missing = |key: &str| damaged(format!("{key} is missing"));
        let json = entry("session").ok_or_else(|| missing("session"))?;
        let digest = entry("sha256").ok_or_else(|| missing("digest"))?;
        if *digest != contents.digest(json) {
            return Err(damaged("its contents are not those that were written".to_owned()));
        }
        let session = serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?;
        Ok((contents, session))
    }

    /// Computes the SHA-256 of the description and the tensors. Each part is preceded by its
    /// length, so that bytes cannot move from one part to the next.
    fn digest(&self, json: &str) -> String {
        let mut all = Sha256::new();
        let mut part = |bytes: &[u8]| {
            all.update((bytes.len() as u64).to_le_bytes());
            all.update(bytes);
        };
        part(json.as_bytes());
        for (name, Stored { dtype, shape, bytes }) in &self.0 {
            part(name.as_bytes());
            part(format!("{dtype:?} {shape:?}").as_bytes());
            part(bytes);
        }
        hexadecimal(&all.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_copies_of_all_tensors_are_removed() {
        let mut contents = Contents::default();
        // "a.1" is not a part of "a.10".
        for (name, value) in [
            ("a.1.iou", 1.0),
            ("b.1.iou", 1.0),
            ("a.10.iou", 9.0),
            ("b.10.iou", 8.0),
            ("a.2.iou", 1.0),
            ("a.2.memory", 2.0),
            ("b.2.iou", 1.0),
        ] {
            let tensor = Tensor::<1>::from_floats([value], &Device::flex());
            contents.insert(name.to_owned(), &tensor).unwrap();
        }
        assert!(contents.remove_copy("b.1", "a.1"));
        assert!(!contents.remove_copy("b.10", "a.10"));
        assert!(!contents.remove_copy("b.2", "a.2"));
        let names: Vec<&str> = contents.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["a.1.iou", "a.10.iou", "a.2.iou", "a.2.memory", "b.10.iou", "b.2.iou"]);
    }
}
