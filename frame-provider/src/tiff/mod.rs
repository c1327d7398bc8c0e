//! TIFF stacks, page by page.
//!
//! The modules, from the bottom up: `bytes` reads by offset and never past the end. `directory`
//! follows the chain of directories (IFDs). `page` checks the content of one directory against the
//! file. `codec` decompresses one strip or tile with the appropriate library, and `decode` combines
//! them. `description` reads what ImageJ, tifffile, OME and others write about a whole stack, and
//! `scan_image` what ScanImage writes.
//!
//! Opening reads the chain of directories and no pixels: eight bytes are kept per page, so page `i`
//! of a hundred thousand is found at once. Memory is allocated only after checking that the file is
//! long enough to fill it.

mod bytes;
mod codec;
mod decode;
mod description;
mod directory;
mod error;
mod page;
mod scan_image;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::axes::Axes;
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::intensity::{Intensity, Levels};
use crate::picture::Picture;
use crate::size::FrameSize;
use crate::source::FrameSource;
use crate::source_info::{DecodeStats, SourceInfo, Timing};
use crate::stack_notes::StackNotes;
pub(crate) use bytes::Bytes;
use description::Claims;
use directory::tag;
pub(crate) use directory::{Chain, Order, Tiff, is_tiff};
pub(crate) use error::TiffError;
use page::Page;

/// A TIFF or BigTIFF file (`.tif`, `.tiff`, `.btf`) with one page per frame.
///
/// - **Layouts:** both byte orders; strips and tiles; interleaved and planar channels.
/// - **Samples:** gray and RGB with 8, 16 or 32 bits, signed or unsigned, or floating point of 16,
///   32 or 64 bits, with or without alpha, which is dropped; gray of 1, 2 or 4 bits; palettes;
///   black or white as zero. Samples of other than 8 bits become 8-bit samples as the [`Intensity`]
///   says.
/// - **Compressions:** none, LZW, deflate, PackBits, zstd, JPEG (bit for bit as libjpeg-turbo),
///   with or without the horizontal and the floating-point predictor.
/// - **Descriptions:** stacks of ImageJ, tifffile and MetaMorph (`.stk`) whose frames follow a
///   single directory, also beyond 4 GiB; hyperstacks of ImageJ and OME, channels and slices of
///   ScanImage, slices of Zeiss LSM and wavelengths of MetaMorph, of which [`Axes`] chooses the
///   frames.
/// - **Orientation:** the tag is ignored, as in tifffile and ImageJ; a warning says so. (In an
///   [`ImageFolder`](crate::ImageFolder) it is applied.)
/// - **Not frames:** thumbnails, levels of a pyramid, and masks.
///
/// **Cost:** opening reads the directories, about 200 bytes per page, and no pixels. Reading a
/// frame reads and decodes that page alone.
///
/// **Damaged files:** a chain of directories that ends early, goes in circles or leaves the file
/// yields the pages before the damage, with a warning. Damaged pixels cause an error of that frame
/// only. A page that differs in size from the first causes [`FrameError::SizeChanged`] for that
/// frame.
///
/// Not supported: complex samples, CMYK, uncompressed YCbCr, volumes within one page. OME series in
/// several files are [`OmeTiff`](crate::OmeTiff).
#[derive(Debug)]
pub struct TiffStack {
    path: PathBuf,
    tiff: Tiff,
    pages: Pages,
    /// The facts that reading does not change.
    fixed: SourceInfo,
    levels: Levels,
    decoded: AtomicU64,
}

/// Location of the pages.
#[derive(Debug)]
enum Pages {
    /// The offset of the directory of each frame.
    Directories(Vec<u64>),
    /// One directory; the pixels of each page lie `distance` bytes after those of the previous
    /// page.
    Contiguous {
        directory: u64,
        distance: u64,
        count: usize,
        /// The chosen pages; all of them if absent.
        chosen: Option<Vec<usize>>,
    },
}

