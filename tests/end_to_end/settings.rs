//! Defaults from environment variables and from a settings file.

use serde_json::Value;

use crate::support::{ON_THE_MOUSE, Workshop, asset_text};

fn mouse() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv").mouse_track(0, 6, "track.csv");
    workshop
}

/// Returns the output of `sam2 config --json` with these variables and arguments.
fn shown(workshop: &Workshop, variables: &[(&str, &str)], arguments: &[&str]) -> Value {
    let all = [&["config", "--json"], arguments].concat();
    let outcome = workshop.sam2_where(variables, &all).succeeded();
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// Returns the number of batches of a run.
fn batches(workshop: &Workshop, variables: &[(&str, &str)], arguments: &[&str]) -> usize {
    let all = [&["segment", "mouse.mkv", "-o", "m.btf", "--overwrite"], arguments].concat();
    workshop.sam2_where(variables, &all).succeeded().prompted().len()
}

#[test]
fn the_command_line_beats_the_environment_beats_the_file_beats_the_default() {
    let workshop = mouse();
    workshop.write("sam2.toml", "keypoints = \"track.csv\"\nbatch_size = 3\n");
    let file = ["--config-file", "sam2.toml"];
    let environment = [("SAM2_BATCH_SIZE", "2")];
    assert_eq!(batches(&workshop, &[], &["--keypoints", "track.csv"]), 1);
    assert_eq!(batches(&workshop, &[], &file), 2);
    assert_eq!(batches(&workshop, &environment, &file), 3);
    assert_eq!(batches(&workshop, &environment, &[&file[..], &["--batch-size", "1"]].concat()), 6);
    // The file named by the environment, and the user's own file.
    assert_eq!(batches(&workshop, &[("SAM2_CONFIG", "sam2.toml")], &[]), 2);
    workshop.folder("tmp/sam2");
    workshop.write("tmp/sam2/config.toml", "keypoints = \"track.csv\"\nbatch-size = 1\n");
    assert_eq!(batches(&workshop, &[], &[]), 6);
    assert_eq!(batches(&workshop, &[("SAM2_CONFIG", "sam2.toml")], &[]), 2);
}

#[test]
fn every_option_of_segment_has_a_variable_and_a_key() {
    let workshop = Workshop::new();
    let options = shown(&workshop, &[], &["segment"])["options"].as_object().unwrap().clone();
    let help = workshop.sam2(&["segment", "--help"]).succeeded().stdout;
    let documented: Vec<&str> = help
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.split(['=', ']', ',', '.', ')']).next().unwrap())
        .filter(|word| {
            !["help", "version", "config-file", "quiet", "verbose", "", "features"].contains(word)
        })
        .collect();
    assert!(documented.len() > 20, "{documented:?}");
    for option in documented {
        let shown = options.get(option).unwrap_or_else(|| panic!("{option} in {options:?}"));
        let variable = shown["variable"].as_str().unwrap();
        assert!(variable.starts_with("SAM2_"), "{variable}");
    }
    assert_eq!(options["config"]["variable"], "SAM2_MODEL_CONFIG");
    assert_eq!(options["batch-size"]["value"], "400 with a track, otherwise 0");
    assert_eq!(options["overwrite"]["value"], "false");
}

