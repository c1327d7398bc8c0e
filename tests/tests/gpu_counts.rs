//! Measures the cost of a tracked frame on the host of a CUDA device: launches, and milliseconds
//! when no kernel runs. For the software device (tests/cuda-sim) with `CUDA_SIM_MODE=count`.
//! `scripts/cuda-sim.sh program` runs it twice: with a log of launches, and without the log,
//! because writing it takes time.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use sam2_engine::{BenchmarkOptions, DeviceBudget, DeviceMemory, Precision, Sam2Config, benchmark};
use sam2_model::{ModelVersion, Sam2, Variant};
use sam2_tests::device::device;
use sam2_tests::seeded::seeded_model;

/// Launches per tracked frame with a full memory.
const TINY: usize = 260;
const LARGE: usize = 600;
/// Factor allowed for eight objects compared with one.
const OF_EIGHT: f64 = 1.3;
/// Bytes of device memory with one object, independent of the length of the recording.
const MEMORY: u64 = 3_000_000_000;
/// Milliseconds of host time.
const HOST: f64 = 5.0;

fn model(variant: Variant) -> Sam2 {
    let model = seeded_model(Sam2Config::new(variant, ModelVersion::V2_1));
    model.with_precision(Precision::Auto).unwrap()
}

/// The calls of the driver so far: launches by kernel, and other calls with the bytes that they
/// move.
#[derive(Default)]
struct Calls {
    launches: BTreeMap<String, f64>,
    others: BTreeMap<String, [f64; 2]>,
}

impl Calls {
    fn read(log: &PathBuf) -> Self {
        let mut calls = Self::default();
        for line in std::fs::read_to_string(log).unwrap().lines() {
            let mut parts = line.split('\t').skip(1);
            let (Some(call), Some(what)) = (parts.next(), parts.next()) else { continue };
            if call == "launch" {
                *calls.launches.entry(what.to_owned()).or_default() += 1.0;
            } else {
                let [count, bytes] = calls.others.entry(call.to_owned()).or_default();
                *count += 1.0;
                *bytes += what.parse::<f64>().unwrap();
            }
        }
        calls
    }

    fn since(mut self, before: &Self) -> Self {
        for (kernel, count) in &before.launches {
            *self.launches.entry(kernel.clone()).or_default() -= count;
        }
        for (call, [count, bytes]) in &before.others {
            let numbers = self.others.entry(call.clone()).or_default();
            *numbers = [numbers[0] - count, numbers[1] - bytes];
        }
        self
    }
}

/// Measures the calls of one tracked frame: a tenth of the calls of ten additional frames.
fn of_a_frame(model: &Sam2, objects: u32, log: &PathBuf) -> usize {
    let run = |frames: usize| {
        let before = Calls::read(log);
        let options =
            BenchmarkOptions { objects, frames, repeats: 0, ..BenchmarkOptions::default() };
        benchmark(model, options).unwrap();
        Calls::read(log).since(&before)
    };
    // The first run makes everything that is made only once.
    run(1);
    let few = run(5);
    let more = run(15).since(&few);
    let mut kernels: Vec<_> = more.launches.iter().map(|(name, n)| (n / 10.0, name)).collect();
    kernels.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (count, kernel) in kernels.iter().filter(|(count, _)| *count > 0.0) {
        println!("{count:>7.1}  {kernel}");
    }
    // burn converts f32 to TF32 in its own products, so none may be used.
    let of_burn = ["matmul", "gemm", "conv_"];
    let is_of_burn = |kernel: &&String| of_burn.iter().any(|name| kernel.contains(name));
    let of_burn: Vec<_> = more.launches.keys().filter(is_of_burn).collect();
    assert!(of_burn.is_empty(), "{of_burn:?}");

    for (call, [count, bytes]) in &more.others {
        println!("{:>7.1}  {call}, {:.0} bytes", count / 10.0, bytes / 10.0);
    }
    let bytes = |call: &str| more.others.get(call).map_or(0.0, |[_, bytes]| bytes / 10.0);
    // In: pixels as bytes, and small tables. Out: low-resolution logits and scores.
    let side = model.config().image_size as f64;
    let low = model.config().low_res_mask_size() as f64;
    assert!(bytes("CopyIn") < 3.0 * side * side + 200_000.0, "{}", bytes("CopyIn"));
    let most = f64::from(objects) * 4.0 * low * low + 100_000.0;
    assert!(bytes("CopyOut") < most, "{}", bytes("CopyOut"));
    let allocations = more.others.get("Allocate").map_or(0.0, |[count, _]| *count);
    assert!(allocations <= 0.0, "ten more frames made {allocations} allocations");
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
    DeviceMemory::release_unused(&device()).unwrap();
    let model = model(Variant::Large);
    let large = of_a_frame(&model, 1, &log);
    println!("launches large {large}");
    let memory = DeviceMemory::of(model.device()).unwrap().unwrap();
    let budget = DeviceBudget::of(model.config(), model.precision(), 1, 2);
    println!("device memory large: {memory}; computed {:.2} GB", budget.total() as f64 / 1e9);
    assert!(memory.reserved < MEMORY && memory.in_use <= budget.total() as u64, "{memory}");
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
    println!("{:?}; first mask after {:.1} s", measured.steps, measured.first_mask.as_secs_f64());
    println!("host ms tiny {host:.2}");
    assert!(host <= HOST, "{host} ms");
}
