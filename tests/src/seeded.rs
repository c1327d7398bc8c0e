//! Weights and frames that both sides compute; see `tests/parity/seeded_weights.py` and
//! `synthetic_frames.py`.

use safetensors::tensor::{Dtype, TensorView};
use sam2_engine::{Device, RgbFrame, Sam2, Sam2Config};
use sam2_model::weights::expected_tensors;

use crate::device::device;

/// Suffixes of keys that hold embeddings.
const EMBEDDINGS: [&str; 12] = [
    "pos_embed",
    "pos_embed_window",
    "maskmem_tpos_enc",
    "no_mem_embed",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "no_obj_embed_spatial",
    "iou_token.weight",
    "obj_score_token.weight",
    "mask_tokens.weight",
    "not_a_point_embed.weight",
    "no_mask_embed.weight",
];

/// Returns a model of `config` with seeded weights, loaded in the ordinary way.
pub fn seeded_model(config: Sam2Config) -> Sam2 {
    seeded_model_on(config, &device())
}

/// Returns the same model on a given device.
pub fn seeded_model_on(config: Sam2Config, device: &Device) -> Sam2 {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = expected_tensors(&config, device)
        .into_iter()
        .map(|t| {
            let bytes =
                seeded_tensor(&t.name, &t.shape).iter().flat_map(|v| v.to_le_bytes()).collect();
            (t.name, t.shape, bytes)
        })
        .collect();
    let views: Vec<(&String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        })
        .collect();
    let bytes = safetensors::serialize(views, None).unwrap();
    Sam2::from_bytes(&bytes, "seeded weights", None, device).unwrap()
}

/// Returns one tensor of the seeded weights.
pub fn seeded_tensor(key: &str, shape: &[usize]) -> Vec<f32> {
    let (base, scale) = base_and_scale(key, shape);
    let (base, scale) = (base as f32, scale as f32);
    let hash = key
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
    (0..shape.iter().product::<usize>() as u64)
        .map(|i| {
            let z = hash.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let u = ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32;
            base + scale * (2.0 * u - 1.0)
        })
        .collect()
}

fn base_and_scale(key: &str, shape: &[usize]) -> (f64, f64) {
    let gain = match key {
        "obj_ptr_proj.layers.2.weight" => 8.0,
        "memory_encoder.out_proj.weight" => 0.25,
        _ => 1.0,
    };
    if key == "sam_mask_decoder.pred_obj_score_head.layers.2.bias" {
        (1.0, 0.1)
    } else if key.ends_with("positional_encoding_gaussian_matrix") {
        (0.0, 3.0_f64.sqrt())
    } else if key.ends_with(".gamma") {
        (0.1, 0.05)
    } else if EMBEDDINGS.iter().any(|e| key.ends_with(e)) || key.contains(".point_embeddings.") {
        (0.0, 0.5)
    } else if shape.len() >= 2 {
        let fan_in: usize = shape[1..].iter().product();
        (0.0, gain * (3.0 / fan_in as f64).sqrt())
    } else if key.ends_with(".weight") {
        (1.0, 0.1)
    } else {
        (0.0, 0.1)
    }
}

/// Returns frame `t` (0 to 63) of the clip `synthetic`, 640 x 480: an ellipse that moves over a
/// texture.
pub fn synthetic_frame(t: i64) -> RgbFrame {
    let (cx, cy) =
        (500 - ((140 + 20 * t) % 760 - 380).abs(), 392 - ((140 + 8 * t) % 624 - 312).abs());
    draw(640, 480, |x, y, c| {
        let texture = texture(x, y, c, t);
        let (dx, dy) = (x - cx, y - cy);
        if 4 * dx * dx + 9 * dy * dy <= 57600 { 255 - 16 * c - (texture >> 3) } else { texture }
    })
}

/// Returns frame `t` (0 to 52) of the clip `leave-and-return`, 320 x 240: an ellipse that is
/// outside the frame from 21 to 31.
pub fn leave_and_return_frame(t: i64) -> RgbFrame {
    let (cx, cy) = (416 - 12 * (t - 26).abs(), 108 + ((3 * t) % 48 - 24).abs());
    draw(320, 240, |x, y, c| {
        let texture = texture(x, y, c, 0);
        let (dx, dy) = (x - cx, y - cy);
        if 9 * dx * dx + 16 * dy * dy <= 11664 {
            240 - 12 * c - (texture >> 5)
        } else {
            60 - 10 * c + ((x + 2 * y) >> 3) + (texture >> 6)
        }
    })
}

/// Returns one image of an odd size, 333 x 217.
pub fn odd_size_image() -> RgbFrame {
    draw(333, 217, |x, y, c| {
        let texture = texture(x, y, c, 0);
        let (dx, dy) = (x - 150, y - 100);
        if 4 * dx * dx + 9 * dy * dy <= 14400 { 255 - 16 * c - (texture >> 3) } else { texture }
    })
}

fn texture(x: i64, y: i64, c: i64, t: i64) -> i64 {
    (x * (c + 3) + y * (7 - c) + 13 * t + ((x * y) >> (5 + c))) & 255
}

/// Draws an RGB frame from a formula of x, y and channel.
fn draw(width: u32, height: u32, pixel: impl Fn(i64, i64, i64) -> i64) -> RgbFrame {
    let mut data = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..i64::from(height) {
        for x in 0..i64::from(width) {
            data.extend((0..3).map(|c| pixel(x, y, c) as u8));
        }
    }
    RgbFrame::new(width, height, data).unwrap()
}
