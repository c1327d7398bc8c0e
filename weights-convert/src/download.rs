//! Downloads a checkpoint once.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sam2_mask_writer::fault_point;
use ureq::http::StatusCode;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, RANGE};

use crate::cache::{NoCacheFolder, cache_folder};
use crate::checkpoint::sha256_of;
use crate::convert::{StoredPrecision, convert};
use crate::digest::{DigestCheck, DigestRecord, Stamp, check_digest};
use crate::error::ConvertError;
use crate::releases::{OFFICIAL_BASE_URL, Release};

/// Bytes per read; small enough for a smooth progress bar.
const PIECE: usize = 64 * 1024;
/// Bytes between two flushes to disk.
const FLUSH_EVERY: u64 = 16 * 1024 * 1024;

/// Options of a download.
#[derive(Clone, Debug)]
pub struct DownloadOptions {
    /// Base URL of the releases' folders: [`OFFICIAL_BASE_URL`] or a mirror.
    pub base_url: String,
    /// Folder for the converted weights and for partial downloads. It is created if needed.
    pub cache: PathBuf,
    /// Number of times a broken connection is resumed without progress before giving up. Default 5.
    pub retries: u32,
    /// Pause before the first retry; it doubles before each further one. Default 1 s.
    pub first_pause: Duration,
    /// How long to wait for a connection, for a response, and for each further piece of it. Default
    /// 60 s.
    pub patience: Duration,
}

impl DownloadOptions {
    /// Returns options for downloads from Meta's server into `cache`.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            base_url: OFFICIAL_BASE_URL.to_owned(),
            cache: cache.into(),
            retries: 5,
            first_pause: Duration::from_secs(1),
            patience: Duration::from_secs(60),
        }
    }

    /// Returns options for downloads into the [default folder](cache_folder), from the mirror in the
    /// environment variable `SAM2_BASE_URL` if it is not empty, otherwise from Meta's server.
    ///
    /// # Errors
    /// [`NoCacheFolder`] if there is no default folder.
    pub fn from_environment() -> Result<Self, NoCacheFolder> {
        let mut options = Self::new(cache_folder()?);
        if let Some(url) = std::env::var("SAM2_BASE_URL").ok().filter(|url| !url.is_empty()) {
            options.base_url = url;
        }
        Ok(options)
    }
}

/// Progress of a download, passed to the observer of [`download`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadProgress {
    /// Another process is downloading the same file into the same folder.
    Waiting,
    /// Bytes are arriving.
    Receiving {
        /// Bytes on disk, including those of an earlier attempt.
        received: u64,
        /// Size of the whole file, if the server has stated it.
        total: Option<u64>,
    },
    /// The connection broke; the download is retried after `pause`.
    Retrying {
        /// The problem with the connection.
        reason: String,
        /// Time until the retry.
        pause: Duration,
    },
    /// The hash is being computed.
    Verifying,
    /// The converted weights exist but are not what was written; they are downloaded again.
    Damaged {
        /// The difference, as a clause.
        reason: String,
    },
    /// The checkpoint is being converted to safetensors.
    Converting,
}

/// A successful download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Downloaded {
    /// Path of the converted weights.
    pub path: PathBuf,
    /// Whether they were downloaded now; false if they were already in the cache.
    pub fetched: bool,
    /// Whether they are known to be what was once written; false if there is no record to compare
    /// with.
    pub verified: bool,
}

