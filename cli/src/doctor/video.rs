//! FFmpeg: whether recordings can be read.

use sam2_frame_provider::{ffmpeg_libraries, video_decoders};

use super::Finding;

/// Codecs that most laboratories need.
const NEEDED: [&str; 3] = ["h264", "mjpeg", "rawvideo"];
const REMEDY: &str =
    "install an FFmpeg with all decoders (Debian, Ubuntu: apt-get install libavcodec-extra)";

pub fn check() -> Vec<Finding> {
    let versions: Vec<String> = ffmpeg_libraries()
        .iter()
        .map(|library| {
            let (major, minor, micro) = library.version;
            format!("{} {major}.{minor}.{micro}", library.name)
        })
        .collect();
    vec![Finding::ok("FFmpeg", versions.join(", ")), of_decoders(&video_decoders())]
}

fn of_decoders(decoders: &[(&'static str, bool)]) -> Finding {
    const SUBJECT: &str = "decoders";
    let named = |there: bool| -> Vec<&str> {
        decoders.iter().filter(|(_, found)| *found == there).map(|(name, _)| *name).collect()
    };
    let missing = named(false);
    if missing.is_empty() {
        return Finding::ok(SUBJECT, named(true).join(", "));
    }
    let found = format!("none for {}", missing.join(", "));
    if missing.iter().any(|name| NEEDED.contains(name)) {
        Finding::problem(SUBJECT, found, REMEDY)
    } else {
        Finding::warning(SUBJECT, found, format!("for such recordings, {REMEDY}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn what_is_missing_decides() {
        let health = |decoders: &[(&'static str, bool)]| of_decoders(decoders).health;
        assert_eq!(health(&[("h264", true), ("av1", true)]), Health::Ok);
        assert_eq!(health(&[("h264", true), ("av1", false)]), Health::Warning);
        assert_eq!(health(&[("h264", false), ("av1", true)]), Health::Problem);
    }
}
