//! Reading in reverse and by several readers: the number of decoded frames and the memory used. The
//! tests use counters only, no clocks, so a busy machine makes no difference.

mod common;

use std::time::Duration;

use common::{Workshop, hash, oracle};
use sam2_frame_provider::{
    BadFrames, FrameSource, LazyFrames, LazyOptions, VideoFrames, VideoOptions,
};

fn x264(group: usize) -> String {
    format!(
        "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -b_strategy 0 -sc_threshold 0 -g {group} -keyint_min {group} \
         -pix_fmt yuv420p"
    )
}

#[test]
fn groups_of_250_at_full_size_with_the_default_budget() {
    let workshop = Workshop::new();
    let path = workshop.film("900x896", 25, 20.0, &x264(250), "film.mp4");
    let lazy = LazyFrames::open(&path, LazyOptions::default()).unwrap();
    let count = lazy.info().frame_count;
    for index in (0..count).rev() {
        lazy.frame(index).unwrap();
    }
    let stats = lazy.stats();
    println!("{stats:?}");
    assert_eq!(count, 500);
    assert!(stats.decoded_per_served() <= 1.3, "{}", stats.decoded_per_served());
    let budget = VideoOptions::default().reverse_bytes;
    // In addition to the lane's memory: the frame in use, and the frames from which the reader
    // turned round.
    assert!(stats.source_peak_bytes <= budget + (20 << 20), "{stats:?}");
    lazy.clear();
    assert!(is_soon_zero(|| lazy.info().memory.bytes_held), "all of it is given back");
}

#[test]
fn a_reader_that_turns_round_does_not_decode_twice() {
    let workshop = Workshop::new();
    let path = workshop.film("320x180", 25, 20.0, &x264(250), "film.mp4");
    let video = VideoFrames::open(&path).unwrap();
    let expected = oracle(&path, 320 * 180 * 3);
    for index in (300..500).chain((0..300).rev()) {
        assert_eq!(hash(&video, index), expected[index], "frame {index}");
    }
    // 0 to 299 once each way, and the frames of the group before the place where reading began.
    let decoded = video.info().decode_stats.frames_decoded;
    println!("{decoded} decoded for 500 served");
    assert!(decoded <= 650, "{decoded}");
}

#[test]
fn one_reader_forward_and_one_in_reverse() {
    let workshop = Workshop::new();
    let path = workshop.film("320x180", 25, 20.0, &x264(250), "film.mp4");
    let expected = oracle(&path, 320 * 180 * 3);
    let count = expected.len();
    // In turns from one thread, and each from its own thread.
    for threads in [false, true] {
        let lazy = LazyFrames::open(&path, LazyOptions::default()).unwrap();
        let check = |index: usize| assert_eq!(hash(&lazy, index), expected[index], "frame {index}");
        if threads {
            std::thread::scope(|scope| {
                scope.spawn(|| (0..count).for_each(check));
                scope.spawn(|| (0..count).rev().for_each(check));
            });
        } else {
            for step in 0..count {
                check(step);
                check(count - 1 - step);
            }
        }
        let stats = lazy.stats();
        println!(
            "threads: {threads}, {} decoded for {}: {stats:?}",
            stats.frames_decoded,
            2 * count
        );
        assert!(stats.decoded_per_served() <= 1.3, "{}", stats.decoded_per_served());
        assert_eq!(stats.hits + stats.misses, 2 * count as u64);
    }
}

#[test]
fn two_readers_forward_at_different_places() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 25, 40.0, &x264(250), "film.mkv");
    let lazy = LazyFrames::open(&path, LazyOptions::default()).unwrap();
    for step in 0..400 {
        lazy.frame(step).unwrap();
        lazy.frame(520 + step).unwrap();
    }
    let stats = lazy.stats();
    println!("{stats:?}");
    assert_eq!(stats.readers, 2);
    assert!(stats.decoded_per_served() <= 1.2, "{}", stats.decoded_per_served());
}

/// Waits until the count is zero. The read-ahead thread may still hold a frame at that moment, and
/// drops it soon after.
fn is_soon_zero(bytes: impl Fn() -> u64) -> bool {
    (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        bytes() == 0
    })
}

/// Releasing memory in the middle of reading changes no frame.
#[test]
fn giving_memory_back_at_any_time() {
    let workshop = Workshop::new();
    let path = workshop.film("160x96", 25, 8.0, &x264(50), "film.mp4");
    let expected = oracle(&path, 160 * 96 * 3);
    let video = VideoFrames::open(&path).unwrap();
    for index in (0..expected.len()).rev() {
        if index % 17 == 0 {
            video.release_memory();
            assert!(is_soon_zero(|| video.info().memory.bytes_held));
        }
        assert_eq!(hash(&video, index), expected[index], "frame {index}");
    }
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            (0..expected.len()).for_each(|index| assert_eq!(hash(&video, index), expected[index]));
        });
        while !reader.is_finished() {
            video.release_memory();
        }
    });
}

#[test]
fn bad_frames_of_a_video_are_replaced_and_reported() {
    let workshop = Workshop::new();
    let small = x264(30) + " -f h264";
    workshop.film("64x48", 30, 1.0, &small, "a.h264");
    workshop.film("96x64", 30, 1.0, &small, "b.h264");
    let joined: Vec<u8> = ["a.h264", "b.h264"]
        .iter()
        .flat_map(|name| std::fs::read(workshop.path(name)).unwrap())
        .collect();
    let path = workshop.write("joined.h264", &joined);
    let open = |on_bad_frame| {
        LazyFrames::open(&path, LazyOptions { on_bad_frame, ..LazyOptions::default() }).unwrap()
    };
    let lazy = open(BadFrames::Error);
    assert!(lazy.frame(30).is_err());
    assert!(lazy.info().damaged_frames.contains(&30));
    let lazy = open(BadFrames::Repeat);
    assert_eq!(lazy.frame(45).unwrap(), lazy.frame(29).unwrap());
    assert!(lazy.info().damaged_frames.contains(&45));
    assert!(
        lazy.info().warnings.iter().any(|warning| warning.contains("shows the frame before it"))
    );
    let lazy = open(BadFrames::Blank);
    assert!(lazy.frame(31).unwrap().data().iter().all(|byte| *byte == 0));
    assert!(lazy.frame(29).unwrap().data().iter().any(|byte| *byte != 0));
}
