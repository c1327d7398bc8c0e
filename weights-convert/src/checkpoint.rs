//! A checkpoint in memory, independent of how it was stored.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use sam2_model::hexadecimal;
use sam2_model::weights::TensorShapes;
use sha2::{Digest, Sha256};
use zip::{CompressionMethod, ZipArchive};

use crate::error::ConvertError;
use crate::hugging_face::{self, Conflict};

/// Key of the state dict in the official files.
const STATE_DICT_KEY: &str = "model";
/// First bytes of a zip archive.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// Key in a converted file of the SHA-256 of the file it was converted from.
const SOURCE_KEY: &str = "source_sha256";

/// One tensor: number format, shape, and little-endian bytes in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointTensor {
    /// f32, f16 or bf16.
    pub dtype: Dtype,
    /// Shape as in PyTorch.
    pub shape: Vec<usize>,
    /// The values.
    pub data: Vec<u8>,
}

/// The way in which a checkpoint file names and wraps its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointLayout {
    /// The files that Meta publishes: an archive of `torch.save` with the state dict under `model`.
    PyTorch,
    /// A safetensors file with the official state-dict keys, as `sam2 convert` writes it.
    Safetensors,
    /// `model.safetensors` of Hugging Face's `Sam2VideoModel`.
    HuggingFace,
}

impl std::fmt::Display for CheckpointLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PyTorch => "PyTorch archive, official names",
            Self::Safetensors => "safetensors, official names",
            Self::HuggingFace => "safetensors, Hugging Face's names",
        })
    }
}

/// A checkpoint: tensors by their official names.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The tensors, sorted by name.
    pub tensors: BTreeMap<String, CheckpointTensor>,
    /// The layout of the file that was read.
    pub layout: CheckpointLayout,
    /// SHA-256, in hexadecimal, of the file that the weights came from. A converted file states it
    /// without proof; for any other file it is the hash of the file read.
    pub source_sha256: String,
}

impl Checkpoint {
    /// Reads a `.pt` archive or a safetensors file, which it distinguishes by their first bytes.
    /// Hugging Face's names are translated into the official ones.
    ///
    /// # Errors
    /// [`ConvertError`] if the file is unreadable or damaged, or contains a tensor that does not
    /// hold floats.
    pub fn read(path: &Path) -> Result<Self, ConvertError> {
        let unreadable = |source| ConvertError::Read { path: path.to_owned(), source };
        let start = first_bytes(path).map_err(unreadable)?;
        if start == ZIP_MAGIC {
            let tensors = read_pytorch(path)?;
            let source_sha256 = sha256_of(path).map_err(unreadable)?;
            return Ok(Self { tensors, layout: CheckpointLayout::PyTorch, source_sha256 });
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let (tensors, noted) = read_safetensors(path, &bytes)?;
        let source_sha256 = noted.unwrap_or_else(|| hexadecimal(&Sha256::digest(&bytes)));
        drop(bytes);
        if !hugging_face::is_layout_of(tensors.keys()) {
            return Ok(Self { tensors, layout: CheckpointLayout::Safetensors, source_sha256 });
        }
        let tensors = hugging_face::to_official(tensors).map_err(|conflict| {
            let message = match conflict {
                Conflict::Differ(name) => format!("it holds two different values for {name}"),
                Conflict::PointEmbeddings(shape) => {
                    format!("prompt_encoder.point_embed.weight has shape {shape:?}, not [4, C]")
                }
            };
            ConvertError::NotACheckpoint { path: path.to_owned(), message }
        })?;
        Ok(Self { tensors, layout: CheckpointLayout::HuggingFace, source_sha256 })
    }

    /// Returns whether a file begins like an archive of `torch.save`.
    pub fn is_archive(path: &Path) -> bool {
        first_bytes(path).is_ok_and(|start| start == ZIP_MAGIC)
    }

    /// Returns the names and shapes of all tensors.
    pub fn shapes(&self) -> TensorShapes {
        self.tensors.iter().map(|(name, t)| (name.clone(), t.shape.clone())).collect()
    }

    /// Returns the bytes of a safetensors file with these tensors, ready for
    /// [`sam2_model::Sam2::from_bytes`].
    ///
    /// # Errors
    /// If the number of a tensor's bytes does not match its shape.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, SafeTensorError> {
        // Only one entry: several would be written in random order, and conversions should be
        // reproducible.
        let metadata = HashMap::from([(SOURCE_KEY.to_owned(), self.source_sha256.clone())]);
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, t) in &self.tensors {
            views.push((name, TensorView::new(t.dtype, t.shape.clone(), &t.data)?));
        }
        safetensors::serialize(views, Some(metadata))
    }
}

/// Reads as many bytes as are needed to recognise an archive.
fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(ZIP_MAGIC.len());
    File::open(path)?.take(ZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Returns the SHA-256 of a file in hexadecimal; reads the file in pieces.
pub(crate) fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            length => hash.update(&piece[..length]),
        }
    }
}

