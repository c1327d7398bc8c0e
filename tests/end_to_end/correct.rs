//! `sam2 correct`: a run is amended, and only what that can change is tracked again.

use crate::support::{Workshop, asset, asset_text, scaled_track};

/// Segments the first frames of the clip with two mice that cross, prompted on the first.
fn crossing(passes: &str, more: &[&str]) -> Workshop {
    let workshop = Workshop::new();
    std::fs::copy(asset("clips/two-crossing.mp4"), workshop.path("two.mp4")).unwrap();
    let [one, two] = [1, 2].map(|object| truth(0, object));
    let command = ["segment", "two.mp4", "--passes", passes, "--mask", &one, "--mask", &two];
    let output = ["-o", "m.sam2run"];
    workshop.sam2(&[&command[..], &output, more].concat()).succeeded();
    workshop
}

/// The argument that prompts an object with its true mask on a frame.
fn truth(frame: usize, object: u32) -> String {
    let file = asset_text(&format!("clips/two-crossing-truth-{object}.tif"));
    format!("{frame}:{file}:{object}")
}

fn frame_count(workshop: &Workshop) -> usize {
    workshop.stack("before.btf").pages.len()
}

#[test]
fn a_second_prompt_gives_what_both_give_from_the_start() {
    let workshop = crossing("nearest", &["-o", "before.btf"]);
    let last = frame_count(&workshop) - 1;
    let [one, two] = [1, 2].map(|object| truth(last, object));
    let base = workshop.read("m.sam2run");
    let dry = workshop.sam2(&["correct", "m.sam2run", "--mask", &one, "--dry-run"]).succeeded();
    assert!(dry.stdout.contains(&format!("object 1: frames 1 to {last} from")), "{}", dry.stdout);
    assert!(workshop.read("m.sam2run") == base, "a dry run changes nothing");
    let done = workshop
        .sam2(&["correct", "m.sam2run", "--mask", &one, "--who", "ada", "-o", "object-tiffs:step"])
        .succeeded();
    assert!(done.stderr.contains("object 1: prompt on frame"), "{}", done.stderr);
    workshop.sam2(&["correct", "m.sam2run", "--mask", &two, "-o", "object-tiffs:now"]).succeeded();
    let first = [1, 2].map(|object| truth(0, object));
    let mut fresh = vec!["segment", "two.mp4", "--passes", "nearest", "-o", "object-tiffs:fresh"];
    for mask in [&first[0], &first[1], &one, &two] {
        fresh.extend(["--mask", mask]);
    }
    workshop.sam2(&fresh).succeeded();
    for object in [1, 2] {
        let stack = |folder: &str| workshop.read(&format!("{folder}/object-00{object}.btf"));
        assert!(stack("now") == stack("fresh"), "object {object}");
        assert_eq!(stack("step") == stack("fresh"), object == 1);
    }
    assert!(workshop.read("m.sam2run").starts_with(&base));

    // The history, and back to the beginning.
    let shown = workshop.sam2(&["correct", "m.sam2run", "--show"]).succeeded().stdout;
    let told = [&format!("object 1: prompts on 0, {last}*")[..], "ada", "object 2: tracked on"];
    assert!(told.iter().all(|told| shown.contains(told)), "{shown}");
    workshop.sam2(&["correct", "m.sam2run", "--back-to", "0", "-o", "again.btf"]).succeeded();
    assert!(workshop.stack("again.btf").pages == workshop.stack("before.btf").pages);
    let redone = ["correct", "m.sam2run", "--redo", "-o", "object-tiffs:redone"];
    workshop.sam2(&redone).succeeded();
    let stack =
        |folder: &str, object: u32| workshop.read(&format!("{folder}/object-00{object}.btf"));
    assert!(stack("redone", 1) == stack("now", 1));

    // A report shows the corrected run.
    workshop.sam2(&["report", "m.sam2run", "-o", "report.html"]).succeeded();
}

#[test]
fn a_run_in_batches_is_tracked_again_in_one_of_them_only() {
    let workshop = Workshop::new();
    workshop.mouse(12, "mouse.mkv");
    workshop.write("track.csv", scaled_track(0, 12, 0.5));
    let track = ["--keypoints", "track.csv", "--batch-size", "4"];
    let outputs = ["-o", "m.sam2run", "-o", "before.btf"];
    workshop.sam2(&[&["segment", "mouse.mkv"][..], &track, &outputs].concat()).succeeded();
    let before = workshop.stack("before.btf").pages;
    let absent = ["--absent", "9-10"];
    let lock = ["--lock", "7", "--point", "5:10,10"];
    let done = workshop
        .sam2(&[&["correct", "m.sam2run", "-o", "after.btf"][..], &absent, &lock].concat())
        .succeeded();
    assert!(done.stderr.contains("of 12 frames tracked again"), "{}", done.stderr);
    let after = workshop.stack("after.btf").pages;
    for frame in 0..12 {
        match frame {
            // The track's prompt is on frame 6.
            4 | 5 => {}
            9 | 10 => assert!(after[frame].iter().all(|&pixel| pixel == 0)),
            _ => assert!(after[frame] == before[frame], "frame {frame}"),
        }
    }
    assert!(after[5] != before[5]);
    workshop.refused(1, &["correct", "m.sam2run", "--point", "7:10,10"], &["locked", "unlock"]);
    workshop.refused(2, &["correct", "m.sam2run", "--lock", "3..7"], &["both included"]);
    workshop.refused(1, &["correct", "m.sam2run", "--swap", "3:1:2"], &["no object 2"]);
}

