//! Reads a small film forward, in reverse and at random.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sam2_frame_provider::{FrameSource, LazyFrames, LazyOptions, VideoFrames};

fn film() -> std::path::PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.mp4");
    let made = Command::new("ffmpeg")
        .args(
            "-y -hide_banner -loglevel error -f lavfi -i testsrc2=size=640x480:rate=25:duration=8"
                .split(' '),
        )
        .args("-c:v libx264 -preset veryfast -g 100 -pix_fmt yuv420p".split(' '))
        .arg(&path)
        .stdin(Stdio::null())
        .status()
        .expect("the benches need the ffmpeg program");
    assert!(made.success());
    path
}

fn read(frames: &impl FrameSource, order: &[usize]) {
    for &index in order {
        std::hint::black_box(frames.frame(index).unwrap());
    }
}

fn benches(criterion: &mut Criterion) {
    let path = film();
    let count = VideoFrames::open(&path).unwrap().info().frame_count;
    let orders: [(&str, Vec<usize>); 3] = [
        ("forward", (0..count).collect()),
        ("reverse", (0..count).rev().collect()),
        ("random", (0..20).map(|step| step * 7919 % count).collect()),
    ];
    let mut group = criterion.benchmark_group("640x480");
    group.sample_size(10);
    for (name, order) in &orders {
        group.throughput(Throughput::Elements(order.len() as u64));
        group.bench_function(format!("video {name}"), |bencher| {
            let open = || VideoFrames::open(&path).unwrap();
            bencher.iter_batched(open, |frames| read(&frames, order), BatchSize::PerIteration);
        });
        group.bench_function(format!("lazy {name}"), |bencher| {
            let open = || LazyFrames::open(&path, LazyOptions::default()).unwrap();
            bencher.iter_batched(open, |frames| read(&frames, order), BatchSize::PerIteration);
        });
    }
    group.bench_function("open", |bencher| bencher.iter(|| VideoFrames::open(&path).unwrap()));
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
