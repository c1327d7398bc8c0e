//! Layers that are merged for GPUs when a model is loaded. Layers with the same input become one
//! product, and so does a linear map of a linear map.
//!
//! A launch costs the host some ten microseconds whatever it does, and a wide product uses a GPU
//! better than three narrow ones. On the CPU nothing is gained, so nothing is packed there. Merged
//! weights are computed in f64.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};

use crate::device_failure::DeviceFailure;
use crate::read_back::read_together;
use crate::upload::upload;

/// Merges layers into one that has all their outputs, in order. A part without a layer gives
/// outputs that are zero.
pub(crate) fn side_by_side(
    layers: &[Part<'_>],
    format: FloatDType,
) -> Result<Linear, DeviceFailure> {
    let parts = layers.iter().map(Part::read).collect::<Result<Vec<_>, _>>()?;
    let inputs = parts.iter().map(|part| part.inputs).max().unwrap_or(0);
    let outputs = parts.iter().map(|part| part.outputs).sum();
    let mut weight = Vec::with_capacity(inputs * outputs);
    for input in 0..inputs {
        for part in &parts {
            match part.weight.get(input * part.outputs..(input + 1) * part.outputs) {
                Some(row) => weight.extend_from_slice(row),
                None => weight.extend(std::iter::repeat_n(0.0, part.outputs)),
            }
        }
    }
    let bias = parts.iter().flat_map(|part| part.bias.iter().copied()).collect();
    Ok(Numbers { inputs, outputs, weight, bias }.layer(layers, format))
}

/// Merges `second` after `first` into one layer.
pub(crate) fn one_after_the_other(
    first: &Linear,
    second: &Linear,
    format: FloatDType,
) -> Result<Linear, DeviceFailure> {
    let parts = [Part::All(first), Part::All(second)];
    let [a, b] = [parts[0].read()?, parts[1].read()?];
    let through = |row: &[f64]| -> Vec<f64> {
        let mut out = vec![0.0; b.outputs];
        for (x, weights) in row.iter().zip(b.weight.chunks_exact(b.outputs)) {
            out.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
        out
    };
    let weight = a.weight.chunks_exact(a.outputs).flat_map(through).collect();
    let bias = through(&a.bias).iter().zip(&b.bias).map(|(sum, bias)| sum + bias).collect();
    let numbers = Numbers { inputs: a.inputs, outputs: b.outputs, weight, bias };
    Ok(numbers.layer(&parts, format))
}

/// A layer that becomes a part of another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    /// Weight and bias.
    All(&'a Linear),
    /// Only the weight.
    WithoutBias(&'a Linear),
    /// No layer: this number of outputs that are zero.
    Nothing(usize),
}

/// A layer's values: weight `[inputs, outputs]`, row-major, and bias.
struct Numbers {
    inputs: usize,
    outputs: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Part<'_> {
    fn read(&self) -> Result<Numbers, DeviceFailure> {
        let layer = match self {
            Self::All(layer) | Self::WithoutBias(layer) => layer,
            Self::Nothing(outputs) => {
                let (outputs, bias) = (*outputs, vec![0.0; *outputs]);
                return Ok(Numbers { inputs: 0, outputs, weight: Vec::new(), bias });
            }
        };
        let [inputs, outputs] = layer.weight.dims();
        let flat = |tensor: Tensor<1>| tensor.cast(FloatDType::F32);
        let mut tensors = vec![flat(layer.weight.val().reshape([inputs * outputs]))];
        let bias = layer.bias.as_ref().filter(|_| matches!(self, Self::All(_)));
        tensors.extend(bias.map(|bias| flat(bias.val())));
        let mut read = read_together(tensors)?
            .into_iter()
            .map(|values| values.into_iter().map(f64::from).collect::<Vec<_>>());
        let weight = read.next().unwrap_or_default();
        let bias = read.next().unwrap_or_else(|| vec![0.0; outputs]);
        Ok(Numbers { inputs, outputs, weight, bias })
    }

    fn layer(&self) -> Option<&Linear> {
        match self {
            Self::All(layer) | Self::WithoutBias(layer) => Some(layer),
            Self::Nothing(_) => None,
        }
    }
}

impl Numbers {
    /// Makes a layer on the device of its parts, with its weight in `format`.
    fn layer(self, next_to: &[Part<'_>], format: FloatDType) -> Linear {
        let Self { inputs, outputs, weight, bias } = self;
        let device = next_to.iter().find_map(Part::layer).map(|layer| layer.weight.device());
        let device = device.unwrap_or_default();
        let tensor = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        let (weight, bias): (Vec<f32>, Vec<f32>) = (tensor(weight), tensor(bias));
        // Cast as a vector, so that rows still have no gaps.
        let weight = upload(weight, [inputs * outputs], &device).cast(format);
        let (weight, bias) = (weight.reshape([inputs, outputs]), upload(bias, [outputs], &device));
        Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::FusedLinear;
    use crate::noise::noise;
    use burn::nn::LinearConfig;

    fn layer(inputs: usize, outputs: usize) -> Linear {
        let mut layer = LinearConfig::new(inputs, outputs).init(&burn::tensor::Device::flex());
        layer.bias = layer.bias.map(|bias| bias.map(|_| noise([outputs])));
        layer
    }

    fn off<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn layers_side_by_side_give_what_each_gives() {
        let (a, b) = (layer(6, 4), layer(6, 2));
        let parts = [Part::All(&a), Part::Nothing(3), Part::WithoutBias(&b)];
        let packed = side_by_side(&parts, FloatDType::F32).unwrap();
        let x = noise([5, 6]);
        let out = FusedLinear::new(&packed).forward(x.clone());
        assert_eq!(out.dims(), [5, 9]);
        let part = |range| out.clone().slice_dim(1, range);
        assert!(off(part(0..4), FusedLinear::new(&a).forward(x.clone())) < 1e-6);
        assert_eq!(part(4..7).abs().max().into_scalar::<f32>(), 0.0);
        let bias = b.bias.as_ref().unwrap().val().unsqueeze();
        assert!(off(part(7..9), FusedLinear::new(&b).forward(x) - bias) < 1e-6);
    }

    #[test]
    fn a_layer_of_a_layer_gives_what_both_give() {
        let (a, b) = (layer(6, 8), layer(8, 3));
        let packed = one_after_the_other(&a, &b, FloatDType::F32).unwrap();
        let x = noise([5, 6]);
        let both = FusedLinear::new(&b).forward(FusedLinear::new(&a).forward(x.clone()));
        assert!(off(FusedLinear::new(&packed).forward(x), both) < 1e-5);
    }
}
