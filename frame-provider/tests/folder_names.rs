//! Clip properties that the names of a folder's images reveal: gaps, several series, minus signs,
//! patterns.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use sam2_frame_provider::{FrameError, FrameSource, ImageFolder, OpenOptions, open};

fn case(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases")).join(name)
}

/// Makes a folder of identical images with these names.
fn folder(names: &[impl AsRef<str>]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images/rgb.png");
    for name in names {
        std::fs::copy(image, folder.path().join(name.as_ref())).unwrap();
    }
    folder
}

fn names(source: &dyn FrameSource) -> Vec<String> {
    let info = source.info();
    (0..info.frame_count).map(|index| info.frame_name(index).unwrap().to_owned()).collect()
}

/// Returns the warnings of a folder that is one clip.
fn warnings(names: &[impl AsRef<str>]) -> String {
    let folder = folder(names);
    open(folder.path()).unwrap_or_else(|error| panic!("{error}")).info().warnings.join("; ")
}

/// Returns the reason why a folder is rejected.
fn refusal(names: &[impl AsRef<str>]) -> String {
    let folder = folder(names);
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
    error.to_string().replace(folder.path().to_str().unwrap(), "F")
}

fn numbered(pattern: &str, numbers: impl IntoIterator<Item = i32>) -> Vec<String> {
    numbers.into_iter().map(|n| pattern.replace("{}", &format!("{n:03}"))).collect()
}

#[test]
fn missing_numbers_are_told() {
    let clip = open(case("folder-with-gaps/frames")).unwrap();
    assert_eq!(clip.info().frame_count, 4);
    let text = clip.info().warnings.join("; ");
    assert!(text.contains("2 numbers are missing in the file names (5 to 6)"), "{text}");
    assert!(text.contains("from frame 2 on"), "{text}");
    let dropped = (0..24).filter(|n| ![5, 6, 13].contains(n));
    let text = warnings(&numbered("img-{}_raw.png", dropped));
    assert!(text.contains("3 numbers are missing") && text.contains("(5 to 6, 13)"), "{text}");
    let text = warnings(&numbered("{}.png", [0, 10, 20, 40, 50]));
    assert!(text.contains("1 number is missing in the file names in steps of 10 (30)"), "{text}");
}

#[test]
fn strides_times_and_names_without_numbers_have_no_gaps() {
    for names in [
        numbered("f{}.png", 7..12),
        numbered("f{}.png", [0, 5, 10, 15]),
        ["a.png", "b.png", "c.png"].map(str::to_owned).to_vec(),
        ["mouse.png", "water.png", "wheel 2.png"].map(str::to_owned).to_vec(),
        ["img_20260101_115959.png", "img_20260101_120000.png", "img_20260101_120003.png"]
            .map(str::to_owned)
            .to_vec(),
        ["2026-01-01 23-59-58.png", "2026-01-01 23-59-59.png", "2026-01-02 00-00-00.png"]
            .map(str::to_owned)
            .to_vec(),
        ["20260101_120000_01.png", "20260101_120000_02.png", "20260101_120001_03.png"]
            .map(str::to_owned)
            .to_vec(),
        numbered("t1700000000{}.png", [0, 33, 66, 100, 133]),
        ["000_rest.png", "001_walk.png", "002_rest.png"].map(str::to_owned).to_vec(),
        ["img0012.png", "img0457.png", "img0998.png", "img1003.png"].map(str::to_owned).to_vec(),
        ["3f2a91bc.png", "77e0d1aa.png", "9b1c0f3e.png", "a0a0f1d2.png"]
            .map(str::to_owned)
            .to_vec(),
        ["frame1.jpeg", "frame2.png", "frame3.PNG"].map(str::to_owned).to_vec(),
        vec!["only.png".to_owned()],
    ] {
        assert_eq!(warnings(&names), "", "{names:?}");
    }
}

