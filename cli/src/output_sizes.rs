//! How large outputs become, compared with the room on their disks before anything is computed.
//!
//! Only pages without compression and logits have a size that is known beforehand. Other outputs
//! depend on the masks; their sizes here are rough, from recordings of animals.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sam2_mask_writer::StackCompression;

use crate::disk::{self, free_bytes};
use crate::outputs::{Output, OutputFormat};

/// Bytes of one object's mask on one frame in a run file or a JSON format, roughly.
const MASK_BYTES: u64 = 500;
/// Bytes of one object on one frame in a table, roughly.
const ROW_BYTES: u64 = 120;
/// Share of a page's pixels that a compressed page takes in bytes, roughly.
const COMPRESSED: u64 = 120;
/// Bytes of a small file, roughly: a block of the disk and its entry.
const FILE_BYTES: u64 = 5_000;

/// What decides how large outputs become.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Pixels of a frame.
    pub pixels: u64,
    /// Frames to write.
    pub frames: u64,
    /// Objects in the job.
    pub objects: u64,
    /// How the pages of stacks are compressed.
    pub compression: StackCompression,
    /// True if logits are an output: then run files and the journal hold them too.
    pub logits: bool,
}

/// Size of an output in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Number of bytes.
    pub bytes: u64,
    /// True if the output certainly takes as much; false for an estimate.
    pub is_certain: bool,
}

impl Extent {
    /// Returns the size of an output.
    pub fn size(&self, format: OutputFormat) -> Size {
        let Self { pixels, frames, objects, compression, .. } = *self;
        let objects = objects.max(1);
        let pages = frames.saturating_mul(pixels);
        let likely = |bytes: u64| Size { bytes, is_certain: false };
        let stacks = |count: u64| match compression {
            StackCompression::None => Size { bytes: pages.saturating_mul(count), is_certain: true },
            _ => likely((pages / COMPRESSED).saturating_mul(count)),
        };
        match format {
            OutputFormat::Tiff => stacks(1),
            OutputFormat::ObjectTiffs => stacks(objects),
            OutputFormat::Logits => Size { bytes: self.logit_bytes(), is_certain: true },
            OutputFormat::Run if self.logits => {
                Size { bytes: self.logit_bytes(), is_certain: true }
            }
            // A file for each frame, or for each object on it, takes whole blocks of the disk.
            OutputFormat::Davis | OutputFormat::Yolo | OutputFormat::Labelme => {
                likely(frames.saturating_mul(FILE_BYTES))
            }
            OutputFormat::ObjectPngs | OutputFormat::OmeZarr => {
                likely(frames.saturating_mul(objects).saturating_mul(FILE_BYTES))
            }
            OutputFormat::Csv | OutputFormat::Parquet => {
                likely(frames.saturating_mul(objects).saturating_mul(ROW_BYTES))
            }
            OutputFormat::Overlay => likely(pages / 10),
            OutputFormat::ContactSheet => likely(1_500_000),
            OutputFormat::Report => likely(400_000),
            _ => likely(frames.saturating_mul(objects).saturating_mul(MASK_BYTES)),
        }
    }

    /// Returns the number of bytes of all logits.
    fn logit_bytes(&self) -> u64 {
        let pages = self.frames.saturating_mul(self.pixels);
        pages.saturating_mul(4).saturating_mul(self.objects.max(1))
    }
}

/// Returns a number of bytes for people.
pub fn told(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", (bytes as f64 / 1e3).max(1.0)),
        1_000_000..10_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Refuses outputs whose certain size exceeds the free room of their folders.
///
/// # Errors
/// Fails if a disk cannot hold the outputs that go there; the message names the remedy.
pub fn check(outputs: &[Output], extent: &Extent) -> Result<()> {
    let mut folders: Vec<(PathBuf, u64, Vec<&Output>)> = Vec::new();
    for (index, output) in outputs.iter().enumerate() {
        let size = extent.size(output.format);
        let own = if size.is_certain { size.bytes } else { 0 };
        // The journal is next to the first output.
        let journal = if index == 0 && extent.logits { extent.logit_bytes() } else { 0 };
        let bytes = own.saturating_add(journal);
        if bytes == 0 {
            continue;
        }
        let folder = disk::parent(&output.path).to_owned();
        match folders.iter_mut().find(|(known, ..)| disk::is_same(known, &folder)) {
            Some((_, all, named)) => {
                *all = all.saturating_add(bytes);
                named.push(output);
            }
            None => folders.push((folder, bytes, vec![output])),
        }
    }
    for (folder, bytes, named) in folders {
        if let Some(free) = free_bytes(&folder).filter(|&free| free < bytes) {
            bail!(refusal(&named, bytes, free, &folder));
        }
    }
    Ok(())
}

fn refusal(named: &[&Output], bytes: u64, free: u64, folder: &Path) -> String {
    let names: Vec<String> =
        named.iter().map(|output| format!("'{}'", output.path.display())).collect();
    let takes = if names.len() == 1 { "takes" } else { "take" };
    let is_stack =
        |output: &&Output| matches!(output.format, OutputFormat::Tiff | OutputFormat::ObjectTiffs);
    let remedy = if named.iter().any(is_stack) {
        "--compression deflate, or another folder"
    } else {
        "another folder, or leave it out"
    };
    format!(
        "{} {takes} {}, and {} are free in '{}': use {remedy}",
        names.join(", "),
        told(bytes),
        told(free),
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(compression: StackCompression) -> Extent {
        Extent { pixels: 900 * 896, frames: 108_000, objects: 2, compression, logits: false }
    }

    #[test]
    fn what_is_not_compressed_has_a_known_size() {
        let whole = extent(StackCompression::None);
        let pages = 108_000 * 900 * 896;
        let certain = |bytes| Size { bytes, is_certain: true };
        assert_eq!(whole.size(OutputFormat::Tiff), certain(pages));
        assert_eq!(whole.size(OutputFormat::ObjectTiffs), certain(2 * pages));
        assert_eq!(whole.size(OutputFormat::Logits), certain(8 * pages));
        let small = extent(StackCompression::Deflate).size(OutputFormat::Tiff);
        assert!(!small.is_certain && small.bytes < pages / 100, "{small:?}");
    }

    #[test]
    fn a_disk_that_cannot_hold_them_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let output = |name: &str, format| Output { format, path: folder.path().join(name) };
        let huge = Extent { frames: u64::MAX / 1_000_000, ..extent(StackCompression::None) };
        let stack = output("masks.btf", OutputFormat::Tiff);
        let error = check(std::slice::from_ref(&stack), &huge).unwrap_err().to_string();
        assert!(error.contains("masks.btf' takes"), "{error}");
        assert!(error.contains("--compression deflate"), "{error}");
        let logits = output("a.npy", OutputFormat::Logits);
        let error = check(std::slice::from_ref(&logits), &huge).unwrap_err().to_string();
        assert!(error.contains("leave it out"), "{error}");
        let small = Extent { frames: 2, ..huge };
        check(&[stack, logits], &small).unwrap();
        let compressed = Extent { compression: StackCompression::Deflate, ..huge };
        check(&[output("m.btf", OutputFormat::Tiff)], &compressed).unwrap();
    }
}
