//! `--memory`.

use crate::support::{ON_THE_MOUSE, Workshop};

#[test]
fn a_guarded_memory_gives_masks_and_the_official_one_is_the_default() {
    let workshop = Workshop::new();
    workshop.mouse(12, "mouse.mkv");
    for (name, more) in [
        ("default.btf", &[][..]),
        ("official.btf", &["--memory", "official"]),
        ("guarded.btf", &["--memory", "guarded"]),
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
    workshop.refused(2, &all, &["best", "official", "guarded"]);
}
