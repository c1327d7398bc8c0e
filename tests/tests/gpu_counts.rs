//! What a tracked frame costs the host of a CUDA device: launches, and milliseconds where no kernel runs. For the software device (tests/cuda-sim) with `CUDA_SIM_MODE=count`;
//! `scripts/cuda-sim.sh program` runs it, once with a log of launches and once without, which would take time of its own.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use sam2_engine::{BenchmarkOptions, Precision, Sam2Config, benchmark};
use sam2_model::{ModelVersion, Sam2, Variant};
use sam2_tests::seeded::seeded_model;

/// Launches of a tracked frame, with a full memory.
const TINY: usize = 260;
const LARGE: usize = 600;
/// Eight objects beside one.
const OF_EIGHT: f64 = 1.3;
/// Milliseconds of the host.
const HOST: f64 = 5.0;

fn model(variant: Variant) -> Sam2 {
    let model = seeded_model(Sam2Config::new(variant, ModelVersion::V2_1));
    model.with_precision(Precision::Auto).unwrap()
}

/// Launches so far, by kernel.
fn launches(log: &PathBuf) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let mut parts = line.split('\t').skip(1);
        if parts.next() == Some("launch") {
            *counts.entry(parts.next().unwrap().to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Launches of one tracked frame: what ten more frames make, of all kernels.
fn of_a_frame(model: &Sam2, objects: u32, log: &PathBuf) -> usize {
    let run = |frames: usize| {
        let before = launches(log);
        let options =
            BenchmarkOptions { objects, frames, repeats: 0, ..BenchmarkOptions::default() };
        benchmark(model, options).unwrap();
        let mut made = launches(log);
        for (kernel, count) in before {
            *made.get_mut(&kernel).unwrap() -= count;
        }
        made
    };
    // What is made once, the first run makes.
    run(1);
    let (few, many) = (run(5), run(15));
    // burn takes f32 for TF32 in its own products.
    let of_burn =
        |kernel: &&String| ["matmul", "gemm", "conv_"].iter().any(|name| kernel.contains(name));
    assert_eq!(many.keys().filter(of_burn).collect::<Vec<_>>(), Vec::<&String>::new());
    let each = |kernel: &String| {
        (many[kernel] as f64 - few.get(kernel).copied().unwrap_or(0) as f64) / 10.0
    };
    let mut kernels: Vec<_> = many.keys().map(|kernel| (each(kernel), kernel)).collect();
    kernels.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (count, kernel) in kernels.iter().filter(|(count, _)| *count > 0.0) {
        println!("{count:>7.1}  {kernel}");
    }
    kernels.iter().map(|(count, _)| count).sum::<f64>().round() as usize
}

#[test]
fn launches_of_a_frame() {
    let Some(log) = std::env::var_os("CUDA_SIM_LOG").map(PathBuf::from) else { return };
    let tiny = model(Variant::Tiny);
    let one = of_a_frame(&tiny, 1, &log);
    println!("launches tiny {one}");
    let eight = of_a_frame(&tiny, 8, &log);
    println!("launches tiny, 8 objects {eight}");
    drop(tiny);
    let large = of_a_frame(&model(Variant::Large), 1, &log);
    println!("launches large {large}");
    assert!(one <= TINY && large <= LARGE, "{one} {large}");
    assert!(eight as f64 <= OF_EIGHT * one as f64, "{eight} for eight, {one} for one");
}

#[test]
fn milliseconds_of_the_host() {
    if std::env::var_os("CUDA_SIM_LOG").is_some() {
        return;
    }
    let tiny = model(Variant::Tiny);
    let options = BenchmarkOptions { frames: 60, ..BenchmarkOptions::default() };
    let measured = benchmark(&tiny, options).unwrap();
    let host = measured.frame.as_secs_f64() * 1e3;
    println!("{:?}", measured.steps);
    println!("host ms tiny {host:.2}");
    assert!(host <= HOST, "{host} ms");
}
