//! `sam2 score`.

use anyhow::{Result, bail};
use sam2_mask_writer::{Mask, MaskStackReader};

use crate::args::ScoreArgs;
use crate::exit::ExitStatus;
use crate::standard_output::print;

/// Prints the mean, lowest and highest J over all frames.
pub fn run(args: &ScoreArgs) -> Result<ExitStatus> {
    let masks: Vec<Mask> = MaskStackReader::open(&args.masks)?.collect::<Result<_, _>>()?;
    let truth: Vec<Mask> = MaskStackReader::open(&args.truth)?.collect::<Result<_, _>>()?;
    if masks.len() != truth.len() {
        bail!(
            "'{}' has {} pages, '{}' has {}: they are not of the same recording",
            args.masks.display(),
            masks.len(),
            args.truth.display(),
            truth.len()
        );
    }
    let size = |mask: &Mask| (mask.width(), mask.height());
    if let Some((frame, (a, b))) =
        masks.iter().zip(&truth).enumerate().find(|(_, (a, b))| size(a) != size(b))
    {
        bail!("page {frame} is {:?} in one stack and {:?} in the other", size(a), size(b));
    }
    let scores: Vec<f64> = masks.iter().zip(&truth).map(|(a, b)| a.iou(b)).collect();
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let (worst, lowest) =
        scores.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0));
    let frames = scores.len();
    print(format!("mean J {mean:.4} over {frames} frames; lowest {lowest:.4} in frame {worst}\n"))?;
    Ok(ExitStatus::Done)
}
