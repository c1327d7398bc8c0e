//! The timeline: all objects at a glance, one row each, over the length of the recording.

use std::fmt::{self, Formatter};
use std::ops::Range;

use sam2_mask_writer::QualityFlag;

use super::axis::{self, Tick};
use super::flags;
use super::numbers::{counted, grouped};
use crate::escape::Text;
use crate::object::ObjectHistory;
use crate::report::Report;
use crate::spans::Spans;

/// Spans closer than one part in this many of the recording are drawn as one; the lists contain all
/// of them.
const VISIBLE: usize = 3000;
/// Height of the lane of a flag in units of the chart.
const LANE: usize = 10;

pub(super) fn write(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.objects.is_empty() {
        return Ok(());
    }
    // A lane for each flag that occurs: eight lanes of nothing would hide the one that matters.
    let lanes = flags::present(report);
    let height = LANE * lanes.len().max(1);
    writeln!(
        f,
        "<section id=\"glance\">\n<h2>The recording at a glance</h2>\n<div class=\"chart\" style=\"--lanes:{}\">",
        lanes.len()
    )?;
    pins(f, report)?;
    for history in &report.objects {
        let name = report.run.name_of(history.object);
        write!(
            f,
            "<div class=\"row o{}\"><a class=\"name\" href=\"#object-{0}\"><span class=\"swatch\" style=\"--c:var(--o{})\"></span><span>{}</span></a>\
             <div class=\"field\">",
            history.object,
            super::colours::number(history.object),
            Text(&name),
        )?;
        open(f, report, height as u32, &format!("{name}: {}", told(report, history, &lanes)))?;
        spans(f, report, &report.totals.unprompted, "unprompted", (0, height))?;
        for (lane, &flag) in lanes.iter().enumerate() {
            spans(f, report, history.flagged(flag), flag.name(), (LANE * lane, LANE))?;
        }
        spans(f, report, &history.prompted, "prompted", (0, height))?;
        f.write_str("</svg></div></div>\n")?;
    }
    axes(f, report)?;
    f.write_str("</div>\n")?;
    legend(f, report, &lanes)?;
    f.write_str("</section>\n")
}

/// Closest distance of two pins of one row, as a share of the recording: a pin's width on a phone.
const PIN: f64 = 0.065;
/// Limit on the rows of pins.
const PIN_ROWS: usize = 4;

/// Writes the numbers of the frames that are shown, in as many rows as they need.
fn pins(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.worst.is_empty() {
        return Ok(());
    }
    // Sorted by time, so that the tab key moves from left to right.
    let mut pins: Vec<_> =
        report.worst.iter().enumerate().map(|(n, (shot, ..))| (shot.frame, n + 1)).collect();
    pins.sort_unstable();
    let rows = rows(pins.iter().map(|(frame, _)| report.run.share_of(*frame)));
    write!(
        f,
        "<div class=\"row\"><span class=\"name\">Shown below</span><div class=\"field pins\" style=\"--rows:{}\">",
        rows.iter().max().map_or(1, |row| row + 1)
    )?;
    for ((frame, number), row) in pins.into_iter().zip(rows) {
        let left = 100.0 * report.run.share_of(frame);
        let frame = grouped(frame);
        write!(
            f,
            "<a class=\"pin\" style=\"left:{left:.2}%;--row:{row}\" href=\"#look-{number}\" title=\"Frame {frame}\" \
             aria-label=\"Picture {number}, frame {frame}\">{number}</a>"
        )?;
    }
    f.write_str("</div></div>\n")
}

/// Returns the row of each pin, from 0. The places are in ascending order, 0 to 1. Pins of a crowd
/// that does not fit into [`PIN_ROWS`] cover each other as little as possible.
fn rows(places: impl Iterator<Item = f64>) -> Vec<usize> {
    let mut last = [f64::NEG_INFINITY; PIN_ROWS];
    let row = |place: f64| {
        let free = last.iter().position(|last| place - last >= PIN);
        let emptiest = || (0..PIN_ROWS).min_by(|&a, &b| last[a].total_cmp(&last[b]));
        let row = free.or_else(emptiest).unwrap_or(0);
        last[row] = place;
        row
    };
    places.map(row).collect()
}

/// Lists the flags of an object in words.
fn told(report: &Report, history: &ObjectHistory, lanes: &[QualityFlag]) -> String {
    let lane = |&flag: &QualityFlag| {
        let frames = history.flagged(flag).count();
        let told = || format!("{} in {}", flags::label(flag), counted(frames, "frame", "frames"));
        (frames > 0).then(told)
    };
    let told: Vec<String> = lanes.iter().filter_map(lane).collect();
    match (told.is_empty(), report.totals.known) {
        (false, _) => told.join(", "),
        (true, 0) => "flags are not known".to_owned(),
        (true, _) => "nothing flagged".to_owned(),
    }
}

fn legend(f: &mut Formatter<'_>, report: &Report, lanes: &[QualityFlag]) -> fmt::Result {
    f.write_str("<p class=\"legend\">")?;
    if lanes.len() > 1 {
        // The order tells the lanes apart for readers who cannot tell the colours apart.
        f.write_str("<span>From top to bottom:</span> ")?;
    }
    for flag in lanes {
        write!(f, "<span><i class=\"key {}\"></i>{}</span> ", flag.name(), flags::label(*flag))?;
    }
    if !report.totals.unprompted.is_empty() {
        f.write_str("<span><i class=\"key unprompted\"></i>No prompt, no masks</span> ")?;
    }
    if !report.totals.prompted.is_empty() {
        f.write_str("<span><i class=\"key prompted\"></i>Prompted frame</span>")?;
    }
    f.write_str("</p>\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_that_would_cover_each_other_are_in_different_rows() {
        let places = [0.0, 0.01, 0.02, 0.066, 0.07, 0.5];
        assert_eq!(rows(places.into_iter()), [0, 1, 2, 0, 3, 0]);
        let crowd = (0..6).map(|frame| f64::from(frame) / 1000.0);
        assert_eq!(rows(crowd), [0, 1, 2, 3, 0, 1]);
        assert_eq!(rows([0.1, 0.1 + PIN].into_iter()), [0, 0]);
        assert!(rows(std::iter::empty()).is_empty());
    }
}
