//! What `sam2 --version` prints.

use sam2_frame_provider::ffmpeg_libraries;

/// The commit that the program was built from, if the build was told (`make build` tells it).
const COMMIT: Option<&str> = option_env!("SAM2_COMMIT");

/// Optional features of the program, each with whether this build has it.
const FEATURES: [(&str, bool); 5] = [
    ("cuda", cfg!(any(feature = "cuda", feature = "cuda-nvrtc", feature = "cuda-llvm"))),
    ("vulkan", cfg!(any(feature = "vulkan", feature = "vulkan-wgsl"))),
    (
        "kernel-cache",
        cfg!(any(
            feature = "kernel-cache",
            feature = "cuda",
            feature = "cuda-llvm",
            feature = "vulkan"
        )),
    ),
    ("hdf5", cfg!(feature = "hdf5")),
    ("faults", cfg!(feature = "faults")),
];

/// Returns the version with the commit, the features and FFmpeg's libraries. `-V` prints the version alone.
pub fn long() -> String {
    let mut text = env!("CARGO_PKG_VERSION").to_owned();
    if let Some(commit) = COMMIT.filter(|commit| !commit.is_empty()) {
        text.push_str(&format!(" (commit {commit})"));
    }
    let features: Vec<&str> =
        FEATURES.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let libraries: Vec<String> = ffmpeg_libraries().iter().map(ToString::to_string).collect();
    text.push_str(&format!("\nfeatures: {features}\nFFmpeg: {}", libraries.join(", ")));
    text
}
