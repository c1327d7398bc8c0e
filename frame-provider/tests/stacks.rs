//! TIFF stacks and Micro-Manager recordings as written by other programs, frame by frame, and the
//! range of intensities. `data/make_stacks.py` makes the expected results.

#![allow(clippy::unwrap_used)]

mod common;
mod stack_data;

use common::orders;
use sam2_frame_provider::{
    Axes, FrameError, FrameSource, ImageFolder, Intensity, MmStack, NdTiff, OpenOptions, TiffStack,
    open, open_with,
};
use stack_data::{file, stack_data, unpack, write};
use xxhash_rust::xxh3::xxh3_64;

fn hash(source: &dyn FrameSource, index: usize) -> String {
    let frame = source.frame(index).unwrap_or_else(|error| panic!("frame {index}: {error}"));
    format!("{:016x}", xxh3_64(frame.data()))
}

#[test]
fn every_frame_is_as_numpy_has_it_in_every_order() {
    let folder = unpack("");
    let (mut cases, mut grid, mut compared) = (0, 0, 0);
    for case in &stack_data().cases {
        let label = format!("{} [{}] {}", case.path, case.axes, case.intensity);
        let options = OpenOptions::default()
            .intensity(case.intensity.parse().unwrap())
            .axes(case.axes.parse().unwrap());
        let path = folder.path().join(&case.path);
        let source = open_with(&path, &options).unwrap_or_else(|error| panic!("{label}: {error}"));
        assert_eq!(source.info().frame_count, case.frames.len(), "{label}");
        assert_eq!(source.info().size.to_string(), "35x21", "{label}");
        for (order, frames) in orders(case.frames.len()) {
            for index in frames {
                assert_eq!(hash(&source, index), case.frames[index], "{label}: {index}, {order}");
                compared += 1;
            }
        }
        cases += 1;
        grid += usize::from(case.path.starts_with("grid_"));
    }
    println!(
        "TOTAL {cases} cases, {grid} of them in the grid of layouts, {compared} frames compared"
    );
    assert_eq!((cases, grid), (723, 640));
}

#[test]
fn the_range_does_not_depend_on_what_is_read_first() {
    let case = stack_data().cases.iter().find(|case| case.intensity == "percentile:1,99").unwrap();
    for first in [49, 20, 0] {
        let stack =
            TiffStack::from_bytes("clip.tif", file(&case.path).to_vec(), &Axes::default()).unwrap();
        let stack = stack.with_intensity(case.intensity.parse().unwrap());
        assert_eq!(hash(&stack, first), case.frames[first]);
        assert_eq!(hash(&stack, 3), case.frames[3]);
    }
}

/// Returns the number of bytes read by this process, as the kernel counts them.
#[cfg(target_os = "linux")]
fn bytes_read() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}

/// Makes a BigTIFF of `pages` pages of 1 MiB, all of them holes: it takes no room on disk.
fn sparse_stack(folder: &std::path::Path, pages: u64) -> std::path::PathBuf {
    const PAGE: u64 = 1 << 20;
    let mut bytes = b"II\x2b\0\x08\0\0\0".to_vec();
    bytes.extend(16u64.to_le_bytes());
    let directory = 8 + 8 * 20 + 8;
    let pixels = 16 + pages * directory;
    for page in 0..pages {
        bytes.extend(8u64.to_le_bytes());
        let entries: [(u16, u16, u64); 8] = [
            (256, 4, 1024),
            (257, 4, 1024),
            (258, 3, 8),
            (259, 3, 1),
            (262, 3, 1),
            (273, 16, pixels + page * PAGE),
            (278, 4, 1024),
            (279, 16, PAGE),
        ];
        for (tag, kind, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(1u64.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        let next = if page + 1 < pages { 16 + (page + 1) * directory } else { 0 };
        bytes.extend(next.to_le_bytes());
    }
    let path = write(folder, "huge.btf", &bytes);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(pixels + pages * PAGE).unwrap();
    path
}

#[test]
#[cfg(target_os = "linux")]
fn opening_fifty_gigabytes_reads_no_pixels() {
    use std::io::{Seek, SeekFrom, Write};
    let folder = tempfile::tempdir().unwrap();
    let pages = 50 * 1024;
    let path = sparse_stack(folder.path(), pages);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::End(-1)).unwrap();
    file.write_all(&[200]).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 50 << 30);
    let before = bytes_read();
    let start = std::time::Instant::now();
    let stack = TiffStack::open(&path).unwrap();
    let (read, elapsed) = (bytes_read() - before, start.elapsed());
    println!("TOTAL {pages} pages opened in {elapsed:?}, {read} bytes read");
    assert_eq!(stack.info().frame_count, pages as usize);
    // One kibibyte per directory, and the header.
    assert!(read <= (pages + 8) * 1024, "{read}");
    let before = bytes_read();
    let frame = stack.frame(pages as usize - 1).unwrap();
    assert_eq!(frame.pixel(1023, 1023), Some([200; 3]));
    let read = bytes_read() - before;
    assert!(read < (1 << 20) + 4096, "one page and its directory: {read}");
}

