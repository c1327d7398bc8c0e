//! The timeline: all objects at a glance, one row each, over the length of the recording.

use std::fmt::{self, Formatter};
use std::ops::Range;

use sam2_mask_writer::QualityFlag;

use super::axis::{self, Tick};
use super::flags;
use super::numbers::{counted, grouped};
use crate::escape::Text;
use crate::report::Report;
use crate::spans::Spans;

/// Spans closer than one part in this many of the recording are drawn as one; the lists contain all
/// of them.
const VISIBLE: usize = 3000;

pub(super) fn write(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.objects.is_empty() {
        return Ok(());
    }
    f.write_str(
        "<section id=\"glance\">\n<h2>The recording at a glance</h2>\n<div class=\"chart\">\n",
    )?;
    if !report.worst.is_empty() {
        f.write_str(
            "<div class=\"row\"><span class=\"name\">Shown below</span><div class=\"field pins\">",
        )?;
        // Sorted by time, so that the tab key moves from left to right.
        let mut pins: Vec<_> =
            report.worst.iter().enumerate().map(|(n, (shot, ..))| (shot.frame, n + 1)).collect();
        pins.sort_unstable();
        for (frame, number) in pins {
            let left = 100.0 * report.run.share_of(frame);
            let frame = grouped(frame);
            write!(
                f,
                "<a class=\"pin\" style=\"left:{left:.2}%\" href=\"#look-{number}\" title=\"Frame {frame}\" \
                 aria-label=\"Picture {number}, frame {frame}\">{number}</a>"
            )?;
        }
        f.write_str("</div></div>\n")?;
    }
    for history in &report.objects {
        let name = report.run.name_of(history.object);
        let flagged = history.any_flag.count();
        let told = if flagged == 0 {
            "nothing flagged".into()
        } else {
            counted(flagged, "flagged frame", "flagged frames")
        };
        write!(
            f,
            "<div class=\"row o{}\"><a class=\"name\" href=\"#object-{0}\"><span class=\"swatch\" style=\"--c:var(--o{})\"></span><span>{}</span></a>\
             <div class=\"field\">",
            history.object,
            super::colours::number(history.object),
            Text(&name),
        )?;
        open(f, report, 40, &format!("{name}: {told}"))?;
        spans(f, report, &report.totals.unprompted, "unprompted", (0, 40))?;
        for (lane, flag) in QualityFlag::ALL.into_iter().enumerate() {
            spans(f, report, history.flagged(flag), flag.name(), (10 * lane, 10))?;
        }
        spans(f, report, &history.prompted, "prompted", (0, 40))?;
        f.write_str("</svg></div></div>\n")?;
    }
    axes(f, report)?;
    f.write_str("</div>\n")?;
    legend(f, report)?;
    f.write_str("</section>\n")
}

fn legend(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    f.write_str("<p class=\"legend\">")?;
    for (flag, _) in
        QualityFlag::ALL.into_iter().zip(report.totals.by_flag).filter(|(_, count)| *count > 0)
    {
        write!(f, "<span><i class=\"key {}\"></i>{}</span> ", flag.name(), flags::label(flag))?;
    }
    if !report.totals.unprompted.is_empty() {
        f.write_str("<span><i class=\"key unprompted\"></i>No prompt, no masks</span> ")?;
    }
    f.write_str("<span><i class=\"key prompted\"></i>Prompted frame</span></p>\n")
}

/// Opens a chart as wide as the recording is long, one unit per frame.
pub(super) fn open(
    f: &mut Formatter<'_>,
    report: &Report,
    height: u32,
    label: &str,
) -> fmt::Result {
    let (first, frames) = (report.run.frames.start, report.run.frames.len());
    write!(
        f,
        "<svg class=\"time\" viewBox=\"{first} 0 {frames} {height}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        Text(label)
    )
}

/// Draws spans as bars; `top` and `height` are in units of the chart.
pub(super) fn spans(
    f: &mut Formatter<'_>,
    report: &Report,
    spans: &Spans,
    class: &str,
    (top, height): (usize, usize),
) -> fmt::Result {
    if spans.is_empty() {
        return Ok(());
    }
    // One path for all bars, because a page with thousands of elements is slow.
    write!(f, "<path class=\"span {class}\" d=\"")?;
    for Range { start, end } in spans.joined(report.run.frames.len() / VISIBLE) {
        let length = end - start;
        if class == "prompted" && length == 1 {
            // Drawn as a moment, not as a stretch, even where a frame is wide because there are
            // few.
            write!(f, "M{start}.5 {top}v{height}")?;
            continue;
        }
        write!(f, "M{start} {top}h{length}v{height}h-{length}z")?;
    }
    f.write_str("\"/>")
}

/// Writes frame numbers, and times if they are known, below a chart.
pub(super) fn axes(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let frames = &report.run.frames;
    axis_row(f, "frame", "frames", &axis::frames(frames))?;
    match report.run.rate() {
        Some(rate) => axis_row(f, "time", "times", &axis::times(frames, rate)),
        None => Ok(()),
    }
}

fn axis_row(f: &mut Formatter<'_>, name: &str, class: &str, ticks: &[Tick]) -> fmt::Result {
    write!(
        f,
        "<div class=\"row axis\" aria-hidden=\"true\"><span class=\"name\">{name}</span><div class=\"field {class}\">"
    )?;
    for (number, Tick { at, label }) in ticks.iter().enumerate() {
        let minor = if number % 2 == 1 { " class=\"minor\"" } else { "" };
        write!(f, "<span{minor} style=\"left:{:.2}%\">{label}</span>", 100.0 * at)?;
    }
    f.write_str("</div></div>\n")
}
