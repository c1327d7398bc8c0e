//! Plots of area, object score and predicted IoU of each object over time, with flagged frames.

use std::fmt::{self, Formatter, Write};

use sam2_mask_writer::QualityFlag;

use super::axis;
use super::colours;
use super::flags;
use super::numbers::{counted, grouped, percent, rounded, span};
use super::timeline::{axes, open, spans};
use crate::escape::Text;
use crate::object::ObjectHistory;
use crate::report::Report;
use crate::series::{Bucket, Series};

/// Limit on the buckets of all objects together, so that the page stays small.
const MOST_BUCKETS: usize = 12_000;
/// Height of a plot in its own units.
const HEIGHT: f64 = 1000.0;
/// A peak higher than this many times the usual value is cut off, so that the rest stays visible.
const CUT_OFF: f64 = 4.0;

/// Returns the number of buckets that each object may have.
pub(super) fn buckets_per_object(report: &Report) -> usize {
    (MOST_BUCKETS / report.objects.len().max(1)).max(60)
}

pub(super) fn write(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.objects.is_empty() {
        return Ok(());
    }
    f.write_str("<section id=\"objects\">\n<h2>Objects over time</h2>\n<p class=\"controls scripted\" id=\"controls\"></p>\n")?;
    report.objects.iter().try_for_each(|history| object(f, report, history))?;
    f.write_str("</section>\n")
}

fn object(f: &mut Formatter<'_>, report: &Report, history: &ObjectHistory) -> fmt::Result {
    let number = history.object;
    let name = report.run.name_of(number);
    writeln!(
        f,
        "<article class=\"object o{number}\" id=\"object-{number}\" data-object=\"{number}\" style=\"--c:var(--o{})\">\n\
         <h3><span class=\"swatch\"></span>{}</h3>\n<p class=\"summary\">{}</p>\n\
         <p class=\"readout scripted\">&nbsp;</p>\n<div class=\"chart\">",
        colours::number(number),
        Text(&name),
        summary(report, history),
    )?;
    lanes(f, report, history, &name)?;
    plot(f, report, history, &Plot::area(history), &name)?;
    for kind in [Plot::score(history), Plot::iou(history)] {
        // A run from another program has masks only.
        if kind.series.range().is_some() {
            plot(f, report, history, &kind, &name)?;
        }
    }
    axes(f, report)?;
    f.write_str("</div>\n")?;
    table(f, report, history, &name)?;
    f.write_str("</article>\n")
}

/// Limit on the rows of the table of an object's values.
const MOST_ROWS: usize = 24;

/// Writes the plots as a table of means, minima and maxima, for readers who cannot see them.
fn table(
    f: &mut Formatter<'_>,
    report: &Report,
    history: &ObjectHistory,
    name: &str,
) -> fmt::Result {
    let all = [
        ("Area, pixels", history.area.reduced(MOST_ROWS)),
        ("Object score", history.score.reduced(MOST_ROWS)),
        ("Predicted IoU", history.iou.reduced(MOST_ROWS)),
    ];
    let known: Vec<_> = all.iter().filter(|(_, series)| series.range().is_some()).collect();
    let Some((_, first)) = known.first() else { return Ok(()) };
    write!(
        f,
        "<details class=\"table\"><summary>The plots of {} as a table</summary>\n<div class=\"scroll\"><table>\n\
         <thead><tr><th scope=\"col\">Frames</th>",
        Text(name)
    )?;
    known
        .iter()
        .try_for_each(|(name, _)| write!(f, "<th scope=\"col\" class=\"right\">{name}</th>"))?;
    f.write_str("<th scope=\"col\">Flagged</th></tr></thead>\n<tbody>\n")?;
    for row in 0..first.buckets().len() {
        let start = first.first() + row * first.frames_per_bucket();
        let frames = start..(start + first.frames_per_bucket()).min(report.run.frames.end);
        write!(f, "<tr><th scope=\"row\">{}</th>", span(&frames))?;
        for (_, series) in &known {
            let told = series.buckets().get(row).and_then(told).unwrap_or_default();
            write!(f, "<td class=\"right\">{told}</td>")?;
        }
        let flagged: Vec<String> = QualityFlag::ALL
            .into_iter()
            .map(|flag| (flags::label(flag), history.flagged(flag).count_within(&frames)))
            .chain([("No prompt", report.totals.unprompted.count_within(&frames))])
            .filter(|(_, count)| *count > 0)
            .map(|(label, count)| format!("{label}: {}", grouped(count)))
            .collect();
        writeln!(f, "<td>{}</td></tr>", flagged.join(", "))?;
    }
    f.write_str("</tbody>\n</table></div></details>\n")
}

