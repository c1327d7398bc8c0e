//! `sam2 review`: serves the page on which a run is looked through and corrected.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use sam2_engine::{LazyFrames, RunHeader};
use sam2_frame_provider::{IndexMode, Intensity};
use sam2_jobs::CancelFlag;
use sam2_mask_writer::{OpenRun, RunFileError};
use sam2_review::{Desk, Exporter, Format, Place, Reopener, Setup, Tools, Track};

use crate::args::{FrameArgs, OutputArg, ReviewArgs, StyleArgs};
use crate::begun_run;
use crate::correct::{self, TrackingTools};
use crate::exit::ExitStatus;
use crate::outputs::{self, OutputFormat};
use crate::recording::RunRecording;
use crate::run_track::{self, RunTrack};
use crate::signals::cancel_on_signals;
use crate::standard_output::print;
use crate::{merge, recording, recordings};

/// Serves the page until the user stops it.
pub fn run(args: &ReviewArgs) -> Result<ExitStatus> {
    let cancel = cancel_on_signals()?;
    let mut given = recordings::one(&args.recording, args.join)?;
    let opened = match OpenRun::open(&args.run) {
        Err(RunFileError::NotARun { reason, path })
            if given.is_some() || looks_like_a_run(&path) =>
        {
            return Err(RunFileError::NotARun { reason, path }.into());
        }
        Err(RunFileError::NotARun { .. }) => {
            given = Some((args.run.clone(), Vec::new()));
            begun(args)?
        }
        opened => opened?,
    };
    let args = &ReviewArgs { run: opened.path().to_owned(), ..args.clone() };
    let header = opened.header().clone();
    let is_finished = opened.is_finished();
    let mut read_only = args.read_only.then(|| "the run was opened with --read-only".to_owned());
    if !is_finished {
        let reason = "the run is still being computed, or was interrupted: it can be looked at, and corrected when it is finished";
        read_only.get_or_insert(reason.to_owned());
    }
    let Found { frames, reopener, tools, track } =
        found(args, given.clone(), &header, read_only.is_none())?;
    let frames = frames.map(Arc::new);
    let track =
        track.map(|RunTrack { evidence, is_of_run }| Track { evidence, compares: is_of_run });
    let setup = Setup {
        run: opened,
        reopener,
        tools,
        track,
        read_only,
        author: correct::author(args.who.as_deref()),
        formats: formats(),
        exporter: exporter(&args.run, given, &header, args.mixed_processors),
        frames,
    };
    let desk = Desk::open(setup);
    let place = Place { address: args.address, port: args.port };
    if !args.address.is_loopback() {
        tracing::warn!(
            "everybody who can reach {} and knows the address of the page can change the run, and nothing is encrypted: prefer an SSH tunnel",
            args.address
        );
    }
    let fragment = fragment(args, &header)?;
    let told = move |port: u16, address: &str| {
        // Without its line nobody can open the page, but a closed output is no reason to stop.
        let _ = print(announcement(port, &format!("{address}{fragment}"), place));
    };
    sam2_review::serve(desk, place, told, move || cancel.is_cancelled())?;
    Ok(ExitStatus::Done)
}

/// Returns true if a file is called like a run file.
fn looks_like_a_run(path: &Path) -> bool {
    path.to_string_lossy().contains(".sam2run")
}

/// Opens the run of a recording, or begins one.
fn begun(args: &ReviewArgs) -> Result<OpenRun> {
    let recording = &args.run;
    let run = begun_run::place(recording)?;
    if run.exists() {
        tracing::info!("'{}' is opened with its run '{}'", recording.display(), run.display());
    } else {
        begun_run::make(args, recording, &run)?;
        tracing::info!(
            "'{}' is a run of '{}' without masks: prompt its objects in the page",
            run.display(),
            recording.display()
        );
    }
    Ok(OpenRun::open(&run)?)
}

/// Returns the part of the page's address that says where it opens.
fn fragment(args: &ReviewArgs, header: &RunHeader) -> Result<String> {
    let frames = &header.frames;
    if let Some(frame) = args.frame.filter(|frame| !frames.contains(frame)) {
        bail!(
            "--frame {frame}: the run has the frames {} to {}",
            frames.start,
            frames.end.saturating_sub(1)
        );
    }
    let frame = args.frame.map(|frame| format!("frame={frame}"));
    let object = args.object.map(|object| format!("object={object}"));
    let parts: Vec<String> = frame.into_iter().chain(object).collect();
    Ok(if parts.is_empty() { String::new() } else { format!("#{}", parts.join("&")) })
}

/// What there is beside the run file.
#[derive(Default)]
struct Found {
    frames: Option<LazyFrames>,
    reopener: Option<Reopener>,
    tools: Option<Tools>,
    track: Option<RunTrack>,
}

