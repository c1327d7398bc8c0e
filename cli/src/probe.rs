//! `sam2 probe`.

use anyhow::Result;
use sam2_frame_provider::{
    IndexKind, OpenOptions, ProbeReport, VideoDetails, VideoOptions, open_with, probe_source,
};

use crate::args::ProbeArgs;
use crate::exit::ExitStatus;
use crate::recording::index_cache;

/// Says what a recording is.
pub fn run(args: &ProbeArgs) -> Result<ExitStatus> {
    let video = VideoOptions { index_cache: index_cache(args.index_cache)?, ..Default::default() };
    let axes = args.axes.clone().unwrap_or_default();
    let source = open_with(&args.recording, &OpenOptions::default().axes(axes).video(video))?;
    let mut report = probe_source(&source, args.verify);
    if report.video.is_none() {
        report.kind = if args.recording.is_dir() { "folder" } else { "file" }.to_owned();
    }
    if args.json {
        println!("{:#}", serde_json::to_value(&report)?);
    } else {
        print_table(&report);
    }
    Ok(if report.damaged_frames.is_empty() { ExitStatus::Done } else { ExitStatus::Flawed })
}

fn line(name: &str, value: &str) {
    println!("{name:<10}{value}");
}

fn print_table(report: &ProbeReport) {
    line("source", &report.source);
    line("kind", &report.kind);
    let claimed = report.video.as_ref().and_then(|video| video.claimed_frames);
    line(
        "frames",
        &match claimed {
            Some(claimed) if claimed == report.frames => format!("{claimed}, as the file claims"),
            Some(claimed) => format!("{} (the file claims {claimed})", report.frames),
            None => report.frames.to_string(),
        },
    );
    line("size", &format!("{} x {}", report.size.width, report.size.height));
    if let Some(rate) = report.frames_per_second {
        let kind = match report.video.as_ref().and_then(|video| video.variable_frame_rate) {
            Some(true) => ", variable",
            Some(false) => ", constant",
            None => "",
        };
        line("rate", &format!("{rate:.6} frames a second{kind}"));
    }
    if let Some(video) = &report.video {
        print_video(video);
    }
    let verified = match (report.verified, report.damaged_frames.len()) {
        (false, _) => "no; --verify decodes every frame".to_owned(),
        (true, 0) => "every frame decodes".to_owned(),
        (true, damaged) => format!("{damaged} damaged frames: {:?}", report.damaged_frames),
    };
    line("verified", &verified);
    if report.issues.is_empty() {
        line("issues", "none");
    }
    for issue in &report.issues {
        line("issue", issue);
    }
}

fn print_video(video: &VideoDetails) {
    if let Some(seconds) = video.duration_seconds {
        line("duration", &format!("{seconds:.3} s"));
    }
    line("codec", &format!("{}, {}", video.codec, video.pixel_format));
    line("container", &video.container);
    line("colour", &format!("matrix {}, range {}", video.colour_matrix, video.colour_range));
    if video.rotation_degrees != 0 || video.mirrored {
        let stored = video.stored_size;
        let mirrored = if video.mirrored { ", mirrored" } else { "" };
        line(
            "rotation",
            &format!(
                "{} degrees{mirrored}; stored as {} x {}",
                video.rotation_degrees, stored.width, stored.height
            ),
        );
    }
    let groups = &video.groups;
    line(
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
    line("index", &format!("{index}{cached}"));
}
