//! `sam2 segment` with clicks and boxes: the contents of the stack.

use std::collections::BTreeSet;

use sam2_mask_writer::MaskStackReader;

use crate::support::{ON_THE_MOUSE, Workshop, asset};

/// Returns whether every page has a mask.
fn none_is_empty(areas: &[usize]) -> bool {
    areas.iter().all(|&area| area > 0)
}

#[test]
fn masks_of_a_clip_are_those_of_the_mouse() {
    let workshop = Workshop::new();
    workshop.cut("mouse-arena", 15, "-c:v ffv1", "mouse.mkv");
    workshop.segment("mouse.mkv", &["--point", "0:245,80"]);
    let stack = workshop.masks();
    assert_eq!((stack.size(), stack.pages.len()), ((384, 288), 15));
    assert_eq!(stack.values(), [0, 255]);
    let truth = MaskStackReader::open(&asset("clips/mouse-arena-truth-1.tif")).unwrap();
    let masks = MaskStackReader::open(&workshop.path("masks.btf")).unwrap();
    let scores: Vec<f64> =
        masks.zip(truth).map(|(mask, truth)| mask.unwrap().iou(&truth.unwrap())).collect();
    assert_eq!(scores.len(), 15);
    let mean = scores.iter().sum::<f64>() / 15.0;
    assert!(mean > 0.7, "mean J {mean}: {scores:?}");
}

#[test]
fn odd_sizes_keep_their_size() {
    let workshop = Workshop::new();
    workshop.cut("mouse-arena", 5, "-vf scale=101:77 -c:v ffv1", "odd.mkv");
    workshop.segment("odd.mkv", &["--point", "0:64,21", "--contact-sheet", "sheet.png"]);
    let stack = workshop.masks();
    assert_eq!((stack.size(), stack.pages.len()), ((101, 77), 5));
    assert_eq!(stack.values(), [0, 255]);
}

#[test]
fn a_recording_of_one_frame_gives_one_page() {
    let workshop = Workshop::new();
    workshop.mouse(1, "one.mkv");
    workshop.segment("one.mkv", &["--point", ON_THE_MOUSE, "--contact-sheet", "sheet.png"]);
    let stack = workshop.masks();
    assert_eq!(stack.pages.len(), 1);
    assert!(stack.areas()[0] > 0);
}

#[test]
fn a_folder_of_png_frames_gives_the_masks_of_a_lossless_video() {
    let workshop = Workshop::new();
    workshop.folder("frames");
    workshop.mouse(7, "mouse.mkv").ffmpeg("-i mouse.mkv frames/%d.png");
    workshop.ffmpeg("-i frames/%d.png -c:v ffv1 -pix_fmt bgr0 lossless.mkv");
    workshop.segment_to("folder.btf", "frames", &["--point", "3:122,45"]);
    workshop.segment_to("video.btf", "lossless.mkv", &["--point", "3:122,45"]);
    assert_eq!(workshop.stack("folder.btf").pages.len(), 7);
    assert!(workshop.read("folder.btf") == workshop.read("video.btf"));
}

#[test]
fn a_folder_of_jpeg_frames_is_read_in_natural_order() {
    let workshop = Workshop::new();
    workshop.folder("frames");
    workshop.folder("padded");
    workshop.mouse(11, "mouse.mkv");
    workshop.ffmpeg("-i mouse.mkv -pix_fmt yuvj420p -q:v 2 frames/%d.jpg");
    for number in 1..=11 {
        let from = workshop.path(&format!("frames/{number}.jpg"));
        std::fs::copy(from, workshop.path(&format!("padded/{number:05}.jpg"))).unwrap();
    }
    workshop.write("frames/notes.txt", "not a frame");
    workshop.write("frames/._1.jpg", "not a frame");
    workshop.segment_to("plain.btf", "frames", &["--point", ON_THE_MOUSE]);
    workshop.segment_to("padded.btf", "padded/", &["--point", ON_THE_MOUSE]);
    assert_eq!(workshop.stack("plain.btf").pages.len(), 11);
    assert!(workshop.read("plain.btf") == workshop.read("padded.btf"));
}