impl TiffStack {
    /// Opens a stack with the default axes.
    ///
    /// # Errors
    /// [`FrameError::NotFound`], [`FrameError::IsDirectory`], [`FrameError::Io`],
    /// [`FrameError::NotAnImage`] for a file that is not a TIFF or is damaged from its start,
    /// [`FrameError::NoFrames`] without any page, or [`FrameError::Unsupported`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FrameError> {
        Self::open_with(path, &Axes::default())
    }

    /// Opens a stack. `axes` only affects hyperstacks.
    ///
    /// # Errors
    /// Those of [`TiffStack::open`]; [`FrameError::Unsupported`] for axes that the file lacks.
    pub fn open_with(path: impl AsRef<Path>, axes: &Axes) -> Result<Self, FrameError> {
        let path = path.as_ref();
        Self::new(path.to_owned(), Bytes::open(path)?, axes)
    }

    /// Opens a stack that is already in memory; `name` is used in messages.
    ///
    /// # Errors
    /// Those of [`TiffStack::open_with`].
    pub fn from_bytes(
        name: impl Into<PathBuf>,
        data: Vec<u8>,
        axes: &Axes,
    ) -> Result<Self, FrameError> {
        Self::new(name.into(), Bytes::in_memory(data), axes)
    }

    fn new(path: PathBuf, bytes: Bytes, axes: &Axes) -> Result<Self, FrameError> {
        let opening = |error: TiffError| error.while_opening(&path);
        let tiff = Tiff::new(bytes).map_err(opening)?;
        let chain = Chain::read(&tiff, usize::MAX).map_err(opening)?;
        let Some(&first) = chain.pages.first() else {
            return Err(FrameError::NoFrames { path });
        };
        let directory = tiff.directory(first).map_err(opening)?;
        let page = Page::read(&directory, &tiff.bytes).map_err(opening)?;
        let claims = Claims::find(&tiff, &directory).map_err(opening)?;
        let mut notes = chain_notes(&path, &chain);
        notes
            .warnings
            .extend(page_warnings(&path, &directory, &page, chain.pages.len()).map_err(opening)?);
        let pages = find_pages(&path, &tiff, chain, &page, claims.as_ref(), axes, &mut notes)?;
        for warning in &notes.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self {
            fixed: SourceInfo::of_path(&path, pages.count(), page.size)
                .with_flaws(notes.flaws())
                .with_warnings(notes.warnings),
            path,
            tiff,
            pages,
            levels: Levels::new(Intensity::default()),
            decoded: AtomicU64::new(0),
        })
    }

    /// Returns the same stack with another conversion from 16 bits to 8.
    #[must_use]
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.levels = Levels::new(intensity);
        self
    }

    /// Returns the same stack with a frame rate; a rate in the TIFF file is not read.
    #[must_use]
    pub fn with_frames_per_second(mut self, frames_per_second: f64) -> Self {
        self.fixed.timing = Timing::from_rate(frames_per_second);
        self
    }

    /// Returns the file's path, or the name of a stack in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns page `index` as stored.
    fn picture(&self, index: usize) -> Result<Picture, FrameError> {
        let out_of_range = || FrameError::IndexOutOfRange {
            index,
            count: self.fixed.frame_count,
            path: self.path.clone(),
        };
        let in_frame = |error: TiffError| error.in_frame(&self.path, index);
        let page = match &self.pages {
            Pages::Directories(directories) => {
                let &offset = directories.get(index).ok_or_else(out_of_range)?;
                let directory = self.tiff.directory(offset).map_err(in_frame)?;
                Page::read(&directory, &self.tiff.bytes)
            }
            Pages::Contiguous { directory, distance, count, chosen } => {
                let at = match chosen {
                    Some(pages) => pages.get(index).copied(),
                    None => Some(index).filter(|index| index < count),
                };
                let at = at.ok_or_else(out_of_range)?;
                let directory = self.tiff.directory(*directory).map_err(in_frame)?;
                Page::read(&directory, &self.tiff.bytes)
                    .and_then(|page| page.moved(distance * at as u64, &self.tiff.bytes))
            }
        };
        let page = page.map_err(in_frame)?;
        if page.size != self.fixed.size {
            return Err(FrameError::SizeChanged {
                path: self.path.clone(),
                index,
                expected: self.fixed.size,
                found: page.size,
            });
        }
        let picture = decode::decode(&self.tiff, &page).map_err(in_frame)?;
        self.decoded.fetch_add(1, Ordering::Relaxed);
        Ok(picture)
    }
}

impl Pages {
    fn count(&self) -> usize {
        match self {
            Self::Directories(pages) => pages.len(),
            Self::Contiguous { count, chosen, .. } => chosen.as_ref().map_or(*count, Vec::len),
        }
    }
}

