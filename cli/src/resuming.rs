//! How to resume a job after an interruption.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sam2_jobs::{JobReceipt, Journal, ReceiptMismatch};

use crate::args::SegmentArgs;
use crate::outputs::Output;

/// Maximum length of a command line, in bytes, that a message repeats.
const LONGEST: usize = 500;

/// Returns the path of the journal of a job whose first output is `output`.
pub fn journal_path(output: &Path) -> PathBuf {
    // For a folder, the journal lies next to it, not in it.
    let mut name = output.components().collect::<PathBuf>().into_os_string();
    if output.extension() != Some(OsStr::new("sam2run")) {
        name.push(".sam2run");
    }
    name.push(".part");
    name.into()
}

/// Returns the receipt of an earlier run for existing outputs, if `--resume` may keep them.
///
/// # Errors
/// [`ReceiptMismatch::Unknown`] if every output exists but no receipt says how they were made: they
/// are not assumed to be done.
pub fn receipt(args: &SegmentArgs, outputs: &[Output]) -> Result<Option<JobReceipt>> {
    let Some(first) = outputs.first() else { return Ok(None) };
    if !args.running.resume || args.style.overwrite {
        return Ok(None);
    }
    let receipt = JobReceipt::read(&first.path);
    if receipt.is_none() && outputs.iter().all(|output| output.path.exists()) {
        return Err(ReceiptMismatch::Unknown { output: first.path.clone() }.into());
    }
    Ok(receipt)
}

/// Returns the remark on how to resume, or `None` if no frames are kept.
pub fn hint(journal: &Path) -> Option<String> {
    let kept = Journal::frames_kept(journal);
    (kept > 0).then(|| format!("{kept} frames are kept; to go on, run {}", command()))
}

/// Returns this process's command line with `--resume`.
fn command() -> String {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let line = with_resume(&words);
    if line.len() > LONGEST || line.chars().any(char::is_control) {
        return "the same command with --resume".into();
    }
    format!("`{line}`")
}

fn with_resume(words: &[String]) -> String {
    let program = words.first().map(|word| Path::new(word).file_name().unwrap_or_default());
    let program = program.map_or("sam2".into(), OsStr::to_string_lossy);
    let rest = words.iter().skip(1).map(|word| quoted(word));
    let mut line: Vec<String> = std::iter::once(program.into_owned()).chain(rest).collect();
    if !words.iter().any(|word| word == "--resume") {
        line.push("--resume".into());
    }
    line.join(" ")
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let line = with_resume(&words(&["/usr/bin/sam2", "segment", "it's *.avi", "-o", "a.btf"]));
        assert_eq!(line, r"sam2 segment 'it'\''s *.avi' -o a.btf --resume");
        let again = with_resume(&words(&["sam2", "--resume", ""]));
        assert_eq!(again, "sam2 --resume ''");
    }

    #[test]
    fn journals_lie_beside_the_first_output() {
        assert_eq!(journal_path(Path::new("a/m.btf")), Path::new("a/m.btf.sam2run.part"));
        assert_eq!(journal_path(Path::new("m.sam2run")), Path::new("m.sam2run.part"));
        assert_eq!(journal_path(Path::new("masks/")), Path::new("masks.sam2run.part"));
    }
}
