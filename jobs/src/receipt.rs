//! Records, next to the outputs of a finished job, how they were made.
//!
//! Most formats cannot say which prompts, options, weights and recording their masks come from. The
//! receipt says it for all outputs of a job. A repeated command can then tell finished work from
//! masks that were made in another way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sam2_mask_writer::{CompleteOutput, OutputFile, RunHeader, WriteError};
use serde::{Deserialize, Serialize};

use super::settings::job_difference;
use crate::error::JobError;

/// Largest size of a receipt in bytes. A larger file is not read, whatever it claims to be.
const MOST_BYTES: u64 = 64 << 20;

/// The receipt of a finished job, kept in a hidden file next to its first output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobReceipt {
    /// The version of the format, [`Self::FORMAT_VERSION`].
    format_version: u32,
    /// Everything that determines the masks.
    run: RunHeader,
    /// Settings that change how masks are written, but not the masks, such as object numbers
    /// instead of 0/255.
    #[serde(default)]
    written: BTreeMap<String, String>,
    /// Whether some batches or objects had no usable prompt.
    unprompted: bool,
    /// The outputs that were published together.
    outputs: Vec<ReceiptOutput>,
}

/// One output of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptOutput {
    /// File or folder name, without the folder that it lies in.
    name: String,
    /// Size of a file in bytes; `None` for a folder.
    bytes: Option<u64>,
}

/// Where to write the receipt of a job when the job is done.
#[derive(Clone, Debug)]
pub struct ReceiptPlace {
    /// Path of the receipt.
    pub path: PathBuf,
    /// Everything that determines the masks.
    pub run: RunHeader,
    /// Settings that change how masks are written, but not the masks.
    pub written: BTreeMap<String, String>,
    /// The receipt of outputs of the same job that were published earlier.
    pub before: Option<JobReceipt>,
}

impl ReceiptPlace {
    /// Writes the receipt of outputs that are complete and about to be published.
    pub(super) fn write(
        &self,
        outputs: &[CompleteOutput],
        unprompted: bool,
    ) -> Result<(), JobError> {
        let mut described: Vec<ReceiptOutput> = outputs
            .iter()
            .map(|output| ReceiptOutput { name: name_of(output.path()), bytes: output.bytes() })
            .collect();
        let before = self.before.iter().flat_map(|receipt| &receipt.outputs);
        let kept = before.filter(|old| described.iter().all(|new| new.name != old.name));
        described.extend(kept.cloned().collect::<Vec<_>>());
        let receipt = JobReceipt {
            format_version: JobReceipt::FORMAT_VERSION,
            run: self.run.clone(),
            written: self.written.clone(),
            unprompted,
            outputs: described,
        };
        let text = serde_json::to_vec_pretty(&receipt)
            .map_err(|error| WriteError::Io { path: self.path.clone(), source: error.into() })?;
        Ok(OutputFile::write(&self.path, true, &text)?)
    }
}

/// The reason why existing outputs are not accepted as those of a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptMismatch {
    /// The receipt is missing, damaged or of another version.
    #[error("'{output}' exists, but no record says how it was made")]
    Unknown {
        /// The first output.
        output: PathBuf,
    },
    /// The outputs were made in another way.
    #[error("'{output}' was made by another job: {what} was {before} and is now {now}")]
    Different {
        /// The first output.
        output: PathBuf,
        /// The setting that differs.
        what: String,
        /// Its value in the job that made the output.
        before: String,
        /// Its value in this job.
        now: String,
    },
    /// An output is not one of that job's, or has changed since then.
    #[error("'{output}' is not what the job wrote: {reason}")]
    Changed {
        /// The output.
        output: PathBuf,
        /// The difference.
        reason: String,
    },
}

impl JobReceipt {
    /// Version of the format that is written and read.
    const FORMAT_VERSION: u32 = 1;

    /// Returns the path of the receipt of a job whose first output is `output`: `.NAME.sam2job` in
    /// the same folder.
    pub fn path_for(output: &Path) -> PathBuf {
        output.with_file_name(format!(".{}.sam2job", name_of(output)))
    }

