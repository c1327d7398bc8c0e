//! Several outputs of one run: what is written, what is refused, and that folders are as safe as files. What is in them is
//! compared by `tests/formats`, with each format's own readers.

use crate::support::{ON_THE_MOUSE, Stack, Workshop};

/// One of each, as they are typed.
const ALL: [&str; 12] = [
    "masks.btf",
    "object-tiffs:objects",
    "davis:davis",
    "object-pngs:pngs",
    "coco.json",
    "sav:sav.json",
    "yolo:yolo",
    "table.csv",
    "table.parquet",
    "overlay.mp4",
    "sheet.png",
    "logits.npy",
];

/// `segment mouse.mkv --point ... -o OUTPUT -o OUTPUT ...`
fn arguments<'a>(outputs: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["segment", "mouse.mkv", "--point", ON_THE_MOUSE];
    outputs.iter().for_each(|output| all.extend(["-o", output]));
    all.extend(more);
    all
}

/// A workshop with a short recording.
fn mouse() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    workshop
}

/// Names in a folder, sorted.
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
    let table = String::from_utf8(workshop.read("table.csv")).unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.lines().nth(1).unwrap().starts_with("0,0,1,"), "{table}");
    assert!(workshop.stack("masks.btf").pages == workshop.stack("objects/object-001.btf").pages);

    // The same again, byte for byte.
    let before = workshop.snapshot();
    workshop.sam2(&arguments(&ALL, &["--overwrite"])).succeeded();
    assert!(workshop.snapshot() == before, "a second run writes the same bytes");
}

#[test]
fn logits_and_scores_reach_the_outputs_from_both_directions() {
    // Frames before the prompt come by the reverse pass, and all of them through the spool.
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
    // No body part is likely enough in the second batch.
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
    assert!(last.starts_with("5,") && last.ends_with(",1,0,,,,,,,,,,"), "{last}");
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
    workshop.folder("davis");
    workshop.write("davis/00000.png", "masks of another day");
    workshop.write("davis/00007.png", "masks of another day");
    workshop.refused(1, &arguments(&["davis:davis"], &[]), &["davis", "exists"]);
    workshop.sam2(&arguments(&["davis:davis/"], &["--overwrite"])).succeeded();
    assert_eq!(inside(&workshop, "davis"), ["00000.png", "00001.png", "00002.png"]);
    assert_eq!(inside(&workshop, "."), [".davis.sam2job", "davis", "mouse.mkv", "tmp"]);

    workshop.write("davis/notes.txt", "years of work");
    workshop.refused(1, &arguments(&["davis:davis"], &["--overwrite"]), &["davis", "notes.txt"]);
    workshop.write("file", "not a folder");
    workshop.refused(1, &arguments(&["yolo:file"], &["--overwrite"]), &["file", "folder"]);
    workshop.refused(1, &arguments(&["csv:davis"], &["--overwrite"]), &["davis"]);
    workshop.refused(1, &arguments(&["yolo:no/such/folder"], &[]), &["no/such/folder"]);
}

#[test]
fn an_output_that_fails_leaves_none_of_the_others() {
    // There is room for the tables and small images, not for the logits.
    let workshop = mouse();
    let all = arguments(&ALL, &[]);
    workshop.fails(1, &["room"], || workshop.sam2_with_room(100, &all));
}

#[test]
fn an_interrupt_leaves_no_folders_either() {
    let workshop = Workshop::new();
    let recording = crate::support::asset_text("clips/mouse-arena.mp4");
    // Without checkpoints there is nothing to go on with yet, and no journal stays.
    let mut outputs = vec!["--point", "0:245,80", "--checkpoint-frames", "0"];
    ALL[1..].iter().for_each(|output| outputs.extend(["-o", output]));
    let run = || workshop.start(&recording, &outputs).stop("INT");
    workshop.fails(130, &["stopped"], run);
}
