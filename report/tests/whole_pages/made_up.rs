//! Made-up runs, and checks of their pages.

use std::collections::BTreeMap;
use std::path::Path;

use sam2_mask_writer::{
    LabelledMask, Mask, MaskFacts, QualityFlag, QualityFlags, RunPoint, RunPrompt,
};
use sam2_report::{Report, ReportBuilder, RunDescription};

/// Returns an ellipse as a mask.
pub fn ellipse((width, height): (u32, u32), (x, y): (f64, f64), (rx, ry): (f64, f64)) -> Mask {
    let mut runs = Vec::new();
    let mut background = 0_u32;
    for row in 0..height {
        let dy = (f64::from(row) - y) / ry;
        let half = if dy.abs() < 1.0 { rx * (1.0 - dy * dy).sqrt() } else { 0.0 };
        let start = (x - half).max(0.0).round() as u32;
        let end = ((x + half).max(0.0).round() as u32).min(width);
        if half == 0.0 || end <= start.min(width) {
            background += width;
            continue;
        }
        runs.extend([background + start, end - start]);
        background = width - end;
    }
    runs.push(background);
    Mask::from_runs(width, height, runs).unwrap()
}

/// Returns numbers from 0 to 1 that look random and are always the same.
pub fn noise(seed: usize) -> f64 {
    let mixed = (seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40) as f64 / (1_u64 << 24) as f64
}

pub const SIZE: (u32, u32) = (640, 480);

/// Returns one animal of a made-up recording.
pub fn animal(object: u32, frame: usize, rate: f64) -> LabelledMask {
    let (t, phase) = (frame as f64 / rate, f64::from(object));
    let wave = |speed: f64| (t * speed + phase * 1.7).sin();
    let column = 80.0 + 140.0 * f64::from((object - 1) % 4) + 50.0 * wave(0.11);
    let row = 110.0 + 240.0 * f64::from((object - 1) / 4 % 2) + 60.0 * wave(0.17);
    let grown = 1.0 + 0.15 * wave(0.05) + 0.05 * noise(frame * 31 + object as usize);
    let mut mask = ellipse(SIZE, (column, row), (30.0 * grown, 18.0 * grown));
    let mut flags = QualityFlags::NONE;
    let mut iou = 0.93 + 0.05 * noise(frame * 7 + object as usize) as f32;
    let mut score = 14.0 + 4.0 * wave(0.03) as f32 + noise(frame) as f32;
    let minute = t / 60.0;
    if object == 2 && (10.0..11.5).contains(&minute) {
        (mask, score, iou) = (Mask::empty(SIZE.0, SIZE.1), -6.0 - noise(frame) as f32, 0.1);
        flags.insert(QualityFlag::Lost);
    } else if object == 3 && frame % 20_011 == 5_000 {
        mask = ellipse(SIZE, (column, row), (90.0, 50.0));
        (score, iou) = (4.0, 0.55);
        flags.insert(QualityFlag::AreaJump);
    } else if object == 5 && (31.0..31.2).contains(&minute) {
        mask = Mask::from_runs(SIZE.0, SIZE.1, vec![0, SIZE.0 * SIZE.1]).unwrap();
        (score, iou) = (2.0, 0.3);
        flags = [QualityFlag::NearlyFull, QualityFlag::Inverted].into_iter().collect();
    } else if object == 6 && (40.0..55.0).contains(&minute) {
        iou -= 0.35 * (noise(frame / 40) as f32);
    }
    let prompted = frame.is_multiple_of(18_000);
    let (object_score, predicted_iou) = (score, iou);
    let facts = MaskFacts { object_score, predicted_iou, prompted, flags, agreement: None };
    LabelledMask { facts: Some(facts), ..LabelledMask::new(object, mask) }
}

/// Returns a frame with a floor, a light in one corner, and the animals.
pub fn picture(masks: &[LabelledMask]) -> Vec<u8> {
    let (width, height) = (SIZE.0 as usize, SIZE.1 as usize);
    let mut pixels: Vec<u8> = (0..width * height)
        .flat_map(|at| {
            let (x, y) = (at % width, at / width);
            [(205 - x / 9 - y / 12) as u8 + (20.0 * noise(at)) as u8; 3]
        })
        .collect();
    for labelled in masks.iter().filter(|m| m.mask.area() < 100_000) {
        for at in labelled.mask.foreground().flatten() {
            let shade = 50 + (15.0 * noise(at + 99)) as u8;
            pixels[3 * at..3 * at + 3].fill(shade);
        }
    }
    pixels
}

