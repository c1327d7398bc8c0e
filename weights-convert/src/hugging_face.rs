//! Hugging Face's names of SAM 2's parameters.
//!
//! `transformers` stores `Sam2VideoModel` under its own names, with two differences in layout: four
//! point embeddings are in one tensor, and one positional matrix is stored twice. All other
//! differences are in the names. `tests/parity/hf/check_names.py` verifies the table against both
//! packages (same weights, same outputs).

use std::collections::BTreeMap;

use crate::checkpoint::CheckpointTensor;

/// Names that are replaced as a whole.
const WHOLE: [(&str, &str); 7] = [
    ("shared_image_embedding.positional_embedding", GAUSSIAN_MATRIX),
    ("prompt_encoder.shared_embedding.positional_embedding", GAUSSIAN_MATRIX),
    ("no_memory_embedding", "no_mem_embed"),
    ("no_memory_positional_encoding", "no_mem_pos_enc"),
    ("memory_temporal_positional_encoding", "maskmem_tpos_enc"),
    ("no_object_pointer", "no_obj_ptr"),
    ("occlusion_spatial_embedding_parameter", "no_obj_embed_spatial"),
];

const GAUSSIAN_MATRIX: &str = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix";

/// Prefixes of names; the first that matches is replaced.
const BEGINNINGS: [(&str, &str); 27] = [
    ("temporal_positional_encoding_projection_layer.", "obj_ptr_tpos_proj."),
    ("object_pointer_proj.", "obj_ptr_proj."),
    ("vision_encoder.backbone.patch_embed.projection.", "image_encoder.trunk.patch_embed.proj."),
    ("vision_encoder.backbone.", "image_encoder.trunk."),
    ("vision_encoder.neck.", "image_encoder.neck."),
    ("prompt_encoder.mask_embed.conv1.", "sam_prompt_encoder.mask_downscaling.0."),
    ("prompt_encoder.mask_embed.layer_norm1.", "sam_prompt_encoder.mask_downscaling.1."),
    ("prompt_encoder.mask_embed.conv2.", "sam_prompt_encoder.mask_downscaling.3."),
    ("prompt_encoder.mask_embed.layer_norm2.", "sam_prompt_encoder.mask_downscaling.4."),
    ("prompt_encoder.mask_embed.conv3.", "sam_prompt_encoder.mask_downscaling.6."),
    ("prompt_encoder.", "sam_prompt_encoder."),
    ("mask_decoder.upscale_conv1.", "sam_mask_decoder.output_upscaling.0."),
    ("mask_decoder.upscale_layer_norm.", "sam_mask_decoder.output_upscaling.1."),
    ("mask_decoder.upscale_conv2.", "sam_mask_decoder.output_upscaling.3."),
    ("mask_decoder.", "sam_mask_decoder."),
    (
        "memory_encoder.mask_downsampler.layers.0.conv.",
        "memory_encoder.mask_downsampler.encoder.0.",
    ),
    (
        "memory_encoder.mask_downsampler.layers.0.layer_norm.",
        "memory_encoder.mask_downsampler.encoder.1.",
    ),
    (
        "memory_encoder.mask_downsampler.layers.1.conv.",
        "memory_encoder.mask_downsampler.encoder.3.",
    ),
    (
        "memory_encoder.mask_downsampler.layers.1.layer_norm.",
        "memory_encoder.mask_downsampler.encoder.4.",
    ),
    (
        "memory_encoder.mask_downsampler.layers.2.conv.",
        "memory_encoder.mask_downsampler.encoder.6.",
    ),
    (
        "memory_encoder.mask_downsampler.layers.2.layer_norm.",
        "memory_encoder.mask_downsampler.encoder.7.",
    ),
    (
        "memory_encoder.mask_downsampler.layers.3.conv.",
        "memory_encoder.mask_downsampler.encoder.9.",
    ),
    (
        "memory_encoder.mask_downsampler.layers.3.layer_norm.",
        "memory_encoder.mask_downsampler.encoder.10.",
    ),
    ("memory_encoder.mask_downsampler.final_conv.", "memory_encoder.mask_downsampler.encoder.12."),
    ("memory_encoder.feature_projection.", "memory_encoder.pix_feat_proj."),
    ("memory_encoder.projection.", "memory_encoder.out_proj."),
    ("memory_encoder.memory_fuser.", "memory_encoder.fuser."),
];