/// A download failed. Whatever has arrived is kept unless it is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The cache folder cannot be written.
    #[error(
        "cannot write '{path}': {source}; free some room or name another folder with --cache or SAM2_CACHE"
    )]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The error that the operating system reported.
        source: std::io::Error,
    },
    /// The server responded with an error.
    #[error(
        "{url}: the server answered {status}; check the address, or give a mirror with --base-url"
    )]
    Status {
        /// The requested address.
        url: String,
        /// HTTP status code.
        status: u16,
    },
    /// No connection was possible, or it kept breaking.
    #[error(
        "{url}: {reason}; {received} bytes have arrived and are kept: run the same command again to go on"
    )]
    Connection {
        /// The requested address.
        url: String,
        /// The last problem.
        reason: String,
        /// Number of bytes on disk.
        received: u64,
    },
    /// The server has another file under this name.
    #[error("{url} has {found} bytes, expected {expected}; it is another file: check the mirror")]
    Size {
        /// The requested address.
        url: String,
        /// Size in bytes that the server states.
        found: u64,
        /// Size in bytes of the release.
        expected: u64,
    },
    /// Everything arrived, but it is not the release.
    #[error(
        "{url}: SHA-256 is {found}, expected {expected}; the file is damaged or another one and was removed: try again, or another mirror"
    )]
    Hash {
        /// The requested address.
        url: String,
        /// SHA-256 of what arrived.
        found: String,
        /// SHA-256 of the release.
        expected: String,
    },
    /// The release arrived but could not be converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

/// Downloads a release into the cache and converts it to safetensors, unless that has been done
/// before.
///
/// An interrupted download continues where it stopped, in the same process or another. Two
/// processes that need the same release do not interfere: the second waits for the first and uses
/// its result.
///
/// # Errors
/// [`DownloadError`]. An unverified file never appears under the final name.
pub fn download(
    release: &Release,
    options: &DownloadOptions,
    observer: &mut dyn FnMut(DownloadProgress),
) -> Result<Downloaded, DownloadError> {
    let path = options.cache.join(release.converted_file());
    let part_path = options.cache.join(format!("{}.part", release.file));
    let before = Stamp::now(&path);
    let there = is_there(&path, release, observer)?;
    if let Some(verified) = there
        // A process that was killed before it recorded the digest leaves both files; the partial
        // file shows whether it was complete.
        && (verified || !part_path.exists())
    {
        remove_if_left(&part_path);
        return Ok(Downloaded { path, fetched: false, verified });
    }
    std::fs::create_dir_all(&options.cache)
        .map_err(|source| DownloadError::Cache { path: options.cache.clone(), source })?;
    let mut part = Part::open(&part_path, observer)?;
    // Another process may have finished while this one waited. A file that was missing or damaged
    // and has not changed since is still so.
    let is_bad_still = there.is_none() && Stamp::now(&path) == before;
    if !is_bad_still && is_there(&path, release, observer)? == Some(true) {
        part.discard()?;
        return Ok(Downloaded { path, fetched: false, verified: true });
    }
    let url = release.url(&options.base_url);
    let agent = agent(options.patience);
    fetch(&agent, &url, release, options, &mut part, observer)?;

    observer(DownloadProgress::Verifying);
    let found = sha256_of(&part_path).map_err(|source| part.failed(source))?;
    if found != release.sha256 {
        part.discard()?;
        return Err(DownloadError::Hash { url, found, expected: release.sha256.to_string() });
    }
    observer(DownloadProgress::Converting);
    // The hash is verified, so if the file cannot be converted now, it never can.
    let converted = convert(&part_path, &path, StoredPrecision::Keep, None, true)?;
    DigestRecord::note(&path, converted.sha256, &release.file, &release.sha256)
        .map_err(|source| DownloadError::Cache { path: path.clone(), source })?;
    part.discard()?;
    Ok(Downloaded { path, fetched: true, verified: true })
}

/// Returns whether the conversion of a release exists and, if so, whether it is known to be what
/// was written. One that is known to be damaged counts as missing.
fn is_there(
    path: &Path,
    release: &Release,
    observer: &mut dyn FnMut(DownloadProgress),
) -> Result<Option<bool>, DownloadError> {
    if !is_conversion_of(path, release) {
        return Ok(None);
    }
    let checked = check_digest(path, false, |_| observer(DownloadProgress::Verifying))
        .map_err(|source| DownloadError::Cache { path: path.to_owned(), source })?;
    Ok(match checked {
        DigestCheck::Unrecorded => Some(false),
        DigestCheck::Good(record) => Some(record.source_sha256 == release.sha256),
        DigestCheck::Differs { reason, .. } | DigestCheck::Unreadable { reason } => {
            observer(DownloadProgress::Damaged { reason });
            None
        }
    })
}