#[test]
fn names_of_cameras_and_programs_are_one_clip() {
    let hashes = |seed: u64| {
        (1..60u64).map(move |n| {
            let hash = xxhash_rust::xxh3::xxh3_64(&(n * 977 + seed).to_le_bytes());
            format!("{hash:016x}.png")
        })
    };
    for names in [
        (1..40)
            .map(|n| format!("Basler_acA1300-60gm__22334455__20260101_1200{n:02}123_{n:04}.png"))
            .collect(),
        (0..40).map(|n| format!("mouse1-01012026120000-{n:04}.png")).collect(),
        (0..9).map(|n| format!("Screenshot 2026-01-31 at 23.59.5{n}.png")).collect(),
        (0..9).map(|n| format!("t={}.{}s.png", n / 2, n % 2 * 5)).collect(),
        (0..30)
            .map(|n| format!("{}.png", 1_700_000_000_000_000_000u64 + n * 33_333_333 + n % 3))
            .collect(),
        (1..12).map(|n| format!("img ({n}).png")).collect(),
        (0..12).map(|n| format!("frame_{n:04}_640x480_exp{}us.png", 900 + n % 3)).collect(),
        (0..12).map(|n| format!("rec2_run7_{n:03}_of_012.png")).collect(),
        (0..12).map(|n| format!("shot.{n:04}.v2.png")).collect(),
        hashes(1).collect(),
        hashes(2).collect(),
        vec!["before.png".to_owned(), "after.png".to_owned()],
        vec!["cam1.png".to_owned(), "cam2.png".to_owned()],
    ] as [Vec<String>; 13]
    {
        assert_eq!(warnings(&names), "", "{names:?}");
    }
}

#[test]
fn two_series_and_masks_are_refused_with_the_patterns_that_pick_one() {
    let error = open(case("folder-of-two-clips/b")).err().unwrap().to_string();
    assert!(error.contains("2 series of images"), "{error}");
    assert!(error.contains("4 images cam1_000.png to cam1_003.png"), "{error}");
    assert!(error.contains("b/cam1_*.png' or '"), "{error}");
    let error = open(case("folder-of-two-clips/a")).err().unwrap().to_string();
    assert!(error.contains("4 images frame000_mask.png to frame003_mask.png"), "{error}");
    assert!(error.contains("a/frame*[0-9].png' or '"), "{error}");
    assert!(error.contains("a/frame*_mask.png'"), "{error}");
    for (names, pattern) in [
        (
            [numbered("left_{}.png", 0..4), numbered("right_{}.png", 0..4)].concat(),
            "'F/left_*.png'",
        ),
        ([numbered("{}_L.png", 0..4), numbered("{}_R.png", 0..4)].concat(), "'F/*_R.png'"),
        ([numbered("t{}_z00.png", 0..4), numbered("t{}_z01.png", 0..4)].concat(), "'F/t*_z01.png'"),
        (
            [numbered("frame_{}_cam1.png", 0..4), numbered("frame_{}_cam2.png", 0..4)].concat(),
            "'F/frame_*_cam2.png'",
        ),
        ([numbered("cam1.{}.png", 0..4), numbered("cam2.{}.png", 0..4)].concat(), "'F/cam2.*.png'"),
        ([numbered("100_{}.png", 0..4), numbered("101_{}.png", 0..2)].concat(), "'F/101_*.png'"),
        // The numbers continue, but the names are ordered differently.
        ([numbered("b_{}.png", 0..4), numbered("a_{}.png", 4..8)].concat(), "'F/a_*.png'"),
        // Masks with the same names as the frames.
        (
            ["0.jpg", "1.jpg", "0.png", "1.png"].map(str::to_owned).to_vec(),
            "'F/*.jpg' or 'F/*.png'",
        ),
        ([numbered("frame{}.png", 0..5), vec!["background.png".into()]].concat(), "'F/frame*.png'"),
        (
            [numbered("frame{}.png", 0..5), vec!["background0.png".into()]].concat(),
            "'F/frame*.png'",
        ),
        (
            [numbered("frame{}.png", 0..5), vec!["frame002_mask.png".into()]].concat(),
            "'F/frame*[0-9].png'",
        ),
    ] {
        let text = refusal(&names);
        assert!(text.contains(pattern), "{text}");
        assert!(text.contains("pattern in quotes"), "{text}");
    }
    let text = refusal(&[numbered("frame{}.png", 0..5), vec!["reference.png".into()]].concat());
    assert!(text.contains("5 images (frame000.png to frame004.png) and 1 that are not"), "{text}");
    assert!(text.contains("(reference.png)") && text.contains("'F/*'"), "{text}");
}

