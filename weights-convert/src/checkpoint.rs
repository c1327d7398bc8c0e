//! A checkpoint in memory, whatever it was stored as.

use std::collections::BTreeMap;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::{Dtype, SafeTensors};
use sam2_model::weights::TensorShapes;

use crate::error::ConvertError;

/// Key under which the official files keep the state dict.
const STATE_DICT_KEY: &str = "model";
/// First bytes of a zip archive.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// One tensor: number format, shape, little-endian bytes in row-major order.
#[derive(Clone, Debug)]
pub struct CheckpointTensor {
    /// f32, f16 or bf16.
    pub dtype: Dtype,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// Values.
    pub data: Vec<u8>,
}

/// Tensors by their official names.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Sorted by name.
    pub tensors: BTreeMap<String, CheckpointTensor>,
}

impl Checkpoint {
    /// Reads a `.pt` archive or a safetensors file, told apart by their first bytes.
    ///
    /// # Errors
    /// [`ConvertError`] for an unreadable or damaged file or a tensor that is no float.
    pub fn read(path: &Path) -> Result<Self, ConvertError> {
        let mut start = [0; 4];
        std::fs::File::open(path)
            .and_then(|mut file| std::io::Read::read(&mut file, &mut start))
            .map_err(|source| ConvertError::Read { path: path.to_owned(), source })?;
        let tensors = if start == ZIP_MAGIC { read_pytorch(path) } else { read_safetensors(path) }?;
        Ok(Self { tensors })
    }

    /// Names and shapes.
    pub fn shapes(&self) -> TensorShapes {
        self.tensors.iter().map(|(name, t)| (name.clone(), t.shape.clone())).collect()
    }
}

type Tensors = BTreeMap<String, CheckpointTensor>;

fn read_pytorch(path: &Path) -> Result<Tensors, ConvertError> {
    let broken = |message: String| ConvertError::NotACheckpoint { path: path.to_owned(), message };
    let reader = PytorchReader::with_top_level_key(path, STATE_DICT_KEY)
        .map_err(|error| broken(error.to_string()))?;
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

fn read_safetensors(path: &Path) -> Result<Tensors, ConvertError> {
    let bytes = std::fs::read(path)
        .map_err(|source| ConvertError::Read { path: path.to_owned(), source })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| ConvertError::NotACheckpoint {
        path: path.to_owned(),
        message: format!("neither a PyTorch archive nor safetensors: {error}"),
    })?;
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
    Ok(tensors)
}

fn number_format(path: &Path, tensor: &str, format: String) -> ConvertError {
    ConvertError::NumberFormat { path: path.to_owned(), tensor: tensor.to_owned(), format }
}