/// Formats the mean of a bucket and its range.
fn told(bucket: &Bucket) -> Option<String> {
    let mean = rounded(bucket.mean()?);
    let (least, greatest) = (rounded(bucket.min.into()), rounded(bucket.max.into()));
    let same = least == greatest;
    Some(if same { mean } else { format!("{mean} <small>({least} to {greatest})</small>") })
}

/// Summarises the object in one line.
fn summary(report: &Report, history: &ObjectHistory) -> String {
    let mut parts = vec![format!(
        "visible in <b>{}</b> of {}",
        grouped(history.visible),
        counted(history.tracked, "frame", "frames")
    )];
    if let (Some(mean), Some((least, greatest))) = (history.area.mean(), history.area.range()) {
        parts.push(format!(
            "area <b>{}</b> px on average ({}\u{2013}{})",
            rounded(mean),
            rounded(least.into()),
            rounded(greatest.into())
        ));
    }
    if let (Some(mean), Some((least, _))) = (history.iou.mean(), history.iou.range()) {
        let at = grouped(history.iou.least_at());
        parts.push(format!(
            "predicted IoU <b>{mean:.2}</b> on average, least {least:.2} in frame {at}"
        ));
    }
    let flagged = history.any_flag.count();
    parts.push(match flagged {
        0 => "<b>nothing flagged</b>".to_owned(),
        _ => format!(
            "<b>{}</b> flagged ({})",
            counted(flagged, "frame", "frames"),
            percent(flagged, history.tracked)
        ),
    });
    if report.totals.has_facts {
        parts.push(format!("prompted on {}", counted(history.prompted.count(), "frame", "frames")));
    }
    parts.join(" <span class=\"dot\">\u{b7}</span> ")
}

/// Draws a bar for each flag that occurs, and one for the prompted frames.
fn lanes(
    f: &mut Formatter<'_>,
    report: &Report,
    history: &ObjectHistory,
    name: &str,
) -> fmt::Result {
    let mut lane = |class: &str, label: &str, frames: &crate::spans::Spans| {
        if frames.is_empty() {
            return Ok(());
        }
        write!(
            f,
            "<div class=\"row lane\"><span class=\"name\">{label}</span><div class=\"field\">"
        )?;
        let told = counted(frames.count(), "frame", "frames");
        open(f, report, 10, &format!("{name}, {label}: {told}"))?;
        spans(f, report, frames, class, (0, 10))?;
        f.write_str("</svg></div></div>\n")
    };
    lane("prompted", "Prompted", &history.prompted)?;
    for flag in QualityFlag::ALL {
        lane(flag.name(), flags::label(flag), history.flagged(flag))?;
    }
    lane("unprompted", "No prompt", &report.totals.unprompted)
}

/// The contents of one plot.
struct Plot<'a> {
    series: &'a Series,
    name: &'static str,
    key: &'static str,
    low: f64,
    high: f64,
    /// A horizontal line at a meaningful value.
    mark: Option<f64>,
}

