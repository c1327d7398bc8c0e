//! Stores the index of a file for the next time the file is opened.
//!
//! The file format is private to this crate: magic bytes, version, checksum, and a body in
//! postcard. A cache that is missing, stale, damaged or of another version is not an error: the
//! video is then indexed as if there were no cache.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::ffi;
use super::handover::{Change, Handovers, Kind};
use super::index::{Index, IndexParts, Ordinal, PacketInfo};
use crate::video_options::IndexCacheMode;

const MAGIC: &[u8; 8] = b"frameidx";

/// Increases with each change of the format or of the meaning of an index.
const VERSION: u32 = 4;

/// Number of bytes at either end of the video that its fingerprint covers.
const FINGERPRINT_BYTES: u64 = 64 << 10;

/// Larger files are not caches of this crate: this size is enough for years of video.
const MOST_BYTES: u64 = 4 << 30;

/// The facts that make a cached index valid for a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    path: String,
    bytes: u64,
    modified_seconds: u64,
    modified_nanoseconds: u32,
    /// Hash of the first and the last part of the file.
    fingerprint: u64,
    /// Version of the demuxers: another version may read other packets.
    demuxer_version: u32,
    /// The requested stream, if there are several video streams.
    stream: Option<usize>,
}

/// Table of the packets. Each column is stored as differences from the previous row, which gives
/// small numbers.
#[derive(Serialize, Deserialize)]
struct Body {
    key: Key,
    pts: Vec<Option<i64>>,
    dts: Vec<Option<i64>>,
    positions: Vec<i64>,
    sizes: Vec<u64>,
    flags: Vec<u8>,
    /// Also stored as differences.
    shown: Vec<i64>,
    refused: BTreeSet<Ordinal>,
    /// Data that decoders receive only once, each with its packet.
    changes: Vec<(Ordinal, Kind, Vec<u8>)>,
    changes_lost_from: Option<Ordinal>,
    decoded: bool,
    counted: bool,
    warnings: Vec<String>,
    missing_frames: Option<String>,
}

/// Content of the cache of a video.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) index: Index,
    pub(super) warnings: Vec<String>,
    /// Reason why frames are missing, if any are.
    pub(super) missing_frames: Option<String>,
}

const KEY_FLAG: u8 = 1;
const DISCARD_FLAG: u8 = 2;
const CORRUPT_FLAG: u8 = 4;

/// The cached index of one video.
#[derive(Debug)]
pub(super) struct IndexCache {
    file: PathBuf,
    video: PathBuf,
    stream: Option<usize>,
}

impl IndexCache {
    /// Returns the cache of `video`, whether its file exists or not; `None` if nothing is to be
    /// stored.
    ///
    /// Each video stream of a file has its own cache.
    pub(super) fn of(video: &Path, stream: Option<usize>, mode: &IndexCacheMode) -> Option<Self> {
        let mut name = video.file_name()?.to_string_lossy().into_owned();
        if let Some(stream) = stream {
            name.push_str(&format!(".stream{stream}"));
        }
        let file = match mode {
            IndexCacheMode::Off => return None,
            IndexCacheMode::Beside => video.with_file_name(format!("{name}.frameindex")),
            IndexCacheMode::Folder(folder) => {
                let place = fnv(canonical(video).as_bytes());
                folder.join(format!("{name}-{place:016x}.frameindex"))
            }
        };
        Some(Self { file, video: video.to_owned(), stream })
    }

    /// Returns the index and the data stored with it, if they exist and are still valid.
    pub(super) fn load(&self) -> Option<Kept> {
        match self.try_load() {
            Ok(found) => {
                tracing::debug!(cache = %self.file.display(), "the cached index is used");
                Some(found)
            }
            Err(reason) => {
                tracing::debug!(cache = %self.file.display(), %reason, "no cached index; the video is indexed");
                None
            }
        }
    }

    fn try_load(&self) -> Result<Kept, String> {
        let length = fs::metadata(&self.file).map_err(|error| error.to_string())?.len();
        if length > MOST_BYTES {
            return Err("it is too large".into());
        }
        let bytes = fs::read(&self.file).map_err(|error| error.to_string())?;
        let body = unwrap(&bytes).ok_or("it is damaged or of another version")?;
        let body: Body = postcard::from_bytes(body).map_err(|error| error.to_string())?;
        let key = Key::of(&self.video, self.stream).map_err(|error| error.to_string())?;
        if body.key != key {
            return Err("the video has changed since".into());
        }
        body.into_kept().ok_or_else(|| "it is inconsistent".into())
    }

    /// Stores `index` for the next time. A failure is only logged.
    pub(super) fn store(&self, index: &Index, warnings: &[String], missing: Option<String>) {
        if let Err(error) = self.try_store(index, warnings, missing) {
            tracing::debug!(cache = %self.file.display(), %error, "the index could not be kept");
        }
    }

