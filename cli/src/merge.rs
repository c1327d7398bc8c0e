//! `sam2 merge`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_engine::{EngineError, FrameSource, MaskSink, PixelValues, RunHeader, RunParts};
use sam2_frame_provider::IndexMode;

use crate::args::MergeArgs;
use crate::exit::ExitStatus;
use crate::outputs::{self, OutputRecording, OutputSettings};
use crate::recording;
use crate::signals::cancel_on_signals;
use crate::summary::summarise;

/// Makes the whole of its parts.
pub fn run(args: &MergeArgs) -> Result<ExitStatus> {
    let cancel = cancel_on_signals()?;
    let inputs: Vec<&Path> =
        args.parts.iter().chain(&args.recording).map(PathBuf::as_path).collect();
    let outputs = outputs::check(&args.output, None, &inputs, args.overwrite)?;
    let parts = RunParts::open(&args.parts)?;
    let frames = match &args.recording {
        Some(path) => Some(recording::open(path, &args.frames, IndexMode::Auto)?),
        None => None,
    };
    let header = parts.header();
    if let Some(frames) = &frames {
        check_recording(header, frames)?;
    }
    let values = if args.ids { PixelValues::ObjectIds } else { PixelValues::Binary };
    let settings =
        OutputSettings { overwrite: args.overwrite, values, compression: args.compression.into() };
    let stem = Path::new(&header.recording).file_stem().unwrap_or_default();
    let described = OutputRecording {
        size: (header.width, header.height),
        frames: header.frame_count,
        rate: header.frames_per_second,
        name: stem.to_string_lossy().into_owned(),
        prompt_frames: parts.prompt_frames()?,
        objects: parts.objects()?,
        run: header.clone(),
        prompts: Vec::new(),
        source: match &args.recording {
            Some(path) => Some((path.clone(), recording::options(&args.frames, IndexMode::Auto)?)),
            None => None,
        },
    };
    let sinks = outputs::create(&outputs, settings, &described)?;
    if frames.is_none() && sinks.iter().any(|sink| wants_images(sink.as_ref(), header)) {
        bail!("an output shows the recording's pictures: give the recording with --recording FILE");
    }
    tracing::info!(
        "{}: {} frames in {} parts",
        header.recording,
        header.frame_count,
        args.parts.len()
    );
    let recording = frames.as_ref().map(|frames| frames as &dyn FrameSource);
    let report = parts.write(recording, sinks, &cancel)?;
    Ok(summarise(&outputs, &report))
}

fn wants_images(sink: &dyn MaskSink, header: &RunHeader) -> bool {
    (0..header.frame_count).any(|frame| sink.wants_image(frame))
}

fn check_recording(header: &RunHeader, frames: &dyn FrameSource) -> Result<(), EngineError> {
    let (count, size) = (frames.frame_count(), frames.size());
    if count != header.frame_count {
        let (recording, before) = (frames.describe(), header.frame_count);
        return Err(EngineError::FrameCountChanged { recording, before, now: count });
    }
    if (size.width, size.height) != (header.width, header.height) {
        return Err(EngineError::OtherRun {
            path: PathBuf::from(&header.recording),
            what: "frame size".into(),
            before: format!("{}x{}", header.width, header.height),
            now: size.to_string(),
        });
    }
    Ok(())
}
