//! `sam2 devices` and `sam2 doctor`.

use serde_json::Value;

use crate::support::{Outcome, Workshop};

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", outcome.stdout))
}

/// Returns the check of a subject in `doctor --json`.
fn check<'a>(report: &'a Value, subject: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["subject"] == subject)
        .unwrap_or_else(|| panic!("{subject}: {report}"))
}

#[test]
fn the_cpu_is_listed_and_what_the_build_lacks() {
    let workshop = Workshop::new();
    let text = workshop.sam2(&["devices"]).succeeded().stdout;
    let cpu = text.lines().find(|line| line.starts_with("cpu ")).unwrap();
    assert!(cpu.contains(" thread") && cpu.contains(" kernels"), "{text}");
    let listed = json(&workshop.sam2(&["devices", "--json"]).succeeded());
    let cpu = &listed["devices"][0];
    assert_eq!(cpu["name"], "cpu");
    assert!(cpu["threads"].as_u64().unwrap() >= 1);
    let tiers = ["generic", "neon", "avx2", "avx512", "avx512-bf16", "amx"];
    assert!(tiers.contains(&cpu["kernels"].as_str().unwrap()));
    let one = json(&workshop.sam2_where(&[("RAYON_NUM_THREADS", "1")], &["devices", "--json"]));
    assert_eq!(one["devices"][0]["threads"], 1);
    let generic = workshop.sam2_where(&[("SAM2_CPU_TIER", "generic")], &["devices"]).succeeded();
    assert!(generic.stdout.contains("generic kernels"), "{}", generic.stdout);
    for missing in listed["not_in_this_build"].as_array().unwrap() {
        let feature = missing["feature"].as_str().unwrap();
        let line = text.lines().find(|line| line.starts_with(feature)).unwrap();
        let build = missing["build"].as_str().unwrap();
        assert!(line.contains("not in this build") && line.ends_with(build), "{line}");
    }
    if cfg!(not(any(feature = "cuda-nvrtc", feature = "cuda-llvm"))) {
        assert!(text.contains(": make cuda"), "{text}");
    }
}

#[test]
fn doctor_reports_every_subject_and_what_to_do() {
    let workshop = Workshop::new();
    let outcome = workshop.sam2(&["doctor"]).succeeded();
    for subject in [
        "FFmpeg",
        "decoders",
        "processor",
        "threads",
        "memory",
        "NVIDIA",
        "CUDA",
        "Vulkan",
        "devices",
        "models",
        "temporary",
        "settings",
        "locale",
    ] {
        assert!(outcome.stdout.contains(subject), "{subject} in {}", outcome.stdout);
    }
    let report = json(&workshop.sam2(&["doctor", "--json"]).succeeded());
    let checks = report["checks"].as_array().unwrap();
    for check in checks {
        let well = check["status"] == "ok";
        assert!(["ok", "warning", "problem"].contains(&check["status"].as_str().unwrap()));
        assert_eq!(check["remedy"].is_null(), well, "{check}");
    }
    assert!(check(&report, "FFmpeg")["found"].as_str().unwrap().contains("libavcodec"));
    assert!(check(&report, "decoders")["found"].as_str().unwrap().contains("h264"));
    if cfg!(not(any(feature = "cuda-nvrtc", feature = "cuda-llvm"))) {
        assert_eq!(check(&report, "CUDA")["status"], "ok");
        assert!(check(&report, "CUDA")["found"].as_str().unwrap().contains("`make cuda`"));
    }
    let has_cache = checks.iter().any(|check| check["subject"] == "kernels");
    let for_gpus = cfg!(any(
        feature = "cuda-nvrtc",
        feature = "cuda-llvm",
        feature = "vulkan",
        feature = "vulkan-wgsl"
    ));
    assert_eq!(has_cache, for_gpus);
    // No model has been downloaded in this folder.
    assert!(check(&report, "models")["remedy"].as_str().unwrap().contains("sam2 download"));
}

#[test]
fn doctor_sees_the_jobs_limits() {
    let workshop = Workshop::new();
    let slurm =
        [("SLURM_MEM_PER_NODE", "2048"), ("SLURM_CPUS_PER_TASK", "1"), ("RAYON_NUM_THREADS", "3")];
    let report = json(&workshop.sam2_where(&slurm, &["doctor", "--json"]).succeeded());
    let memory = check(&report, "memory");
    assert_eq!(memory["status"], "warning");
    assert!(memory["found"].as_str().unwrap().contains("limited to 2.1 GB by SLURM"), "{memory}");
    assert!(memory["remedy"].as_str().unwrap().contains("--mem"), "{memory}");
    let threads = check(&report, "threads");
    assert_eq!(threads["status"], "warning");
    assert!(threads["remedy"].as_str().unwrap().contains("SAM2_THREADS=1"), "{threads}");
}

#[test]
fn doctor_fails_where_something_will_fail() {
    let workshop = Workshop::new();
    let outcome = workshop.sam2_where(&[("TMPDIR", "/no/such/folder")], &["doctor"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    let line = outcome.stdout.lines().find(|line| line.starts_with("problem")).unwrap();
    assert!(line.contains("temporary") && line.contains("/no/such/folder"), "{line}");
    assert!(outcome.stdout.contains("TMPDIR"), "{}", outcome.stdout);

    let wrong = workshop.sam2_where(&[("SAM2_BATCH_SIZE", "many")], &["doctor", "--json"]);
    assert_eq!(wrong.code, Some(1));
    let report = json(&wrong);
    assert_eq!(report["status"], "problem");
    assert!(check(&report, "settings")["found"].as_str().unwrap().contains("SAM2_BATCH_SIZE"));

    let strange =
        workshop.sam2_where(&[("SAM2_BATCHSIZE", "3")], &["doctor", "--json"]).succeeded();
    let found = check(&json(&strange), "settings")["found"].to_string();
    assert!(found.contains("did you mean 'SAM2_BATCH_SIZE'"), "{found}");
}

#[test]
fn a_gpu_driver_that_fails_or_hangs_is_a_warning() {
    let workshop = Workshop::new();
    workshop.folder("bin");
    let path = format!("{}:{}", workshop.path("bin").display(), std::env::var("PATH").unwrap());
    for (script, told) in [
        ("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n", "NVIDIA-SMI has failed"),
        ("#!/bin/sh\nexec sleep 60\n", "does not answer"),
    ] {
        let program = workshop.write("bin/nvidia-smi", script);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(program, mode).unwrap();
        let report =
            json(&workshop.sam2_where(&[("PATH", &path)], &["doctor", "--json"]).succeeded());
        let nvidia = check(&report, "NVIDIA");
        assert_eq!(nvidia["status"], "warning");
        assert!(nvidia["found"].as_str().unwrap().contains(told), "{nvidia}");
    }
}
