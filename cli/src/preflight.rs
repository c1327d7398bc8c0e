//! What can be wrong with recordings, tracks, outputs, model and device, found before the first recording is computed.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use sam2_engine::{JobReceipt, KeypointTrack};
use sam2_frame_provider::{FrameError, IndexMode, check_opens};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::args::SegmentArgs;
use crate::outputs::{self, Output};
use crate::{message, model, planning, recording, recordings, resuming};

/// Endings of pose tracks and tables.
const TRACK_ENDINGS: [&str; 6] = ["csv", "tsv", "h5", "hdf5", "slp", "nwb"];
/// Endings of video files and TIFF stacks.
const RECORDING_ENDINGS: [&str; 20] = [
    "avi", "mp4", "mov", "mkv", "m4v", "mpg", "mpeg", "wmv", "webm", "mts", "m2ts", "ts", "h264",
    "h265", "flv", "tif", "tiff", "btf", "stk", "lsm",
];

/// Bytes of track files up to which tracks that were read are kept for the recordings' turns; others are read again.
const KEPT_TRACKS: u64 = 256 << 20;

/// Checks recordings one by one; what several of them share is checked once.
#[derive(Debug)]
pub struct Preflight {
    /// Whether recordings are opened too: not where the only one is opened next anyway.
    opens: bool,
    /// Models by weights, configuration, device and precision as typed, each with what is wrong with it.
    models: Vec<(String, Option<String>)>,
    /// Bytes of the tracks that are kept.
    track_bytes: u64,
}

/// A recording's job without a known problem, and what was found out about it.
#[derive(Debug)]
pub struct Checked {
    /// The job, with the name of its track.
    pub args: SegmentArgs,
    /// Its outputs.
    pub outputs: CheckedOutputs,
    /// Its track, if it has one that was worth keeping.
    pub track: Option<KeypointTrack>,
}

impl Preflight {
    /// Prepares to check so many recordings.
    pub fn of(recordings: usize) -> Self {
        Self { opens: recordings > 1, models: Vec::new(), track_bytes: 0 }
    }

    /// Checks everything about a recording's job that shows without reading all of it: names, track, outputs, model, device,
    /// and, with several recordings, whether it can be opened and its track or prompts fit its frames.
    ///
    /// # Errors
    /// The first thing that is wrong, with its remedy.
    pub fn check(&mut self, args: &SegmentArgs) -> Result<Checked> {
        check_exchanged(args)?;
        // Before the track, whose name may come from that of the recording.
        args.files().iter().try_for_each(|file| check_there(file))?;
        let args = recordings::with_track(args)?;
        let outputs = check_outputs(&args)?;
        let track = match &args.prompts.keypoints {
            Some(path) => self.kept(path, KeypointTrack::read(path, &args.prompts.selection())?),
            None => None,
        };
        if self.opens {
            let options = recording::options(&args.frames, IndexMode::Auto)?;
            // What there is to say about it is said in its turn.
            with_default(NoSubscriber::default(), || check_opens(&args.recording, &options))?;
        }
        self.check_model(&args)?;
        let is_placed = args.prompts.keypoints.is_some() || !args.prompts.prompts.is_empty();
        if self.opens && is_placed {
            planning::check(&args, track.as_ref())?;
        }
        Ok(Checked { args, outputs, track })
    }

    /// Returns the track if there is room for it.
    fn kept(&mut self, path: &Path, track: KeypointTrack) -> Option<KeypointTrack> {
        let bytes = path.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        self.track_bytes = self.track_bytes.saturating_add(bytes);
        (self.track_bytes <= KEPT_TRACKS).then_some(track)
    }

    fn check_model(&mut self, args: &SegmentArgs) -> Result<()> {
        let wanted =
            format!("{:?} {:?} {:?} {:?}", args.model, args.config, args.device, args.precision);
        let known = self.models.iter().find(|(model, _)| *model == wanted);
        if let Some((_, problem)) = known {
            return problem.as_ref().map_or(Ok(()), |problem| Err(anyhow!(problem.clone())));
        }
        let (weights, config) = (args.model.as_deref(), args.config.as_deref());
        let checked = model::check(weights, config, args.device, args.precision);
        self.models.push((wanted, checked.as_ref().err().map(message::of)));
        checked
    }
}

/// Checks that a file or folder of a recording is there, and neither a device nor a pipe.
fn check_there(path: &Path) -> Result<()> {
    regular("the recording", path)?;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(FrameError::NotFound { path: path.to_owned() }.into())
        }
        Err(error) => Err(anyhow::Error::from(error).context(path.display().to_string())),
        Ok(_) => Ok(()),
    }
}

/// The outputs of a job.
#[derive(Debug)]
pub struct CheckedOutputs {
    /// Those that are to be written.
    pub wanted: Vec<Output>,
    /// Those that are there and that an earlier run says it wrote; whether it was the same job shows when the model is known.
    pub kept: Option<(JobReceipt, Vec<Output>)>,
}

