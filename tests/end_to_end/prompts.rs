//! Every way to prompt: tracks of several animals, files, masks, and the effect of the flags on
//! them.

use crate::support::{Workshop, asset_text, track};

/// Makes a workshop with the two animals of the fixtures, in the first twelve frames of
/// `two-crossing`.
fn two() -> Workshop {
    let workshop = Workshop::new();
    workshop.cut("two-crossing", 12, "-c:v ffv1 -g 1", "two.mkv");
    for name in FIXTURES {
        let path = asset_text(&format!("../tests/fixtures/tracks/{name}"));
        workshop.write(name, std::fs::read(path).unwrap());
    }
    workshop
}

const FIXTURES: [&str; 8] = [
    "two-dlc.csv",
    "two-dlc.h5",
    "two-dlc-fixed.h5",
    "two-sleap.csv",
    "two-sleap.h5",
    "two-sleap-standard.h5",
    "two-labelled.csv",
    "two-labelled.h5",
];

/// Returns those of the tracks that this build can read.
fn readable<'a>(names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    names.iter().copied().filter(|name| cfg!(feature = "hdf5") || !name.ends_with(".h5"))
}

/// Returns the track's row of a frame: (x, y) of three body parts of the first animal, then of the
/// second.
fn row(workshop: &Workshop, frame: usize) -> [[(f32, f32); 3]; 2] {
    let text = String::from_utf8(workshop.read("two-dlc.csv")).unwrap();
    let cells = text.lines().nth(4 + frame).unwrap().split(',').skip(1);
    let numbers: Vec<f32> = cells.map(|cell| cell.parse().unwrap()).collect();
    let part = |at: usize| (numbers[3 * at], numbers[3 * at + 1]);
    [[part(0), part(1), part(2)], [part(3), part(4), part(5)]]
}

/// Returns points as flags; `end` follows the coordinates.
fn points(frame: usize, parts: &[(f32, f32)], end: &str) -> Vec<String> {
    let flag = |(x, y): &(f32, f32)| ["--point".to_owned(), format!("{frame}:{x},{y}{end}")];
    parts.iter().flat_map(flag).collect()
}

