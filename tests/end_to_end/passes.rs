//! `--passes`: objects whose first prompts are on different frames.

use crate::support::{Workshop, asset_text};

fn segment(workshop: &Workshop, arguments: &[&str], folder: &str) {
    let clip = asset_text("clips/two-crossing.mp4");
    let output = format!("object-tiffs:{folder}");
    let common = ["segment", &clip, "-o", &output];
    workshop.sam2(&[&common[..], arguments].concat()).succeeded();
}

#[test]
fn a_late_object_has_the_masks_that_it_has_alone() {
    let workshop = Workshop::new();
    let truth = asset_text("clips/two-crossing-truth-2.tif");
    let late = format!("20:{truth}:2");
    let both = ["--point", "0:54,101:1", "--mask", &late];
    segment(&workshop, &both, "both");
    segment(&workshop, &["--mask", &late], "late");
    segment(&workshop, &["--point", "0:54,101:1"], "early");
    segment(&workshop, &[&both[..], &["--passes", "official"]].concat(), "official");
    let stack =
        |folder: &str, object: u32| workshop.read(&format!("{folder}/object-00{object}.btf"));
    assert!(stack("both", 2) == stack("late", 2));
    assert!(stack("both", 1) == stack("early", 1));
    assert!(stack("official", 1) == stack("early", 1));
    assert!(stack("official", 2) != stack("late", 2));
    let pages = workshop.stack("both/object-002.btf").areas();
    assert!(pages.iter().all(|&area| area > 0), "{pages:?}");
}

#[test]
fn a_job_does_not_go_on_with_other_passes() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let command = ["segment", "mouse.mkv", "--point", "2:122,40", "-o", "masks.btf", "--resume"];
    workshop.sam2(&command).succeeded();
    let official = [&command[..], &["--passes", "official"]].concat();
    workshop.refused(1, &official, &["passes was own and is now official"]);
}
