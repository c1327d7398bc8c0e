//! Properties that only a GPU can show: number formats, memory, and failures. The tests run on the
//! device that `SAM2_TEST_DEVICE` names, for example Mesa's software driver (`scripts/vulkan.sh`).
//! The parity tests in the other files run there as well.

#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Mutex;

use sam2_engine::{
    BoxPrompt, Device, DeviceBudget, DeviceFailure, DeviceMemory, Direction, EngineError,
    FrameMasks, Mask, ObjectId, Point, Precision, Sam2, Sam2Config, SessionOptions, VideoSession,
};
use sam2_model::{Distribution, FloatDType, Tensor, kernels};
use sam2_tests::clips;
use sam2_tests::compare::Report;
use sam2_tests::device::device;
use sam2_tests::fixture::{Fixture, to_values};
use sam2_tests::noise::Random;

/// Memory is measured for the whole device, so tests that measure it run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn noise_values(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.uniform(-2.0, 2.0)).collect()
}

fn on<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::<1>::from_floats(values, device).reshape(shape)
}

fn memory(device: &Device) -> DeviceMemory {
    DeviceMemory::of(device)
        .unwrap()
        .expect("a GPU's allocator counts; set SAM2_TEST_DEVICE=vulkan")
}

#[test]
fn the_tests_run_on_a_gpu_or_its_driver() {
    let device = device();
    assert_ne!(device, Device::flex(), "set SAM2_TEST_DEVICE=vulkan");
    println!("{device:?}");
    for precision in [Precision::Auto, Precision::F16, Precision::Bf16] {
        println!("{precision}: {:?}", precision.on(&device));
    }
}

#[test]
fn attention_is_right_and_never_holds_all_scores() {
    let _alone = alone();
    let device = device();
    // A frame of 2,048 positions and seven memories, narrower than the model's so that a software
    // driver finishes in seconds.
    let (queries, keys, width) = (2048, 28_736, 16);
    let values = |count: usize, seed| noise_values(count, seed);
    let (q, k, v) = (values(queries * width, 1), values(keys * width, 2), values(keys * width, 3));
    let attend = |device: &Device| {
        let head = |values: &[f32], n| on(values, [1, 1, n, width], device);
        to_values(kernels::attention(head(&q, queries), head(&k, keys), head(&v, keys)))
    };
    DeviceMemory::release_unused(&device).unwrap();
    let before = memory(&device);
    let ours = attend(&device);
    let after = memory(&device);
    let mut report = Report::default();
    report.relative("attention", &ours, &attend(&Device::flex()), 1e-4);
    report.finish();
    let all_scores = (queries * keys * 4) as u64;
    let taken = after.reserved.saturating_sub(before.reserved);
    println!("all scores: {} MB; taken: {} MB", all_scores / 1_000_000, taken / 1_000_000);
    // Softmax alone would hold the scores and their exponentials, twice that much.
    assert!(taken < 2 * all_scores, "{taken}");
}

#[test]
fn a_map_of_one_channel_keeps_its_pixels_where_several_results_are_made_of_it() {
    let _alone = alone();
    let mask = noise_values(64 * 64, 11);
    let results = |device: &Device| -> [Vec<f32>; 3] {
        let model = clips::micro_model_on(device);
        let downsample = &model.network().mask_downsample;
        let map = kernels::convolution(downsample, None, on(&mask, [1, 1, 64, 64], device));
        // burn once mistook the map for a map of vectors if it was read several times.
        [map.clone() * 2.0, map.clone() * 3.0 - 1.0, map].map(to_values)
    };
    let mut report = Report::default();
    for (ours, expected) in results(&device()).iter().zip(results(&Device::flex())) {
        report.relative("results", ours, &expected, 1e-5);
    }
    report.finish();
}

fn run(model: &Sam2, frames: usize) -> Vec<FrameMasks> {
    let fixture = Fixture::open("micro_mouse_forward_reverse");
    let options = SessionOptions::default().fill_hole_area(0);
    let mut session =
        VideoSession::builder(model).options(options).open(clips::frames("mouse-arena")).unwrap();
    let points: Vec<Point> =
        fixture.values("prompt.points").chunks(2).map(|p| Point::positive(p[0], p[1])).collect();
    let frame = fixture.number("prompt.frame_index") as usize;
    session.add_points(frame, ObjectId(1), &points).unwrap();
    session.propagate(Direction::Forward).take(frames).map(Result::unwrap).collect()
}

