//! Refuses files of programs that are not supported, by the program's name, and says what to give
//! instead.

#[cfg(feature = "hdf5")]
use super::hdf5_file::File;

/// Advice on the format into which any file can be converted.
const TABLE: &str =
    "a CSV table with the columns frame,object,x,y (frames from 0, pixels of the recording)";

/// Number of letters of a text that are searched for words.
const BEGINNING: usize = 4096;

/// Recognises files that are not text.
pub(super) fn binary(bytes: &[u8]) -> Option<String> {
    let starts = |signature: &[u8]| bytes.starts_with(signature);
    let refuse =
        |what: &str, remedy: &str| Some(format!("it is {what}, which is not read: {remedy}"));
    if starts(b"MATLAB 5.0 MAT-file") || starts(b"MATLAB 7.3 MAT-file") || starts(b"MATLAB ") {
        return refuse(
            "a MATLAB file (JAABA, Ctrax, APT, DANNCE and others write such tracks)",
            &format!(
                "write its positions to {TABLE}, with writetable; JAABA's and Ctrax's frames count from 1"
            ),
        );
    }
    if starts(b"\x93NUMPY") {
        return refuse(
            "a NumPy array (idtracker.ai, TRex and MoSeq write such tracks)",
            &format!(
                "with idtracker.ai export trajectories.csv (idtrackerai_csv), or write {TABLE}"
            ),
        );
    }
    if starts(b"PK\x03\x04") {
        let beginning = &bytes[..bytes.len().min(BEGINNING)];
        let has = |name: &[u8]| beginning.windows(name.len()).any(|window| window == name);
        if has(b".npy") {
            return refuse(
                "a NumPy archive (.npz; TRex writes one for each individual)",
                &format!(
                    "write {TABLE} from the columns frame, X#wcentroid and Y#wcentroid, in pixels"
                ),
            );
        }
        if has(b"xl/") || has(b"[Content_Types].xml") {
            return refuse("an Excel workbook", "save the sheet as CSV");
        }
        return refuse(
            "a ZIP archive",
            "unpack it and give the file that is in it (CVAT's annotations.xml, or a COCO, Labelme or Label Studio JSON)",
        );
    }
    if starts(b"\xd0\xcf\x11\xe0") {
        return refuse("an old Excel workbook", "save the sheet as CSV");
    }
    // Python's pickles begin with their version, from version 2 on.
    if bytes.first() == Some(&0x80) && bytes.get(1).is_some_and(|version| (2..=5).contains(version))
    {
        return refuse(
            "a Python pickle (DeepLabCut's ..._full.pickle, ..._assemblies.pickle or ..._el.pickle)",
            "give the .h5 or .csv file next to it, which DeepLabCut writes when tracklets are stitched (stitch_tracklets, or convert_detections2tracklets before)",
        );
    }
    if starts(b"PAR1") {
        return refuse("a Parquet file", &format!("write {TABLE}"));
    }
    if starts(b"\x1f\x8b") {
        return refuse("compressed with gzip", "unpack it first");
    }
    if starts(b"SQLite format 3") {
        return refuse(
            "an SQLite database (FlyTracker, ethoscope and others)",
            &format!("export {TABLE}"),
        );
    }
    None
}

/// Describes a file that is not text and therefore holds no prompts.
pub(crate) fn refuse_binary(bytes: &[u8]) -> Option<String> {
    match bytes.starts_with(b"\x89HDF") {
        true => Some(
            "it is an HDF5 file: a track (DeepLabCut, SLEAP, NWB) is given with --keypoints".into(),
        ),
        false => binary(bytes),
    }
}