/// Perceptrons with three layers: Hugging Face numbers only their inner layers.
const THREE_LAYERS: [&str; 4] = [
    "sam_mask_decoder.output_hypernetworks_mlps.",
    "sam_mask_decoder.iou_prediction_head.",
    "sam_mask_decoder.pred_obj_score_head.",
    "obj_ptr_proj.",
];

/// Parts that can occur anywhere after the prefix; each is replaced, in this order.
const PARTS: [(&str, &str); 9] = [
    (".depthwise_conv.", ".dwconv."),
    (".pointwise_conv1.", ".pwconv1."),
    (".pointwise_conv2.", ".pwconv2."),
    // Numbered norms and `layer_norm_final_attn` alike.
    (".layer_norm", ".norm"),
    (".o_proj.", ".out_proj."),
    // Perceptrons with two layers come first, because the same words mean three layers elsewhere.
    (".mlp.proj_in.", ".mlp.layers.0."),
    (".mlp.proj_out.", ".mlp.layers.1."),
    (".proj_in.", ".layers.0."),
    (".proj_out.", ".layers.2."),
];

/// The tensor that holds the four point embeddings, `[4, C]`.
const POINT_EMBEDDINGS: &str = "prompt_encoder.point_embed.weight";

/// Contents that cannot be translated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Two tensors with the same official name but different values.
    Differ(String),
    /// The point embeddings are not `[4, C]`.
    PointEmbeddings(Vec<usize>),
}

/// Returns whether these are Hugging Face's names.
pub(crate) fn is_layout_of(mut names: impl Iterator<Item = impl AsRef<str>>) -> bool {
    names.any(|name| name.as_ref().starts_with("vision_encoder."))
}

/// Returns the tensors under their official names.
pub(crate) fn to_official(
    tensors: BTreeMap<String, CheckpointTensor>,
) -> Result<BTreeMap<String, CheckpointTensor>, Conflict> {
    let mut official: BTreeMap<String, CheckpointTensor> = BTreeMap::new();
    for (name, tensor) in tensors {
        if name == POINT_EMBEDDINGS {
            official.extend(split_point_embeddings(tensor)?);
            continue;
        }
        let name = official_name(&name);
        match official.get(&name) {
            Some(earlier) if *earlier != tensor => return Err(Conflict::Differ(name)),
            Some(_) => {}
            None => {
                official.insert(name, tensor);
            }
        }
    }
    Ok(official)
}

/// Splits `[4, C]` into four tensors of `[1, C]`.
fn split_point_embeddings(
    tensor: CheckpointTensor,
) -> Result<Vec<(String, CheckpointTensor)>, Conflict> {
    let [4, channels] = tensor.shape[..] else {
        return Err(Conflict::PointEmbeddings(tensor.shape));
    };
    let row = tensor.data.len() / 4;
    if row == 0 {
        return Err(Conflict::PointEmbeddings(tensor.shape));
    }
    let part = |(index, bytes): (usize, &[u8])| {
        let name = format!("sam_prompt_encoder.point_embeddings.{index}.weight");
        let part = CheckpointTensor {
            dtype: tensor.dtype,
            shape: vec![1, channels],
            data: bytes.to_vec(),
        };
        (name, part)
    };
    Ok(tensor.data.chunks_exact(row).enumerate().map(part).collect())
}