/// Returns what the user should know about the chain of directories.
fn chain_notes(path: &Path, chain: &Chain) -> StackNotes {
    let mut notes = StackNotes::default();
    if let Some(reason) = &chain.broken {
        let why = format!(
            "damaged after page {} ({reason}); the {} pages before are read",
            chain.pages.len() - 1,
            chain.pages.len()
        );
        notes.truncated(path, why);
    }
    if let Some(odd) = chain.odd_size {
        notes.warn(format!(
            "{}: page {odd} is of another size than the first; such frames cannot be read",
            path.display()
        ));
    }
    notes
}

/// Returns what the user should know about the way pages are read.
fn page_warnings(
    path: &Path,
    directory: &directory::Directory<'_>,
    page: &Page,
    pages: usize,
) -> Result<Vec<String>, TiffError> {
    let mut warnings = Vec::new();
    let orientation = directory.number(tag::ORIENTATION, 1)?;
    if (2..=8).contains(&orientation) {
        warnings.push(format!(
            "{}: says that it is stored turned or mirrored (Orientation {orientation}); stacks are read as stored, as tifffile \
             and ImageJ read them",
            path.display()
        ));
    }
    let kept = decode::kept_channels(page);
    let extra = directory.numbers(tag::EXTRA_SAMPLES, page.samples as u64)?;
    // Samples that the file does not declare to be alpha are channels.
    let alpha = extra.iter().filter(|&&kind| kind == 1 || kind == 2).count();
    if page.samples > kept + alpha {
        let which =
            if kept == 1 { "first sample".to_owned() } else { format!("first {kept} samples") };
        warnings.push(format!(
            "{}: only the {which} of each pixel is read, of {}; save another channel by itself to read that",
            path.display(),
            page.samples
        ));
    }
    if directory.count(tag::FLUO_VIEW) > 0 && pages > 1 {
        warnings.push(format!(
            "{}: written by Olympus FluoView, whose axes are not read: all {pages} pages are frames; if there are channels or \
             slices among them, save it as OME-TIFF",
            path.display()
        ));
    }
    Ok(warnings)
}

/// Finds out which pages are the frames, and where they are.
fn find_pages(
    path: &Path,
    tiff: &Tiff,
    chain: Chain,
    page: &Page,
    claims: Option<&Claims>,
    axes: &Axes,
    notes: &mut StackNotes,
) -> Result<Pages, FrameError> {
    let claimed = claims.map_or(1, |claims| {
        if claims.counts_samples() {
            let samples = page.size.width as u64 * page.size.height as u64 * page.samples as u64;
            claims.pages / samples.max(1)
        } else {
            claims.pages
        }
    });
    let mut count = chain.pages.len();
    // More pages than directories: the pages follow the first without gaps, as ImageJ writes them
    // beyond 4 GiB.
    let can_follow = count == 1 && claimed > 1 && claims.is_some_and(Claims::can_lack_directories);
    let contiguous = can_follow.then(|| page.contiguous_start()).flatten();
    if can_follow && contiguous.is_none() && claims.is_some_and(Claims::never_has_directories) {
        let what = format!(
            "is a stack of {claimed} planes whose pixels are compressed or in tiles, which is not supported; save it uncompressed, \
             or with one page for each plane"
        );
        return Err(FrameError::Unsupported { path: path.to_owned(), what });
    }
    if let Some(start) = contiguous {
        let present = (tiff.bytes.length() - start) / page.stored_bytes().max(1);
        count = usize::try_from(claimed.min(present)).unwrap_or(usize::MAX).max(1);
    }
    if count > description::MAX_TABLE {
        let what = format!(
            "holds {count} pages, and no more than {} of one file are read; save it in parts",
            description::MAX_TABLE
        );
        return Err(FrameError::Unsupported { path: path.to_owned(), what });
    }
    if claimed > count as u64 {
        let program = claims.map_or("its description", |claims| claims.program);
        notes.truncated(path, format!("{program} claims {claimed} pages, {count} are there"));
    }
    let left_out = claims.and_then(Claims::left_out);
    notes.warnings.extend(left_out.map(|text| format!("{}: {text}", path.display())));
    let chosen = match claims.and_then(|claims| claims.table(count)) {
        Some(table) => Some(table.choose(path, axes)?),
        None if axes.is_default() => None,
        None => {
            let what =
                "has no axes to choose from: its pages are one series; leave the axes option out";
            return Err(FrameError::Unsupported { path: path.to_owned(), what: what.into() });
        }
    };
    let (images, more_warnings) = match chosen {
        Some(choice) => (Some(choice.images), choice.warnings),
        None => (None, Vec::new()),
    };
    notes.warnings.extend(more_warnings);
    Ok(if contiguous.is_some() {
        Pages::Contiguous {
            directory: chain.pages[0],
            distance: page.stored_bytes(),
            count,
            chosen: images,
        }
    } else {
        match images {
            Some(images) => {
                Pages::Directories(images.into_iter().map(|image| chain.pages[image]).collect())
            }
            None => Pages::Directories(chain.pages),
        }
    })
}

