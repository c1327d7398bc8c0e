//! Interprets names of images and recordings as programs write them: which image of a recording is
//! meant, and what a name says about the image's recording and frame.

use std::collections::HashMap;

/// Largest number of letters of a file name's ending.
const LONGEST_ENDING: usize = 5;
/// Words before the number in names of images that say nothing about their recording, as in
/// `img0005.png`.
const GENERIC: [&str; 7] = ["frame", "frames", "img", "image", "images", "im", "f"];
/// The mark that Roboflow puts into the names of exported images, as in `img0005_png.rf.HASH.jpg`.
const ROBOFLOW: &str = ".rf.";
/// Endings of image files, as Roboflow puts them before its mark.
const IMAGE_ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp"];

/// A recording's images by name.
pub(super) struct Images<'a> {
    names: HashMap<&'a str, usize>,
    /// Frames by the image's name without ending. `None` if several images share it.
    stems: HashMap<&'a str, Option<usize>>,
}

impl<'a> Images<'a> {
    pub(super) fn new(images: &'a [String]) -> Self {
        let (mut names, mut stems) = (HashMap::new(), HashMap::new());
        for (frame, image) in images.iter().enumerate() {
            names.insert(image.as_str(), frame);
            let known = stems.entry(stem(image)).or_insert(Some(frame));
            if *known != Some(frame) {
                *known = None;
            }
        }
        Self { names, stems }
    }

    /// Finds the frame of an image by its file name. If that is unknown, tries the name without its
    /// ending, as images may have been converted, then the name without Roboflow's additions.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let name = file_name(path);
        let by_stem = |stem: &str| self.stems.get(stem).copied().flatten();
        let by_name = self.names.get(name).copied();
        by_name
            .or_else(|| by_stem(stem(name)))
            .or_else(|| by_stem(name))
            .or_else(|| by_stem(original_stem(name)))
    }
}

/// Returns the number at the end of an image's name, before its ending.
pub(super) fn frame_in_name(path: &str) -> Option<usize> {
    let stem = original_stem(path);
    stem[without_number(stem).len()..].parse().ok()
}

/// Returns the recording named in the name of an image without a folder, such as `base` in
/// `base_frame_000005.png`. Returns `None` if only a word such as `img` precedes the number.
pub(super) fn video_in_name(path: &str) -> Option<&str> {
    let stem = original_stem(path);
    let before = without_number(stem);
    if before.len() == stem.len() {
        return None;
    }
    let before = before.trim_end_matches(is_mark);
    let start = before.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let word = &before[start.len()..];
    let is_generic = GENERIC.iter().any(|known| word.eq_ignore_ascii_case(known));
    let video = if is_generic { start.trim_end_matches(is_mark) } else { before };
    Some(video).filter(|video| !video.is_empty())
}

/// Removes the digits at the end of a text.
fn without_number(stem: &str) -> &str {
    stem.trim_end_matches(|letter: char| letter.is_ascii_digit())
}

/// Returns `true` if a letter can separate a recording's name from a number.
fn is_mark(letter: char) -> bool {
    "_-.# ([".contains(letter)
}

/// Returns `true` if Roboflow has named an image. It makes several images of one if it augments.
pub(super) fn is_of_roboflow(path: &str) -> bool {
    file_name(path).contains(ROBOFLOW)
}

/// Returns the stem of an image's name before Roboflow renamed it after its content: `img0005` of
/// `img0005_png.rf.HASH.jpg`.
fn original_stem(path: &str) -> &str {
    let own = stem(file_name(path));
    let Some((before, _)) = own.rsplit_once(ROBOFLOW) else { return own };
    match before.rsplit_once('_') {
        Some((name, ending))
            if IMAGE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)) =>
        {
            name
        }
        _ => before,
    }
}

/// Returns `true` if two names mean the same recording. File endings do not count, and folders
/// count only if both names have them.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    let (name_a, name_b) = (file_name(a), file_name(b));
    let same_place = match (folder(a), folder(b)) {
        (Some(a), Some(b)) => {
            a == b || a.ends_with(&format!("/{b}")) || b.ends_with(&format!("/{a}"))
        }
        _ => true,
    };
    same_place && (name_a == name_b || stem(name_a) == stem(name_b))
}