#[test]
fn names_that_count_on_are_one_clip_with_a_warning() {
    let names = [numbered("rest_{}.png", 0..4), numbered("walk_{}.png", 4..8)].concat();
    let text = warnings(&names);
    assert!(text.contains("2 beginnings (rest_*: 4, walk_*: 4)"), "{text}");
}

#[test]
fn minus_signs_count_where_the_names_show_it() {
    let clip = open(case("negative-frame-numbers/frames")).unwrap();
    assert_eq!(
        names(&clip),
        ["frame-3.png", "frame-2.png", "frame-1.png", "frame0.png", "frame1.png"]
    );
    let text = clip.info().warnings.join("; ");
    assert!(text.contains("minus signs in the names count"), "{text}");
    assert!(text.contains("3 negative numbers") && !text.contains("missing"), "{text}");
    let all: Vec<String> = (-12..12).map(|n| format!("frame{n}.png")).collect();
    let folder_of_all = folder(&all);
    assert_eq!(names(&open(folder_of_all.path()).unwrap()), all);
    let plus: Vec<String> = (-3..4).map(|n| format!("t{n:+}ms.png")).collect();
    assert_eq!(names(&open(folder(&plus).path()).unwrap()), plus);
    let text = warnings(&["f-2.png", "f-1.png", "f1.png", "f2.png"]);
    assert!(text.contains("1 number is missing in the file names (0)"), "{text}");
    // A hyphen as separator.
    let hyphens: Vec<String> = (1..25).map(|n| format!("frame-{n}.png")).collect();
    let folder = folder(&hyphens);
    let clip = open(folder.path()).unwrap();
    assert_eq!(names(&clip), hyphens);
    assert_eq!(*clip.info().warnings, Vec::<String>::new());
}

