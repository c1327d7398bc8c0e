//! Opens recordings with the options of the command line, and compares them with the recording of a
//! run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::{Args as _, FromArgMatches as _};
use sam2_engine::{FrameSource, LazyFrames, LazyOptions, RunHeader, Sam2};
use sam2_frame_provider::{
    ImageFolder, IndexCacheMode, IndexMode, OpenOptions, VideoOptions, open_with, video_files,
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

/// The recording of a run, opened as the run read it.
pub struct RunRecording {
    /// Its frames.
    pub frames: LazyFrames,
    /// Its first file or its folder.
    pub path: PathBuf,
    /// How its frames are read.
    pub args: FrameArgs,
}

/// Opens the recording of a run: the one that was named, or one of the same name next to the run file or
/// in the working folder.
///
/// # Errors
/// Fails if there is none, or if it is another one.
pub fn of_run(
    run: &Path,
    given: Option<(PathBuf, Vec<PathBuf>)>,
    header: &RunHeader,
) -> Result<RunRecording> {
    let mut args = frame_args_of(header)?;
    let places = match given {
        Some(given) => vec![given],
        None => places(run, header),
    };
    let mut why = None;
    for (path, further) in places {
        let files: Vec<PathBuf> = std::iter::once(&path).chain(&further).cloned().collect();
        args.joined = further;
        let opened = open(&path, &args, IndexMode::Auto);
        let checked = opened.and_then(|frames| {
            let count = frames.info().frame_count;
            let other = other_size(&frames, header).or_else(|| {
                let expected = header.frame_count;
                (count != expected)
                    .then(|| format!("it has {count} frames, the run's has {expected}"))
            });
            match other.or_else(|| other_contents(&files, header)) {
                None => Ok(frames),
                Some(difference) => bail!("{difference}"),
            }
        });
        match checked {
            Ok(frames) => return Ok(RunRecording { frames, path, args }),
            Err(error) => {
                let path = path.display();
                why.get_or_insert(format!("'{path}' is not the recording of the run: {error:#}"));
            }
        }
    }
    let name = header.recording.escape_debug();
    let missing = format!("the recording '{name}' is neither next to the run file nor here");
    bail!("{}; name it with --recording FILE", why.unwrap_or(missing))
}

/// Returns where the recording of a run may be: next to the run file, or in the working folder.
///
/// Only the file name counts: a run file from elsewhere must not select arbitrary files of this machine.
pub fn places(run: &Path, header: &RunHeader) -> Vec<(PathBuf, Vec<PathBuf>)> {
    let Some(name) = Path::new(&header.recording).file_name() else { return Vec::new() };
    // The further files of a recording that consists of several.
    let further: Vec<&OsStr> = header
        .options
        .iter()
        .filter(|(option, _)| option == "--join")
        .filter_map(|(_, file)| Path::new(file).file_name())
        .collect();
    let beside = run.parent().map(|folder| folder.join(name));
    let is_there = |path: &PathBuf| path.exists() || ImageFolder::is_pattern(path);
    let places = beside.into_iter().chain([PathBuf::from(name)]).filter(is_there);
    places
        .map(|path| {
            let further = further.iter().map(|name| path.with_file_name(name)).collect();
            (path, further)
        })
        .collect()
}

/// Returns how a run read its frames.
///
/// # Errors
/// Fails if the run names a way that this program does not know.
pub fn frame_args_of(header: &RunHeader) -> Result<FrameArgs> {
    let command = FrameArgs::augment_args(clap::Command::new("frames"));
    let mut args = FrameArgs::from_arg_matches(&command.get_matches_from(["frames"]))?;
    fn read<T: FromStr>(header: &RunHeader, name: &str) -> Result<Option<T>> {
        let Some(text) = header.settings.get(name) else { return Ok(None) };
        // As `settings` has it for what was not given.
        if text == DEFAULT {
            return Ok(None);
        }
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => bail!(
                "the run was computed with a setting that this program does not know, {name} = {text}: use the sam2 that computed it"
            ),
        }
    }
    args.intensity = read(header, "intensity")?.unwrap_or(args.intensity);
    args.on_bad_frame = read(header, "bad frames")?.unwrap_or(args.on_bad_frame);
    args.axes = read(header, "axes")?;
    args.stream = read(header, "video stream")?;
    args.no_exif = header.settings.contains_key("still images");
    Ok(args)
}

/// A setting that was not given.
const DEFAULT: &str = "the default";

/// Returns the settings of a run that are not the job's: how frames are read, and how numbers are kept.
pub fn settings(args: &FrameArgs, model: &Sam2) -> Vec<(&'static str, String)> {
    let axes = args.axes.as_ref().map_or(DEFAULT.into(), ToString::to_string);
    let mut settings = vec![
        ("precision", model.precision().to_string()),
        ("intensity", args.intensity.to_string()),
        ("axes", axes),
        ("bad frames", args.on_bad_frame.to_string()),
        ("video stream", args.stream.map_or(DEFAULT.into(), |stream| stream.to_string())),
    ];
    if args.no_exif {
        settings.push(("still images", "as stored".into()));
    }
    settings
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
