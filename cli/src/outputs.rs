//! Where results go: names checked before any work, sinks made when it starts.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_engine::{EngineError, MaskSink, WriteError};
use sam2_frame_provider::OpenOptions;
use sam2_mask_writer::{
    BigTiffSink, CocoJsonSink, CocoOutlines, ContactSheetSink, CsvTableSink, DavisPngsSink,
    ImageJRoisSink, LabelmeJsonSink, LogitsNpySink, ObjectPngsSink, ObjectStacksSink, OmeZarrSink,
    OutputFile, OutputFolder, OverlayVideoSink, ParquetTableSink, PixelValues, RecordingInfo,
    RunFileSink, RunHeader, SavJsonSink, StackCompression, YoloLabelsSink,
};

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
    /// A folder with a BigTIFF stack for each object.
    ObjectTiffs,
    /// A folder of palette images, as in DAVIS.
    Davis,
    /// A folder of images for each object, as in SA-V.
    ObjectPngs,
    /// COCO's JSON.
    Coco,
    /// SA-V's JSON.
    Sav,
    /// A folder of YOLO's polygon labels.
    Yolo,
    /// A folder of Labelme's polygons.
    Labelme,
    /// A ZIP file of ImageJ's regions of interest.
    ImageJRois,
    /// A folder with an OME-Zarr label image.
    OmeZarr,
    /// A table of masks.
    Csv,
    /// The same table.
    Parquet,
    /// A video with the masks drawn in.
    Overlay,
    /// An overview picture.
    ContactSheet,
    /// Mask logits as a NumPy array.
    Logits,
    /// A run file, from which the others can be made.
    Run,
    /// A page about the run.
    Report,
}

impl OutputFormat {
    /// Every format, in the order of `--help` and docs/formats.md.
    const ALL: [Self; 17] = [
        Self::Tiff,
        Self::ObjectTiffs,
        Self::Davis,
        Self::ObjectPngs,
        Self::Coco,
        Self::Sav,
        Self::Yolo,
        Self::Labelme,
        Self::ImageJRois,
        Self::OmeZarr,
        Self::Csv,
        Self::Parquet,
        Self::Overlay,
        Self::ContactSheet,
        Self::Logits,
        Self::Run,
        Self::Report,
    ];

    /// Its name before the colon.
    fn name(self) -> &'static str {
        match self {
            Self::Tiff => "tiff",
            Self::ObjectTiffs => "object-tiffs",
            Self::Davis => "davis",
            Self::ObjectPngs => "object-pngs",
            Self::Coco => "coco",
            Self::Sav => "sav",
            Self::Yolo => "yolo",
            Self::Labelme => "labelme",
            Self::ImageJRois => "imagej-rois",
            Self::OmeZarr => "ome-zarr",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Overlay => "overlay",
            Self::ContactSheet => "contact-sheet",
            Self::Logits => "logits",
            Self::Run => "run",
            Self::Report => "report",
        }
    }

    /// Endings that mean it; none = the name must be said.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Tiff => &["btf", "tif", "tiff"],
            Self::Coco => &["json"],
            Self::ImageJRois => &["zip"],
            Self::OmeZarr => &["zarr"],
            Self::Csv => &["csv"],
            Self::Parquet => &["parquet"],
            Self::Overlay => &["mp4"],
            Self::ContactSheet => &["png"],
            Self::Logits => &["npy"],
            Self::Run => &["sam2run"],
            Self::Report => &["html", "htm"],
            Self::ObjectTiffs
            | Self::Davis
            | Self::ObjectPngs
            | Self::Sav
            | Self::Yolo
            | Self::Labelme => &[],
        }
    }

    /// Whether it holds one number for each pixel, so that numbers must be small.
    fn has_numbers_for_pixels(self, values: PixelValues) -> bool {
        self == Self::Davis || self == Self::Tiff && values == PixelValues::ObjectIds
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
    /// What the pixels of the stack say.
    pub values: PixelValues,
    /// How the pages of stacks are compressed.
    pub compression: StackCompression,
    /// How COCO's annotations say where objects are.
    pub outlines: CocoOutlines,
}