/// Expects these names, given in the order of the frames, to be one clip, with a warning that
/// contains every text in `told`.
fn in_order(expected: &[&str], told: &[&str]) {
    let files: Vec<String> = expected.iter().map(|stem| format!("{stem}.png")).collect();
    let folder = folder(&files);
    let clip = open(folder.path()).unwrap_or_else(|error| panic!("{expected:?}: {error}"));
    assert_eq!(names(&clip), files);
    let text = clip.info().warnings.join("; ");
    assert_eq!(text.is_empty(), told.is_empty(), "{expected:?}: {text}");
    assert!(told.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn negative_numbers_alone_are_in_order() {
    for pattern in ["{}", "img_{}", "t={}", "img ({})", "z={}um_01"] {
        let stems: Vec<String> = (-20..-4).map(|n| pattern.replace("{}", &n.to_string())).collect();
        let stems: Vec<&str> = stems.iter().map(String::as_str).collect();
        in_order(&stems, &["minus signs in the names count", "16 negative numbers"]);
    }
    in_order(&["z_-2", "z_-1", "z_1"], &["the same name also", "1 number is missing", "(0)"]);
}

#[test]
fn decimals_are_in_order_of_their_values() {
    in_order(&["1700000000.041667", "1700000000.25", "1700000000.3", "1700000001.125"], &[]);
    in_order(&["t0.05", "t0.5", "t1.0", "t1.25", "t1.5"], &[]);
    in_order(&["t=-1.5", "t=-1.25", "t=-1.0", "t=-0.5"], &["minus signs in the names count"]);
    let tenths: Vec<String> = (1..17).map(|n| format!("t={}s", f64::from(n) / 10.0)).collect();
    in_order(&tenths.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    in_order(&["a0.5", "a1.0", "a1.5", "a2.5", "a3.0"], &["in steps of 0.5 (2)"]);
    // Whole numbers in the series, also when they are the majority.
    let series = |pattern: &str, halves: std::ops::RangeInclusive<i32>| -> Vec<String> {
        let number = |half| (f64::from(half) / 2.0).to_string();
        halves.map(|half| pattern.replace("{}", &number(half))).collect()
    };
    let minus = ["minus signs in the names count"];
    for (pattern, halves, told) in [
        ("t{}", 0..=12, &[][..]),
        ("t{}", 0..=4, &[]),
        ("{}", 0..=100, &[]),
        ("{}ms", 0..=6, &[]),
        ("z{}", -4..=4, &minus),
        ("z{}", -5..=5, &minus),
        ("z{}", -5..=0, &minus),
    ] {
        let stems = series(pattern, halves);
        in_order(&stems.iter().map(String::as_str).collect::<Vec<_>>(), told);
    }
    in_order(
        &["depth_0mm", "depth_1mm", "depth_1.5mm", "depth_2mm", "depth_3mm"],
        &["in steps of 0.5 (0.5, 2.5)"],
    );
    // Times in seconds have no gaps, whole numbers or not.
    in_order(&["1700000000.1", "1700000000.2", "1700000000.5", "1700000000.6"], &[]);
    // An ambiguous case is reported; two counters stay two counters.
    in_order(&["t1.25", "t1.5"], &["were taken as decimals", "write it with leading zeros"]);
    in_order(&["v1.8", "v1.9", "v1.10", "v1.11"], &[]);
}

#[test]
fn the_minus_sign_of_typesetting_counts() {
    let stems: Vec<String> = (-20..-4).map(|n| format!("t{n}").replace('-', "−")).collect();
    let stems: Vec<&str> = stems.iter().map(String::as_str).collect();
    in_order(&stems, &["minus signs in the names count", "16 negative numbers"]);
    in_order(&["z−2", "z−1", "z0", "z1"], &["the same name also", "2 negative numbers"]);
    let text = refusal(&["a−2.png", "a−1.png", "b−2.png", "b−1.png"]);
    assert!(text.contains("a−2.png to a−1.png") && text.contains("'F/a*.png'"), "{text}");
}

#[test]
fn powers_of_ten_are_in_order_of_their_values() {
    in_order(&["t5e-4", "t1e-3", "t2e-3", "t1e-2"], &[]);
    in_order(&["1.0E-05", "1.0E-04", "2.0E-04", "1.0E+00"], &[]);
    in_order(&["dose_1e-05_a", "dose_2.5e-05_a", "dose_0.0001_a", "dose_1_a"], &[]);
    in_order(&["t−2e−3", "t−1e−3", "t0", "t1e−3"], &["minus signs in the names count"]);
    in_order(&["t1e-3", "t1e-2", "t1e-1"], &["1e-3 comes before 1e-2", "another separator"]);
    in_order(&["t1e3", "t2e2"], &["taken as a letter", "2e+01"]);
    // Counters, also of an item called 1e.
    in_order(&["s1e08", "s1e09", "s1e10"], &[]);
    let many: Vec<String> = (1..60).map(|n| format!("mouse1e-{n}")).collect();
    in_order(&many.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let text = refusal(&["s1e1.png", "s1e2.png", "s2e1.png", "s2e2.png"]);
    assert!(text.contains("2 series of images"), "{text}");
    // Next to a picture that does not belong to the series.
    let text = refusal(&["t5e-4.png", "t1e-3.png", "t2e-3.png", "dark.png"]);
    assert!(text.contains("3 images (t5e-4.png to t2e-3.png)"), "{text}");
}

#[test]
fn dates_are_in_order_or_refused() {
    in_order(&["m_31-01-2023", "m_01-02-2023", "m_02-02-2023"], &[]);
    in_order(&["12-31-2022_10-00-00", "01-15-2023_09-00-00"], &[]);
    in_order(&["31122022_100000", "15012023_090000"], &[]);
    in_order(&["Nov-2022", "Dec-2022", "Jan-2023", "Apr-2023"], &[]);
    in_order(&["5 March 2023", "12 March 2023", "1 April 2023"], &[]);
    in_order(&["Jan", "Feb", "Mar"], &["from January on"]);
    in_order(&["01-03-23", "05-02-23"], &["taken as they stand", "year first"]);
    in_order(&["23-01-31", "23-02-01"], &[]);
    // Fractions of a second are not numbers that count.
    in_order(
        &[
            "2024-03-01T10:59:00.1Z",
            "2024-03-01T10:59:00.2Z",
            "2024-03-01T10:59:00.5Z",
            "2024-03-01T10:59:01.1Z",
        ],
        &[],
    );
    in_order(&["2024-03-01_10-59-00.10", "2024-03-01_10-59-00.20", "2024-03-01_10-59-00.50"], &[]);
    // The order is the same either way, or a number decides it.
    in_order(&["01-02-2023", "02-02-2023", "03-02-2023"], &[]);
    in_order(&["001_01-05-2023", "002_02-03-2023"], &[]);
    let doubtful = ["01-05-2023.png", "02-03-2023.png"];
    let text = refusal(&doubtful);
    for part in ["whether the day or the month comes first", "year first", "'F/*'"] {
        assert!(text.contains(part), "{text}");
    }
    let folder = folder(&doubtful);
    let all = open(folder.path().join("*")).unwrap();
    assert_eq!(names(&all), doubtful);
    assert!(
        all.info().warnings[0].contains("whether the day or the month"),
        "{:?}",
        all.info().warnings
    );
}

#[test]
fn times_with_am_and_pm_are_in_order_of_time() {
    for stems in [
        &["9-58-00 AM", "9-59-00 AM", "12-01-00 PM", "1-00-00 PM"][..],
        &["2024-03-01 11_59_00 AM", "2024-03-01 12_00_10 PM", "2024-03-01 01_00_20 PM"],
        &["11h59am", "12h01pm", "01h00pm"],
        &["12-58-00 PM", "12-59-00 PM", "1-01-00 PM"],
        &["2024-02-29 at 11.58.00 PM", "2024-03-01 at 12.01.00 AM", "2024-03-01 at 1.01.00 AM"],
        &[
            "Screenshot 2024-03-01 at 9.59.58\u{202f}AM",
            "Screenshot 2024-03-01 at 10.00.00\u{202f}AM",
            "Screenshot 2024-03-01 at 1.00.00\u{202f}PM",
        ],
        &["2024-03-01-09-59 AM", "2024-03-01-12-30 PM", "2024-03-01-01-30 PM"],
        &["IMG 03-01 9.59.58 PM", "IMG 03-01 10.00.01 PM"],
        &["31-01-2024 11.59 PM", "01-02-2024 12.05 AM"],
    ] {
        in_order(stems, &[]);
    }
    // Sessions, not hours.
    for stems in [&["day1_am", "day2_am", "day3_am"][..], &["1 am 1", "1 am 2", "1 am 3"]] {
        in_order(stems, &[]);
    }
}

#[test]
fn days_of_the_week_before_dates_do_not_tell_the_order() {
    for stems in [
        &["Wed Jan 31 2024", "Thu Feb 01 2024", "Fri Feb 02 2024"][..],
        &["Wed_2024-01-31", "Thu_2024-02-01", "Fri_2024-02-02"],
        &["Wednesday, 31 January 2024", "Thursday, 1 February 2024", "Friday, 2 February 2024"],
        &["Wed Jan 31 23_59_59 2024", "Thu Feb 01 00_00_01 2024", "Thu Feb 01 00_00_02 2024"],
    ] {
        in_order(stems, &[]);
    }
    // Messages use the original names of the files.
    let text = refusal(&["Mon 01-05-2023.png", "Fri 02-03-2023.png"]);
    assert!(
        text.contains("such as that in Fri 02-03-2023") || text.contains("in Mon 01-05-2023"),
        "{text}"
    );
    // Without a date, they are plain names.
    in_order(&["Mon", "Tue", "Wed"], &[]);
}

#[test]
fn go_pros_pictures_have_no_gaps_where_a_group_is_full() {
    let group = |group: u32, numbers: std::ops::RangeInclusive<u32>| {
        numbers.map(move |n| format!("G{group:03}{n:04}.png"))
    };
    for next in [1, 1000] {
        let names: Vec<String> = group(1, 990..=999).chain(group(2, next..=next + 5)).collect();
        assert_eq!(warnings(&names), "", "{names:?}");
    }
    let text = warnings(&group(1, 1..=9).chain(group(2, 1..=4)).collect::<Vec<_>>());
    assert!(text.contains("2 groups of GoPro's pictures (G001*.png: 9, G002*.png: 4)"), "{text}");
    assert!(text.contains("G001*.png'") && !text.contains("missing"), "{text}");
    let names: Vec<String> = group(1, 1..=9).filter(|name| !name.contains("0005")).collect();
    assert!(warnings(&names).contains("1 number is missing in the file names (10005)"));
}

#[test]
fn capital_letters_make_no_series() {
    in_order(&["frame_1", "Frame_2", "FRAME_3"], &[]);
    let text = refusal(&["A_1.png", "A_2.png", "a_1.png", "a_2.png"]);
    assert!(text.contains("2 series of images"), "{text}");
}

#[test]
fn a_pattern_in_a_folder_is_a_recording() {
    let pattern = case("folder-of-two-clips/b/cam2_*.png");
    assert!(ImageFolder::is_pattern(&pattern));
    let clip = open(&pattern).unwrap();
    assert_eq!(names(&clip), ["cam2_000.png", "cam2_001.png", "cam2_002.png", "cam2_003.png"]);
    assert_eq!(&*clip.info().description, "cam2_*.png");
    let one = open(case("folder-of-two-clips/b/cam2_001.png")).unwrap();
    assert_eq!(clip.frame(1).unwrap().data(), one.frame(0).unwrap().data());
    let frames = open(case("folder-of-two-clips/a/frame*[0-9].png")).unwrap();
    assert_eq!(frames.info().frame_count, 4);
    assert!(open(case("folder-of-two-clips/b/cam*.png")).is_err(), "still two series");
    let all = open(case("folder-of-two-clips/b/*")).unwrap();
    assert_eq!(all.info().frame_count, 8);
    assert!(
        all.info().warnings[0].contains("since the pattern asks for all"),
        "{:?}",
        all.info().warnings
    );
    // If a file's name contains brackets, the path means that file.
    let folder = folder(&["[a].png", "b [1].png", "a.png"]);
    assert_eq!(open(folder.path().join("[a].png")).unwrap().info().frame_count, 1);
    assert!(!ImageFolder::is_pattern(folder.path().join("[a].png")));
    let options = OpenOptions::default();
    for nothing in ["c*.png", "plain.png", "[", ""] {
        let error = ImageFolder::from_pattern(folder.path().join(nothing), &options).unwrap_err();
        assert!(matches!(error, FrameError::NotFound { .. }), "{nothing}: {error}");
    }
}

#[test]
fn recordings_that_are_files_are_no_pattern_of_images() {
    let folder = folder(&["a_1.png", "a_2.png", "b.png"]);
    let at = |name: &str| folder.path().join(name);
    assert!(ImageFolder::is_pattern(at("a_*.png")));
    assert!(!ImageFolder::is_pattern(at("b*.png")), "one match is that image");
    std::fs::write(at("a_3.csv"), "").unwrap();
    assert!(!ImageFolder::is_pattern(at("a_*")));
    assert!(ImageFolder::is_pattern(at("*")));
    std::fs::write(at("a.avi"), "").unwrap();
    assert!(!ImageFolder::is_pattern(at("*")));
    let images = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images/");
    for number in 0..2 {
        std::fs::copy(format!("{images}gray16.tif"), at(&format!("c_{number}.tif"))).unwrap();
    }
    assert!(ImageFolder::is_pattern(at("c_*.tif")));
    std::fs::copy(format!("{images}stack.tif.refused"), at("c_2.tif")).unwrap();
    assert!(!ImageFolder::is_pattern(at("c_*.tif")), "a stack is a recording of its own");
}