#[test]
fn config_says_where_each_value_comes_from() {
    let workshop = Workshop::new();
    workshop.write("a.toml", "# mine\ndevice = \"cpu\"\nfill-holes = 4\n[download]\nretries = 9\n");
    let file = ["--config-file", "a.toml"];
    let options = shown(&workshop, &[("SAM2_FILL_HOLES", "2"), ("SAM2_IDS", "yes")], &file);
    let of = |name: &str| {
        let option = &options["options"][name];
        (option["value"].as_str().unwrap().to_owned(), option["from"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("device"), ("cpu".into(), "a.toml:2".into()));
    assert_eq!(of("fill-holes"), ("2".into(), "SAM2_FILL_HOLES".into()));
    assert_eq!(of("ids"), ("yes".into(), "SAM2_IDS".into()));
    assert_eq!(of("memory"), ("official".into(), "default".into()));
    assert_eq!(options["file"], "a.toml");
    let download = shown(&workshop, &[], &["download", "--config-file", "a.toml"]);
    assert_eq!(download["options"]["retries"]["from"], "a.toml:5");
    let table = workshop.sam2_where(&[], &["config", "--config-file", "a.toml"]).succeeded().stdout;
    let line = table.lines().find(|line| line.starts_with("device")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["device", "cpu", "a.toml:2"]);
    // Help shows the current values.
    let help = workshop.sam2_where(&[("SAM2_FILL_HOLES", "37")], &["segment", "--help"]);
    assert!(help.succeeded().stdout.contains("[default: 37]"));
}

#[test]
fn a_policy_with_its_numbers_can_be_a_setting() {
    let workshop = mouse();
    workshop.write("a.toml", "memory = \"dam4sam:update-every=3\"\n");
    let options = shown(&workshop, &[], &["--config-file", "a.toml"]);
    assert_eq!(options["options"]["memory"]["value"], "dam4sam:update-every=3");
    workshop.write("b.toml", "memory = \"dam4sam:update-each=3\"\n");
    let wrong = workshop.sam2_where(&[], &["config", "--config-file", "b.toml"]).failed(2);
    assert!(wrong.error().contains("update-every"), "{}", wrong.error());
}

#[test]
fn switches_can_be_turned_off_again() {
    let workshop = mouse();
    workshop.write("m.btf", "old");
    let click = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE];
    let on = [("SAM2_OVERWRITE", "true")];
    let off = workshop.sam2_where(&on, &[&click[..], &["--no-overwrite"]].concat());
    assert!(off.failed(1).error().contains("--overwrite"));
    assert_eq!(workshop.read("m.btf"), b"old");
    let off = workshop.sam2_where(&[("SAM2_OVERWRITE", "0")], &click);
    off.failed(1);
    workshop.sam2_where(&on, &click).succeeded();
    assert_eq!(workshop.stack("m.btf").pages.len(), 6);
}

#[test]
fn settings_that_have_no_use_here_are_no_mistake_but_typed_ones_are() {
    let workshop = mouse();
    workshop.write("sam2.toml", "bodyparts = \"body\"\nnegatives = true\n");
    // These settings are for tracks, and a click does not need them.
    let click = ["--point", ON_THE_MOUSE, "--config-file", "sam2.toml"];
    assert_eq!(batches(&workshop, &[("SAM2_MIN_LIKELIHOOD", "0.2")], &click), 1);
    let typed =
        ["segment", "mouse.mkv", "-o", "n.btf", "--point", ON_THE_MOUSE, "--min-likelihood", "0.3"];
    workshop.refused(2, &typed, &["--min-likelihood", "--keypoints"]);
}

#[test]
fn wrong_settings_are_one_line_with_their_place() {
    let workshop = mouse();
    let cases: [(&str, &[&str]); 16] = [
        ("device = \"cduda\"", &["a.toml:1", "'cduda'", ": did you mean 'cuda'?"]),
        ("\nmemory = \"gaurded\"", &["a.toml:2", ": did you mean 'guarded'?"]),
        ("memory = \"guarded:min_io=3\"", &["a.toml:1", ": did you mean 'min-iou'?"]),
        (
            "passes = \"offcial\"",
            &["a.toml:1", "own, nearest, agreed, official", ": did you mean 'official'?"],
        ),
        ("batch-sise = 3", &["a.toml:1", "batch-sise", "did you mean 'batch-size'"]),
        ("\n\nbatchsize = 3", &["a.toml:3", "did you mean 'batch-size'"]),
        ("batch-size = \"many\"", &["a.toml:1", "many", "--batch-size"]),
        ("batch-size = [1, 2]", &["a.toml:1", "one value"]),
        ("batch-size = 1\nbatch_size = 2", &["a.toml:2", "twice"]),
        ("min-likelihood = 7", &["a.toml:1", "between 0 and 1"]),
        ("overwrite = \"perhaps\"", &["a.toml:1", "neither true nor false"]),
        ("device = 2026-11-25", &["a.toml:1", "date"]),
        (
            "[segmet]\nids = true",
            &["a.toml:1", "unknown command 'segmet'", "did you mean 'segment'"],
        ),
        ("[download]\nids = true", &["a.toml:2", "unknown setting 'ids'"]),
        ("device = ", &["a.toml:1", "not valid TOML"]),
        ("config-file = \"b.toml\"", &["a.toml:1", "unknown setting 'config-file'"]),
    ];
    let run =
        ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE, "--config-file", "a.toml"];
    for (text, told) in cases {
        workshop.write("a.toml", text);
        let outcome = workshop.refused(2, &run, told);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        // Help must be available nevertheless.
        workshop.sam2(&["segment", "--help", "--config-file", "a.toml"]).succeeded();
    }
    workshop.write("a.toml", b"device = \"\xff\"");
    workshop.refused(2, &run, &["a.toml"]);
    workshop.refused(
        2,
        &["probe", "mouse.mkv", "--config-file", "none.toml"],
        &["--config-file", "none.toml"],
    );
    let variable = [("SAM2_DEVICE", "toaster")];
    workshop.fails(2, &["SAM2_DEVICE", "toaster"], || {
        workshop.sam2_where(&variable, &["probe", "mouse.mkv"])
    });
    let variable = [("SAM2_CONFIG", "none.toml")];
    workshop.fails(2, &["SAM2_CONFIG", "none.toml"], || {
        workshop.sam2_where(&variable, &["doctor", "--nonsense"])
    });
}

#[test]
fn a_table_is_for_its_command_and_beats_what_is_for_all() {
    let workshop = mouse();
    workshop.write(
        "sam2.toml",
        "batch-size = 3\n[segment]\nbatch-size = 2\nkeypoints = \"track.csv\"\n",
    );
    assert_eq!(batches(&workshop, &[], &["--config-file", "sam2.toml"]), 3);
    let weights = asset_text("micro/sam2.1_hiera_micro.safetensors");
    workshop.write("model.toml", format!("model = {weights:?}\nquiet = true\n"));
    let arguments = ["--point", ON_THE_MOUSE, "--config-file", "model.toml"];
    let outcome = workshop.segment("mouse.mkv", &arguments);
    // Options common to all commands: -v overrides the setting.
    let verbose = [&["-v", "segment", "mouse.mkv", "-o", "v.btf"], &arguments[..]].concat();
    let verbose = workshop.sam2(&verbose).succeeded();
    assert!(verbose.stderr.contains("DEBUG"), "{}", verbose.stderr);
    assert!(
        !outcome.stderr.contains("demonstration") && !outcome.stderr.contains("INFO"),
        "{}",
        outcome.stderr
    );
}
