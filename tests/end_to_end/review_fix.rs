//! How much work and time it takes to mend a long run, in the browser and on the command line.
//!
//! `make review-proof` writes the clip, which has two look-alikes that cross every few seconds, and its true masks
//! (`SAM2_TEST_CLIP`). Without it, nothing is measured here; what corrections do is tested in `correct.rs` and `review_page.rs`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sam2_mask_writer::{Mask, OpenRun, RunReader};
use serde_json::json;

use crate::browser;
use crate::review_page::Review;
use crate::review_server::Server;
use crate::support::Workshop;

/// A box of the track prompts every 400th frame; the arena's dark walls are left out.
const TRACK: &[&str] = &[
    "--keypoints",
    "track.csv",
    "--box-from-keypoints",
    "20%",
    "--prompt-frames",
    "first",
    "--roi",
    "14,14,292,212",
];
/// Flagged spans that the user mends.
const SPANS: usize = 10;

/// Returns the clip's file, its track and its true masks, by frame and object.
fn clip() -> Option<(PathBuf, PathBuf, Vec<Vec<Mask>>)> {
    let Some(file) = std::env::var_os("SAM2_TEST_CLIP").map(PathBuf::from) else {
        println!("left out: SAM2_TEST_CLIP names no clip (make review-proof)");
        return None;
    };
    let beside = |ending: &str| {
        file.with_file_name(format!("{}{ending}", file.file_stem().unwrap().to_str().unwrap()))
    };
    Some((file.clone(), beside("DLC.csv"), masks(&beside("-truth.sam2run"))))
}

fn masks(run: &Path) -> Vec<Vec<Mask>> {
    let frames = RunReader::open(run).unwrap().frames();
    frames
        .map(|frame| frame.unwrap().objects.into_iter().map(|shown| shown.mask).collect())
        .collect()
}

/// Returns the share of masks that are wrong (J below .5), and the mean J.
fn wrong(run: &Path, truth: &[Vec<Mask>]) -> (usize, f64) {
    let pairs = masks(run);
    let scores: Vec<f64> = pairs
        .iter()
        .zip(truth)
        .flat_map(|(some, truth)| some.iter().zip(truth).map(|(mask, truth)| mask.iou(truth)))
        .collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    (scores.iter().filter(|score| **score < 0.5).count(), mean)
}

/// Returns the pixel of a mask that is furthest from its border, as far as steps along rows and columns tell.
fn inside(mask: &Mask) -> (f64, f64) {
    let depth = |x: u32, y: u32| {
        let reach = |dx: i64, dy: i64| {
            (1..)
                .take_while(|step| {
                    let (x, y) = (i64::from(x) + dx * step, i64::from(y) + dy * step);
                    x >= 0 && y >= 0 && mask.contains(x as u32, y as u32)
                })
                .count()
        };
        [(1, 0), (-1, 0), (0, 1), (0, -1)].map(|(dx, dy)| reach(dx, dy)).into_iter().min().unwrap()
    };
    let best = mask.pixels().max_by_key(|&(x, y)| depth(x, y)).expect("the animal is there");
    (f64::from(best.0) + 0.5, f64::from(best.1) + 0.5)
}

/// Returns how many masks the history says were computed again.
fn computed_again(run: &Path) -> usize {
    let run = OpenRun::open(run).unwrap();
    let spans = run.amendments().iter().filter_map(|amendment| match &amendment.action {
        sam2_mask_writer::Action::Computed { objects, frames } => {
            Some(objects.len() * frames.len())
        }
        _ => None,
    });
    spans.sum()
}

#[test]
fn ten_flagged_spans_are_mended() {
    let (Some(browser), Some((file, track, truth))) = (browser::installed(), clip()) else {
        return;
    };
    let workshop = Workshop::new();
    let recording = file.to_str().unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    std::fs::copy(&file, workshop.path(name)).unwrap();
    std::fs::copy(&track, workshop.path("track.csv")).unwrap();
    let started = Instant::now();
    workshop.sam2(&[&["segment", name, "-o", "m.sam2run"], TRACK].concat()).succeeded();
    let whole = started.elapsed().as_secs_f64();
    let all = truth.iter().map(Vec::len).sum::<usize>();
    let run = workshop.path("m.sam2run");
    workshop.write("copy.sam2run", workshop.read("m.sam2run"));
    let (before, j_before) = wrong(&run, &truth);
    println!(
        "{recording}: {} frames, {all} masks in {whole:.0} s; {before} wrong, mean J {j_before:.3}",
        truth.len()
    );

    let server = Server::start(&workshop, &[]);
    let mut review = Review::open(&browser, &workshop, &server, (1440, 900));
    server.until("all frames are known", |state| state["known"] == json!(truth.len()));
    review.until(&format!("s.state.known === {}", truth.len()));
    let started = Instant::now();
    let (mut spans, mut clicks) = (0, 0);
    review.page.keys("a");
    while spans < SPANS {
        let last = review.store("s.shown");
        review.page.keys("n");
        review.until("s.shown === s.wanted");
        let frame = review.store("s.shown").as_u64().unwrap() as usize;
        assert!(spans == 0 || last != json!(frame), "no open item is left after {spans}");
        // The person looks who is who, and clicks each animal whose mask is not on it.
        let shown = server.masks(frame as u64);
        let wrong: Vec<usize> = (0..truth[frame].len())
            .filter(|&o| shown[o].iou(&truth[frame][o]) < 0.5 && truth[frame][o].area() > 0)
            .collect();
        for &object in &wrong {
            review.page.keys("Escape");
            review.page.keys("a");
            review.until(&format!("(s.selected === {0}) || (document.querySelector('[data-object=\"{0}\"]').click(), false)", object + 1));
            review.click(inside(&truth[frame][object]), "left");
            review.idle();
            clicks += 1;
        }
        if !wrong.is_empty() {
            review.page.keys("Escape");
            review.page.keys("t");
            review.until("s.state.tracking === null && s.state.stale.length === 0");
            spans += 1;
        }
        review.page.keys("r");
        review.idle();
        review.page.keys("a");
    }
    let seconds = started.elapsed().as_secs_f64();
    let again = computed_again(&run);
    let (after, j_after) = wrong(&run, &truth);
    println!(
        "in the browser: {SPANS} spans, {clicks} clicks, {seconds:.0} s; {again} masks computed again ({:.1} % of {all}); {after} wrong, mean J {j_after:.3}",
        100.0 * again as f64 / all as f64
    );
    assert!(after < before && j_after > j_before);
    let prompts = server.get("prompts.json");
    workshop.write("prompts.json", &prompts.body);
    drop(server);

    // All corrections in one command: what several of them change is tracked once.
    let started = Instant::now();
    workshop
        .sam2(&["correct", "copy.sam2run", "--prompts", "prompts.json", "-o", "command.btf"])
        .succeeded();
    let seconds = started.elapsed().as_secs_f64();
    let copy = workshop.path("copy.sam2run");
    let at_once = computed_again(&copy);
    println!(
        "with `sam2 correct`: {seconds:.0} s; {at_once} masks computed again ({:.1} %)",
        100.0 * at_once as f64 / all as f64
    );
    assert!(at_once <= again && at_once < all, "{at_once} and {again} of {all}");
    assert!(masks(&copy) == masks(&run), "both ways give the same masks");
}
