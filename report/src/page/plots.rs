//! Each object over time: flagged frames, plots of area, object score, predicted IoU and agreement,
//! and the same as a table.

use std::fmt::{self, Formatter};

use sam2_mask_writer::QualityFlag;

use super::colours;
use super::flags;
use super::numbers::{counted, grouped, percent, rounded, span};
use super::plot::{Plot, plot};
use super::timeline::{axes, open, spans};
use crate::escape::Text;
use crate::object::ObjectHistory;
use crate::report::Report;
use crate::series::{Bucket, Series};

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
    for kind in [Plot::score(history), Plot::iou(history), Plot::agreement(history)] {
        // A run from another program has masks only, and few runs track a frame from two sides.
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
        ("Agreement", history.agreement.reduced(MOST_ROWS)),
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
    let on_average = |name: &str, series: &Series| {
        let (mean, (least, _)) = (series.mean()?, series.range()?);
        let at = grouped(series.least_at());
        Some(format!("{name} <b>{mean:.2}</b> on average, least {least:.2} in frame {at}"))
    };
    parts.extend(on_average("predicted IoU", &history.iou));
    parts.extend(on_average("agreement", &history.agreement));
    if report.totals.known > 0 {
        let flagged = history.any_flag.count();
        parts.push(match flagged {
            0 => "<b>nothing flagged</b>".to_owned(),
            _ => format!(
                "<b>{}</b> flagged ({})",
                counted(flagged, "frame", "frames"),
                percent(flagged, history.tracked)
            ),
        });
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
