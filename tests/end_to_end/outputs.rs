//! Several outputs of one run: what is written, what is refused, and that folders are as safe as
//! files. `tests/formats` checks their contents with each format's own readers.

use crate::support::{ON_THE_MOUSE, Stack, Workshop, asset_text};

/// One output of each kind, as typed by users.
const ALL: [&str; 16] = [
    "masks.btf",
    "object-tiffs:objects",
    "davis:davis",
    "object-pngs:pngs",
    "coco.json",
    "sav:sav.json",
    "yolo:yolo",
    "labelme:labelme",
    "rois.zip",
    "masks.zarr",
    "masks.sam2run",
    "table.csv",
    "table.parquet",
    "overlay.mp4",
    "sheet.png",
    "logits.npy",
];

/// Returns `segment mouse.mkv --point ... -o OUTPUT -o OUTPUT ...`.
fn arguments<'a>(outputs: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["segment", "mouse.mkv", "--point", ON_THE_MOUSE];
    outputs.iter().for_each(|output| all.extend(["-o", output]));
    all.extend(more);
    all
}

/// Makes a workshop with a short recording.
fn mouse() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    workshop
}

/// Returns the names in a folder, sorted.
fn inside(workshop: &Workshop, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(workshop.path(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn nothing_is_written_among_the_pictures_of_a_recording() {
    let workshop = Workshop::new();
    workshop.folder("frames");
    workshop.cut("mouse-arena", 3, "", "frames/%03d.png");
    for output in ["frames/sheet.png", "frames/../frames/masks.btf", "davis:frames/masks"] {
        let command = ["segment", "frames", "-o", output, "--point", "0:240,80"];
        workshop.refused(1, &command, &["frames", "which is the recording", "another folder"]);
    }
}

#[test]
fn one_run_writes_every_format_and_nothing_else() {
    let workshop = mouse();
    workshop.sam2(&arguments(&ALL, &[])).succeeded();
    let paths = ALL.iter().map(|output| output.split(':').next_back().unwrap());
    let mut expected: Vec<&str> = paths.chain([".masks.btf.sam2job", "mouse.mkv", "tmp"]).collect();
    expected.sort_unstable();
    assert_eq!(inside(&workshop, "."), expected);
    assert_eq!(inside(&workshop, "objects"), ["object-001.btf"]);
    assert_eq!(inside(&workshop, "davis"), ["00000.png", "00001.png", "00002.png"]);
    assert_eq!(inside(&workshop, "pngs/001"), ["00000.png", "00001.png", "00002.png"]);
    assert_eq!(inside(&workshop, "yolo"), ["00000.txt", "00001.txt", "00002.txt"]);
    assert_eq!(inside(&workshop, "labelme"), ["00000.json", "00001.json", "00002.json"]);
    assert_eq!(inside(&workshop, "masks.zarr"), [".zattrs", ".zgroup", "0"]);
    assert_eq!(inside(&workshop, "masks.zarr/0"), [".zarray", "0", "1", "2"]);
    let table = String::from_utf8(workshop.read("table.csv")).unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.lines().nth(1).unwrap().starts_with("0,0,1,"), "{table}");
    assert!(workshop.stack("masks.btf").pages == workshop.stack("objects/object-001.btf").pages);

    // Running the same again gives the same bytes.
    let before = workshop.snapshot();
    workshop.sam2(&arguments(&ALL, &["--overwrite"])).succeeded();
    assert!(workshop.snapshot() == before, "a second run writes the same bytes");
}

/// Returns the names of an image folder's 24 frames, `00001` to `00024`, with another extension.
fn frames_from_1(ending: &str) -> Vec<String> {
    (1..=24).map(|number| format!("{number:05}{ending}")).collect()
}

#[test]
fn frames_from_images_are_called_as_these() {
    let workshop = Workshop::new();
    let frames = asset_text("../tests/cases/output-names-folder-from-1/frames");
    let mut command = vec!["segment", &frames, "--point", "0:50,140"];
    let outputs = [
        "davis:davis",
        "object-pngs:pngs",
        "yolo:yolo",
        "labelme:labelme",
        "coco.json",
        "table.csv",
        "masks.sam2run",
    ];
    outputs.iter().for_each(|output| command.extend(["-o", output]));
    workshop.sam2(&command).succeeded();
    let merge = ["merge", "masks.sam2run", "-o", "davis:again", "-o", "again.csv"];
    workshop.sam2(&merge).succeeded();
    for folder in ["davis", "pngs/001", "again"] {
        assert_eq!(inside(&workshop, folder), frames_from_1(".png"), "{folder}");
    }
    assert_eq!(inside(&workshop, "yolo"), frames_from_1(".txt"));
    assert_eq!(inside(&workshop, "labelme"), frames_from_1(".json"));
    let text = |name: &str| String::from_utf8(workshop.read(name)).unwrap();
    let coco: serde_json::Value = serde_json::from_str(&text("coco.json")).unwrap();
    for (index, name) in frames_from_1(".jpg").iter().enumerate() {
        let image = &coco["images"][index];
        assert_eq!((&image["id"], &image["file_name"]), (&index.into(), &name.as_str().into()));
    }
    assert_eq!(text("again.csv"), text("table.csv"));
    let table = text("table.csv");
    assert!(table.lines().next().unwrap().ends_with(",flags,name,image,agreement"), "{table}");
    for (row, name) in table.lines().skip(1).zip(frames_from_1(".jpg")) {
        assert!(row.ends_with(&format!(",,{name},")), "{row}");
        // The disc is at (50 + 4 t, 140 - t) on frame t, whose image is called t + 1.
        let cells: Vec<f64> = row.split(',').map(|cell| cell.parse().unwrap_or(-1.0)).collect();
        let (x, y) = (50.0 + 4.0 * cells[0], 140.0 - cells[0]);
        assert!((cells[4] - x).abs() < 8.0 && (cells[5] - y).abs() < 8.0, "{row}");
    }
    // Running the same again replaces them; a part uses the names of its own images.
    command.push("--overwrite");
    workshop.sam2(&command).succeeded();
    command.extend(["--frames", "20..", "--batch-size", "10"]);
    let at_20 = command.iter().map(|&word| if word == "0:50,140" { "20:130,120" } else { word });
    workshop.sam2(&at_20.collect::<Vec<_>>()).succeeded();
    assert_eq!(inside(&workshop, "davis"), frames_from_1(".png")[20..]);
}

#[test]
fn objects_have_the_names_of_the_animals_of_a_track() {
    let workshop = mouse();
    let mut track = String::from(
        "scorer,n,n,n,n,n,n\nindividuals,Tom,Tom,Tom,Jerry,Jerry,Jerry\n\
        bodyparts,snout,snout,snout,snout,snout,snout\ncoords,x,y,likelihood,x,y,likelihood\n",
    );
    (0..3).for_each(|row| track += &format!("{row},122,40,0.9,30,60,0.9\n"));
    workshop.write("track.csv", track);
    let command = ["segment", "mouse.mkv", "--keypoints", "track.csv"];
    let outputs = ["-o", "table.csv", "-o", "coco.json", "--coco-polygons"];
    workshop.sam2(&[&command[..], &outputs].concat()).succeeded();
    let table = String::from_utf8(workshop.read("table.csv")).unwrap();
    let names: Vec<&str> =
        table.lines().skip(1).map(|row| row.rsplit(',').nth(2).unwrap()).collect();
    assert_eq!(names, ["Tom", "Jerry", "Tom", "Jerry", "Tom", "Jerry"]);
    let coco: serde_json::Value = serde_json::from_slice(&workshop.read("coco.json")).unwrap();
    let expected = serde_json::json!([{"id": 1, "name": "Tom"}, {"id": 2, "name": "Jerry"}]);
    assert_eq!(coco["categories"], expected);
    let annotations = coco["annotations"].as_array().unwrap();
    assert!(!annotations.is_empty());
    for annotation in annotations {
        assert_eq!(annotation["category_id"], annotation["track_id"]);
        assert!(annotation["segmentation"][0].as_array().unwrap().len() >= 8);
    }
}

#[test]
fn logits_and_scores_reach_the_outputs_from_both_directions() {
    // Frames before the prompt come from the reverse pass, and all frames pass through the spool.
    let workshop = mouse();
    let outputs = ["-o", "masks.btf", "-o", "logits.npy", "-o", "table.csv"];
    let click = ["segment", "mouse.mkv", "--point", "2:122,42"];
    workshop.sam2(&[&click[..], &outputs].concat()).succeeded();
    let array = workshop.read("logits.npy");
    assert!(array.starts_with(b"\x93NUMPY"));
    let stack = workshop.masks();
    let values = array[128..].chunks_exact(4);
    let masks: Vec<u8> = values
        .map(|bytes| if f32::from_le_bytes(bytes.try_into().unwrap()) > 0.0 { 255 } else { 0 })
        .collect();
    assert!(masks == stack.pages.concat(), "masks are where logits are above 0");
    let table = String::from_utf8(workshop.read("table.csv")).unwrap();
    for (row, area) in table.lines().skip(1).zip(stack.areas()) {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(cells[3], area.to_string(), "{row}");
        assert!(cells[10].parse::<f32>().unwrap() > 0.0, "{row}");
        assert_eq!(cells[12], if cells[0] == "2" { "true" } else { "false" }, "{row}");
    }
}

#[test]
fn frames_without_a_prompt_are_in_every_output() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    // No body part in the second batch is likely enough.
    let rows: Vec<String> =
        (0..6).map(|row| format!("122,40,{}", if row < 3 { 0.9 } else { 0.1 })).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    workshop.write("track.csv", crate::support::track(&["snout"], &rows));
    let mut all = vec!["segment", "mouse.mkv", "--keypoints", "track.csv", "--batch-size", "3"];
    all.extend(["--min-likelihood", "0.5"]);
    ALL.iter().for_each(|output| all.extend(["-o", output]));
    workshop.sam2(&all).ended(3);
    assert_eq!(workshop.stack("objects/object-001.btf").areas()[3..], [0, 0, 0]);
    assert_eq!(inside(&workshop, "davis").len(), 6);
    assert_eq!(inside(&workshop, "pngs/001").len(), 6);
    assert_eq!(workshop.read("yolo/00005.txt"), b"");
    let table = String::from_utf8(workshop.read("table.csv")).unwrap();
    let last = table.lines().next_back().unwrap();
    assert!(last.starts_with("5,") && last.ends_with(",1,0,,,,,,,,,,,,,"), "{last}");
    let array = workshop.read("logits.npy");
    assert!(f32::from_le_bytes(array[array.len() - 4..].try_into().unwrap()).is_nan());
}

#[test]
fn compressed_stacks_hold_the_same_pages() {
    let workshop = mouse();
    let mut sizes = Vec::new();
    for method in ["none", "packbits", "deflate"] {
        let name = format!("{method}.tif");
        let compression = ["--compression", method];
        workshop.sam2(&arguments(&[&name], &compression)).succeeded();
        sizes.push(workshop.read(&name).len());
    }
    let pages = |name: &str| Stack::read(&workshop.path(name)).pages;
    assert!(
        pages("none.tif") == pages("packbits.tif") && pages("none.tif") == pages("deflate.tif")
    );
    assert!(sizes[2] < sizes[1] && 4 * sizes[1] < sizes[0], "{sizes:?}");
    let unknown = workshop.sam2(&arguments(&["x.tif"], &["--compression", "zip"])).failed(2);
    assert!(unknown.error().contains("zip"), "{}", unknown.stderr);
}

#[test]
fn unknown_formats_are_answered_with_the_known_ones() {
    for output in ["masks.jpg", "masks", "mask:masks.btf", "yolo", "csv:", "davis:.."] {
        let told = [output, "davis", "yolo", ".parquet"];
        let told =
            if output.contains("csv:") || output.contains("..") { &["PATH"][..] } else { &told };
        mouse().refused(1, &arguments(&[output], &[]), told);
    }
}

#[test]
fn outputs_must_not_meet() {
    for (outputs, told) in [
        (["masks.btf", "tiff:./masks.btf"], "masks.btf"),
        (["davis:out", "yolo:out/"], "out"),
        (["davis:out", "out/table.csv"], "out/table.csv"),
        (["out/pngs/../a.csv", "out/a.csv"], "a.csv"),
    ] {
        let workshop = mouse();
        workshop.folder("out/pngs");
        workshop.refused(1, &arguments(&outputs, &["--overwrite"]), &[told]);
    }
    mouse().refused(1, &arguments(&["overlay:mouse.mkv"], &["--overwrite"]), &["mouse.mkv"]);
}

#[test]
fn folders_are_replaced_only_when_asked_and_only_if_they_hold_nothing_else() {
    let workshop = mouse();
    // Results of a longer recording.
    workshop.sam2(&arguments(&["davis:davis"], &[])).succeeded();
    std::fs::rename(workshop.path("davis/00000.png"), workshop.path("davis/00007.png")).unwrap();
    workshop.refused(1, &arguments(&["davis:davis"], &[]), &["davis", "exists"]);
    workshop.sam2(&arguments(&["davis:davis/"], &["--overwrite"])).succeeded();
    assert_eq!(inside(&workshop, "davis"), ["00000.png", "00001.png", "00002.png"]);
    assert_eq!(inside(&workshop, "."), [".davis.sam2job", "davis", "mouse.mkv", "tmp"]);

    workshop.write("davis/notes.txt", "years of work");
    workshop.refused(1, &arguments(&["davis:davis"], &["--overwrite"]), &["davis", "notes.txt"]);
    // Photos with names of frames.
    workshop.folder("photos");
    workshop.write("photos/00001.png", "a photo");
    workshop.refused(1, &arguments(&["davis:photos"], &["--overwrite"]), &["photos", "00001.png"]);
    workshop.write("file", "not a folder");
    workshop.refused(1, &arguments(&["yolo:file"], &["--overwrite"]), &["file", "folder"]);
    workshop.refused(1, &arguments(&["csv:davis"], &["--overwrite"]), &["davis"]);
    workshop.refused(1, &arguments(&["yolo:no/such/folder"], &[]), &["no/such/folder"]);
}

#[test]
fn an_output_that_fails_leaves_none_of_the_others() {
    // There is room for the tables and small images, but not for the logits.
    let workshop = mouse();
    let all = arguments(&ALL, &[]);
    workshop.fails(1, &["room"], || workshop.sam2_with_room(100, &all));
}

#[test]
fn an_interrupt_leaves_no_folders_either() {
    let workshop = Workshop::new();
    let recording = crate::support::asset_text("clips/mouse-arena.mp4");
    // Without checkpoints there is nothing to resume from yet, so no journal is left.
    let mut outputs = vec!["--point", "0:245,80", "--checkpoint-frames", "0"];
    ALL[1..].iter().for_each(|output| outputs.extend(["-o", output]));
    let run = || workshop.start(&recording, &outputs).stop("INT");
    workshop.fails(130, &["stopped"], run);
}
