//! Configurations: the differences between SAM 2 checkpoints.
//!
//! The eight published checkpoints differ in the trunk's width and depth and in four switches that
//! came with SAM 2.1. Everything else is the same network. The values are those of the official
//! YAML files (`sam2/configs/sam2/*.yaml`, `sam2/configs/sam2.1/*.yaml`, package `sam2` 1.1.0).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The published generations of the model. All but three of their layer shapes are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModelVersion {
    /// July 2024: object pointers carry no position.
    #[serde(rename = "2.0")]
    V2_0,
    /// September 2024: object pointers carry a projected, signed temporal position, and memories of
    /// frames without the object are marked by `no_obj_embed_spatial`.
    #[serde(rename = "2.1")]
    V2_1,
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2_0 => "2.0",
            Self::V2_1 => "2.1",
        })
    }
}

/// The sizes of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// 2.6 M parameters, 256 x 256 input. This project's own demonstration model.
    Micro,
    /// 38.9 M parameters.
    Tiny,
    /// 46 M parameters.
    Small,
    /// 80.8 M parameters.
    BasePlus,
    /// 224.4 M parameters.
    Large,
}

impl Variant {
    /// Every variant, smallest first.
    pub const ALL: [Self; 5] = [Self::Micro, Self::Tiny, Self::Small, Self::BasePlus, Self::Large];

    /// Returns the name used on the command line: `micro`, `tiny`, `small`, `base-plus` or `large`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Micro => "micro",
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::BasePlus => "base-plus",
            Self::Large => "large",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An unknown configuration name.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown configuration '{0}': use {{micro,tiny,small,base-plus,large}} with an optional '-2.0' or '-2.1', a name of Meta's or Hugging Face's such as sam2.1_hiera_large, or a JSON file"
)]
pub struct UnknownConfig(pub String);

/// The Hiera trunk (Ryali et al. 2023; `modeling/backbones/hieradet.py`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HieraConfig {
    /// Channels after the patch embedding; doubled at each stage.
    pub embed_dim: usize,
    /// Attention heads in the first stage; doubled at each stage.
    pub num_heads: usize,
    /// Blocks in each of the four stages.
    pub stages: [usize; 4],
    /// Indices of the blocks that attend globally instead of within windows, counted over all
    /// stages from 0.
    pub global_attention_blocks: Vec<usize>,
    /// Window side of each stage, in tokens of that stage.
    pub window_spec: [usize; 4],
    /// Rows and columns of the background position embedding that is interpolated to the feature
    /// map.
    pub background_size: [usize; 2],
}

impl HieraConfig {
    /// Returns the number of blocks in the trunk.
    pub fn depth(&self) -> usize {
        self.stages.iter().sum()
    }

    /// Returns the output channels of the four stages, high resolution (stride 4) first.
    pub fn stage_channels(&self) -> [usize; 4] {
        std::array::from_fn(|stage| self.embed_dim << stage)
    }
}

/// Everything needed to build the network before its weights are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sam2Config {
    /// Generation. Decides which optional layers exist.
    pub version: ModelVersion,
    /// Side of the square model input, in pixels. A multiple of 32.
    pub image_size: usize,
    /// The image encoder's trunk.
    pub trunk: HieraConfig,
    /// Channels of the neck, the memory attention and the mask decoder (`d_model`).
    pub hidden_dim: usize,
    /// Channels of a memory (`mem_dim`).
    pub memory_dim: usize,
    /// Layers of the memory attention.
    pub memory_attention_layers: usize,
    /// Width of the memory attention's feed-forward part.
    pub memory_attention_feed_forward: usize,
    /// Number of memories that a frame may attend to: the conditioning frames count as one, plus
    /// the six frames before it.
    pub num_maskmem: usize,
    /// Number of object pointers that a frame may attend to, not counting conditioning pointers.
    pub max_object_pointers: usize,
}

impl Sam2Config {
    /// Returns the configuration of a published checkpoint or of the micro model. The micro model
    /// was trained as 2.1 only; its 2.0 form is the same network without the 2.1 additions.
    pub fn new(variant: Variant, version: ModelVersion) -> Self {
        let official = |trunk| Self {
            version,
            image_size: 1024,
            trunk,
            hidden_dim: 256,
            memory_dim: 64,
            memory_attention_layers: 4,
            memory_attention_feed_forward: 2048,
            num_maskmem: 7,
            max_object_pointers: 16,
        };
        match variant {
            Variant::Micro => Self {
                image_size: 256,
                hidden_dim: 64,
                memory_dim: 32,
                memory_attention_layers: 2,
                memory_attention_feed_forward: 256,
                ..official(HieraConfig {
                    embed_dim: 24,
                    num_heads: 1,
                    stages: [1, 2, 5, 2],
                    global_attention_blocks: vec![4, 6, 7, 9],
                    window_spec: [8, 4, 6, 3],
                    background_size: [7, 7],
                })
            },
            Variant::Tiny => official(HieraConfig {
                embed_dim: 96,
                num_heads: 1,
                stages: [1, 2, 7, 2],
                global_attention_blocks: vec![5, 7, 9],
                window_spec: [8, 4, 14, 7],
                background_size: [7, 7],
            }),
            Variant::Small => official(HieraConfig {
                embed_dim: 96,
                num_heads: 1,
                stages: [1, 2, 11, 2],
                global_attention_blocks: vec![7, 10, 13],
                window_spec: [8, 4, 14, 7],
                background_size: [7, 7],
            }),
            Variant::BasePlus => official(HieraConfig {
                embed_dim: 112,
                num_heads: 2,
                stages: [2, 3, 16, 3],
                global_attention_blocks: vec![12, 16, 20],
                window_spec: [8, 4, 14, 7],
                background_size: [14, 14],
            }),
            Variant::Large => official(HieraConfig {
                embed_dim: 144,
                num_heads: 2,
                stages: [2, 6, 36, 4],
                global_attention_blocks: vec![23, 33, 43],
                window_spec: [8, 4, 16, 8],
                background_size: [7, 7],
            }),
        }
    }

    /// Returns the variant with this configuration, if it is a known one.
    pub fn variant(&self) -> Option<Variant> {
        Variant::ALL
            .into_iter()
            .find(|&variant| Self::new(variant, self.version).trunk == self.trunk)
    }

    /// Returns the side of the feature map that memories and the decoder work on (stride 16), in
    /// tokens.
    pub fn feature_size(&self) -> usize {
        self.image_size / 16
    }

    /// Returns the side of the decoder's mask logits (stride 4), in pixels.
    pub fn low_res_mask_size(&self) -> usize {
        self.image_size / 4
    }
}

impl fmt::Display for Sam2Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variant() {
            Some(variant) => write!(f, "SAM {} {variant}", self.version)?,
            None => write!(f, "SAM {} custom", self.version)?,
        }
        write!(f, ", {0} x {0}", self.image_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for variant in Variant::ALL {
            for version in [ModelVersion::V2_0, ModelVersion::V2_1] {
                let config: Sam2Config = format!("{variant}-{version}").parse().unwrap();
                assert_eq!(config.variant(), Some(variant));
                assert_eq!(config.version, version);
            }
        }
        assert_eq!("base-plus".parse::<Sam2Config>().unwrap().version, ModelVersion::V2_1);
        assert!("huge".parse::<Sam2Config>().is_err());
    }

    #[test]
    fn json_round_trips() {
        let config = Sam2Config::new(Variant::Large, ModelVersion::V2_0);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Sam2Config>(&json).unwrap(), config);
    }
}
