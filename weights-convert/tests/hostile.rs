//! Damaged and malicious weights: they cause an error, never a panic, and never use more memory or
//! time than the size of the file warrants.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use sam2_model::{Device, LoadError, Sam2};
use sam2_weights_convert::{Checkpoint, inspect};

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/micro").join(name)
}

static PT: LazyLock<Vec<u8>> =
    LazyLock::new(|| std::fs::read(asset("sam2.1_hiera_micro.pt")).unwrap());
static SAFETENSORS: LazyLock<Vec<u8>> =
    LazyLock::new(|| std::fs::read(asset("sam2.1_hiera_micro.safetensors")).unwrap());

/// Returns the kind of the error from loading, if there is one.
fn kind(loaded: Result<Sam2, LoadError>) -> Option<String> {
    let error = format!("{:?}", loaded.err()?);
    error.split([' ', '(', '{']).next().map(str::to_owned)
}

/// Reads the bytes as a user's file and as bytes in memory, and checks that the results agree. Both
/// must terminate.
fn read(bytes: &[u8]) -> Result<Checkpoint, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let _ = inspect(file.path());
    let (loaded, origin) = (kind(Sam2::load(file.path(), &Device::flex())), "damaged");
    assert_eq!(loaded, kind(Sam2::from_bytes(bytes, origin, None, &Device::flex())));
    let checkpoint = Checkpoint::read(file.path()).map_err(|error| error.to_string());
    if let Some(peak) = peak_memory() {
        assert!(peak < MOST_MEMORY, "{} MB", peak >> 20);
    }
    checkpoint
}

/// Limit for all tests of this file together: each holds a model of 10 MB and a few copies of its
/// weights.
const MOST_MEMORY: u64 = 1 << 30;

/// Returns the peak memory use of this process in bytes; `None` if the system does not report it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// Generates changes of bytes (region, offset, value) where the structure of the file is: at the
/// start, at the end, or around the pickle.
fn damage() -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    prop::collection::vec((0..3_usize, 0..60_000_usize, any::<u8>()), 1..8)
}

fn damaged(original: &[u8], changes: &[(usize, usize, u8)]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for &(region, offset, value) in changes {
        let length = bytes.len();
        let position = match region {
            0 => offset % length,
            1 => length - 1 - offset % length,
            _ => (offset * 97) % length,
        };
        bytes[position] = value;
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_archive_never_panics(changes in damage()) {
        let _ = read(&damaged(&PT, &changes));
    }

    #[test]
    fn a_damaged_safetensors_file_never_panics(changes in damage()) {
        let _ = read(&damaged(&SAFETENSORS, &changes));
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused(length in 0..5_378_712_usize) {
        prop_assert!(read(&PT[..length]).is_err());
    }

    #[test]
    fn a_safetensors_file_cut_anywhere_is_refused(length in 0..5_302_412_usize) {
        prop_assert!(read(&SAFETENSORS[..length]).is_err());
    }

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..4096), magic in 0..3_usize) {
        let start: &[u8] = [&b""[..], b"PK\x03\x04", &[32, 0, 0, 0, 0, 0, 0, 0]][magic];
        prop_assert!(read(&[start, &bytes].concat()).is_err());
    }

    #[test]
    fn any_header_that_claims_too_much_is_refused(claimed in any::<u64>(), shape in prop::collection::vec(any::<u64>(), 0..6)) {
        // Sizes whose product overflows, offsets beyond the end of the file, headers longer than
        // the file.
        let header = format!(
            r#"{{"x":{{"dtype":"F32","shape":{shape:?},"data_offsets":[0,{claimed}]}}}}"#
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&[0; 16]);
        prop_assume!(claimed != 16);
        prop_assert!(read(&bytes).is_err());
        bytes[..8].copy_from_slice(&claimed.to_le_bytes());
        prop_assert!(read(&bytes).is_err());
    }
}

#[test]
fn undamaged_files_are_read() {
    assert_eq!(read(&PT).unwrap().tensors, read(&SAFETENSORS).unwrap().tensors);
}

/// The classic attack: a pickle that calls `os.system` when Python loads it.
#[test]
fn a_pickle_that_would_run_a_command_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("it-ran");
    let command = format!("touch {}", trace.display());
    let mut pickle = b"\x80\x02cos\nsystem\nX".to_vec();
    pickle.extend_from_slice(&(command.len() as u32).to_le_bytes());
    pickle.extend_from_slice(command.as_bytes());
    pickle.extend_from_slice(b"\x85R.");
    let archive = folder.path().join("evil.pt");
    std::fs::write(
        &archive,
        stored_zip(&[("archive/data.pkl", &pickle), ("archive/version", b"3\n")]),
    )
    .unwrap();
    let error = Checkpoint::read(&archive).unwrap_err().to_string();
    assert!(error.contains("evil.pt"), "{error}");
    assert!(!trace.exists());
}

/// Returns a ZIP archive of uncompressed files.
fn stored_zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let offset = bytes.len() as u32;
        // Version, flags, method, time, date.
        let mut common =
            [20_u16, 0, 0, 0, 0x21].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        common.extend_from_slice(&crc32(content).to_le_bytes());
        common.extend_from_slice(&(content.len() as u32).to_le_bytes());
        common.extend_from_slice(&(content.len() as u32).to_le_bytes());
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend_from_slice(&common);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(content);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let start = bytes.len() as u32;
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend_from_slice(&(files.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&(files.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// Small files that claim gigabytes: by views with a stride of 0, by compressed entries, and by
/// thousands of tensors on one storage.
#[test]
fn small_archives_that_claim_gigabytes_are_refused_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let case =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/faults").join(name);
    // The same entries, stored as `torch.save` stores them.
    let mut archive = zip::ZipArchive::new(std::fs::File::open(case("share.pt")).unwrap()).unwrap();
    let entries: Vec<(String, Vec<u8>)> = (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            (String::from_utf8(entry.name_raw().to_vec()).unwrap(), bytes)
        })
        .collect();
    let files: Vec<(&str, &[u8])> =
        entries.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let stored = folder.path().join("stored.pt");
    std::fs::write(&stored, stored_zip(&files)).unwrap();
    for (path, why) in
        [(case("expand.pt"), "claim"), (case("share.pt"), "compressed"), (stored, "claim")]
    {
        let name = path.file_name().unwrap().to_str().unwrap();
        let started = std::time::Instant::now();
        let error = Checkpoint::read(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(why), "{error}");
        assert!(error.contains("torch.save"), "the remedy: {error}");
        assert!(started.elapsed().as_millis() < 500, "{name} took {:?}", started.elapsed());
    }
}
