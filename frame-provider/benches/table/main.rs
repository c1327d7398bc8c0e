//! The table of `benches/RESULTS.md`: measures what criterion cannot, and asserts the limits set
//! for it.
//!
//! `cargo bench -p sam2-frame-provider --bench table` measures everything (some minutes, and about
//! 1 GB of films made with `ffmpeg` in the target folder). Names after `--` select parts: forward,
//! scaled, reverse, waits, open, modes, bounded. `PYTHON` names a Python with OpenCV; without one,
//! that comparison is left out. Run it on an otherwise idle machine.

#![allow(clippy::unwrap_used)]

mod forward;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sam2_frame_provider::resize::{ResizeMode, Scale};
use sam2_frame_provider::{
    BatchFrames, FrameSource, FramesMode, IndexCacheMode, LazyFrames, LazyOptions, VideoFrames,
    VideoOptions,
};

/// Number of pairs of runs in a comparison. The median ratio counts, so one disturbed run does no
/// harm.
const ROUNDS: usize = 7;

/// Width and height of the official models' input.
const MODEL_SIDE: u32 = 1024;

/// Time that a model takes per frame.
const WORK: Duration = Duration::from_millis(50);

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [command, rest @ ..] = arguments.as_slice()
        && command == "child"
    {
        return child(rest);
    }
    let sections: [(&str, fn()); 7] = [
        ("forward", forward::native),
        ("scaled", forward::scaled),
        ("reverse", reverse),
        ("waits", waits),
        ("open", opening),
        ("modes", modes),
        ("bounded", bounded),
    ];
    for (name, section) in sections {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            println!("\n## {name}\n");
            section();
        }
    }
}

/// Returns a film, made once with these arguments of `ffmpeg`.
fn film(name: &str, arguments: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("films");
    let path = folder.join(name);
    if !path.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let unfinished = folder.join(format!("making-{name}"));
        let status = Command::new("ffmpeg")
            .args(["-y", "-hide_banner", "-loglevel", "error"])
            .args(arguments.split_whitespace())
            .arg(&unfinished)
            .stdin(Stdio::null())
            .status()
            .expect("the benches need the ffmpeg program");
        assert!(status.success(), "ffmpeg {arguments}");
        std::fs::rename(unfinished, &path).unwrap();
    }
    path
}

/// Returns a recording like those of the first users: 900x896, groups of 250 frames, some noise.
fn recording() -> PathBuf {
    film(
        "recording.mp4",
        "-f lavfi -i testsrc2=size=900x896:rate=25:duration=40 -vf noise=alls=6:allf=t -c:v libx264 \
         -preset veryfast -g 250 -keyint_min 250 -sc_threshold 0 -pix_fmt yuv420p",
    )
}

