//! A run of many frames in the review page: how soon it opens, how fast frames follow keys, what it holds in memory.
//!
//! `make test` takes a short recording and bounds with much room. `make review-proof` (`SAM2_TEST_REVIEW=all`) takes an hour of video and
//! prints what it measures.

use std::time::{Duration, Instant};

use sam2_mask_writer::{
    LabelledMask, Mask, MaskFacts, MaskFrame, MaskSink, QualityFlag, RunFileSink, RunHeader,
};
use serde_json::{Value, json};

use crate::browser::{self, Page};
use crate::review_server::Server;
use crate::support::Workshop;

const SIZE: (u32, u32) = (320, 240);
/// Frames that a disc takes for its way round.
const ROUND: usize = 600;

/// What is measured, and within which bounds.
struct Scale {
    frames: usize,
    steps: usize,
    jumps: usize,
    /// How many times the bounds of a quiet machine are allowed.
    room: f64,
}

fn scale() -> Scale {
    match std::env::var("SAM2_TEST_REVIEW").as_deref() {
        Ok("all") => Scale { frames: 108_000, steps: 200, jumps: 500, room: 1.0 },
        _ => Scale { frames: 3_000, steps: 30, jumps: 60, room: 10.0 },
    }
}

/// Writes a run of two discs that move, with flags here and there.
fn write_run(workshop: &Workshop, frames: usize) {
    let mut header = RunHeader::new("long.mp4", SIZE, frames);
    header.frames_per_second = Some(30.0);
    let mut sink =
        Box::new(RunFileSink::create(&workshop.path("m.sam2run"), &header, false).unwrap());
    let round: Vec<Mask> = (0..ROUND).map(disc).collect();
    for frame in 0..frames {
        let objects: Vec<LabelledMask> = [1_u32, 2]
            .map(|object| {
                let flagged = (frame / 37 + object as usize).is_multiple_of(41);
                let flags = flagged.then_some(QualityFlag::Lost);
                let place = (frame + object as usize * ROUND / 2) % ROUND;
                let mask = if flagged { Mask::empty(SIZE.0, SIZE.1) } else { round[place].clone() };
                let facts = MaskFacts {
                    object_score: if flagged { -4.0 } else { 8.0 },
                    predicted_iou: 0.9,
                    prompted: frame == 0,
                    flags: flags.into_iter().collect(),
                    agreement: None,
                };
                LabelledMask { facts: Some(facts), ..LabelledMask::new(object, mask) }
            })
            .into();
        let seconds = Some(frame as f64 / 30.0);
        sink.write(&MaskFrame::new(frame, &objects).with_seconds(seconds)).unwrap();
    }
    sink.finish().unwrap().publish().unwrap();
}

/// A disc on its way round.
fn disc(place: usize) -> Mask {
    let angle = std::f64::consts::TAU * place as f64 / ROUND as f64;
    let (x, y, radius) = (160.0 + 100.0 * angle.cos(), 120.0 + 70.0 * angle.sin(), 14.0);
    let inside = |index: u32| {
        let (column, row) = (f64::from(index % SIZE.0), f64::from(index / SIZE.0));
        (column + 0.5 - x).hypot(row + 0.5 - y) <= radius
    };
    let bytes: Vec<u8> = (0..SIZE.0 * SIZE.1).map(|index| u8::from(inside(index))).collect();
    Mask::from_bytes(SIZE.0, SIZE.1, &bytes).unwrap()
}

/// Times in milliseconds.
struct Times(Vec<f64>);

impl Times {
    fn of(measured: &Value) -> Self {
        let mut times: Vec<f64> =
            measured.as_array().unwrap().iter().map(|time| time.as_f64().unwrap()).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    fn share(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share) as usize]
    }

    /// Prints median and 95th percentile, and checks them.
    fn within(&self, what: &str, median: f64, most: f64) {
        let (half, nearly_all) = (self.share(0.5), self.share(0.95));
        println!(
            "{what}: median {half:.0} ms, 95 % within {nearly_all:.0} ms, {} times",
            self.0.len()
        );
        assert!(
            half <= median && nearly_all <= most,
            "{what}: {half} of {median}, {nearly_all} of {most}"
        );
    }
}