    fn try_store(
        &self,
        index: &Index,
        warnings: &[String],
        missing: Option<String>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let body = Body::new(Key::of(&self.video, self.stream)?, index, warnings, missing);
        let body = postcard::to_stdvec(&body)?;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        // The file appears complete or not at all: another process may be reading it.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(&fnv(&body).to_le_bytes())?;
        file.write_all(&body)?;
        file.persist(&self.file)?;
        Ok(())
    }
}

/// Returns the body of a cache file, if it is whole and of this version.
fn unwrap(bytes: &[u8]) -> Option<&[u8]> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (checksum, body) = rest.split_first_chunk::<8>()?;
    let is_ours = magic == MAGIC && u32::from_le_bytes(*version) == VERSION;
    (is_ours && u64::from_le_bytes(*checksum) == fnv(body)).then_some(body)
}

impl Key {
    fn of(video: &Path, stream: Option<usize>) -> io::Result<Self> {
        let mut file = File::open(video)?;
        let metadata = file.metadata()?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut ends = Vec::new();
        (&mut file).take(FINGERPRINT_BYTES).read_to_end(&mut ends)?;
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(FINGERPRINT_BYTES)))?;
        file.take(FINGERPRINT_BYTES).read_to_end(&mut ends)?;
        Ok(Self {
            path: canonical(video),
            bytes: metadata.len(),
            modified_seconds: modified.as_secs(),
            modified_nanoseconds: modified.subsec_nanos(),
            fingerprint: fnv(&ends),
            demuxer_version: ffi::demuxer_version(),
            stream,
        })
    }
}

impl Body {
    fn new(key: Key, index: &Index, warnings: &[String], missing: Option<String>) -> Self {
        let IndexParts { packets, shown, refused, handovers, decoded, counted } = index.parts();
        let flags = |packet: &PacketInfo| {
            u8::from(packet.key) * KEY_FLAG
                + u8::from(packet.discard) * DISCARD_FLAG
                + u8::from(packet.corrupt) * CORRUPT_FLAG
        };
        Self {
            key,
            pts: differences_of_some(packets.iter().map(|packet| packet.pts)),
            dts: differences_of_some(packets.iter().map(|packet| packet.dts)),
            positions: differences(packets.iter().map(|packet| packet.position)),
            sizes: packets.iter().map(|packet| packet.size as u64).collect(),
            flags: packets.iter().map(flags).collect(),
            shown: differences(shown.iter().map(|&ordinal| i64::from(ordinal))),
            refused: refused.into_owned(),
            changes: handovers
                .changes
                .iter()
                .map(|change| (change.ordinal, change.kind, change.data.to_vec()))
                .collect(),
            changes_lost_from: handovers.lost_from,
            decoded,
            counted,
            warnings: warnings.to_vec(),
            missing_frames: missing,
        }
    }

    fn into_kept(self) -> Option<Kept> {
        let count = self.flags.len();
        let columns = [self.pts.len(), self.dts.len(), self.positions.len(), self.sizes.len()];
        if columns != [count; 4] {
            return None;
        }
        let (pts, dts) = (sums_of_some(self.pts), sums_of_some(self.dts));
        let positions = sums(self.positions);
        let packets = (0..count).map(|row| {
            Some(PacketInfo {
                pts: pts[row],
                dts: dts[row],
                position: positions[row],
                size: usize::try_from(self.sizes[row]).ok()?,
                key: self.flags[row] & KEY_FLAG != 0,
                discard: self.flags[row] & DISCARD_FLAG != 0,
                corrupt: self.flags[row] & CORRUPT_FLAG != 0,
            })
        });
        let shown = sums(self.shown).into_iter().map(|ordinal| Ordinal::try_from(ordinal).ok());
        let changes = self.changes.into_iter();
        let handovers = Handovers {
            changes: changes
                .map(|(ordinal, kind, data)| Change { ordinal, kind, data: data.into() })
                .collect(),
            lost_from: self.changes_lost_from,
        };
        let index = Index::from_parts(IndexParts {
            packets: Cow::Owned(packets.collect::<Option<_>>()?),
            shown: Cow::Owned(shown.collect::<Option<_>>()?),
            refused: Cow::Owned(self.refused),
            handovers: Cow::Owned(handovers),
            decoded: self.decoded,
            counted: self.counted,
        })?;
        Some(Kept { index, warnings: self.warnings, missing_frames: self.missing_frames })
    }
}

fn differences(values: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut last = 0;
    values.map(|value| value.wrapping_sub(std::mem::replace(&mut last, value))).collect()
}

