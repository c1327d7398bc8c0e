//! The checkpoints that Meta has published.

use std::borrow::Cow;

use sam2_model::{ModelVersion, Sam2Config, Variant};

/// Base URL of Meta's checkpoints. A mirror must have the same folders below its base URL.
pub const OFFICIAL_BASE_URL: &str = "https://dl.fbaipublicfiles.com/segment_anything_2/";

/// A checkpoint that can be downloaded, with the facts that verify the download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// File name, such as `sam2.1_hiera_tiny.pt`.
    pub file: Cow<'static, str>,
    /// Path below the base URL, or a whole URL.
    pub path: Cow<'static, str>,
    /// Size in bytes, if known beforehand.
    pub bytes: Option<u64>,
    /// SHA-256 of the file in lower-case hexadecimal.
    pub sha256: Cow<'static, str>,
}

/// Size, generation, path, bytes and SHA-256 of the eight files of
/// <https://github.com/facebookresearch/sam2>.
const OFFICIAL: [(Variant, ModelVersion, &str, Option<u64>, &str); 8] = {
    use ModelVersion::{V2_0, V2_1};
    use Variant::{BasePlus, Large, Small, Tiny};
    [
        (
            Tiny,
            V2_1,
            "092824/sam2.1_hiera_tiny.pt",
            Some(156_008_466),
            "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        ),
        (
            Small,
            V2_1,
            "092824/sam2.1_hiera_small.pt",
            Some(184_416_285),
            "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        ),
        (
            BasePlus,
            V2_1,
            "092824/sam2.1_hiera_base_plus.pt",
            Some(323_606_802),
            "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        ),
        (
            Large,
            V2_1,
            "092824/sam2.1_hiera_large.pt",
            Some(898_083_611),
            "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        ),
        (
            Tiny,
            V2_0,
            "072824/sam2_hiera_tiny.pt",
            None,
            "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
        ),
        (
            Small,
            V2_0,
            "072824/sam2_hiera_small.pt",
            None,
            "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
        ),
        (
            BasePlus,
            V2_0,
            "072824/sam2_hiera_base_plus.pt",
            None,
            "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
        ),
        (
            Large,
            V2_0,
            "072824/sam2_hiera_large.pt",
            None,
            "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
        ),
    ]
};

impl Release {
    /// Returns every official checkpoint with the model it is for.
    pub fn all() -> impl Iterator<Item = (Sam2Config, Self)> {
        OFFICIAL.into_iter().map(|(variant, version, path, bytes, sha256)| {
            let file = path.rsplit('/').next().unwrap_or(path);
            let release = Self {
                file: Cow::Borrowed(file),
                path: Cow::Borrowed(path),
                bytes,
                sha256: Cow::Borrowed(sha256),
            };
            (Sam2Config::new(variant, version), release)
        })
    }

    /// Returns the official checkpoint of a variant; `None` for [`Variant::Micro`], which is this
    /// project's own.
    pub fn official(variant: Variant, version: ModelVersion) -> Option<Self> {
        let wanted = Sam2Config::new(variant, version);
        Self::all().find(|(config, _)| *config == wanted).map(|(_, release)| release)
    }

    /// Returns the official checkpoint with this hash.
    pub fn by_sha256(sha256: &str) -> Option<Self> {
        Self::all().map(|(_, release)| release).find(|release| release.sha256 == sha256)
    }

    /// Returns a checkpoint at any web address. The file is named after the last part of the URL.
    pub fn at_url(url: &str, sha256: &str) -> Option<Self> {
        let without_query = url.split(['?', '#']).next().unwrap_or(url);
        let file = without_query.rsplit('/').next().filter(|name| !name.is_empty())?;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        // The name must not lead out of the cache folder.
        let is_name = file != "." && file != ".." && !file.contains('\\');
        (is_hash && is_web && is_name).then(|| Self {
            file: Cow::Owned(file.to_owned()),
            path: Cow::Owned(url.to_owned()),
            bytes: None,
            sha256: Cow::Owned(sha256.to_ascii_lowercase()),
        })
    }

    /// Returns the checkpoint's URL, given the base URL.
    pub(crate) fn url(&self, base: &str) -> String {
        if self.path.contains("://") {
            return self.path.to_string();
        }
        format!("{}/{}", base.trim_end_matches('/'), self.path)
    }

    /// Returns the name of the model, such as `large-2.1`; the file's name if it is not an official
    /// one.
    pub fn model_name(&self) -> String {
        self.official_name().unwrap_or_else(|| self.file.to_string())
    }

    /// Returns the command that downloads the checkpoint, in back quotes, for messages.
    pub(crate) fn download_command(&self) -> String {
        match self.official_name() {
            Some(name) => format!("`sam2 download {name}`"),
            None => Self::download_of_another(),
        }
    }

    /// Returns the command that downloads a checkpoint that is not an official one.
    pub(crate) fn download_of_another() -> String {
        "`sam2 download` with its --url and --sha256".to_owned()
    }

    fn official_name(&self) -> Option<String> {
        let (config, _) = Self::all().find(|(_, release)| release.sha256 == self.sha256)?;
        Some(format!("{}-{}", config.variant()?, config.version))
    }

    /// Returns the file name after conversion.
    pub fn converted_file(&self) -> String {
        let stem = self.file.strip_suffix(".pt").or_else(|| self.file.strip_suffix(".safetensors"));
        format!("{}.safetensors", stem.unwrap_or(&self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_variant_is_there_once() {
        for variant in Variant::ALL.into_iter().filter(|v| *v != Variant::Micro) {
            for version in [ModelVersion::V2_0, ModelVersion::V2_1] {
                let release = Release::official(variant, version).unwrap();
                assert!(release.file.contains(&variant.name().replace('-', "_")), "{release:?}");
                assert_eq!(release.file.starts_with("sam2.1_"), version == ModelVersion::V2_1);
                assert_eq!(Release::by_sha256(&release.sha256).unwrap(), release);
                assert_eq!(release.sha256.len(), 64);
                assert_eq!(release.model_name(), format!("{variant}-{version}"));
            }
        }
        assert_eq!(Release::official(Variant::Micro, ModelVersion::V2_1), None);
    }

    #[test]
    fn urls_of_any_checkpoint() {
        let hash = "AB".repeat(32);
        let release = Release::at_url("https://lab.example/w/mouse.pt?dl=1", &hash).unwrap();
        assert_eq!(
            (release.file.as_ref(), release.sha256.as_ref()),
            ("mouse.pt", &*"ab".repeat(32))
        );
        assert_eq!(release.url("https://ignored/"), "https://lab.example/w/mouse.pt?dl=1");
        assert_eq!(release.converted_file(), "mouse.safetensors");
        for url in ["ftp://x/y.pt", "https://x/", "https://x/..", "y.pt"] {
            assert_eq!(Release::at_url(url, &hash), None, "{url}");
        }
        assert_eq!(Release::at_url("https://x/y.pt", "12"), None);
    }
}
