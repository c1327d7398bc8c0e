//! Folders that hold one recording in several video files: the selection and the order of the
//! files.
//!
//! Cameras close a file every few minutes or gigabytes and continue in the next: GoPro's chapters
//! (`GX010042.MP4`, `GX020042.MP4`), AVCHD (`00000.MTS`, `00001.MTS`), Miniscopes (`0.avi`,
//! `1.avi`; `msCam1.avi`), dash cams. The names give the order if they differ only in one number,
//! or in times. Files that the user joins are ordered in the same way.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::FrameError;
use crate::image_folder::compare_natural;
#[cfg(any(feature = "video", test))]
use crate::image_folder::names::Number;
use crate::image_folder::names::{Kind, Name, Names};

/// Endings of video files, in lower case. Low-resolution copies and thumbnails (GoPro's `.LRV`,
/// `.THM`) are not included.
const ENDINGS: [&str; 25] = [
    "avi", "mp4", "m4v", "mov", "mkv", "webm", "mts", "m2ts", "ts", "mpg", "mpeg", "wmv", "asf",
    "flv", "ogv", "mjpeg", "mjpg", "h264", "h265", "hevc", "nut", "dv", "vob", "360", "3gp",
];

/// Largest number of names listed in a message.
const MOST_NAMES: usize = 8;

/// Returns true if the name has the ending of a video file.
fn has_video_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Lists the video files in a folder, in the order of the recording; empty if there are none.
///
/// # Errors
/// [`FrameError::Io`] if the folder cannot be read, [`FrameError::Unsupported`] if its video files
/// are not obviously parts of one recording.
pub fn video_files(folder: &Path) -> Result<Vec<PathBuf>, FrameError> {
    let entries = std::fs::read_dir(folder).map_err(|error| FrameError::from_io(folder, error))?;
    let mut named = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| FrameError::from_io(folder, error))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|name| !name.starts_with('.'))
            && has_video_ending(&path)
            && path.is_file()
        {
            named.push((name, path));
        }
    }
    named.sort();
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    match order(&names) {
        Some(places) => Ok(places.into_iter().map(|place| named[place].1.clone()).collect()),
        None => Err(FrameError::Unsupported {
            path: folder.to_owned(),
            what: format!(
                "holds {} video files whose names do not say whether and in which order they are parts of one recording \
                 ({}); give the one that is meant, or all of them in their order with --join",
                names.len(),
                list(&names)
            ),
        }),
    }
}

/// Video files in the order of the recording they are parts of, and how their names were
/// interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrderedFiles {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// Interpretations of the names that are guesses, in words for the user.
    pub warnings: Vec<String>,
}

/// Orders the files of one recording by their names, in the same way as the files in a folder of
/// videos. GoPro files are ordered by the number of the recording and then of the chapter, decimals
/// and negative numbers by value, dates and times by time, and all other files by the numbers in
/// their names. Files from several folders are ordered folder by folder.
///
/// # Errors
/// [`FrameError::Unsupported`] if the order depends on dates and it is unclear whether the day or
/// the month comes first.
pub fn order_files(files: Vec<PathBuf>) -> Result<OrderedFiles, FrameError> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        folders.entry(file.parent().unwrap_or(Path::new("")).to_owned()).or_default().push(file);
    }
    let mut ordered = OrderedFiles { files: Vec::new(), warnings: Vec::new() };
    let (folders, mut parts): (Vec<PathBuf>, Vec<Vec<PathBuf>>) = folders.into_iter().unzip();
    let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    for folder in ordered.places(&folders, &names, &names)? {
        let files = std::mem::take(&mut parts[folder]);
        let names: Vec<String> = files.iter().map(|file| name_of(file)).collect();
        let stems: Vec<String> = names.iter().map(|name| split(name).0).collect();
        let chosen = order(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let by_numbers = ordered.places(&files, &names, &stems);
        let places = match chosen {
            Some(places) => by_numbers.map(|_| places),
            None => by_numbers,
        }?;
        ordered.files.extend(places.into_iter().map(|place| files[place].clone()));
    }
    Ok(ordered)
}

