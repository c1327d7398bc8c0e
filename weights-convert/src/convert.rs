//! The conversion: read a checkpoint, check it against the network, write it.

use std::io::Write;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::Dtype;
use sam2_mask_writer::{OutputFile, WriteError, fault_point};
use sam2_model::{Sam2Config, hexadecimal, weights};
use sha2::{Digest, Sha256};

use crate::checkpoint::{Checkpoint, CheckpointTensor};
use crate::digest::DigestRecord;
use crate::error::ConvertError;

/// Number format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StoredPrecision {
    /// Same as in the input.
    #[default]
    Keep,
    /// f32: 4 bytes per value.
    F32,
    /// f16: 2 bytes per value, 11 significant bits.
    F16,
    /// bf16: 2 bytes per value, 8 significant bits.
    Bf16,
}

/// The result of a conversion.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConvertReport {
    /// The model the weights are for.
    pub config: Sam2Config,
    /// Number of tensors.
    pub tensors: usize,
    /// Number of values in all tensors.
    pub parameters: usize,
    /// Size of the output in bytes.
    pub bytes: u64,
    /// SHA-256 of the output, in hexadecimal.
    pub sha256: String,
}

/// Converts an official `.pt` file, or a safetensors file with the official or Hugging Face's
/// names, to safetensors with the official names.
///
/// The configuration is recognised from the tensors unless given. The output appears under its name
/// only when it is complete.
///
/// # Errors
/// [`ConvertError`]. It names a tensor that is missing, unknown or has the wrong shape.
pub fn convert(
    input: &Path,
    output: &Path,
    precision: StoredPrecision,
    config: Option<Sam2Config>,
    overwrite: bool,
) -> Result<ConvertReport, ConvertError> {
    if output.exists() && !overwrite {
        return Err(ConvertError::OutputExists(output.to_owned()));
    }
    let origin = input.display().to_string();
    let mut checkpoint = Checkpoint::read(input)?;
    let shapes = checkpoint.shapes();
    let config = match config {
        Some(config) => config,
        None => weights::recognise(&shapes, &origin)?,
    };
    weights::check(&shapes, &config, &origin)?;
    for (name, tensor) in &mut checkpoint.tensors {
        if !store_as(tensor, precision) {
            return Err(ConvertError::TooLarge { path: input.to_owned(), tensor: name.clone() });
        }
    }
    let parameters = shapes.values().map(|shape| shape.iter().product::<usize>()).sum();
    let (bytes, sha256) = write(&checkpoint, output, overwrite)?;
    Ok(ConvertReport { config, tensors: shapes.len(), parameters, bytes, sha256 })
}

/// Writes the output and returns its size and its SHA-256.
fn write(
    checkpoint: &Checkpoint,
    output: &Path,
    overwrite: bool,
) -> Result<(u64, String), ConvertError> {
    let file = OutputFile::create(output, overwrite).map_err(of_output)?;
    let failed = |source| of_output(file.io_error(source));
    let bytes = checkpoint
        .to_safetensors()
        .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    file.file().write_all(&bytes).map_err(failed)?;
    fault_point("weights written");
    let complete = file.complete().map_err(of_output)?;
    // A record of the previous file says nothing about the new one.
    let _ = std::fs::remove_file(DigestRecord::path_for(output));
    fault_point("digest removed");
    complete.publish().map_err(of_output)?;
    Ok((bytes.len() as u64, hexadecimal(&Sha256::digest(&bytes))))
}

fn of_output(error: WriteError) -> ConvertError {
    match error {
        WriteError::Exists(path) => ConvertError::OutputExists(path),
        WriteError::Io { path, source } => ConvertError::Write { path, source },
        other => ConvertError::Output(other),
    }
}

/// Re-encodes a tensor's values; returns false if one of them is too large for the format.
fn store_as(tensor: &mut CheckpointTensor, precision: StoredPrecision) -> bool {
    let target = match precision {
        StoredPrecision::Keep => return true,
        StoredPrecision::F32 => Dtype::F32,
        StoredPrecision::F16 => Dtype::F16,
        StoredPrecision::Bf16 => Dtype::BF16,
    };
    if tensor.dtype == target {
        return true;
    }
    let values = values(tensor);
    let fits = |value: f32| target != Dtype::F16 || f16::from_f32(value).is_finite();
    if !values.iter().copied().filter(|value| value.is_finite()).all(fits) {
        return false;
    }
    tensor.data = match target {
        Dtype::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    tensor.dtype = target;
    true
}

fn values(tensor: &CheckpointTensor) -> Vec<f32> {
    let bytes = &tensor.data;
    match tensor.dtype {
        Dtype::F16 => {
            bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
        Dtype::BF16 => {
            bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
        _ => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    }
}
