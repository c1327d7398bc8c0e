//! `--passes`: objects whose first prompts are on different frames; frames that are tracked from the
//! prompts on both sides of them.

use std::collections::BTreeMap;

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

/// Arguments that prompt both animals of the clip with their true masks on these frames.
fn true_masks(frames: &[usize]) -> Vec<String> {
    let mut arguments = Vec::new();
    for object in [1, 2] {
        let truth = asset_text(&format!("clips/two-crossing-truth-{object}.tif"));
        for frame in frames {
            arguments.extend(["--mask".to_owned(), format!("{frame}:{truth}:{object}")]);
        }
    }
    arguments
}

/// Rows of a table by frame and object, as cells by the name of their column.
fn rows(table: &[u8]) -> BTreeMap<(usize, u32), BTreeMap<String, String>> {
    let text = String::from_utf8(table.to_vec()).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells: BTreeMap<String, String> = names
            .iter()
            .zip(line.split(','))
            .map(|(name, cell)| ((*name).to_owned(), cell.to_owned()))
            .collect();
        ((cells["frame"].parse().unwrap(), cells["object"].parse().unwrap()), cells)
    };
    lines.map(row).collect()
}

#[test]
fn agreed_passes_compare_what_lies_between_two_prompts() {
    let workshop = Workshop::new();
    let clip = asset_text("clips/two-crossing.mp4");
    let prompts = true_masks(&[4, 40]);
    let run = |passes: &str, more: &[&str], output: &str| {
        let mut command = vec!["segment", &clip, "--passes", passes, "-o", output];
        command.extend(prompts.iter().map(String::as_str));
        command.extend(more);
        workshop.sam2(&command).succeeded()
    };
    run("agreed", &["-o", "agreed.sam2run", "-o", "agreed.html"], "agreed.csv");
    run("nearest", &[], "nearest.csv");
    let (agreed, nearest) =
        (rows(&workshop.read("agreed.csv")), rows(&workshop.read("nearest.csv")));
    assert_eq!(agreed.len(), 96);
    let mut disagreeing = 0;
    for ((frame, object), row) in &agreed {
        let between = (5..40).contains(frame);
        assert_eq!(!row["agreement"].is_empty(), between, "frame {frame}: {row:?}");
        let differs = between && row["agreement"].parse::<f64>().unwrap() < 0.5;
        assert_eq!(row["flags"].contains("disagree"), differs, "{row:?}");
        disagreeing += usize::from(differs);
        assert_eq!(nearest[&(*frame, *object)]["agreement"], "");
        // Without a track, the nearer prompt decides either way.
        assert_eq!(nearest[&(*frame, *object)]["area"], row["area"], "frame {frame}");
    }
    assert!(disagreeing > 10, "look-alikes cross in this clip: {disagreeing}");
    let page = String::from_utf8(workshop.read("agreed.html")).unwrap();
    assert!(page.contains("Disagree"), "the report has the flag");
    // The run file gives the same table again.
    workshop.sam2(&["merge", "agreed.sam2run", "-o", "again.csv"]).succeeded();
    assert!(workshop.read("again.csv") == workshop.read("agreed.csv"));
    // In parts: each begins and ends within a stretch.
    let parts = ["--batch-size", "12"];
    run("agreed", &parts, "whole.sam2run");
    for (range, name) in [("0..12", "a"), ("12..36", "b"), ("36..48", "c")] {
        let output = format!("{name}.sam2run");
        run("agreed", &["--batch-size", "12", "--frames", range], &output);
    }
    let merge = ["merge", "a.sam2run", "b.sam2run", "c.sam2run", "-o", "parts.sam2run"];
    workshop.sam2(&merge).succeeded();
    assert!(workshop.read("parts.sam2run") == workshop.read("whole.sam2run"));
}

