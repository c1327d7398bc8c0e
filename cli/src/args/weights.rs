//! `sam2 convert`, `sam2 inspect` and `sam2 download`.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::builder::StringValueParser;
use clap::{Args, ValueHint};
use sam2_model::ModelName;

use super::words::{MODELS, offering};

/// Number format of converted weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DtypeArg {
    /// As in the input.
    Keep,
    /// 4 bytes a value.
    F32,
    /// 2 bytes a value, with 11 bits of precision, up to 65,504.
    F16,
    /// 2 bytes a value, with 8 bits of precision and the range of f32.
    Bf16,
}

/// `sam2 convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// An official checkpoint (.pt), a safetensors file with the official or Hugging Face's names, or a downloaded model by name.
    pub input: PathBuf,
    /// The safetensors file to write.
    pub output: PathBuf,
    /// Number format of the weights.
    #[arg(long, value_name = "FORMAT", default_value = "keep")]
    pub dtype: DtypeArg,
    /// Configuration of weights that are not recognised: a name like tiny-2.1, or a JSON file.
    #[arg(
        long,
        value_name = "NAME|FILE",
        value_parser = offering(StringValueParser::new(), MODELS),
        value_hint = ValueHint::FilePath,
        hide_possible_values = true
    )]
    pub config: Option<String>,
    /// Replace an output that exists.
    #[arg(long)]
    pub overwrite: bool,
}

/// `sam2 inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A checkpoint (.pt) or safetensors file, or a downloaded model by name.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The generations that can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum VersionArg {
    /// July 2024.
    #[value(name = "2.0")]
    V2_0,
    /// September 2024.
    #[value(name = "2.1")]
    V2_1,
}

/// `sam2 download`.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// tiny, small, base-plus or large; large-2.0 is the one of generation 2.0.
    ///
    ///   tiny        39 M parameters, 156 MB
    ///   small       46 M parameters, 184 MB
    ///   base-plus   81 M parameters, 324 MB
    ///   large      224 M parameters, 898 MB
    ///
    /// Meta's and Hugging Face's names are understood too, such as sam2.1_hiera_large.
    #[arg(
        required_unless_present = "url",
        value_parser = offering(ModelName::from_str, MODELS),
        hide_possible_values = true,
        verbatim_doc_comment
    )]
    pub model: Option<ModelName>,
    /// Generation of the model [default: 2.1].
    #[arg(long = "version", id = "generation", value_name = "V")]
    pub version: Option<VersionArg>,
    /// Fetch this checkpoint instead, such as one your lab has trained.
    #[arg(long, value_name = "URL", conflicts_with = "model", requires = "sha256")]
    pub url: Option<String>,
    /// SHA-256 of the file at --url.
    #[arg(long, value_name = "HEX", conflicts_with = "model", requires = "url")]
    pub sha256: Option<String>,
    /// A mirror of Meta's server, with the same folders.
    #[arg(long, value_name = "URL", env = "SAM2_BASE_URL", default_value = sam2_weights_convert::OFFICIAL_BASE_URL)]
    pub base_url: String,
    /// How many times in a row a broken connection is tried again before any data arrives.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u32,
    /// Folder for downloads [default: $XDG_CACHE_HOME/sam2 or ~/.cache/sam2].
    #[arg(long, value_name = "FOLDER", env = "SAM2_CACHE", value_hint = ValueHint::DirPath)]
    pub cache: Option<PathBuf>,
}