/// Returns the hash that a conversion has stored in a safetensors file; `None` unless the file is
/// as long as its header says.
pub(crate) fn noted_source(file: &File) -> Option<String> {
    /// Larger than any header of these models.
    const MAX_HEADER: u64 = 16 << 20;
    let length = file.metadata().ok()?.len();
    let mut file = file;
    let mut start = [0; 8];
    file.read_exact(&mut start).ok()?;
    let header = u64::from_le_bytes(start);
    if header > MAX_HEADER {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(header).read_to_end(&mut bytes).ok()?;
    let metadata: Metadata = serde_json::from_slice(&bytes).ok()?;
    let whole = 8 + header + metadata.data_len() as u64;
    (whole == length).then(|| metadata.metadata().as_ref()?.get(SOURCE_KEY).cloned())?
}

type Tensors = BTreeMap<String, CheckpointTensor>;

/// Limit on the bytes of the pickle in an archive. The largest checkpoints, including an
/// optimizer's state, need half a megabyte; one byte of pickle can expand to a hundred in memory.
const MOST_PICKLE: u64 = 2 << 20;

/// Rejects an archive whose entries are compressed or together larger than the file, before any of
/// them is read. `torch.save` does not compress, and a compressed megabyte can inflate to a
/// gigabyte.
fn check_archive(path: &Path) -> Result<(), ConvertError> {
    let broken = |message: String| ConvertError::NotACheckpoint { path: path.to_owned(), message };
    let file =
        File::open(path).map_err(|source| ConvertError::Read { path: path.to_owned(), source })?;
    let held = file
        .metadata()
        .map_err(|source| ConvertError::Read { path: path.to_owned(), source })?
        .len();
    let mut archive =
        ZipArchive::new(BufReader::new(file)).map_err(|error| broken(error.to_string()))?;
    let mut claimed = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| broken(error.to_string()))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(broken(
                "its entries are compressed, which torch.save does not do; save it anew with torch.save".into(),
            ));
        }
        let is_pickle = entry.name_raw().ends_with(b"data.pkl");
        if is_pickle && entry.size() > MOST_PICKLE {
            return Err(broken(format!(
                "its pickle has {} bytes, more than {MOST_PICKLE}; save only the state dict, with torch.save",
                entry.size()
            )));
        }
        claimed = claimed.saturating_add(entry.size());
    }
    if claimed > held {
        return Err(broken(format!(
            "its entries claim {claimed} bytes, and the file has {held}; save it anew with torch.save"
        )));
    }
    Ok(())
}

fn read_pytorch(path: &Path) -> Result<Tensors, ConvertError> {
    let broken = |message: String| ConvertError::NotACheckpoint { path: path.to_owned(), message };
    check_archive(path)?;
    let reader = PytorchReader::with_top_level_key(path, STATE_DICT_KEY)
        .map_err(|error| broken(error.to_string()))?;
    let held = std::fs::metadata(path)
        .map_err(|source| ConvertError::Read { path: path.to_owned(), source })?
        .len();
    // A few bytes of pickle can claim gigabytes: by a stride of 0, by tensors that share a storage,
    // or by a storage that inflates. `torch.save` does not compress, and no SAM 2 checkpoint shares
    // storages, so all tensors together must fit into the file.
    let claimed = reader.tensors().values().map(claimed_bytes).fold(0, u64::saturating_add);
    if claimed > held {
        return Err(broken(format!(
            "its tensors claim {claimed} bytes, and the file has {held}; save it anew with torch.save, without views"
        )));
    }
    let mut tensors = Tensors::new();
    for (name, tensor) in reader.tensors() {
        let dtype = match tensor.dtype() {
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            other => return Err(number_format(path, name, format!("{other:?}"))),
        };
        let data = tensor.read().map_err(|error| broken(format!("{name}: {error}")))?;
        tensors
            .insert(name.clone(), CheckpointTensor { dtype, shape: tensor.shape().to_vec(), data });
    }
    Ok(tensors)
}

/// Returns the number of bytes that a tensor takes once it is read.
fn claimed_bytes(tensor: &pytorch_reader::Tensor) -> u64 {
    let size = |side: &usize| u64::try_from(*side).unwrap_or(u64::MAX);
    let values = tensor.shape().iter().map(size).fold(1, u64::saturating_mul);
    values.saturating_mul(tensor.dtype().size() as u64)
}

/// Returns the tensors, and the hash that a conversion has stored.
fn read_safetensors(path: &Path, bytes: &[u8]) -> Result<(Tensors, Option<String>), ConvertError> {
    let broken = |error| ConvertError::NotACheckpoint {
        path: path.to_owned(),
        message: format!("neither a PyTorch archive nor safetensors: {error}"),
    };
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let noted = header.metadata().as_ref().and_then(|entries| entries.get(SOURCE_KEY).cloned());
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        let dtype = view.dtype();
        if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(number_format(path, name, format!("{dtype:?}")));
        }
        tensors.insert(
            name.to_owned(),
            CheckpointTensor { dtype, shape: view.shape().to_vec(), data: view.data().to_vec() },
        );
    }
    Ok((tensors, noted))
}

fn number_format(path: &Path, tensor: &str, format: String) -> ConvertError {
    ConvertError::NumberFormat { path: path.to_owned(), tensor: tensor.to_owned(), format }
}