fn text(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Segments with both sets of arguments and expects the same masks.
fn same(workshop: &Workshop, arguments: &[&str], others: &[&str]) {
    workshop.segment_to("one.btf", "two.mkv", &[arguments, &["--ids", "--overwrite"]].concat());
    workshop.segment_to("other.btf", "two.mkv", &[others, &["--ids", "--overwrite"]].concat());
    assert!(
        workshop.read("one.btf") == workshop.read("other.btf"),
        "{arguments:?} and {others:?} give different masks"
    );
}

#[test]
fn every_kind_of_track_gives_the_same_masks_of_every_individual() {
    let workshop = two();
    let mut first = None;
    for name in readable(&FIXTURES[..6]) {
        let arguments = ["--keypoints", name, "--ids", "--overwrite"];
        let outcome = workshop.segment("two.mkv", &arguments);
        assert!(outcome.stderr.contains("objects: 1 = ann, 2 = bob"), "{}", outcome.stderr);
        assert_eq!(outcome.prompted(), [7], "{name}");
        let bytes = workshop.read("masks.btf");
        assert!(first.get_or_insert_with(|| bytes.clone()) == &bytes, "{name}");
    }
    let stack = workshop.masks();
    assert_eq!(stack.values(), [0, 1, 2]);
    for frame in [0, 7, 11] {
        for (animal, parts) in row(&workshop, frame).iter().enumerate() {
            let (x, y) = parts[1];
            let pixel = stack.pages[frame][y as usize * 320 + x as usize];
            assert_eq!(usize::from(pixel), animal + 1, "frame {frame}");
        }
    }
}

#[test]
fn labelled_data_prompt_the_frames_of_their_images() {
    let workshop = two();
    for name in readable(&["two-labelled.csv", "two-labelled.h5"]) {
        let arguments = ["--keypoints", name, "--batch-size", "6", "--overwrite"];
        assert_eq!(workshop.segment("two.mkv", &arguments).prompted(), [3, 7], "{name}");
    }
}

#[test]
fn prompt_frames_are_chosen_for_each_individual() {
    let workshop = two();
    let cases: [(&str, &[usize]); 5] = [
        ("best", &[7]),
        ("first", &[0]),
        ("every:5", &[0, 5, 6, 10]),
        ("above:0.9992", &[3, 7]),
        // Eight frames each, out of twelve and of eleven.
        ("above:0.5", &[0, 1, 2, 3, 4, 6, 7, 8, 9, 11]),
    ];
    for (which, expected) in cases {
        let arguments = ["--keypoints", "two-dlc.csv", "--prompt-frames", which, "--overwrite"];
        let prompted = workshop.segment("two.mkv", &arguments).prompted();
        assert_eq!(prompted, expected, "{which}");
    }
    let wrong = ["segment", "two.mkv", "-o", "m.btf", "--keypoints", "two-dlc.csv"];
    for which in ["worst", "every:0", "above:1", "above:x", "first:3"] {
        let all = [&wrong[..], &["--prompt-frames", which]].concat();
        workshop.refused(2, &all, &["every:N", "above:L"]);
    }
}

#[test]
fn an_individual_without_a_usable_prompt_in_a_batch_is_named() {
    let workshop = two();
    let arguments =
        ["segment", "two.mkv", "-o", "masks.btf", "--keypoints", "two-dlc.csv", "--ids"];
    let own = ["--batch-size", "1", "--passes", "own"];
    let outcome = workshop.sam2(&[&arguments[..], &own].concat()).ended(3);
    outcome.warns(&["object 2 (bob)", "in frame 5"]);
    let stack = workshop.masks();
    assert!(!stack.pages[5].contains(&2) && stack.pages[5].contains(&1));
    assert!(stack.pages[4].contains(&2) && stack.pages[6].contains(&2));
    // By default, a track of several individuals is tracked from the nearest prompts, also those of
    // other batches.
    let outcome = workshop.sam2(&[&arguments[..], &["--batch-size", "1", "--overwrite"]].concat());
    assert!(outcome.succeeded().stderr.contains("the track has several individuals"));
    assert!(workshop.masks().pages[5].contains(&2));
}

#[test]
fn individuals_are_picked_by_name() {
    let workshop = two();
    let bob = row(&workshop, 7)[1];
    let flags = points(7, &bob, "");
    same(&workshop, &["--keypoints", "two-dlc.csv", "--individual", "bob"], &text(&flags));
    let track = ["--keypoints", "two-sleap.csv"];
    let told = ["two-sleap.csv", "'eve'", "ann, bob", "--individual"];
    workshop.refuses("two.mkv", &[&track[..], &["--individual", "eve"]].concat(), &told);
}

#[test]
fn the_others_body_parts_are_negative_points_the_closest_first() {
    let workshop = two();
    let [ann, mut bob] = row(&workshop, 7);
    let to_ann = |from: &(f32, f32)| {
        ann.iter().map(|to| (to.0 - from.0).hypot(to.1 - from.1)).fold(f32::INFINITY, f32::min)
    };
    bob.sort_by(|a, b| to_ann(a).total_cmp(&to_ann(b)));
    let flags = [points(7, &ann, ""), points(7, &bob, ":-")].concat();
    let track = ["--keypoints", "two-dlc.csv", "--individual", "ann", "--negatives"];
    same(&workshop, &track, &text(&flags));
}

#[test]
fn a_box_around_the_body_parts() {
    let workshop = two();
    let ann = row(&workshop, 7)[0];
    let least = |values: [f32; 3]| values.into_iter().fold(f32::INFINITY, f32::min);
    let most = |values: [f32; 3]| values.into_iter().fold(0.0, f32::max);
    let (xs, ys) = (ann.map(|part| part.0), ann.map(|part| part.1));
    let corners = |grow: f32| {
        let (x0, y0) = (least(xs) - grow, least(ys) - grow);
        format!("7:{x0},{y0},{},{}", most(xs) + grow, most(ys) + grow)
    };
    let longer = (most(xs) - least(xs)).max(most(ys) - least(ys));
    for (margin, grow) in [("10", 10.0), ("25%", longer * 25.0 / 100.0)] {
        let flags = [points(7, &ann, ""), vec!["--box".into(), corners(grow)]].concat();
        let track = ["--keypoints", "two-dlc.csv", "--individual", "ann"];
        let track = [&track[..], &["--box-from-keypoints", margin]].concat();
        same(&workshop, &track, &text(&flags));
    }
}

#[test]
fn clicks_join_a_track() {
    let workshop = Workshop::new();
    workshop.cut("two-crossing", 3, "-c:v ffv1", "two.mkv");
    workshop.write("one.csv", track(&["body"], &["58,106,0.5", "62,106,0.9", "66,107,0.5"]));
    let together = ["--keypoints", "one.csv", "--point", "1:77,90", "--point", "0:262,154:2"];
    let flags = ["--point", "1:62,106", "--point", "1:77,90", "--point", "0:262,154:2"];
    same(&workshop, &together, &flags);
}

#[test]
fn prompts_are_given_to_the_batches_of_their_frames() {
    let workshop = two();
    let clicks = ["--point", "1:62,106", "--point", "8:80,110", "--point", "1:262,154:2"];
    let arguments = ["segment", "two.mkv", "-o", "masks.btf", "--ids", "--batch-size", "6"];
    let outcome = workshop.sam2(&[&arguments[..], &clicks].concat()).ended(3);
    outcome.warns(&["object 2", "frames 6 to 11"]);
    assert_eq!(outcome.prompted(), [1, 8]);
    assert_eq!(workshop.masks().pages.len(), 12);
}

#[test]
fn a_document_and_a_table_say_what_flags_say() {
    let workshop = two();
    let flags = [
        "--point",
        "0:58,106",
        "--point",
        "0:262,154:-",
        "--box",
        "0:240,120,300,190:2",
        "--point",
        "6:260,153:2",
    ];
    let document = r#"{"version": 1, "objects": [{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}],
        "prompts": [{"frame": 0, "object": "ann", "points": [{"x": 58, "y": 106}, {"x": 262, "y": 154, "label": 0}]},
        {"frame": 0, "object": 2, "box": [240, 120, 300, 190]},
        {"frame": 6, "object": "bob", "points": [{"x": 260, "y": 153}]}]}"#;
    workshop.write("prompts.json", document);
    same(&workshop, &["--prompts", "prompts.json"], &flags);
    workshop.write(
        "clicks.csv",
        "label,frame,x,y,object\n1,0,58,106,1\n-,0,262,154,1\n+,6,260,153,2\n",
    );
    let with_box = ["--prompts", "clicks.csv", "--box", "0:240,120,300,190:2"];
    same(&workshop, &with_box, &flags);
    let outcome = workshop.segment("two.mkv", &["--prompts", "prompts.json"]);
    assert!(outcome.stderr.contains("objects: 1 = ann, 2 = bob"), "{}", outcome.stderr);
}