/// Returns masks of two objects in twelve frames and both directions, prompted by a box, by a mask
/// on a later frame, and by clicks that correct a tracked frame before the reverse pass.
fn prompted_in_every_way(model: &Sam2) -> Vec<Mask> {
    let (ann, bob) = (ObjectId(1), ObjectId(2));
    let options = SessionOptions::default().fill_hole_area(0);
    let mut session =
        VideoSession::builder(model).options(options).open(clips::frames("two-crossing")).unwrap();
    let [of_ann, of_bob] = [1, 2].map(|object| clips::truth("two-crossing", object));
    let bounds = |mask: &Mask| mask.bounds().unwrap().map(|edge| edge as f32);
    let [x0, y0, x1, y1] = bounds(&of_ann[6]);
    session.add_box(6, ann, BoxPrompt { x0, y0, x1, y1 }).unwrap();
    session.add_mask(8, bob, &of_bob[8]).unwrap();
    let mut masks = Vec::new();
    let keep = |masks: &mut Vec<Mask>, frames: FrameMasks| {
        masks.extend(frames.objects.into_iter().map(|object| object.mask));
    };
    for frames in session.propagate_from(Some(6), Direction::Forward, Some(11)) {
        keep(&mut masks, frames.unwrap());
    }
    let [left, top, right, bottom] = bounds(&of_ann[12]);
    let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
    session.add_points(12, ann, &[Point::positive(x, y), Point::negative(2.0, 2.0)]).unwrap();
    for frames in session.propagate_from(Some(12), Direction::Reverse, Some(11)) {
        keep(&mut masks, frames.unwrap());
    }
    masks
}

#[test]
fn prompts_of_every_kind_are_tracked_as_on_the_cpu() {
    let _alone = alone();
    let device = device();
    // parity_tracking shows that the CPU's masks equal PyTorch's.
    let expected = prompted_in_every_way(&clips::micro_model_on(&Device::flex()));
    assert!(expected.len() >= 44 && expected.iter().filter(|mask| mask.area() > 0).count() > 30);
    for (precision, bar) in
        [(Precision::F32, 0.999), (Precision::F16, 0.995), (Precision::Bf16, 0.995)]
    {
        if precision.on(&device).is_err() {
            println!("{device:?} does not compute in {precision}");
            continue;
        }
        let model = clips::micro_model_on(&device).with_precision(precision).unwrap();
        let ours = prompted_in_every_way(&model);
        assert_eq!(ours.len(), expected.len());
        let worst = ours.iter().zip(&expected).map(|(a, b)| a.iou(b)).fold(1.0, f64::min);
        println!(
            "{precision}: worst IoU with the CPU's masks over {} masks: {worst:.4}",
            ours.len()
        );
        assert!(worst >= bar, "{precision}: {worst}");
    }
}

#[test]
fn half_precision_follows_the_official_masks() {
    let _alone = alone();
    let device = device();
    let fixture = Fixture::open("micro_mouse_forward_reverse");
    let mut tried = 0;
    for precision in [Precision::F16, Precision::Bf16] {
        let Ok(model) = clips::micro_model().with_precision(precision) else {
            println!("{device:?} does not compute in {precision}");
            continue;
        };
        assert_eq!(model.precision(), precision);
        tried += 1;
        let mut worst = 1.0_f64;
        for (position, frame) in run(&model, 12).iter().enumerate() {
            let mask = &frame.objects[0].mask;
            let official =
                fixture.packed_mask("forward.masks_packed", position, mask.width(), mask.height());
            worst = worst.min(mask.iou(&official));
        }
        println!("{precision}: worst IoU with the official mask in f32 over 12 frames: {worst:.4}");
        assert!(worst >= 0.995, "{precision}: {worst}");
    }
    let half = [Precision::F16, Precision::Bf16].iter().filter(|p| p.on(&device).is_ok()).count();
    assert_eq!(tried, half);
}

