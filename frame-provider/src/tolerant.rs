//! Handling of frames that cannot be decoded.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::damaged::DamagedFrames;
use crate::error::FrameError;
use crate::frame::RgbFrame;
use crate::resize::Scale;
use crate::size::FrameSize;
use crate::source::{FrameSource, ScaledFrame};
use crate::source_info::SourceInfo;

/// What to do with a frame that cannot be decoded or that differs in size from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum BadFrames {
    /// Reading the frame is an error.
    #[default]
    Error,
    /// The frame is replaced by the nearest sound frame before it; if there is none, by the nearest
    /// after it.
    Repeat,
    /// The frame is replaced by a black one.
    Blank,
}

impl BadFrames {
    /// All values, in the order of their documentation.
    pub const ALL: [Self; 3] = [Self::Error, Self::Repeat, Self::Blank];
}

impl fmt::Display for BadFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Repeat => "repeat",
            Self::Blank => "blank",
        })
    }
}

impl FromStr for BadFrames {
    type Err = FrameError;

    fn from_str(text: &str) -> Result<Self, FrameError> {
        Self::ALL.into_iter().find(|value| value.to_string() == text).ok_or_else(|| {
            FrameError::Other {
                message: format!(
                    "`{text}` is not a way to treat bad frames; use error, repeat or blank"
                ),
                source: None,
            }
        })
    }
}

/// Any source, with its bad frames replaced as [`BadFrames`] says.
///
/// Bad frames are reported whatever the setting: each in [`SourceInfo::damaged_frames`], and the
/// first one, with its cause, in [`SourceInfo::warnings`]. The replacement of a frame does not
/// depend on the order of reading.
///
/// Bad frames are those whose reading returns [`FrameError::Decode`] or
/// [`FrameError::SizeChanged`]. Other errors, such as a disk that can no longer be read, remain
/// errors.
pub struct TolerantFrames<S> {
    source: S,
    policy: BadFrames,
    bad: Mutex<Bad>,
}

#[derive(Default)]
struct Bad {
    found: DamagedFrames,
    /// About the first bad frame.
    warning: Option<String>,
    /// The number of frames of the source when the indices above were found.
    frame_count: usize,
    merged: Option<Merged>,
}

/// Two lists of damaged frames, and both as one.
struct Merged {
    found: Arc<[usize]>,
    of_source: Arc<[usize]>,
    both: Arc<[usize]>,
}

impl Bad {
    /// Returns the bad frames found here and the damaged frames of the source, ascending. Lists
    /// that did not change are not merged again.
    fn together_with(&mut self, source: &Arc<[usize]>) -> Arc<[usize]> {
        let found = self.found.list();
        if found.is_empty() {
            return Arc::clone(source);
        }
        if source.is_empty() {
            return found;
        }
        if let Some(merged) = &self.merged
            && Arc::ptr_eq(&merged.found, &found)
            && Arc::ptr_eq(&merged.of_source, source)
        {
            return Arc::clone(&merged.both);
        }
        let both: BTreeSet<usize> = found.iter().chain(source.iter()).copied().collect();
        let both: Arc<[usize]> = both.into_iter().collect();
        let of_source = Arc::clone(source);
        self.merged = Some(Merged { found, of_source, both: Arc::clone(&both) });
        both
    }
}

impl<S: FrameSource> TolerantFrames<S> {
    /// Wraps `source`.
    pub fn new(source: S, policy: BadFrames) -> Self {
        Self { source, policy, bad: Mutex::default() }
    }

    /// Returns the wrapped source.
    pub fn inner(&self) -> &S {
        &self.source
    }

    fn note(&self, index: usize, error: &FrameError) {
        let mut bad = self.lock();
        let count = self.source.info().frame_count;
        if std::mem::replace(&mut bad.frame_count, count) != count {
            // The source has renumbered its frames.
            bad.found.clear();
        }
        if bad.found.insert(index) && self.policy != BadFrames::Error {
            let what = match self.policy {
                BadFrames::Blank => "is shown black",
                _ => "shows the frame before it",
            };
            tracing::warn!("frame {index} {what}: {error}");
            bad.warning.get_or_insert_with(|| format!("{error}; it {what}, as all bad frames do"));
        }
    }

    /// Returns the result of `read` for the nearest sound frame before `index`, or else after it.
    fn nearest<T>(&self, index: usize, read: impl Fn(usize) -> Result<T, FrameError>) -> Option<T> {
        let count = self.source.info().frame_count;
        (0..index.min(count)).rev().chain(index.saturating_add(1)..count).find_map(
            |near| match read(near) {
                Ok(frame) => Some(frame),
                Err(error) => {
                    if is_bad_frame(&error) {
                        self.note(near, &error);
                    }
                    None
                }
            },
        )
    }

