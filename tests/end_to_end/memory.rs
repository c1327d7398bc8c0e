//! `--memory`.

use crate::support::{ON_THE_MOUSE, Workshop};

#[test]
fn every_memory_gives_masks_and_the_official_one_is_the_default() {
    let workshop = Workshop::new();
    workshop.mouse(12, "mouse.mkv");
    for (name, more) in [
        ("default.btf", &[][..]),
        ("official.btf", &["--memory", "official"]),
        ("guarded.btf", &["--memory", "guarded"]),
        ("dam4sam.btf", &["--memory", "dam4sam:update-every=2"]),
        ("sam3.btf", &["--memory", "sam3", "--temporal-stride", "2"]),
        ("sam2long.btf", &["--memory", "sam2long:look-back=20"]),
    ] {
        let arguments = [&["--point", ON_THE_MOUSE], more].concat();
        workshop.segment_to(name, "mouse.mkv", &arguments);
        let areas = workshop.stack(name).areas();
        assert!(areas.len() == 12 && areas.iter().all(|&area| area > 50), "{name}: {areas:?}");
    }
    assert_eq!(workshop.read("default.btf"), workshop.read("official.btf"));
}

#[test]
fn an_unknown_memory_is_refused_with_those_that_there_are() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    let all = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE, "--memory", "best"];
    workshop.refused(2, &all, &["best", "official", "guarded", "dam4sam", "sam3", "sam2long"]);
}

#[test]
fn a_number_that_a_policy_has_itself_is_refused_as_an_option() {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    let all = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE];
    let both = [&all[..], &["--memory", "dam4sam", "--temporal-stride", "3"]].concat();
    workshop.refused(2, &both, &["--temporal-stride", "dam4sam:update-every=3"]);
}