/// Removes a partial download that no process has locked and that was already converted. A process
/// killed between the two steps leaves one.
fn remove_if_left(part: &Path) {
    if std::fs::symlink_metadata(part).is_ok_and(|found| found.is_file())
        && let Ok(file) = File::open(part)
        && file.try_lock().is_ok()
        && is_same_file(&file, part)
    {
        // A file that cannot be removed does no harm.
        let _ = std::fs::remove_file(part);
        fault_point("converted download removed");
    }
}

/// Returns whether the file is whole and was converted from this release.
fn is_conversion_of(path: &Path, release: &Release) -> bool {
    File::open(path).is_ok_and(|file| {
        // Reads only the header: its length and that of the file show whether anything is missing.
        crate::checkpoint::noted_source(&file).is_some_and(|noted| noted == release.sha256)
    })
}

fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("sam2-rs/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(patience))
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
        .build()
        .new_agent()
}

/// Downloads the partial file to its full length, over as many connections as needed.
fn fetch(
    agent: &ureq::Agent,
    url: &str,
    release: &Release,
    options: &DownloadOptions,
    part: &mut Part,
    observer: &mut dyn FnMut(DownloadProgress),
) -> Result<(), DownloadError> {
    let mut left = options.retries;
    let mut pause = options.first_pause;
    loop {
        if release.bytes.is_some_and(|bytes| bytes == part.length) {
            return Ok(());
        }
        let before = part.length;
        let reason = match receive(agent, url, release, part, observer)? {
            Received::All => return Ok(()),
            Received::Some { reason } => reason,
        };
        if part.length > before {
            // The download makes progress, if slowly; only attempts without progress count as
            // retries.
            (left, pause) = (options.retries, options.first_pause);
        }
        if left == 0 {
            return Err(DownloadError::Connection {
                url: url.to_owned(),
                reason,
                received: part.length,
            });
        }
        left -= 1;
        observer(DownloadProgress::Retrying { reason, pause });
        std::thread::sleep(pause);
        pause *= 2;
    }
}

/// Limit on the download if neither the server nor the release states the file's size: twice the
/// largest checkpoint.
const MOST_BYTES: u64 = 2 << 30;

/// The outcome of one connection.
enum Received {
    All,
    /// Not all of it; another attempt may succeed.
    Some {
        reason: String,
    },
}

