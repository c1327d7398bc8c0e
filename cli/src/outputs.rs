//! Names and formats of outputs. Names are checked before the work starts; `sinks.rs` creates the
//! outputs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_engine::WriteError;

use sam2_frame_provider::OpenOptions;
use sam2_mask_writer::{
    CocoOutlines, DavisPngsSink, LabelmeJsonSink, ObjectPngsSink, ObjectStacksSink, OmeZarrSink,
    OutputFile, OutputFolder, PixelValues, RunHeader, StackCompression, YoloLabelsSink,
};

use crate::alike::{closest, did_you_mean, suggestion};
use crate::args::OutputArg;
use crate::report::told;

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// BigTIFF stack.
    Tiff,
    /// Folder with a BigTIFF stack for each object.
    ObjectTiffs,
    /// Folder of palette images, as in DAVIS.
    Davis,
    /// Folder with images for each object, as in SA-V.
    ObjectPngs,
    /// COCO JSON.
    Coco,
    /// SA-V JSON.
    Sav,
    /// Folder of YOLO polygon labels.
    Yolo,
    /// Folder of Labelme polygons.
    Labelme,
    /// ZIP file of ImageJ regions of interest.
    ImageJRois,
    /// Folder with an OME-Zarr label image.
    OmeZarr,
    /// Table of masks as CSV.
    Csv,
    /// The same table as Parquet.
    Parquet,
    /// Video with the masks drawn in.
    Overlay,
    /// Overview picture.
    ContactSheet,
    /// Mask logits as a NumPy array.
    Logits,
    /// Run file, from which the other formats can be made.
    Run,
    /// HTML page about the run.
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

    /// Returns the format's name, which is typed before the colon.
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

    /// Returns the file endings that select the format. If empty, the format's name must be typed.
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

    /// Returns the formats that can be made from every run.
    pub fn exported() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|format| *format != Self::Logits)
    }

    /// Returns what selects the format on the command line: its usual ending, or its name with a colon.
    pub fn selector(self) -> String {
        match self.endings().first() {
            Some(ending) => format!(".{ending}"),
            None => format!("{}:", self.name()),
        }
    }

    /// Describes the format in a few words.
    pub fn told(self) -> &'static str {
        match self {
            Self::Tiff => "TIFF stack, one page a frame",
            Self::ObjectTiffs => "folder with a TIFF stack for each object",
            Self::Davis => "folder of palette PNGs, as in DAVIS",
            Self::ObjectPngs => "folder of PNGs for each object, as in SA-V",
            Self::Coco => "COCO JSON",
            Self::Sav => "SA-V JSON",
            Self::Yolo => "folder of YOLO polygons",
            Self::Labelme => "folder of Labelme polygons",
            Self::ImageJRois => "ImageJ regions (ZIP)",
            Self::OmeZarr => "OME-Zarr labels",
            Self::Csv => "table of areas, positions and scores (CSV)",
            Self::Parquet => "the same table as Parquet",
            Self::Overlay => "video with the masks drawn in",
            Self::ContactSheet => "overview picture",
            Self::Logits => "mask logits (NumPy)",
            Self::Run => "run file without the history",
            Self::Report => "report (HTML)",
        }
    }

    /// Whether it holds one number for each pixel, so that numbers must be small.
    pub fn has_numbers_for_pixels(self, values: PixelValues) -> bool {
        self == Self::Davis || self == Self::Tiff && values == PixelValues::ObjectIds
    }
}

/// One output as resolved from an [`OutputArg`], with a checked name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Format.
    pub format: OutputFormat,
    /// File or folder.
    pub path: PathBuf,
}

/// How outputs are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputSettings {
    /// True if existing outputs may be replaced.
    pub overwrite: bool,
    /// Meaning of the pixel values in a stack.
    pub values: PixelValues,
    /// Compression of the pages of stacks.
    pub compression: StackCompression,
    /// How COCO annotations describe masks.
    pub outlines: CocoOutlines,
}

/// Translates `--coco-polygons`.
pub fn outlines(are_polygons: bool) -> CocoOutlines {
    if are_polygons { CocoOutlines::Polygons } else { CocoOutlines::RunLengths }
}

/// Returns the name of the run file among the outputs, if there is one.
pub fn run_file(outputs: &[Output]) -> Option<String> {
    let run = outputs.iter().find(|output| output.format == OutputFormat::Run)?;
    Some(told::name(&run.path))
}

