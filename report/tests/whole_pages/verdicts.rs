//! The verdict of a page, and a page with every flag.

use std::collections::BTreeMap;

use sam2_mask_writer::{
    LabelledMask, Mask, MaskFacts, QualityFlag, QualityFlags, RunPoint, RunPrompt,
};
use sam2_report::{Report, ReportBuilder, RunDescription};

use crate::made_up::{
    SIZE, ellipse, is_well_formed, needs_nothing_else, noise, page, picture, two_objects,
};

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

/// Returns the page of 100 frames with this many animals. `facts` changes what is known of the mask
/// of an object on a frame, and returns false if nothing is.
fn page_of(name: &str, objects: u32, facts: impl Fn(u32, usize, &mut MaskFacts) -> bool) -> String {
    let mut builder = ReportBuilder::new(RunDescription {
        recording: "some.mp4".into(),
        size: SIZE,
        frames: 0..100,
        recording_frames: 100,
        ..Default::default()
    });
    for frame in 0..100 {
        let labelled = |object: u32| {
            let mask = ellipse(SIZE, (100.0 * f64::from(object), 200.0), (30.0, 20.0));
            let mut known = MaskFacts {
                object_score: 10.0,
                predicted_iou: 0.97,
                prompted: frame == 0,
                flags: QualityFlags::NONE,
                agreement: None,
            };
            let is_known = facts(object, frame, &mut known);
            LabelledMask { facts: is_known.then_some(known), ..LabelledMask::new(object, mask) }
        };
        builder.add(frame, &(1..=objects).map(labelled).collect::<Vec<_>>()).unwrap();
    }
    let page = page(&builder.finish(), name);
    is_well_formed(&page);
    page
}

fn holds(page: &str, told: &[&str], not_told: &[&str]) {
    told.iter().for_each(|told| assert!(page.contains(told), "{told}"));
    not_told.iter().for_each(|told| assert!(!page.contains(told), "not: {told}"));
}

#[test]
fn a_tick_needs_something_that_was_looked_for() {
    const TICK: &str = "class=\"verdict good\"";
    const UNSURE: &str = "class=\"verdict unsure\"";
    const IDENTITY: &str = "Identity was not checked from two sides";
    // One animal of which everything is known.
    let one = page_of("tick.html", 1, |_, _, _| true);
    holds(
        &one,
        &[
            TICK,
            "Nothing is flagged in 100 masks<",
            "<p class=\"absent\">Flags that no mask has: Lost, Area jump, Nearly full, Inverted, Doubtful prompt.</p>",
        ],
        &[IDENTITY, "--passes agreed</code> tracks"],
    );
    // Masks alone, as from a stack.
    let masks = page_of("masks-alone.html", 1, |_, _, _| false);
    holds(
        &masks,
        &[
            UNSURE,
            "Nothing was looked for in 100 masks<",
            "only the masks are known",
            "None stands out: no area changes suddenly",
        ],
        &[
            TICK,
            "Flags that no mask has",
            "<dt>Frames with a flag",
            "<dt>Prompted frames",
            "the model is sure",
            "nothing flagged",
        ],
    );
    // Facts of a part of the masks.
    let part = page_of("part-known.html", 1, |_, frame, _| frame < 60);
    holds(
        &part,
        &[
            UNSURE,
            "Nothing is flagged in 60 masks, and nothing was looked for in 40<",
            "In 40 masks nothing was looked for",
        ],
        &[TICK],
    );
    // Two animals, each frame tracked from one side.
    let two = page_of("one-side.html", 2, |_, _, _| true);
    holds(
        &two,
        &[
            UNSURE,
            "Nothing is flagged in 200 masks, but who is who was not checked<",
            IDENTITY,
            "<code>--passes agreed</code>",
            "Inverted, Overlap, Doubtful prompt.</p>",
        ],
        &[TICK, "<div class=\"tile\"><dt>Agreement", "data-series=\"agreement\""],
    );
    // Two animals, most frames tracked from two sides.
    let agreed = |to: usize| {
        page_of("two-sides.html", 2, move |_, frame, facts| {
            facts.prompted = frame == 0 || frame == to;
            facts.agreement = (1..to).contains(&frame).then_some(0.96);
            true
        })
    };
    holds(
        &agreed(99),
        &[
            TICK,
            "Nothing is flagged in 200 masks<",
            "Identity was checked from two sides in 196 of 196 masks that were not prompted (100 %)",
            "<dt>Agreement</dt><dd>0.96<small>on average; least 0.96",
            "data-series=\"agreement\"",
            "Flags that no mask has: Lost, Area jump, Nearly full, Inverted, Disagreement, Overlap, Doubtful prompt.",
            "\"agreement\":{\"mean\":[null,0.96,",
        ],
        &[IDENTITY],
    );
    // Too few frames of them.
    holds(
        &agreed(20),
        &[
            UNSURE,
            "who is who was not checked<",
            "in 38 of 196 masks that were not prompted (19.4 %)",
        ],
        &[TICK, IDENTITY],
    );
    // A flag comes before all of this.
    let flagged = page_of("two-flags.html", 2, |object, frame, facts| {
        if frame == 7 {
            facts.flags = [QualityFlag::Overlap, QualityFlag::OffTrack].into_iter().collect();
        }
        facts.prompted = frame == 0 && object == 1;
        true
    });
    holds(
        &flagged,
        &[
            "class=\"verdict look\"",
            "2 of 200 masks should be looked at (1.0 %)<",
            IDENTITY,
            // Two flags of two objects on one frame are one frame.
            "<dt>Frames with a flag</dt><dd>1<small>1.0 %",
            "<dt>Overlap</dt><dd>2<small>1.0 % of masks",
            "<dt>Off track</dt><dd>2<small>1.0 % of masks",
            "aria-label=\"Object 1: Overlap in 1 frame, Off track in 1 frame\"",
            "{\"flag\":\"off-track\",\"object\":2,\"spans\":[[7,7]]}",
        ],
        &["<dt>Lost", "<dt>Disagreement"],
    );
}

