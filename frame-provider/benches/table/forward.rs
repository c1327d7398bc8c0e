//! Forward throughput, compared with the `ffmpeg` program and with OpenCV.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sam2_frame_provider::resize::{ResizeMode, Scale};
use sam2_frame_provider::{FrameSource, LazyFrames, LazyOptions, VideoFrames};

use super::{MODEL_SIDE, ROUNDS, film, median, recording, time};

fn films() -> [PathBuf; 4] {
    [
        recording(),
        film(
            "hd.mp4",
            "-f lavfi -i testsrc2=size=1920x1080:rate=30:duration=30 -vf noise=alls=6:allf=t -c:v libx264 \
             -preset veryfast -pix_fmt yuv420p",
        ),
        film(
            "small.mp4",
            "-f lavfi -i testsrc2=size=320x240:rate=25:duration=120 -c:v libx264 -preset veryfast \
             -pix_fmt yuv420p",
        ),
        film(
            "mjpeg.avi",
            "-f lavfi -i testsrc2=size=900x896:rate=25:duration=40 -c:v mjpeg -q:v 3",
        ),
    ]
}

const NOTE: &str = "Ratios are of speed, medians of alternating runs: above 1, ours is faster, or needs less processor time.";

/// Measures frames at their own size, in RGB.
pub fn native() {
    println!("{NOTE}");
    println!();
    println!(
        "| film | frames | ours, frames/s | ffmpeg | ratio | ratio of CPU | OpenCV | ratio | ratio of CPU |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for path in films() {
        let ours = || Some(time(|| ours(&path, None)));
        let to_rgb = || Some(time(|| ffmpeg(&path, None)));
        let rivals: [&dyn Fn() -> Option<f64>; 2] = [&to_rgb, &|| opencv(&path, None)];
        println!("{}", row(&path, &ours, &rivals));
    }
}

/// Measures frames at the input size of the official models, each mode against the program whose
/// pixels it gives.
pub fn scaled() {
    println!("{NOTE}");
    println!();
    println!(
        "Scaled to {MODEL_SIDE}x{MODEL_SIDE}: `decord` against `ffmpeg -vf scale={MODEL_SIDE}:{MODEL_SIDE}:flags=bilinear -f null`,"
    );
    println!("`cv2-linear` against OpenCV's `read` and `resize`.");
    for (mode, rival) in [(ResizeMode::Decord, "ffmpeg"), (ResizeMode::Cv2Linear, "OpenCV")] {
        println!();
        println!("| film | frames | ours, `{mode}`, frames/s | {rival} | ratio | ratio of CPU |");
        println!("|---|---|---|---|---|---|");
        for path in films() {
            let ours = || Some(time(|| ours(&path, Some(mode))));
            let theirs = || match mode {
                ResizeMode::Decord => Some(time(|| ffmpeg(&path, Some(MODEL_SIDE)))),
                _ => opencv(&path, Some(MODEL_SIDE)),
            };
            println!("{}", row(&path, &ours, &[&theirs]));
        }
    }
    // Modes without another program to compare with, for reference.
    println!();
    println!("| film | frames | mode | ours, frames/s |");
    println!("|---|---|---|---|");
    for mode in [ResizeMode::PillowBicubic, ResizeMode::TorchBilinearAntialias] {
        let path = recording();
        let frames = VideoFrames::open(&path).unwrap().info().frame_count;
        let rate =
            frames as f64 / median((0..ROUNDS).map(|_| time(|| ours(&path, Some(mode)))).collect());
        println!("| {} | {frames} | `{mode}` | {rate:.0} |", name(&path));
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Alternates runs of this crate and of the others. A program that is not installed returns no
/// time.
fn row(path: &Path, ours: &dyn Fn() -> Option<f64>, rivals: &[&dyn Fn() -> Option<f64>]) -> String {
    let frames = VideoFrames::open(path).unwrap().info().frame_count as f64;
    let mut our_runs = Vec::new();
    let mut their_runs: Vec<Vec<Run>> = rivals.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        our_runs.extend(Run::of(ours));
        for (runs, rival) in their_runs.iter_mut().zip(rivals) {
            runs.extend(Run::of(rival));
        }
    }
    let rate = |runs: &[Run]| frames / median(runs.iter().map(|run| run.wall).collect());
    let mut row = format!("| {} | {frames} | {:.0}", name(path), rate(&our_runs));
    for runs in their_runs {
        if runs.is_empty() {
            row += " | - | - | -";
            continue;
        }
        let pairs = || our_runs.iter().zip(&runs);
        let wall = median(pairs().map(|(ours, other)| other.wall / ours.wall).collect());
        let cpu = median(pairs().map(|(ours, other)| other.cpu / ours.cpu).collect());
        row += &format!(" | {:.0} | {wall:.2} | {cpu:.2}", rate(&runs));
    }
    row + " |"
}

/// Times of one run, in seconds.
struct Run {
    wall: f64,
    /// Processor time of this process and of the programs it waited for.
    cpu: f64,
}

impl Run {
    /// Measures one run; `run` returns the elapsed time.
    fn of(run: impl Fn() -> Option<f64>) -> Option<Self> {
        let before = cpu_seconds();
        let wall = run()?;
        Some(Self { wall, cpu: cpu_seconds() - before })
    }
}

/// Returns the processor time of this process and its children so far; the kernel counts in
/// hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Reads all frames, optionally scaled. Includes opening, as with the other programs.
pub fn ours(path: &Path, mode: Option<ResizeMode>) {
    let frames = LazyFrames::open(path, LazyOptions::default()).unwrap();
    for index in 0..frames.info().frame_count {
        match mode {
            Some(mode) => {
                std::hint::black_box(
                    frames.scaled(index, Scale::square(MODEL_SIDE, mode)).unwrap(),
                );
            }
            None => drop(std::hint::black_box(frames.frame(index).unwrap())),
        }
    }
}

fn ffmpeg(path: &Path, side: Option<u32>) {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-i"]).arg(path).args(["-map", "0:v:0"]);
    if let Some(side) = side {
        command.args(["-vf", &format!("scale={side}:{side}:flags=bilinear")]);
    }
    command.args(["-pix_fmt", "rgb24", "-vsync", "passthrough", "-f", "null", "-"]);
    assert!(command.stdin(Stdio::null()).status().unwrap().success());
}

/// Returns seconds without the start of Python; `None` without OpenCV.
fn opencv(path: &Path, side: Option<u32>) -> Option<f64> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let script = "import sys, time, cv2\nside = int(sys.argv[2])\nt = time.perf_counter()\n\
                  c = cv2.VideoCapture(sys.argv[1])\n\
                  while True:\n    found, frame = c.read()\n    if not found: break\n\
                  \x20   if side: cv2.resize(frame, (side, side))\nprint(time.perf_counter() - t)";
    let side = side.unwrap_or(0).to_string();
    let output = Command::new(python).args(["-c", script]).arg(path).arg(side).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
