//! Whole pages of made-up runs: their size, what they contain, and what they must not contain.
//!
//! The pages are left in the target folder's folder for temporary files, for inspection.

#![allow(clippy::unwrap_used)]

mod made_up;
mod verdicts;

use std::collections::BTreeMap;

use sam2_mask_writer::{LabelledMask, Mask, MaskFacts, QualityFlag, RunPoint, RunPrompt};
use sam2_report::{ReportBuilder, RunDescription};

use made_up::{SIZE, animal, is_well_formed, needs_nothing_else, page, run, two_objects};

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
        run_file: None,
        parameters: serde_json::json!({ HOSTILE: HOSTILE, "nested": { HOSTILE: [HOSTILE, { HOSTILE: HOSTILE }] } }),
        object_names: BTreeMap::from([(1, HOSTILE.into())]),
        prompts: vec![RunPrompt {
            frame: 0,
            object: 1,
            points: [(f32::NAN, f32::INFINITY), (1.0, 1.0)]
                .map(|(x, y)| RunPoint { name: HOSTILE.into(), x, y, positive: true })
                .into(),
            bounds: Some([f32::NAN, -1e30, 1e30, 5.0]),
            candidate: Some(u8::MAX),
            mask: Some(vec![u32::MAX; 3]),
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

#[test]
fn points_beside_one_object_never_hide_points_on_another() {
    // As produced by `--negatives`: each object's positive point is the other object's negative
    // one.
    let point = |x, positive| RunPoint { name: "snout".into(), x, y: 100.0, positive };
    let prompt = |object, points| RunPrompt { object, points, ..RunPrompt::default() };
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
