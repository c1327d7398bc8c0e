//! Mistakes in the arguments of any recording are reported before the first recording is processed.

use crate::support::{ON_THE_MOUSE, Workshop, scaled_track};

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    for name in ["a", "b"] {
        workshop.mouse(3, &format!("{name}.mkv"));
        workshop.write(&format!("{name}DLC.csv"), scaled_track(0, 3, 0.5));
    }
    workshop
}

#[test]
fn what_is_wrong_with_the_last_recording_is_told_before_the_first_is_begun() {
    let workshop = workshop();
    std::fs::remove_file(workshop.path("bDLC.csv")).unwrap();
    workshop.folder("masks-of-a");
    type Case<'a> = (&'a [&'a str], &'a str);
    let cases: [Case<'_>; 3] = [
        (&["--keypoints", "{stem}DLC.csv", "-o", "{stem}.btf"], "bDLC.csv"),
        (&["--keypoints", "{stem}DLC*.csv", "-o", "{stem}.btf"], "no track matches 'bDLC*.csv'"),
        (&["--point", ON_THE_MOUSE, "-o", "masks-of-{stem}/masks.btf"], "masks-of-b"),
    ];
    for (how, told) in cases {
        let all = [&["segment", "a.mkv", "b.mkv", "--overwrite"], how].concat();
        let outcome = workshop.sam2(&all).failed(4);
        assert!(outcome.error().contains(told), "{}", outcome.stderr);
        let place = |text: &str| outcome.stderr.find(text).unwrap_or(usize::MAX);
        assert!(place("error:") < place("recording 1 of 2"), "{}", outcome.stderr);
        outcome.warns(&["1 of 2 recordings cannot be segmented"]);
        assert!(outcome.stderr.contains("a.mkv: 3 frames"), "{}", outcome.stderr);
    }
}

