//! The textbook formula of linear layers, and the comparison with it.

use super::{erf, noise};
use crate::activation::Activation;
use crate::chain::{Chain, Layer};
use crate::norm::Norm;

/// Computes the textbook formula in f64. Each value goes through `round` before it becomes a
/// factor.
fn reference(chain: &Chain<'_>, round: impl Fn(f64) -> f64) -> Vec<f64> {
    let inputs = chain.layers[0].inputs;
    let mut values: Vec<f64> = chain.x.iter().map(|&x| f64::from(x)).collect();
    if let Some(Norm { weight, bias, epsilon }) = chain.norm {
        for row in values.chunks_exact_mut(inputs) {
            let mean = row.iter().sum::<f64>() / inputs as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / inputs as f64;
            for (i, x) in row.iter_mut().enumerate() {
                let normed = (*x - mean) / (variance + f64::from(epsilon)).sqrt();
                *x = normed * f64::from(weight[i]) + f64::from(bias[i]);
            }
        }
    }
    for layer in chain.layers {
        let Layer { weight, inputs, outputs, .. } = *layer;
        let weight: Vec<f64> = weight.iter().map(|&w| round(f64::from(w))).collect();
        let mut out = Vec::with_capacity(values.len() / inputs * outputs);
        for row in values.chunks_exact(inputs) {
            let row: Vec<f64> = row.iter().map(|&x| round(x)).collect();
            for column in 0..outputs {
                let products = (0..inputs).map(|i| row[i] * weight[i * outputs + column]);
                let mut y: f64 = products.sum();
                y += layer.bias.map_or(0.0, |bias| f64::from(bias[column]));
                y = match layer.activation {
                    Activation::Identity => y,
                    Activation::Relu => y.max(0.0),
                    Activation::Gelu => y / 2.0 * (1.0 + erf(y / 2.0_f64.sqrt())),
                };
                y *= layer.scale.map_or(1.0, |scale| f64::from(scale[column]));
                y += layer.add.map_or(0.0, |add| f64::from(add[out.len() % add.len()]));
                out.push(y);
            }
        }
        values = out;
    }
    values
}

/// Runs a chain of noise through layers of `widths`, with the surrounding steps that the bits
/// of `choice` select, and compares each result. `bar` is the tolerance for sums of terms below
/// one. In addition, one part in `precision` of a layer's input may be off.
pub(crate) fn check(
    run: impl Fn(Chain<'_>) -> Option<Vec<f32>>,
    round: impl Fn(f64) -> f64,
    precision: f64,
    rows: usize,
    widths: &[usize],
    choice: u32,
) {
    let mut seed = 0;
    let mut fresh = |length: usize, size: f32| -> Vec<f32> {
        seed += 1;
        noise(length, seed).into_iter().map(|x| x * size).collect()
    };
    let has = |bit: u32| choice >> bit & 1 == 1;
    let x = fresh(rows * widths[0], 1.0);
    let (norm_weight, norm_bias) = (fresh(widths[0], 1.0), fresh(widths[0], 1.0));
    let repeated = if rows.is_multiple_of(2) { rows / 2 } else { rows };
    struct Parts {
        weight: Vec<f32>,
        bias: Vec<f32>,
        scale: Vec<f32>,
        add: Vec<f32>,
    }
    let parts: Vec<Parts> = widths
        .windows(2)
        .map(|pair| Parts {
            // Keeps the results of each layer about as large as its inputs.
            weight: fresh(pair[0] * pair[1], (3.0 / pair[0] as f32).sqrt()),
            bias: fresh(pair[1], 1.0),
            scale: fresh(pair[1], 1.0),
            add: fresh(repeated * pair[1], 1.0),
        })
        .collect();
    let layers: Vec<Layer<'_>> = parts
        .iter()
        .zip(widths.windows(2))
        .map(|(parts, pair)| Layer {
            weight: &parts.weight,
            inputs: pair[0],
            outputs: pair[1],
            bias: has(1).then_some(&parts.bias),
            activation: [Activation::Identity, Activation::Relu, Activation::Gelu]
                [(choice >> 2) as usize % 3],
            scale: has(4).then_some(&parts.scale),
            add: has(5).then_some(&parts.add),
        })
        .collect();
    let norm = has(0).then_some(Norm { weight: &norm_weight, bias: &norm_bias, epsilon: 1e-5 });
    let chain = Chain { x: &x, norm, layers: &layers };
    let ours = run(chain).unwrap();
    let expected = reference(&chain, round);
    assert_eq!(ours.len(), expected.len());
    for (at, (a, b)) in ours.iter().zip(expected).enumerate() {
        let off = (f64::from(*a) - b).abs();
        assert!(
            off < precision * layers.len() as f64,
            "{rows} x {widths:?}, {choice}: {a}, not {b}, at {at}"
        );
    }
}

/// Rows and widths of single layers and chains of SAM 2.
pub(crate) const SAM_2_SHAPES: [(usize, &[usize]); 9] = [
    (256, &[64, 256]),
    (100, &[256, 768]),
    (8, &[256, 2048]),
    (130, &[2048, 256]),
    (300, &[36, 16]),
    (1, &[1, 1]),
    (520, &[96, 384, 96]),
    (70, &[192, 768, 192]),
    (4, &[256, 256, 256, 32]),
];