impl OrderedFiles {
    /// Returns the positions of names in the order of the values in their stems, and records what
    /// had to be guessed.
    fn places(
        &mut self,
        paths: &[PathBuf],
        names: &[String],
        stems: &[String],
    ) -> Result<Vec<usize>, FrameError> {
        if paths.len() < 2 {
            return Ok((0..paths.len()).collect());
        }
        let all = Names::parse(stems);
        if let Some(doubt) = all.doubt {
            let what = format!(
                "{doubt}; rename them with the year first (2023-01-31), or give the files one by one, in their order, with --join"
            );
            return Err(FrameError::Unsupported { path: paths[0].clone(), what });
        }
        let about = |text: String| format!("{}: {text}", paths[0].display());
        self.warnings.extend(all.guesses.into_iter().map(about));
        if all.minus.is_some() {
            self.warnings.push(about("minus signs in the names count".to_owned()));
        }
        let mut places: Vec<usize> = (0..paths.len()).collect();
        places.sort_by(|&a, &b| {
            let value =
                if all.by_value { all.names[a].compare(&all.names[b]) } else { Ordering::Equal };
            value.then_with(|| compare_natural(&names[a], &names[b]))
        });
        Ok(places)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Lists the first few names for a message.
pub(crate) fn list(names: &[&str]) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown}, and {more} more") }
}

/// Names, for a warning, what is missing between the first and the last of the parts that differ in
/// one number, or among GoPro's chapters.
#[cfg(any(feature = "video", test))]
pub(crate) fn missing_parts(files: &[PathBuf]) -> Vec<String> {
    const MOST_LISTED: usize = 8;
    let names: Vec<&str> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    if let Some(chapters) = names.iter().map(|name| gopro(name)).collect::<Option<Vec<_>>>() {
        return missing_chapters(&names, &chapters).into_iter().take(MOST_LISTED).collect();
    }
    let (split, _) = taken_apart(&names);
    let [place] = varying(&split)[..] else { return Vec::new() };
    let numbers = split.iter().filter_map(|name| name.numbers.get(place));
    let counts = |number: &&Number| number.kind == Kind::Count && number.decimals == 0;
    let numbers = numbers.filter(counts).filter_map(|number| u64::try_from(number.value).ok());
    let numbers: Vec<u64> = numbers.collect();
    let gaps = numbers.windows(2).flat_map(|pair| pair[0].saturating_add(1)..pair[1]);
    gaps.take(MOST_LISTED).map(|number| format!("the number {number}")).collect()
}

/// Names the missing chapters before and between those of each GoPro recording. Gaps in the numbers
/// of the recordings do not count: they are other recordings.
#[cfg(any(feature = "video", test))]
fn missing_chapters(names: &[&str], chapters: &[(u32, u32)]) -> Vec<String> {
    let mut recordings: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    chapters
        .iter()
        .for_each(|&(number, chapter)| recordings.entry(number).or_default().push(chapter));
    // GP010042 follows GOPR0042; the other names begin with chapter 1.
    let begins_with = |letters: &&str| {
        names
            .iter()
            .all(|name| name.get(..2).is_some_and(|name| name.eq_ignore_ascii_case(letters)))
    };
    let first = if ["GX", "GH", "GS", "GL"].iter().any(begins_with) { 1 } else { 0 };
    let mut missing = Vec::new();
    for (number, mut chapters) in recordings {
        chapters.sort_unstable();
        let mut expected = first;
        for chapter in chapters {
            let named = |chapter| format!("chapter {chapter} of recording {number:04}");
            missing.extend((expected..chapter).map(named));
            expected = chapter + 1;
        }
    }
    missing
}

/// Returns the positions of the names in the order of the recording; `None` if it is not obvious.
fn order(names: &[&str]) -> Option<Vec<usize>> {
    if names.len() < 2 {
        return Some((0..names.len()).collect());
    }
    if let Some(chapters) = names.iter().map(|name| gopro(name)).collect::<Option<Vec<_>>>() {
        return sorted(&chapters);
    }
    let (split, endings) = taken_apart(names);
    let first = split.first()?;
    let alike = |name: &Name| name.texts == first.texts;
    if !split.iter().all(alike) || endings.iter().any(|ending| *ending != endings[0]) {
        return None;
    }
    let varying = varying(&split);
    let values = |name: &Name| varying.iter().map(|&place| name.numbers[place].value).collect();
    let keys: Vec<Vec<i128>> = split.iter().map(values).collect();
    let places = sorted(&keys)?;
    let first_number = &first.numbers[*varying.first()?];
    if varying.len() == 1 {
        // Files that differ only in their day are the sessions of several days.
        return (!matches!(first_number.kind, Kind::Date | Kind::Month)).then_some(places);
    }
    // Several numbers differ: times, as dash cams write them, perhaps with a counter. Within one
    // recording, at least one of these numbers rises in every step. That is not so if two cameras
    // each count for themselves (cam1_01, cam2_01).
    let is_time = |name: &Name| {
        let number = &name.numbers[varying[0]];
        number.kind == Kind::Time || number.place.len() >= TIME_DIGITS
    };
    let rises =
        |column: usize| places.windows(2).all(|pair| keys[pair[0]][column] < keys[pair[1]][column]);
    (split.iter().all(is_time) && (0..varying.len()).any(rises)).then_some(places)
}

