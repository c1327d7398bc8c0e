//! TIFF files with samples of other types, from microscopes' programs and in several files; images
//! that are stored turned; and formats that are rejected by name. `data/make_kinds.py` makes the
//! expected results.

#![allow(clippy::unwrap_used)]

mod common;
mod stack_data;

use std::io::Read;
use std::path::{Path, PathBuf};

use common::orders;
use sam2_frame_provider::{
    FrameError, FrameSource, ImageFolder, Intensity, OmeTiff, OpenOptions, TiffStack, files_of,
    open, open_with,
};
use stack_data::{kinds_data, unpack_from, write};
use xxhash_rust::xxh3::xxh3_64;

fn hash(source: &dyn FrameSource, index: usize) -> String {
    let frame = source.frame(index).unwrap_or_else(|error| panic!("frame {index}: {error}"));
    format!("{:016x}", xxh3_64(frame.data()))
}

fn case(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases")).join(name)
}

#[test]
fn every_frame_is_as_numpy_has_it_in_every_order() {
    let folder = unpack_from(kinds_data(), "");
    let mut compared = 0;
    for case in kinds_data().cases.iter().filter(|case| !case.path.starts_with("turned_")) {
        let label = format!("{} [{}] {}", case.path, case.axes, case.intensity);
        let options = OpenOptions::default()
            .intensity(case.intensity.parse().unwrap())
            .axes(case.axes.parse().unwrap());
        let source = open_with(folder.path().join(&case.path), &options)
            .unwrap_or_else(|error| panic!("{label}: {error}"));
        assert_eq!(source.info().frame_count, case.frames.len(), "{label}");
        assert_eq!(source.info().size.to_string(), "19x13", "{label}");
        for (order, frames) in orders(case.frames.len()) {
            for index in frames {
                assert_eq!(hash(&source, index), case.frames[index], "{label}: {index}, {order}");
                compared += 1;
            }
        }
    }
    println!("TOTAL {compared} frames compared");
    assert!(compared > 4000, "{compared}");
}

#[test]
fn images_are_upright_as_pillow_and_opencv_show_them() {
    let folder = unpack_from(kinds_data(), "turned_");
    let mut compared = 0;
    for case in kinds_data().cases.iter().filter(|case| case.path.starts_with("turned_")) {
        let options = OpenOptions::default().intensity(Intensity::Full);
        let options = options.exif(case.axes == "upright");
        let files = vec![folder.path().join(&case.path)];
        let clip = ImageFolder::from_files_with(files, &options).unwrap();
        assert_eq!(hash(&clip, 0), case.frames[0], "{} {}", case.path, case.axes);
        let stem = Path::new(&case.path).file_stem().unwrap().to_str().unwrap();
        let on_its_side = case.axes == "upright" && stem.parse::<u32>().unwrap() > 4;
        let size = if on_its_side { "13x19" } else { "19x13" };
        assert_eq!(clip.info().size.to_string(), size, "{} {}", case.path, case.axes);
        compared += 1;
    }
    assert_eq!(compared, 80);
}

