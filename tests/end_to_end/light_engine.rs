//! The engine without default features needs no library in C, and neither does the report. The CPU
//! kernels do not need burn.
//!
//! `make light` builds and runs it so; here only the dependencies are listed, which takes no build.

use std::process::Command;

/// Packages that stand for a library in C, or for a tool that builds one.
const NATIVE: [&str; 9] =
    ["ffmpeg", "video-rs", "turbojpeg", "cmake", "nasm", "zstd", "parquet", "bindgen", "cc"];

fn dependencies_of(package: &str) -> Vec<String> {
    let arguments = ["tree", "--offline", "--no-default-features", "-e", "normal,build"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .args(["--prefix", "none", "--format", "{p}", "-p", package])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_engine_and_the_report_need_no_library_in_c() {
    for package in ["sam2-engine", "sam2-report"] {
        let found = dependencies_of(package);
        assert!(found.len() > 5, "{package}: {found:?}");
        let is_native = |name: &&String| {
            NATIVE.iter().any(|native| {
                *name == native
                    || name.starts_with(&format!("{native}-"))
                    || **name == format!("{native}-sys")
            })
        };
        let native: Vec<&String> = found.iter().filter(is_native).collect();
        assert!(native.is_empty(), "{package} needs {native:?}");
    }
}

#[test]
fn the_cpu_kernels_do_not_need_burn() {
    let found = dependencies_of("sam2-cpu-kernels");
    assert!(found.iter().any(|name| name == "rayon"), "{found:?}");
    let heavy = |name: &&String| name.starts_with("burn") || name.starts_with("cubecl");
    let heavy: Vec<&String> = found.iter().filter(heavy).collect();
    assert!(heavy.is_empty(), "sam2-cpu-kernels needs {heavy:?}");
}