/// Recognises JSON and other documents.
pub(super) fn document(text: &str) -> Option<String> {
    let text = text.trim_start();
    let refuse =
        |what: &str, remedy: &str| Some(format!("it is {what}, which is not read: {remedy}"));
    let has = |name: &str| text.contains(&format!("\"{name}\""));
    match text.as_bytes().first()? {
        b'{' if has("skeletons") && (has("labels") || has("nodes")) => refuse(
            "SLEAP's old JSON (labels, or only a skeleton)",
            "open it in SLEAP and save it as .slp, or export an analysis file",
        ),
        b'{' if has("_via_img_metadata") || has("_via_settings") || has("shape_attributes") => {
            refuse(
                "a project of the VGG Image Annotator (VIA)",
                "export it as COCO (Annotation > Export Annotations (COCO format))",
            )
        }
        b'{' if has("version") && has("prompts") => Some(
            "it is a document of prompts: give it with --prompts instead of --keypoints".into(),
        ),
        b'{' | b'[' if has("image_id") && (has("keypoints") || has("bbox")) => refuse(
            "a list of detections in COCO's format, which does not name the images",
            "give the full COCO file with 'images', 'annotations' and 'categories'",
        ),
        b'{' | b'[' if has("bodyparts") => refuse(
            "DeepLabCut's JSON of detections",
            "give the .h5 or .csv file that DeepLabCut writes next to it",
        ),
        b'{' | b'[' => refuse(
            "JSON of an unknown kind",
            "known are COCO (keypoints), Labelme and Label Studio",
        ),
        _ => None,
    }
}

/// Recognises tables with columns named as in a table of points but with another meaning. `names`
/// are the cells of the first row.
pub(super) fn table_like_points(names: &[&str]) -> Option<String> {
    let has = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    let refuse =
        |what: &str, remedy: &str| Some(format!("it is {what}, which is not read: {remedy}"));
    if names.iter().any(|name| name.contains("#wcentroid") || name.contains("#pcentroid"))
        || (has("frame") && names.iter().any(|name| name.starts_with("X (")))
    {
        return refuse(
            "a table of TRex, of one individual, in centimetres unless cm_per_pixel was 1",
            &format!(
                "write {TABLE} from the columns frame, X#wcentroid and Y#wcentroid of all individuals' tables, in pixels"
            ),
        );
    }
    // Older versions name positions X and Y, in centimetres, and may leave the other columns out.
    if has("frame") && TREX.iter().filter(|own| names.iter().any(|name| name == *own)).count() >= 2
    {
        return refuse(
            "a table of TRex, of one individual, in centimetres unless cm_per_pixel was 1",
            &format!("export X#wcentroid and Y#wcentroid, in pixels, and write {TABLE}"),
        );
    }
    if is_corners(names) {
        return Some(super::points_table::BOXES.into());
    }
    // If a program has written a header, it names the box, and the place in space as x, y and z.
    if has("bb_left") && has("bb_top") || is_mot(names) {
        return refuse(
            "a table of MOT (frame, object, left, top, width, height)",
            &format!("write {TABLE} with the box's centre; MOT's frames count from 1"),
        );
    }
    None
}

/// Column names that only TRex uses.
const TREX: [&str; 16] = [
    "SPEED",
    "ANGLE",
    "ACCELERATION",
    "ANGULAR_V",
    "ANGULAR_A",
    "BORDER_DISTANCE",
    "NEIGHBOR_DISTANCE",
    "MIDLINE_OFFSET",
    "VX",
    "VY",
    "AX",
    "AY",
    "missing",
    "midline_length",
    "normalized_midline",
    "num_pixels",
];

/// Returns `true` if the columns are the corners of a box. Two animals of idtracker.ai have the
/// columns `x1,y1,x2,y2` too, but after a column of times.
fn is_corners(names: &[&str]) -> bool {
    let has = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    let all = |corners: [&str; 4]| corners.into_iter().all(has);
    let is_timed = ["time", "times", "seconds"]
        .iter()
        .any(|time| names.first().is_some_and(|first| first.eq_ignore_ascii_case(time)));
    all(["xmin", "ymin", "xmax", "ymax"])
        || all(["x_min", "y_min", "x_max", "y_max"])
        || (all(["x1", "y1", "x2", "y2"]) && !has("x3") && !is_timed)
}

/// Returns `true` if the first row is one of MOT's, which have no header: frame, object, left, top,
/// width and height of the box, and more about it. Results and detections (`det.txt`) end with the
/// place in space, which is -1. The ground truth (`gt.txt`) ends with a flag, a class and a
/// visibility.
fn is_mot(names: &[&str]) -> bool {
    let cells: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
    let Some([frame, object, _, _, width, height, rest @ ..]) = cells.as_deref() else {
        return false;
    };
    let is_whole = |value: f64| value.fract() == 0.0;
    let is_box = *frame >= 1.0
        && is_whole(*frame)
        && *object >= -1.0
        && is_whole(*object)
        && *width > 0.0
        && *height > 0.0;
    is_box
        && match *rest {
            [_] => *object == -1.0,
            [flag, class, visibility] => {
                [0.0, 1.0].contains(&flag)
                    && (1.0..=20.0).contains(&class)
                    && is_whole(class)
                    && (0.0..=1.0).contains(&visibility)
            }
            [_, x, y, z] => [x, y, z] == [-1.0; 3],
            _ => false,
        }
}