#[test]
fn a_click_on_the_picture_that_viewers_show_hits_the_disc() {
    let folder = case("exif-orientation/frames");
    let clip = open(&folder).unwrap();
    assert_eq!((clip.info().frame_count, clip.info().size.to_string()), (6, "256x192".into()));
    let bright = |source: &dyn FrameSource, x: u32, y: u32| -> u32 {
        source.frame(0).unwrap().pixel(x, y).unwrap().iter().map(|&v| u32::from(v)).sum()
    };
    let stored = open_with(&folder, &OpenOptions::default().exif(false)).unwrap();
    assert_eq!(stored.info().size.to_string(), "192x256");
    // A quarter turn clockwise: stored (x, y) is shown at (255 - y, x).
    assert_eq!(bright(&clip, 50, 140), bright(&stored, 140, 205));
    assert_eq!(clip.frame(0).unwrap().pixel(255, 0), stored.frame(0).unwrap().pixel(0, 0));
    // Sizes are compared after turning.
    let mixed = tempfile::tempdir().unwrap();
    let from = unpack_from(kinds_data(), "turned_");
    for (number, name) in
        ["turned_jpg/1.jpg", "turned_jpg/2.jpg", "turned_png/3.png"].iter().enumerate()
    {
        std::fs::copy(from.path().join(name), mixed.path().join(format!("{number}.png"))).unwrap();
    }
    assert_eq!(open(mixed.path()).unwrap().info().frame_count, 3);
    std::fs::copy(from.path().join("turned_jpg/6.jpg"), mixed.path().join("3.jpg")).unwrap();
    let error = open(mixed.path()).err().unwrap();
    assert!(matches!(error, FrameError::SizeChanged { index: 3, .. }), "{error}");
    assert!(open_with(mixed.path(), &OpenOptions::default().exif(false)).is_ok());
    // A stack is read as stored, with a warning.
    let stack = open(from.path().join("turned_tif/6.tif")).unwrap();
    assert_eq!(stack.info().size.to_string(), "19x13");
    assert!(
        stack.info().warnings.join("; ").contains("Orientation 6"),
        "{:?}",
        stack.info().warnings
    );
}

#[test]
fn the_cases_of_microscopes_have_their_frames() {
    let folder = tempfile::tempdir().unwrap();
    let packed = std::fs::File::open(case("metamorph-stk/t_metamorph.stk.gz")).unwrap();
    let mut stack = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut stack).unwrap();
    for name in ["t_metamorph.stk", "t_metamorph.tif", "noending"] {
        let clip = open(write(folder.path(), name, &stack)).unwrap();
        assert_eq!(
            (clip.info().frame_count, clip.info().size.to_string()),
            (8, "256x192".into()),
            "{name}"
        );
        assert_eq!(*clip.info().warnings, Vec::<String>::new());
        assert_ne!(clip.frame(0).unwrap(), clip.frame(7).unwrap());
    }
    let clip = open(case("scanimage-two-channels/small.tif")).unwrap();
    assert_eq!(clip.info().frame_count, 6);
    let text = clip.info().warnings.join("; ");
    assert!(text.contains("only channel 1 is read, of 2 (1, 2)"), "{text}");
    let all: Vec<PathBuf> = ["", "/rec_0.ome.tif", "/rec_1.ome.tif"]
        .map(|name| case(&format!("ome-tiff-several-files{name}")))
        .to_vec();
    let clips: Vec<_> = all.iter().map(|path| open(path).unwrap()).collect();
    for clip in &clips {
        assert_eq!((clip.info().frame_count, clip.info().size.to_string()), (24, "128x96".into()));
        assert_eq!(*clip.info().warnings, Vec::<String>::new());
        for index in 0..24 {
            assert_eq!(hash(clip, index), hash(&clips[0], index));
        }
    }
    assert_ne!(clips[0].frame(0).unwrap(), clips[0].frame(12).unwrap());
}

#[test]
fn what_is_left_out_or_missing_is_told() {
    let folder = unpack_from(kinds_data(), "");
    let warnings = |name: &str| open(folder.path().join(name)).unwrap().info().warnings.join("; ");
    for (name, words) in [
        ("metamorph_cut_off.stk", "truncated: MetaMorph claims 8 pages, 5 are there"),
        ("metamorph_two_wavelengths.stk", "only channel 0 is read, of 2 (0, 1)"),
        ("scanimage_2016.tif", "only z 0 is read"),
        ("scanimage_3.tif", "only channel 1 is read, of 2 (1, 3)"),
        ("scanimage_big.tif", "only channel 1 is read, of 2 (1, 2)"),
        ("shaped_tcyx.tif", "only channel 0 is read, of 2 (0, 1)"),
        ("shaped_unnamed.tif", "only axis1 0 is read, of 2 (0, 1)"),
        ("zeiss.lsm", "only the first sample of each pixel is read, of 2"),
        ("ome_planes", "only channel 0 is read"),
        ("ome_positions/ome_positions_0.ome.tif", "only position 0 is read, of 2"),
    ] {
        let found = warnings(name);
        assert!(found.contains(words), "{name}: {found}");
    }
    for name in
        ["metamorph_le.stk", "scanimage_one.tif", "ome_time", "ome_companion", "float_folder"]
    {
        assert_eq!(warnings(name), "", "{name}");
    }
}