/// What happens to an object of the run with every flag.
const FLAGGED: [(u32, std::ops::Range<usize>, &[QualityFlag]); 9] = [
    (1, 150..240, &[QualityFlag::Lost]),
    (2, 400..404, &[QualityFlag::AreaJump]),
    (3, 600..615, &[QualityFlag::NearlyFull, QualityFlag::Inverted]),
    (1, 1300..1480, &[QualityFlag::Overlap, QualityFlag::Disagree]),
    (2, 1300..1480, &[QualityFlag::Overlap, QualityFlag::Disagree]),
    (3, 1700..1760, &[QualityFlag::Disagree]),
    (2, 2300..2420, &[QualityFlag::OffTrack]),
    (3, 2000..2001, &[QualityFlag::DoubtfulPrompt]),
    (1, 2700..2730, &[QualityFlag::Lost, QualityFlag::AreaJump]),
];
const FRAMES: usize = 3000;

/// Returns three animals, which get every flag, and the places in which they really are.
fn trouble(frame: usize) -> Vec<(LabelledMask, (f64, f64))> {
    let t = frame as f64 / 30.0;
    let one = |object: u32| {
        let phase = f64::from(object);
        let row = 120.0 + 110.0 * f64::from(object - 1) + 30.0 * (0.4 * t + phase).sin();
        let mut place = (320.0 + 230.0 * (0.11 * t + 2.1 * phase).sin(), row);
        if object == 2 && (1300..1480).contains(&frame) {
            place = (
                320.0 + 230.0 * (0.11 * t + 2.1).sin() + 24.0,
                134.0 + 30.0 * (0.4 * t + 1.0).sin(),
            );
        }
        let size = |factor: f64| (34.0 * factor, 20.0 * factor);
        let mut mask = ellipse(SIZE, place, size(1.0 + 0.03 * noise(frame + object as usize)));
        let mut flags = QualityFlags::NONE;
        let of_object =
            FLAGGED.iter().filter(|(of, frames, _)| *of == object && frames.contains(&frame));
        of_object.flat_map(|(.., flags)| flags.iter()).for_each(|&flag| flags.insert(flag));
        let has = |flag| flags.contains(flag);
        let (mut score, mut iou) = (12.0, 0.93 + 0.04 * noise(frame * 3 + object as usize) as f32);
        let mut agreement = 0.97 - 0.05 * noise(frame * 5 + object as usize) as f32;
        if has(QualityFlag::Lost) {
            (mask, score, iou) = (Mask::empty(SIZE.0, SIZE.1), -4.0, 0.2);
        } else if has(QualityFlag::Inverted) {
            (mask, iou) = (Mask::from_runs(SIZE.0, SIZE.1, vec![0, SIZE.0 * SIZE.1]).unwrap(), 0.3);
        } else if has(QualityFlag::AreaJump) {
            mask = ellipse(SIZE, place, size(2.4));
        } else if has(QualityFlag::OffTrack) {
            mask = ellipse(SIZE, (place.0 + 60.0, place.1 - 70.0), size(1.1));
        } else if has(QualityFlag::DoubtfulPrompt) {
            (mask, iou) = (ellipse(SIZE, place, size(1.9)), 0.44);
        }
        if has(QualityFlag::Disagree) {
            agreement = 0.3 * noise(frame) as f32;
        }
        let prompted = frame.is_multiple_of(1000);
        let agreement = (!prompted && frame < 2000).then_some(agreement);
        let facts =
            MaskFacts { object_score: score, predicted_iou: iou, prompted, flags, agreement };
        (LabelledMask { facts: Some(facts), ..LabelledMask::new(object, mask) }, place)
    };
    (1..=3).map(one).collect()
}

