//! Compares every module of the micro model with the official code, on one frame.
//!
//! These are the lowest rungs of the parity ladder: each module gets the official code's own input,
//! so that a difference identifies the module that causes it.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{Mask, RgbFrame};
use sam2_frame_provider::{FrameSource, resize};
use sam2_model::kernels;
use sam2_model::{
    ConditionedFeatures, FrameFeatures, MemoryTokens, ModelPoint, PointLabel, Sam2, Tensor,
    preprocess::PixelTable, resize as tensor_resize,
};
use sam2_tests::clips;
use sam2_tests::compare::Report;
use sam2_tests::fixture::{Fixture, to_tensor, to_values};

/// Limit for logits, absolute.
const LOGITS: f64 = 1e-3;
/// Limit for everything else, relative to the largest magnitude.
const RELATIVE: f64 = 1e-4;

fn fixture() -> Fixture {
    Fixture::open("micro_blocks")
}

fn frame() -> RgbFrame {
    let fixture = fixture();
    let shape = fixture.shape("frame.rgb");
    RgbFrame::new(shape[1] as u32, shape[0] as u32, fixture.bytes("frame.rgb")).unwrap()
}

/// Converts `[1, h, w, c]` to `[1, c, h, w]`.
fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// Converts `[1, n, c]` to `[1, c, side, side]`.
fn as_map(x: Tensor<3>) -> Tensor<4> {
    let [batch, tokens, channels] = x.dims();
    let side = tokens.isqrt();
    x.swap_dims(1, 2).reshape([batch, channels, side, side])
}

/// Converts `[1, c, h, w]` to `[1, h w, c]`.
fn as_tokens(x: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width]).swap_dims(1, 2)
}

/// Returns the official features of the frame.
fn official_features(fixture: &Fixture) -> FrameFeatures {
    FrameFeatures {
        tokens: as_tokens(fixture.tensor("neck.fpn2")),
        stride_4_bchw: fixture.tensor("neck.fpn0_conv_s0"),
        stride_8_bchw: fixture.tensor("neck.fpn1_conv_s1"),
    }
}

fn points(fixture: &Fixture, case: &str) -> Vec<ModelPoint> {
    let coordinates = fixture.values(&format!("prompt_encoder.{case}.coords"));
    let labels = fixture.values(&format!("prompt_encoder.{case}.labels"));
    coordinates
        .chunks(2)
        .zip(labels)
        .filter_map(|(xy, label)| {
            let label = match label as i64 {
                0 => PointLabel::Negative,
                1 => PointLabel::Positive,
                2 => PointLabel::BoxTopLeft,
                3 => PointLabel::BoxBottomRight,
                _ => return None,
            };
            Some(ModelPoint { x: xy[0], y: xy[1], label })
        })
        .collect()
}

#[test]
fn the_decoded_frame_and_its_resize_are_bit_identical() {
    let fixture = fixture();
    let decoded = clips::frames("mouse-arena").frame(0).unwrap();
    assert_eq!(decoded.data(), fixture.bytes("frame.rgb"));
    let resized = resize::pillow_bicubic(&frame(), 256, 256);
    assert_eq!(resized.data(), fixture.bytes("input.u8"));
}

#[test]
fn image_encoder() {
    let fixture = fixture();
    let model = clips::micro_model();
    let mut report = Report::default();
    let image = PixelTable::new(model.device()).normalise(&fixture.bytes("input.u8"), 256);
    report.sampled(
        "input.normalised",
        image.clone(),
        &fixture.sampled("input.normalised"),
        0.0,
        false,
    );

    let encoder = &model.network().image_encoder;
    let positions = encoder.trunk().position_embedding(64);
    let official = fixture.sampled("trunk.pos_embed");
    // The official code stores it channels last.
    report.sampled("trunk.pos_embed", positions.clone(), &official, RELATIVE, true);

    let stages = encoder.trunk().forward(image.clone(), positions);
    for (index, stage) in stages.clone().into_iter().enumerate() {
        let name = format!("trunk.stage{index}");
        let ours = channels_first(stage);
        if index < 2 {
            report.sampled(&name, ours, &fixture.sampled(&name), RELATIVE, true);
        } else {
            report.relative(&name, &to_values(ours), &fixture.values(&name), RELATIVE);
        }
    }
    let [fpn0, fpn1, fpn2] = encoder.neck().forward(stages);
    report.sampled(
        "neck.fpn0",
        channels_first(fpn0),
        &fixture.sampled("neck.fpn0"),
        RELATIVE,
        true,
    );
    report.sampled(
        "neck.fpn1",
        channels_first(fpn1),
        &fixture.sampled("neck.fpn1"),
        RELATIVE,
        true,
    );
    report.relative(
        "neck.fpn2",
        &to_values(channels_first(fpn2)),
        &fixture.values("neck.fpn2"),
        RELATIVE,
    );

    let features = model.encode_tensor(image);
    let ours = to_values(features.stride_4_bchw);
    report.relative("neck.fpn0_conv_s0", &ours, &fixture.values("neck.fpn0_conv_s0"), RELATIVE);
    let ours = to_values(features.stride_8_bchw);
    report.relative("neck.fpn1_conv_s1", &ours, &fixture.values("neck.fpn1_conv_s1"), RELATIVE);
    let pos2 = sam2_model::position_encoding::sine_2d(64, 16, 16, model.device());
    report.relative("neck.pos2", &to_values(pos2), &fixture.values("neck.pos2"), RELATIVE);
    report.finish();
}

