//! Reading official weights: names, shapes and number formats.
//!
//! A weights file is a safetensors file with the official state-dict keys and PyTorch's layouts
//! (linear weights `[out, in]`), in f32, f16 or bf16. Nothing is renamed on disk, so other programs
//! can read it too. The function `official_name` maps our fields to the official keys.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use safetensors::tensor::Dtype;

use crate::config::{ModelVersion, Sam2Config, Variant};
use crate::error::LoadError;
use crate::network::Sam2Network;
pub use crate::tensor_shapes::TensorShapes;
use crate::upload::upload;
use crate::weights_file::WeightsFile;

/// Number of problems listed before "and N more".
const MAX_PROBLEMS: usize = 5;

/// Recognises the model of a set of weights from tensor names and shapes alone.
///
/// # Errors
/// [`LoadError::UnknownVariant`] if the trunk does not match a known one.
pub fn recognise(shapes: &TensorShapes, origin: &str) -> Result<Sam2Config, LoadError> {
    let unknown = |reason: String| LoadError::UnknownVariant { origin: origin.to_owned(), reason };
    let patch = shapes
        .get("image_encoder.trunk.patch_embed.proj.weight")
        .ok_or_else(|| unknown("image_encoder.trunk.patch_embed.proj.weight is missing".into()))?;
    let embed_dim = patch.first().copied().unwrap_or(0);
    let depth = (0..)
        .take_while(|i| {
            shapes.contains_key(&format!("image_encoder.trunk.blocks.{i}.norm1.weight"))
        })
        .count();
    let version = if shapes.contains_key("no_obj_embed_spatial") {
        ModelVersion::V2_1
    } else {
        ModelVersion::V2_0
    };
    Variant::ALL
        .into_iter()
        .map(|variant| Sam2Config::new(variant, version))
        .find(|config| config.trunk.embed_dim == embed_dim && config.trunk.depth() == depth)
        .ok_or_else(|| unknown(format!("trunk of width {embed_dim} with {depth} blocks")))
}

/// One parameter that the checkpoint must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// Official state-dict key.
    pub name: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
}

/// Returns every tensor of the official state dict for `config`, in the network's order.
pub fn expected_tensors(config: &Sam2Config, device: &Device) -> Vec<ExpectedTensor> {
    let mut lister = Lister::default();
    Sam2Network::init(config, device).visit(&mut lister);
    lister.expected
}

