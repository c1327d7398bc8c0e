//! Messages of successful runs, and help.

use crate::support::{ON_THE_MOUSE, Workshop};

fn mouse() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(6, "mouse.mkv").mouse_track(0, 6, "track.csv");
    workshop
}

#[test]
fn log_lines_are_plain_and_few_when_stderr_is_no_terminal() {
    let workshop = mouse();
    let arguments = ["--keypoints", "track.csv", "--batch-size", "4"];
    let outcome = workshop.segment("mouse.mkv", &arguments);
    let text = &outcome.stderr;
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
    for line in text.lines() {
        let level = line.split_whitespace().next().unwrap_or_default();
        assert!(["INFO", "WARN"].contains(&level), "{line}");
    }
    assert!(text.contains("mouse.mkv: 6 frames of 192x144"), "{text}");
    assert!(text.contains("batch 1 of 2: frames 0 to 3, prompted on"), "{text}");
    assert!(text.contains("masks.btf: 6 frames"), "{text}");
    assert!(text.lines().count() < 12, "{text}");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn quiet_leaves_only_warnings() {
    let workshop = mouse();
    let outcome = workshop.segment("mouse.mkv", &["--point", ON_THE_MOUSE, "--quiet"]);
    assert!(outcome.stderr.lines().all(|line| line.contains("WARN")), "{}", outcome.stderr);
}

#[test]
fn the_demonstration_model_is_announced_and_another_one_is_not() {
    let workshop = mouse();
    let demo = workshop.segment_to("a.btf", "mouse.mkv", &["--point", ON_THE_MOUSE]);
    demo.warns(&["demonstration model", "sam2 download", "--model"]);
    let weights = crate::support::asset_text("micro/sam2.1_hiera_micro.safetensors");
    let own = ["--point", ON_THE_MOUSE, "--model", &weights];
    let own = workshop.segment_to("b.btf", "mouse.mkv", &own);
    assert!(!own.stderr.contains("demonstration"), "{}", own.stderr);
    assert!(workshop.read("a.btf") == workshop.read("b.btf"), "they are the same weights");
}

#[test]
fn help_documents_exit_codes_and_flags() {
    let workshop = Workshop::new();
    let help = workshop.sam2(&["--help"]).succeeded().stdout;
    let codes = help.split_once("Exit codes:").unwrap().1;
    for code in ["0", "1", "2", "3", "130", "143"] {
        assert!(codes.contains(code), "{code} in {codes}");
    }
    let segment = workshop.sam2(&["segment", "--help"]).succeeded().stdout;
    let flags = [
        "--keypoints",
        "--bodyparts",
        "--batch-size",
        "--min-likelihood",
        "--downsample-factor",
        "--allow-row-mismatch",
        "--point",
        "--box",
        "--ids",
        "--compression",
        "--contact-sheet",
        "--overwrite",
        "--model",
        "--device",
    ];
    for flag in flags {
        assert!(segment.contains(flag), "{flag} in {segment}");
    }
}

#[test]
fn the_version_goes_by_the_name_that_is_typed() {
    let version = Workshop::new().sam2(&["--version"]).succeeded().stdout;
    assert!(version.starts_with("sam2 "), "{version}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let workshop = Workshop::new();
    let wrong: [&[&str]; 4] =
        [&["segment"], &["segment", "a.mp4"], &["frobnicate"], &["segment", "--nonsense"]];
    for arguments in wrong {
        let outcome = workshop.sam2(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        outcome.error();
    }
}

#[test]
fn a_misspelt_word_is_answered_with_what_was_meant() {
    let workshop = mouse();
    let run = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE];
    let values: [(&[&str], &str); 12] = [
        (&["--memory", "gaurded"], "'guarded'"),
        (&["--memory", "guarded:min_io=3"], "did you mean 'min-iou'?"),
        (&["--device", "cduda"], "'cuda'"),
        (&["--device", "cduda:1"], "'cuda:1'"),
        (&["--precision", "bf61"], "'bf16'"),
        (&["--intensity", "per-frame:minmx"], "'per-frame:minmax'"),
        (&["--frames-mode", "lzay"], "'lazy'"),
        (&["--on-bad-frame", "repaet"], "'repeat'"),
        (&["--resize", "decrod"], "'decord'"),
        (&["--passes", "offcial"], "'official'"),
        (&["--compression", "defalte"], "'deflate'"),
        (&["--keypoints", "track.csv", "--prompt-frames", "evry:7"], "'every:7'"),
    ];
    let told = |arguments: &[&str], meant: &str| {
        let outcome = workshop.refused(2, arguments, &[]);
        assert!(outcome.stderr.contains(meant), "{arguments:?}: {}", outcome.stderr);
    };
    for (typed, meant) in values {
        told(&[&run[..], typed].concat(), meant);
    }
    told(&["download", "lareg"], "'large'");
    let later: [(&[&str], &str); 5] = [
        (&["--model", "lareg"], "did you mean large?"),
        (&["--model", "lareg-2.0"], "did you mean large-2.0?"),
        (&["-o", "dvis:annotations"], ": did you mean 'davis'?"),
        (&["-o", "masks.csvv"], ": did you mean '.csv'?"),
        (&["--keypoints", "track.csv", "--bodyparts", "bdy"], ": did you mean 'body'?"),
    ];
    for (typed, meant) in later {
        let outcome = workshop.refused(1, &[&run[..], typed].concat(), &[meant]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    }
    let weights = crate::support::asset_text("micro/sam2.1_hiera_micro.safetensors");
    workshop.refused(1, &["convert", &weights, "c.safetensors", "--config", "tny"], &["'tiny'"]);
    // Nothing is suggested where nothing is similar.
    let outcome = workshop.refused(2, &[&run[..], &["--device", "toaster"]].concat(), &["toaster"]);
    assert!(!outcome.stderr.contains("similar"), "{}", outcome.stderr);
}

#[test]
fn a_misspelt_individual_or_name_is_answered_with_what_was_meant() {
    let workshop = mouse();
    workshop.write(
        "two.csv",
        "scorer,d,d,d,d,d,d\nindividuals,ann,ann,ann,bob,bob,bob\nbodyparts,snout,snout,snout,snout,snout,snout\n\
         coords,x,y,likelihood,x,y,likelihood\n0,120,40,0.9,20,20,0.9\n1,120,40,0.9,20,20,0.9\n2,120,40,0.9,20,20,0.9\n\
         3,120,40,0.9,20,20,0.9\n4,120,40,0.9,20,20,0.9\n5,120,40,0.9,20,20,0.9\n",
    );
    let run = ["segment", "mouse.mkv", "-o", "m.btf", "--keypoints", "two.csv"];
    workshop.refused(1, &[&run[..], &["--individual", "anne"]].concat(), &["did you mean 'ann'?"]);
    workshop.refused(
        1,
        &[&run[..], &["--bodyparts", "snuot"]].concat(),
        &["did you mean 'snout'?"],
    );
    workshop.write("more.csv", "frame,object,x,y,label\n0,boob,20,20,1\n");
    let dry = workshop.sam2(&[&run[..], &["--prompts", "more.csv", "--dry-run"]].concat());
    dry.succeeded().warns(&["'boob' is object 3", "or did you mean 'bob'?"]);
}