#[test]
fn paths_of_one_recording_have_the_same_files() {
    let folder = unpack_from(kinds_data(), "ome_");
    let files = |name: &str| {
        let mut files = files_of(folder.path().join(name));
        files.sort();
        files.iter().map(|file| file.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (paths, count) in [
        (&["ome_time", "ome_time/ome_time_0.ome.tif", "ome_time/ome_time_1.ome.tif"][..], 3),
        (&["ome_positions", "ome_positions/ome_positions_0.ome.tif"], 1),
        (
            &[
                "ome_companion",
                "ome_companion/rec.companion.ome",
                "ome_companion/ome_companion_1.ome.tif",
            ],
            2,
        ),
    ] {
        for path in paths {
            assert_eq!(files(path), files(paths[0]), "{path}");
            assert_eq!(files(path).len(), count, "{path}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let empty = |name: &str| {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        write(folder.path(), name, b"");
    };
    // A pyramid of NDTiff, from both of its folders.
    empty("pyramid/Full resolution/NDTiff.index");
    let whole = at("pyramid/Full resolution");
    assert_eq!(files_of(at("pyramid")), std::slice::from_ref(&whole));
    assert_eq!(files_of(&whole), [whole]);
    // A single file of these is read alone.
    for names in [["mm/a_MMStack_1.ome.tif", "mm/a_MMStack_2.ome.tif"], ["day/0.avi", "day/1.avi"]]
    {
        names.iter().for_each(|name| empty(name));
        let found = files_of(at(names[0]).parent().unwrap());
        assert_eq!(found, names.map(at));
        assert_eq!(files_of(at(names[0])), [at(names[0])]);
    }
    ["images/1.png", "images/2.png"].iter().for_each(|name| empty(name));
    for path in ["images", "images/*", "images/*.png"] {
        let mut found = files_of(at(path));
        found.sort();
        assert_eq!(found, ["images/1.png", "images/2.png"].map(at), "{path}");
    }
    for itself in ["images/1.png", "nothing", "nothing*.tif"] {
        assert_eq!(files_of(at(itself)), [at(itself)], "{itself}");
    }
}

#[test]
fn ome_files_are_found_missed_and_told_apart() {
    let folder = unpack_from(kinds_data(), "ome_");
    let at = |name: &str| folder.path().join(name);
    let frames = |path: PathBuf| open(path).map(|source| source.info().frame_count);
    let refused = |path: PathBuf| {
        let error = open(path).err().unwrap();
        assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
        error.to_string()
    };
    // A renamed file is found by its UUID, and finds the others.
    std::fs::rename(at("ome_time/ome_time_1.ome.tif"), at("ome_time/second.tif")).unwrap();
    assert_eq!(frames(at("ome_time/second.tif")).unwrap(), 12);
    assert_eq!(frames(at("ome_time/ome_time_0.ome.tif")).unwrap(), 12);
    assert_eq!(frames(at("ome_time")).unwrap(), 12);
    // A missing file is named.
    std::fs::remove_file(at("ome_time/second.tif")).unwrap();
    for path in ["ome_time", "ome_time/ome_time_0.ome.tif"] {
        let text = refused(at(path));
        assert!(
            text.contains("3 files, of which 1 with frames are missing (ome_time_1.ome.tif)"),
            "{text}"
        );
    }
    // So is a missing file of several pages, if only one file is left.
    std::fs::remove_file(at("ome_companion/ome_companion_1.ome.tif")).unwrap();
    for path in ["", "/ome_companion_0.ome.tif", "/rec.companion.ome"] {
        let text = refused(at(&format!("ome_companion{path}")));
        let words = "2 files, of which 1 with frames are missing (ome_companion_1.ome.tif)";
        assert!(text.contains(words), "{path}: {text}");
    }
    // A missing file without frames of the chosen channel is not needed, but reported.
    std::fs::remove_file(at("ome_planes/ome_planes_2.ome.tif")).unwrap();
    assert_eq!(frames(at("ome_planes")).unwrap(), 3);
    let text = open(at("ome_planes")).unwrap().info().warnings.join("; ");
    assert!(
        text.contains("1 of the 12 files") && text.contains("(ome_planes_2.ome.tif)"),
        "{text}"
    );
    let options = OpenOptions::default().axes("channel=1".parse().unwrap());
    let text = open_with(at("ome_planes"), &options).err().unwrap().to_string();
    assert!(text.contains("ome_planes_2.ome.tif"), "{text}");
    // A file of another recording under the name of a part.
    let other = at("ome_time/ome_time_1.ome.tif");
    std::fs::copy(at("ome_planes/ome_planes_0.ome.tif"), &other).unwrap();
    assert!(refused(at("ome_time/ome_time_0.ome.tif")).contains("another UUID"));
    // A file in the folder that belongs to no part.
    std::fs::write(&other, &kinds_data().files["ome_time/ome_time_1.ome.tif"]).unwrap();
    assert_eq!(frames(at("ome_time")).unwrap(), 12);
    std::fs::write(at("ome_time/other.tif"), &kinds_data().files["fifty_float32.tif"]).unwrap();
    assert!(
        refused(at("ome_time")).contains("does not belong to the OME-TIFF recording of 3 files")
    );
    assert_eq!(frames(at("ome_time/ome_time_2.ome.tif")).unwrap(), 12);
    // A file that ends early yields the frames before the gap.
    let last = &kinds_data().files["ome_companion/ome_companion_1.ome.tif"];
    std::fs::write(at("ome_companion/ome_companion_1.ome.tif"), &last[..last.len() * 2 / 3])
        .unwrap();
    let clip = open(at("ome_companion/ome_companion_0.ome.tif")).unwrap();
    assert!((6..12).contains(&clip.info().frame_count), "{}", clip.info().frame_count);
    assert!(
        clip.info().warnings[0].contains("truncated: OME places 12 frames"),
        "{:?}",
        clip.info().warnings
    );
    std::fs::remove_file(at("ome_companion/rec.companion.ome")).unwrap();
    assert!(
        refused(at("ome_companion/ome_companion_0.ome.tif"))
            .contains("rec.companion.ome, which is missing")
    );
    // A recording must not refer to files outside of its folder.
    let outside = kinds_data().files["ome_time/ome_time_0.ome.tif"].clone();
    let text = String::from_utf8_lossy(&outside).into_owned();
    assert!(text.contains("ome_time_1.ome.tif"));
    let at_name = outside.windows(18).position(|bytes| bytes == b"ome_time_1.ome.tif").unwrap();
    let mut outside = outside;
    outside[at_name..at_name + 18].copy_from_slice(b"../../../etc/a.tif");
    std::fs::remove_file(at("ome_time/other.tif")).unwrap();
    std::fs::write(at("ome_time/ome_time_0.ome.tif"), outside).unwrap();
    assert!(refused(at("ome_time/ome_time_0.ome.tif")).contains("not in its folder"));
    // A single file is a stack, whatever its name.
    let single = at("ome_positions/ome_positions_0.ome.tif");
    assert!(OmeTiff::find(&single, &"".parse().unwrap()).unwrap().is_some());
    assert!(
        OmeTiff::find(case("scanimage-two-channels/small.tif"), &"".parse().unwrap())
            .unwrap()
            .is_none()
    );
}

#[test]
fn damaged_files_are_errors_or_frames_but_never_more() {
    let data = kinds_data();
    let names = [
        "metamorph_two_wavelengths.stk",
        "scanimage_big.tif",
        "zeiss.lsm",
        "float32_1_tiles_zstd_predictor_be.tif",
        "int16_1_strips_lzw_predictor_le.tif",
        "ome_positions/ome_positions_0.ome.tif",
        "array_big_f8.npy",
        "turned_late_png/6.png",
        "turned_jpg/6.jpg",
    ];
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let bytes = data.files.get(name).unwrap_or_else(|| panic!("{name}"));
        let file = name.rsplit('/').next().unwrap();
        let read = |bytes: &[u8]| {
            let path = write(folder.path(), file, bytes);
            if let Ok(source) = open(&path) {
                (0..source.info().frame_count.min(20)).for_each(|index| drop(source.frame(index)));
            }
        };
        for length in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            read(&bytes[..length]);
        }
        let mut state = 1u64;
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % damaged.len().min(2000);
                damaged[at] = (state >> 25) as u8;
            }
            read(&damaged);
        }
    }
}