/// Finds the recording and loads the model. Without them the masks can still be looked at.
fn found(
    args: &ReviewArgs,
    given: Option<(PathBuf, Vec<PathBuf>)>,
    header: &RunHeader,
    tracks: bool,
) -> Result<Found> {
    let is_named = given.is_some();
    let ReviewArgs { run, network, mixed_processors, .. } = args;
    let keypoints = args.keypoints.as_deref();
    if !tracks {
        return match recording::of_run(run, given, header) {
            Ok(found) => {
                let track = run_track::of_run(run, keypoints, header, &found.frames)?;
                let reopener = Some(reopener(&found));
                Ok(Found { frames: Some(found.frames), reopener, tools: None, track })
            }
            Err(error) if is_named || keypoints.is_some() => Err(error),
            Err(error) => {
                tracing::warn!("the masks are shown alone: {error:#}");
                Ok(Found::default())
            }
        };
    }
    let is_typed = is_named || network.model.is_some() || keypoints.is_some();
    let wanted = correct::Wanted { run, network, keypoints, mixed_processors: *mixed_processors };
    match TrackingTools::open(&wanted, given.clone(), header) {
        Ok(TrackingTools { model, device, frames, track }) => {
            let tools = Some(Tools { model, device });
            let reopener = Some(reopener(&frames));
            Ok(Found { frames: Some(frames.frames), reopener, tools, track })
        }
        Err(error) if is_typed => Err(error),
        Err(error) => {
            tracing::warn!("nothing can be tracked again, only looked at and noted: {error:#}");
            let found = recording::of_run(run, given, header).ok();
            let reopener = found.as_ref().map(reopener);
            Ok(Found { frames: found.map(|found| found.frames), reopener, ..Found::default() })
        }
    }
}

/// Returns what opens the recording of a run with other contrast.
fn reopener(found: &RunRecording) -> Reopener {
    let (path, args) = (found.path.clone(), found.args.clone());
    Arc::new(move |[low, high]| {
        // A person looks at few frames; each is kept as the model's are.
        let args = FrameArgs {
            intensity: Intensity::Range { low, high },
            cache_frames: args.cache_frames.min(16),
            prefetch: 0,
            ..args.clone()
        };
        recording::open(&path, &args, IndexMode::Auto).map_err(|error| crate::message::of(&error))
    })
}

/// Returns what is printed when the page can be opened.
fn announcement(port: u16, address: &str, place: Place) -> String {
    let mut text = format!("{address}\n");
    if place.address.is_loopback() {
        let name = sam2_review::machine().unwrap_or_else(|| "THIS-MACHINE".to_owned());
        let through = match std::env::var_os("SLURM_JOB_ID") {
            Some(_) => format!("-J LOGIN-NODE {name}"),
            None => name,
        };
        text.push_str(&format!(
            "From another computer, first run there:  ssh -N -L {port}:127.0.0.1:{port} {through}\n"
        ));
    }
    text.push_str("Ctrl-C ends it; every correction is on the disk by then.\n");
    text
}

fn formats() -> Vec<Format> {
    let told =
        |format: OutputFormat| Format { name: format.selector(), text: format.told().to_owned() };
    OutputFormat::exported().map(told).collect()
}

/// Returns what writes further files from the page.
fn exporter(
    run: &Path,
    given: Option<(PathBuf, Vec<PathBuf>)>,
    header: &RunHeader,
    mixed_processors: bool,
) -> Exporter {
    let (run, header) = (run.to_owned(), header.clone());
    Arc::new(move |wanted, overwrite| {
        let written = export(&run, given.clone(), &header, mixed_processors, wanted, overwrite);
        written.map_err(|error| crate::message::of(&error))
    })
}

fn export(
    run: &Path,
    given: Option<(PathBuf, Vec<PathBuf>)>,
    header: &RunHeader,
    mixed_processors: bool,
    wanted: &[String],
    overwrite: bool,
) -> Result<String> {
    let typed: Vec<OutputArg> =
        wanted.iter().map(|text| OutputArg::from(std::ffi::OsString::from(text))).collect();
    let outputs = outputs::check(&typed, None, &[run], |_| overwrite)?;
    let style = StyleArgs::for_export(overwrite);
    let found = recording::of_run(run, given, header).ok();
    let path = found.as_ref().map(|found| found.path.clone());
    let exported = merge::Exported {
        parts: &[run.to_owned()],
        replace: false,
        mixed_processors,
        style: &style,
        recording: path.as_deref(),
        frame_args: recording::frame_args_of(header)?,
    };
    let frames = found.map(|found| found.frames);
    merge::export(&exported, &outputs, frames, &CancelFlag::new())?;
    let outputs = wanted.iter().map(|output| format!(" -o {}", quoted(output)));
    Ok(format!("sam2 merge {}{}", quoted(&run.display().to_string()), outputs.collect::<String>()))
}

/// Quotes a name for a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
