//! `sam2 probe`.

use anyhow::{Result, bail};
use sam2_frame_provider::{
    IndexKind, OpenOptions, ProbeReport, VideoDetails, VideoOptions, open_with, probe_source,
};

use crate::args::ProbeArgs;
use crate::exit::ExitStatus;
use crate::plain_text::plain;
use crate::recording::index_cache;
use crate::recordings;
use crate::standard_output::print;
use crate::typed_files;

/// Describes a recording.
pub fn run(args: &ProbeArgs) -> Result<ExitStatus> {
    let Some((recording, further)) = recordings::one(&args.recordings, args.join)? else {
        bail!("name a recording");
    };
    std::iter::once(&recording)
        .chain(&further)
        .try_for_each(|file| typed_files::regular("the recording", file))?;
    let video = VideoOptions {
        index_cache: index_cache(args.index_cache)?,
        stream: args.stream,
        ..Default::default()
    };
    let axes = args.axes.clone().unwrap_or_default();
    let options = OpenOptions::default().axes(axes).video(video).exif(!args.no_exif).join(further);
    let source = open_with(&recording, &options)?;
    let mut report = probe_source(&source, args.verify);
    if report.video.is_none() {
        // A recording that is neither a file nor a folder is a pattern of images in a folder.
        report.kind = if recording.is_file() { "file" } else { "folder" }.to_owned();
    }
    if args.json {
        print(format!("{:#}\n", serde_json::to_value(&report)?))?;
    } else {
        print(table(&report))?;
    }
    Ok(status(&report))
}

/// Returns the exit status. Damaged frames make it `Flawed`; missing frames do so only with
/// `--verify`.
fn status(report: &ProbeReport) -> ExitStatus {
    let is_cut = report.verified && report.missing_frames.is_some();
    if is_cut || !report.damaged_frames.is_empty() { ExitStatus::Flawed } else { ExitStatus::Done }
}

/// Lines that each consist of a name and a value.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name:<10}{}\n", plain(value)));
    }
}

fn table(report: &ProbeReport) -> String {
    let mut lines = Lines::default();
    lines.line("source", &report.source);
    lines.line("kind", &report.kind);
    let claimed = report.video.as_ref().and_then(|video| video.claimed_frames);
    lines.line(
        "frames",
        &match claimed {
            Some(claimed) if claimed == report.frames => format!("{claimed}, as the file claims"),
            Some(claimed) => format!("{} (the file claims {claimed})", report.frames),
            None => report.frames.to_string(),
        },
    );
    lines.line("size", &format!("{} x {}", report.size.width, report.size.height));
    if let Some(rate) = report.frames_per_second {
        let kind = match report.video.as_ref().and_then(|video| video.variable_frame_rate) {
            Some(true) => ", variable",
            Some(false) => ", constant",
            None => "",
        };
        lines.line("rate", &format!("{rate:.6} frames a second{kind}"));
    }
    if let Some(video) = &report.video {
        add_video(&mut lines, video);
    }
    let verified = match (report.verified, report.damaged_frames.len()) {
        (false, _) => "no; --verify decodes every frame".to_owned(),
        (true, 0) if report.missing_frames.is_some() => {
            "every frame that is there decodes, but frames are missing".to_owned()
        }
        (true, 0) => "every frame decodes".to_owned(),
        (true, damaged) => format!("{damaged} damaged frames: {:?}", report.damaged_frames),
    };
    lines.line("verified", &verified);
    if report.issues.is_empty() {
        lines.line("issues", "none");
    }
    for issue in &report.issues {
        lines.line("issue", issue);
    }
    lines.0
}

fn add_video(lines: &mut Lines, video: &VideoDetails) {
    if let Some(seconds) = video.duration_seconds {
        lines.line("duration", &format!("{seconds:.3} s"));
    }
    lines.line("codec", &format!("{}, {}", video.codec, video.pixel_format));
    lines.line("container", &video.container);
    if video.streams.len() > 1 {
        for stream in &video.streams {
            let is_read = if stream.is_read { " (read)" } else { "" };
            lines.line("stream", &format!("{stream}{is_read}"));
        }
    }
    lines.line("colour", &format!("matrix {}, range {}", video.colour_matrix, video.colour_range));
    if video.rotation_degrees != 0 || video.mirrored {
        let stored = video.stored_size;
        let mirrored = if video.mirrored { ", not mirrored as the file asks" } else { "" };
        lines.line(
            "rotation",
            &format!(
                "{} degrees{mirrored}; stored as {} x {}",
                video.rotation_degrees, stored.width, stored.height
            ),
        );
    }
    let groups = &video.groups;
    lines.line(
        "groups",
        &format!(
            "{} of {} to {} frames, {:.1} on average",
            groups.number, groups.shortest, groups.longest, groups.mean
        ),
    );
    let index = match video.index {
        IndexKind::TimeStamps => "by time stamps",
        IndexKind::Decoded => "by decoding the whole file",
        IndexKind::Counted => "by decoding the whole file, counted from its start at each jump",
        _ => "other",
    };
    let cached = if video.index_from_cache { ", kept from an earlier time" } else { "" };
    lines.line("index", &format!("{index}{cached}"));
}
