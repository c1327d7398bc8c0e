//! What DeepLabCut notes beside a track: whether it analysed only a part of each frame, and which.
//!
//! `analyze_videos` writes `VIDEO+SCORER.h5` (and `.csv`) and, beside them, `VIDEO+SCORER_meta.pickle`; with cropping, coordinates count
//! from the corner of the part, and only the pickle holds it: `["data"]["cropping"]` and `["data"]["cropping_parameters"]`
//! (x1, x2, y1, y2). DeepLabCut's own plots add x1 and y1 as is done here. Versions 2 and 3 write the same.

use std::path::{Path, PathBuf};

use super::pickle::{Pickle, Value};
use super::track::TrackNotice;

/// What DeepLabCut puts behind the name of a track that it has made from another: filtered, stitched, with a skeleton.
const LATER_STEPS: [&str; 8] =
    ["_filtered", "_el", "_ell", "_bx", "_sk", "_tr", "_ctd", "_skeleton"];
/// A longer file is not looked at. One that DeepLabCut writes holds the network's settings, some kilobytes.
const LONGEST: u64 = 1 << 20;

/// The corner of the analysed part, if there is a note of one, and what to tell of it.
pub(super) fn offset(track: &Path) -> Option<(Option<[f32; 2]>, TrackNotice)> {
    let path = beside(track)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Some(match read(&path) {
        Ok(None) => return None,
        Ok(Some([x, y])) => {
            let text = format!(
                "'{name}': DeepLabCut analysed a part of each frame that begins at column {x} and row {y}; this is added to the track's \
                 coordinates (--keypoints-offset 0,0 leaves them as they are)"
            );
            (Some([x, y]), TrackNotice::Info(text))
        }
        Err(what) => {
            let text = format!(
                "'{name}' {what}: if DeepLabCut analysed the video with cropping, give --keypoints-offset X,Y (x1 and y1 of its config.yaml)"
            );
            (None, TrackNotice::Warning(text))
        }
    })
}

/// The note that belongs to a track.
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

/// The corner in a note; `None` if the whole frame was analysed.
fn read(path: &Path) -> Result<Option<[f32; 2]>, &'static str> {
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    if length.is_ok_and(|length| length > LONGEST) {
        return Err("is too long to be DeepLabCut's note on its analysis");
    }
    let bytes = std::fs::read(path).map_err(|_| "cannot be read")?;
    corner(&bytes)
}

fn corner(bytes: &[u8]) -> Result<Option<[f32; 2]>, &'static str> {
    let pickle = Pickle::read(bytes).ok_or("is damaged")?;
    let data = pickle.entry(pickle.root(), "data");
    let entry = |name: &str| data.and_then(|data| pickle.entry(data, name));
    match entry("cropping") {
        Some(Value::Bool(true)) => {}
        Some(Value::Number(number)) if *number == 1.0 => {}
        Some(Value::Bool(false) | Value::Number(_) | Value::Other) => return Ok(None),
        _ => return Err("does not say whether frames were cropped"),
    }
    let corners = entry("cropping_parameters").and_then(|corners| pickle.numbers(corners));
    match corners.as_deref() {
        Some(&[x, _, y, _]) if x >= 0.0 && y >= 0.0 && x < 1e6 && y < 1e6 => {
            Ok((x > 0.0 || y > 0.0).then_some([x as f32, y as f32]))
        }
        _ => Err("says that frames were cropped, but not how"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"data": {"cropping": flag, "cropping_parameters": corners}}` in protocol 2.
    fn note(flag: u8, corners: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x80\x02}U\x04data}(U\x08cropping".to_vec();
        bytes.push(flag);
        bytes.extend_from_slice(b"U\x13cropping_parameters");
        bytes.extend_from_slice(corners);
        bytes.extend_from_slice(b"us.");
        bytes
    }

    #[test]
    fn the_corner_of_the_analysed_part() {
        let corners = b"](K\x64M\x00\x01K\x3cK\xc0e";
        assert_eq!(corner(&note(0x88, corners)), Ok(Some([100.0, 60.0])));
        assert_eq!(corner(&note(0x89, corners)), Ok(None), "no cropping");
        assert_eq!(corner(&note(0x88, b"](K\0K\x64K\0K\x3ce")), Ok(None), "all of the frame");
        assert!(corner(&note(0x88, b"]")).is_err());
        // An array of numpy's.
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
