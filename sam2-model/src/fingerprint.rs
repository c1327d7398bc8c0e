//! Computes fingerprints that tell sets of weights apart.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::device_failure::DeviceFailure;
use crate::hexadecimal::hexadecimal;
use crate::network::Sam2Network;
use crate::weights::{Path, transpose};

/// Most values that wait to be digested, not counting the last tensor's: 32 MB.
const WAITING: usize = 8 << 20;

/// Returns the fingerprint of a network: see [`crate::Sam2::fingerprint`].
///
/// Parameters are taken in the order of their names. Each enters as the length of its name, its
/// name, the number of its dimensions, the dimensions, and the SHA-256 of its values. Numbers are
/// 64 bits wide, all little-endian.
pub(crate) fn of(network: &Sam2Network) -> Result<String, DeviceFailure> {
    let mut reader = Reader::default();
    network.visit(&mut reader);
    reader.digest_waiting();
    if let Some(error) = reader.failed {
        return Err(error);
    }
    let mut all = Sha256::new();
    for (name, (shape, digest)) in &reader.tensors {
        all.update((name.len() as u64).to_le_bytes());
        all.update(name);
        all.update((shape.len() as u64).to_le_bytes());
        shape.iter().for_each(|&side| all.update((side as u64).to_le_bytes()));
        all.update(digest);
    }
    Ok(hexadecimal(&all.finalize()))
}

/// Collects the shape and digest of every parameter under its official name.
#[derive(Default)]
struct Reader {
    path: Path,
    /// Values that have been read and wait to be digested.
    waiting: Vec<Waiting>,
    tensors: BTreeMap<String, (Vec<usize>, [u8; 32])>,
    failed: Option<DeviceFailure>,
}

struct Waiting {
    name: String,
    /// The shape as in PyTorch.
    shape: Vec<usize>,
    values: Vec<f32>,
    /// True if the values are those of the transposed matrix.
    transposed: bool,
}

impl Waiting {
    fn digest(self) -> (String, (Vec<usize>, [u8; 32])) {
        let Self { name, shape, mut values, transposed } = self;
        if transposed {
            values = transpose(&values, shape[1], |value| value);
        }
        let mut digest = Sha256::new();
        let mut bytes = Vec::new();
        for block in values.chunks(1 << 14) {
            bytes.clear();
            bytes.extend(block.iter().flat_map(|value| value.to_le_bytes()));
            digest.update(&bytes);
        }
        (name, (shape, digest.finalize().into()))
    }
}

impl Reader {
    /// Digests the waiting values on all cores.
    fn digest_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let digests: Vec<_> = waiting.into_par_iter().map(Waiting::digest).collect();
        self.tensors.extend(digests);
    }
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.official_name();
        let tensor = param.val();
        let mut shape = tensor.dims().to_vec();
        let values = match tensor.try_into_vec_as::<f32>() {
            Ok(values) => values,
            Err(error) => {
                self.failed = Some(DeviceFailure::from_message(&format!("{error:?}")));
                return;
            }
        };
        let transposed = self.path.is_linear_weight();
        if transposed {
            shape.reverse();
        }
        self.waiting.push(Waiting { name, shape, values, transposed });
        let values: usize = self.waiting.iter().map(|waiting| waiting.values.len()).sum();
        if values > WAITING {
            self.digest_waiting();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelVersion, Sam2Config, Variant};
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::Device;

    /// Adds a constant to the values of one loose parameter, or of none.
    struct Shift(f32);

    impl ModuleMapper for Shift {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let shift = self.0;
            param.map(|tensor| tensor.zeros_like() + shift)
        }
    }

    #[test]
    fn equal_weights_have_equal_fingerprints_and_others_another() {
        let config = Sam2Config::new(Variant::Micro, ModelVersion::V2_1);
        let filled = |value: f32| {
            of(&Sam2Network::init(&config, &Device::flex()).map(&mut Shift(value))).unwrap()
        };
        let zeros = filled(0.0);
        assert_eq!(zeros.len(), 64);
        assert_eq!(zeros, filled(0.0));
        assert_ne!(zeros, filled(1e-30));
        let other = Sam2Config::new(Variant::Micro, ModelVersion::V2_0);
        let other = Sam2Network::init(&other, &Device::flex()).map(&mut Shift(0.0));
        assert_ne!(zeros, of(&other).unwrap());
    }
}
