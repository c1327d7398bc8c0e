//! Reads the fixtures of `tests/parity/make_fixtures.py`.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use sam2_mask_writer::Mask;
use sam2_model::Tensor;

use crate::device::device;
use crate::repository_file;

/// One fixture file.
pub struct Fixture {
    bytes: Vec<u8>,
    metadata: HashMap<String, String>,
}

/// Elements `0, stride, 2 stride, ...` of a large tensor, with sums over the whole tensor.
pub struct Sampled {
    /// The sampled values.
    pub values: Vec<f32>,
    /// Distance between samples.
    pub stride: usize,
    /// Sum over all elements.
    pub sum: f64,
    /// Sum of magnitudes over all elements.
    pub abs_sum: f64,
}

impl Fixture {
    /// Opens `tests/parity/fixtures/NAME.safetensors`.
    pub fn open(name: &str) -> Self {
        Self::read(&repository_file(&format!("tests/parity/fixtures/{name}.safetensors")))
    }

    /// Opens any file in that format.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().clone().unwrap_or_default();
        Self { bytes, metadata }
    }

    /// Returns a metadata entry.
    pub fn meta(&self, key: &str) -> &str {
        self.metadata.get(key).unwrap_or_else(|| panic!("no metadata {key}"))
    }

    /// Returns an optional metadata entry.
    pub fn find_meta(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Returns a numeric metadata entry.
    pub fn number(&self, key: &str) -> f64 {
        self.meta(key).parse().unwrap()
    }

    /// Returns format, shape and little-endian bytes of a tensor.
    fn raw(&self, name: &str) -> (Dtype, Vec<usize>, Vec<u8>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|_| panic!("no tensor {name}"));
        (view.dtype(), view.shape().to_vec(), view.data().to_vec())
    }

    /// Returns the shape of a tensor.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.raw(name).1
    }

    /// Returns the values of a tensor as f32, whatever its format.
    pub fn values(&self, name: &str) -> Vec<f32> {
        let (dtype, _, data) = self.raw(name);
        match dtype {
            Dtype::F32 => {
                data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            Dtype::BF16 => data
                .chunks(2)
                .map(|b| half::bf16::from_le_bytes(b.try_into().unwrap()).to_f32())
                .collect(),
            Dtype::I64 => {
                data.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            Dtype::U8 => data.into_iter().map(f32::from).collect(),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Returns `length` values from `row * length` on, as f32.
    pub fn row(&self, name: &str, row: usize, length: usize) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|_| panic!("no tensor {name}"));
        let size = view.dtype().bitsize() / 8;
        let data = &view.data()[row * length * size..(row + 1) * length * size];
        match view.dtype() {
            Dtype::F32 => {
                data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            Dtype::BF16 => data
                .chunks(2)
                .map(|b| half::bf16::from_le_bytes(b.try_into().unwrap()).to_f32())
                .collect(),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Returns the bytes of a U8 tensor.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.raw(name).2
    }

    /// Returns the values of an I64 tensor as indices.
    pub fn indices(&self, name: &str) -> Vec<usize> {
        self.values(name).into_iter().map(|v| v as usize).collect()
    }

    /// Returns a tensor on the device of the tests.
    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape: [usize; D] = self.shape(name).try_into().unwrap();
        to_tensor(&self.values(name), shape)
    }

    /// Returns a sampled tensor: `NAME.sampled`.
    pub fn sampled(&self, name: &str) -> Sampled {
        Sampled {
            values: self.values(&format!("{name}.sampled")),
            stride: self.number(&format!("{name}.stride")) as usize,
            sum: self.number(&format!("{name}.sum")),
            abs_sum: self.number(&format!("{name}.abs_sum")),
        }
    }

    /// Returns row `index` of a stack of bit-packed masks (`np.packbits`, row-major).
    pub fn packed_mask(&self, name: &str, index: usize, width: u32, height: u32) -> Mask {
        let count = (width * height) as usize;
        let row = count.div_ceil(8);
        let bytes = &self.bytes(name)[index * row..(index + 1) * row];
        let bit = |i: usize| bytes[i / 8] >> (7 - i % 8) & 1 == 1;
        Mask::from_pixels(width, height, (0..count).map(bit)).unwrap()
    }
}

/// Makes a tensor of values on the device of the tests.
pub fn to_tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::<1>::from_floats(values, &device()).reshape(shape)
}

/// Returns the values of a tensor.
pub fn to_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().unwrap()
}