/// Checks that a set of weights matches `config` exactly: no tensor is missing or unknown, and
/// every shape is right.
///
/// # Errors
/// [`LoadError::Mismatch`], which names the tensors.
pub fn check(shapes: &TensorShapes, config: &Sam2Config, origin: &str) -> Result<(), LoadError> {
    // Only shapes are needed: parameters stay uninitialised, so any device will do.
    let expected = expected_tensors(config, &Device::flex());
    let mut problems = Vec::new();
    for tensor in &expected {
        match shapes.get(&tensor.name) {
            None => problems.push(format!("missing tensor {}", tensor.name)),
            Some(found) if !is_same_layer(&tensor.shape, found) => problems
                .push(format!("{} has shape {found:?}, expected {:?}", tensor.name, tensor.shape)),
            Some(_) => {}
        }
    }
    for name in shapes.keys() {
        if !expected.iter().any(|tensor| tensor.name == *name) {
            problems.push(format!("unknown tensor {name}"));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    if problems.len() > MAX_PROBLEMS {
        let more = problems.len() - MAX_PROBLEMS;
        problems.truncate(MAX_PROBLEMS);
        problems.push(format!("and {more} more"));
    }
    Err(LoadError::Mismatch { origin: origin.to_owned(), config: config.to_string(), problems })
}

/// Returns true if the shapes are equal, or `found` is a 1 x 1 convolution that the network holds
/// as a linear map.
fn is_same_layer(expected: &[usize], found: &[usize]) -> bool {
    expected == found || (expected.len() == 2 && found == [expected[0], expected[1], 1, 1])
}

/// Replaces every parameter of a freshly built network with the weights, which [`check`] has
/// accepted.
///
/// # Errors
/// [`LoadError::NumberFormat`] if a tensor is not stored as f32, f16 or bf16,
/// [`LoadError::NotFinite`], and [`LoadError::Io`].
pub(crate) fn apply(
    network: Sam2Network,
    file: &WeightsFile<'_>,
    device: &Device,
) -> Result<Sam2Network, LoadError> {
    file.check_formats()?;
    let mut lister = Lister::default();
    network.visit(&mut lister);
    let read = lister.expected.into_par_iter().zip(lister.transposed).map_init(
        Vec::new,
        |buffer, (tensor, transposed)| {
            let values = values(file, &tensor.name, transposed, buffer)?;
            Ok((tensor.name, values))
        },
    );
    let values = read.collect::<Result<HashMap<_, _>, LoadError>>()?;
    let mut loader = Loader { path: Path::default(), values, device };
    Ok(network.map(&mut loader))
}

/// Returns the values of a tensor as the network holds them.
fn values(
    file: &WeightsFile<'_>,
    name: &str,
    transposed: bool,
    buffer: &mut Vec<u8>,
) -> Result<Vec<f32>, LoadError> {
    let info = file.info(name)?;
    let bytes = file.bytes(info, buffer)?;
    // A 1 x 1 convolution that is a linear map here has two more axes, of length one.
    let rows = info.shape.first().filter(|_| transposed).copied();
    let values = match info.dtype {
        Dtype::F16 => in_order(bytes, rows, |b| half::f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => in_order(bytes, rows, |b| half::bf16::from_le_bytes(b).to_f32()),
        _ => in_order(bytes, rows, f32::from_le_bytes),
    };
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(LoadError::NotFinite { origin: file.origin().to_owned(), tensor: name.to_owned() })
    }
}

/// Converts values of `N` bytes each. If `rows` is given, rows become columns.
fn in_order<const N: usize>(
    bytes: &[u8],
    rows: Option<usize>,
    number: impl Fn([u8; N]) -> f32,
) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<N>();
    match rows {
        None => numbers.iter().map(|bytes| number(*bytes)).collect(),
        Some(rows) => transpose(numbers, rows, number),
    }
}

/// The current position in a traversal of the network.
#[derive(Default)]
pub(crate) struct Path {
    fields: Vec<String>,
    containers: Vec<String>,
}

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.fields.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        self.fields.pop();
        self.containers.pop();
    }

    /// Returns the container that declares the current field.
    fn module(&self) -> &str {
        self.containers.iter().rev().find(|c| c.starts_with("Struct:")).map_or("", String::as_str)
    }

    /// Returns true for a linear weight, which PyTorch stores transposed.
    pub(crate) fn is_linear_weight(&self) -> bool {
        self.module() == "Struct:Linear" && self.fields.last().is_some_and(|f| f == "weight")
    }

    pub(crate) fn official_name(&self) -> String {
        official_name(&self.fields.join("."))
    }
}

/// Returns the official state-dict key of one of our fields.
fn official_name(path: &str) -> String {
    let mut name = path.to_owned();
    // Fields that are numbered layers of an nn.Sequential in the official code.
    const SEQUENTIALS: [(&str, &str); 8] = [
        ("mask_downscaling.conv1", "mask_downscaling.0"),
        ("mask_downscaling.norm1", "mask_downscaling.1"),
        ("mask_downscaling.conv2", "mask_downscaling.3"),
        ("mask_downscaling.norm2", "mask_downscaling.4"),
        ("mask_downscaling.conv3", "mask_downscaling.6"),
        ("output_upscaling.conv1", "output_upscaling.0"),
        ("output_upscaling.norm", "output_upscaling.1"),
        ("output_upscaling.conv2", "output_upscaling.3"),
    ];
    for (ours, theirs) in SEQUENTIALS {
        name = name.replace(ours, theirs);
    }
    for step in 0..4 {
        let steps = format!("mask_downsampler.steps.{step}");
        name = name
            .replace(&format!("{steps}.conv"), &format!("mask_downsampler.encoder.{}", 3 * step))
            .replace(
                &format!("{steps}.norm"),
                &format!("mask_downsampler.encoder.{}", 3 * step + 1),
            );
    }
    name.replace("mask_downsampler.out", "mask_downsampler.encoder.12")
}

