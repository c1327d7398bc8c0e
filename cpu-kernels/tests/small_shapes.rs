//! Every kernel through the public functions, at sizes that end within a vector, a register tile and
//! a block, on every tier: also those that the processor lacks, for which another one stands in.
//!
//! Miri runs them too, at the smallest of these sizes: it checks every access to memory and looks for
//! data races between the threads (`make miri`).

#![allow(clippy::unwrap_used)]

use sam2_cpu_kernels::*;

/// Returns values in -1..1 without a visible pattern.
fn values(length: usize, seed: usize) -> Vec<f32> {
    (0..length).map(|i| ((i + 37 * seed) * 7919 % 1013) as f32 / 506.5 - 1.0).collect()
}

/// True under Miri, which takes a second for a few hundred thousand products.
const INTERPRETED: bool = cfg!(miri);

/// Returns every tier, or under Miri, to which they are all the same, one of them.
fn tiers() -> impl Iterator<Item = CpuTier> {
    CpuTier::ALL.into_iter().take(if INTERPRETED { 1 } else { CpuTier::ALL.len() })
}

fn assert_close(tier: CpuTier, ours: &[f32], expected: &[f64], bar: f64) {
    assert_eq!(ours.len(), expected.len(), "{tier}");
    for (at, (a, b)) in ours.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - b).abs() < bar, "{tier}: {a}, not {b}, at {at}");
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Computes `rows x weight + bias`, with `weight` `[inputs, outputs]`.
fn product(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
    let (x, weight, bias) = (wide(x), wide(weight), wide(bias));
    let row = |row: &[f64]| -> Vec<f64> {
        let sum = |column: usize| -> f64 {
            row.iter().enumerate().map(|(i, x)| x * weight[i * outputs + column]).sum()
        };
        (0..outputs).map(|column| sum(column) + bias[column]).collect()
    };
    x.chunks_exact(inputs).flat_map(row).collect()
}

#[test]
fn linear_layers() {
    // The last one is divided among threads.
    let shapes: &[[usize; 3]] = if INTERPRETED {
        &[[1, 1, 1], [5, 3, 7], [16, 9, 33], [13, 35, 34]]
    } else {
        &[[1, 1, 1], [5, 3, 7], [27, 9, 37], [16, 33, 41], [65, 64, 66]]
    };
    for &[rows, inputs, outputs] in shapes {
        let (x, weight, bias) =
            (values(rows * inputs, 1), values(inputs * outputs, 2), values(outputs, 3));
        let expected = product(&x, &weight, &bias);
        let layer = Layer {
            weight: &weight,
            inputs,
            outputs,
            bias: Some(&bias),
            activation: Activation::Identity,
            scale: None,
            add: None,
        };
        let chain = Chain { x: &x, norm: None, layers: &[layer] };
        for tier in tiers() {
            assert_close(tier, &linear(tier, chain).unwrap(), &expected, 2e-5);
            if let Some(rounded) = linear_in_bf16(tier, chain) {
                // Both factors of each product have a relative error of 2^-9.
                assert_close(tier, &rounded, &expected, inputs as f64 / 256.0);
            } else {
                assert!(rows < 16, "{tier}");
            }
        }
    }
}

#[test]
fn chains_with_everything() {
    let (rows, widths) = if INTERPRETED { (6, [5, 18, 3]) } else { (18, [19, 34, 3]) };
    let (x, norm) = (values(rows * widths[0], 1), [values(widths[0], 2), values(widths[0], 3)]);
    let parts: Vec<[Vec<f32>; 4]> = widths
        .windows(2)
        .map(|pair| {
            let [inputs, outputs] = [pair[0], pair[1]];
            [inputs * outputs, outputs, outputs, rows / 2 * outputs].map(|length| values(length, 4))
        })
        .collect();
    let layers: Vec<Layer<'_>> = parts
        .iter()
        .zip(widths.windows(2))
        .map(|([weight, bias, scale, add], pair)| Layer {
            weight,
            inputs: pair[0],
            outputs: pair[1],
            bias: Some(bias),
            activation: Activation::Gelu,
            scale: Some(scale),
            add: Some(add),
        })
        .collect();
    let norm = Some(Norm { weight: &norm[0], bias: &norm[1], epsilon: 1e-5 });
    let chain = Chain { x: &x, norm, layers: &layers };
    let plain = linear(CpuTier::Generic, chain).unwrap();
    for tier in tiers() {
        assert_close(tier, &linear(tier, chain).unwrap(), &wide(&plain), 1e-4);
        if !INTERPRETED {
            assert_close(tier, &linear_in_bf16(tier, chain).unwrap(), &wide(&plain), 0.2);
        }
    }
}