/// Recognises tables and other plain text. `names` are the cells of the first row.
pub(super) fn table(text: &str, names: &[&str]) -> Option<String> {
    let refuse =
        |what: &str, remedy: &str| Some(format!("it is {what}, which is not read: {remedy}"));
    let has = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    let ends = |ending: &str| names.iter().filter(|name| name.ends_with(ending)).count();
    let beginning: String = text.chars().take(BEGINNING).collect::<String>().to_lowercase();
    if ends("_x") > 0 && ends("_y") > 0 && ends("_z") > 0 {
        return refuse(
            "a 3D track (Anipose and others), whose coordinates are not pixels",
            "give the 2D track of this camera, which Anipose keeps in pose-2d or pose-2d-filtered",
        );
    }
    if beginning.contains("number of header lines") || has("X center") || has("Trial time") {
        return refuse(
            "an export of EthoVision, whose coordinates are centimetres of the arena",
            &format!("turn X center and Y center into pixels and frames and write {TABLE}"),
        );
    }
    if names.iter().any(|name| {
        let name = name.to_lowercase();
        (name.contains("centre") || name.contains("center") || name.contains("head"))
            && name.contains("position x")
    }) {
        return refuse(
            "an export of ANY-maze",
            &format!(
                "export positions in pixels and write {TABLE}; ANY-maze's rows have times, not frames"
            ),
        );
    }
    if has("POSITION_X") && has("POSITION_Y") {
        return refuse(
            "a table of TrackMate, whose positions are in the image's own unit",
            &format!(
                "write {TABLE}: TRACK_ID is the object, POSITION_X and POSITION_Y in pixels, FRAME counts from 0"
            ),
        );
    }
    if names.iter().any(|name| name.starts_with("Item1.") || name.starts_with("Value."))
        || has("Centroid.X")
    {
        return refuse(
            "a table of Bonsai, whose rows do not say which frame they are of",
            &format!("add the frame's number in Bonsai (Zip with an index) and write {TABLE}"),
        );
    }
    if has("region_shape_attributes") {
        return refuse(
            "a table of the VGG Image Annotator (VIA)",
            "export it as COCO (Annotation > Export Annotations (COCO format))",
        );
    }
    if has("onset_frame")
        || (has("syllable") && has("centroid_x"))
        || names.iter().any(|n| n.starts_with("syllable"))
    {
        return refuse(
            "a table of MoSeq or keypoint-MoSeq (syllables)",
            "give the track that it was computed from (DeepLabCut or SLEAP)",
        );
    }
    let parts = ends("_x");
    if parts > 0 && ends("_y") == parts && ends("_p") == parts {
        return refuse(
            "a table of SimBA (columns NAME_x, NAME_y and NAME_p)",
            "give the file that was imported into SimBA (DeepLabCut's .csv or .h5, or SLEAP's)",
        );
    }
    None
}

/// Recognises HDF5 files of other programs.
#[cfg(feature = "hdf5")]
pub(super) fn hdf5(file: &File) -> Option<String> {
    let has = |name: &str| file.dataset(name).is_ok();
    let group = |name: &str| file.group(name).is_ok();
    let refuse =
        |what: &str, remedy: &str| Some(format!("it is {what}, which is not read: {remedy}"));
    if has("/trajectories") {
        return refuse(
            "idtracker.ai's HDF5",
            "export trajectories.csv (idtrackerai_csv) and give that",
        );
    }
    if has("/pose/points") || has("/poseest/points") || group("/poseest") {
        return refuse(
            "a pose file of JABS",
            &format!("open it with sleap-io and save it as .slp, or write {TABLE}"),
        );
    }
    if has("/trx/x") || group("/trx") || group("/#refs#") {
        return refuse(
            "a MATLAB file in HDF5 (JAABA, APT, DANNCE)",
            &format!("write its positions to {TABLE}; JAABA's frames count from 1"),
        );
    }
    if group("/metadata") && has("/annotations") || has("/annotated") {
        return refuse("DeepPoseKit's annotations", &format!("write {TABLE}"));
    }
    None
}
