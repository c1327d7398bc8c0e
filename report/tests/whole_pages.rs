//! Whole pages of made-up runs: their size, what they contain, and what they must not contain.
//!
//! The pages are left in the target folder's folder for temporary files, for inspection.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use sam2_mask_writer::{
    LabelledMask, Mask, MaskFacts, QualityFlag, QualityFlags, RunPoint, RunPrompt,
};
use sam2_report::{Report, ReportBuilder, RunDescription};

/// Returns an ellipse as a mask.
fn ellipse((width, height): (u32, u32), (x, y): (f64, f64), (rx, ry): (f64, f64)) -> Mask {
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
fn noise(seed: usize) -> f64 {
    let mixed = (seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40) as f64 / (1_u64 << 24) as f64
}

const SIZE: (u32, u32) = (640, 480);

/// Returns one animal of a made-up recording.
fn animal(object: u32, frame: usize, rate: f64) -> LabelledMask {
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
fn picture(masks: &[LabelledMask]) -> Vec<u8> {
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

fn run(animals: u32, frames: usize) -> Report {
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
    for frame in 0..frames {
        let masks: Vec<_> = (1..=animals).map(|object| animal(object, frame, rate)).collect();
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
fn page(report: &Report, name: &str) -> String {
    let page = report.page().to_string();
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), &page).unwrap();
    page
}

/// Checks that every element is closed in order, that attributes are quoted, and that every
/// reference has a target.
fn is_well_formed(page: &str) {
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

fn needs_nothing_else(page: &str) {
    for outside in ["http:", "https:", "//cdn", "@import", "url(", "src=\""] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<image").count(), page.matches("data:image/jpeg;base64,").count());
}

#[test]
fn eight_mice_for_an_hour_make_a_small_page() {
    let report = run(8, 108_000);
    assert!(report.frames_to_show().len() <= 32);
    let page = page(&report, "eight-mice.html");
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    is_well_formed(&page);
    needs_nothing_else(&page);
    // The page reports what was put in.
    assert_eq!(page.matches("id=\"object-").count(), 8);
    assert_eq!(page.matches("<details class=\"table\">").count(), 8);
    // Wherever one animal is lost, others have masks.
    assert!(page.contains("<dt>Empty frames</dt><dd>0"));
    for told in [
        "<dt>Lost</dt><dd>2,700".to_owned(),
        "<dt>Inverted</dt><dd>360".to_owned(),
        "18,000\u{2013}20,699".to_owned(),
        "1:00:00 at 30 frames a second".to_owned(),
        "5,000, 25,011, 45,022, 65,033, 85,044, 105,055".to_owned(),
        "of 864,000 masks should be looked at".to_owned(),
        // The user's options, and the table of each plot.
        "<code id=\"command\">sam2 segment arena-2026-03-14_cage7.avi --keypoints cage7DLC.csv"
            .to_owned(),
        "<th scope=\"row\">Body parts (--bodyparts)</th><td>snout, tailbase</td>".to_owned(),
        "<th scope=\"row\">18,144\u{2013}22,679</th><td class=\"right\">".to_owned(),
        "<td>Lost: 2,556</td>".to_owned(),
        "\"flag\":\"lost\",\"object\":2,\"spans\":[[18000,20699]]".to_owned(),
    ] {
        assert!(page.contains(&told), "{told}");
    }
}

#[test]
fn a_short_run_of_one_animal_shows_every_frame() {
    let report = run(1, 60);
    let page = page(&report, "one-mouse.html");
    is_well_formed(&page);
    needs_nothing_else(&page);
    assert!(page.contains("Nothing is flagged in 60 masks"), "the verdict");
    assert!(page.contains("exit code 0"));
    // One point per frame, so there are no bands.
    assert!(!page.contains("class=\"band\""));
    assert!(!page.contains("<text"), "one object needs no numbers");
}

#[test]
fn hostile_names_and_texts_are_shown_and_not_run() {
    const HOSTILE: &str =
        "\"'></title></script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u{202e}\0";
    let mut builder = ReportBuilder::new(RunDescription {
        recording: HOSTILE.into(),
        size: (8, 8),
        frames: 0..2,
        recording_frames: 2,
        made_by: HOSTILE.into(),
        command: HOSTILE.into(),
        options: vec![(HOSTILE.into(), HOSTILE.into())],
        parameters: serde_json::json!({ HOSTILE: HOSTILE, "nested": { HOSTILE: [HOSTILE, { HOSTILE: HOSTILE }] } }),
        object_names: BTreeMap::from([(1, HOSTILE.into())]),
        prompts: vec![RunPrompt {
            frame: 0,
            object: 1,
            points: [(f32::NAN, f32::INFINITY), (1.0, 1.0)]
                .map(|(x, y)| RunPoint { name: HOSTILE.into(), x, y, positive: true })
                .into(),
            bounds: Some([f32::NAN, -1e30, 1e30, 5.0]),
        }],
        frames_per_second: Some(f64::MIN_POSITIVE),
    });
    let facts = MaskFacts {
        object_score: f32::NAN,
        predicted_iou: f32::NEG_INFINITY,
        prompted: true,
        flags: [QualityFlag::Lost].into_iter().collect(),
        agreement: Some(f32::NAN),
    };
    let mask = Mask::from_runs(8, 8, vec![3, 20, 41]).unwrap();
    for frame in 0..2 {
        let mask = LabelledMask { facts: Some(facts), ..LabelledMask::new(1, mask.clone()) };
        // The same object twice.
        builder.add(frame, &[mask.clone(), mask]).unwrap();
    }
    let mut report = builder.finish();
    report.add_note(HOSTILE);
    report.set_statistics(serde_json::json!([HOSTILE]));
    let page = page(&report, "hostile.html");
    is_well_formed(&page);
    assert_eq!(page.matches("<script").count(), 2, "the page's own");
    assert!(!page.contains("<img") && !page.contains("\u{202e}") && !page.contains('\0'));
    assert!(page.contains("&lt;script&gt;alert(1)"));
    let drawn = page.split("class=\"prompt").nth(1).unwrap().split("</svg>").next().unwrap();
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
}

#[test]
fn an_interrupted_run_and_unprompted_frames_are_said() {
    let mut builder = ReportBuilder::new(RunDescription {
        recording: "worm.mp4".into(),
        size: SIZE,
        frames: 1000..2000,
        recording_frames: 5000,
        ..Default::default()
    });
    for frame in 1000..1600 {
        let masks =
            if (1200..1300).contains(&frame) { vec![] } else { vec![animal(1, frame, 30.0)] };
        builder.add(frame, &masks).unwrap();
    }
    let report = builder.finish();
    assert!(!report.is_complete());
    let page = page(&report, "interrupted.html");
    is_well_formed(&page);
    for told in [
        "the run is not complete",
        "600 of 1,000 frames are there",
        "100 frames had no usable prompt and no masks</strong>: 1,200\u{2013}1,299.",
        "frames 1,000\u{2013}1,999 of 5,000",
        "class=\"ground\"",
    ] {
        assert!(page.contains(told), "{told}");
    }
}

#[test]
fn runs_with_next_to_nothing_in_them_have_a_page_too() {
    for (frames, size) in [(0, (1, 1)), (1, (1, 1)), (3, (5000, 1))] {
        let mut builder =
            ReportBuilder::new(RunDescription { size, frames: 0..frames, ..Default::default() });
        for frame in 0..frames {
            let mask = Mask::empty(size.0, size.1);
            builder.add(frame, &[LabelledMask::new(u32::MAX, mask)]).unwrap();
        }
        let page = builder.finish().page().to_string();
        is_well_formed(&page);
        assert!(!page.contains("NaN") && !page.contains("inf"), "{frames}");
    }
}

/// Returns the report of a run of `frames` with two objects that have masks where `visible` says
/// so, and with these prompts.
fn two_objects(
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

#[test]
fn empty_frames_come_first_in_the_headline() {
    // In 10 frames nothing was prompted and in 5 nothing was found. In 3 more frames one object is
    // lost and the other is present.
    let report = two_objects(
        100,
        |frame| match frame {
            20..30 => None,
            40..45 => Some([false, false]),
            60..63 => Some([false, true]),
            _ => Some([true, true]),
        },
        Vec::new(),
    );
    assert_eq!(report.empty_frames(), 15);
    let page = page(&report, "empty-frames.html");
    is_well_formed(&page);
    for told in [
        "15 of 100 frames are empty; 13 of 180 masks should be looked at",
        "10 frames had no usable prompt and no masks</strong>: 20\u{2013}29.",
        "In 5 frames no object was found</strong>, although objects were prompted: 40\u{2013}44.",
        "<dt>Empty frames</dt><dd>15<small>15.0 %",
        "class=\"verdict look\"",
        "{\"flag\":\"no-prompt\",\"spans\":[[20,29]]}",
    ] {
        assert!(page.contains(told), "{told}");
    }
    // Even if all else is fine, empty frames prevent a green page.
    let quiet = two_objects(10, |frame| (frame != 3).then_some([true, true]), Vec::new());
    let quiet = quiet.page().to_string();
    assert!(quiet.contains("1 of 10 frames is empty; nothing is flagged in 18 masks"));
    assert!(quiet.contains("class=\"verdict look\""));
}

#[test]
fn points_beside_one_object_never_hide_points_on_another() {
    // As produced by `--negatives`: each object's positive point is the other object's negative
    // one.
    let point = |x, positive| RunPoint { name: "snout".into(), x, y: 100.0, positive };
    let prompt = |object, points| RunPrompt { frame: 0, object, points, bounds: None };
    let prompts = vec![
        prompt(1, vec![point(50.0, true), point(150.0, false)]),
        prompt(2, vec![point(150.0, true), point(50.0, false)]),
    ];
    let page = page(&two_objects(3, |_| Some([true, true]), prompts), "negatives.html");
    is_well_formed(&page);
    let drawn = page.split("id=\"prompts-frame-0\"").nth(1).unwrap();
    let drawn = drawn.split("</svg>").next().unwrap();
    let places: Vec<(&str, &str)> = drawn
        .match_indices("<g class=\"on\">")
        .chain(drawn.match_indices("<g class=\"beside\">"))
        .map(|(at, class)| (&drawn[at..], class))
        .map(|(rest, class)| {
            (class, rest.split(" r=\"").nth(1).unwrap().split('"').next().unwrap())
        })
        .collect();
    assert_eq!(places.len(), 4);
    let radius = |class: &str| -> f32 {
        places.iter().find(|(of, _)| of.contains(class)).unwrap().1.parse().unwrap()
    };
    assert!(radius("beside") > radius("on"), "the one below can be seen around the other");
    let last_beside = drawn.rfind("<g class=\"beside\">").unwrap();
    let first_on = drawn.find("<g class=\"on\">").unwrap();
    assert!(last_beside < first_on, "points on objects lie above all others");
    assert!(drawn.contains("<title>snout, beside ann (object 1)</title>"));
}