#[test]
fn f16_stays_finite_where_it_would_overflow() {
    let _alone = alone();
    let device = device();
    if Precision::F16.on(&device).is_err() {
        println!("{device:?} does not compute in f16");
        return;
    }
    // The unscaled product of these queries and keys is 256 * 30 * 30 = 230,400, but the largest
    // f16 is 65,504.
    let flat = |value: f32, n: usize| on(&vec![value; n * 256], [1, 1, n, 256], &device);
    let half = |x: Tensor<4>| x.cast(FloatDType::F16);
    let out = kernels::attention(half(flat(30.0, 8)), half(flat(30.0, 16)), half(flat(2.0, 16)));
    let out = to_values(out.cast(FloatDType::F32));
    assert!(out.iter().all(|value| (value - 2.0).abs() < 0.01), "{:?}", &out[..4]);
    // An input of a product that exceeds the range of f16 becomes the largest number instead of
    // infinity.
    let out = kernels::attention(half(flat(1.0, 8)), half(flat(1.0, 16)), flat(1e6, 16));
    assert!(to_values(out.cast(FloatDType::F32)).iter().all(|value| value.is_finite()));
}

#[test]
fn memory_does_not_grow_with_the_recording_and_is_within_the_budget() {
    let _alone = alone();
    let device = device();
    DeviceMemory::release_unused(&device).unwrap();
    let before = memory(&device);
    let model = clips::micro_model();
    let config: Sam2Config = model.config().clone();
    run(&model, 3);
    let short = memory(&device);
    run(&model, 30);
    let long = memory(&device);
    let budget = DeviceBudget::of(&config, Precision::F32, 1, 1);
    println!(
        "before {before}, 3 frames {short}, 30 frames {long}; budget {budget:?} = {}",
        budget.total()
    );
    assert!(long.in_use <= short.in_use + 1_000_000, "{short} {long}");
    let taken = long.reserved.saturating_sub(before.reserved);
    // An allocator takes whole pages of several sizes: megabytes in addition to a model of ten.
    let pages = 16_000_000;
    assert!(taken <= (budget.total() * 3 / 2) as u64 + pages, "{taken} of {}", budget.total());
    drop(model);
    DeviceMemory::release_unused(&device).unwrap();
    let released = memory(&device);
    println!("released: {released}");
    assert!(released.reserved < long.reserved, "{released} {long}");
}

/// Returns a tensor computed from a terabyte, which no GPU has. It is not computed from a single
/// number, because such a tensor is never allocated when operations are fused. It does not use
/// `sum`, which burn compiles for CUDA in a way that loses the failure (cubecl-cpp 0.11.3: an
/// atomic sum does not count as a write).
fn too_much(device: &Device) -> Tensor<2> {
    let spread = Distribution::Uniform(0.0, 1.0);
    let huge = Tensor::<2>::random([1 << 19, 1 << 19], spread, device);
    huge.sum_dim(1).sum_dim(0)
}

#[test]
fn what_is_joined_with_what_could_not_be_made_is_an_error_and_not_other_numbers() {
    let _alone = alone();
    let device = device();
    let there = || Tensor::<2>::from_floats([[1.0, 2.0]], &device) * 3.0;
    for failed_first in [true, false] {
        let read = sam2_model::device_failure::guard(|| {
            let failed = too_much(&device).expand([1, 2]) + 1.0;
            let parts = if failed_first { vec![failed, there()] } else { vec![there(), failed] };
            kernels::join(parts, 0).try_into_vec_as::<f32>().map_err(|error| format!("{error:?}"))
        });
        if let Ok(Ok(values)) = read {
            panic!("{values:?}, half of which is no result of anything");
        }
    }
}

#[test]
fn too_much_memory_is_an_error_with_numbers_and_a_remedy() {
    let _alone = alone();
    let device = device();
    let attempt = sam2_model::device_failure::guard(|| {
        too_much(&device).try_into_vec_as::<f32>().map_err(|error| format!("{error:?}"))
    });
    let failure = match attempt {
        Err(failure) => failure,
        Ok(Err(said)) => DeviceFailure::from_message(&said),
        Ok(Ok(values)) => panic!("a terabyte was there: {values:?}"),
    };
    let failure = failure.with_usage(DeviceMemory::of(&device).ok().flatten());
    println!("{failure}");
    assert!(matches!(EngineError::from(failure), EngineError::DeviceFailure(_)));
    // The device is still usable.
    let three = to_values(Tensor::<1>::from_floats([1.0, 2.0], &device).sum());
    assert_eq!(three, [3.0]);
}