/// Presses a key `count` times, and returns how long each frame took to be drawn.
fn key_to_frame(page: &mut Page, key: &str, count: usize, pause: u32) -> Times {
    Times::of(&page.value(&format!(
        "(async () => {{ const out = [], d = sam2Review.drawn; \
         for (let i = 0; i < {count}; i += 1) {{ const t = performance.now(); \
         document.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true, cancelable: true }})); \
         const want = sam2Review.store.wanted; \
         await new Promise(r => {{ const w = () => d.frame === want && d.at >= t ? r() : setTimeout(w, 1); w(); }}); \
         out.push(d.at - t); await new Promise(r => setTimeout(r, {pause})); }} return out; }})()"
    )))
}

/// Goes to frames all over the recording.
fn jumps(page: &mut Page, count: usize) -> Times {
    Times::of(&page.value(&format!(
        "(async () => {{ const out = [], d = sam2Review.drawn, f = document.getElementById('frame-field'), n = sam2Review.store.run.frames; \
         for (let i = 0; i < {count}; i += 1) {{ const t = performance.now(); f.value = String((i * 7919 + 13) % n); \
         f.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Enter' }})); const want = sam2Review.store.wanted; \
         await new Promise(r => {{ const w = () => d.frame === want ? r() : setTimeout(w, 1); w(); }}); \
         out.push(d.at - t); }} return out; }})()"
    )))
}

fn heap(page: &mut Page) -> f64 {
    page.call("HeapProfiler.collectGarbage", json!({}));
    page.value("performance.memory.usedJSHeapSize").as_f64().unwrap() / 1e6
}

#[test]
fn a_long_run_opens_at_once_and_frames_follow_the_keys() {
    let Some(browser) = browser::installed() else { return };
    let Scale { frames, steps, jumps: far, room } = scale();
    let workshop = Workshop::new();
    write_run(&workshop, frames);
    let seconds = frames / 30;
    workshop.ffmpeg(&format!(
        "-f lavfi -i testsrc2=size={}x{}:rate=30:duration={seconds} -c:v libx264 -preset ultrafast -g 250 long.mp4",
        SIZE.0, SIZE.1
    ));
    let started = Instant::now();
    let server = Server::start(&workshop, &[]);
    let served = started.elapsed().as_secs_f64();
    let mut page = Page::start(&browser, &workshop, (1440, 900));
    let started = Instant::now();
    page.go(&server.address());
    page.until("globalThis.sam2Review?.drawn?.frame === 0");
    let opened = started.elapsed().as_secs_f64();
    println!(
        "{frames} frames: the server answers after {served:.2} s, the first frame is there {opened:.2} s later"
    );
    // Where the video's frames lie has to be found out once, and is kept for later.
    assert!(opened <= 2.0 * room, "{opened} s");
    let known = Instant::now();
    server.until("all frames are known", |state| state["known"] == json!(frames));
    println!(
        "all frames are in timeline and queue after {:.1} s more",
        known.elapsed().as_secs_f64()
    );

    page.value("(location.hash = '#frame=1000', 0)");
    page.until("sam2Review.store.shown === 1000");
    std::thread::sleep(Duration::from_millis(500));
    key_to_frame(&mut page, "ArrowRight", steps, 100).within(
        "key to frame",
        100.0 * room,
        250.0 * room,
    );
    key_to_frame(&mut page, "ArrowRight", steps, 33).within(
        "key held down",
        100.0 * room,
        250.0 * room,
    );
    let delay = json!({ "offline": false, "latency": 50, "downloadThroughput": -1, "uploadThroughput": -1 });
    page.call("Network.enable", json!({}));
    page.call("Network.emulateNetworkConditions", delay.clone());
    key_to_frame(&mut page, "ArrowRight", steps, 100).within(
        "with 50 ms of delay",
        200.0 * room,
        500.0 * room,
    );
    let mut none = delay;
    none["latency"] = json!(0);
    page.call("Network.emulateNetworkConditions", none);
    let before = heap(&mut page);
    // A video is decoded from the key frame before, here up to 250 frames.
    jumps(&mut page, far).within("to a frame anywhere", 500.0 * room, 1000.0 * room);
    let after = heap(&mut page);
    let kept = page.value("sam2Review.sizes()");
    let resident = server.running.resident_megabytes();
    println!(
        "page: {before:.1} MB of objects, {after:.1} MB after {far} jumps, {kept}; server: {resident} MB"
    );
    assert!(after < 100.0 && after < before + 20.0, "{before} to {after} MB");
    assert!(kept["frames"].as_u64() <= Some(200), "{kept}");
    assert!(resident < 1000, "{resident} MB");
    page.is_sound();
}