impl FrameSource for TiffStack {
    fn info(&self) -> SourceInfo {
        let frames_decoded = self.decoded.load(Ordering::Relaxed);
        let measuring = self.levels.warnings().into_iter();
        self.fixed
            .clone()
            .with_decode_stats(DecodeStats { frames_decoded, restarts: 0 })
            .with_more_warnings(
                measuring.map(|warning| format!("{}: {warning}", self.path.display())),
            )
            .with_levels(self.levels.range())
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        let picture = self.picture(index)?;
        let frame =
            self.levels.render(picture, self.fixed.frame_count, |index| self.picture(index));
        frame.map(Arc::new).map_err(|error| error.about(&self.path))
    }
}

/// The content of the header of a TIFF with one picture.
pub(crate) struct OnlyPage {
    /// Size as stored.
    pub(crate) size: FrameSize,
    /// The value of the tag Orientation: 1 is upright.
    pub(crate) orientation: u64,
    /// True if there are further pages.
    pub(crate) has_more: bool,
}

/// Reads the header of the first page of a file.
pub(crate) fn only_page(path: &Path) -> Result<OnlyPage, FrameError> {
    let opening = |error: TiffError| error.while_opening(path);
    let tiff = Tiff::new(Bytes::open(path)?).map_err(opening)?;
    let chain = Chain::read(&tiff, 2).map_err(opening)?;
    let &first =
        chain.pages.first().ok_or_else(|| FrameError::NoFrames { path: path.to_owned() })?;
    let orientation = orientation_of(&tiff, first);
    let size = page_size(&tiff, first).map_err(opening)?;
    Ok(OnlyPage { size, orientation, has_more: chain.pages.len() > 1 })
}

/// Returns the orientation of a page; 1 if it is not readable.
fn orientation_of(tiff: &Tiff, offset: u64) -> u64 {
    let directory = tiff.directory(offset);
    directory.and_then(|directory| directory.number(tag::ORIENTATION, 1)).unwrap_or(1)
}

/// Returns the description of the first page, at most `limit` bytes.
pub(crate) fn description_of(tiff: &Tiff, limit: u64) -> Result<String, TiffError> {
    Ok(tiff.directory(tiff.first)?.text(tag::DESCRIPTION, limit))
}

/// Returns the size of the page whose directory is at `offset`, without reading its pixels.
pub(crate) fn page_size(tiff: &Tiff, offset: u64) -> Result<FrameSize, TiffError> {
    Ok(Page::read(&tiff.directory(offset)?, &tiff.bytes)?.size)
}

/// Returns the page whose directory is at `offset`, as frame `index` of `path`.
pub(crate) fn page_at(
    tiff: &Tiff,
    offset: u64,
    path: &Path,
    index: usize,
) -> Result<Picture, FrameError> {
    tiff.directory(offset)
        .and_then(|directory| Page::read(&directory, &tiff.bytes))
        .and_then(|page| decode::decode(tiff, &page))
        .map_err(|error| error.in_frame(path, index))
}

/// Returns the first page of a whole file in memory, as frame `index` of `path`, and its
/// orientation.
pub(crate) fn first_page(
    data: Vec<u8>,
    path: &Path,
    index: usize,
) -> Result<(Picture, u64), FrameError> {
    let in_frame = |error: TiffError| error.in_frame(path, index);
    let tiff = Tiff::new(Bytes::in_memory(data)).map_err(in_frame)?;
    let chain = Chain::read(&tiff, 1).map_err(in_frame)?;
    let &first = chain.pages.first().ok_or_else(|| {
        TiffError::malformed("it holds thumbnails or masks only").in_frame(path, index)
    })?;
    Ok((page_at(&tiff, first, path, index)?, orientation_of(&tiff, first)))
}
