//! `sam2 merge`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_engine::{FrameSource, LazyFrames, MaskSink, PixelValues, RunHeader};
use sam2_frame_provider::IndexMode;
use sam2_jobs::{CancelFlag, RunParts};

use crate::args::{FrameArgs, MergeArgs, StyleArgs};
use crate::exit::ExitStatus;
use crate::outputs::{self, Output, OutputRecording, OutputSettings};
use crate::report::told;
use crate::signals::cancel_on_signals;
use crate::sinks;
use crate::summary::summarise;
use crate::{recording, recordings};

/// Joins the parts of a run into one run.
pub fn run(args: &MergeArgs) -> Result<ExitStatus> {
    let cancel = cancel_on_signals()?;
    let given = recordings::one(&args.recording, args.join)?;
    let mut frame_args = args.frames.clone();
    let files: Vec<PathBuf> = given
        .iter()
        .flat_map(|(first, more)| std::iter::once(first).chain(more))
        .cloned()
        .collect();
    let recording = given.map(|(first, further)| {
        frame_args.joined = further;
        first
    });
    let inputs: Vec<&Path> = args.parts.iter().chain(&files).map(PathBuf::as_path).collect();
    let outputs = outputs::check(&args.output, None, &inputs, |_| args.style.overwrite)?;
    let parts = opened(&args.parts, args.replace, args.mixed_processors)?;
    let header = parts.header();
    // Only runs with --no-exif have this setting.
    let as_stored = header.settings.contains_key("still images");
    if frame_args.no_exif && !as_stored {
        tracing::warn!(
            "--no-exif is not used: still images are read upright, as the run read them"
        );
    }
    frame_args.no_exif = as_stored;
    let frames = match &recording {
        Some(path) => Some(recording::open(path, &frame_args, IndexMode::Auto)?),
        None => None,
    };
    if let (Some(path), Some(frames)) = (&recording, &frames) {
        check_recording(path, &files, frames, header)?;
    }
    let exported = Exported {
        parts: &args.parts,
        replace: args.replace,
        mixed_processors: args.mixed_processors,
        style: &args.style,
        recording: recording.as_deref(),
        frame_args,
    };
    export(&exported, &outputs, frames, &cancel)
}

/// A run that is written to further formats.
pub struct Exported<'a> {
    /// Its run files.
    pub parts: &'a [PathBuf],
    /// Whether the later files replace batches of the first.
    pub replace: bool,
    /// Whether they may have been computed on different kinds of processors and devices.
    pub mixed_processors: bool,
    /// How results are written.
    pub style: &'a StyleArgs,
    /// The recording, if it is at hand.
    pub recording: Option<&'a Path>,
    /// How its frames are read.
    pub frame_args: FrameArgs,
}

/// Writes a run to outputs. `frames` are those of its recording, for outputs that show them.
pub fn export(
    run: &Exported<'_>,
    outputs: &[Output],
    frames: Option<LazyFrames>,
    cancel: &CancelFlag,
) -> Result<ExitStatus> {
    let parts = opened(run.parts, run.replace, run.mixed_processors)?;
    let header = parts.header();
    let values = if run.style.ids { PixelValues::ObjectIds } else { PixelValues::Binary };
    let settings = OutputSettings {
        overwrite: run.style.overwrite,
        values,
        compression: run.style.compression.into(),
        outlines: outputs::outlines(run.style.coco_polygons),
    };
    let described = OutputRecording {
        size: (header.width, header.height),
        frames: header.frame_count,
        rate: header.frames_per_second,
        name: recordings::stem(Path::new(&header.recording)),
        run_file: outputs::run_file(outputs).or_else(|| match run.parts {
            [only] => Some(told::name(only)),
            _ => None,
        }),
        prompt_frames: parts.prompt_frames()?,
        objects: parts.objects()?,
        image_names: header.image_names.clone(),
        run: header.clone(),
        source: match run.recording {
            Some(path) => {
                Some((path.to_owned(), recording::options(&run.frame_args, IndexMode::Auto)?))
            }
            None => None,
        },
    };
    let sinks = sinks::create(outputs, settings, &described)?;
    let mut named = outputs.iter().zip(&sinks);
    if !header.logits
        && let Some((output, _)) = named.find(|(_, sink)| sink.wants_logits())
    {
        bail!(
            "'{}' holds logits, which these run files lack: segment again with an output of logits, which makes run files keep them",
            output.path.display()
        );
    }
    if frames.is_none() && sinks.iter().any(|sink| wants_images(sink.as_ref(), header)) {
        bail!("an output shows the recording's pictures: give the recording with --recording FILE");
    }
    let count = run.parts.len();
    tracing::info!(
        "{}: {} frames in {count} {}",
        header.recording,
        header.frame_count,
        if count == 1 { "part" } else { "parts" }
    );
    let pictures = frames.as_ref().map(|frames| frames as &dyn FrameSource);
    let report = parts.write(pictures, sinks, cancel)?;
    Ok(summarise(outputs, &report))
}

fn opened(files: &[PathBuf], replace: bool, mixed: bool) -> Result<RunParts> {
    match files {
        [run, newer @ ..] if replace => {
            if newer.is_empty() {
                bail!("--replace takes the run, and then the run files that replace parts of it");
            }
            Ok(RunParts::replacing(run, newer, mixed)?)
        }
        files => Ok(RunParts::open(files, mixed)?),
    }
}

fn wants_images(sink: &dyn MaskSink, header: &RunHeader) -> bool {
    (0..header.frame_count).any(|frame| sink.wants_image(frame))
}

/// Refuses a recording other than that of the parts. Its name may differ, since archives rename
/// files.
fn check_recording(
    path: &Path,
    files: &[PathBuf],
    frames: &dyn FrameSource,
    header: &RunHeader,
) -> Result<()> {
    let count = frames.info().frame_count;
    let difference = recording::other_size(frames, header).or_else(|| {
        let expected = header.frame_count;
        (count != expected).then(|| format!("it has {count} frames, the run's has {expected}"))
    });
    let difference = difference.or_else(|| recording::other_contents(files, header));
    let Some(difference) = difference else { return Ok(()) };
    bail!(
        "'{}' is not the recording of the parts ('{}'): {difference}; give the one that was segmented",
        path.display(),
        header.recording
    )
}
