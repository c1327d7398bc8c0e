//! Times each part of a tracked frame: the baseline for every later change.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use sam2_benches::{micro_model, mouse_frames};
use sam2_engine::{Direction, FrameSource, ObjectId, Point, VideoSession};
use sam2_frame_provider::resize;
use sam2_model::{MemoryFeatures, MemorySelection, PointerMemory};

/// Times the image encoder, the memory attention with 7 memories and 16 pointers, the decoder and
/// the memory encoder, for one object.
fn parts(criterion: &mut Criterion) {
    let model = micro_model();
    let side = model.config().image_size as u32;
    let frame = mouse_frames().frame(0).unwrap();
    let mut group = criterion.benchmark_group("micro");
    group.sample_size(20);

    group.bench_function("resize 384x288 to 256x256", |b| {
        b.iter(|| resize::pillow_bicubic(&frame, side, side));
    });
    let resized = resize::pillow_bicubic(&frame, side, side);
    group.bench_function("encode", |b| b.iter(|| model.encode_image(resized.data())));

    let features = model.encode_image(resized.data());
    let prompts = model.embed_prompts(&[], None);
    let first = model.condition_without_memory(&features);
    let decoded = model.decode(&features, &first, &prompts);
    let prediction = model.predict_mask(&decoded, true);
    let encode_memory = || -> MemoryFeatures {
        let logits = prediction.low_res_logits.clone();
        model.encode_memory(&features, logits, prediction.object_score_logits.clone(), false)
    };
    let memory = encode_memory();
    let pointer = prediction.object_pointer.clone();
    let selection = MemorySelection {
        spatial: (0..7).map(|time| (time, memory.clone())).collect(),
        pointers: (1..17)
            .map(|distance| PointerMemory { distance, pointer: pointer.clone() })
            .collect(),
        pointer_time_scale: 15,
    };
    group.bench_function("condition on 7 memories and 16 pointers", |b| {
        b.iter(|| {
            let tokens = model.memory_tokens(&selection).unwrap();
            model.condition_on_memory(&features, &tokens)
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| model.predict_mask(&model.decode(&features, &first, &prompts), true));
    });
    group.bench_function("encode memory", |b| b.iter(encode_memory));
    group.finish();
}

/// Times ten frames from start to end: decode, resize, track, masks at video size.
fn track(criterion: &mut Criterion) {
    let model = micro_model();
    let frames = mouse_frames();
    let mut group = criterion.benchmark_group("track 10 frames");
    group.sample_size(10);
    for objects in [1_u32, 2] {
        group.bench_function(format!("micro, {objects} object(s)"), |b| {
            b.iter(|| {
                let mut session = VideoSession::new(&model, &frames).unwrap();
                for object in 1..=objects {
                    let point = Point::positive(244.0, 80.0 + 10.0 * object as f32);
                    session.add_points(0, ObjectId(object), &[point]).unwrap();
                }
                let run = session.propagate_from(None, Direction::Forward, Some(9));
                run.map(|frame| frame.unwrap().objects[0].mask.area()).sum::<u64>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parts, track);
criterion_main!(benches);
