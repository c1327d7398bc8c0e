//! The textbook formula of attention, and the comparison with it.

use super::noise;
use crate::heads::{HeadsView, WindowGrid};
use crate::query_blocks::LOG2_E;

/// Returns the strides of a row-major array.
pub(crate) fn contiguous(shape: [usize; 4]) -> [isize; 4] {
    let [_, h, n, d] = shape.map(|length| length as isize);
    [h * n * d, n * d, d, 1]
}

/// Computes the textbook formula in f64. Factors go through `round` before they are multiplied.
pub(crate) fn reference(
    q: HeadsView<'_>,
    k: HeadsView<'_>,
    v: HeadsView<'_>,
    round: impl Fn(f64) -> f64,
) -> Vec<f64> {
    let [batch, heads, _, d] = q.shape;
    let (m, width) = (k.shape[2], v.shape[3]);
    let scale = LOG2_E / (d as f64).sqrt();
    let mut out = vec![0.0; q.rows() * heads * width];
    let queries = |b: usize| (0..q.of_batch(b).count).map(move |i| (b, i));
    let all = (0..batch).flat_map(queries);
    for (b, i, h) in all.flat_map(|(b, i)| (0..heads).map(move |h| (b, i, h))) {
        let (query, row) = (q.query(q.of_batch(b), h, i), q.of_batch(b).row(i));
        let dot = |j: usize| -> f64 {
            let pairs = query.iter().zip(k.head(b, h).at(j));
            pairs.map(|(x, y)| round(f64::from(*x) * scale) * round(f64::from(*y))).sum()
        };
        let scores: Vec<f64> = (0..m).map(dot).collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp2()).collect();
        let total: f64 = weights.iter().sum();
        for (j, weight) in weights.iter().enumerate() {
            for (c, value) in v.head(b, h).at(j).iter().enumerate() {
                out[(row * heads + h) * width + c] += weight / total * round(f64::from(*value));
            }
        }
    }
    out
}

/// Compares `run` with the reference. `shape` is batch, heads, queries, keys, channels,
/// channels of values.
pub(crate) fn check(
    run: impl Fn(HeadsView<'_>, HeadsView<'_>, HeadsView<'_>) -> Option<Vec<f32>>,
    round: impl Fn(f64) -> f64,
    bar: f64,
    shape: [usize; 6],
    scale: f32,
) {
    let [batch, heads, n, m, d, v] = shape;
    let (qs, ks, vs) = ([batch, heads, n, d], [batch, heads, m, d], [batch, heads, m, v]);
    let count = |shape: [usize; 4]| shape.iter().product::<usize>();
    let mut q = noise(count(qs), 1);
    q.iter_mut().for_each(|x| *x *= scale);
    let (k, values) = (noise(count(ks), 2), noise(count(vs), 3));
    let view = |data, shape| HeadsView::new(data, 0, shape, contiguous(shape)).unwrap();
    let (q, k, values) = (view(&q, qs), view(&k, ks), view(&values, vs));
    let ours = run(q, k, values).unwrap();
    let expected = reference(q, k, values, round);
    assert_eq!(ours.len(), expected.len());
    for (at, (a, b)) in ours.iter().zip(expected).enumerate() {
        let off = (f64::from(*a) - b).abs();
        assert!(off < bar * f64::from(scale.max(1.0)), "{qs:?} {ks:?} {vs:?} at {at}: {a} and {b}");
    }
}

/// Checks attention on windows of two maps, whose queries, keys and values are parts of one
/// product.
pub(crate) fn check_windows(
    run: impl Fn(HeadsView<'_>, HeadsView<'_>, HeadsView<'_>) -> Option<Vec<f32>>,
    round: impl Fn(f64) -> f64,
    bar: f64,
    [height, width, side, heads, d]: [usize; 5],
) {
    let grid = WindowGrid::new(side, [height, width]).unwrap();
    let (maps, channels) = (2, heads * d);
    let qkv = noise(maps * height * width * 3 * channels, 7);
    let outside = noise(3 * channels, 8);
    let part = |index: usize| {
        let outside = &outside[index * channels..(index + 1) * channels];
        let (shape, outside) = ([maps, heads, d], (index > 0).then_some(outside));
        HeadsView::in_windows(&qkv, index * channels, 3 * channels, &grid, shape, outside).unwrap()
    };
    let ours = run(part(0), part(1), part(2)).unwrap();
    let expected = reference(part(0), part(1), part(2), round);
    assert_eq!(ours.len(), maps * height * width * channels);
    for (at, (a, b)) in ours.iter().zip(expected).enumerate() {
        let off = (f64::from(*a) - b).abs();
        assert!(off < bar, "{height}x{width} by {side}, {heads} of {d} at {at}: {a} and {b}");
    }
}