    /// Reads the receipt of the job whose first output is `output`. Returns `None` if there is
    /// none, or none that can be read.
    pub fn read(output: &Path) -> Option<Self> {
        let path = Self::path_for(output);
        let size = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?.len();
        if size > MOST_BYTES {
            return None;
        }
        let receipt: Self = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        (receipt.format_version == Self::FORMAT_VERSION).then_some(receipt)
    }

    /// Returns `true` if some batches or objects of the job had no usable prompt.
    pub fn unprompted(&self) -> bool {
        self.unprompted
    }

    /// Returns `true` if the job wrote an output of this name. The output need not exist any more.
    pub fn names(&self, output: &Path) -> bool {
        let name = name_of(output);
        self.outputs.iter().any(|written| written.name == name)
    }

    /// Checks that `outputs` are those of the job with the header `run`, written with these
    /// settings.
    ///
    /// # Errors
    /// [`ReceiptMismatch`] with the difference.
    pub fn check(
        &self,
        run: &RunHeader,
        written: &BTreeMap<String, String>,
        outputs: &[&Path],
    ) -> Result<(), ReceiptMismatch> {
        let Some(first) = outputs.first() else { return Ok(()) };
        let other = written.iter().find_map(|(name, now)| {
            let before = self.written.get(name).filter(|before| *before != now)?;
            Some((name.clone(), before.clone(), now.clone()))
        });
        if let Some((what, before, now)) = job_difference(&self.run, run).or(other) {
            let output = (*first).to_owned();
            return Err(ReceiptMismatch::Different { output, what, before, now });
        }
        for &output in outputs {
            let changed =
                |reason: String| ReceiptMismatch::Changed { output: output.to_owned(), reason };
            let name = name_of(output);
            let Some(written) = self.outputs.iter().find(|written| written.name == name) else {
                return Err(changed("that job did not write it".into()));
            };
            let found = std::fs::metadata(output).map_err(|error| changed(error.to_string()))?;
            let found = found.is_file().then_some(found.len());
            if found != written.bytes {
                let size = |bytes: Option<u64>| match bytes {
                    Some(bytes) => format!("{bytes} bytes"),
                    None => "a folder".to_owned(),
                };
                let (found, written) = (size(found), size(written.bytes));
                return Err(changed(format!("it is {found}, and was {written}")));
            }
        }
        Ok(())
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_names_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("masks.bin");
        let mut run = RunHeader::new("mouse.avi", (4, 3), 2);
        run.settings.insert("model".into(), "tiny".into());
        let place = ReceiptPlace {
            path: JobReceipt::path_for(&output),
            run: run.clone(),
            before: None,
            written: BTreeMap::new(),
        };
        assert_eq!(JobReceipt::read(&output), None);
        let complete = OutputFile::create(&output, false).unwrap();
        std::io::Write::write_all(&mut complete.file(), b"abc").unwrap();
        let complete = complete.complete().unwrap();
        place.write(std::slice::from_ref(&complete), true).unwrap();
        complete.publish().unwrap();

        let receipt = JobReceipt::read(&output).unwrap();
        assert!(receipt.unprompted());
        assert_eq!(receipt.check(&run, &BTreeMap::new(), &[&output]), Ok(()));
        run.settings.insert("model".into(), "large".into());
        let told = receipt.check(&run, &BTreeMap::new(), &[&output]).unwrap_err().to_string();
        assert!(told.contains("model was tiny and is now large"), "{told}");
        run.settings.insert("model".into(), "tiny".into());
        std::fs::write(&output, "abcd").unwrap();
        let told = receipt.check(&run, &BTreeMap::new(), &[&output]).unwrap_err().to_string();
        assert!(told.contains("it is 4 bytes, and was 3 bytes"), "{told}");
        let other = folder.path().join("other.bin");
        assert!(
            receipt
                .check(&run, &BTreeMap::new(), &[&other])
                .unwrap_err()
                .to_string()
                .contains("other.bin")
        );
        std::fs::write(JobReceipt::path_for(&output), "{").unwrap();
        assert_eq!(JobReceipt::read(&output), None);
    }
}
