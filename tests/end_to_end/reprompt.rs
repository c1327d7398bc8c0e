//! `--reprompt`: the track prompts again where masks are flagged.

use crate::support::Workshop;

/// Returns the frames that a table flags as off the track.
fn off_track(table: &[u8]) -> Vec<usize> {
    let text = String::from_utf8(table.to_vec()).unwrap();
    let flagged = text.lines().skip(1).filter(|line| line.contains("off-track"));
    flagged.map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_wrong_prompt_is_mended_by_the_track() {
    let workshop = Workshop::new();
    workshop.mouse(14, "mouse.mkv").mouse_track(0, 14, "track.csv");
    // A click on the floor of the arena takes the mouse's place on frame 6 and behind it.
    let command =
        ["--keypoints", "track.csv", "--prompt-frames", "first", "--box", "6:10,90,50,130"];
    let before = [&command[..], &["--passes", "agreed", "-o", "before.csv"]].concat();
    workshop.segment_to("before.btf", "mouse.mkv", &before);
    let again = [&command[..], &["--reprompt", "lost,off-track,disagree"]].concat();
    let outputs = ["-o", "after.csv", "-o", "after.html"];
    let run = workshop.segment_to("after.sam2run", "mouse.mkv", &[&again[..], &outputs].concat());
    let told = run.stderr.lines().find(|line| line.contains("prompted again by the track"));
    assert!(told.is_some_and(|line| line.contains("object 1") && line.contains("flagged masks")));
    let (before, after) =
        (off_track(&workshop.read("before.csv")), off_track(&workshop.read("after.csv")));
    assert!(before.len() > 5 && before.contains(&12), "{before:?}");
    assert!(after.len() + 5 <= before.len() && !after.contains(&12), "{before:?} {after:?}");
    // The new prompt is one like the others in the run file's page, and the command is told there.
    let page = String::from_utf8(workshop.read("after.html")).unwrap();
    assert!(page.contains("--reprompt") && page.contains("lost,off-track,disagree"));
    // Only the same job goes on.
    let resumed =
        [&["segment", "mouse.mkv", "--resume", "-o", "after.sam2run"], &command[..]].concat();
    let other = [&resumed[..], &["--passes", "agreed"]].concat();
    workshop.refused(1, &other, &["reprompt"]);
    let same = ["--reprompt", "lost,off-track,disagree"];
    workshop.sam2(&[&resumed[..], &same].concat()).succeeded();
}

#[test]
fn prompting_again_needs_a_track_and_agreed_passes() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv").mouse_track(0, 6, "track.csv");
    let refused = |more: &[&str], told: &[&str]| {
        let command = [&["segment", "mouse.mkv", "-o", "m.btf"], more].concat();
        workshop.refused(2, &command, told);
    };
    refused(&["--point", "2:122,40", "--reprompt", "lost"], &["give --keypoints"]);
    let own = ["--keypoints", "track.csv", "--reprompt", "lost", "--passes", "own"];
    refused(&own, &["--passes agreed"]);
    let misspelt = ["--keypoints", "track.csv", "--reprompt", "offtrack"];
    refused(&misspelt, &["'offtrack'", "--reprompt"]);
}
