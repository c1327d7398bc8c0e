//! TIFF stacks that are missing, damaged or hostile give typed errors and warnings; never a panic,
//! a hang, a silent shift, or more memory than the file could fill.

#![allow(unsafe_code)] // An allocator that notes the largest request.

mod common;
mod stack_data;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::error::Error;
use std::time::{Duration, Instant};

use common::Workshop;
use sam2_frame_provider::{
    Axes, FrameError, FrameSource, Intensity, MmStack, NdTiff, TiffStack, open,
};
use stack_data::{file, stack_data, unpack, write};
use xxhash_rust::xxh3::xxh3_64;

/// The system's allocator, which also records the largest request of each thread.
struct Watching;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn remember(bytes: usize) {
    // Threads that are ending no longer have this value.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(bytes)));
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        remember(layout.size());
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        remember(layout.size());
        // SAFETY: as for this function.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        remember(size);
        // SAFETY: as for this function.
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Returns the result of `work`, and its largest single allocation.
fn largest_allocation<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LARGEST.with(|largest| largest.set(0));
    let result = work();
    (result, LARGEST.with(Cell::get))
}

fn from_bytes(data: Vec<u8>) -> Result<TiffStack, FrameError> {
    let stack = TiffStack::from_bytes("damaged.tif", data, &Axes::default())?;
    Ok(stack.with_intensity(Intensity::Full))
}

/// Checks that an error is one line that names the file, with a remedy.
fn assert_helpful(error: &FrameError) {
    let text = error.to_string();
    assert!(text.contains("damaged.tif") && !text.contains('\n'), "{text}");
    assert!(text.contains(';'), "the remedy follows a semicolon: {text}");
}

/// Opens and reads everything. Returns the number of frames, and the number of frames that could be
/// read.
fn read_all(data: Vec<u8>) -> (usize, usize) {
    match from_bytes(data) {
        Err(error) => {
            assert_helpful(&error);
            (0, 0)
        }
        Ok(stack) => {
            // A hostile chain can claim many pages; the first and the last ones are enough.
            let count = stack.info().frame_count;
            let frames = (0..count.min(8)).chain(count.saturating_sub(2).max(8)..count);
            let mut read = 0;
            for index in frames {
                match stack.frame(index) {
                    Ok(frame) => {
                        assert_eq!(frame.size(), stack.info().size);
                        read += 1;
                    }
                    Err(error) => assert_helpful(&error),
                }
            }
            assert!(matches!(stack.frame(count), Err(FrameError::IndexOutOfRange { .. })));
            (count, read)
        }
    }
}