/// Says which outputs are meant; refuses names that cannot be written, or that would replace something that must stay.
pub fn check_outputs(args: &SegmentArgs) -> Result<CheckedOutputs> {
    let named = outputs::named(&args.output, args.contact_sheet.as_deref())?;
    let receipt = resuming::receipt(args, &named)?;
    let is_kept = |output: &Output| {
        receipt.as_ref().is_some_and(|receipt| output.path.exists() && receipt.names(&output.path))
    };
    let (masks, files) = (args.prompts.masks_in_documents(), args.files());
    let inputs = args.prompts.files().chain(&masks).chain(&files).chain(&args.model);
    let inputs: Vec<&Path> = inputs.map(PathBuf::as_path).collect();
    let sheet = args.contact_sheet.as_deref();
    let may_replace = |output: &Output| args.overwrite || is_kept(output);
    let outputs = outputs::check(&args.output, sheet, &inputs, may_replace)?;
    let (kept, wanted) = outputs.into_iter().partition(is_kept);
    let kept: Vec<Output> = kept;
    Ok(CheckedOutputs { wanted, kept: receipt.filter(|_| !kept.is_empty()).map(|r| (r, kept)) })
}

/// Refuses devices, pipes and sockets in the place of files that are read whole: some never end.
///
/// # Errors
/// The first of them, with its option.
pub fn check_regular(args: &SegmentArgs) -> Result<()> {
    let masks = args.prompts.mask.iter().map(|mask| ("--mask", &mask.file));
    let prompts = args.prompts.prompts.iter().map(|path| ("--prompts", path));
    let others = [("--keypoints", &args.prompts.keypoints), ("--model", &args.model)];
    let others = others.into_iter().filter_map(|(option, path)| Some((option, path.as_ref()?)));
    masks.chain(prompts).chain(others).try_for_each(|(option, path)| regular(option, path))
}

/// Refuses a device, pipe or socket; what is not there at all is told by whoever opens it.
///
/// # Errors
/// The name and its option.
pub fn regular(option: &str, path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => bail!(
            "{option} '{}' is a device, pipe or socket: save its contents to a file and give that",
            path.display()
        ),
        _ => Ok(()),
    }
}

/// Refuses a track in the place of a recording, and a recording in the place of a track.
fn check_exchanged(args: &SegmentArgs) -> Result<()> {
    let recording = args.recording.display();
    let is_track = has_ending(&args.recording, &TRACK_ENDINGS);
    match &args.prompts.keypoints {
        Some(track) if is_track && has_ending(track, &RECORDING_ENDINGS) => bail!(
            "'{recording}' is a track and '{0}' a recording: exchange them, as in `sam2 segment {0} --keypoints {recording}`",
            track.display()
        ),
        Some(track) if has_ending(track, &RECORDING_ENDINGS) => bail!(
            "--keypoints '{}' is a recording, not a track: give the table that DeepLabCut or SLEAP wrote for it",
            track.display()
        ),
        // HDF5 may hold a movie as well; whoever opens it says more.
        None if is_track && !has_ending(&args.recording, &["h5", "hdf5", "nwb"]) => bail!(
            "'{recording}' is a track, not a recording: use `sam2 segment RECORDING --keypoints {recording}`"
        ),
        _ => Ok(()),
    }
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

/// Returns whether a word of the command line is more likely a recording or a file than a body part.
pub fn is_likely_file(word: &str) -> bool {
    let path = Path::new(word);
    has_ending(path, &RECORDING_ENDINGS) || has_ending(path, &TRACK_ENDINGS) || path.exists()
}

/// Says that a name with spaces was typed without quotes, if putting words together again gives a file.
///
/// # Errors
/// The name as it should be typed.
pub fn check_unquoted(words: &[PathBuf], track: Option<&Path>) -> Result<()> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    for start in 0..words.len() {
        if words[start].exists() {
            continue;
        }
        let mut name = text(&words[start]);
        for word in &words[start + 1..] {
            name.push(' ');
            name.push_str(&text(word));
            refuse_unquoted(&name)?;
        }
    }
    if let Some(track) = track.filter(|track| !track.exists()) {
        // `--keypoints my track.csv` leaves `track.csv` among the recordings.
        for word in words {
            refuse_unquoted(&format!("{} {}", text(track), text(word)))?;
        }
    }
    Ok(())
}

/// Says that individuals are separated by commas, if what is given as a recording is none and may be an individual: `--individual a b`.
///
/// # Errors
/// The individuals as they should be typed.
pub fn check_individuals(words: &[PathBuf], individuals: &[String]) -> Result<()> {
    let is_name = |word: &&PathBuf| {
        let has_other_letters = word.to_string_lossy().contains(['/', '\\', '*', '?', '[', '{']);
        !word.exists() && word.extension().is_none() && !has_other_letters
    };
    match (words.iter().find(is_name), individuals.last()) {
        (Some(word), Some(last)) => bail!(
            "there is no recording '{0}': if that is an individual, separate the names by commas, as in --individual {last},{0}",
            word.display()
        ),
        _ => Ok(()),
    }
}

fn refuse_unquoted(name: &str) -> Result<()> {
    if Path::new(name).exists() {
        bail!("a name with spaces needs quotes: type '{name}' with the quotes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_body_parts() {
        for word in ["mouse.AVI", "a/b.tif", "trackDLC.csv"] {
            assert!(is_likely_file(word), "{word}");
        }
        for word in ["snout", "tail.base", "left_paw"] {
            assert!(!is_likely_file(word), "{word}");
        }
    }

    #[test]
    fn a_name_with_spaces_is_put_together_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("my long name.avi"), "").unwrap();
        let first = folder.path().join("my");
        let words = [first, "long".into(), "name.avi".into()];
        let told = check_unquoted(&words, None).unwrap_err().to_string();
        assert!(told.contains("my long name.avi'"), "{told}");
        assert!(check_unquoted(&words[1..], None).is_ok());
    }
}