#[test]
fn masks_prompt_and_a_stack_of_masks_prompts_another_run() {
    let workshop = two();
    let clicks = ["--keypoints", "two-dlc.csv", "--prompt-frames", "first", "--ids"];
    workshop.segment_to("first.btf", "two.mkv", &clicks);
    let first = workshop.stack("first.btf");
    // Numbers in the image are object numbers.
    workshop.segment("two.mkv", &["--mask", "4:first.btf", "--ids"]);
    let again = workshop.masks();
    for frame in [0, 4, 11] {
        for object in [1, 2] {
            let pairs = || first.pages[frame].iter().zip(&again.pages[frame]);
            let both = pairs().filter(|(a, b)| **a == object && **b == object).count() as f64;
            let either = pairs().filter(|(a, b)| **a == object || **b == object).count() as f64;
            // The prompted frame shows the given mask, at a quarter of the model's resolution. The
            // other frames depend on a different start than the clicks on frame 0.
            let bar = if frame == 4 { 0.9 } else { 0.8 };
            assert!(both / either > bar, "object {object}, frame {frame}: {both} of {either}");
        }
    }
    // The whole mask belongs to the named object. A prompt document refers to its masks relative to
    // its own folder.
    workshop.segment("two.mkv", &["--mask", "4:first.btf:7", "--ids", "--overwrite"]);
    assert_eq!(workshop.masks().values(), [0, 7]);
    let whole = workshop.read("masks.btf");
    workshop.folder("session");
    std::fs::rename(workshop.path("first.btf"), workshop.path("session/first.btf")).unwrap();
    let document = r#"{"version": 1, "prompts": [{"frame": 4, "object": 7, "mask": "first.btf"}]}"#;
    workshop.write("session/prompts.json", document);
    workshop.segment("two.mkv", &["--prompts", "session/prompts.json", "--ids", "--overwrite"]);
    assert!(workshop.read("masks.btf") == whole);
}

#[test]
fn masks_that_cannot_be_used() {
    let workshop = two();
    workshop.ffmpeg("-f lavfi -i color=white:size=64x48:duration=1 -frames:v 1 small.png");
    workshop.ffmpeg("-f lavfi -i color=black:size=320x240:duration=1 -frames:v 1 black.png");
    workshop.write("text.png", "hello");
    let cases: [(&str, &[&str]); 4] = [
        ("0:small.png", &["64x48", "320x240", "frame 0"]),
        ("0:black.png", &["black.png", "empty"]),
        ("0:text.png", &["text.png", "PNG", "TIFF"]),
        ("0:missing.png", &["missing.png"]),
    ];
    for (mask, told) in cases {
        workshop.refuses("two.mkv", &["--mask", mask], told);
    }
    let wrong = ["segment", "two.mkv", "-o", "m.btf", "--mask", "black.png"];
    workshop.refused(2, &wrong, &["FRAME:FILE"]);
}