pub fn run(animals: u32, frames: usize) -> Report {
    let rate = 30.0;
    let prompts = (0..frames).step_by(18_000).flat_map(|frame| {
        (1..=animals).map(move |object| {
            let mask = animal(object, frame, rate).mask;
            let [x0, y0, x1, y1] = mask.bounds().unwrap_or([0; 4]).map(|edge| edge as f32);
            let middle = ((x0 + x1) / 2.0, (y0 + y1) / 2.0);
            let point =
                |name: &str, x, positive| RunPoint { name: name.into(), x, y: middle.1, positive };
            RunPrompt {
                frame,
                object,
                points: vec![
                    point("snout", middle.0 + 18.0, true),
                    point("tailbase", middle.0 - 18.0, true),
                    point("", x1 + 25.0, false),
                ],
                bounds: (object == 1).then_some([x0 - 4.0, y0 - 4.0, x1 + 4.0, y1 + 4.0]),
                candidate: None,
                mask: None,
            }
        })
    });
    let mut builder = ReportBuilder::new(RunDescription {
        recording: "arena-2026-03-14_cage7.avi".into(),
        size: SIZE,
        frames: 0..frames,
        recording_frames: frames,
        frames_per_second: Some(rate),
        made_by: "sam2 0.1.0".into(),
        command: "sam2 segment arena-2026-03-14_cage7.avi --keypoints cage7DLC.csv --bodyparts snout,tailbase --model large".into(),
        options: [("Track (--keypoints)", "cage7DLC.csv"), ("Body parts (--bodyparts)", "snout, tailbase"), ("Model (--model)", "large")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        run_file: Some("made-up.sam2run".into()),
        parameters: serde_json::json!({
            "model": "sam2.1_hiera_large", "device": "cpu", "batch size": 18_000, "memory policy": "official",
            "fill holes": 8, "resize": "pillow-bicubic", "keypoints": "cage7DLC.csv", "min likelihood": 0.6,
        }),
        object_names: if animals == 2 {
            BTreeMap::from([(2, "mouse \"B\"".into())])
        } else {
            BTreeMap::new()
        },
        prompts: prompts.collect(),
    });
    // Frames after the last prompt are tracked from one side.
    let last_prompt = frames.saturating_sub(1) / 18_000 * 18_000;
    for frame in 0..frames {
        let mut masks: Vec<_> = (1..=animals).map(|object| animal(object, frame, rate)).collect();
        for facts in masks.iter_mut().filter_map(|labelled| labelled.facts.as_mut()) {
            let tracked_twice = !facts.prompted && frame < last_prompt;
            facts.agreement = tracked_twice.then(|| 0.99 - 0.05 * noise(frame) as f32);
        }
        builder.add(frame, &masks).unwrap();
    }
    let mut report = builder.finish();
    for frame in report.frames_to_show() {
        let masks: Vec<_> = (1..=animals).map(|object| animal(object, frame, rate)).collect();
        report.set_picture(frame, &picture(&masks)).unwrap();
    }
    report.set_statistics(serde_json::json!({
        "frames": frames, "seconds": 9876.5, "frames_per_second": 10.9, "peak_memory_bytes": 1_234_567_890_u64,
        "stages": {"read_seconds": 101.2, "model_seconds": 9500.1, "write_seconds": 88.0},
    }));
    report
}

/// Renders the page and keeps it for inspection.
pub fn page(report: &Report, name: &str) -> String {
    let page = report.page().to_string();
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), &page).unwrap();
    page
}

/// Checks that every element is closed in order, that attributes are quoted, and that every
/// reference has a target.
pub fn is_well_formed(page: &str) {
    const EMPTY: [&str; 2] = ["meta", "!DOCTYPE"];
    let mut open: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let tag = &rest[start + 1..];
        let end = tag.find('>').expect("a tag ends");
        let (tag, behind) = (&tag[..end], &tag[end + 1..]);
        rest = behind;
        assert!(tag.matches('"').count().is_multiple_of(2), "quotes in <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in order, before {:.60}", rest);
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        if !tag.ends_with('/') && !EMPTY.contains(&name) {
            open.push(name.to_owned());
        }
        // The contents of these elements are not HTML.
        if let "script" | "style" = name {
            rest = &rest[rest.find(&format!("</{name}>")).expect("it is closed")..];
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    for reference in page.split("href=\"#").skip(1).map(|part| part.split('"').next().unwrap()) {
        assert!(page.contains(&format!("id=\"{reference}\"")), "#{reference} is there");
    }
    for id in page.split(" id=\"").skip(1).map(|part| part.split('"').next().unwrap()) {
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "#{id} is there once");
    }
}

pub fn needs_nothing_else(page: &str) {
    for outside in ["http:", "https:", "//cdn", "@import", "url(", "src=\""] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<image").count(), page.matches("data:image/jpeg;base64,").count());
}

/// Returns the report of a run of `frames` with two objects that have masks where `visible` says
/// so, and with these prompts.
pub fn two_objects(
    frames: usize,
    visible: impl Fn(usize) -> Option<[bool; 2]>,
    prompts: Vec<RunPrompt>,
) -> Report {
    let mut builder = ReportBuilder::new(RunDescription {
        recording: "two.mp4".into(),
        size: SIZE,
        frames: 0..frames,
        recording_frames: frames,
        object_names: BTreeMap::from([(1, "ann".into()), (2, "bob".into())]),
        prompts,
        ..Default::default()
    });
    for frame in 0..frames {
        let masks: Vec<_> = visible(frame)
            .map(|seen| {
                [1, 2].map(|object| {
                    let mut labelled = animal(object, frame, 30.0);
                    let facts = labelled.facts.as_mut().unwrap();
                    if !seen[object as usize - 1] {
                        labelled.mask = Mask::empty(SIZE.0, SIZE.1);
                        facts.flags = [QualityFlag::Lost].into_iter().collect();
                    }
                    facts.prompted = frame == 0;
                    labelled
                })
            })
            .into_iter()
            .flatten()
            .collect();
        builder.add(frame, &masks).unwrap();
    }
    builder.finish()
}
