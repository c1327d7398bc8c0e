//! Selects the weights that are kept in half precision.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

use crate::network::Sam2Network;
use crate::weights::Path;

/// Names of the parts that do nearly all of the arithmetic and in which the input of every product
/// has been normed: the blocks of the trunk and the memory attention. The rest (first convolution,
/// pyramid, prompts, mask decoder, memory encoder) stays in f32: it is 3 % of the work of the large
/// model, its inputs are not normed, and it makes the mask logits.
const PLACES: [&str; 2] = ["image_encoder.trunk.blocks.", "memory_attention.layers."];

/// Returns the network with the weights of its large products in `format`. Biases and norms stay in
/// f32.
pub(crate) fn with_products_in(network: Sam2Network, format: FloatDType) -> Sam2Network {
    network.map(&mut Caster { path: Path::default(), format })
}

/// Returns true if the weight with this official name belongs to a large product.
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
            // Cast as a vector, so that rows get no gaps, as in `upload`.
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