#[test]
fn documents_that_cannot_be_used_say_where() {
    let workshop = two();
    let prompts = |inner: &str| format!("{{\"version\": 1,\n\"prompts\": [{inner}]}}");
    let cases: [(String, &[&str]); 10] = [
        ("{\"version\": 2, \"new\": 1}".into(), &["version", "2", "1"]),
        ("{\"prompts\": []}".into(), &["version"]),
        (prompts(""), &["prompts", "none"]),
        (prompts("{\"frame\": 0}"), &["prompts[0]", "neither"]),
        (prompts("{\"frame\": 0, \"pionts\": []}"), &["prompts[0]", "pionts", "line 2"]),
        (prompts("{\"frame\": 0, \"box\": [1, 2, 3]}"), &["prompts[0].box", "line 2"]),
        (
            prompts("{\"frame\": 0, \"object\": \"eve\", \"box\": [1, 2, 3, 4]}"),
            &["prompts[0].object", "eve"],
        ),
        (
            prompts("{\"frame\": 0, \"points\": [{\"x\": 1, \"y\": 2, \"label\": 3}]}"),
            &["prompts[0].points[0].label"],
        ),
        (
            prompts("{\"frame\": 99, \"points\": [{\"x\": 1, \"y\": 2}]}"),
            &["frame 99", "12 frames"],
        ),
        ("{\"version\": 1, ".into(), &["line 1"]),
    ];
    for (document, told) in cases {
        workshop.write("prompts.json", &document);
        workshop.refuses("two.mkv", &["--prompts", "prompts.json"], told);
    }
    for (table, told) in [
        ("frame,x,y\n0,1,oops\n", ["line 2", "oops"]),
        ("frame,x,y,label\n0,1,1,2\n", ["line 2", "label"]),
        ("frame,x\n0,1\n", ["line 1", "'y'"]),
        ("frame,x,y,likelihood\n0,1,1,1\n", ["line 1", "likelihood"]),
        ("frame,x,y,object\n0,1,1,300\n", ["line 2", "300"]),
        ("frame,x,y\n", ["no rows", "prompts.csv"]),
    ] {
        workshop.write("prompts.csv", table);
        workshop.refuses("two.mkv", &["--prompts", "prompts.csv"], &told);
    }
}

#[test]
fn an_hdf5_file_of_another_kind_names_the_kinds() {
    let workshop = two();
    let mut bytes = workshop.read("two-dlc.h5");
    bytes.truncate(600);
    workshop.write("cut.h5", bytes);
    let told = ["cut.h5", "HDF5", "DeepLabCut", "SLEAP"];
    workshop.refuses("two.mkv", &["--keypoints", "cut.h5"], &told);
}

#[test]
fn names_in_files_are_the_track_s_objects() {
    let workshop = two();
    let (x, y) = row(&workshop, 7)[1][0];
    workshop.write("bob.csv", format!("frame,object,x,y\n7,bob,{x},{y}\n"));
    let document = |objects: &str| {
        format!(
            r#"{{"version":1,{objects}"prompts":[{{"frame":7,"object":"bob","points":[{{"x":{x},"y":{y}}}]}}]}}"#
        )
    };
    workshop.write("bob.json", document(""));
    let track = ["--keypoints", "two-dlc.csv"];
    let flag = format!("7:{x},{y}:2");
    let by_number = [&track[..], &["--point", &flag]].concat();
    for file in ["bob.csv", "bob.json"] {
        same(&workshop, &[&track[..], &["--prompts", file]].concat(), &by_number);
    }
    // A name that does not occur in the track.
    workshop.write("carl.csv", format!("frame,object,x,y\n7,carl,{x},{y}\n"));
    let outcome = workshop.segment("two.mkv", &[&track[..], &["--prompts", "carl.csv"]].concat());
    outcome.warns(&["'carl' is object 3", "the track has no such names"]);
    assert!(outcome.stderr.contains("1 = ann, 2 = bob, 3 = carl"), "{}", outcome.stderr);
    std::fs::remove_file(workshop.path("masks.btf")).unwrap();
    // A number that contradicts the track.
    workshop.write("wrong.json", document(r#""objects":[{"id":1,"name":"bob"}],"#));
    let arguments = [&track[..], &["--prompts", "wrong.json"]].concat();
    workshop.refuses("two.mkv", &arguments, &["wrong.json", "'ann' and 'bob'"]);
}