/// Computes attention of row-major heads.
fn attended(q: &[f32], k: &[f32], v: &[f32], [heads, n, m, d, width]: [usize; 5]) -> Vec<f64> {
    let mut out = vec![0.0; n * heads * width];
    let (q, k, v) = (wide(q), wide(k), wide(v));
    for (head, query) in (0..heads).flat_map(|head| (0..n).map(move |query| (head, query))) {
        let row = &q[(head * n + query) * d..][..d];
        let dot = |key: usize| -> f64 {
            let key = &k[(head * m + key) * d..][..d];
            row.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() / (d as f64).sqrt()
        };
        let weights: Vec<f64> = (0..m).map(|key| dot(key).exp()).collect();
        let total: f64 = weights.iter().sum();
        for channel in 0..width {
            let sum: f64 =
                (0..m).map(|key| weights[key] * v[(head * m + key) * width + channel]).sum();
            out[(query * heads + head) * width + channel] = sum / total;
        }
    }
    out
}

#[test]
fn attention_of_heads() {
    // The last one is too large for one task, so its keys are rearranged by several threads.
    let shapes: &[[usize; 5]] = if INTERPRETED {
        &[[1, 1, 1, 1, 1], [2, 5, 9, 9, 5], [1, 17, 20, 3, 5], [2, 14, 70, 9, 5]]
    } else {
        &[[1, 1, 1, 1, 1], [2, 17, 35, 9, 5], [1, 13, 200, 8, 20], [1, 14, 1700, 21, 19]]
    };
    for &shape in shapes {
        let [heads, n, m, d, width] = shape;
        let (q, k, v) =
            (values(heads * n * d, 1), values(heads * m * d, 2), values(heads * m * width, 3));
        let view = |data, tokens, channels| {
            let strides = [heads * tokens * channels, tokens * channels, channels, 1];
            let shape = [1, heads, tokens, channels];
            HeadsView::new(data, 0, shape, strides.map(|by| by as isize)).unwrap()
        };
        let (queries, keys, of_values) = (view(&q, n, d), view(&k, m, d), view(&v, m, width));
        let expected = attended(&q, &k, &v, shape);
        for tier in tiers() {
            let ours = attention(tier, queries, keys, of_values).unwrap();
            assert_close(tier, &ours, &expected, 1e-5);
            if let Some(rounded) = attention_in_bf16(tier, queries, keys, of_values) {
                assert_close(tier, &rounded, &expected, 2e-2);
            } else {
                assert!(n < 16, "{tier}");
            }
        }
    }
}