/// What `--coco-polygons` means.
pub fn outlines(are_polygons: bool) -> CocoOutlines {
    if are_polygons { CocoOutlines::Polygons } else { CocoOutlines::RunLengths }
}

/// `--compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum CompressionArg {
    /// As they are: what every program reads.
    #[default]
    None,
    /// Hundreds of times smaller.
    Deflate,
    /// Runs of bytes.
    Packbits,
}

impl From<CompressionArg> for StackCompression {
    fn from(typed: CompressionArg) -> Self {
        match typed {
            CompressionArg::None => Self::None,
            CompressionArg::Deflate => Self::Deflate,
            CompressionArg::Packbits => Self::PackBits,
        }
    }
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
    /// File names of the images that the frames were read from; empty where frames are not image files of their own.
    pub image_names: Vec<String>,
    /// What run files say about the job.
    pub run: RunHeader,
    /// Where the recording is and how it is opened, for outputs that find out at the end which frames they show.
    pub source: Option<(PathBuf, OpenOptions)>,
}

/// Says what was meant by every `-o` and `--contact-sheet`; refuses names that cannot be written, or that would replace
/// something that must stay.
pub fn check(
    typed: &[OutputArg],
    contact_sheet: Option<&Path>,
    inputs: &[&Path],
    may_replace: impl Fn(&Output) -> bool,
) -> Result<Vec<Output>> {
    let outputs = named(typed, contact_sheet)?;
    for (index, Output { path, .. }) in outputs.iter().enumerate() {
        if let Some(input) = inputs.iter().find(|input| same_file(input, path)) {
            bail!("'{}' is an input: choose another name for the output", input.display());
        }
        // A picture among the pictures of a recording would be a frame of it next time.
        if let Some(folder) = inputs.iter().find(|input| input.is_dir() && lies_inside(path, input))
        {
            bail!(
                "'{}' would lie in '{}', which is the recording: choose another folder for the output",
                path.display(),
                folder.display()
            );
        }
        if outputs[..index].iter().any(|earlier| same_file(&earlier.path, path)) {
            bail!("'{}' is given for two outputs: choose different names", path.display());
        }
        if let Some(around) = outputs.iter().find(|around| lies_inside(path, &around.path)) {
            bail!(
                "'{}' lies in '{}', another output: choose different names",
                path.display(),
                around.path.display()
            );
        }
    }
    outputs.iter().try_for_each(|output| try_creating(output, may_replace(output)))?;
    Ok(outputs)
}

/// Says what was meant by every `-o` and `--contact-sheet`.
pub fn named(typed: &[OutputArg], contact_sheet: Option<&Path>) -> Result<Vec<Output>> {
    let mut outputs = typed.iter().map(resolve).collect::<Result<Vec<_>>>()?;
    if let Some(sheet) = contact_sheet {
        if by_ending(sheet) != Some(OutputFormat::ContactSheet) {
            bail!("cannot write a contact sheet to '{}': use the ending .png", sheet.display());
        }
        outputs.push(Output { format: OutputFormat::ContactSheet, path: sheet.to_owned() });
    }
    Ok(outputs)
}