#[test]
fn what_is_not_the_runs_is_refused_before_anything_is_noted() {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv");
    workshop.segment_to("m.sam2run", "mouse.mkv", &["--point", "0:122,40"]);
    let base = workshop.read("m.sam2run");
    let click = ["correct", "m.sam2run", "--point", "3:122,40"];
    workshop.refused(1, &[&click[..], &["--image-size", "320"]].concat(), &["image size was 256"]);
    workshop.refused(1, &[&click[..], &["--precision", "bf16"]].concat(), &["precision was f32"]);
    workshop.cut("mouse-arena", 6, "-vf hflip,scale=192:144 -c:v ffv1", "other.mkv");
    let other = [&click[..], &["--recording", "other.mkv"]].concat();
    workshop.refused(1, &other, &["not the recording of the run"]);
    let outside = ["correct", "m.sam2run", "--point", "3:1000,40"];
    workshop.refused(1, &outside, &["frame 3"]);
    std::fs::rename(workshop.path("mouse.mkv"), workshop.path("moved.mkv")).unwrap();
    workshop.refused(1, &click, &["mouse.mkv", "--recording"]);
    assert!(workshop.read("m.sam2run") == base);
    // Without tracking, neither the recording nor the model is needed.
    workshop.sam2(&["correct", "m.sam2run", "--name", "1=Ada", "-o", "m.csv"]).succeeded();
    let noted = [&click[..], &["--note-only"]].concat();
    let told = workshop.sam2(&noted).succeeded();
    told.warns(&["5 frames are to be tracked again"]);
    let table = String::from_utf8(workshop.read("m.csv")).unwrap();
    assert!(table.contains("Ada"), "{table}");
    let found = ["correct", "m.sam2run", "--recording", "moved.mkv"];
    let done = workshop.sam2(&found).succeeded();
    assert!(done.stderr.contains("5 of 6 frames tracked again"), "{}", done.stderr);
    // Files that are no runs, or not finished.
    workshop.refused(1, &["correct", "moved.mkv", "--undo"], &["not a run file"]);
    let bytes = workshop.read("m.sam2run");
    workshop.write("half.sam2run", &bytes[..base.len() - 40]);
    workshop.refused(1, &["correct", "half.sam2run", "--undo"], &["not finished"]);
}

#[test]
fn an_interrupted_correction_goes_on() {
    let workshop = crossing("nearest", &["-o", "before.btf"]);
    let last = frame_count(&workshop) - 1;
    let mask = truth(last, 1);
    let copy = workshop.read("m.sam2run");
    workshop.write("whole.sam2run", &copy);
    workshop.sam2(&["correct", "whole.sam2run", "--mask", &mask, "-o", "whole.btf"]).succeeded();
    let length = copy.len() as u64 + 5_000;
    let mut running = workshop.start_bare(&["correct", "m.sam2run", "--mask", &mask]);
    let size = || std::fs::metadata(workshop.path("m.sam2run")).unwrap().len();
    running.wait_until(|| size() > length);
    running.stop("KILL");
    let shown = workshop.sam2(&["correct", "m.sam2run", "--show"]).succeeded().stdout;
    assert!(shown.contains("are to be tracked again"), "{shown}");
    let on = workshop.sam2(&["correct", "m.sam2run", "-o", "m.btf"]).succeeded();
    assert!(on.stderr.contains("tracked again"), "{}", on.stderr);
    assert!(workshop.read("m.btf") == workshop.read("whole.btf"));
    // The same command once more changes nothing.
    let again = workshop.sam2(&["correct", "m.sam2run", "--mask", &mask, "--dry-run"]).succeeded();
    assert!(again.stdout.contains("nothing is to be tracked again"), "{}", again.stdout);
}

#[test]
fn batches_that_were_computed_elsewhere_replace_those_of_a_run() {
    let workshop = Workshop::new();
    workshop.mouse(12, "mouse.mkv");
    let all = ["--prompts", "p.csv", "--batch-size", "4"];
    let prompts = |middle: &str| {
        format!("frame,object,x,y,label\n0,1,122,40,1\n4,1,{middle},1\n8,1,122,40,1\n")
    };
    workshop.write("p.csv", prompts("10,10"));
    workshop.segment_to("wrong.sam2run", "mouse.mkv", &all);
    workshop.write("p.csv", prompts("122,40"));
    workshop.segment_to("right.sam2run", "mouse.mkv", &[&all[..], &["-o", "right.btf"]].concat());
    workshop.segment_to("part.sam2run", "mouse.mkv", &[&all[..], &["--frames", "4..8"]].concat());
    let merge =
        ["merge", "wrong.sam2run", "part.sam2run", "--replace", "-o", "m.btf", "-o", "m.sam2run"];
    workshop.sam2(&merge).succeeded();
    assert!(workshop.read("m.btf") == workshop.read("right.btf"));
    workshop.sam2(&["merge", "m.sam2run", "-o", "again.btf"]).succeeded();
    assert!(workshop.read("again.btf") == workshop.read("right.btf"));
    // Parts that overlap without --replace, or that cut batches, are refused.
    workshop.refused(
        1,
        &["merge", "wrong.sam2run", "part.sam2run", "-o", "x.btf"],
        &["does not belong"],
    );
    let other = ["--prompts", "p.csv", "--batch-size", "6"];
    workshop.segment_to("six.sam2run", "mouse.mkv", &[&other[..], &["--frames", "6.."]].concat());
    workshop.refused(
        1,
        &["merge", "wrong.sam2run", "six.sam2run", "--replace", "-o", "x.btf"],
        &["batches"],
    );
    workshop.refused(1, &["merge", "wrong.sam2run", "--replace", "-o", "x.btf"], &["--replace"]);
}