/// The recording that masks belong to.
#[derive(Clone, Debug)]
pub struct OutputRecording {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Number of frames.
    pub frames: usize,
    /// Frames per second, if known.
    pub rate: Option<f64>,
    /// File name without folder and ending.
    pub name: String,
    /// Name of the run file in which these masks are kept too, if there is one.
    pub run_file: Option<String>,
    /// Prompted frames, for display.
    pub prompt_frames: Vec<usize>,
    /// Objects known before the job starts, in ascending order. More objects may appear during the
    /// job.
    pub objects: Vec<u32>,
    /// File names of the images that the frames were read from. Empty if the frames are not
    /// separate image files.
    pub image_names: Vec<String>,
    /// Description of the job for run files.
    pub run: RunHeader,
    /// Path of the recording and options to open it, for outputs that choose the frames to show
    /// only at the end.
    pub source: Option<(PathBuf, OpenOptions)>,
}

/// Resolves every `-o` and `--contact-sheet`. Refuses names that cannot be written, and names that
/// would replace an input, another output or a file that must stay.
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
        // A new image in the folder of an image recording would be one of its frames next time.
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

/// Resolves every `-o` and `--contact-sheet`.
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

/// Resolves one `-o`.
pub fn resolve(typed: &OutputArg) -> Result<Output> {
    let typed = typed.typed();
    let path = Path::new(typed);
    let prefix = typed.to_str().and_then(|text| text.split_once(':'));
    // If the part before the colon contains a dot or a slash, the text is a path. So is a time such
    // as 12:30.
    let is_word = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if let Some((name, rest)) = prefix
        && is_word(name)
    {
        let Some(format) = OutputFormat::ALL.into_iter().find(|format| format.name() == name)
        else {
            let meant = suggestion(name, OutputFormat::ALL.into_iter().map(OutputFormat::name));
            bail!("'{name}' in '{}' is not a format: use {}{meant}", path.display(), formats());
        };
        if Path::new(rest).file_name().is_none() {
            bail!("'{}' has no file name: use {name}:PATH", path.display());
        }
        return Ok(Output { format, path: rest.into() });
    }
    match by_ending(path) {
        Some(format) => Ok(Output { format, path: path.to_owned() }),
        None => {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            let meant = closest(
                ending,
                OutputFormat::ALL.into_iter().flat_map(OutputFormat::endings).copied(),
            )
            .map_or_else(String::new, |meant| did_you_mean(&format!(".{meant}")));
            bail!("cannot tell the format of '{}': use {}{meant}", path.display(), formats())
        }
    }
}

/// Returns the format that belongs to a file ending.
fn by_ending(path: &Path) -> Option<OutputFormat> {
    let ending = path.extension()?.to_str()?.to_lowercase();
    OutputFormat::ALL.into_iter().find(|format| format.endings().contains(&ending.as_str()))
}

/// Lists every format, for messages.
fn formats() -> String {
    let endings: Vec<String> = OutputFormat::ALL
        .into_iter()
        .flat_map(OutputFormat::endings)
        .map(|ending| format!(".{ending}"))
        .collect();
    let names: Vec<&str> = OutputFormat::ALL.into_iter().map(OutputFormat::name).collect();
    format!("an ending of {}, or FORMAT:PATH with one of {}", endings.join(" "), names.join(" "))
}

/// Refuses the same path for two outputs.
pub fn check_differ(a: &Path, b: &Path) -> Result<()> {
    if same_file(a, b) {
        bail!("'{}' is given for two outputs: choose different names", a.display());
    }
    Ok(())
}

/// Returns whether two paths lead to the same file, also through links and `..`. The file need not
/// exist yet.
pub fn same_file(a: &Path, b: &Path) -> bool {
    match (resolved(a), resolved(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Returns whether `path` lies inside `folder`, at any depth, and is not the folder itself.
fn lies_inside(path: &Path, folder: &Path) -> bool {
    let absolute = |path: &Path| resolved(path).or_else(|| std::path::absolute(path).ok());
    match (absolute(path), absolute(folder)) {
        (Some(path), Some(folder)) => path != folder && path.starts_with(folder),
        _ => false,
    }
}

/// Returns a path without links, `.` and `..`, as far as its folders exist, so that equal paths are
/// spelled alike.
pub fn spelled_out(path: &Path) -> PathBuf {
    let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    resolved(path).unwrap_or_else(absolute)
}

/// Returns a path without links and `..`, if its folder exists.
fn resolved(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    })
}

/// Checks that an output can be created now rather than after hours of work. The temporary file is
/// removed at once.
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn resolve_text(typed: &str) -> Result<(OutputFormat, String), String> {
        match resolve(&OutputArg::from(OsString::from(typed))) {
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
        for (typed, meant) in [("dvis:a", "'davis'"), ("a.csvv", "'.csv'"), ("a.btff", "'.btf'")] {
            let message = resolve_text(typed).unwrap_err();
            assert!(message.ends_with(&format!(": did you mean {meant}?")), "{typed}: {message}");
        }
        for typed in ["csv:", "davis:..", "tiff:/"] {
            let message = resolve_text(typed).unwrap_err();
            assert!(message.contains("PATH") && !message.contains('\n'), "{typed}: {message}");
        }
    }
}