/// What was meant by one `-o`.
pub fn resolve(OutputArg(typed): &OutputArg) -> Result<Output> {
    let path = Path::new(typed);
    let prefix = typed.to_str().and_then(|text| text.split_once(':'));
    // Something with a dot or a slash before its colon is a path, and so is a time.
    let is_word = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if let Some((name, rest)) = prefix
        && is_word(name)
    {
        let Some(format) = OutputFormat::ALL.into_iter().find(|format| format.name() == name)
        else {
            bail!("'{name}' in '{}' is no format: use {}", path.display(), formats());
        };
        if Path::new(rest).file_name().is_none() {
            bail!("'{}' says no name: use {name}:PATH", path.display());
        }
        return Ok(Output { format, path: rest.into() });
    }
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
    let endings: Vec<String> = OutputFormat::ALL
        .into_iter()
        .flat_map(OutputFormat::endings)
        .map(|ending| format!(".{ending}"))
        .collect();
    let names: Vec<&str> = OutputFormat::ALL.into_iter().map(OutputFormat::name).collect();
    format!("an ending of {}, or FORMAT:PATH with one of {}", endings.join(" "), names.join(" "))
}

/// Refuses one name for two things.
pub fn check_differ(a: &Path, b: &Path) -> Result<()> {
    if same_file(a, b) {
        bail!("'{}' is given for two outputs: choose different names", a.display());
    }
    Ok(())
}

