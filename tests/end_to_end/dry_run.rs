//! `--dry-run`, what a job says before it begins, and the options that its identity knows.

use crate::support::Workshop;

fn nine() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(9, "mouse.mkv").mouse_track(0, 9, "track.csv");
    workshop
}

#[test]
fn a_dry_run_says_everything_and_writes_nothing() {
    let workshop = nine();
    let before = workshop.names();
    let arguments = [
        "segment",
        "mouse.mkv",
        "--keypoints",
        "track.csv",
        "--batch-size",
        "4",
        "--point",
        "8:122,40",
        "-o",
        "masks.btf",
        "-o",
        "masks.csv",
        "--dry-run",
    ];
    let outcome = workshop.sam2(&arguments).succeeded();
    let printed = &outcome.stdout;
    for told in [
        "mouse.mkv: 9 frames in 3 batches, 1 object, prompts on",
        "SAM 2.1 micro",
        "outputs: masks.btf (about",
        "masks.csv (about",
        "batch 1 of 3: frames 0 to 3\n",
        "batch 3 of 3: frame 8\n",
        "  frame 8: object 1: ",
        "+122.0,40.0",
    ] {
        assert!(printed.contains(told), "{told} in:\n{printed}");
    }
    // Every body part is named with its place.
    assert!(printed.contains(" snout"), "{printed}");
    assert_eq!(workshop.names(), before);
}

#[test]
fn a_dry_run_names_a_batch_that_would_be_empty_and_refuses_what_a_run_refuses() {
    let workshop = nine();
    let dry = |arguments: &[&str]| {
        let all = [&["segment", "mouse.mkv", "-o", "masks.btf", "--dry-run"], arguments].concat();
        workshop.sam2(&all)
    };
    let unlikely = ["--keypoints", "track.csv", "--min-likelihood", "1", "--batch-size", "9"];
    let printed = dry(&unlikely).succeeded().stdout;
    assert!(printed.contains("no usable prompt, would be left empty"), "{printed}");
    let outside = dry(&["--point", "0:5000,40"]).failed(1);
    assert!(outside.error().contains("outside"), "{}", outside.error());
}

#[test]
fn a_run_says_what_it_will_do_before_it_begins() {
    let workshop = nine();
    let outcome = workshop.segment("mouse.mkv", &["--point", "0:122,40", "--compression", "none"]);
    let bytes = 9 * 192 * 144;
    assert!(outcome.stderr.contains("9 frames in 1 batch, 1 object, prompts on 1 frame"));
    let size = format!("masks.btf ({:.0} kB)", f64::from(bytes) / 1e3);
    assert!(outcome.stderr.contains(&size), "{size} in {}", outcome.stderr);
}

#[test]
fn numbers_of_the_memory_policy_and_the_stride_belong_to_the_job() {
    let workshop = nine();
    let run = |more: &[&str]| {
        let all =
            [&["segment", "mouse.mkv", "--point", "0:122,40", "-o", "masks.btf", "--resume"], more]
                .concat();
        workshop.sam2(&all)
    };
    run(&["--memory", "guarded:look-back=60"]).succeeded();
    // The same in other words, and what changes no mask, is the same job.
    let same = ["--memory", "guarded:look-back=60,spacing=5", "--objects-per-pass", "1"];
    let outcome = run(&[&same[..], &["--feature-cache", "3", "--threads", "1"]].concat());
    assert!(outcome.succeeded().stderr.contains("are there already"));
    run(&["--memory", "guarded"]).failed(1);
    run(&["--memory", "guarded:look-back=60", "--temporal-stride", "2"]).failed(1);
    for other in ["dam4sam", "sam3", "sam3:look-back=10", "sam2long"] {
        let outcome = run(&["--memory", other]).failed(1);
        let name = other.split(':').next().unwrap();
        let told = format!("--memory was guarded and is now {name}");
        assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
    }
    let wrong = run(&["--memory", "guarded:look-forward=2"]).failed(2);
    assert!(wrong.stderr.contains("look-back"), "{}", wrong.stderr);
}

#[test]
fn the_long_version_names_features_and_ffmpeg() {
    let workshop = Workshop::new();
    let short = workshop.sam2(&["-V"]).succeeded().stdout;
    assert_eq!(short.lines().count(), 1, "{short}");
    let long = workshop.sam2(&["--version"]).succeeded().stdout;
    assert!(long.starts_with(short.trim_end()), "{long}");
    assert!(long.contains("features: ") && long.contains("FFmpeg: libavcodec "), "{long}");
}

#[test]
fn a_dry_run_of_a_resumed_job_knows_the_journal_and_refuses_another_job() {
    let workshop = nine();
    let batches = ["segment", "mouse.mkv", "--keypoints", "track.csv", "--batch-size", "3"];
    let command =
        |more: &[&'static str]| [&batches[..], &["-o", "masks.btf", "--resume"], more].concat();
    // A limit on the size of files stops the job in its last batch.
    let none = ["--compression", "none"];
    workshop.sam2_with_room(200, &command(&none)).failed(1);
    let before = workshop.snapshot();
    let printed =
        workshop.sam2(&command(&["--compression", "none", "--dry-run"])).succeeded().stdout;
    assert!(printed.contains("6 frames are done already"), "{printed}");
    let other = command(&["--compression", "none", "--dry-run", "--passes", "official"]);
    workshop.refused(1, &other, &["passes was own and is now official"]);
    assert!(workshop.snapshot() == before);
}