#[test]
fn two_objects_are_numbered_with_ids_and_united_without() {
    let workshop = Workshop::new();
    workshop.mouse(5, "mouse.mkv");
    let prompts = ["--point", "0:122,40", "--box", "0:10,100,60,140:2"];
    workshop.segment_to("ids.btf", "mouse.mkv", &[&prompts[..], &["--ids"]].concat());
    workshop.segment_to("union.btf", "mouse.mkv", &prompts);
    let (ids, union) = (workshop.stack("ids.btf"), workshop.stack("union.btf"));
    assert_eq!((ids.pages.len(), union.pages.len()), (5, 5));
    assert!(ids.values().iter().all(|value| [0, 1, 2].contains(value)), "{:?}", ids.values());
    let first: BTreeSet<u8> = ids.pages[0].iter().copied().collect();
    assert_eq!(first, BTreeSet::from([0, 1, 2]), "both objects are in the prompted frame");
    assert_eq!(union.values(), [0, 255]);
    for (ids, union) in ids.pages.iter().zip(&union.pages) {
        assert!(ids.iter().zip(union).all(|(&id, &value)| (id > 0) == (value == 255)));
    }
}

#[test]
fn object_numbers_are_those_of_the_prompts() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    workshop.segment("mouse.mkv", &["--ids", "--point", "0:122,40:7"]);
    assert_eq!(workshop.masks().values(), [0, 7]);
}

#[test]
fn a_point_in_the_middle_reaches_both_ends() {
    let workshop = Workshop::new();
    workshop.mouse(9, "mouse.mkv");
    let outcome = workshop.segment("mouse.mkv", &["--point", "4:116,48"]);
    assert_eq!(outcome.prompted(), [4]);
    let areas = workshop.masks().areas();
    assert!(areas.len() == 9 && none_is_empty(&areas), "{areas:?}");
}

#[test]
fn a_point_on_the_last_frame_reaches_the_first() {
    let workshop = Workshop::new();
    workshop.mouse(5, "mouse.mkv");
    workshop.segment("mouse.mkv", &["--point", "4:116,48"]);
    let areas = workshop.masks().areas();
    assert!(areas.len() == 5 && none_is_empty(&areas), "{areas:?}");
}

#[test]
fn prompts_on_several_frames_count_each() {
    let workshop = Workshop::new();
    workshop.mouse(7, "mouse.mkv");
    workshop.segment_to("one.btf", "mouse.mkv", &["--box", "1:100,20,145,60"]);
    let both = ["--box", "1:100,20,145,60", "--point", "5:20,120:-", "--point", "5:115,52:+"];
    workshop.segment_to("both.btf", "mouse.mkv", &both);
    let (one, both) = (workshop.stack("one.btf"), workshop.stack("both.btf"));
    assert_eq!((one.pages.len(), both.pages.len()), (7, 7));
    assert!(one.pages != both.pages, "the second prompt changes something");
    assert!(none_is_empty(&both.areas()), "{:?}", both.areas());
}

#[test]
fn a_point_beside_the_object_takes_something_away() {
    let workshop = Workshop::new();
    workshop.mouse(1, "mouse.mkv");
    workshop.segment_to("one.btf", "mouse.mkv", &["--point", "0:122,40"]);
    workshop.segment_to("two.btf", "mouse.mkv", &["--point", "0:122,40", "--point", "0:112,56:-"]);
    assert!(workshop.stack("one.btf").pages != workshop.stack("two.btf").pages);
}

#[test]
fn running_twice_gives_the_same_bytes() {
    let workshop = Workshop::new();
    workshop.mouse(7, "mouse.mkv");
    for name in ["first", "second"] {
        let (stack, sheet) = (format!("{name}.btf"), format!("{name}.png"));
        let arguments = ["--point", "3:122,45", "--contact-sheet", &sheet];
        workshop.segment_to(&stack, "mouse.mkv", &arguments);
    }
    assert!(workshop.read("first.btf") == workshop.read("second.btf"));
    assert!(workshop.read("first.png") == workshop.read("second.png"));
}