#[test]
fn prompt_encoder() {
    let fixture = fixture();
    let model = clips::micro_model();
    let mut report = Report::default();
    for case in ["one_point", "three_points", "negative_point", "box_and_point", "padding_only"] {
        let prompts = model.embed_prompts(&points(&fixture, case), None);
        let name = format!("prompt_encoder.{case}.sparse");
        report.relative(
            &name,
            &to_values(prompts.sparse.unwrap()),
            &fixture.values(&name),
            RELATIVE,
        );
        let dense = to_values(prompts.dense.expand([1, 64, 16, 16]));
        report.relative(
            "no_mask.dense",
            &dense,
            &fixture.values("prompt_encoder.no_mask.dense"),
            RELATIVE,
        );
    }
    let logits = to_tensor(&fixture.values("prompt_encoder.mask.logits"), [1, 1, 64, 64]);
    let prompts = model.embed_prompts(&points(&fixture, "mask"), Some(logits));
    for (name, ours) in
        [("sparse", to_values(prompts.sparse.unwrap())), ("dense", to_values(prompts.dense))]
    {
        let name = format!("prompt_encoder.mask.{name}");
        report.relative(&name, &ours, &fixture.values(&name), RELATIVE);
    }
    let dense = model.network().sam_prompt_encoder.dense_position_encoding(16);
    report.relative(
        "dense_pe",
        &to_values(dense),
        &fixture.values("prompt_encoder.dense_pe"),
        RELATIVE,
    );
    report.finish();
}

#[test]
fn mask_decoder() {
    let fixture = fixture();
    let model = clips::micro_model();
    let features = official_features(&fixture);
    let conditioned = ConditionedFeatures(as_tokens(fixture.tensor("decoder.image_embeddings")));
    let mut report = Report::default();
    for (case, candidates) in [("one_point", true), ("three_points", false)] {
        let prompts = model.embed_prompts(&points(&fixture, case), None);
        let outputs = model.decode(&features, &conditioned, &prompts);
        let name = |output: &str| format!("decoder.{case}.{output}");
        let official = |output: &str| fixture.values(&name(output));
        report.absolute(
            &name("masks"),
            &to_values(outputs.mask_logits.clone()),
            &official("masks"),
            LOGITS,
        );
        report.relative(
            &name("ious"),
            &to_values(outputs.ious.clone()),
            &official("ious"),
            RELATIVE,
        );
        let tokens = to_values(outputs.mask_tokens.clone());
        report.relative(&name("mask_tokens"), &tokens, &official("mask_tokens"), RELATIVE);
        let score = to_values(outputs.object_score_logits.clone());
        report.relative(&name("object_score"), &score, &official("object_score"), RELATIVE);
        if !candidates {
            let stability = to_values(outputs.single_mask_stability())[0];
            report.note(format!(
                "{case}: stability {stability}, official {}",
                fixture.meta(&name("stability"))
            ));
        }
        let prediction = model.predict_mask(&outputs, candidates);
        let logits = to_values(prediction.low_res_logits);
        report.absolute(&name("low_res_logits"), &logits, &official("low_res_logits"), LOGITS);
        let pointer = to_values(prediction.object_pointer);
        report.relative(&name("obj_ptr"), &pointer, &official("obj_ptr"), RELATIVE);
    }
    report.finish();
}

