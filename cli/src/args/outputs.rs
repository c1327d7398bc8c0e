//! Where results go and how they are written.

use std::ffi::{OsStr, OsString};

use clap::Args;
use sam2_mask_writer::StackCompression;

/// The value of `-o` as typed: `PATH`, whose ending says the format, or `FORMAT:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputArg(OsString);

impl OutputArg {
    /// As it was typed.
    pub fn typed(&self) -> &OsStr {
        &self.0
    }
}

impl From<OsString> for OutputArg {
    fn from(typed: OsString) -> Self {
        Self(typed)
    }
}

/// `--compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum CompressionArg {
    /// As they are: pages can be mapped into memory.
    None,
    /// Hundreds of times smaller; tifffile, OpenCV, Fiji and libtiff read it.
    #[default]
    Deflate,
    /// Runs of bytes.
    Packbits,
}

impl From<CompressionArg> for StackCompression {
    fn from(typed: CompressionArg) -> Self {
        match typed {
            CompressionArg::None => Self::None,
            CompressionArg::Deflate => Self::Deflate,
            CompressionArg::Packbits => Self::PackBits,
        }
    }
}

/// How results are written; `sam2 segment` and `sam2 merge` share it.
#[derive(Clone, Copy, Debug, Args)]
pub struct StyleArgs {
    /// Replace outputs that exist.
    #[arg(long)]
    pub overwrite: bool,
    /// Write object numbers (1-255), not 0/255.
    ///
    /// Pixels of a stack are then the number of their object instead of 255, and 0 outside all objects.
    #[arg(long)]
    pub ids: bool,
    /// How the pages of stacks are compressed.
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        hide_possible_values = true,
        default_value_t,
        help = "How the pages of stacks are compressed: none, deflate or packbits",
        hide_short_help = true
    )]
    pub compression: CompressionArg,
    /// Write polygons instead of run lengths into COCO's annotations.
    #[arg(long, hide_short_help = true)]
    pub coco_polygons: bool,
}

impl StyleArgs {
    /// The defaults, with outputs that exist replaced or not.
    pub fn for_export(overwrite: bool) -> Self {
        let compression = CompressionArg::default();
        Self { overwrite, ids: false, compression, coco_polygons: false }
    }
}
