//! One plot: its range, its line of means and its band from minima to maxima.

use std::fmt::{self, Formatter, Write};

use sam2_mask_writer::QualityFlag;

use super::axis;
use super::numbers::{grouped, rounded};
use super::timeline::{open, spans};
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

/// The contents of one plot.
pub(super) struct Plot<'a> {
    pub(super) series: &'a Series,
    name: &'static str,
    key: &'static str,
    low: f64,
    high: f64,
    /// A horizontal line at a meaningful value.
    mark: Option<f64>,
}

impl<'a> Plot<'a> {
    pub(super) fn area(history: &'a ObjectHistory) -> Self {
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

    pub(super) fn score(history: &'a ObjectHistory) -> Self {
        let series = &history.score;
        let (least, greatest) = series.range().unwrap_or((0.0, 0.0));
        let (low, high) = (f64::from(least).min(-1.0), f64::from(greatest).max(1.0));
        let margin = 0.06 * (high - low);
        let name = "Object score";
        Self { series, name, key: "score", low: low - margin, high: high + margin, mark: Some(0.0) }
    }

    pub(super) fn iou(history: &'a ObjectHistory) -> Self {
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

    pub(super) fn agreement(history: &'a ObjectHistory) -> Self {
        let name = "Agreement of passes";
        Self { series: &history.agreement, name, key: "agreement", ..Self::iou(history) }
    }

    /// Returns the height of a value in the plot, counted from the top; values outside are placed
    /// at the edge.
    fn y(&self, value: f64) -> i64 {
        let share = (value - self.low) / (self.high - self.low);
        (HEIGHT * (1.0 - share.clamp(0.0, 1.0))).round() as i64
    }
}

/// Writes a plot of an object called `name`, with its flagged frames shaded.
pub(super) fn plot(
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