/// Translates one of Hugging Face's keys into the official state-dict key.
fn official_name(name: &str) -> String {
    if let Some((_, official)) = WHOLE.iter().find(|(theirs, _)| *theirs == name) {
        return (*official).to_owned();
    }
    let mut name = BEGINNINGS
        .iter()
        .find_map(|(theirs, official)| Some(format!("{official}{}", name.strip_prefix(theirs)?)))
        .unwrap_or_else(|| name.to_owned());
    if let Some(rest) = name.strip_prefix("image_encoder.neck.convs.")
        && let Some((number, leaf)) = rest.split_once('.')
    {
        return format!("image_encoder.neck.convs.{number}.conv.{leaf}");
    }
    if name.starts_with("memory_encoder.fuser.layers.") && name.ends_with(".scale") {
        name = name.replace(".scale", ".gamma");
    }
    if THREE_LAYERS.iter().any(|beginning| name.starts_with(beginning)) {
        name = name.replace(".layers.0.", ".layers.1.");
    }
    for (theirs, official) in PARTS {
        name = name.replace(theirs, official);
    }
    name
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::Dtype;
    use sam2_model::weights::{TensorShapes, expected_tensors};
    use sam2_model::{Device, Sam2Config};

    use super::*;

    /// Names and shapes as written by `Sam2VideoModel.save_pretrained` of transformers 5.23.
    const HEADERS: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/parity/hf/hf_headers.json");

    fn headers(model: &str) -> BTreeMap<String, CheckpointTensor> {
        let text = std::fs::read_to_string(HEADERS).unwrap();
        let all: BTreeMap<String, TensorShapes> = serde_json::from_str(&text).unwrap();
        let tensor = |shape: &Vec<usize>| CheckpointTensor {
            dtype: Dtype::F16,
            shape: shape.clone(),
            data: vec![0; 2 * shape.iter().product::<usize>()],
        };
        all[model].iter().map(|(name, shape)| (name.clone(), tensor(shape))).collect()
    }

    fn expected(config: &str) -> TensorShapes {
        let config: Sam2Config = config.parse().unwrap();
        let tensors = expected_tensors(&config, &Device::flex());
        tensors.into_iter().map(|tensor| (tensor.name, tensor.shape)).collect()
    }

    #[test]
    fn every_name_and_shape_is_the_official_one() {
        for (model, config) in
            [("micro_2_1", "micro-2.1"), ("tiny_2_0", "tiny-2.0"), ("tiny_2_1", "tiny-2.1")]
        {
            let theirs = headers(model);
            assert!(is_layout_of(theirs.keys()));
            let official = to_official(theirs).unwrap();
            let shapes: TensorShapes = official
                .iter()
                .map(|(name, tensor)| (name.clone(), tensor.shape.clone()))
                .collect();
            let names: Vec<_> = shapes.keys().collect();
            let expected = expected(config);
            assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{model}");
            for (name, shape) in &expected {
                // Our network stores 1 x 1 convolutions as linear layers.
                let mut found = shapes[name].clone();
                found.truncate(shape.len().max(if found.ends_with(&[1, 1]) { 2 } else { 4 }));
                assert_eq!(found[..shape.len()], shape[..], "{model}: {name}");
            }
        }
    }

    #[test]
    fn official_names_are_not_taken_for_theirs() {
        assert!(!is_layout_of(expected("tiny-2.1").keys()));
    }

    #[test]
    fn the_matrix_that_is_stored_twice_must_be_the_same_twice() {
        let mut tensors = headers("micro_2_1");
        let name = "shared_image_embedding.positional_embedding";
        tensors.get_mut(name).unwrap().data[0] = 1;
        assert_eq!(to_official(tensors).unwrap_err(), Conflict::Differ(GAUSSIAN_MATRIX.to_owned()));
        // One copy is enough, under either name.
        for left_out in [name, "prompt_encoder.shared_embedding.positional_embedding"] {
            let mut tensors = headers("micro_2_1");
            tensors.remove(left_out).unwrap();
            assert!(to_official(tensors).unwrap().contains_key(GAUSSIAN_MATRIX));
        }
    }

    #[test]
    fn point_embeddings_are_four_rows() {
        let mut tensors = headers("micro_2_1");
        let four = tensors.get_mut(POINT_EMBEDDINGS).unwrap();
        four.data = (0..4_u8).flat_map(|row| vec![row; 2 * 64]).collect();
        let official = to_official(tensors).unwrap();
        for row in 0..4_u8 {
            let name = format!("sam_prompt_encoder.point_embeddings.{row}.weight");
            assert_eq!(official[&name].shape, [1, 64]);
            assert_eq!(official[&name].data, vec![row; 2 * 64]);
        }
        for shape in [vec![3, 64], vec![4], vec![4, 0]] {
            let data = vec![0; 2 * shape.iter().product::<usize>()];
            let wrong = CheckpointTensor { dtype: Dtype::F16, shape: shape.clone(), data };
            let tensors = BTreeMap::from([(POINT_EMBEDDINGS.to_owned(), wrong)]);
            assert_eq!(to_official(tensors).unwrap_err(), Conflict::PointEmbeddings(shape));
        }
    }
}
