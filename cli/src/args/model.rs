//! Which model runs, and on what.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::builder::{PathBufValueParser, StringValueParser};
use clap::{Args, ValueHint};
use sam2_engine::{DeviceChoice, Precision};

use super::words::{DEVICES, MODELS, PRECISIONS, offering};

/// Which model runs, and on what; `sam2 segment` and `sam2 bench` share it.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Weights: a file (safetensors or .pt), or the name of a downloaded model, such as large or tiny-2.0.
    ///
    /// Meta's and Hugging Face's names are understood too. micro, the default, is the built-in demonstration model.
    #[arg(
        long,
        value_name = "FILE|NAME",
        help = "Weights: a file, or a name such as large",
        value_parser = offering(PathBufValueParser::new(), MODELS),
        value_hint = ValueHint::FilePath,
        hide_possible_values = true
    )]
    pub model: Option<PathBuf>,
    /// Configuration of weights that are not recognised: a name like tiny-2.1, or a JSON file.
    #[arg(
        long,
        value_name = "NAME|FILE",
        requires = "model",
        value_parser = offering(StringValueParser::new(), MODELS),
        value_hint = ValueHint::FilePath,
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub config: Option<String>,
    /// Where the model runs: auto, cpu, cuda, cuda:N, vulkan or vulkan:N.
    ///
    /// auto is a GPU if one can be used, or else the CPU. N counts from 0; `sam2 devices` lists all devices.
    #[arg(
        long,
        help = "auto, cpu, cuda[:N] or vulkan[:N]",
        default_value_t = DeviceChoice::Auto,
        value_parser = offering(DeviceChoice::from_str, DEVICES),
        hide_possible_values = true
    )]
    pub device: DeviceChoice,
    /// Number format of weights and products: auto, f32, bf16 or f16.
    ///
    /// auto is the one that suits the device.
    #[arg(
        long,
        value_name = "FORMAT",
        help = "auto, f32, bf16 or f16",
        default_value_t = Precision::Auto,
        value_parser = offering(Precision::from_str, PRECISIONS),
        hide_possible_values = true
    )]
    pub precision: Precision,
    /// Side of the model's input in pixels, a multiple of 32 [default: the model's own, 1024; micro 256]. A smaller one is faster and
    /// shows less detail.
    #[arg(long, value_name = "PIXELS", value_parser = image_size, hide_short_help = true)]
    pub image_size: Option<usize>,
}

/// A model of that size needs tens of gigabytes.
const LARGEST_INPUT: usize = 4096;

/// `--image-size`.
fn image_size(text: &str) -> Result<usize, String> {
    let fits = |side: &usize| (32..=LARGEST_INPUT).contains(side) && side.is_multiple_of(32);
    let refused = || format!("use a multiple of 32 from 32 to {LARGEST_INPUT}, such as 512 or 768");
    text.parse().ok().filter(fits).ok_or_else(refused)
}
