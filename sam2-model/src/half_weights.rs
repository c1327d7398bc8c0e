//! Which weights are kept in half precision.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

use crate::network::Sam2Network;
use crate::weights::Path;

/// Where nearly all of the arithmetic is, and where every input of a product has been normed before: the blocks of the trunk and the memory attention.
/// The rest (first convolution, pyramid, prompts, mask decoder, memory encoder) is 3 % of the work of the large model, takes in numbers that nobody has
/// normed, and makes the mask logits: it stays in f32.
const PLACES: [&str; 2] = ["image_encoder.trunk.blocks.", "memory_attention.layers."];

/// The network with the weights of its large products in `format`. Biases and norms stay in f32.
pub(crate) fn with_products_in(network: Sam2Network, format: FloatDType) -> Sam2Network {
    network.map(&mut Caster { path: Path::default(), format })
}

/// Whether the weight of this official name is among them.
pub(crate) fn is_of_a_large_product(name: &str) -> bool {
    PLACES.iter().any(|place| name.starts_with(place))
}

struct Caster {
    path: Path,
    format: FloatDType,
}

impl ModuleMapper for Caster {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let format = self.format;
        if self.path.is_linear_weight() && is_of_a_large_product(&self.path.official_name()) {
            // As a vector, so that rows get no gaps, as in `upload`.
            param.map(|weight| {
                let shape = weight.dims();
                let count: usize = shape.iter().product();
                weight.reshape([count]).cast(format).reshape(shape)
            })
        } else {
            param
        }
    }
}