#[test]
fn an_interrupted_job_with_agreed_passes_goes_on() {
    let workshop = Workshop::new();
    let clip = asset_text("clips/two-crossing.mp4");
    let prompts = true_masks(&[4, 20, 40]);
    let mut command = vec!["--passes", "agreed", "--batch-size", "12"];
    command.extend(prompts.iter().map(String::as_str));
    workshop.segment_to("whole.btf", &clip, &command);
    let running = workshop.start(&clip, &command);
    running.stop("KILL");
    command.push("--resume");
    workshop.segment(&clip, &command);
    assert!(workshop.read("masks.btf") == workshop.read("whole.btf"));
}

#[test]
fn what_does_not_go_with_passes_across_batches_is_refused() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let command = ["--point", "2:122,40", "--passes", "agreed"];
    for (more, told) in [
        (&["--carry-over"][..], "nothing to carry over"),
        (&["--frames-mode", "memory"][..], "use lazy"),
    ] {
        workshop.refuses("mouse.mkv", &[&command[..], more].concat(), &[told]);
        // A dry run refuses what the run would refuse.
        workshop.refuses("mouse.mkv", &[&command[..], more, &["--dry-run"]].concat(), &[told]);
    }
}

#[test]
fn a_batch_without_a_prompt_is_tracked_from_its_neighbours() {
    let workshop = Workshop::new();
    workshop.mouse(9, "mouse.mkv");
    let command =
        ["--point", "1:122,40", "--batch-size", "3", "--passes", "nearest", "--point", "7:122,40"];
    let run = workshop.segment("mouse.mkv", &command);
    assert!(run.stderr.contains("batch 2 of 3: frames 3 to 5, without a prompt of its own"));
    assert!(workshop.masks().areas().iter().all(|&area| area > 0));
    let dry =
        workshop.segment_to("other.btf", "mouse.mkv", &[&command[..], &["--dry-run"]].concat());
    assert!(dry.stdout.contains("would be tracked from those of other batches"), "{}", dry.stdout);
}

#[test]
fn contradictory_clicks_are_refused_and_negative_ones_alone_are_warned_about() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    let both = ["--point", "2:122,40", "--point", "2:122.4,40.9:-"];
    workshop.refuses("mouse.mkv", &both, &["positive and a negative", "(122, 40)", "frame 2"]);
    let only = workshop.segment("mouse.mkv", &["--point", "2:12,40:-"]);
    only.warns(&["only negative points on frame 2"]);
}

#[test]
fn masks_off_the_track_are_flagged() {
    let workshop = Workshop::new();
    workshop.mouse(12, "mouse.mkv").mouse_track(0, 12, "track.csv");
    // From frame 6 on the track says that the mouse is elsewhere.
    let track = String::from_utf8(workshop.read("track.csv")).unwrap();
    let shifted: Vec<String> = track
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            match cells[0].parse::<usize>() {
                Ok(frame) if frame >= 6 => {
                    let moved = cells[1..].chunks(3).map(|c| format!("5,5,{}", c[2]));
                    format!("{frame},{}", moved.collect::<Vec<_>>().join(","))
                }
                _ => line.to_owned(),
            }
        })
        .collect();
    workshop.write("shifted.csv", shifted.join("\n") + "\n");
    let command = ["--keypoints", "track.csv", "--prompt-frames", "first"];
    workshop.segment_to("right.csv", "mouse.mkv", &command);
    let command = ["--keypoints", "shifted.csv", "--prompt-frames", "first"];
    workshop.segment_to("off.csv", "mouse.mkv", &command);
    let flagged = |name: &str| -> Vec<usize> {
        let rows = rows(&workshop.read(name));
        let off = rows.iter().filter(|(_, row)| row["flags"].contains("off-track"));
        off.map(|((frame, _), _)| *frame).collect()
    };
    assert_eq!(flagged("right.csv"), [0; 0]);
    assert_eq!(flagged("off.csv"), (6..12).collect::<Vec<_>>());
}