#[test]
#[cfg(target_os = "linux")]
fn contiguous_frames_beyond_four_gigabytes_are_found() {
    use std::io::{Seek, SeekFrom, Write};
    let folder = tempfile::tempdir().unwrap();
    let name = "imagej_one_directory_be.tif";
    let small = file(name).to_vec();
    // Enough frames to exceed 4 GiB, as a hole.
    let frame = 35 * 21 * 2;
    let frames = (5u64 << 30) / frame;
    let at = small.windows(20).position(|bytes| bytes == b"images=12\nslices=12\n").unwrap();
    let mut large = small.clone();
    // Of the same length, so that no offset changes.
    let claim = format!("images={frames}\n");
    large[at..at + claim.len()].copy_from_slice(claim.as_bytes());
    large[at + claim.len()..at + 20].fill(b'\n');
    let path = write(folder.path(), name, &large);
    let start = small.len() as u64 - 12 * frame;
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(start + frames * frame).unwrap();
    file.seek(SeekFrom::End(-2)).unwrap();
    file.write_all(&[0x7f, 0xff]).unwrap();
    let stack = TiffStack::open(&path).unwrap().with_intensity(Intensity::Full);
    assert_eq!(stack.info().frame_count as u64, frames);
    assert_eq!(*stack.info().warnings, Vec::<String>::new());
    let last = stack.frame(frames as usize - 1).unwrap();
    assert_eq!((last.pixel(34, 20), last.pixel(33, 20)), (Some([0x7f; 3]), Some([0; 3])));
    let original = TiffStack::from_bytes(name, small, &Axes::default())
        .unwrap()
        .with_intensity(Intensity::Full);
    assert_eq!(hash(&stack, 11), hash(&original, 11));
}

#[test]
fn warnings_say_what_is_left_out_or_missing() {
    let folder = unpack("");
    let warnings = |name: &str| {
        let source = open(folder.path().join(name)).unwrap();
        source.info().warnings.join("; ")
    };
    for (name, words) in [
        ("shaped_cut_off.btf", "truncated: tifffile claims 12 pages, 7 are there"),
        ("imagej_hyper.tif", "only channel 0 is read, of 2 (0, 1)"),
        ("ome_hyper.ome.tif", "only z 0 is read"),
        ("nd_axes", "only channel GFP is read, of 2 (DAPI, GFP)"),
        ("nd_axes", "time runs from 0 to 4 with 3 missing"),
        ("mm_axes/clip_MMStack_Pos0_2.ome.tif", "one of the 3 files"),
        ("mm_crashed", "has no sound index map"),
        ("mm_gap", "time runs from 0 to 2 with 1 missing"),
        ("mm_positions", "only position 0 is read"),
    ] {
        let found = warnings(name);
        assert!(found.contains(words), "{name}: {found}");
    }
    for name in ["grid_gray_uint16_gray_strips_none_classic_le.tif", "pyramid.tif", "nd_time"] {
        assert_eq!(warnings(name), "", "{name}");
    }
}

#[test]
fn axes_that_are_not_there_are_refused_with_what_is() {
    let folder = unpack("");
    let refused = |name: &str, axes: &str| {
        let options = OpenOptions::default().axes(axes.parse().unwrap());
        let error = open_with(folder.path().join(name), &options).err().unwrap();
        assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
        error.to_string()
    };
    assert!(refused("nd_axes", "channel=RFP").contains("choose one of DAPI, GFP"));
    assert!(refused("mm_axes", "tile=3").contains("has no axis tile; it has time (0, 1, 2)"));
    assert!(refused("imagej_hyper.tif", "z=2").contains("choose one of 0, 1"));
    assert!(refused("palette.tif", "z=0").contains("no axes to choose from"));
}