/// Whether two names lead to the same file, also by way of links and `..`; an output need not exist yet.
pub fn same_file(a: &Path, b: &Path) -> bool {
    match (resolved(a), resolved(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Whether `path` lies somewhere in `folder`, and is not the folder itself.
fn lies_inside(path: &Path, folder: &Path) -> bool {
    let absolute = |path: &Path| resolved(path).or_else(|| std::path::absolute(path).ok());
    match (absolute(path), absolute(folder)) {
        (Some(path), Some(folder)) => path != folder && path.starts_with(folder),
        _ => false,
    }
}

/// The one spelling of a name, without links, `.` and `..`, as far as its folders exist.
pub fn spelled_out(path: &Path) -> PathBuf {
    let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    resolved(path).unwrap_or_else(absolute)
}

/// A name without links and `..`, if its folder exists.
fn resolved(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    })
}

/// Finds out now, rather than after hours of work, whether an output can be written; what is temporary goes at once.
fn try_creating(Output { format, path }: &Output, overwrite: bool) -> Result<(), WriteError> {
    let own: fn(&Path) -> bool = match format {
        OutputFormat::ObjectTiffs => ObjectStacksSink::is_own,
        OutputFormat::Davis => DavisPngsSink::is_own,
        OutputFormat::ObjectPngs => ObjectPngsSink::is_own,
        OutputFormat::Yolo => YoloLabelsSink::is_own,
        OutputFormat::Labelme => LabelmeJsonSink::is_own,
        OutputFormat::OmeZarr => OmeZarrSink::is_own,
        _ => return OutputFile::create(path, overwrite).map(drop),
    };
    OutputFolder::create(path, overwrite, own).map(drop)
}

/// Starts every output of a recording.
pub fn create(
    outputs: &[Output],
    settings: OutputSettings,
    recording: &OutputRecording,
) -> Result<Vec<Box<dyn MaskSink>>, EngineError> {
    outputs.iter().map(|output| Ok(create_one(output, settings, recording)?)).collect()
}

fn create_one(
    Output { format, path }: &Output,
    OutputSettings { overwrite, values, compression, outlines }: OutputSettings,
    recording: &OutputRecording,
) -> Result<Box<dyn MaskSink>, WriteError> {
    let OutputRecording { size, frames, prompt_frames, .. } = recording;
    let info = &RecordingInfo {
        frames_per_second: recording.rate,
        name: recording.name.clone(),
        objects: recording.objects.clone(),
        object_names: recording.run.object_names.clone(),
        image_names: recording.image_names.clone(),
        ..RecordingInfo::new(*size, *frames)
    };
    let largest = u32::from(u8::MAX);
    if format.has_numbers_for_pixels(values)
        && let Some(&object) = recording.objects.iter().find(|&&object| object > largest)
    {
        return Err(WriteError::ObjectNumber { path: path.clone(), object, largest });
    }
    Ok(match format {
        OutputFormat::Tiff => Box::new(BigTiffSink::create_compressed(
            path,
            *size,
            *frames,
            values,
            compression,
            overwrite,
        )?),
        OutputFormat::ObjectTiffs => {
            Box::new(ObjectStacksSink::create(path, info, compression, overwrite)?)
        }
        OutputFormat::Davis => Box::new(DavisPngsSink::create(path, info, overwrite)?),
        OutputFormat::ObjectPngs => Box::new(ObjectPngsSink::create(path, info, overwrite)?),
        OutputFormat::Coco => Box::new(CocoJsonSink::create_with(path, info, outlines, overwrite)?),
        OutputFormat::Sav => Box::new(SavJsonSink::create(path, info, overwrite)?),
        OutputFormat::Yolo => Box::new(YoloLabelsSink::create(path, info, overwrite)?),
        OutputFormat::Labelme => Box::new(LabelmeJsonSink::create(path, info, overwrite)?),
        OutputFormat::ImageJRois => Box::new(ImageJRoisSink::create(path, info, overwrite)?),
        OutputFormat::OmeZarr => Box::new(OmeZarrSink::create(path, info, overwrite)?),
        OutputFormat::Csv => Box::new(CsvTableSink::create(path, info, overwrite)?),
        OutputFormat::Parquet => Box::new(ParquetTableSink::create(path, info, overwrite)?),
        OutputFormat::Overlay => Box::new(OverlayVideoSink::create(path, info, overwrite)?),
        OutputFormat::ContactSheet => {
            Box::new(ContactSheetSink::create(path, info, prompt_frames, overwrite)?)
        }
        OutputFormat::Logits => Box::new(LogitsNpySink::create(path, info, overwrite)?),
        OutputFormat::Run => Box::new(RunFileSink::create(path, &recording.run, overwrite)?),
        OutputFormat::Report => Box::new(ReportSink::create(path, recording, overwrite)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_text(typed: &str) -> Result<(OutputFormat, String), String> {
        match resolve(&OutputArg(typed.into())) {
            Ok(Output { format, path }) => Ok((format, path.to_str().unwrap().to_owned())),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn endings_and_names_say_the_format() {
        let cases = [
            ("masks.btf", OutputFormat::Tiff, "masks.btf"),
            ("a/b.TIF", OutputFormat::Tiff, "a/b.TIF"),
            ("tiff:masks", OutputFormat::Tiff, "masks"),
            ("coco:a.txt", OutputFormat::Coco, "a.txt"),
            ("a.json", OutputFormat::Coco, "a.json"),
            ("sav:a.json", OutputFormat::Sav, "a.json"),
            ("rois.zip", OutputFormat::ImageJRois, "rois.zip"),
            ("masks.ome.zarr", OutputFormat::OmeZarr, "masks.ome.zarr"),
            ("labelme:a", OutputFormat::Labelme, "a"),
            ("davis:a/b", OutputFormat::Davis, "a/b"),
            ("object-pngs:/a:b", OutputFormat::ObjectPngs, "/a:b"),
            ("./odd:name.csv", OutputFormat::Csv, "./odd:name.csv"),
            ("2026-11-26T12:30.btf", OutputFormat::Tiff, "2026-11-26T12:30.btf"),
        ];
        for (typed, format, path) in cases {
            assert_eq!(resolve_text(typed), Ok((format, path.to_owned())), "{typed}");
        }
    }

    #[test]
    fn what_is_no_format_is_answered_with_all_of_them() {
        for typed in ["masks", "masks.gz", ".btf", "yolo", "png16:a.png", "a:b.csv", ""] {
            let message = resolve_text(typed).unwrap_err();
            for format in OutputFormat::ALL {
                assert!(message.contains(format.name()), "{typed}: {message}");
            }
        }
        for typed in ["csv:", "davis:..", "tiff:/"] {
            let message = resolve_text(typed).unwrap_err();
            assert!(message.contains("PATH") && !message.contains('\n'), "{typed}: {message}");
        }
    }
}
