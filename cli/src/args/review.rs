//! `sam2 review`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::model::ModelArgs;

/// `sam2 review`.
#[derive(Clone, Debug, Args)]
pub struct ReviewArgs {
    /// The run file (.sam2run), finished or still growing; or a recording.
    ///
    /// For a recording, a run without masks is begun, NAME.sam2run in the working folder, unless it is there already: prompt the animals
    /// in the page and track them.
    #[arg(value_name = "RUN.sam2run|RECORDING", value_hint = ValueHint::FilePath)]
    pub run: PathBuf,
    /// The recording; with --join, once for each file [default: the one of the run's name, next to the run file or in the working
    /// folder].
    #[arg(long, value_name = "FILE")]
    pub recording: Vec<PathBuf>,
    /// Take the video files as one recording, in the given order.
    #[arg(long, requires = "recording")]
    pub join: bool,
    /// The pose track: its body parts are shown and can prompt [default: the one of the run's name, next to the run file or in the working
    /// folder].
    #[arg(long, value_name = "TRACK", value_hint = ValueHint::FilePath)]
    pub keypoints: Option<PathBuf>,
    /// Open the page on this frame [default: the first].
    #[arg(long, value_name = "F")]
    pub frame: Option<usize>,
    /// Open the page with this object selected [default: the first].
    #[arg(long, value_name = "OBJ")]
    pub object: Option<u32>,
    /// The port [default: a free one].
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// The address of this machine to listen on.
    ///
    /// With any other than the default, everybody who can reach this machine and knows the address of the page can change the run, and
    /// what they send is not encrypted.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub address: IpAddr,
    /// Change nothing; look only. Needs no model.
    #[arg(long)]
    pub read_only: bool,
    /// Track again on another kind of processor or device than the run was computed on.
    ///
    /// Masks then differ in a few pixels, since kernels round differently.
    #[arg(long)]
    pub mixed_processors: bool,
    /// Name to record in the history [default: your user name].
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,
    /// Which model tracks [default: the run's].
    #[command(flatten)]
    pub network: ModelArgs,
}
