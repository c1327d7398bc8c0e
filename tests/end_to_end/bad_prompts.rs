//! Invalid prompts and options.

use crate::support::{ON_THE_MOUSE, Workshop};

fn mouse() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv").mouse_track(0, 3, "track.csv");
    workshop
}

#[test]
fn no_prompt_at_all() {
    mouse().refuses("mouse.mkv", &[], &["--keypoints", "--point", "--box"]);
}

#[test]
fn points_outside_the_frame() {
    for point in ["0:193,20", "0:20,145", "0:-1,20", "0:20,-0.5", "0:1e9,20"] {
        let told = ["mouse.mkv", "frame 0", "192x144"];
        mouse().refuses("mouse.mkv", &["--point", point], &told);
    }
}

#[test]
fn a_point_outside_does_not_advise_to_scale_a_track_that_is_not_there() {
    let outcome = mouse().sam2(&["segment", "mouse.mkv", "-o", "m.btf", "--point", "0:193,20"]);
    assert_eq!(outcome.code, Some(1));
    assert!(!outcome.error().contains("--downsample-factor"), "{}", outcome.error());
}

#[test]
fn points_on_the_edge_are_inside() {
    for point in ["0:0,0", "2:192,144"] {
        let workshop = mouse();
        workshop.segment("mouse.mkv", &["--point", point]);
        assert_eq!(workshop.masks().pages.len(), 3);
    }
}

#[test]
fn a_box_outside_the_frame() {
    mouse().refuses("mouse.mkv", &["--box", "0:10,10,300,20"], &["mouse.mkv", "300", "192x144"]);
}

#[test]
fn a_box_whose_corners_are_swapped() {
    for corners in ["0:30,30,20,40", "0:30,30,40,20", "0:30,30,30,40"] {
        mouse().refuses("mouse.mkv", &["--box", corners], &["frame 0", "top left"]);
    }
}

#[test]
fn two_boxes_for_one_object_on_one_frame() {
    let boxes = ["--box", "0:10,10,20,20", "--box", "0:30,30,40,40"];
    mouse().refuses("mouse.mkv", &boxes, &["object 1", "frame 0"]);
}

#[test]
fn a_frame_that_does_not_exist() {
    for prompt in [["--point", "3:20,20"], ["--box", "3:10,10,20,20"]] {
        mouse().refuses("mouse.mkv", &prompt, &["mouse.mkv", "frame 3", "3 frames"]);
    }
}

#[test]
fn flags_that_cannot_be_read_show_how_they_are_written() {
    let wrong: [(&[&str], &str); 16] = [
        (&["--point", "12,13"], "FRAME:X,Y"),
        (&["--point", "0:1"], "FRAME:X,Y"),
        (&["--point", "0:1,2,3"], "FRAME:X,Y"),
        (&["--point", "0:nan,2"], "FRAME:X,Y"),
        (&["--point", "-1:1,2"], "FRAME:X,Y"),
        (&["--point", "0:1,2:0"], "1 to 255"),
        (&["--point", "0:1,2:256"], "1 to 255"),
        (&["--box", "0:1,2,3"], "FRAME:X0,Y0,X1,Y1"),
        (&["--min-likelihood", "1.5"], "between 0 and 1"),
        (&["--downsample-factor", "0"], "above 0"),
        (&["--downsample-factor", "inf"], "above 0"),
        (&["--batch-size", "many"], "--batch-size"),
        (&["--device", "nonsense"], "use auto, cpu, cuda, cuda:N, vulkan or vulkan:N"),
        (&["--device", "cuda:x"], "use auto, cpu, cuda, cuda:N, vulkan or vulkan:N"),
        (&["--device", "vulkan:"], "use auto, cpu, cuda, cuda:N, vulkan or vulkan:N"),
        (&["--precision", "f64"], "use auto, f32, bf16 or f16"),
    ];
    let workshop = mouse();
    let before = workshop.names();
    for (arguments, told) in wrong {
        let all = [&["segment", "mouse.mkv", "-o", "masks.btf"], arguments].concat();
        let outcome = workshop.sam2(&all);
        outcome.did_not_panic();
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.error().contains(told), "{arguments:?}: {}", outcome.error());
    }
    assert_eq!(workshop.names(), before);
}

#[test]
fn flags_that_contradict_each_other() {
    let workshop = mouse();
    let before = workshop.names();
    let wrong: [&[&str]; 5] = [
        &["--negatives", "--point", ON_THE_MOUSE],
        &["--individual", "ann", "--box", "0:1,1,9,9"],
        &["--bodyparts", "snout", "--point", ON_THE_MOUSE],
        &["--allow-row-mismatch", "--point", ON_THE_MOUSE],
        &["--config", "tiny", "--point", ON_THE_MOUSE],
    ];
    for arguments in wrong {
        let all = [arguments, &["-o", "masks.btf", "mouse.mkv"]].concat();
        let outcome = workshop.sam2(&[&["segment"], &all[..]].concat());
        outcome.did_not_panic();
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        outcome.error();
    }
    assert_eq!(workshop.names(), before);
}

#[test]
fn options_of_tracks_are_not_silently_ignored_with_points() {
    let workshop = mouse();
    for option in [
        ["--downsample-factor", "2"],
        ["--min-likelihood", "0.5"],
        ["--prompt-frames", "first"],
        ["--box-from-keypoints", "10%"],
    ] {
        let before = ["segment", "mouse.mkv", "-o", "masks.btf", "--point", ON_THE_MOUSE];
        let outcome = workshop.sam2(&[&before[..], &option].concat());
        outcome.did_not_panic();
        assert_eq!(outcome.code, Some(2), "{option:?} has no meaning without --keypoints");
    }
}

#[test]
fn cuda_in_a_build_without_it() {
    if cfg!(any(feature = "cuda-nvrtc", feature = "cuda-llvm")) {
        return;
    }
    for device in ["cuda", "cuda:3"] {
        let arguments = ["--point", ON_THE_MOUSE, "--device", device];
        mouse().refuses("mouse.mkv", &arguments, &["CUDA", "--device cpu", "make cuda"]);
    }
}