#[test]
fn a_damaged_recording_is_told_before_the_first_is_begun() {
    let workshop = workshop();
    workshop.cut("mouse-arena", 3, "-c:v libx264 -pix_fmt yuv420p", "whole.mp4");
    // The part that locates the frames is missing.
    workshop.truncate("whole.mp4", 0.7, "cut.mp4");
    let cut = workshop.read("cut.mp4");
    workshop.folder("empty");
    let cases: [(&str, &[u8], &str); 5] = [
        ("b.mkv", b"no video", "not a readable video"),
        ("b.mkv", b"", "not a readable video"),
        ("b.tif", b"II*", "b.tif"),
        ("b.mp4", &cut, "b.mp4"),
        ("empty", b"", "empty"),
    ];
    for (name, bytes, told) in cases {
        if name != "empty" {
            workshop.write(name, bytes);
        }
        let all = ["segment", "a.mkv", name, "-o", "{stem}.btf", "--overwrite"];
        let outcome = workshop.sam2(&[&all[..], &["--point", ON_THE_MOUSE]].concat()).failed(4);
        assert!(outcome.error().contains(told), "{}", outcome.stderr);
        let place = |text: &str| outcome.stderr.find(text).unwrap_or(usize::MAX);
        assert!(place("error:") < place("recording 1 of 2"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("a.mkv: 3 frames"), "{}", outcome.stderr);
    }
}

#[test]
fn a_track_that_does_not_fit_the_last_recording_is_told_before_the_first_is_begun() {
    let workshop = workshop();
    workshop.write("bDLC.csv", scaled_track(0, 5, 0.5));
    workshop.write("a.json", r#"{"version": 1, "prompts": [{"frame": 0, "points": [[122, 40]]}]}"#);
    workshop.write("b.json", r#"{"version": 1, "prompts": [{"frame": 9, "points": [[122, 40]]}]}"#);
    for (how, told) in [
        (["--keypoints", "{stem}DLC.csv"], ["'bDLC.csv' has 5 rows", "3 frames"]),
        (["--prompts", "{stem}.json"], ["b.mkv", "frame 9"]),
    ] {
        let all = ["segment", "a.mkv", "b.mkv", "--overwrite", "-o", "{stem}.btf"];
        let outcome = workshop.sam2(&[&all[..], &how].concat()).failed(4);
        told.iter().for_each(|part| assert!(outcome.error().contains(part), "{}", outcome.stderr));
        let place = |text: &str| outcome.stderr.find(text).unwrap_or(usize::MAX);
        assert!(place("error:") < place("recording 1 of 2"), "{}", outcome.stderr);
        // The other recording is opened twice, but reported once.
        assert_eq!(outcome.stderr.matches("a.mkv: 3 frames of").count(), 1, "{}", outcome.stderr);
        assert!(workshop.path("a.btf").exists() && !workshop.path("b.btf").exists());
    }
}

#[test]
fn clicks_boxes_and_masks_are_checked_for_all_recordings_before_the_first_is_begun() {
    let workshop = workshop();
    workshop.mouse(12, "long.mkv");
    let all = ["segment", "long.mkv", "b.mkv", "-o", "{stem}.btf", "--overwrite"];
    let click = ["--point", ON_THE_MOUSE];
    for (option, value, told) in
        [("--point", "9:122,40", "frame 9"), ("--box", "9:100,20,140,60", "frame 9")]
    {
        let outcome = workshop.sam2(&[&all[..], &[option, value]].concat()).failed(4);
        assert!(outcome.error().contains("b.mkv"), "{}", outcome.stderr);
        assert!(outcome.error().contains(told), "{}", outcome.stderr);
        let place = |text: &str| outcome.stderr.find(text).unwrap_or(usize::MAX);
        assert!(place("error:") < place("recording 1 of 2"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("b.mkv: failed: "), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("b.mkv: failed: b.mkv"), "{}", outcome.stderr);
    }
    // Problems common to all recordings are reported once, and nothing is started.
    for (how, told) in [
        (&["--mask", "0:none.png"][..], "none.png"),
        (&[&click[..], &["--roi", "0,0,9000,9000"]].concat(), "9000"),
        (&[], "nothing to segment"),
    ] {
        let outcome = workshop.sam2(&[&all[..], how].concat()).failed(1);
        assert!(outcome.error().contains(told), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("recording 1 of 2"), "{}", outcome.stderr);
    }
    let same = ["segment", "a.mkv", "b.mkv", "-o", "{stem}.btf", "--point", "9:122,40"];
    let outcome = workshop.sam2(&same).failed(1);
    assert_eq!(outcome.stderr.matches("frame 9").count(), 1, "{}", outcome.stderr);
}

#[test]
fn what_opening_has_to_say_is_said_once() {
    let workshop = workshop();
    workshop.mouse(20, "whole.mkv");
    workshop.truncate("whole.mkv", 0.6, "b.mkv");
    let all = ["segment", "a.mkv", "b.mkv", "-o", "{stem}.btf", "--point", ON_THE_MOUSE];
    let alone = ["segment", "b.mkv", "-o", "alone.btf", "--point", ON_THE_MOUSE];
    let warnings = |words: &[&str]| {
        let outcome = workshop.sam2(words).ended(3);
        outcome
            .stderr
            .lines()
            .filter(|line| line.contains("WARN") && line.contains("b.mkv"))
            .count()
    };
    let once = warnings(&alone);
    assert!(once > 0);
    assert_eq!(warnings(&all), once);
}

#[test]
fn a_recording_that_is_not_there_is_told_before_its_track() {
    let workshop = workshop();
    for track in ["{stem}DLC*.csv", "{stem}DLC.csv"] {
        let all = ["segment", "a.mkv", "c.mkv", "-o", "{stem}.btf", "--overwrite"];
        let outcome = workshop.sam2(&[&all[..], &["--keypoints", track]].concat()).failed(4);
        assert!(outcome.error().contains("c.mkv: no such file"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("no track matches"), "{}", outcome.stderr);
    }
}

#[test]
fn a_mistake_that_recordings_share_is_told_once() {
    let workshop = workshop();
    let names = ["c", "d"].map(|name| format!("{name}.mkv"));
    for name in &names {
        workshop.mouse(3, name);
    }
    let all = ["segment", "a.mkv", "b.mkv", "c.mkv", "d.mkv", "-o", "{stem}.btf"];
    for (option, value, told) in [
        ("--model", "larg", "did you mean large?"),
        ("--model", "large", "sam2 download large"),
        ("--device", "cuda:7", "cuda"),
    ] {
        let more = [option, value, "--point", ON_THE_MOUSE];
        let outcome = workshop.sam2(&[&all[..], &more].concat()).failed(1);
        assert!(outcome.error().contains(told), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.matches(told).count(), 1, "{}", outcome.stderr);
    }
    // A problem of some of the recordings.
    workshop.write(
        "job.toml",
        "[defaults]\noutput = \"{stem}.btf\"\npoint = \"0:122,40\"\n[[recording]]\npath = \"a.mkv\"\n\
         [[recording]]\npath = \"b.mkv\"\nmodel = \"larg\"\n[[recording]]\npath = \"c.mkv\"\nmodel = \"larg\"\n",
    );
    let outcome = workshop.sam2(&["segment", "--job", "job.toml"]).failed(4);
    for told in ["did you mean large?", "so for 2 of 3 recordings: b.mkv, c.mkv"] {
        assert!(outcome.error().contains(told), "{}", outcome.stderr);
    }
    let again = "c.mkv: failed for the same reason as b.mkv";
    assert!(outcome.stderr.contains(again), "{}", outcome.stderr);
}

#[test]
fn a_name_that_the_tracks_lack_is_told_once() {
    let workshop = workshop();
    let all = ["segment", "a.mkv", "b.mkv", "-o", "{stem}.btf", "--keypoints", "{stem}DLC.csv"];
    for (option, told) in [
        ("--bodyparts", "the track has no body part 'zz'; it has "),
        ("--individual", "the track has no individual 'zz'"),
    ] {
        let outcome = workshop.sam2(&[&all[..], &[option, "zz"]].concat()).failed(1);
        assert!(outcome.error().contains(told), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.matches("'zz'").count(), 1, "{}", outcome.stderr);
    }
    let alone = ["--keypoints", "aDLC.csv", "--bodyparts", "zz,zz"];
    let outcome = workshop.refuses("a.mkv", &alone, &["'aDLC.csv' has no body part 'zz'"]);
    assert_eq!(outcome.stderr.matches("'zz'").count(), 1, "{}", outcome.stderr);
}

#[test]
fn the_rows_of_one_video_are_not_given_to_several_recordings() {
    let workshop = workshop();
    let rows = (0..3).map(|frame| format!("{frame},122,40,base\n{frame},9,9,other\n"));
    let table = format!("frame,x,y,video\n{}", rows.collect::<String>());
    workshop.write("rows.csv", &table);
    let how = ["-o", "{stem}.btf", "--allow-row-mismatch", "--keypoints-video", "base"];
    let both = |more: &[&'static str]| [&["segment", "a.mkv", "b.mkv"], &how[..], more].concat();
    let told = [
        "--keypoints-video 'base'",
        "'a.mkv' and 'b.mkv'",
        "rows.csv'",
        "{stem}",
        "one recording at a time",
    ];
    for track in ["rows.csv", "./row*.csv"] {
        let outcome = workshop.refused(1, &both(&["--keypoints", track]), &told);
        assert!(!outcome.stderr.contains("the track of 2 recordings"), "{}", outcome.stderr);
    }
    let job = "[defaults]\nkeypoints = \"rows.csv\"\noutput = \"{stem}.btf\"\nkeypoints-video = \"base\"\n\
               allow-row-mismatch = true\n[[recording]]\npath = \"a.mkv\"\n[[recording]]\npath = \"b.mkv\"\n";
    workshop.write("job.toml", job);
    workshop.refused(1, &["segment", "--job", "job.toml"], &told);
    // Each recording with its own video or its own track, or one recording in two files.
    workshop.write("job.toml", format!("{job}keypoints-video = \"other\"\n"));
    workshop.sam2(&["segment", "--job", "job.toml"]).succeeded();
    workshop.write("a-rows.csv", &table);
    workshop.write("b-rows.csv", &table);
    let own = both(&["--keypoints", "{stem}-rows.csv", "--overwrite"]);
    workshop.sam2(&own).succeeded();
    workshop.sam2(&both(&["--keypoints", "rows.csv", "--overwrite", "--join"])).succeeded();
    assert_eq!(workshop.stack("a.btf").pages.len(), 6);
}

#[test]
fn paths_of_one_recording_are_not_computed_twice() {
    let workshop = workshop();
    let case = crate::real_tracks::case("ome-tiff-several-files");
    workshop.folder("set");
    workshop.folder("day");
    for part in ["rec_0.ome.tif", "rec_1.ome.tif"] {
        std::fs::copy(case.join(part), workshop.path("set").join(part)).unwrap();
    }
    for part in ["0.mkv", "1.mkv"] {
        std::fs::copy(workshop.path("a.mkv"), workshop.path("day").join(part)).unwrap();
    }
    let click = ["-o", "{stem}.btf", "--point", "0:40,40"];
    for (recordings, told) in [
        (
            &["set/rec_0.ome.tif", "set/rec_1.ome.tif"][..],
            ["'set/rec_0.ome.tif' and 'set/rec_1.ome.tif'", "one recording in 2 files"],
        ),
        (
            &["a.mkv", "set/rec_*.ome.tif"],
            ["'set/rec_0.ome.tif' and 'set/rec_1.ome.tif'", "name only one of them"],
        ),
        (&["set/rec_1.ome.tif", "set"], ["'set/rec_1.ome.tif' and 'set'", "name only one of them"]),
    ] {
        workshop.refused(1, &[&["segment"], recordings, &click].concat(), &told);
    }
    // Nor are a folder of videos and the same files, joined.
    let job = "[defaults]\npoint = \"0:122,40\"\n[[recording]]\npath = \"day\"\noutput = \"1.btf\"\n\
               [[recording]]\npath = \"day/*.mkv\"\njoin = true\noutput = \"2.btf\"\n";
    workshop.write("job.toml", job);
    let told = ["'day' and 'day/0.mkv'", "one recording in 2 files"];
    workshop.refused(1, &["segment", "--job", "job.toml"], &told);
    // One of them is the whole recording.
    workshop.sam2(&[&["segment", "set/rec_1.ome.tif", "a.mkv"], &click[..]].concat()).succeeded();
    assert_eq!(workshop.stack("rec_1.ome.btf").pages.len(), 24);
}

#[test]
fn an_unknown_model_or_device_stops_all_at_once() {
    let workshop = workshop();
    let with = |more: &[&'static str]| {
        [&["segment", "a.mkv", "b.mkv", "-o", "{stem}.btf", "--point", ON_THE_MOUSE], more].concat()
    };
    for (how, told) in [
        (["--model", "larg"], "did you mean large?"),
        (["--model", "weights/mine.safetensors"], "no such file"),
        (["--model", "sam2.1_hiera_large"], "sam2 download large-2.1"),
        (["--model", "facebook/sam2-hiera-tiny"], "sam2 download tiny-2.0"),
        (["--device", "cuda"], "cuda"),
    ] {
        let outcome = workshop.sam2(&with(&how));
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(told), "'{told}' is missing in {}", outcome.stderr);
        assert!(!outcome.stderr.contains("recording 1 of 2"), "{}", outcome.stderr);
        assert!(!workshop.path("a.btf").exists());
    }
}

#[test]
fn words_in_the_wrong_place_are_named_for_what_they_are() {
    let workshop = workshop();
    let video = workshop.read("a.mkv");
    workshop.write("my mouse.mkv", &video);
    workshop.write("my track.csv", scaled_track(0, 3, 0.5));
    let output = ["-o", "masks.btf"];
    let refused = |code: i32, words: &[&'static str], told: &[&str]| {
        workshop.refused(code, &[&["segment"], words, &output].concat(), told);
    };
    refused(1, &["aDLC.csv", "--keypoints", "a.mkv"], &["exchange them", "segment a.mkv"]);
    refused(1, &["aDLC.csv", "--point", "0:1,1"], &["a track, not a recording", "--keypoints"]);
    refused(1, &["a.mkv", "--keypoints", "b.mkv"], &["a recording, not a track"]);
    refused(1, &["my", "mouse.mkv", "--point", "0:1,1"], &["quotes", "'my mouse.mkv'"]);
    let words = ["a.mkv", "--keypoints", "my", "track.csv"];
    refused(1, &words, &["quotes", "'my track.csv'"]);
    let words = ["--keypoints", "aDLC.csv", "--bodyparts", "snout", "body", "a.mkv"];
    refused(2, &words, &["--bodyparts took 'a.mkv'", "the recording first"]);
}

#[test]
fn one_file_however_spelled_is_not_written_twice_or_over_an_input() {
    let workshop = workshop();
    workshop.folder("day");
    workshop.mouse(3, "day/a.mkv");
    std::os::unix::fs::symlink("a.mkv", workshop.path("link.mkv")).unwrap();
    let job = "[defaults]\npoint = \"0:1,1\"\n[[recording]]\npath = \"a.mkv\"\noutput = \"same.btf\"\n\
               [[recording]]\npath = \"b.mkv\"\noutput = \"./day/../same.btf\"\n";
    workshop.write("job.toml", job);
    workshop.refused(1, &["segment", "--job", "job.toml"], &["same.btf", "a.mkv", "b.mkv"]);
    let click = ["--point", "0:1,1", "--overwrite"];
    let with = |words: &[&'static str]| [&["segment"], words, &click].concat();
    let same = with(&["a.mkv", "./day/../a.mkv", "-o", "{folder}/{stem}.btf"]);
    workshop.refused(1, &same, &["the same recording"]);
    let same = with(&["a.mkv", "link.mkv", "-o", "{stem}.btf"]);
    workshop.refused(1, &same, &["the same recording", "link.mkv"]);
    // The second recording is a stack with the name of an output of the first.
    workshop.segment_to("a_m.btf", "a.mkv", &["--point", ON_THE_MOUSE]);
    let stack = workshop.read("a_m.btf");
    let over = with(&["a.mkv", "a_m.btf", "-o", "./{stem}_m.btf"]);
    workshop.refused(1, &over, &["a_m.btf", "is an input"]);
    assert!(workshop.read("a_m.btf") == stack);
}

#[test]
fn devices_pipes_and_links_are_neither_read_nor_replaced() {
    let workshop = workshop();
    // In a separate workshop, because snapshots read every file in the folder.
    let pipes = Workshop::new();
    assert_eq!(pipes.shell("mkfifo pipe.csv pipe.json pipe.mkv pipe.btf").code, Some(0));
    let pipe = |ending: &str| pipes.path(&format!("pipe.{ending}")).display().to_string();
    let (table, json, video, stack) = (pipe("csv"), pipe("json"), pipe("mkv"), pipe("btf"));
    let with = |words: [&str; 2]| {
        ["segment", "a.mkv", "-o", "m.btf"].iter().chain(&words).map(ToString::to_string).collect()
    };
    let refused = |words: Vec<String>, told: &[&str]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        workshop.refused(1, &words, told);
    };
    let device = "device, pipe or socket";
    for (option, value) in [
        ("--keypoints", &table[..]),
        ("--keypoints", "/dev/zero"),
        ("--prompts", &json),
        ("--prompts", "/dev/zero"),
        ("--mask", "0:/dev/zero"),
        ("--model", "/dev/zero"),
        ("--stats", &json),
    ] {
        refused(with([option, value]), &[option, device]);
    }
    workshop.refused(1, &["segment", "--job", "/dev/zero"], &["--job", device]);
    workshop.refused(1, &["probe", &video], &["pipe.mkv", device]);
    workshop.refused(1, &["inspect", "/dev/zero"], &["/dev/zero", device]);
    workshop.write("mine.btf", "weeks of work");
    std::os::unix::fs::symlink("mine.btf", workshop.path("link.btf")).unwrap();
    std::os::unix::fs::symlink("nowhere", workshop.path("davis")).unwrap();
    for (output, told) in [
        (&stack[..], device),
        ("link.btf", "a link"),
        ("tiff:/dev/null", device),
        ("davis:davis", "a link"),
    ] {
        let words = ["segment", "a.mkv", "-o", output, "--overwrite", "--point", "0:1,1"];
        workshop.refused(1, &words, &[told, "choose another name"]);
    }
    assert_eq!(workshop.read("mine.btf"), b"weeks of work");
}
