//! Reads the note that DeepLabCut leaves next to a track: whether it analysed only a part of each
//! frame, and which part.
//!
//! `analyze_videos` writes `VIDEO+SCORER.h5` (and `.csv`) and, next to them,
//! `VIDEO+SCORER_meta.pickle`. With cropping, coordinates count from the corner of the part, and
//! only the pickle has that corner: `["data"]["cropping"]` and `["data"]["cropping_parameters"]`
//! (x1, x2, y1, y2). DeepLabCut's own plots add x1 and y1 in the same way. Versions 2 and 3 write
//! the same.

use std::path::{Path, PathBuf};

use super::pickle::{Pickle, Value};
use super::table::{Crop, side};

/// Suffixes that DeepLabCut appends to the name of a track that it has derived from another:
/// filtered, stitched, with a skeleton.
const LATER_STEPS: [&str; 8] =
    ["_filtered", "_el", "_ell", "_bx", "_sk", "_tr", "_ctd", "_skeleton"];
/// Largest size of a note in bytes. A longer file is not read. DeepLabCut's notes hold the
/// network's settings, a few kilobytes.
const LONGEST: u64 = 1 << 20;

/// The contents of a note.
#[derive(Debug, PartialEq)]
pub(super) struct Note {
    /// Possible sizes (width and height) of the recording to which the coordinates belong. Empty if
    /// unknown.
    pub(super) pictures: Vec<[u32; 2]>,
    /// The part that was analysed. `None` = the whole frame.
    pub(super) crop: Option<Crop>,
}

/// Reads the note next to a track, if there is one.
///
/// # Errors
/// A warning for the user: the note does not say whether frames were cropped, or how.
pub(super) fn read_beside(track: &Path) -> Option<Result<Note, String>> {
    let path = beside(track)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Some(read(&path, &name).map_err(|what| {
        format!(
            "'{name}' {what}: if DeepLabCut analysed the video with cropping, give --keypoints-offset X,Y (x1 and y1 of its config.yaml)"
        )
    }))
}

/// Finds the note of a track.
fn beside(track: &Path) -> Option<PathBuf> {
    let mut stem = track.file_stem()?.to_str()?;
    loop {
        let path = track.with_file_name(format!("{stem}_meta.pickle"));
        if path.is_file() {
            return Some(path);
        }
        stem = LATER_STEPS.iter().find_map(|step| stem.strip_suffix(step))?;
    }
}

fn read(path: &Path, name: &str) -> Result<Note, &'static str> {
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    if length.is_ok_and(|length| length > LONGEST) {
        return Err("is too long to be DeepLabCut's note on its analysis");
    }
    let bytes = std::fs::read(path).map_err(|_| "cannot be read")?;
    parse(&bytes, name)
}

fn parse(bytes: &[u8], name: &str) -> Result<Note, &'static str> {
    let pickle = Pickle::read(bytes).ok_or("is damaged")?;
    let data = pickle.entry(pickle.root(), "data");
    let entry = |name: &str| data.and_then(|data| pickle.entry(data, name));
    let numbers = |name: &str| entry(name).and_then(|value| pickle.numbers(value));
    let frame = match numbers("frame_dimensions").as_deref() {
        Some(&[height, width]) => side(width).zip(side(height)).map(|(w, h)| [w, h]),
        _ => None,
    };
    let cropping = entry("cropping").ok_or("does not say whether frames were cropped")?;
    match pickle.number(cropping) {
        Some(1.0) => {}
        None if *cropping != Value::None => return Err("does not say whether frames were cropped"),
        _ => return Ok(Note { pictures: frame.into_iter().collect(), crop: None }),
    }
    let unclear = "says that frames were cropped, but not how";
    let corners = numbers("cropping_parameters");
    let Some(&[x1, x2, y1, y2]) = corners.as_deref() else { return Err(unclear) };
    let size = side(x2 - x1).zip(side(y2 - y1)).filter(|_| x1 >= 0.0 && y1 >= 0.0);
    let (width, height) = size.ok_or(unclear)?;
    let (corner, size) = ([x1 as f32, y1 as f32], [width, height]);
    // Versions of DeepLabCut differ in whether the size is that of the whole frame or of the part.
    let frame = frame.filter(|frame| *frame != size);
    let pictures = frame.map_or_else(Vec::new, |frame| vec![frame, size]);
    let crop = (corner != [0.0; 2]).then(|| Crop { corner, size, note: name.to_owned() });
    Ok(Note { pictures, crop })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds `{"data": {"cropping": flag, "cropping_parameters": corners}}` in protocol 2.
    fn note(flag: u8, corners: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x80\x02}U\x04data}(U\x08cropping".to_vec();
        bytes.push(flag);
        bytes.extend_from_slice(b"U\x13cropping_parameters");
        bytes.extend_from_slice(corners);
        bytes.extend_from_slice(b"us.");
        bytes
    }

    fn corner(bytes: &[u8]) -> Result<Option<[f32; 2]>, &'static str> {
        parse(bytes, "note").map(|note| note.crop.map(|crop| crop.corner))
    }

    #[test]
    fn the_corner_of_the_analysed_part() {
        let corners = b"](K\x64M\x00\x01K\x3cK\xc0e";
        assert_eq!(corner(&note(0x88, corners)), Ok(Some([100.0, 60.0])));
        let crop = parse(&note(0x88, corners), "note").unwrap().crop.unwrap();
        assert_eq!(crop.size, [156, 132], "columns 100 to 256, rows 60 to 192");
        assert_eq!(corner(&note(0x89, corners)), Ok(None), "no cropping");
        assert_eq!(corner(&note(b'N', corners)), Ok(None), "no cropping");
        assert_eq!(corner(&note(0x88, b"](K\0K\x64K\0K\x3ce")), Ok(None), "from the corner on");
        assert!(corner(&note(0x88, b"]")).is_err());
        assert!(
            corner(&note(0x88, b"](K\x64K\x32K\x3cK\xc0e")).is_err(),
            "it ends before it begins"
        );
        // A value that only Python could make.
        assert!(corner(&note(0x88, b"cnumpy\narray\n)R")).is_err());
        assert!(corner(b"junk").is_err() && corner(b"}.").is_err());
    }

    #[test]
    fn notes_are_found_beside_tracks_of_later_steps() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("mouseDLC_resnet50_meta.pickle");
        std::fs::write(&note, "").unwrap();
        for name in [
            "mouseDLC_resnet50.h5",
            "mouseDLC_resnet50_filtered.csv",
            "mouseDLC_resnet50_el_filtered.h5",
            "mouseDLC_resnet50_tr.csv",
            "mouseDLC_resnet50_ctd_filtered.csv",
        ] {
            assert_eq!(beside(&folder.path().join(name)).as_ref(), Some(&note), "{name}");
        }
        for name in ["mouse2DLC_resnet50.h5", "mouseDLC_resnet50_other.csv"] {
            assert_eq!(beside(&folder.path().join(name)), None, "{name}");
        }
    }
}