/// Splits names into parts, and returns their endings separately, because digits in endings (.mp4,
/// .h264) denote the format. Letter case is ignored, since cameras are not consistent. If a date
/// leaves the order in doubt, no parts are returned.
fn taken_apart(names: &[&str]) -> (Vec<Name>, Vec<String>) {
    let (stems, endings): (Vec<String>, Vec<String>) = names.iter().map(|name| split(name)).unzip();
    let all = Names::parse(&stems);
    let names = if all.doubt.is_some() { Vec::new() } else { all.names };
    (names, endings)
}

/// Returns a name without its ending, and the ending, both in lower case.
fn split(name: &str) -> (String, String) {
    let end = name.rfind('.').unwrap_or(name.len());
    (name[..end].to_lowercase(), name[end..].to_lowercase())
}

/// Number of digits in hours, minutes and seconds.
const TIME_DIGITS: usize = 6;

/// Returns the positions of the keys in sorted order; `None` if two are equal.
fn sorted<K: Ord>(keys: &[K]) -> Option<Vec<usize>> {
    let mut places: Vec<usize> = (0..keys.len()).collect();
    places.sort_by(|&a, &b| keys[a].cmp(&keys[b]));
    places.windows(2).all(|pair| keys[pair[0]] != keys[pair[1]]).then_some(places)
}

/// Returns the number of the recording and of the chapter in the name of a GoPro file:
/// `GX020042.MP4` is chapter 2 of recording 42, and so is `GP020042.MP4`, whose chapter 0 is
/// `GOPR0042.MP4`.
fn gopro(name: &str) -> Option<(u32, u32)> {
    let (stem, _) = name.rsplit_once('.')?;
    let stem = stem.to_ascii_uppercase();
    let digits = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?
    };
    if let Some(number) = stem.strip_prefix("GOPR").filter(|number| number.len() == 4) {
        return Some((digits(number)?, 0));
    }
    let is_chapter =
        stem.len() == 8 && ["GX", "GH", "GP", "GS", "GL"].iter().any(|p| stem.starts_with(p));
    is_chapter.then_some(())?;
    Some((digits(stem.get(4..)?)?, digits(stem.get(2..4)?)?))
}

