//! Selection of frames, conversion to 8 bits, and scaling: `--axes`, `--intensity`, `--resize`.

use std::fs::File;

use serde_json::Value;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray16;
use tiff::tags::Tag;

use crate::support::{ON_THE_MOUSE, Workshop};

const POINT: [&str; 2] = ["--point", ON_THE_MOUSE];

/// Size of the mouse's frames.
const SIZE: (u32, u32) = (192, 144);

/// Returns the first frames of the mouse as 8-bit grey.
fn gray_mouse(workshop: &Workshop, frames: usize) -> Vec<Vec<u8>> {
    workshop.mouse(frames, "mouse.mkv");
    workshop.ffmpeg("-i mouse.mkv -f rawvideo -pix_fmt gray mouse.gray");
    let pixels = SIZE.0 as usize * SIZE.1 as usize;
    let bytes = workshop.read("mouse.gray");
    std::fs::remove_file(workshop.path("mouse.gray")).unwrap();
    bytes.chunks(pixels).map(<[u8]>::to_vec).collect()
}

/// Writes a 16-bit stack; `description` is the description of its first page.
fn write_stack(workshop: &Workshop, name: &str, description: &str, pages: &[Vec<u16>]) {
    let mut encoder = TiffEncoder::new(File::create(workshop.path(name)).unwrap()).unwrap();
    for (number, page) in pages.iter().enumerate() {
        let mut image = encoder.new_image::<Gray16>(SIZE.0, SIZE.1).unwrap();
        if number == 0 && !description.is_empty() {
            image.encoder().write_tag(Tag::ImageDescription, description).unwrap();
        }
        image.write_data(page).unwrap();
    }
}

fn multiplied(page: &[u8], factor: u16) -> Vec<u16> {
    page.iter().map(|&gray| u16::from(gray) * factor).collect()
}