impl<'a> Plot<'a> {
    fn area(history: &'a ObjectHistory) -> Self {
        let series = &history.area;
        let greatest = series.range().map_or(0.0, |(_, greatest)| f64::from(greatest));
        let mut usual: Vec<f64> =
            series.buckets().iter().filter_map(Bucket::mean).filter(|mean| *mean > 0.0).collect();
        usual.sort_by(f64::total_cmp);
        // The 95th percentile.
        let usual = usual.get(usual.len() * 95 / 100).copied().unwrap_or(greatest);
        let high = if greatest > CUT_OFF * usual { 1.6 * usual } else { 1.08 * greatest };
        Self {
            series,
            name: "Area, pixels",
            key: "area",
            low: 0.0,
            high: high.max(1.0),
            mark: None,
        }
    }

    fn score(history: &'a ObjectHistory) -> Self {
        let series = &history.score;
        let (least, greatest) = series.range().unwrap_or((0.0, 0.0));
        let (low, high) = (f64::from(least).min(-1.0), f64::from(greatest).max(1.0));
        let margin = 0.06 * (high - low);
        let name = "Object score";
        Self { series, name, key: "score", low: low - margin, high: high + margin, mark: Some(0.0) }
    }

    fn iou(history: &'a ObjectHistory) -> Self {
        // Slightly above 1, so that a line at 1 is visible.
        Self {
            series: &history.iou,
            name: "Predicted IoU",
            key: "iou",
            low: 0.0,
            high: 1.04,
            mark: None,
        }
    }

    /// Returns the height of a value in the plot, counted from the top; values outside are placed
    /// at the edge.
    fn y(&self, value: f64) -> i64 {
        let share = (value - self.low) / (self.high - self.low);
        (HEIGHT * (1.0 - share.clamp(0.0, 1.0))).round() as i64
    }
}

fn plot(
    f: &mut Formatter<'_>,
    report: &Report,
    history: &ObjectHistory,
    plot: &Plot<'_>,
    name: &str,
) -> fmt::Result {
    write!(f, "<div class=\"row plot\"><div class=\"name\"><span>{}</span>", plot.name)?;
    let ticks = axis::values(plot.low, plot.high);
    for tick in &ticks {
        write!(
            f,
            "<span class=\"value\" style=\"top:{:.1}%\">{}</span>",
            // Keeps the labels of two stacked plots apart.
            (100.0 * (1.0 - tick.at)).clamp(7.0, 93.0),
            tick.label
        )?;
    }
    write!(f, "</div><div class=\"field\" data-series=\"{}\">", plot.key)?;
    let told = match plot.series.range() {
        Some((least, greatest)) => {
            format!(
                "{name}, {}: from {} to {}",
                plot.name,
                rounded(least.into()),
                rounded(greatest.into())
            )
        }
        None => format!("{name}, {}: no values", plot.name),
    };
    open(f, report, HEIGHT as u32, &told)?;
    for flag in QualityFlag::ALL {
        let class = format!("shade {}", flag.name());
        spans(f, report, history.flagged(flag), &class, (0, HEIGHT as usize))?;
    }
    spans(f, report, &report.totals.unprompted, "shade unprompted", (0, HEIGHT as usize))?;
    let (first, end) = (report.run.frames.start, report.run.frames.end);
    f.write_str("<path class=\"grid\" d=\"")?;
    for tick in &ticks {
        write!(f, "M{first} {}H{end}", (HEIGHT * (1.0 - tick.at)).round())?;
    }
    f.write_str("\"/>")?;
    if let Some(mark) = plot.mark {
        write!(f, "<path class=\"zero\" d=\"M{first} {}H{end}\"/>", plot.y(mark))?;
    }
    let (band, line) = paths(&plot.series.reduced(buckets_per_object(report)), plot);
    if !band.is_empty() {
        write!(f, "<path class=\"band\" d=\"{band}\"/>")?;
    }
    write!(f, "<path class=\"line\" d=\"{line}\"/></svg>")?;
    cut_off(f, report, plot)?;
    f.write_str("</div></div>\n")
}