#[test]
fn other_programs_formats_are_refused_by_name_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, head: &[u8]| {
        let error = open(write(folder.path(), name, head)).err().unwrap();
        assert!(matches!(error, FrameError::Unsupported { .. }), "{name}: {error}");
        error.to_string()
    };
    for (name, head, words) in [
        (
            "a.h5",
            &b"\x89HDF\r\n\x1a\n\0\0"[..],
            "is an HDF5 file, which is not read; save the frames as a TIFF stack",
        ),
        ("a.nwb", b"\x89HDF\r\n\x1a\n\0\0", "is an NWB file (HDF5)"),
        ("a.avi", b"\x89HDF\r\n\x1a\n\0\0", "is an HDF5 file"),
        ("a.npz", b"PK\x03\x04", "is an archive of NumPy arrays"),
        ("a.mat", b"MATLAB 5.0 MAT-file, Platform", "is a MATLAB file"),
        (
            "a.nd2",
            b"\xda\xce\xbe\x0a",
            "is a Nikon ND2 file, which is not read; convert it to OME-TIFF",
        ),
        ("a.czi", b"ZISRAWFILE", "is a Zeiss CZI file"),
        ("a.lif", b"\x70\0\0\0", "is a Leica LIF file"),
        ("a.oib", b"\xd0\xcf\x11\xe0", "is an Olympus file"),
        ("a.vsi", b"II*\0\x08\0\0\0", "is an Olympus file"),
        ("a.seq", b"\xed\xfe\0\0N\0o\0r\0p\0i\0x\0 \0s\0", "is a StreamPix (Norpix) sequence"),
        ("a.raw", b"\x10\x12\x11", "ffmpeg -f rawvideo"),
        ("a.bin", b"\x10\x12\x11", "ffmpeg -f rawvideo"),
        ("a.zip", b"PK\x03\x04", "unpack it"),
    ] {
        let text = refused(name, head);
        assert!(text.contains(words), "{text}");
    }
    for marker in [".zgroup", ".zarray", "zarr.json"] {
        let array = folder.path().join(format!("array{marker}"));
        std::fs::create_dir(&array).unwrap();
        std::fs::write(array.join(marker), "{}").unwrap();
        let text = open(&array).err().unwrap().to_string();
        assert!(text.contains("is a Zarr array, which is not read; save"), "{text}");
    }
    std::fs::create_dir(folder.path().join("b.zarr")).unwrap();
    assert!(open(folder.path().join("b.zarr")).err().unwrap().to_string().contains("a Zarr array"));
    // A video is read as a video, whatever its name.
    let workshop = common::Workshop::new();
    let film = workshop.film("64x48", 30, 0.5, "-c:v mjpeg", "film.avi");
    let renamed = folder.path().join("film.dat");
    std::fs::copy(&film, &renamed).unwrap();
    assert_eq!(open(&renamed).unwrap().info().frame_count, 15);
}