fn probed(workshop: &Workshop, arguments: &[&str]) -> Value {
    let outcome = workshop.sam2(&[&["probe", "--json"], arguments].concat()).succeeded();
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn every_way_to_resize_gives_masks_and_pillow_is_the_default() {
    let workshop = Workshop::new();
    // Coloured and compressed, so that scaling before and after the conversion to RGB give
    // different results.
    workshop.cut("mouse-arena", 6, "-c:v libx264 -g 3 -crf 18 -pix_fmt yuv420p", "mouse.mp4");
    let point = ["--point", "0:244,80"];
    workshop.segment_to("default.btf", "mouse.mp4", &point);
    for mode in ["pillow-bicubic", "torch-bilinear-antialias", "decord", "cv2-linear"] {
        for frames_mode in ["lazy", "memory"] {
            let arguments =
                [&point[..], &["--resize", mode, "--frames-mode", frames_mode]].concat();
            workshop.segment_to(&format!("{mode}-{frames_mode}.btf"), "mouse.mp4", &arguments);
        }
        let name = format!("{mode}-lazy.btf");
        let stack = workshop.stack(&name);
        assert_eq!((stack.pages.len(), stack.size()), (6, (384, 288)), "{mode}");
        assert!(stack.areas().iter().all(|&area| area > 100), "{mode}: {:?}", stack.areas());
        let preloaded = workshop.read(&format!("{mode}-memory.btf"));
        assert!(workshop.read(&name) == preloaded, "{mode}: lazy and preloaded differ");
        let is_default = workshop.read(&name) == workshop.read("default.btf");
        assert_eq!(is_default, mode == "pillow-bicubic", "{mode}");
    }
}

#[test]
fn a_channel_of_a_hyperstack_is_the_recording() {
    let workshop = Workshop::new();
    let mouse = gray_mouse(&workshop, 4);
    let bright: Vec<Vec<u16>> = mouse.iter().map(|page| multiplied(page, 200)).collect();
    let dark = vec![7; bright[0].len()];
    let pages: Vec<Vec<u16>> =
        bright.iter().flat_map(|page| [dark.clone(), page.clone()]).collect();
    let description = "ImageJ=1.53k\nimages=8\nchannels=2\nframes=4\nhyperstack=true\n";
    write_stack(&workshop, "channels.tif", description, &pages);
    write_stack(&workshop, "mouse.tif", "", &bright);
    let outcome = workshop.sam2(&["probe", "channels.tif"]).succeeded();
    assert!(outcome.stdout.contains("only channel 0 is read, of 2"), "{}", outcome.stdout);
    let json = probed(&workshop, &["channels.tif", "--axes", "channel=1"]);
    assert_eq!((&json["frames"], &json["issues"]), (&4.into(), &serde_json::json!([])));

    workshop.segment_to("mouse.btf", "mouse.tif", &POINT);
    let arguments = [&POINT[..], &["--axes", "channel=1"]].concat();
    workshop.segment_to("channel.btf", "channels.tif", &arguments);
    assert!(workshop.read("channel.btf") == workshop.read("mouse.btf"));
    assert!(workshop.stack("mouse.btf").areas().iter().all(|&area| area > 0));
}

#[test]
fn frames_can_run_along_another_axis() {
    let workshop = Workshop::new();
    let mouse = gray_mouse(&workshop, 6);
    let pages: Vec<Vec<u16>> = mouse.iter().map(|page| multiplied(page, 200)).collect();
    let description = "ImageJ=1.53k\nimages=6\nslices=3\nframes=2\nhyperstack=true\n";
    write_stack(&workshop, "slices.tif", description, &pages);
    assert_eq!(probed(&workshop, &["slices.tif"])["frames"], 2);
    assert_eq!(probed(&workshop, &["slices.tif", "--axes", "along=z, time=1"])["frames"], 3);
    let arguments = [&POINT[..], &["--axes", "along=z,time=1"]].concat();
    workshop.segment("slices.tif", &arguments);
    assert_eq!(workshop.masks().pages.len(), 3);
}

#[test]
fn axes_that_are_not_there_or_make_no_sense() {
    let workshop = Workshop::new();
    let pages = vec![vec![0; 192 * 144]; 4];
    let description = "ImageJ=1.53k\nimages=4\nchannels=2\nframes=2\nhyperstack=true\n";
    write_stack(&workshop, "channels.tif", description, &pages);
    workshop.mouse(2, "mouse.mkv");
    let cases: [(&str, &str, i32, &[&str]); 5] = [
        ("channels.tif", "tile=1", 1, &["channels.tif", "has no axis tile; it has time"]),
        ("channels.tif", "channel=GFP", 1, &["has no channel GFP; choose one of 0, 1"]),
        ("mouse.mkv", "channel=1", 1, &["mouse.mkv", "has no axes to choose from"]),
        ("channels.tif", "channel", 2, &["write pairs such as channel=GFP"]),
        ("channels.tif", "=1", 2, &["write pairs such as channel=GFP"]),
    ];
    for (recording, axes, code, told) in cases {
        workshop.refused(code, &["probe", recording, "--axes", axes], told);
        let arguments = ["segment", recording, "-o", "masks.btf", "--axes", axes];
        workshop.refused(code, &[&arguments[..], &POINT].concat(), told);
    }
}

/// Checks that a separate range for each frame evens out light that changes between frames, and
/// that nothing else does.
#[test]
fn a_range_for_each_frame_evens_the_light() {
    let workshop = Workshop::new();
    let mouse = gray_mouse(&workshop, 4);
    let lit = |factors: [u16; 4]| -> Vec<Vec<u16>> {
        mouse.iter().zip(factors).map(|(page, factor)| multiplied(page, factor)).collect()
    };
    write_stack(&workshop, "steady.tif", "", &lit([40; 4]));
    write_stack(&workshop, "flicker.tif", "", &lit([40, 7, 250, 1]));
    let run = |recording: &str, intensity: &str| {
        let name = format!("{recording}-{}.btf", intensity.replace([':', ','], "-"));
        let arguments = [&POINT[..], &["--intensity", intensity]].concat();
        let outcome = workshop.segment_to(&name, &format!("{recording}.tif"), &arguments);
        (workshop.read(&name), outcome)
    };
    for intensity in ["per-frame:minmax", "per-frame:percentile:0.5,99.5"] {
        let (steady, _) = run("steady", intensity);
        let (flicker, outcome) = run("flicker", intensity);
        assert!(steady == flicker, "{intensity}");
        outcome.warns(&["per-frame", "brightness"]);
    }
    let (steady, outcome) = run("steady", "minmax");
    assert!(!outcome.stderr.contains("brightness"), "{}", outcome.stderr);
    assert!(steady != run("flicker", "minmax").0);
}

#[test]
fn ways_to_resize_and_ranges_that_do_not_exist() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    let cases = [
        (
            "--resize",
            "bicubic",
            "use pillow-bicubic, torch-bilinear-antialias, decord or cv2-linear",
        ),
        ("--resize", "", "use pillow-bicubic"),
        ("--intensity", "per-frame:0,5", "per-frame:minmax"),
        ("--intensity", "per-frame:percentile:5,1", "per-frame:percentile:LO,HI"),
    ];
    for (flag, value, told) in cases {
        let arguments = ["segment", "mouse.mkv", "-o", "masks.btf", flag, value];
        workshop.refused(2, &[&arguments[..], &POINT].concat(), &[told]);
    }
}