/// Returns the report of a run in which every flag occurs.
fn every_flag() -> Report {
    let prompts = (0..FRAMES).step_by(1000).flat_map(|frame| {
        trouble(frame).into_iter().map(move |(labelled, (x, y))| RunPrompt {
            frame,
            object: labelled.object,
            points: [("snout", 20.0), ("tailbase", -20.0)]
                .map(|(name, dx)| RunPoint {
                    name: name.into(),
                    x: x as f32 + dx,
                    y: y as f32,
                    positive: true,
                })
                .into(),
            ..RunPrompt::default()
        })
    });
    let mut builder = ReportBuilder::new(RunDescription {
        recording: "arena-2026-03-14_cage7.avi".into(),
        size: SIZE,
        frames: 0..FRAMES,
        recording_frames: FRAMES,
        frames_per_second: Some(30.0),
        made_by: "sam2 0.1.0".into(),
        command: "sam2 segment arena-2026-03-14_cage7.avi --keypoints cage7DLC.csv --prompt-frames 3 --passes agreed".into(),
        options: vec![("Track (--keypoints)".into(), "cage7DLC.csv".into())],
        run_file: None,
        parameters: serde_json::json!({ "model": "sam2.1_hiera_large" }),
        object_names: BTreeMap::from([(1, "ann".into()), (2, "bob".into()), (3, "cleo".into())]),
        prompts: prompts.collect(),
    });
    let masks =
        |frame| trouble(frame).into_iter().map(|(labelled, _)| labelled).collect::<Vec<_>>();
    (0..FRAMES).for_each(|frame| builder.add(frame, &masks(frame)).unwrap());
    let mut report = builder.finish();
    for frame in report.frames_to_show() {
        // The animals as they are, whatever their masks.
        let animals: Vec<_> = trouble(frame)
            .iter()
            .map(|(labelled, place)| {
                LabelledMask::new(labelled.object, ellipse(SIZE, *place, (34.0, 20.0)))
            })
            .collect();
        report.set_picture(frame, &picture(&animals)).unwrap();
    }
    report
}

#[test]
fn every_flag_has_its_place_on_the_page() {
    let page = page(&every_flag(), "every-flag.html");
    is_well_formed(&page);
    needs_nothing_else(&page);
    for flag in QualityFlag::ALL {
        let name = flag.name();
        let label = page.split(&format!("<dt><span class=\"chip {name}\">")).nth(1).unwrap();
        let label = label.split('<').next().unwrap();
        for told in [
            // A tile, a key of the legend, a bar at a glance and one in a lane, shades, a row in the
            // list of frames, a remark below a picture, the data.
            format!("<div class=\"tile {name}\"><dt>{label}</dt>"),
            format!("<i class=\"key {name}\"></i>{label}</span>"),
            format!("<path class=\"span {name}\""),
            format!("<span class=\"name\">{label}</span><div class=\"field\"><svg"),
            format!("<path class=\"span shade {name}\""),
            format!("<td><span class=\"chip {name}\">{label}</span></td>"),
            format!(": {label}</span>"),
            format!("\"flag\":\"{name}\""),
        ] {
            assert!(page.contains(&told), "{flag:?}: {told}");
        }
    }
    assert!(page.contains("style=\"--lanes:8\""));
    assert!(page.contains("From top to bottom:"));
    // The frames in which trouble begins, the worst first.
    let shown: Vec<usize> = page
        .split("<figure class=\"shot\" data-frame=\"")
        .skip(1)
        .filter(|figure| figure.contains("id=\"look-"))
        .map(|figure| figure.split('"').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(shown[0], 600, "{shown:?}");
    for first in [1300, 1700, 2000, 2300, 150, 400] {
        assert!(shown.contains(&first), "{first} in {shown:?}");
    }
    let place = |frame| shown.iter().position(|&other| other == frame);
    assert!(place(2300) < place(150) && place(1300) < place(150), "{shown:?}");
    assert!(page.contains(">1: Agreement 0.") || page.contains(">2: Agreement 0."));
}