    /// Returns the result of `read` for frame `index`, or for its replacement.
    fn read<T>(
        &self,
        index: usize,
        read: impl Fn(usize) -> Result<T, FrameError>,
        blank: impl FnOnce() -> T,
    ) -> Result<T, FrameError> {
        let error = match read(index) {
            Err(error) if is_bad_frame(&error) => error,
            outcome => return outcome,
        };
        self.note(index, &error);
        match self.policy {
            BadFrames::Error => Err(error),
            BadFrames::Repeat => self.nearest(index, read).ok_or(error),
            BadFrames::Blank => Ok(blank()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Bad> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn black(size: FrameSize) -> Arc<RgbFrame> {
    Arc::new(RgbFrame::from_parts(size, vec![0; size.rgb_bytes()]))
}

fn is_bad_frame(error: &FrameError) -> bool {
    matches!(error, FrameError::Decode { .. } | FrameError::SizeChanged { .. })
}

impl<S: FrameSource> FrameSource for TolerantFrames<S> {
    fn info(&self) -> SourceInfo {
        let info = self.source.info();
        let mut bad = self.lock();
        let damaged = bad.together_with(&info.damaged_frames);
        info.with_damaged_frames(damaged).with_more_warnings(bad.warning.clone())
    }

    fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
        self.read(index, |index| self.source.frame(index), || black(self.source.info().size))
    }

    fn scaled(&self, index: usize, scale: Scale) -> Result<ScaledFrame, FrameError> {
        // Black stays black in every mode.
        let blank = || ScaledFrame { scaled: black(scale.output()), frame: None };
        self.read(index, |index| self.source.scaled(index, scale), blank)
    }

    fn release_memory(&self) {
        self.source.release_memory();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of one pixel; those listed are bad.
    struct Holey(Vec<usize>);

    impl FrameSource for Holey {
        fn info(&self) -> SourceInfo {
            SourceInfo::new(6, FrameSize { width: 1, height: 1 }).with_description("holey")
        }
        fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
            if index >= 6 {
                let path = "holey".into();
                return Err(FrameError::IndexOutOfRange { index, count: 6, path });
            }
            if self.0.contains(&index) {
                return Err(FrameError::decode("holey".as_ref(), index, "torn"));
            }
            Ok(Arc::new(RgbFrame::from_parts(self.info().size, vec![index as u8 + 1; 3])))
        }
    }

    fn read(source: &impl FrameSource, indices: impl Iterator<Item = usize>) -> Vec<Option<u8>> {
        indices.map(|index| source.frame(index).ok().map(|frame| frame.data()[0])).collect()
    }

    #[test]
    fn bad_frames_are_refused_repeated_or_black() {
        let expected: [(BadFrames, [Option<u8>; 6]); 3] = [
            (BadFrames::Error, [None, Some(2), None, None, Some(5), Some(6)]),
            (BadFrames::Repeat, [2, 2, 2, 2, 5, 6].map(Some)),
            (BadFrames::Blank, [0, 2, 0, 0, 5, 6].map(Some)),
        ];
        for (policy, expected) in expected {
            let forward = TolerantFrames::new(Holey(vec![0, 2, 3]), policy);
            assert_eq!(read(&forward, 0..6), expected, "{policy}");
            let reverse = TolerantFrames::new(Holey(vec![0, 2, 3]), policy);
            let mut found = read(&reverse, (0..6).rev());
            found.reverse();
            assert_eq!(found, expected, "{policy}, in reverse");
            for source in [forward, reverse] {
                assert_eq!(*source.info().damaged_frames, [0, 2, 3], "{policy}");
                let warnings = source.info().warnings;
                assert_eq!(warnings.len(), usize::from(policy != BadFrames::Error));
                assert!(warnings.iter().all(|warning| warning.contains("cannot be decoded")));
                assert!(matches!(source.frame(6), Err(FrameError::IndexOutOfRange { .. })));
            }
        }
        let hopeless = TolerantFrames::new(Holey((0..6).collect()), BadFrames::Repeat);
        assert!(matches!(hopeless.frame(3), Err(FrameError::Decode { index: 3, .. })));
        assert_eq!(hopeless.info().damaged_frames.len(), 6);
    }

    /// A source with frames of which it found the first and the last damaged.
    struct Worn(Holey, Arc<[usize]>);

    impl FrameSource for Worn {
        fn info(&self) -> SourceInfo {
            self.0.info().with_damaged_frames(Arc::clone(&self.1))
        }
        fn frame(&self, index: usize) -> Result<Arc<RgbFrame>, FrameError> {
            self.0.frame(index)
        }
    }

    #[test]
    fn bad_frames_are_listed_with_those_of_the_source() {
        let worn = Worn(Holey(vec![2, 5]), [0, 5].into());
        let source = TolerantFrames::new(worn, BadFrames::Blank);
        assert_eq!(*source.info().damaged_frames, [0, 5]);
        source.frame(2).unwrap();
        let list = source.info().damaged_frames;
        assert_eq!(*list, [0, 2, 5]);
        assert!(Arc::ptr_eq(&list, &source.info().damaged_frames));
        source.frame(5).unwrap();
        assert_eq!(*source.info().damaged_frames, [0, 2, 5]);
    }

    #[test]
    fn policies_have_names() {
        for policy in BadFrames::ALL {
            assert_eq!(policy.to_string().parse::<BadFrames>().unwrap(), policy);
        }
        let error = "skip".parse::<BadFrames>().unwrap_err().to_string();
        assert_eq!(error, "`skip` is not a way to treat bad frames; use error, repeat or blank");
    }
}