#[test]
fn attention_in_windows() {
    // Two maps of 5 x 7 tokens in windows of 3 x 3 and of 4 x 4, which reach beyond the edges. Miri
    // has smaller ones.
    let (maps, height, width, heads, d) =
        if INTERPRETED { (2, 3, 4, 1, 3) } else { (2, 5, 7, 2, 6) };
    let channels = heads * d;
    let qkv = values(maps * height * width * 3 * channels, 1);
    let outside = values(3 * channels, 2);
    for side in if INTERPRETED { 2..3 } else { 3..5 } {
        let grid = WindowGrid::new(side, [height, width]).unwrap();
        let part = |index: usize| {
            let outside = &outside[index * channels..(index + 1) * channels];
            let shape = [maps, heads, d];
            HeadsView::in_windows(&qkv, index * channels, 3 * channels, &grid, shape, Some(outside))
                .unwrap()
        };
        // One window of one head at a time, copied.
        let mut expected = vec![0.0; maps * height * width * channels];
        let windows = height.div_ceil(side) * width.div_ceil(side);
        for (window, head) in (0..maps * windows).flat_map(|w| (0..heads).map(move |h| (w, h))) {
            let (map, window) = (window / windows, window % windows);
            let corner = [window / width.div_ceil(side), window % width.div_ceil(side)];
            let places: Vec<Option<usize>> = (0..side * side)
                .map(|token| {
                    let (y, x) = (corner[0] * side + token / side, corner[1] * side + token % side);
                    (y < height && x < width).then_some((map * height + y) * width + x)
                })
                .collect();
            let copy = |index: usize| -> Vec<f32> {
                let of_head = index * channels + head * d;
                let token = |place: &Option<usize>| match place {
                    Some(place) => qkv[place * 3 * channels + of_head..][..d].to_vec(),
                    None => outside[of_head..][..d].to_vec(),
                };
                places.iter().flat_map(token).collect()
            };
            let tokens = side * side;
            let rows = attended(&copy(0), &copy(1), &copy(2), [1, tokens, tokens, d, d]);
            for (place, row) in places.iter().zip(rows.chunks_exact(d)) {
                if let Some(place) = place {
                    expected[place * channels + head * d..][..d].copy_from_slice(row);
                }
            }
        }
        for tier in tiers() {
            let ours = attention(tier, part(0), part(1), part(2)).unwrap();
            assert_close(tier, &ours, &expected, 1e-5);
            if INTERPRETED {
                continue;
            }
            if let Some(rounded) = attention_in_bf16(tier, part(0), part(1), part(2)) {
                assert_close(tier, &rounded, &expected, 2e-2);
            }
        }
    }
}

#[test]
fn convolutions() {
    let (batch, inputs, outputs, height, width) = (2, 3, if INTERPRETED { 5 } else { 14 }, 6, 9);
    let (maps, filters) =
        (values(batch * inputs * height * width, 1), values(outputs * inputs * 6, 2));
    let (bias, weight) = (values(outputs, 3), values(outputs, 4));
    let convolution = Convolution {
        maps: &maps,
        inputs,
        size: [height, width],
        filters: &filters,
        outputs,
        taps: [2, 3],
        stride: [2, 1],
        padding: [1, 2],
        bias: Some(&bias),
        norm: None,
        gelu: false,
    };
    let [rows, columns] = convolution.output_size().unwrap();
    assert_eq!([rows, columns], [4, 11]);
    let mut expected = vec![0.0; batch * outputs * rows * columns];
    for (at, sum) in expected.iter_mut().enumerate() {
        let (x, y) = (at % columns, at / columns % rows);
        let (output, one) = (at / (columns * rows) % outputs, at / (columns * rows * outputs));
        *sum = f64::from(bias[output]);
        for tap in 0..inputs * 6 {
            let (input, dy, dx) = (tap / 6, tap / 3 % 2, tap % 3);
            let (from_y, from_x) = ((2 * y + dy).wrapping_sub(1), (x + dx).wrapping_sub(2));
            if from_y < height && from_x < width {
                let value = maps[((one * inputs + input) * height + from_y) * width + from_x];
                *sum += f64::from(value) * f64::from(filters[output * inputs * 6 + tap]);
            }
        }
    }
    let normed = Convolution {
        norm: Some(Norm { weight: &weight, bias: &bias, epsilon: 1e-5 }),
        gelu: true,
        ..convolution
    };
    let plain = convolve(CpuTier::Generic, normed).unwrap();
    for tier in tiers() {
        assert_close(tier, &convolve(tier, convolution).unwrap(), &expected, 2e-5);
        assert_close(tier, &convolve(tier, normed).unwrap(), &wide(&plain), 1e-4);
    }
    // The same filters for each channel alone: the sum of the channels is the result of one output.
    let (size, channels) = (3, inputs);
    let kernels = values(channels * size * size, 5);
    let zeros = vec![0.0; channels];
    let depthwise =
        Depthwise { maps: &maps, channels, height, width, kernels: &kernels, size, biases: &zeros };
    let summed = Convolution {
        filters: &kernels,
        outputs: 1,
        taps: [size, size],
        stride: [1, 1],
        padding: [1, 1],
        bias: None,
        ..convolution
    };
    let expected = wide(&convolve(CpuTier::Generic, summed).unwrap());
    for tier in tiers() {
        let planes = convolve_depthwise(tier, depthwise).unwrap();
        let sums: Vec<f32> = planes
            .chunks_exact(channels * height * width)
            .flat_map(|map| {
                let at = |pixel: usize| map.iter().skip(pixel).step_by(height * width).sum();
                (0..height * width).map(at).collect::<Vec<f32>>()
            })
            .collect();
        assert_close(tier, &sums, &expected, 2e-5);
    }
}