#[test]
fn arrays_that_are_not_read_say_how_to_save_them() {
    let folder = unpack_from(kinds_data(), "");
    for (name, words) in [
        ("int64", "of the type i8"),
        ("first", "of the shape (3, 3, 13, 19)"),
        ("line", "of the shape (19,)"),
        ("complex", "of the type c8"),
    ] {
        let error = open(folder.path().join(format!("refused_array_{name}.npy"))).err().unwrap();
        assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("; save it in Python"), "{text}");
    }
    let bytes = &kinds_data().files["array_uint16.npy"];
    for length in 0..bytes.len() {
        match open(write(folder.path(), "cut_off.npy", &bytes[..length])) {
            Ok(clip) => {
                assert!(clip.info().warnings[0].contains("truncated: its header claims 3 frames"));
                (0..clip.info().frame_count).for_each(|index| drop(clip.frame(index).unwrap()));
            }
            Err(error) => assert!(length < 128 + 13 * 19 * 2, "{length}: {error}"),
        }
    }
}

/// Converts an array in C order to Fortran order.
fn in_fortran_order(bytes: &[u8]) -> Vec<u8> {
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8(bytes[..start][10..].to_vec()).unwrap();
    let shape = header.split_once("'shape': (").unwrap().1.split_once(')').unwrap().0;
    let sides: Vec<usize> = shape.split(',').filter_map(|side| side.trim().parse().ok()).collect();
    let count: usize = sides.iter().product();
    let sample = (bytes.len() - start) / count;
    let mut data = vec![0; bytes.len() - start];
    for (at, value) in bytes[start..].chunks_exact(sample).enumerate() {
        let (mut rest, mut target, mut stride) = (at, 0, count);
        for side in sides.iter().rev() {
            stride /= side;
            target += rest % side * stride;
            rest /= side;
        }
        data[target * sample..][..sample].copy_from_slice(value);
    }
    // One blank fewer, because `True` is shorter.
    let header = header.replace("'fortran_order': False", "'fortran_order': True ");
    [&bytes[..10], header.as_bytes(), &data].concat()
}