#[test]
fn neither_cache_nor_threads_change_anything() {
    let workshop = Workshop::new();
    workshop.mouse(7, "mouse.mkv");
    workshop.segment_to("default.btf", "mouse.mkv", &["--point", "3:122,45"]);
    let tight = ["--point", "3:122,45", "--cache-frames", "1", "--prefetch", "0"];
    workshop.segment_to("tight.btf", "mouse.mkv", &tight);
    let one_thread = ["segment", "mouse.mkv", "--point", "3:122,45", "-o", "one.btf"];
    workshop.sam2_with_one_thread(&one_thread).succeeded();
    for name in ["tight.btf", "one.btf"] {
        assert!(workshop.read(name) == workshop.read("default.btf"), "{name}");
    }
}

#[test]
fn the_contact_sheet_is_a_png_with_the_frames() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    workshop.segment("mouse.mkv", &["--point", "2:122,42", "--contact-sheet", "sheet.png"]);
    let file = std::io::BufReader::new(std::fs::File::open(workshop.path("sheet.png")).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    // Four tiles in the first row, two in the second.
    assert!(info.width >= 4 * 192 && info.height >= 2 * 144, "{info:?}");
    assert_eq!(info.color_type, png::ColorType::Rgb);
    let coloured = pixels.chunks_exact(3).filter(|p| p[0].abs_diff(p[2]) > 60).count();
    assert!(coloured > 100, "masks are drawn in: {coloured} coloured pixels");
}

#[test]
fn names_with_blanks_umlauts_and_colons_are_just_names() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    for name in ["Maus 1 (über).mkv", "2024-01-01T12:00:00.mkv", "50%d.mkv", "-mouse.mkv"] {
        std::fs::copy(workshop.path("mouse.mkv"), workshop.path(name)).unwrap();
        let output = format!("{name}.btf");
        let arguments = ["segment", "--point", ON_THE_MOUSE, "--output", &output, "--", name];
        // An output that begins with a dash needs the `--output=` form, as everywhere.
        let with_equals = format!("--output={output}");
        let dashed = ["segment", "--point", ON_THE_MOUSE, &with_equals, "--", name];
        let chosen: &[&str] = if name.starts_with('-') { &dashed } else { &arguments };
        workshop.sam2(chosen).succeeded();
        assert_eq!(workshop.stack(&output).pages.len(), 2, "{name}");
    }
}

#[test]
fn endings_may_be_in_capitals() {
    let workshop = Workshop::new();
    workshop.mouse(1, "mouse.mkv");
    for name in ["masks.BTF", "masks.tif", "masks.Tiff"] {
        workshop.segment_to(name, "mouse.mkv", &["--point", ON_THE_MOUSE]);
        assert_eq!(workshop.stack(name).pages.len(), 1);
    }
}

#[test]
fn overwriting_replaces_the_outputs_that_exist() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    workshop.write("masks.btf", "old");
    workshop.write("sheet.png", "old");
    let arguments = ["--point", ON_THE_MOUSE, "--contact-sheet", "sheet.png", "--overwrite"];
    workshop.segment("mouse.mkv", &arguments);
    assert_eq!(workshop.masks().pages.len(), 2);
    assert!(workshop.read("sheet.png").starts_with(b"\x89PNG"));
}

#[test]
fn only_the_outputs_are_left_and_their_permissions_are_those_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let before = workshop.names();
    workshop.segment("mouse.mkv", &["--point", "1:122,42", "--contact-sheet", "sheet.png"]);
    let new: Vec<String> = workshop.names().into_iter().filter(|n| !before.contains(n)).collect();
    assert_eq!(new, [".masks.btf.sam2job", "masks.btf", "sheet.png"]);
    workshop.write("any", "");
    let mode = |name| std::fs::metadata(workshop.path(name)).unwrap().permissions().mode();
    assert_eq!((mode("masks.btf"), mode("sheet.png")), (mode("any"), mode("any")));
}

#[test]
fn score_compares_stacks() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    workshop.segment("mouse.mkv", &["--point", ON_THE_MOUSE]);
    let same = workshop.sam2(&["score", "masks.btf", "masks.btf"]).succeeded();
    assert!(same.stdout.starts_with("mean J 1.0000 over 3 frames"), "{}", same.stdout);
    let truth = crate::support::asset_text("clips/mouse-arena-truth-1.tif");
    let other = workshop.sam2(&["score", "masks.btf", &truth]);
    assert_eq!(other.code, Some(1));
    let message = other.error();
    assert!(message.contains("3 pages") && message.contains("60"), "{message}");
}
