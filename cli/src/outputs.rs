//! Where results go: names checked before any work, sinks made when it starts.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_engine::{EngineError, FrameSource, JobPlan, MaskSink};
use sam2_mask_writer::{BigTiffSink, ContactSheetSink, OutputFile, PixelValues};

use crate::args::SegmentArgs;

/// Endings that mean a BigTIFF stack.
const STACK_ENDINGS: [&str; 3] = ["btf", "tif", "tiff"];
/// Endings of an overview picture.
const SHEET_ENDINGS: [&str; 1] = ["png"];

/// Refuses names that cannot be written, or that would replace something that must stay.
pub fn check(args: &SegmentArgs) -> Result<()> {
    check_ending(&args.output, &STACK_ENDINGS)?;
    let mut outputs = vec![&args.output];
    if let Some(sheet) = &args.contact_sheet {
        check_ending(sheet, &SHEET_ENDINGS)?;
        outputs.push(sheet);
    }
    let inputs: Vec<&PathBuf> =
        args.prompts.files().chain([&args.recording]).chain(&args.model).collect();
    for (index, output) in outputs.iter().enumerate() {
        if let Some(input) = inputs.iter().find(|input| same_file(input, output)) {
            bail!("'{}' is an input: choose another name for the output", input.display());
        }
        if outputs[..index].iter().any(|earlier| same_file(earlier, output)) {
            bail!("'{}' is given for two outputs: choose different names", output.display());
        }
        // Found out now rather than after hours of work; the temporary file goes at once.
        drop(OutputFile::create(output, args.overwrite)?);
    }
    Ok(())
}

fn check_ending(output: &Path, accepted: &[&str]) -> Result<()> {
    let ending = output.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    if accepted.contains(&ending.as_str()) {
        return Ok(());
    }
    bail!(
        "cannot tell the format of '{}': use an ending of {}",
        output.display(),
        accepted.iter().map(|e| format!(".{e}")).collect::<Vec<_>>().join(", ")
    );
}

/// Whether two names lead to the same file, also by way of links and `..`; an output need not exist yet.
fn same_file(a: &Path, b: &Path) -> bool {
    let resolve = |path: &Path| -> Option<PathBuf> {
        path.canonicalize().ok().or_else(|| {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(folder.join(path.file_name()?))
        })
    };
    match (resolve(a), resolve(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Starts every output of a job.
pub fn create(
    args: &SegmentArgs,
    frames: &dyn FrameSource,
    plan: &JobPlan,
) -> Result<Vec<Box<dyn MaskSink>>, EngineError> {
    let size = (frames.size().width, frames.size().height);
    let count = plan.frame_count();
    let values = if args.ids { PixelValues::ObjectIds } else { PixelValues::Binary };
    let stack = BigTiffSink::create(&args.output, size, count, values, args.overwrite)?;
    let mut sinks: Vec<Box<dyn MaskSink>> = vec![Box::new(stack)];
    if let Some(path) = &args.contact_sheet {
        let highlights = plan.prompt_frames();
        let sheet = ContactSheetSink::create(path, size, count, &highlights, args.overwrite)?;
        sinks.push(Box::new(sheet));
    }
    Ok(sinks)
}
