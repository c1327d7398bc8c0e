//! Our kernels beside burn's own operations, in SAM 2's shapes. `cargo bench -p sam2-benches --bench kernels`.

use criterion::{Criterion, criterion_group, criterion_main};
use sam2_model::{Device, Tensor, kernels};

fn noise(shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::random(shape, burn::tensor::Distribution::Normal(0.0, 1.0), device)
}

/// Name, batch, heads, queries, keys, channels, channels of values.
type Shape = (&'static str, [usize; 6]);

fn attention(criterion: &mut Criterion) {
    let device = Device::flex();
    let shapes: [Shape; 5] = [
        ("memory attention, tiny, 7 memories", [1, 1, 4096, 28_736, 256, 64]),
        ("memory attention, micro, 7 memories", [1, 1, 256, 1824, 64, 32]),
        ("memory attention, micro, 8 objects", [8, 1, 256, 1824, 64, 32]),
        ("global attention, tiny, stage 3", [1, 4, 4096, 4096, 96, 96]),
        ("windows of 8 x 8, tiny, stage 1", [1024, 1, 64, 64, 96, 96]),
    ];
    for (name, [batch, heads, n, m, d, v]) in shapes {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        let (q, k, v) = (
            noise([batch, heads, n, d], &device),
            noise([batch, heads, m, d], &device),
            noise([batch, heads, m, v], &device),
        );
        group.bench_function("ours", |b| {
            b.iter(|| kernels::attention(q.clone(), k.clone(), v.clone()));
        });
        group.bench_function("burn", |b| {
            b.iter(|| kernels::attention_on_any_device(q.clone(), k.clone(), v.clone()));
        });
    }
}

criterion_group!(benches, attention);
criterion_main!(benches);