fn time(run: impl FnOnce()) -> f64 {
    let started = Instant::now();
    run();
    started.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures the number of frames decoded for each frame served in reverse.
fn reverse() {
    println!("| film | order | served | decoded/served | frames/s | YUV peak, MB |");
    println!("|---|---|---|---|---|---|");
    let path = recording();
    let count = VideoFrames::open(&path).unwrap().info().frame_count;
    let orders: [(&str, Vec<usize>); 3] = [
        ("forward", (0..count).collect()),
        ("reverse", (0..count).rev().collect()),
        (
            "from the middle forward, then in reverse",
            (count / 2..count).chain((0..count / 2).rev()).collect(),
        ),
    ];
    for (name, order) in orders {
        let frames = LazyFrames::open(&path, LazyOptions::default()).unwrap();
        let seconds = time(|| {
            for &index in &order {
                std::hint::black_box(frames.frame(index).unwrap());
            }
        });
        let stats = frames.stats();
        println!(
            "| 900x896, groups of 250 | {name} | {} | {:.3} | {:.0} | {:.0} |",
            order.len(),
            stats.decoded_per_served(),
            order.len() as f64 / seconds,
            stats.source_peak_bytes as f64 / 1e6,
        );
        assert!(stats.decoded_per_served() <= 1.3, "{stats:?}");
        assert!(stats.source_peak_bytes <= VideoOptions::default().reverse_bytes + (16 << 20));
    }
}

/// Measures how long a consumer that takes 50 ms per frame waits.
fn waits() {
    println!(
        "| order | served | misses | first wait, ms | longest wait after it, ms | waited after it, of the time | in calls after it, of the time |"
    );
    println!("|---|---|---|---|---|---|---|");
    let path = recording();
    let count = VideoFrames::open(&path).unwrap().info().frame_count;
    let orders: [(&str, Vec<usize>); 2] =
        [("forward", (0..count).collect()), ("reverse", (0..count).rev().collect())];
    for (name, order) in orders {
        let frames = LazyFrames::open(&path, LazyOptions::default()).unwrap();
        // The very first frame is a seek, which in a group of 250 frames means decoding up to 250.
        let first = time(|| drop(frames.frame(order[0]).unwrap()));
        let before = frames.stats().wait_total;
        let (mut in_calls, mut longest) = (0.0, 0.0_f64);
        let seconds = time(|| {
            for &index in &order[1..] {
                std::thread::sleep(WORK);
                let waits = frames.stats().wait_total;
                in_calls += time(|| drop(frames.frame(index).unwrap()));
                longest = longest.max((frames.stats().wait_total - waits).as_secs_f64());
            }
        });
        let stats = frames.stats();
        // Only waiting for a decode counts. On a busy machine, a request for an available frame can
        // also take long, if the system gives the processor to another program at that moment.
        let share = (stats.wait_total - before).as_secs_f64() / seconds;
        println!(
            "| {name} | {} | {} | {:.0} | {:.1} | {:.3} % | {:.3} % |",
            order.len(),
            stats.misses,
            first * 1e3,
            longest * 1e3,
            share * 100.0,
            in_calls / seconds * 100.0,
        );
        assert!(share <= 0.01, "{name}: {stats:?}");
    }
}

/// Measures the cost of opening an hour of video, with and without a cached index.
fn opening() {
    let path = film(
        "hour.mp4",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=3600 -c:v libx264 -preset ultrafast -g 250 -pix_fmt yuv420p",
    );
    let cache = tempfile::tempdir().unwrap();
    let cached = VideoOptions {
        index_cache: IndexCacheMode::Folder(cache.path().to_owned()),
        ..VideoOptions::default()
    };
    drop(VideoFrames::open_with(&path, cached.clone()).unwrap());
    let bytes: u64 =
        cache.path().read_dir().unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let open = |options: &VideoOptions| {
        let run = || time(|| drop(VideoFrames::open_with(&path, options.clone()).unwrap()));
        median((0..ROUNDS).map(|_| run()).collect())
    };
    let (plain, kept) = (open(&VideoOptions::default()), open(&cached));
    let decode = time(|| forward::ours(&path, None));
    println!("| an hour of 320x240, 90,000 frames | seconds | of a decode |");
    println!("|---|---|---|");
    println!("| decoding all of it to RGB | {decode:.2} | |");
    println!("| opening | {plain:.3} | {:.2} % |", plain / decode * 100.0);
    println!(
        "| opening with a kept index of {bytes} bytes | {kept:.3} | {:.2} % |",
        kept / decode * 100.0
    );
    assert!(plain <= 0.03 * decode);
}

/// Measures peak memory and time of the three ways to read a batch.
fn modes() {
    println!(
        "| 400 frames of 900x896, scaled to 1024x1024 as Pillow does | seconds | peak RSS, MB |"
    );
    println!("|---|---|---|");
    for mode in FramesMode::ALL {
        let answer = ask_child(&["mode", &mode.to_string()]);
        println!("| {mode} | {} |", answer.replace(' ', " | "));
    }
}

/// Measures memory over a long film, in each direction.
fn bounded() {
    println!(
        "| 10,000 frames of 320x240 | statistics' peak, MB | peak RSS, MB | RSS beyond the start, MB |"
    );
    println!("|---|---|---|---|");
    for direction in ["forward", "reverse"] {
        let answer = ask_child(&["bounded", direction]);
        println!("| {direction} | {} |", answer.replace(' ', " | "));
    }
}

/// Runs this program again, so that its memory is that of one measurement.
fn ask_child(arguments: &[&str]) -> String {
    recording();
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("child")
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn child(arguments: &[String]) {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["mode", mode] => {
            let source = Arc::new(LazyFrames::open(recording(), LazyOptions::default()).unwrap());
            // As the model reads them.
            let scale = Scale::square(MODEL_SIDE, ResizeMode::PillowBicubic);
            let mode = mode.parse().unwrap();
            let seconds = time(|| {
                let batch = BatchFrames::open_scaled(source, 200..600, mode, scale).unwrap();
                // As in the lab: from the middle forward, then in reverse.
                for index in (200..400).chain((0..200).rev()) {
                    std::hint::black_box(batch.scaled(index, scale).unwrap());
                }
            });
            println!("{seconds:.2} {:.0}", megabytes("VmHWM:"));
        }
        ["bounded", direction] => {
            let path = film(
                "ten-thousand.mp4",
                "-f lavfi -i testsrc2=size=320x240:rate=25:duration=400 -c:v libx264 -preset veryfast -g 250 \
                 -pix_fmt yuv420p",
            );
            let options = VideoOptions { reverse_bytes: 32 << 20, ..VideoOptions::default() };
            let video = VideoFrames::open_with(path, options).unwrap();
            let frames = LazyFrames::new(video, LazyOptions::default());
            let before = megabytes("VmRSS:");
            let count = frames.info().frame_count;
            assert_eq!(count, 10_000);
            for step in 0..count {
                let index = if *direction == "forward" { step } else { count - 1 - step };
                std::hint::black_box(frames.frame(index).unwrap());
            }
            let peak = frames.stats().peak_total_bytes() as f64 / 1e6;
            println!("{peak:.1} {:.0} {:.0}", megabytes("VmHWM:"), megabytes("VmHWM:") - before);
        }
        _ => panic!("{arguments:?}"),
    }
}

/// Returns one line of the kernel's statistics about this process.
fn megabytes(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) * 1024.0 / 1e6
}
