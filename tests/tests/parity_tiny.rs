//! The tiny architecture of both generations at 1024 x 1024 with seeded weights: every output of
//! the encoder and two tracked frames.

#![allow(missing_docs, clippy::unwrap_used)]

use sam2_engine::{Direction, MemoryBank, MemoryReach, Outcome};
use sam2_frame_provider::resize;
use sam2_model::{
    ConditionedFeatures, ModelPoint, ModelVersion, PointLabel, Sam2Config, Tensor, Variant,
    position_encoding, preprocess::PixelTable,
};
use sam2_tests::compare::Report;
use sam2_tests::fixture::{Fixture, to_values};
use sam2_tests::seeded::{seeded_model, seeded_tensor, synthetic_frame};

const LOGITS: f64 = 1e-3;
const RELATIVE: f64 = 1e-4;
/// bfloat16 has 8 significant bits: neighbouring numbers differ by up to 2^-7 of themselves.
const BFLOAT16: f64 = 1.0 / 128.0;

#[test]
fn tiny_2_0() {
    tiny("tiny_seeded_2_0", ModelVersion::V2_0);
}

#[test]
fn tiny_2_1() {
    tiny("tiny_seeded_2_1", ModelVersion::V2_1);
}

fn tiny(name: &str, version: ModelVersion) {
    let fixture = Fixture::open(name);
    let config = Sam2Config::new(Variant::Tiny, version);
    check_weights(&fixture, &config);
    let model = seeded_model(config.clone());
    assert_eq!(model.config(), &config);
    let mut report = Report::default();

    let frame = synthetic_frame(0);
    let samples: Vec<f32> = frame
        .data()
        .iter()
        .step_by(fixture.number("frame.rgb.stride") as usize)
        .map(|&b| f32::from(b))
        .collect();
    report.absolute("frame.rgb", &samples, &fixture.values("frame.rgb.sampled"), 0.0);
    let input = resize::pillow_bicubic(&frame, 1024, 1024);
    let samples: Vec<f32> = input
        .data()
        .iter()
        .step_by(fixture.number("input.u8.stride") as usize)
        .map(|&b| f32::from(b))
        .collect();
    report.absolute("input.u8", &samples, &fixture.values("input.u8.sampled"), 0.0);

    let image = PixelTable::new(model.device()).normalise(input.data(), 1024);
    let encoder = &model.network().image_encoder;
    let positions = encoder.trunk().position_embedding(256);
    report.sampled(
        "trunk.pos_embed",
        positions.clone(),
        &fixture.sampled("trunk.pos_embed"),
        RELATIVE,
        true,
    );
    let channels_first = |x: Tensor<4>| x.permute([0, 3, 1, 2]);
    for (index, stage) in encoder.trunk().forward(image.clone(), positions).into_iter().enumerate()
    {
        let name = format!("trunk.stage{index}");
        report.sampled(&name, channels_first(stage), &fixture.sampled(&name), RELATIVE, true);
    }
    let features = model.encode_tensor(image);
    let s0 = fixture.sampled("neck.fpn0_conv_s0");
    report.sampled("neck.fpn0_conv_s0", features.stride_4_bchw.clone(), &s0, RELATIVE, true);
    let s1 = fixture.sampled("neck.fpn1_conv_s1");
    report.sampled("neck.fpn1_conv_s1", features.stride_8_bchw.clone(), &s1, RELATIVE, true);
    let fpn2 = features.tokens.clone().swap_dims(1, 2);
    report.sampled("neck.fpn2", fpn2, &fixture.sampled("neck.fpn2"), RELATIVE, true);
    let pos2 = position_encoding::sine_2d(256, 64, 64, model.device());
    report.sampled("neck.pos2", pos2, &fixture.sampled("neck.pos2"), RELATIVE, true);

    // Three frames, each with the features and memories computed here.
    let click = fixture.values("prompt.points");
    let reach = MemoryReach::new(model.config(), 1, None);
    let mut bank = MemoryBank::default();
    for t in 0..3 {
        let features = if t == 0 {
            features.clone()
        } else {
            let input = resize::pillow_bicubic(&synthetic_frame(t), 1024, 1024);
            model.encode_image(input.data())
        };
        let (conditioned, prompts): (ConditionedFeatures, _) = if t == 0 {
            let point = ModelPoint {
                x: click[0] / 640.0 * 1024.0,
                y: click[1] / 480.0 * 1024.0,
                label: PointLabel::Positive,
            };
            (model.condition_without_memory(&features), model.embed_prompts(&[point], None))
        } else {
            let selection = bank.select(t as usize, Direction::Forward, 3, &reach);
            let tokens = model.memory_tokens(&selection).unwrap();
            let official = fixture.number(&format!("frame{t}.num_obj_ptr_tokens"));
            assert_eq!(tokens.pointer_tokens as f64, official);
            let conditioned = model.condition_on_memory(&features, &tokens);
            let name = format!("frame{t}.memory_attention");
            let official = fixture.sampled(&name);
            let ours = match fixture.values(&format!("{name}.shape"))[0] as usize {
                4096 => conditioned.0.clone().swap_dims(0, 1),
                _ => conditioned.0.clone(),
            };
            report.sampled(&name, ours, &official, RELATIVE, true);
            (conditioned, model.embed_prompts(&[], None))
        };
        let outputs = model.decode(&features, &conditioned, &prompts);
        let name = |output: &str| format!("frame{t}.{output}");
        let masks = fixture.sampled(&name("decoder_masks"));
        report.sampled(&name("decoder_masks"), outputs.mask_logits.clone(), &masks, LOGITS, false);
        let ious = to_values(outputs.ious.clone());
        report.relative(
            &name("decoder_ious"),
            &ious,
            &fixture.values(&name("decoder_ious")),
            RELATIVE,
        );
        let prediction = model.predict_mask(&outputs, true);
        let logits = fixture.sampled(&name("low_res_logits"));
        report.sampled(
            &name("low_res_logits"),
            prediction.low_res_logits.clone(),
            &logits,
            LOGITS,
            false,
        );
        let iou = to_values(prediction.iou.clone());
        report.relative(&name("iou"), &iou, &fixture.values(&name("iou")), RELATIVE);
        let score = to_values(prediction.object_score_logits.clone());
        report.relative(
            &name("object_score"),
            &score,
            &fixture.values(&name("object_score")),
            RELATIVE,
        );
        let pointer = to_values(prediction.object_pointer.clone());
        report.relative(&name("obj_ptr"), &pointer, &fixture.values(&name("obj_ptr")), RELATIVE);
        let memory = model.encode_memory(
            &features,
            prediction.low_res_logits.clone(),
            prediction.object_score_logits.clone(),
            t == 0,
        );
        let official = fixture.sampled(&name("maskmem_features"));
        let map = memory.0.clone().swap_dims(1, 2);
        report.sampled(&name("maskmem_features"), map, &official, BFLOAT16, true);
        let outcome = Outcome { prediction, memory: Some(memory) };
        if t == 0 {
            bank.insert_conditioning(0, outcome);
        } else {
            bank.insert_tracked(t as usize, outcome);
        }
    }
    report.finish();
}

/// Checks that the rule for weights gives the same numbers on both sides, and that the network
/// requires exactly the official keys.
fn check_weights(fixture: &Fixture, config: &Sam2Config) {
    let official: Vec<&str> = fixture.meta("weights.keys").lines().collect();
    let expected = sam2_model::weights::expected_tensors(config, &sam2_model::Device::flex());
    assert_eq!(expected.len(), official.len());
    let first = fixture.values("weights.first");
    let last = fixture.values("weights.last");
    for tensor in &expected {
        let at = official.iter().position(|key| *key == tensor.name);
        let at = at.unwrap_or_else(|| panic!("{} is not in the official state dict", tensor.name));
        let values = seeded_tensor(&tensor.name, &tensor.shape);
        assert_eq!((values[0], values[values.len() - 1]), (first[at], last[at]), "{}", tensor.name);
    }
}
