//! Folders of images, and opening a path according to what it holds.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use sam2_frame_provider::{FrameError, FrameSource, ImageFolder, open};

fn image(name: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images")).join(name)
}

/// Makes a folder with copies of images of the test data: (name in the test data, name in the
/// folder).
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (source, name) in files {
        std::fs::copy(image(source), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn frames_come_in_natural_order_and_other_files_are_ignored() {
    let folder = folder(&[
        ("rgb.png", "frame10.PNG"),
        ("gray.png", "frame2.png"),
        ("420.jpg", "frame1.jpeg"),
        ("444.jpg", "._frame1.jpg"),
        ("444.jpg", "frame1.jpg.part"),
    ]);
    std::fs::write(folder.path().join("notes.txt"), "no frame").unwrap();
    std::fs::create_dir(folder.path().join("frame3.png")).unwrap();
    let clip = ImageFolder::open(folder.path()).unwrap();
    let names: Vec<_> =
        clip.files().iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["frame1.jpeg", "frame2.png", "frame10.PNG"]);
    assert_eq!((clip.info().frame_count, clip.info().size.to_string()), (3, "67x45".into()));
    assert_eq!(
        clip.frame(1).unwrap().data(),
        open(image("gray.png")).unwrap().frame(0).unwrap().data()
    );
    assert_eq!(clip.info().timing.frames_per_second, None);
    assert_eq!(clip.with_frames_per_second(25.0).info().timing.frames_per_second, Some(25.0));
}

#[test]
fn the_content_counts_not_the_ending() {
    let folder = folder(&[("rgb.png", "0.jpg"), ("420.jpg", "1.png")]);
    let clip = open(folder.path()).unwrap();
    assert_eq!(
        clip.frame(0).unwrap().data(),
        open(image("rgb.png")).unwrap().frame(0).unwrap().data()
    );
    assert_eq!(
        clip.frame(1).unwrap().data(),
        open(image("420.jpg")).unwrap().frame(0).unwrap().data()
    );
}

#[test]
fn a_folder_without_images_names_the_accepted_endings() {
    let folder = folder(&[]);
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error, FrameError::NoImages { .. }));
    assert!(
        error.to_string().ends_with("accepted endings are .jpg, .jpeg, .png, .bmp, .tif, .tiff"),
        "{error}"
    );
}

#[test]
fn the_file_of_another_size_is_named() {
    let folder = folder(&[("rgb.png", "0.png"), ("rgb.png", "1.png")]);
    let mut small = b"BM".to_vec(); // A bitmap of 1x1.
    small.extend([
        58, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24, 0,
    ]);
    small.extend([0; 24]);
    small.extend([1, 2, 3, 0]);
    std::fs::write(folder.path().join("2.bmp"), small).unwrap();
    let error = ImageFolder::open(folder.path()).unwrap_err();
    assert!(matches!(error, FrameError::SizeChanged { index: 2, .. }), "{error}");
    assert!(
        error.to_string().contains("2.bmp: frame 2 is 1x1 but the first frame is 67x45"),
        "{error}"
    );
}

#[test]
fn damaged_and_missing_images_are_errors() {
    let folder = folder(&[
        ("420.jpg", "0.jpg"),
        ("rgb.png", "1.png"),
        ("gray.png", "2.png"),
        ("rgb.tif", "3.tif"),
    ]);
    let clip = ImageFolder::open(folder.path()).unwrap();
    for (index, name) in ["0.jpg", "1.png", "3.tif"].into_iter().enumerate() {
        let index = if index == 2 { 3 } else { index };
        let path = folder.path().join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let error = clip.frame(index).unwrap_err();
        assert!(matches!(error, FrameError::Decode { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    std::fs::remove_file(folder.path().join("2.png")).unwrap();
    assert!(matches!(clip.frame(2), Err(FrameError::NotFound { .. })));
    assert!(matches!(clip.frame(4), Err(FrameError::IndexOutOfRange { index: 4, count: 4, .. })));
    std::fs::write(folder.path().join("0.jpg"), b"\xff\xd8 not really").unwrap();
    assert!(matches!(ImageFolder::open(folder.path()), Err(FrameError::Decode { .. })));
    std::fs::write(folder.path().join("0.jpg"), b"").unwrap();
    assert!(ImageFolder::open(folder.path()).is_err());
}

#[test]
fn animations_are_refused_by_name_with_what_to_do() {
    for (source, name, told) in [
        ("animated.webp.refused", "0.webp", "an animated WebP, which is not read; save its frames"),
        ("animated.webp.refused", "0.png", "an animated WebP, which is not read; save its frames"),
        ("animated.png.refused", "0.png", "an animated PNG, of which only the first frame"),
    ] {
        let folder = folder(&[(source, name)]);
        let file = folder.path().join(name);
        let mut refused = vec![open(&file)];
        if name.ends_with(".png") {
            refused.push(open(folder.path()));
        }
        for error in refused {
            let error = error.err().unwrap();
            assert!(matches!(error, FrameError::Unsupported { .. }), "{name}: {error}");
            assert!(
                error.to_string().contains(told) && error.to_string().contains(name),
                "{error}"
            );
        }
    }
    // As its error message advises.
    let folder = folder(&[("animated.png.refused", "0.apng")]);
    assert_eq!(open(folder.path().join("0.apng")).unwrap().info().frame_count, 3);
}

#[test]
fn files_and_folders_are_told_apart() {
    let folder = folder(&[("420.jpg", "0.jpg")]);
    let file = folder.path().join("0.jpg");
    assert!(matches!(ImageFolder::open(&file), Err(FrameError::NotADirectory { .. })));
    assert!(matches!(
        ImageFolder::open(folder.path().join("no")),
        Err(FrameError::NotFound { .. })
    ));
    assert!(matches!(ImageFolder::from_files(vec![]), Err(FrameError::Empty { .. })));
    assert_eq!(open(&file).unwrap().info().frame_count, 1);
}