#[test]
fn a_page_of_another_size_is_an_error_of_that_frame() {
    let stack =
        TiffStack::from_bytes("sizes.tif", file("sizes.tif").to_vec(), &Axes::default()).unwrap();
    assert_eq!(stack.info().frame_count, 3);
    assert!(
        stack.info().warnings[0].contains("page 1 is of another size"),
        "{:?}",
        stack.info().warnings
    );
    assert!(stack.frame(0).is_ok() && stack.frame(2).is_ok());
    let error = stack.frame(1).unwrap_err();
    assert!(matches!(error, FrameError::SizeChanged { index: 1, .. }), "{error}");
}

#[test]
fn what_is_not_supported_is_named_with_the_remedy() {
    let name = "lzma.tif";
    let error = TiffStack::from_bytes(name, file(name).to_vec(), &Axes::default()).unwrap_err();
    assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("compression 34925") && text.contains("; save it"), "{text}");
}

#[test]
fn several_threads_read_one_stack() {
    let case = stack_data().cases.iter().find(|case| case.intensity == "percentile:1,99").unwrap();
    let stack =
        TiffStack::from_bytes("clip.tif", file(&case.path).to_vec(), &Axes::default()).unwrap();
    let stack = stack.with_intensity(case.intensity.parse().unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (stack, case) = (&stack, &case);
            scope.spawn(move || {
                for index in (0..50).map(|index| (index * 7 + thread * 13) % 50) {
                    assert_eq!(hash(stack, index), case.frames[index]);
                }
            });
        }
    });
}

#[test]
fn folders_of_sixteen_bit_images_have_one_range() {
    let images = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images/");
    let folder = tempfile::tempdir().unwrap();
    for (index, name) in ["gray16.png", "gray16.tif"].into_iter().enumerate() {
        let bytes = std::fs::read(format!("{images}{name}")).unwrap();
        write(folder.path(), &format!("{index}_{name}"), &bytes);
    }
    let clip = ImageFolder::open(folder.path()).unwrap();
    // Pixel `i` of both is `i * 21`, with 3,015 pixels.
    let at = |index: usize| u64::from(clip.frame(index / 3015).unwrap().data()[index % 3015 * 3]);
    let (low, high) = (6 * 21 / 2, 3011 * 21);
    for index in [0, 3, 100, 1500, 3014, 3015, 4515, 6029] {
        let value = (index as u64 % 3015 * 21).clamp(low, high) - low;
        let expected = (value * 510 + (high - low)) / (2 * (high - low));
        assert!(at(index).abs_diff(expected) <= 1, "{index}: {} {expected}", at(index));
    }
    let clip = ImageFolder::open(folder.path()).unwrap().with_intensity("0,2100".parse().unwrap());
    let frame = clip.frame(1).unwrap();
    assert_eq!([frame.data()[0], frame.data()[50 * 3], frame.data()[200 * 3]], [0, 128, 255]);
    let mixed = std::fs::read(format!("{images}rgb.png")).unwrap();
    write(folder.path(), "2_rgb.png", &mixed);
    let clip = ImageFolder::open(folder.path()).unwrap();
    assert!(clip.frame(0).is_ok() && clip.frame(2).is_ok(), "8 bits need no range");
    let clip = clip.with_intensity(Intensity::MinMax);
    assert!(clip.frame(0).is_ok());
    let error = clip.frame(2).unwrap_err().to_string();
    assert!(error.contains("bring all frames to one depth"), "{error}");
}