fn sums(differences: Vec<i64>) -> Vec<i64> {
    let mut last = 0_i64;
    differences
        .into_iter()
        .map(|difference| {
            last = last.wrapping_add(difference);
            last
        })
        .collect()
}

fn differences_of_some(values: impl Iterator<Item = Option<i64>>) -> Vec<Option<i64>> {
    let mut last = 0;
    values.map(|value| Some(value?.wrapping_sub(std::mem::replace(&mut last, value?)))).collect()
}

fn sums_of_some(differences: Vec<Option<i64>>) -> Vec<Option<i64>> {
    let mut last = 0_i64;
    differences
        .into_iter()
        .map(|difference| {
            last = last.wrapping_add(difference?);
            Some(last)
        })
        .collect()
}

fn canonical(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// Returns the 64-bit FNV-1a hash, which protects against accidents, not against forgery.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn video(folder: &Path) -> PathBuf {
        let path = folder.join("video.mp4");
        fs::write(&path, [7; 1000]).unwrap();
        path
    }

    fn packet() -> impl Strategy<Value = PacketInfo> {
        let time = || proptest::option::of(any::<i64>());
        (time(), time(), any::<i64>(), 0..1_000_000_usize, any::<[bool; 3]>()).prop_map(
            |(pts, dts, position, size, [key, discard, corrupt])| PacketInfo {
                pts,
                dts,
                position,
                size,
                key,
                discard,
                corrupt,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_kept_comes_back(packets in proptest::collection::vec(packet(), 1..60)) {
            let folder = tempfile::tempdir().unwrap();
            let video = video(folder.path());
            let changes = [(0, Kind::Palette), (1, Kind::Set { level: 1, number: 7, lengths: 4 })];
            let changes = changes.map(|(ordinal, kind)| Change { ordinal, kind, data: [1, 2].into() });
            let handovers = Handovers { changes: changes.into(), lost_from: None };
            let index = Index::from_time_stamps(packets).with_handovers(handovers);
            prop_assume!(index.frame_count() > 0);
            let mode = IndexCacheMode::Folder(folder.path().join("made/for/this"));
            let cache = IndexCache::of(&video, None, &mode).unwrap();
            prop_assert!(cache.load().is_none());
            cache.store(&index, &["a warning".to_owned()], Some("it was cut".to_owned()));
            let kept = cache.load().unwrap();
            prop_assert_eq!(format!("{:?}", kept.index), format!("{index:?}"));
            prop_assert_eq!(kept.warnings, ["a warning"]);
            prop_assert_eq!(kept.missing_frames.as_deref(), Some("it was cut"));
            prop_assert!(IndexCache::of(&video, Some(1), &mode).unwrap().load().is_none());
        }

        /// Any damage is detected, and none does harm.
        #[test]
        fn damage_is_refused(at in 0_usize..400, flip in 1_u8.., cut in 0_usize..200) {
            let folder = tempfile::tempdir().unwrap();
            let video = video(folder.path());
            let packets = (0..20).map(|n| PacketInfo {
                pts: Some(n * 512), dts: Some(n), position: n * 900, size: 900, key: n % 5 == 0,
                discard: false, corrupt: false,
            });
            let index = Index::from_time_stamps(packets.collect());
            let cache = IndexCache::of(&video, None, &IndexCacheMode::Beside).unwrap();
            cache.store(&index, &[], None);
            let good = fs::read(&cache.file).unwrap();
            let mut bad = good.clone();
            let at = at % bad.len();
            bad[at] ^= flip;
            fs::write(&cache.file, &bad).unwrap();
            prop_assert!(cache.load().is_none());
            fs::write(&cache.file, &good[..cut % good.len()]).unwrap();
            prop_assert!(cache.load().is_none());
            // A correct checksum over nonsense.
            let mut forged = good[..20].to_vec();
            forged.extend(&bad[20..]);
            let checksum = fnv(&forged[20..]).to_le_bytes();
            forged[12..20].copy_from_slice(&checksum);
            fs::write(&cache.file, &forged).unwrap();
            let _ = cache.load();
        }
    }

    #[test]
    fn a_changed_video_is_indexed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let video = video(folder.path());
        let packet = PacketInfo {
            pts: Some(0),
            dts: None,
            position: 0,
            size: 1,
            key: true,
            discard: false,
            corrupt: false,
        };
        let cache = IndexCache::of(&video, None, &IndexCacheMode::Beside).unwrap();
        cache.store(&Index::from_time_stamps(vec![packet]), &[], None);
        assert!(cache.load().is_some());
        let modified = fs::metadata(&video).unwrap().modified().unwrap();
        // A video of the same length and, by its time stamp, of the same age.
        fs::write(&video, [8; 1000]).unwrap();
        File::options().write(true).open(&video).unwrap().set_modified(modified).unwrap();
        assert!(cache.load().is_none());
    }
}