/// States the height of a peak that is cut off.
fn cut_off(f: &mut Formatter<'_>, report: &Report, plot: &Plot<'_>) -> fmt::Result {
    let Some((_, greatest)) =
        plot.series.range().filter(|&(_, greatest)| f64::from(greatest) > plot.high)
    else {
        return Ok(());
    };
    let frame = plot.series.greatest_at();
    let at = 100.0 * report.run.share_of(frame);
    // The note must stay within the plot.
    let side =
        if at > 50.0 { format!("right:{:.2}%", 100.0 - at) } else { format!("left:{at:.2}%") };
    write!(
        f,
        "<span class=\"peak\" style=\"{side}\">\u{25b2} {} in frame {}</span>",
        rounded(greatest.into()),
        grouped(frame)
    )
}

/// Returns the band from minima to maxima and the line of means, as SVG paths. Buckets without
/// values are gaps.
fn paths(series: &Series, plot: &Plot<'_>) -> (String, String) {
    let (mut band, mut line) = (String::new(), String::new());
    let step = series.frames_per_bucket();
    let buckets: Vec<(usize, &Bucket)> = series.buckets().iter().enumerate().collect();
    for part in buckets.split(|(_, bucket)| bucket.mean().is_none()).filter(|part| !part.is_empty())
    {
        let start = (series.first() + part[0].0 * step) as f64 + step as f64 / 2.0;
        let mut before: Option<i64> = None;
        for y in part.iter().filter_map(|(_, bucket)| bucket.mean()).map(|mean| plot.y(mean)) {
            let written = match before {
                // Zero length with round ends makes a dot.
                None if part.len() == 1 => write!(line, "M{start} {y}h0"),
                None => write!(line, "M{start} {y}l"),
                Some(before) => write!(line, "{step} {} ", y - before),
            };
            debug_assert!(written.is_ok(), "a string takes everything");
            before = Some(y);
        }
        if step == 1 {
            continue;
        }
        let forth = part.iter().map(|(_, bucket)| (step as i64, plot.y(bucket.max.into())));
        let back = part.iter().rev().map(|(_, bucket)| (-(step as i64), plot.y(bucket.min.into())));
        let mut before: Option<i64> = None;
        for (index, (dx, y)) in forth.chain(back).enumerate() {
            let dx = if index == part.len() { 0 } else { dx };
            let written = match before {
                None => write!(band, "M{start} {y}l"),
                Some(before) => write!(band, "{dx} {} ", y - before),
            };
            debug_assert!(written.is_ok(), "a string takes everything");
            before = Some(y);
        }
        band.push('z');
    }
    (band, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths_of(values: &[Option<f32>], most: usize) -> (String, String) {
        let mut history = ObjectHistory::new(1, &(0..values.len()));
        for (frame, value) in values.iter().enumerate() {
            if let Some(value) = value {
                history.iou.push(frame, *value);
            }
        }
        let plot = Plot { high: 1.0, ..Plot::iou(&history) };
        paths(&plot.series.reduced(most), &plot)
    }

    #[test]
    fn lines_have_gaps_and_dots() {
        let (band, line) = paths_of(&[Some(1.0), Some(0.5), None, Some(0.0)], 100);
        assert_eq!(line, "M0.5 0l1 500 M3.5 1000h0");
        assert_eq!(band, "");
    }

    #[test]
    fn bands_go_forth_and_back() {
        let (band, line) = paths_of(&[Some(1.0), Some(0.5), Some(0.0), Some(0.0)], 2);
        assert_eq!(line, "M1 250l2 750 ");
        assert_eq!(band, "M1 0l2 1000 0 0 -2 -500 z");
    }

    #[test]
    fn one_peak_does_not_flatten_the_rest() {
        let mut history = ObjectHistory::new(1, &(0..100));
        (0..100).for_each(|frame| history.area.push(frame, if frame == 50 { 1e6 } else { 1000.0 }));
        let plot = Plot::area(&history);
        assert!(plot.high < 2000.0 && plot.y(1e6) == 0);
    }
}
