//! Names of the published models.

use std::fmt;
use std::str::FromStr;

use crate::config::{ModelVersion, Sam2Config, UnknownConfig, Variant};

/// A published model by name: its size and, where the name says so, its generation.
///
/// | who uses the name | examples |
/// |---|---|
/// | this project | `large`, `base-plus-2.0` |
/// | Meta's files and configurations | `sam2.1_hiera_large`, `sam2_hiera_tiny.pt`, `sam2.1_hiera_b+.yaml` |
/// | Hugging Face | `facebook/sam2.1-hiera-large`, `sam2-hiera-base-plus` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelName {
    /// The model's size.
    pub variant: Variant,
    /// The model's generation, or `None` if the name does not state it.
    pub version: Option<ModelVersion>,
}

impl ModelName {
    /// Returns the configuration of that model. Without a generation in the name, it is that of SAM
    /// 2.1.
    pub fn config(self) -> Sam2Config {
        Sam2Config::new(self.variant, self.version.unwrap_or(ModelVersion::V2_1))
    }
}

impl FromStr for ModelName {
    type Err = UnknownConfig;

    fn from_str(text: &str) -> Result<Self, UnknownConfig> {
        let unknown = || UnknownConfig(text.to_owned());
        let name = text.rsplit('/').next().unwrap_or(text).to_lowercase().replace('_', "-");
        let name = [".pt", ".yaml", ".safetensors"]
            .into_iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(&name);
        // Meta's prefix states the generation: `sam2` alone is the first one.
        let (version, name) = match name.strip_prefix("sam2") {
            None => (None, name),
            Some(rest) => match rest.strip_prefix(".1-") {
                Some(rest) => (Some(ModelVersion::V2_1), rest),
                None => (Some(ModelVersion::V2_0), rest.strip_prefix('-').ok_or_else(unknown)?),
            },
        };
        let name = name.strip_prefix("hiera-").unwrap_or(name);
        let (said, name) = match name.rsplit_once('-') {
            Some((name, "2.0")) => (Some(ModelVersion::V2_0), name),
            Some((name, "2.1")) => (Some(ModelVersion::V2_1), name),
            _ => (None, name),
        };
        if version.is_some() && said.is_some() && version != said {
            return Err(unknown());
        }
        let variant = match name {
            "micro" => Variant::Micro,
            "tiny" | "t" => Variant::Tiny,
            "small" | "s" => Variant::Small,
            "base-plus" | "base+" | "b+" => Variant::BasePlus,
            "large" | "l" => Variant::Large,
            _ => return Err(unknown()),
        };
        Ok(Self { variant, version: version.or(said) })
    }
}

impl FromStr for Sam2Config {
    type Err = UnknownConfig;

    /// Accepts every name of [`ModelName`]. Without a version: 2.1.
    fn from_str(name: &str) -> Result<Self, UnknownConfig> {
        Ok(name.parse::<ModelName>()?.config())
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.variant)?;
        match self.version {
            Some(version) => write!(f, "-{version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybodys_names_are_understood() {
        use ModelVersion::{V2_0, V2_1};
        use Variant::{BasePlus, Large, Micro, Small, Tiny};
        let cases = [
            ("large", Large, None),
            ("micro", Micro, None),
            ("base-plus-2.0", BasePlus, Some(V2_0)),
            ("tiny-2.1", Tiny, Some(V2_1)),
            ("sam2.1_hiera_large", Large, Some(V2_1)),
            ("sam2.1_hiera_base_plus.pt", BasePlus, Some(V2_1)),
            ("sam2_hiera_small", Small, Some(V2_0)),
            ("sam2_hiera_t.yaml", Tiny, Some(V2_0)),
            ("sam2.1_hiera_b+", BasePlus, Some(V2_1)),
            ("facebook/sam2.1-hiera-base-plus", BasePlus, Some(V2_1)),
            ("facebook/sam2-hiera-tiny", Tiny, Some(V2_0)),
            ("SAM2.1-Hiera-Large", Large, Some(V2_1)),
        ];
        for (text, variant, version) in cases {
            assert_eq!(
                text.parse::<ModelName>().unwrap(),
                ModelName { variant, version },
                "{text}"
            );
        }
        for text in ["", "huge", "sam2", "sam3-large", "sam2.1_hiera_large-2.0", "sam2large", "-"] {
            assert!(text.parse::<ModelName>().is_err(), "{text}");
        }
    }
}