/// Makes one page of 4x2 pixels, classic and little-endian, with these tags in place of the usual
/// ones. The pixels are at offset 8.
fn page_with(tags: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut all: Vec<(u16, u16, u32, u32)> = vec![
        (256, 4, 1, 4),
        (257, 4, 1, 2),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 4, 1, 2),
        (279, 4, 1, 8),
    ];
    for &tag in tags {
        all.retain(|old| old.0 != tag.0);
        all.push(tag);
    }
    all.sort_unstable();
    let mut bytes = b"II*\0\x10\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08".to_vec();
    bytes.extend((all.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in all {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(next.to_le_bytes());
    bytes
}

#[test]
fn what_is_no_stack_is_refused() {
    let workshop = Workshop::new();
    assert!(matches!(TiffStack::open(workshop.path("none.tif")), Err(FrameError::NotFound { .. })));
    assert!(matches!(open(workshop.path("none.tif")), Err(FrameError::NotFound { .. })));
    std::fs::create_dir(workshop.path("folder.tif")).unwrap();
    assert!(matches!(
        TiffStack::open(workshop.path("folder.tif")),
        Err(FrameError::IsDirectory { .. })
    ));
    for (name, data) in [
        ("zero.tif", &b""[..]),
        ("text.tif", b"hello world\n"),
        ("magic.btf", b"II*\0"),
        ("big.btf", b"II+\0\x08\0\0\0"),
        ("odd.btf", b"II+\0\x04\0\0\0\x10\0\0\0\0\0\0\0"),
        ("past.tif", b"II*\0\xff\xff\xff\xff"),
    ] {
        let error = open(workshop.write(name, data)).err().unwrap();
        assert!(matches!(error, FrameError::NotAnImage { .. }), "{name}: {error}");
        assert!(
            error.to_string().contains(name) && error.to_string().contains("; check"),
            "{error}"
        );
    }
    let error = open(workshop.write("no_page.tif", b"II*\0\0\0\0\0")).err().unwrap();
    assert!(matches!(error, FrameError::NoFrames { .. }), "{error}");
    // A file with a wrong ending is opened as what it is.
    let stack = file("palette.tif");
    assert_eq!(open(workshop.write("stack.dat", stack)).unwrap().info().frame_count, 3);
}

#[test]
#[cfg(unix)]
fn pipes_do_not_hang_and_locked_files_say_so() {
    use std::os::unix::fs::PermissionsExt;
    let workshop = Workshop::new();
    let pipe = workshop.path("pipe.tif");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for error in [TiffStack::open(&pipe).err(), open(&pipe).err()] {
        let error = error.unwrap();
        assert!(matches!(error, FrameError::NotAnImage { .. }), "{error}");
    }
    let locked = workshop.write("locked.tif", file("palette.tif"));
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser can read it anyway.
    if std::fs::File::open(&locked).is_err() {
        assert!(matches!(TiffStack::open(&locked), Err(FrameError::Io { .. })));
        let error = open(&locked).err().unwrap();
        assert!(matches!(error, FrameError::Io { .. }), "{error}");
        assert!(error.to_string().contains("check the permissions"), "{error}");
    }
}

#[test]
fn a_file_that_shrinks_or_vanishes_while_open_is_an_error() {
    let workshop = Workshop::new();
    let path = workshop.write("damaged.tif", file("shaped.tif"));
    let stack = TiffStack::open(&path).unwrap().with_intensity(Intensity::Full);
    assert!(stack.frame(11).is_ok());
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(5000).unwrap();
    let error = stack.frame(11).unwrap_err();
    assert!(matches!(error, FrameError::Decode { index: 11, .. }), "{error}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("become shorter"), "{cause}");
    std::fs::remove_file(&path).unwrap();
    let _ = stack.frame(0);
}

#[test]
fn chains_that_loop_break_or_leave_the_file_yield_the_pages_before() {
    let sound = file("grid_gray_uint8_gray_strips_none_classic_le.tif").to_vec();
    let first = u32::from_le_bytes(sound[4..8].try_into().unwrap()) as usize;
    let entries = u16::from_le_bytes(sound[first..first + 2].try_into().unwrap()) as usize;
    let link = first + 2 + entries * 12;
    let second = u32::from_le_bytes(sound[link..link + 4].try_into().unwrap()) as usize;
    for (target, words) in [
        (first as u32, "its own successor"),
        (u32::MAX, "past the end"),
        (sound.len() as u32 - 1, "past the end"),
        (0, ""),
    ] {
        let mut bad = sound.clone();
        bad[link..link + 4].copy_from_slice(&target.to_le_bytes());
        let stack = from_bytes(bad).unwrap();
        assert_eq!(stack.info().frame_count, 1, "{target}");
        assert!(stack.frame(0).is_ok());
        let warnings = stack.info().warnings.join("; ");
        assert!(warnings.contains(words), "{target}: {warnings}");
        assert_eq!(warnings.is_empty(), words.is_empty());
    }
    let mut bad = sound.clone();
    bad[second..second + 2].copy_from_slice(&u16::MAX.to_le_bytes());
    let warnings = from_bytes(bad).unwrap().info().warnings.join("; ");
    assert!(warnings.contains("claims 65535 entries"), "{warnings}");
    let error = from_bytes(sound[..first + 10].to_vec()).unwrap_err();
    assert!(matches!(error, FrameError::NotAnImage { .. }), "{error}");
}

#[test]
fn directories_that_overlap_end_quickly() {
    // Each directory has 4,000 entries and starts one byte after the previous one, so that few
    // bytes hold many.
    let mut data = b"II*\0\x08\0\0\0".to_vec();
    data.extend(std::iter::repeat_n(0x0f, 400_000));
    let start = Instant::now();
    let _ = from_bytes(data);
    // A chain of tiny directories that are all nested in each other's values.
    let mut data = vec![0; 1 << 20];
    data[..8].copy_from_slice(b"II*\0\x08\0\0\0");
    for at in (8..(1 << 20) - 64).step_by(2) {
        data[at..at + 2].copy_from_slice(&1u16.to_le_bytes());
    }
    let _ = from_bytes(data);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn lies_about_sizes_are_refused_without_the_memory_they_claim() {
    assert_eq!(read_all(page_with(&[], 0)), (1, 1));
    let lies: [&[(u16, u16, u32, u32)]; 22] = [
        &[(256, 4, 1, u32::MAX)],
        &[(256, 4, 1, u32::MAX), (257, 4, 1, u32::MAX)],
        &[(256, 4, 1, 0)],
        &[(257, 4, 1, 1 << 20)],
        &[(256, 4, 1, 1 << 14), (257, 4, 1, 1 << 14), (278, 4, 1, 1 << 14), (279, 4, 1, 1 << 28)],
        &[(277, 3, 1, 0)],
        &[(277, 3, 1, 0xffff), (262, 3, 1, 1)],
        &[(258, 3, 0xffff_ffff, 8)],
        &[(258, 3, 1, 64)],
        &[(273, 4, 1, u32::MAX)],
        &[(273, 4, u32::MAX, 8), (279, 4, u32::MAX, 8), (278, 4, 1, 1)],
        &[(279, 4, 1, 0)],
        &[(279, 4, 1, 7)],
        &[(278, 4, 1, 0)],
        &[(259, 3, 1, 8), (256, 4, 1, 1 << 14), (257, 4, 1, 1 << 14)],
        &[(259, 3, 1, 5), (256, 4, 1, 1 << 14), (257, 4, 1, 1 << 14)],
        &[(259, 3, 1, 50000), (256, 4, 1, 1 << 14), (257, 4, 1, 1 << 15)],
        &[(259, 3, 1, 7), (256, 4, 1, 1 << 14), (257, 4, 1, 1 << 14)],
        &[(322, 4, 1, 1 << 20), (323, 4, 1, 1 << 20), (324, 4, 1, 8), (325, 4, 1, 8)],
        &[(322, 4, 1, u32::MAX), (323, 4, 1, u32::MAX), (324, 4, 1, 8), (325, 4, 1, 8)],
        &[(322, 4, 1, 1), (323, 4, 1, 1), (324, 4, 1, 8), (325, 4, 1, 8)],
        &[(262, 3, 1, 3), (320, 3, 768, 8)],
    ];
    for lie in lies {
        let data = page_with(lie, 0);
        let (result, largest) = largest_allocation(|| read_all(data));
        assert!(largest < 1 << 20, "{lie:?}: {largest} bytes for a file of 138");
        // In two of these cases, eight bytes of zstd could expand to the claimed size, so only
        // reading reveals the lie.
        assert_eq!(result.1, 0, "{lie:?}");
    }
    // Descriptions lie too.
    for text in [
        "ImageJ=1\nimages=18446744073709551615\n",
        "ImageJ=1\nimages=4294967295\nchannels=65536\nslices=65536\nframes=1\n",
        "{\"shape\": [4611686018427387903, 2, 2]}",
    ] {
        let mut data = page_with(&[(270, 2, text.len() as u32, 138 + 12)], 0);
        data.resize(150, 0);
        data.extend(text.as_bytes());
        let ((stack, warnings), largest) = largest_allocation(|| {
            let stack = from_bytes(data).unwrap();
            let warnings = stack.info().warnings.join("; ");
            (stack, warnings)
        });
        assert!(warnings.contains("truncated"), "{text}: {warnings}");
        assert!(stack.info().frame_count < 40 && largest < 1 << 20, "{text}: {largest}");
    }
}

/// Returns files that exercise different parts of the reader.
fn seeds() -> Vec<(&'static str, &'static [u8])> {
    let names = |name: &str| {
        !name.contains('/')
            && (!name.starts_with("grid_")
                || name.contains("rgb_uint16_contig_tiles") && name.ends_with("classic_be.tif")
                || name.contains("rgba_uint8_separate_strips") && name.ends_with("big_le.tif")
                || name.contains("gray_uint16_gray_strips") && name.ends_with("big_be.tif"))
            && name != "twelve_bits.tif"
            && name != "eight_bits.tif"
    };
    let files = stack_data().files.iter().filter(|(name, _)| names(name));
    files.map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
}

#[test]
fn cut_off_anywhere_the_sound_frames_stay_right() {
    let (mut tried, mut served) = (0, 0);
    for (name, data) in seeds() {
        let Ok(whole) = from_bytes(data.to_vec()) else { continue };
        let hash =
            |stack: &TiffStack, index| stack.frame(index).ok().map(|frame| xxh3_64(frame.data()));
        let frames: Vec<_> =
            (0..whole.info().frame_count).map(|index| hash(&whole, index)).collect();
        // Hyperstacks that have lost pages have no axes any more, so their frames differ.
        let has_axes = name.contains("hyper");
        for length in (0..data.len()).step_by(data.len() / 60 + 1) {
            tried += 1;
            let Ok(cut) = from_bytes(data[..length].to_vec()) else { continue };
            assert!(has_axes || cut.info().frame_count <= frames.len(), "{name} cut at {length}");
            for (index, expected) in frames.iter().enumerate().take(cut.info().frame_count) {
                if let Some(found) = hash(&cut, index)
                    && !has_axes
                {
                    assert_eq!(Some(found), *expected, "{name} cut at {length}: frame {index}");
                    served += 1;
                }
            }
        }
    }
    println!("TOTAL {tried} cuts, {served} frames still right");
    assert!(tried > 1000 && served > 500, "{tried} {served}");
}

/// A custom random number generator, so that a failure recurs in the next run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }
}

/// Changes some bytes, most of them in directories, where each byte has a meaning.
fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    const INTERESTING: [u32; 12] =
        [0, 1, 2, 3, 8, 16, 255, 256, 32768, 65535, 0x7fff_ffff, u32::MAX];
    for _ in 0..1 + random.below(4) {
        // tifffile writes the first directory at the start, and others at the end.
        let at = match random.below(3) {
            0 => random.below(data.len().min(400)),
            1 => data.len() - 1 - random.below(data.len().min(400)),
            _ => random.below(data.len()),
        };
        match random.below(5) {
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = random.below(256) as u8,
            2 | 3 => {
                let value = INTERESTING[random.below(INTERESTING.len())];
                let bytes =
                    if random.below(2) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
                for (byte, new) in data[at..].iter_mut().zip(bytes) {
                    *byte = new;
                }
            }
            _ => data.truncate(at.max(8)),
        }
    }
}

#[test]
fn mutated_files_never_panic_hang_or_take_too_much_memory() {
    // The largest expansion of one byte by zstd, and room for tables.
    const RATIO: usize = 1 << 15;
    const ROOM: usize = 2 << 20;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let seeds = seeds();
    let (mut opened, mut read, mut slowest) = (0, 0, Duration::ZERO);
    const ROUNDS: usize = 20_000;
    for round in 0..ROUNDS {
        let (name, data) = seeds[round % seeds.len()];
        let mut bad = data.to_vec();
        mutate(&mut bad, &mut random);
        let length = bad.len();
        let start = Instant::now();
        let ((count, sound), largest) = largest_allocation(|| read_all(bad));
        slowest = slowest.max(start.elapsed());
        opened += usize::from(count > 0);
        read += sound;
        assert!(largest <= length * RATIO + ROOM, "{name}, round {round}: {largest} of {length}");
        assert!(start.elapsed() < Duration::from_secs(20), "{name}, round {round}");
    }
    println!("TOTAL {ROUNDS} mutants, {opened} opened, {read} frames read, slowest {slowest:?}");
    assert!(opened > ROUNDS / 4);
}

#[test]
fn mutated_recordings_never_panic() {
    let folder = unpack("");
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut opened = 0;
    for round in 0..1500 {
        let name = [
            "nd_axes/NDTiff.index",
            "nd_v2_rgb/NDTiff.index",
            "mm_axes/clip_MMStack_Pos0.ome.tif",
            "mm_crashed/clip_MMStack.ome.tif",
        ][round % 4];
        let mut bad = file(name).to_vec();
        mutate(&mut bad, &mut random);
        write(folder.path(), name, &bad);
        let recording = folder.path().join(name.split('/').next().unwrap());
        let source: Result<Box<dyn FrameSource>, FrameError> = if name.starts_with("nd") {
            NdTiff::open(recording).map(|source| Box::new(source) as _)
        } else {
            MmStack::open(recording).map(|source| Box::new(source) as _)
        };
        if let Ok(source) = source {
            opened += 1;
            for index in 0..source.info().frame_count.min(5) {
                let _ = source.frame(index);
            }
        }
    }
    assert!(opened > 300, "{opened}");
}
