//! The feature pyramid on top of the trunk (`FpnNeck` in `modeling/backbones/image_encoder.py`).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor};

use crate::device_failure::DeviceFailure;
use crate::kernels::{FusedLinear, fused_linear_chain};
use crate::packed::one_after_the_other;

/// One lateral 1 x 1 convolution, as a linear layer over channels-last tokens: the product is the
/// same, and the trunk's output already has this layout.
#[derive(Module, Debug)]
struct Lateral {
    conv: Linear,
}

/// Lateral convolutions, lowest resolution first, as in the checkpoint.
#[derive(Module, Debug)]
pub struct FpnNeck {
    convs: Vec<Lateral>,
    /// On a GPU: each of the maps of strides 4 and 8, together with the mask decoder's projection
    /// of it, as one product.
    #[module(skip)]
    projected: Option<[Linear; 2]>,
}

impl FpnNeck {
    /// Builds the neck for stages of these widths, high resolution first, with `hidden_dim` output
    /// channels.
    pub fn init(stage_channels: [usize; 4], hidden_dim: usize, device: &Device) -> Self {
        let convs = stage_channels
            .into_iter()
            .rev()
            .map(|width| Lateral { conv: LinearConfig::new(width, hidden_dim).init(device) })
            .collect();
        Self { convs, projected: None }
    }

    /// Merges each of the first two maps' layers with the linear map that follows it, for a GPU
    /// (see [`crate::packed`]).
    pub(crate) fn pack(&mut self, [stride_4, stride_8]: [&Linear; 2]) -> Result<(), DeviceFailure> {
        let together = |index: usize, further| {
            one_after_the_other(&self.convs[index].conv, further, FloatDType::F32)
        };
        self.projected = Some([together(3, stride_4)?, together(2, stride_8)?]);
        Ok(())
    }

    /// Turns the outputs of the four stages into the three maps that SAM 2 uses, of strides 4, 8
    /// and 16. All are channels last.
    ///
    /// Only the stride-16 map receives top-down features (from stride 32, nearest neighbour); the
    /// stride-32 map itself is dropped (`scalp: 1`).
    pub fn forward(&self, stages: [Tensor<4>; 4]) -> [Tensor<4>; 3] {
        self.maps(stages, [&[&self.convs[3].conv], &[&self.convs[2].conv]])
    }

    /// Does the same and applies a further linear map to the channels of each of the first two
    /// maps. SAM 2 uses those maps for nothing else (`forward_image` in `modeling/sam2_base.py`),
    /// and the first takes 67 MB before its projection.
    pub fn forward_projected(
        &self,
        stages: [Tensor<4>; 4],
        [stride_4, stride_8]: [&Linear; 2],
    ) -> [Tensor<4>; 3] {
        match &self.projected {
            Some([first, second]) => self.maps(stages, [&[first], &[second]]),
            None => {
                let [first, second] = [&self.convs[3].conv, &self.convs[2].conv];
                self.maps(stages, [&[first, stride_4], &[second, stride_8]])
            }
        }
    }

    /// Computes the three maps. `layers` are the layers of the first two maps, in order.
    fn maps(
        &self,
        [stride_4, stride_8, stride_16, stride_32]: [Tensor<4>; 4],
        layers: [&[&Linear]; 2],
    ) -> [Tensor<4>; 3] {
        let lateral = |index: usize| FusedLinear::new(&self.convs[index].conv);
        let chain = |layers: &[&Linear], x: Tensor<4>| {
            let layers: Vec<_> = layers.iter().map(|layer| FusedLinear::new(layer)).collect();
            fused_linear_chain(&layers, x)
        };
        let coarse = upsample_nearest_2x(lateral(0).forward(stride_32));
        [
            chain(layers[0], stride_4),
            chain(layers[1], stride_8),
            lateral(1).plus(&coarse).forward(stride_16),
        ]
    }
}

/// Doubles the height and width of `[batch, height, width, channels]` by repetition.
fn upsample_nearest_2x(x_bhwc: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, channels] = x_bhwc.dims();
    x_bhwc
        .reshape([batch * height, 1, width, 1, channels])
        .expand([batch * height, 2, width, 2, channels])
        .reshape([batch, 2 * height, 2 * width, channels])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_doubles_rows_and_columns() {
        let device = Device::flex();
        let x = Tensor::<1>::from_data([1.0, 2.0, 3.0, 4.0], &device).reshape([1, 2, 2, 1]);
        let y: Vec<f32> = upsample_nearest_2x(x).into_data().try_to_vec().unwrap();
        let expected = [1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.];
        assert_eq!(y, expected);
    }
}
