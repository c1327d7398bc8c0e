//! Opening what is to be segmented.

use std::path::Path;

use anyhow::Result;
use sam2_engine::{FrameSource, LazyFrames, LazyOptions, RunHeader};
use sam2_frame_provider::{IndexCacheMode, IndexMode, OpenOptions, VideoOptions, open_with};

use crate::args::FrameArgs;
use crate::model::cache_folder;

/// Opens any recording with the cache and the settings of the command line.
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

/// How a recording is opened.
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

/// Why frames of this size cannot be those of a run; `None` if they can.
pub fn other_size(frames: &dyn FrameSource, header: &RunHeader) -> Option<String> {
    let (size, expected) = (frames.size(), (header.width, header.height));
    ((size.width, size.height) != expected)
        .then(|| format!("its frames are {size}, the run's {}x{}", header.width, header.height))
}

/// Where indices are kept, if they are.
pub fn index_cache(wanted: bool) -> Result<IndexCacheMode> {
    Ok(if wanted {
        IndexCacheMode::Folder(cache_folder(None)?.join("frame-index"))
    } else {
        IndexCacheMode::Off
    })
}