fn receive(
    agent: &ureq::Agent,
    url: &str,
    release: &Release,
    part: &mut Part,
    observer: &mut dyn FnMut(DownloadProgress),
) -> Result<Received, DownloadError> {
    // If the transfer were compressed, lengths would not be those of the file.
    let mut request = agent.get(url).header(ACCEPT_ENCODING, "identity");
    if part.length > 0 {
        request = request.header(RANGE, format!("bytes={}-", part.length));
    }
    let mut response = match request.call() {
        Ok(response) => response,
        Err(error) => return Ok(Received::Some { reason: error.to_string() }),
    };
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let length = || header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    let total = match status {
        StatusCode::OK => {
            let total = length();
            // The server sends the whole file, even if only the rest was requested.
            part.restart()?;
            total
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = header(CONTENT_RANGE).and_then(parse_content_range);
            match range {
                Some((start, total)) if start == part.length => total,
                _ => {
                    part.restart()?;
                    return Ok(Received::Some { reason: "the server sent another part".into() });
                }
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            // The partial file is as long as the whole file, or longer; the hash decides which.
            let total =
                header(CONTENT_RANGE).and_then(|text| text.rsplit('/').next()?.parse().ok());
            if total == Some(part.length) {
                return Ok(Received::All);
            }
            part.restart()?;
            return Ok(Received::Some { reason: "what had arrived was of another file".into() });
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Ok(Received::Some { reason: format!("the server answered {status}") });
        }
        status => {
            return Err(DownloadError::Status { url: url.to_owned(), status: status.as_u16() });
        }
    };
    if let (Some(found), Some(expected)) = (total, release.bytes)
        && found != expected
    {
        part.discard_quietly();
        return Err(DownloadError::Size { url: url.to_owned(), found, expected });
    }
    let total = total.or(release.bytes);
    let mut body = response.body_mut().as_reader();
    let mut piece = vec![0; PIECE];
    loop {
        observer(DownloadProgress::Receiving { received: part.length, total });
        let length = match body.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) => return Ok(Received::Some { reason: error.to_string() }),
        };
        part.append(&piece[..length])?;
        let expected = total.unwrap_or(MOST_BYTES);
        if part.length > expected {
            let found = part.length;
            part.discard_quietly();
            return Err(DownloadError::Size { url: url.to_owned(), found, expected });
        }
    }
    part.flush()?;
    Ok(match total {
        Some(total) if part.length < total => Received::Some {
            reason: format!("the connection ended after {} of {total} bytes", part.length),
        },
        _ => Received::All,
    })
}

/// Parses the first byte and the total size from `bytes 100-199/200`.
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// A partial download: a file that is locked while it is written.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    unflushed: u64,
}

impl Part {
    fn open(
        path: &Path,
        observer: &mut dyn FnMut(DownloadProgress),
    ) -> Result<Self, DownloadError> {
        let failed = |source| DownloadError::Cache { path: path.to_owned(), source };
        // Writing to a link would change another file, and opening a pipe would block for ever.
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            let text = "it is not a regular file; remove it";
            return Err(failed(std::io::Error::new(std::io::ErrorKind::AlreadyExists, text)));
        }
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => {
                    observer(DownloadProgress::Waiting);
                    file.lock().map_err(failed)?;
                }
                // Some network file systems do not support locks. There, two simultaneous downloads
                // fail the hash check instead.
                Err(std::fs::TryLockError::Error(_)) => {}
            }
            // The previous holder of the lock may have finished and removed the file, and a lock on
            // a removed file protects nothing.
            if is_same_file(&file, path) {
                fault_point("download opened");
                let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
                return Ok(Self { path: path.to_owned(), file, length, unflushed: 0 });
            }
        }
    }

    fn failed(&self, source: std::io::Error) -> DownloadError {
        DownloadError::Cache { path: self.path.clone(), source }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), DownloadError> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))?;
        fault_point("piece of a download written");
        self.length += bytes.len() as u64;
        self.unflushed += bytes.len() as u64;
        if self.unflushed >= FLUSH_EVERY { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DownloadError> {
        self.unflushed = 0;
        self.file.sync_data().map_err(|source| self.failed(source))?;
        fault_point("download synced");
        Ok(())
    }

    fn restart(&mut self) -> Result<(), DownloadError> {
        self.length = 0;
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(|source| self.failed(source))?;
        fault_point("download emptied");
        Ok(())
    }

    fn discard(&mut self) -> Result<(), DownloadError> {
        fault_point("download not removed");
        std::fs::remove_file(&self.path).map_err(|source| self.failed(source))?;
        fault_point("download removed");
        Ok(())
    }

    /// Discards the file while another error is already being reported.
    fn discard_quietly(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Returns `true`: on other systems an open file cannot be removed.
#[cfg(not(unix))]
fn is_same_file(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(parse_content_range("bytes 100-199/200"), Some((100, Some(200))));
        assert_eq!(parse_content_range("bytes 0-0/*"), Some((0, None)));
        for text in ["", "bytes", "bytes */200", "bytes x-1/2", "items 1-2/3"] {
            assert_eq!(parse_content_range(text), None, "{text}");
        }
    }
}