#[test]
fn mask_prompts() {
    let fixture = fixture();
    let model = clips::micro_model();
    let features = official_features(&fixture);
    let mut report = Report::default();
    for (case, width, height) in
        [("model_size", 256, 256), ("video_size", 384, 288), ("empty", 256, 256)]
    {
        let name = |output: &str| format!("mask_prompt.{case}.{output}");
        let given = fixture.packed_mask(&name("input_packed"), 0, width, height);
        let model_mask = model_size_mask(&model, &given);
        let official = fixture.packed_mask(&name("model_packed"), 0, 256, 256);
        report.absolute(
            &name("model mask"),
            &to_values(model_mask.clone()),
            &as_floats(&official),
            0.0,
        );
        let downsample = &model.network().mask_downsample;
        let downsampled = kernels::convolution(downsample, None, model_mask.clone());
        report.relative(
            &name("downsampled"),
            &to_values(downsampled),
            &fixture.values(&name("downsampled")),
            RELATIVE,
        );
        let prediction = model.use_mask_as_output(&features, model_mask);
        let logits = to_values(prediction.low_res_logits);
        report.absolute(
            &name("low_res_logits"),
            &logits,
            &fixture.values(&name("low_res_logits")),
            LOGITS,
        );
        let pointer = to_values(prediction.object_pointer);
        report.relative(&name("obj_ptr"), &pointer, &fixture.values(&name("obj_ptr")), RELATIVE);
        let score = to_values(prediction.object_score_logits);
        report.relative(
            &name("object_score"),
            &score,
            &fixture.values(&name("object_score")),
            RELATIVE,
        );
    }
    report.finish();
}

fn as_floats(mask: &Mask) -> Vec<f32> {
    mask.to_bytes(1).into_iter().map(f32::from).collect()
}

/// Returns a mask as `add_new_mask` scales it.
fn model_size_mask(model: &Sam2, mask: &Mask) -> Tensor<4> {
    let (height, width) = (mask.height() as usize, mask.width() as usize);
    let tensor = to_tensor(&as_floats(mask), [1, 1, height, width]);
    tensor_resize::Resize::new(
        tensor_resize::Interpolation::BilinearAntialias,
        [height, width],
        [256, 256],
        model.device(),
    )
    .forward(tensor)
    .greater_equal_scalar(0.5)
    .float()
}

#[test]
fn memory_encoder() {
    let fixture = fixture();
    let model = clips::micro_model();
    let features = official_features(&fixture);
    let logits = to_tensor(&fixture.values("memory_encoder.low_res_logits"), [1, 1, 64, 64]);
    let mut report = Report::default();
    let high = tensor_resize::Resize::new(
        tensor_resize::Interpolation::Bilinear,
        [64, 64],
        [256, 256],
        model.device(),
    )
    .forward(logits.clone());
    let official = fixture.sampled("memory_encoder.high_res_logits");
    report.sampled("memory_encoder.high_res_logits", high, &official, RELATIVE, true);
    for (case, score, prompted) in
        [("binarised", 1.0, true), ("sigmoid", 1.0, false), ("sigmoid_absent", -1.0, false)]
    {
        let score = to_tensor(&[score], [1, 1]);
        let memory = model.encode_memory(&features, logits.clone(), score, prompted);
        let name = format!("memory_encoder.{case}.features");
        // Ours is rounded to bfloat16, and the fixture holds the unrounded value, so it is rounded
        // here: half a unit in the last of 8 bits.
        let official: Vec<f32> = fixture.values(&name).into_iter().map(half_bf16).collect();
        let ours = to_values(as_map(memory.0));
        let same = ours.iter().zip(&official).filter(|(a, b)| a == b).count();
        report.note(format!("{case}: {same} of {} values round to the same bfloat16", ours.len()));
        // A value on the edge between two bfloat16 numbers may be rounded to either; these differ
        // by up to 2^-7 of themselves.
        for (&a, &b) in ours.iter().zip(&official) {
            assert!((a - b).abs() <= b.abs() * 2.0_f32.powi(-7) + 1e-6, "{case}: {a} and {b}");
        }
        assert!(same as f64 >= 0.995 * ours.len() as f64, "{case}: only {same} equal");
    }
    report.finish();
}

fn half_bf16(value: f32) -> f32 {
    half::bf16::from_f32(value).to_f32()
}

#[test]
fn memory_attention() {
    let fixture = fixture();
    let model = clips::micro_model();
    let batch_first = |name: &str| -> Tensor<3> { fixture.tensor::<3>(name).swap_dims(0, 1) };
    let memory = MemoryTokens {
        tokens: batch_first("memory_attention.memory"),
        positions: batch_first("memory_attention.memory_pos"),
        pointer_tokens: fixture.number("memory_attention.num_obj_ptr_tokens") as usize,
    };
    let features = FrameFeatures {
        tokens: batch_first("memory_attention.curr"),
        ..official_features(&fixture)
    };
    let conditioned = model.condition_on_memory(&features, &memory);
    let mut report = Report::default();
    let ours = to_values(conditioned.0.swap_dims(0, 1));
    report.relative(
        "memory_attention.output",
        &ours,
        &fixture.values("memory_attention.output"),
        RELATIVE,
    );
    report.finish();
}