/// Collects the parameters that the network needs.
#[derive(Default)]
struct Lister {
    path: Path,
    expected: Vec<ExpectedTensor>,
    /// For each parameter, true if the network holds it transposed.
    transposed: Vec<bool>,
}

impl ModuleVisitor for Lister {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut shape = param.lazy_shape().to_vec();
        let transposed = self.path.is_linear_weight();
        if transposed {
            shape.reverse();
        }
        self.transposed.push(transposed);
        self.expected.push(ExpectedTensor { name: self.path.official_name(), shape });
    }
}

/// Fills the network; shapes have already been checked.
struct Loader<'a> {
    path: Path,
    /// Values by official name.
    values: HashMap<String, Vec<f32>>,
    device: &'a Device,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Every parameter was listed and read.
        let Some(values) = self.values.remove(&self.path.official_name()) else { return param };
        let shape = param.lazy_shape().dims();
        Param::initialized(param.id, upload(values, shape, self.device))
    }
}

/// Transposes `[rows, columns]` to `[columns, rows]`, in squares that fit the cache.
pub(crate) fn transpose<T: Copy>(values: &[T], rows: usize, number: impl Fn(T) -> f32) -> Vec<f32> {
    /// Two cache lines.
    const SIDE: usize = 32;
    let columns = values.len() / rows.max(1);
    let mut out = vec![0.0; rows * columns];
    for row in (0..rows).step_by(SIDE) {
        for column in (0..columns).step_by(SIDE) {
            for row in row..(row + SIDE).min(rows) {
                let end = (column + SIDE).min(columns);
                let from = &values[row * columns + column..row * columns + end];
                for (column, value) in (column..end).zip(from) {
                    out[column * rows + row] = number(*value);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_official_state_dict() {
        let names: Vec<String> =
            expected_tensors(&Sam2Config::new(Variant::Tiny, ModelVersion::V2_1), &Device::flex())
                .into_iter()
                .map(|t| t.name)
                .collect();
        for name in [
            "maskmem_tpos_enc",
            "no_obj_embed_spatial",
            "image_encoder.trunk.blocks.1.proj.weight",
            "image_encoder.neck.convs.3.conv.bias",
            "memory_encoder.mask_downsampler.encoder.10.weight",
            "memory_encoder.mask_downsampler.encoder.12.bias",
            "memory_encoder.fuser.layers.1.gamma",
            "sam_prompt_encoder.mask_downscaling.6.weight",
            "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
            "sam_mask_decoder.output_upscaling.1.weight",
            "sam_mask_decoder.transformer.layers.1.norm4.bias",
            "obj_ptr_tpos_proj.weight",
        ] {
            assert!(names.iter().any(|n| n == name), "{name} is not among {names:#?}");
        }
    }

    #[test]
    fn transposes() {
        assert_eq!(transpose(&[1., 2., 3., 4., 5., 6.], 2, |x| x), [1., 4., 2., 5., 3., 6.]);
        let (rows, columns) = (70, 45);
        let values: Vec<f32> = (0..rows * columns).map(|at| at as f32).collect();
        let turned = transpose(&values, rows, |x| x);
        assert!(
            (0..rows * columns).all(|at| turned[at % columns * rows + at / columns] == at as f32)
        );
        assert_eq!(transpose(&turned, columns, |x| x), values);
        assert!(transpose::<f32>(&[], 0, |x| x).is_empty());
    }
}
