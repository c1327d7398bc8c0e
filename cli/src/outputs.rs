//! Where results go: names checked before any work, sinks made when it starts.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_engine::{EngineError, MaskSink};
use sam2_frame_provider::OpenOptions;
use sam2_mask_writer::{
    BigTiffSink, ContactSheetSink, OutputFile, PixelValues, RunFileSink, RunHeader,
};
use sam2_report::PromptMark;

use crate::report::ReportSink;

/// What was typed behind `-o`: `PATH`, whose ending says the format, or `FORMAT:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputArg(OsString);

impl OutputArg {
    /// As it was typed.
    pub fn typed(&self) -> &OsStr {
        &self.0
    }
}

impl From<OsString> for OutputArg {
    fn from(typed: OsString) -> Self {
        Self(typed)
    }
}

/// What results can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// A BigTIFF stack.
    Tiff,
    /// An overview picture.
    ContactSheet,
    /// A run file, from which the others can be made.
    Run,
    /// A page about the run.
    Report,
}

impl OutputFormat {
    /// Every format.
    const ALL: [Self; 4] = [Self::Tiff, Self::ContactSheet, Self::Run, Self::Report];

    /// Its name before the colon.
    fn name(self) -> &'static str {
        match self {
            Self::Tiff => "tiff",
            Self::ContactSheet => "contact-sheet",
            Self::Run => "run",
            Self::Report => "report",
        }
    }

    /// Endings that mean it; none = the name must be said.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Tiff => &["btf", "tif", "tiff"],
            Self::ContactSheet => &["png"],
            Self::Run => &["sam2run"],
            Self::Report => &["html", "htm"],
        }
    }
}

/// What was meant by an [`OutputArg`]: one output, whose name was found to be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The format.
    pub format: OutputFormat,
    /// The file or folder.
    pub path: PathBuf,
}

/// How outputs are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputSettings {
    /// Whether those that exist are replaced.
    pub overwrite: bool,
    /// What the pixels of stacks say.
    pub values: PixelValues,
}

/// The recording that masks belong to.
#[derive(Clone, Debug)]
pub struct OutputRecording {
    /// Columns and rows.
    pub size: (u32, u32),
    /// Its number of frames.
    pub frames: usize,
    /// Frames per second, if known.
    pub rate: Option<f64>,
    /// Its name without folder and ending.
    pub name: String,
    /// Frames that somebody prompted, for showing.
    pub prompt_frames: Vec<usize>,
    /// The objects that are known beforehand, in ascending order; others may still come up on the way.
    pub objects: Vec<u32>,
    /// What run files say about the job.
    pub run: RunHeader,
    /// Where somebody said the objects are, for showing.
    pub prompts: Vec<PromptMark>,
    /// Where the recording is and how it is opened, for outputs that find out at the end which frames they show.
    pub source: Option<(PathBuf, OpenOptions)>,
}

/// Says what was meant by every `-o` and `--contact-sheet`; refuses names that cannot be written, or that would replace
/// something that must stay.
pub fn check(
    typed: &[OutputArg],
    contact_sheet: Option<&Path>,
    inputs: &[&Path],
    overwrite: bool,
) -> Result<Vec<Output>> {
    let mut outputs = typed.iter().map(resolve).collect::<Result<Vec<_>>>()?;
    if let Some(sheet) = contact_sheet {
        if by_ending(sheet) != Some(OutputFormat::ContactSheet) {
            bail!("cannot write a contact sheet to '{}': use the ending .png", sheet.display());
        }
        outputs.push(Output { format: OutputFormat::ContactSheet, path: sheet.to_owned() });
    }
    for (index, Output { path, .. }) in outputs.iter().enumerate() {
        if let Some(input) = inputs.iter().find(|input| same_file(input, path)) {
            bail!("'{}' is an input: choose another name for the output", input.display());
        }
        if outputs[..index].iter().any(|earlier| same_file(&earlier.path, path)) {
            bail!("'{}' is given for two outputs: choose different names", path.display());
        }
        // Found out now rather than after hours of work; the temporary file goes at once.
        drop(OutputFile::create(path, overwrite)?);
    }
    Ok(outputs)
}

/// What was meant by one `-o`.
pub fn resolve(typed: &OutputArg) -> Result<Output> {
    let path = Path::new(&typed.0);
    match by_ending(path) {
        Some(format) => Ok(Output { format, path: path.to_owned() }),
        None => bail!("cannot tell the format of '{}': use {}", path.display(), formats()),
    }
}

/// The format that a name's ending means.
fn by_ending(path: &Path) -> Option<OutputFormat> {
    let ending = path.extension()?.to_str()?.to_lowercase();
    OutputFormat::ALL.into_iter().find(|format| format.endings().contains(&ending.as_str()))
}

/// Every format, for messages.
fn formats() -> String {
    let listed = OutputFormat::ALL.into_iter().flat_map(|format| {
        format.endings().iter().map(move |ending| format!(".{ending} ({})", format.name()))
    });
    listed.collect::<Vec<_>>().join(", ")
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

/// Starts every output of a recording.
pub fn create(
    outputs: &[Output],
    settings: OutputSettings,
    recording: &OutputRecording,
) -> Result<Vec<Box<dyn MaskSink>>, EngineError> {
    outputs.iter().map(|output| create_one(output, settings, recording)).collect()
}

fn create_one(
    Output { format, path }: &Output,
    OutputSettings { overwrite, values }: OutputSettings,
    recording: &OutputRecording,
) -> Result<Box<dyn MaskSink>, EngineError> {
    let OutputRecording { size, frames, prompt_frames, .. } = recording;
    Ok(match format {
        OutputFormat::Tiff => {
            Box::new(BigTiffSink::create(path, *size, *frames, values, overwrite)?)
        }
        OutputFormat::ContactSheet => {
            Box::new(ContactSheetSink::create(path, *size, *frames, prompt_frames, overwrite)?)
        }
        OutputFormat::Run => Box::new(RunFileSink::create(path, &recording.run, overwrite)?),
        OutputFormat::Report => Box::new(ReportSink::create(path, recording, overwrite)?),
    })
}