/// Returns the folder in a path of any operating system, with slashes. Returns `None` if it has
/// none.
pub(super) fn folder(path: &str) -> Option<String> {
    let (folder, _) = path.trim_end_matches(is_separator).rsplit_once(is_separator)?;
    Some(folder.replace('\\', "/")).filter(|folder| !folder.is_empty())
}

pub(super) fn is_separator(letter: char) -> bool {
    // Tracks are moved between operating systems.
    letter == '/' || letter == '\\'
}

/// Returns the last part of a path of any operating system.
pub(super) fn file_name(path: &str) -> &str {
    path.trim_end_matches(is_separator).rsplit(is_separator).next().unwrap_or(path)
}

/// Returns a file name without its ending. An ending is short and not a number, so `mouse.2024` has
/// none.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending))
            if !stem.is_empty()
                && (1..=LONGEST_ENDING).contains(&ending.len())
                && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && ending.bytes().any(|byte| byte.is_ascii_alphabetic()) =>
        {
            stem
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_the_same_by_stem() {
        for (a, b) in [
            ("/data/base.mp4", "base.avi"),
            ("C:\\videos\\base.mp4", "base"),
            ("mouse.2024.avi", "mouse.2024"),
            ("frames/", "frames"),
        ] {
            assert!(same_name(a, b) && same_name(b, a), "{a} {b}");
        }
        for (a, b) in [("base.mp4", "base2.mp4"), ("mouse.2024", "mouse.2025"), ("a", "")] {
            assert!(!same_name(a, b), "{a} {b}");
        }
    }

    #[test]
    fn numbers_are_at_the_end_of_names() {
        assert_eq!(frame_in_name("labeled-data/2024/img0012.png"), Some(12));
        assert_eq!(frame_in_name("a\\7.tif"), Some(7));
        assert_eq!(frame_in_name("12a.png"), None);
        assert_eq!(frame_in_name("x99999999999999999999999.png"), None);
    }

    #[test]
    fn roboflow_names_images_after_their_content() {
        let hashed = "img0003_png.rf.d41d8cd98f00b204e9800998ecf84279.jpg";
        assert_eq!(frame_in_name(hashed), Some(3), "not the number at the hash's end");
        let names = ["img0002.png", "img0003.png"].map(str::to_owned);
        assert_eq!(Images::new(&names).find(hashed), Some(1));
        let exported = [hashed.to_owned()];
        assert_eq!(Images::new(&exported).find(hashed), Some(0));
    }

    #[test]
    fn names_of_images_hold_their_recordings() {
        for (name, video) in [
            ("base_frame_000005.png", Some("base")),
            ("base_000005.png", Some("base")),
            ("trial-2-img12.jpg", Some("trial-2")),
            ("mouse 2024-01-02_7.tif", Some("mouse 2024-01-02")),
            ("base_frame_000005_png.rf.0a1b.jpg", Some("base")),
            ("base.mp4_frame_5.png", Some("base.mp4")),
            ("img0005.png", None),
            ("Frame-5.png", None),
            ("000005.png", None),
            ("mouse.png", None),
        ] {
            assert_eq!(video_in_name(name), video, "{name}");
        }
    }

    #[test]
    fn images_are_found_by_name_then_by_stem() {
        let names = ["a1.png", "a2.png", "a2.tif", "a3.jpg", "00004"].map(str::to_owned);
        let images = Images::new(&names);
        for (path, frame) in [
            ("x/a1.png", Some(0)),
            ("a2.tif", Some(2)),
            ("a2.bmp", None),
            ("a3.png", Some(3)),
            ("a3", Some(3)),
            ("00004.png", Some(4)),
            ("a4.png", None),
        ] {
            assert_eq!(images.find(path), frame, "{path}");
        }
    }
}
