//! Which model runs, and on what.

use std::path::PathBuf;

use clap::Args;
use sam2_engine::{DeviceChoice, Precision};

/// Which model runs, and on what; `sam2 segment` and `sam2 bench` share it.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Weights: a file, or a downloaded model such as large.
    ///
    /// Weights: a file (safetensors or .pt), or the name of a downloaded model such as large or tiny-2.0; Meta's and Hugging Face's
    /// names are understood too. micro, the default, is the built-in demonstration model.
    #[arg(long, value_name = "FILE|NAME")]
    pub model: Option<PathBuf>,
    /// Configuration of weights that are not recognised: a name like tiny-2.1, or a JSON file.
    #[arg(long, value_name = "NAME|FILE", requires = "model", hide_short_help = true)]
    pub config: Option<String>,
    /// Where to run: auto, cpu, cuda, cuda:N, vulkan or vulkan:N.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Number format: auto, f32, bf16 or f16.
    ///
    /// Number format of weights and products: auto (what suits the device), f32, bf16 or f16.
    #[arg(long, default_value_t = Precision::Auto)]
    pub precision: Precision,
    /// Side of the model's input, in pixels: other than its own (1024; micro 256) it trades detail for speed. Multiples of 32.
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