/// Returns the positions of the numbers that differ between the names.
fn varying(names: &[Name]) -> Vec<usize> {
    let Some(first) = names.first() else { return Vec::new() };
    let differs = |place: &usize| {
        let value = |name: &Name| name.numbers.get(*place).map(|number| number.value);
        names.iter().any(|name| value(name) != value(first))
    };
    (0..first.numbers.len()).filter(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ordered<'a>(names: &[&'a str]) -> Option<Vec<&'a str>> {
        Some(order(names)?.into_iter().map(|place| names[place]).collect())
    }

    #[test]
    fn parts_of_one_recording_have_an_order() {
        let cases: [&[&str]; 12] = [
            &["2024-03-01_10-59-00.avi", "2024-03-01_11-04-00.avi", "2024-03-02_00-01-00.avi"],
            &["cam_2024-03-01T10-59-00_001.mp4", "cam_2024-03-01T11-04-00_002.mp4"],
            &["10-59-00.avi", "11-04-00.avi"],
            &["31-01-2024 23-59-00.avi", "01-02-2024 00-04-00.avi"],
            &["0.avi", "1.avi", "2.avi", "9.avi", "10.avi"],
            &["msCam1.avi", "msCam2.avi", "msCam11.avi"],
            &["00000.MTS", "00001.MTS"],
            &["GX010042.MP4", "GX020042.MP4", "GX010043.MP4"],
            &["GOPR0042.MP4", "GP010042.MP4", "GP020042.MP4"],
            &[
                "20240101_120000_0001F.MP4",
                "20240101_120300_0002F.MP4",
                "20240102_000100_0003F.MP4",
            ],
            &["behav_part1.mp4", "behav_part2.mp4"],
            &["one.avi"],
        ];
        for names in cases {
            let mut mixed = names.to_vec();
            mixed.reverse();
            assert_eq!(ordered(&mixed).as_deref(), Some(names), "{names:?}");
        }
    }

    #[test]
    fn other_videos_have_none() {
        let cases: [&[&str]; 11] = [
            &["2024-03-01.avi", "2024-03-02.avi"],
            &["mouse1_2024-03-01_10-00-00.avi", "mouse2_2024-03-01_10-30-00.avi"],
            &["01-03-2024_10-00-00.avi", "02-01-2024_10-00-00.avi"],
            &["Jan-2024.avi", "Feb-2024.avi"],
            &["mouse1_20240101.mp4", "mouse2_20240102.mp4"],
            &["mouse_20240101.mp4", "mouse_20240102.mp4"],
            &["cam1_01.avi", "cam1_02.avi", "cam2_01.avi", "cam2_02.avi"],
            &["mouse.avi", "mouse2.avi"],
            &["0.avi", "0DLC_resnet50_labeled.mp4"],
            &["1.avi", "01.avi"],
            &["left.mp4", "right.mp4"],
        ];
        for names in cases {
            assert_eq!(ordered(names), None, "{names:?}");
        }
    }

    #[test]
    fn gaps_are_found() {
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let missing = |names: &[&str]| missing_parts(&files(names)).join(", ");
        assert_eq!(missing(&["0.avi", "1.avi", "4.avi"]), "the number 2, the number 3");
        assert_eq!(missing(&["0.avi", "1.avi"]), "");
        assert_eq!(missing(&["a.avi"]), "");
        for sound in [
            &["GX010042.MP4", "GX020042.MP4"][..],
            &["GX010042.MP4", "GX020042.MP4", "GX010043.MP4", "GX010050.MP4"],
            &["GOPR0042.MP4", "GP010042.MP4", "GP020042.MP4"],
        ] {
            assert_eq!(missing(sound), "", "{sound:?}");
        }
        assert_eq!(missing(&["GX010042.MP4", "GX030042.MP4"]), "chapter 2 of recording 0042");
        assert_eq!(missing(&["GX010042.MP4", "GX020043.MP4"]), "chapter 1 of recording 0043");
        assert_eq!(missing(&["GOPR0042.MP4", "GP020042.MP4"]), "chapter 1 of recording 0042");
    }

    /// Returns these names in order, and the warnings.
    fn joined(names: &[&str]) -> (Vec<String>, String) {
        let mut files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        files.reverse();
        let found = order_files(files).unwrap();
        (
            found.files.iter().map(|file| file.display().to_string()).collect(),
            found.warnings.join("; "),
        )
    }

    #[test]
    fn joined_files_are_in_the_order_of_a_folder() {
        for names in [
            &["GX010042.MP4", "GX020042.MP4", "GX010043.MP4"][..],
            &["msCam1.avi", "msCam2.avi", "msCam10.avi"],
            &["t0.avi", "t0.5.avi", "t1.avi", "t1.5.avi", "t2.avi"],
            &["t0.05.avi", "t0.5.avi", "t1.75.avi"],
            &["Clip1.avi", "clip2.avi", "CLIP3.avi"],
            &["31-01-2024.avi", "01-02-2024.avi", "15-02-2024.avi"],
            &["Dec-2023.avi", "Jan-2024.avi"],
            &["2024-03-01 09-59 AM.avi", "2024-03-01 12-30 PM.avi", "2024-03-01 01-30 PM.avi"],
            &["Wed Jan 31 2024.avi", "Thu Feb 01 2024.avi"],
            &["day2/0.avi", "day2/1.avi", "day10/0.avi"],
            &["a.avi", "b.avi"],
            &["1.avi", "01.avi"],
        ] {
            let (files, warnings) = joined(names);
            assert_eq!((files.len(), warnings.as_str()), (names.len(), ""), "{names:?}");
            if names[0] != "1.avi" {
                assert_eq!(files, names);
            }
        }
        let (files, warnings) = joined(&["-2.avi", "-1.avi", "0.avi"]);
        assert_eq!(files, ["-2.avi", "-1.avi", "0.avi"]);
        assert!(warnings.contains("minus signs"), "{warnings}");
        let (files, warnings) = joined(&["t1.25.avi", "t1.5.avi"]);
        assert_eq!(files, ["t1.25.avi", "t1.5.avi"]);
        assert!(warnings.contains("taken as decimals"), "{warnings}");
        let doubtful = ["01-02-2024.avi", "02-01-2024.avi"].map(PathBuf::from).to_vec();
        let error = order_files(doubtful).unwrap_err().to_string();
        assert!(error.contains("day or the month") && error.contains("--join"), "{error}");
        assert_eq!(order_files(Vec::new()).unwrap().files, Vec::<PathBuf>::new());
    }

    proptest! {
        #[test]
        fn any_names_are_ordered_or_not(names in proptest::collection::vec("[aé0-9.]{0,6}", 0..5)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if let Some(mut places) = order(&names) {
                places.sort_unstable();
                prop_assert!(places.into_iter().eq(0..names.len()));
            }
        }
    }
}
