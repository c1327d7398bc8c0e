//! Opens recordings with the options of the command line, and compares them with the recording of a
//! run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use sam2_engine::{FrameSource, LazyFrames, LazyOptions, RunHeader};
use sam2_frame_provider::{
    IndexCacheMode, IndexMode, OpenOptions, VideoOptions, open_with, video_files,
};
use sam2_jobs::recording_fingerprint;

use crate::args::FrameArgs;
use crate::recordings;

/// Opens any recording with the frame cache and the options of the command line.
pub fn open(path: &Path, args: &FrameArgs, index: IndexMode) -> Result<LazyFrames> {
    let options = options(args, index)?;
    if args.intensity.is_per_frame() {
        tracing::warn!(
            "--intensity {}: each frame gets a range of its own, so brightness can flicker and the masks with it; a range \
             for the recording (minmax, percentile:LO,HI, LO,HI) is safer where the light is steady",
            args.intensity
        );
    }
    let lazy = LazyOptions {
        cache_frames: args.cache_frames,
        prefetch: args.prefetch,
        on_bad_frame: args.on_bad_frame,
        ..LazyOptions::default()
    };
    Ok(LazyFrames::new(open_with(path, &options)?, lazy))
}

/// Returns the options for opening a recording.
pub fn options(args: &FrameArgs, index: IndexMode) -> Result<OpenOptions> {
    let video = VideoOptions {
        index,
        index_cache: index_cache(args.index_cache)?,
        stream: args.stream,
        ..VideoOptions::default()
    };
    let axes = args.axes.clone().unwrap_or_default();
    let joined = args.joined.clone();
    let options = OpenOptions::default().intensity(args.intensity).axes(axes).video(video);
    Ok(options.join(joined).exif(!args.no_exif))
}

/// Returns why frames of this size cannot belong to a run, or `None` if they can.
pub fn other_size(frames: &dyn FrameSource, header: &RunHeader) -> Option<String> {
    let (size, expected) = (frames.info().size, (header.width, header.height));
    ((size.width, size.height) != expected)
        .then(|| format!("its frames are {size}, the run's {}x{}", header.width, header.height))
}

/// Returns why these files are not the recording of a run, judged by the fingerprint of their
/// contents. Returns `None` if they are, or if the run file has no fingerprint. Names do not
/// matter, and a folder of video files counts as the same recording as its files joined.
pub fn other_contents(files: &[PathBuf], header: &RunHeader) -> Option<String> {
    let expected = header.recording_contents.as_ref()?;
    let images = match files {
        [pattern] => recordings::images_of(pattern),
        _ => None,
    };
    let mut ways = vec![images.unwrap_or_else(|| files.to_vec())];
    match files {
        [folder] if folder.is_dir() => ways.extend(video_files(folder)),
        [first, ..] => {
            let folder = first.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            if video_files(folder).is_ok_and(|all| same_files(&all, files)) {
                ways.push(vec![folder.to_owned()]);
            }
        }
        [] => {}
    }
    let mut found = None;
    for way in ways.iter().filter(|way| !way.is_empty()) {
        match recording_fingerprint(way) {
            Ok(fingerprint) if fingerprint == *expected => return None,
            Ok(fingerprint) => {
                found.get_or_insert(fingerprint);
            }
            Err(error) => return Some(format!("its contents cannot be read ({error})")),
        }
    }
    let found = found.unwrap_or_else(|| "none".to_owned());
    Some(format!("its contents differ (their fingerprint is {found}, the run's {expected})"))
}

/// Returns whether both lists name the same files in the same order.
fn same_files(some: &[PathBuf], others: &[PathBuf]) -> bool {
    some.len() == others.len()
        && some.iter().zip(others).all(|(a, b)| a.file_name() == b.file_name())
}

/// Returns where frame indices are cached, or that they are not.
pub fn index_cache(wanted: bool) -> Result<IndexCacheMode> {
    Ok(if wanted {
        IndexCacheMode::Folder(sam2_weights_convert::cache_folder()?.join("frame-index"))
    } else {
        IndexCacheMode::Off
    })
}