#[test]
fn videos_and_images_take_an_intensity_too() {
    let images = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images/");
    let options = OpenOptions::default().intensity("0,100".parse().unwrap());
    let plain = open(format!("{images}gray.png")).unwrap().frame(0).unwrap();
    let mapped = open_with(format!("{images}gray.png"), &options).unwrap().frame(0).unwrap();
    for (&before, &after) in plain.data().iter().zip(mapped.data()) {
        let value = u32::from(before).min(100);
        assert_eq!(u32::from(after), (value * 510 + 100) / 200);
    }
    let workshop = common::Workshop::new();
    let film = workshop.film("64x48", 30, 0.5, "-c:v mjpeg", "film.avi");
    let plain = open(&film).unwrap().frame(3).unwrap();
    let mapped = open_with(&film, &options).unwrap().frame(3).unwrap();
    for (&before, &after) in plain.data().iter().zip(mapped.data()) {
        assert_eq!(u32::from(after), (u32::from(before).min(100) * 510 + 100) / 200);
    }
    assert!(open_with(&film, &OpenOptions::default().axes("z=1".parse().unwrap())).is_err());
}

#[test]
fn recordings_that_lost_a_part_are_typed_errors() {
    let folder = unpack("nd_");
    let at = |name: &str| folder.path().join(name);
    std::fs::remove_file(at("nd_time/clip_NDTiffStack.tif")).unwrap();
    let error = NdTiff::open(at("nd_time")).unwrap_err();
    assert!(matches!(error, FrameError::NotFound { .. }), "{error}");
    let index = file("nd_axes/NDTiff.index");
    for length in 0..index.len() {
        std::fs::write(at("nd_axes/NDTiff.index"), &index[..length]).unwrap();
        match NdTiff::open(at("nd_axes")) {
            Ok(clip) => {
                assert!(length == 0 || clip.info().frame_count > 0);
                (0..clip.info().frame_count).for_each(|index| drop(clip.frame(index).unwrap()));
            }
            Err(error) => assert!(length < 110, "{length}: {error}"),
        }
    }
    std::fs::write(at("nd_axes/NDTiff.index"), &index[..index.len() - 1]).unwrap();
    let warnings = NdTiff::open(at("nd_axes")).unwrap().info().warnings.join("; ");
    assert!(warnings.contains("ends within an entry"), "{warnings}");
    let mut preallocated = index.to_vec();
    preallocated.resize(5000, 0);
    std::fs::write(at("nd_axes/NDTiff.index"), preallocated).unwrap();
    let clip = NdTiff::open(at("nd_axes")).unwrap();
    assert!(
        clip.info().warnings.join("; ").contains("was not closed"),
        "{:?}",
        clip.info().warnings
    );
    assert_eq!(clip.info().frame_count, 2);
    let outside = String::from_utf8_lossy(index).replace("clip_NDTiffStack", "../../NDTiffStac");
    std::fs::write(at("nd_axes/NDTiff.index"), outside).unwrap();
    assert!(matches!(NdTiff::open(at("nd_axes")), Err(FrameError::NotAnImage { .. })));
    std::fs::write(at("nd_axes/NDTiff.index"), b"").unwrap();
    assert!(matches!(NdTiff::open(at("nd_axes")), Err(FrameError::NoFrames { .. })));
    let data = file("nd_eight/clip_NDTiffStack.tif");
    std::fs::write(at("nd_eight/clip_NDTiffStack.tif"), &data[..data.len() * 2 / 3]).unwrap();
    let clip = NdTiff::open(at("nd_eight")).unwrap();
    assert!(clip.frame(0).is_ok());
    assert!(matches!(clip.frame(2), Err(FrameError::Decode { index: 2, .. })));
    assert!(matches!(clip.frame(3), Err(FrameError::IndexOutOfRange { index: 3, .. })));

    let folder = unpack("mm_");
    let at = |name: &str| folder.path().join(name);
    let part = at("mm_axes/clip_MMStack_Pos0_10.ome.tif");
    let data = std::fs::read(&part).unwrap();
    std::fs::write(&part, &data[..data.len() - 1000]).unwrap();
    let clip = MmStack::open(at("mm_axes")).unwrap();
    assert!(clip.frame(0).is_ok());
    std::fs::write(&part, &data[..20]).unwrap();
    assert!(matches!(MmStack::open(at("mm_axes")), Err(FrameError::NotAnImage { .. })));
    std::fs::copy(at("mm_gap/clip_MMStack.ome.tif"), at("mm_axes/other_MMStack.ome.tif")).unwrap();
    let error = MmStack::open(at("mm_axes")).unwrap_err().to_string();
    assert!(error.contains("another recording"), "{error}");
    std::fs::create_dir(at("empty")).unwrap();
    assert!(matches!(MmStack::open(at("empty")), Err(FrameError::NoImages { .. })));
}
