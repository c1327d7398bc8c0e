//! `--roi`, `--letterbox`, `--image-size`.

use crate::support::{ON_THE_MOUSE, Workshop};

#[test]
fn a_region_keeps_the_stack_at_the_recordings_size_and_the_masks_inside() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let point = ["--point", ON_THE_MOUSE];
    workshop.segment_to("whole.btf", "mouse.mkv", &point);
    let roi = [&point[..], &["--roi", "60,10,120,90"]].concat();
    for (name, more) in [
        ("roi.btf", &[][..]),
        ("boxed.btf", &["--letterbox"]),
        ("memory.btf", &["--frames-mode", "memory"]),
    ] {
        workshop.segment_to(name, "mouse.mkv", &[&roi[..], more].concat());
        let stack = workshop.stack(name);
        assert_eq!(stack.size(), (192, 144), "{name}");
        assert_eq!(stack.areas().len(), 6, "{name}");
        assert!(stack.areas().iter().all(|&area| area > 50), "{name}: {:?}", stack.areas());
        for page in &stack.pages {
            for (at, &value) in page.iter().enumerate() {
                let (x, y) = (at % 192, at / 192);
                let inside = (60..180).contains(&x) && (10..100).contains(&y);
                assert!(value == 0 || inside, "{name}: a mask at {x},{y}");
            }
        }
    }
    assert_eq!(workshop.read("roi.btf"), workshop.read("memory.btf"));
    assert_ne!(workshop.read("roi.btf"), workshop.read("whole.btf"));
}

#[test]
fn other_input_sizes_give_masks() {
    let workshop = Workshop::new();
    workshop.mouse(4, "mouse.mkv");
    for size in ["128", "512"] {
        let arguments = ["--point", ON_THE_MOUSE, "--image-size", size];
        workshop.segment_to(&format!("{size}.btf"), "mouse.mkv", &arguments);
        assert_eq!(workshop.stack(&format!("{size}.btf")).areas().len(), 4);
    }
    assert_ne!(workshop.read("128.btf"), workshop.read("512.btf"));
}

#[test]
fn bad_regions_and_sizes_are_refused_with_the_remedy() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    let point = ["--point", ON_THE_MOUSE];
    for (region, told) in [
        ("100,100,200,10", &["100,100,200,10", "192x144", "check its numbers"][..]),
        ("0,120,10,10", &["outside the region 0,120,10,10", "enlarge the region"]),
    ] {
        workshop.refuses("mouse.mkv", &[&point[..], &["--roi", region]].concat(), told);
    }
    let command = ["segment", "mouse.mkv", "-o", "masks.btf"];
    for side in ["100", "0", "100000"] {
        let size = [&command[..], &point[..], &["--image-size", side]].concat();
        workshop.refused(2, &size, &["--image-size", side, "multiple of 32"]);
    }
    let all = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE, "--roi", "1,2,3"];
    workshop.refused(2, &all, &["x,y,width,height"]);
}
