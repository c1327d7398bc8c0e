//! Real files with random changes: whatever the result, nothing panics, hangs, or uses excessive
//! memory.
//!
//! The changes are the same in each run. This takes a few seconds; `../fuzz/` has targets that run
//! for as long as you like.

mod common;

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use common::Workshop;
use sam2_frame_provider::{FrameSource, LazyFrames, LazyOptions, VideoFrames, VideoOptions, probe};

const ROUNDS: u64 = 40;

/// A small random number generator, so that a round can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }
}

fn mutate(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=chance.below(4) {
        let length = bytes.len();
        let at = chance.below(length);
        let most = 1 << chance.below(11);
        let span = chance.below(most).min(length - at);
        match chance.below(7) {
            0 => bytes[at..at + span].fill(0),
            1 => bytes[at..at + span].fill(0xFF),
            2 => drop(bytes.drain(at..at + span)),
            3 => {
                let copy = bytes[at..at + span].to_vec();
                let to = chance.below(length);
                bytes.splice(to..to, copy);
            }
            4 => bytes.truncate(at.max(1)),
            // Headers contain the counts and sizes.
            5 => {
                let place = at.min(chance.below(2000));
                bytes[place] ^= 1 << chance.below(8);
            }
            _ => bytes[at..at + span].iter_mut().for_each(|byte| *byte ^= chance.below(256) as u8),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

fn read(path: &Path) -> usize {
    let mut served = 0;
    if let Ok(video) = VideoFrames::open(path) {
        let count = video.info().frame_count;
        let order = (0..count.min(8))
            .chain((count.saturating_sub(12)..count).rev())
            .chain([count / 2, count]);
        served += order.filter(|&frame| video.frame(frame).is_ok()).count();
    }
    let options =
        VideoOptions { packet_bytes: 0, reverse_bytes: 1 << 16, ..VideoOptions::default() };
    if let Ok(video) = VideoFrames::open_with(path, options) {
        let lazy = LazyFrames::new(video, LazyOptions::default());
        served += (0..lazy.info().frame_count)
            .rev()
            .step_by(3)
            .filter(|&frame| lazy.frame(frame).is_ok())
            .count();
    }
    let _ = probe(path, true);
    served
}

#[test]
fn random_changes_do_no_harm() {
    let workshop = Workshop::new();
    let x264 = "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -g 8 -pix_fmt yuv420p";
    workshop.film("48x32", 30, 0.8, x264, "film.mp4");
    for (arguments, name) in [
        ("-movflags frag_keyframe+empty_moov", "fragmented.mp4"),
        ("", "film.mkv"),
        ("", "film.avi"),
        ("", "film.ts"),
        ("-bsf:v h264_mp4toannexb", "film.h264"),
    ] {
        workshop.ffmpeg(&format!("-i film.mp4 -c copy {arguments} {name}"));
    }
    workshop.film("48x32", 30, 0.8, "-c:v mjpeg", "mjpeg.avi");
    workshop.film("48x32", 30, 0.8, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8", "vp9.webm");
    workshop.film("48x32", 10, 0.8, "", "film.gif");
    let names = [
        "film.mp4",
        "fragmented.mp4",
        "film.mkv",
        "film.avi",
        "film.ts",
        "film.h264",
        "mjpeg.avi",
        "vp9.webm",
        "film.gif",
    ];
    let mut served = 0;
    for name in names {
        let bytes = std::fs::read(workshop.path(name)).unwrap();
        for round in 0..ROUNDS {
            let mut chance = Chance(0x9E37_79B9_7F4A_7C15 ^ (round << 8));
            let path =
                workshop.write(&format!("changed_{round}_{name}"), &mutate(&bytes, &mut chance));
            let (done, outcome) = mpsc::channel();
            let reader = std::thread::spawn({
                let path = path.clone();
                move || {
                    let _ = done.send(read(&path));
                }
            });
            // A busy machine is slow, but not this slow.
            match outcome.recv_timeout(Duration::from_secs(60)) {
                Ok(count) => served += count,
                Err(problem) => panic!("{name}, round {round}: {problem}"),
            }
            reader.join().unwrap();
            std::fs::remove_file(path).unwrap();
        }
    }
    println!("{served} frames served from {} changed files", names.len() as u64 * ROUNDS);
    assert!(served > 500, "{served}: the changes left something to read");
}