#[test]
fn arrays_in_fortran_order_have_the_frames_of_those_in_c_order() {
    let data = kinds_data();
    let folder = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for (name, bytes) in data.files.iter() {
        if !name.starts_with("array_") || name == "array_fortran.npy" {
            continue;
        }
        let fortran = in_fortran_order(bytes);
        let [c, f] = [("c.npy", bytes), ("f.npy", &fortran)]
            .map(|(name, bytes)| open(write(folder.path(), name, bytes)).unwrap());
        assert_eq!(
            (c.info().frame_count, c.info().size),
            (f.info().frame_count, f.info().size),
            "{name}"
        );
        for index in (0..c.info().frame_count).rev() {
            assert_eq!(hash(&c, index), hash(&f, index), "{name}: {index}");
            compared += 1;
        }
        // In that case every frame has lost some data.
        let cut = write(folder.path(), "cut.npy", &fortran[..fortran.len() - 1]);
        let error = open(cut).err().unwrap().to_string();
        assert!(error.contains("cut off") && error.contains("copy it again"), "{error}");
    }
    assert!(compared > 30, "{compared}");
}

#[test]
fn floating_point_has_no_full_range() {
    let name = "fifty_float32.tif";
    let stack = TiffStack::from_bytes(name, kinds_data().files[name].clone(), &"".parse().unwrap());
    let stack = stack.unwrap().with_intensity(Intensity::Full);
    let text = stack.frame(0).unwrap_err().to_string();
    assert!(text.starts_with("fifty_float32.tif: 32-bit floating-point samples"), "{text}");
    assert!(text.contains("no full range; choose the intensity auto"), "{text}");
}