#[test]
fn steps_in_place() {
    let (rows, channels) = (21, 18);
    let x = values(rows * channels, 1);
    let (weight, bias) = (values(channels, 2), values(channels, 3));
    let norm = Norm { weight: &weight, bias: &bias, epsilon: 1e-6 };
    let (cos, sin): (Vec<f32>, Vec<f32>) =
        (0..3 * channels / 2).map(|i| ((i as f32).cos(), (i as f32).sin())).unzip();
    type Step<'a> = &'a dyn Fn(CpuTier, &mut [f32]);
    let change = |tier: CpuTier, work: Step<'_>| {
        let mut x = x.clone();
        work(tier, &mut x);
        x
    };
    let steps: [Step<'_>; 5] = [
        &gelu,
        &|tier, x| scaled_sigmoid(tier, x, 20.0, -10.0),
        &|tier, x| layer_norm(tier, x, norm),
        &|tier, x| layer_norm_2d(tier, x, rows, norm),
        &|tier, x| rotate(tier, x, channels, &cos, &sin),
    ];
    for (index, step) in steps.into_iter().enumerate() {
        let plain = change(CpuTier::Generic, step);
        assert_ne!(plain, x, "{index}");
        for tier in tiers() {
            assert_close(tier, &change(tier, step), &wide(&plain), 2e-5);
        }
    }
    // Turning forth and back.
    let back: Vec<f32> = sin.iter().map(|sin| -sin).collect();
    let mut turned = change(CpuTier::Generic, steps[4]);
    rotate(CpuTier::Generic, &mut turned, channels, &cos, &back);
    assert_close(CpuTier::Generic, &turned, &wide(&x), 1e-5);
}

#[test]
fn other_sizes_of_maps() {
    // Columns 0 to 6 to the means of neighbours; rows as they are, twice.
    let maps = values(2 * 5 * 7, 1);
    let mut matrix = vec![0.0; 6 * 7];
    for (place, row) in matrix.chunks_exact_mut(7).enumerate() {
        row[place..place + 2].fill(0.5);
    }
    let mut twice = vec![0.0; 10 * 5];
    for (place, row) in twice.chunks_exact_mut(5).enumerate() {
        row[place / 2] = 1.0;
    }
    let (rows, columns) = (Taps::of(&twice, 5), Taps::of(&matrix, 7));
    for tier in tiers() {
        let out = resample(tier, &maps, [5, 7], Some(&rows), Some(&columns)).unwrap();
        let expected: Vec<f64> = (0..2 * 10 * 6)
            .map(|at| {
                let from = at / 12 * 7 + at % 6;
                f64::from(maps[from]).midpoint(f64::from(maps[from + 1]))
            })
            .collect();
        assert_close(tier, &out, &expected, 1e-6);
        let pooled = max_pool_2x2(tier, &maps, [5, 7, 2]).unwrap();
        assert_eq!(pooled[0], maps[0].max(maps[2]).max(maps[14]).max(maps[16]), "{tier}");
        assert_eq!(pooled.len(), 2 * 3 * 2);
    }
}

/// Checks that the tier named by `SAM2_CPU_TIER` is available and in use. `make tiers` names the one
/// that its emulator provides.
#[test]
fn the_tier_that_is_asked_for_is_there() {
    if let Ok(name) = std::env::var("SAM2_CPU_TIER") {
        let tier: CpuTier = name.parse().unwrap();
        assert!(tier.is_available(), "{name} is not available");
        assert_eq!(CpuTier::current(), tier);
    }
}
