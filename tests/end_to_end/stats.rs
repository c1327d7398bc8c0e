//! `--stats` and `--log-format json`: the resources that a job used, in machine-readable form.

use serde_json::Value;

use crate::support::{ON_THE_MOUSE, Workshop, scaled_track};

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(9, "mouse.mkv");
    workshop.write("track.csv", scaled_track(0, 9, 0.5));
    workshop
}

fn read(workshop: &Workshop) -> Value {
    serde_json::from_slice(&workshop.read("stats.json")).unwrap()
}

#[test]
fn stats_say_where_time_and_memory_went() {
    let workshop = workshop();
    let arguments = ["--keypoints", "track.csv", "--batch-size", "4", "--stats", "stats.json"];
    workshop.segment("mouse.mkv", &arguments);
    let stats = read(&workshop);
    assert_eq!(stats["format_version"], 1);
    assert_eq!(stats["exit_code"], 0);
    let command: Vec<&str> = stats["command_line"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert!(command.ends_with(&arguments), "{command:?}");
    assert_eq!(stats["versions"]["sam2"], env!("CARGO_PKG_VERSION"));
    for name in ["seconds", "model_load_seconds", "started_unix_seconds", "threads"] {
        assert!(stats[name].as_f64().unwrap() > 0.0, "{name}");
    }
    let recording = &stats["recordings"][0];
    assert_eq!(
        (&recording["recording"], &recording["result"]),
        (&"mouse.mkv".into(), &"done".into())
    );
    assert_eq!(recording["frames"], 9);
    let batches = recording["batches"].as_array().unwrap();
    let frames: Vec<String> = batches.iter().map(|batch| batch["frames"].to_string()).collect();
    assert_eq!(frames, ["[0,4]", "[4,8]", "[8,9]"]);
    for batch in batches {
        let stages = &batch["stages"];
        let stage = |name: &str| stages[name].as_f64().unwrap();
        for name in ["total", "encode", "track", "write"] {
            assert!(stage(name) > 0.0, "{name} in {stages}");
        }
        let sum = stage("encode") + stage("track") + stage("write");
        assert!((sum - stage("total")).abs() < 1e-3, "{stages}");
        assert!(stage("decode_wait") <= stage("encode") + 1e-3, "{stages}");
        let memory = &batch["memory"];
        let bytes = |name: &str| memory[name].as_u64().unwrap();
        assert!(bytes("host_start") > 1 << 20 && bytes("host_end") > 1 << 20, "{memory}");
        assert!(bytes("host_peak") >= bytes("host_end"), "{memory}");
        assert!(memory["device_peak"].is_null(), "the CPU's memory is the host's");
        assert!(
            batch["cache"]["hits"].as_u64().unwrap() + batch["cache"]["misses"].as_u64().unwrap()
                > 0
        );
        assert_eq!(batch["prompt_frames"].as_array().unwrap().len(), 1);
    }
    let total = recording["stages"]["total"].as_f64().unwrap();
    assert!(recording["stages"]["open"].as_f64().unwrap() > 0.0 && total > 0.0);
}

#[test]
fn stats_are_written_whatever_comes_of_the_job_and_replace_older_ones() {
    let workshop = workshop();
    workshop.write("stats.json", "{\n  \"format_version\": 1,\n  \"of\": \"another day\"\n}\n");
    let arguments = ["mouse.mkv", "missing.mkv", "-o", "{stem}.btf", "--point", "0:122,40"];
    let all = [&["segment"], &arguments[..], &["--stats", "stats.json"]].concat();
    assert_eq!(workshop.sam2(&all).code, Some(4));
    let stats = read(&workshop);
    assert_eq!(stats["exit_code"], 4);
    let results = [&stats["recordings"][0]["result"], &stats["recordings"][1]["result"]];
    assert_eq!(results, [&Value::from("done"), &Value::from("failed")]);
    assert!(stats["recordings"][1]["error"].as_str().unwrap().contains("missing.mkv"));
    let again = workshop.sam2(&[&all[..], &["--resume"]].concat());
    assert_eq!(again.code, Some(4));
    assert_eq!(read(&workshop)["recordings"][0]["result"], "skipped");
}

#[test]
fn log_lines_can_be_json_and_so_is_the_error() {
    let workshop = workshop();
    let good = ["--point", "0:122,40", "--log-format", "json"];
    let outcome = workshop.segment("mouse.mkv", &good);
    let bad = ["--point", "0:122,40", "--log-format", "json"];
    let failed = workshop.sam2(&[&["segment", "missing.mkv", "-o", "m.btf"], &bad[..]].concat());
    assert_eq!(failed.code, Some(1));
    for text in [&outcome.stderr, &failed.stderr] {
        assert!(!text.is_empty());
        for line in text.lines() {
            let line: Value =
                serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
            assert!(line["timestamp"].is_string(), "{line}");
        }
    }
    let last: Value = serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["message"].as_str().unwrap().contains("missing.mkv"));
    // A wrong command line and invalid settings as well: one line each.
    let wrong = ["segment", "mouse.mkv", "--nonsense", "--log-format", "json"];
    let settings = ["segment", "mouse.mkv", "-o", "m.btf", "--log-format=json"];
    let no_number = [("SAM2_BATCH_SIZE", "many")];
    for (outcome, told) in [
        (workshop.sam2(&wrong), "--nonsense"),
        (workshop.sam2_where(&[("SAM2_LOG_FORMAT", "json")], &wrong[..3]), "--nonsense"),
        (workshop.sam2_where(&no_number, &settings), "SAM2_BATCH_SIZE"),
    ] {
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        let line: Value = serde_json::from_str(&outcome.stderr).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert!(line["message"].as_str().unwrap().contains(told), "{line}");
    }
}

#[test]
fn statistics_replace_statistics_only() {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv").mouse(3, "other.mkv");
    let run = |stats: &str| {
        [
            "segment",
            "mouse.mkv",
            "-o",
            "m.csv",
            "--point",
            ON_THE_MOUSE,
            "--overwrite",
            "--stats",
            stats,
        ]
        .map(str::to_owned)
    };
    for stats in ["mouse.mkv", "other.mkv"] {
        let before = workshop.read(stats);
        let arguments = run(stats);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        workshop.refused(1, &arguments, &[stats, "--stats"]);
        assert!(workshop.read(stats) == before, "{stats} was changed");
    }
    let arguments = run("m.csv");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    workshop.refused(1, &arguments, &["m.csv", "two outputs"]);
    let arguments = run("s.json");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    workshop.sam2(&arguments).succeeded();
    workshop.sam2(&arguments).succeeded();
}
