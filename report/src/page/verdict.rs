//! The heading: the result of the run in one sentence, and the numbers that support it.

use std::fmt::{self, Formatter};

use sam2_mask_writer::QualityFlag;

use super::flags;
use super::numbers::{counted, grouped, percent, rounded, span, spans};
use crate::describe::clock;
use crate::escape::Text;
use crate::object::ObjectHistory;
use crate::report::Report;
use crate::series::Series;

/// Limit on the ranges listed individually.
const MOST_RANGES: usize = 12;

pub(super) fn write(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let (run, totals) = (&report.run, &report.totals);
    writeln!(
        f,
        "<header>\n<p class=\"kind\">Report of a segmentation run</p>\n<h1>{}</h1>\n<p class=\"facts\">",
        Text(if run.recording.is_empty() { "a recording" } else { &run.recording })
    )?;
    let count = run.frames.len();
    let mut facts = vec![
        match run.frames == (0..run.recording_frames) {
            true => counted(count, "frame", "frames"),
            false => format!("frames {} of {}", span(&run.frames), grouped(run.recording_frames)),
        },
        format!("{} \u{d7} {} pixels", run.size.0, run.size.1),
    ];
    if let Some(rate) = run.rate() {
        let length = clock(count as f64 / rate, count as f64 / rate < 60.0);
        facts.push(format!("{length} at {} frames a second", rounded(rate)));
    }
    facts.push(counted(report.object_count(), "object", "objects"));
    if !run.made_by.is_empty() {
        facts.push(format!("made by {}", Text(&run.made_by)));
    }
    writeln!(f, "{}</p>\n</header>", facts.join(" <span class=\"dot\">\u{b7}</span> "))?;

    let verdict = Verdict::of(report);
    writeln!(
        f,
        "<section id=\"verdict\" class=\"verdict {}\">\n<h2><span class=\"mark\" aria-hidden=\"true\">{}</span> {}</h2>",
        verdict.class, verdict.mark, verdict.headline
    )?;
    f.write_str("<ul class=\"status\">\n")?;
    status(f, report)?;
    f.write_str("</ul>\n<dl class=\"tiles\">\n")?;
    let empty = totals.empty_frames();
    tile(f, "unprompted", "Empty frames", empty, &percent(empty, totals.frames))?;
    // Without scores and flags, a tile with a zero would say that something was looked for.
    if totals.known > 0 {
        let flagged = totals.flagged.count();
        tile(f, "", "Frames with a flag", flagged, &percent(flagged, totals.frames))?;
        let counted = QualityFlag::ALL.into_iter().zip(totals.by_flag);
        for (flag, count) in counted.filter(|(_, count)| *count > 0) {
            let share = format!("{} of masks", percent(count, totals.masks));
            tile(f, flag.name(), flags::label(flag), count, &share)?;
        }
        let prompted = totals.prompted.count();
        tile(f, "prompted", "Prompted frames", prompted, &percent(prompted, totals.frames))?;
    }
    let unprompted = totals.unprompted.count();
    if unprompted > 0 {
        tile(
            f,
            "unprompted",
            "Frames without prompt",
            unprompted,
            &percent(unprompted, totals.frames),
        )?;
    }
    if let Some((mean, least)) = overall(report, |history| &history.iou) {
        tile_of_means(f, "Predicted IoU", mean, least)?;
    }
    if let Some((mean, least)) = overall(report, |history| &history.agreement) {
        tile_of_means(f, "Agreement", mean, least)?;
    }
    f.write_str("</dl>\n")?;
    let absent: Vec<&str> = flags::absent(report).into_iter().map(flags::label).collect();
    if !absent.is_empty() {
        writeln!(f, "<p class=\"absent\">Flags that no mask has: {}.</p>", absent.join(", "))?;
    }
    f.write_str("</section>\n")
}

/// Returns mean and minimum of a series over all objects, if any value is known.
fn overall(report: &Report, of: impl Fn(&ObjectHistory) -> &Series) -> Option<(f64, f32)> {
    let known = report.objects.iter().filter_map(|history| {
        let (mean, (least, _)) = (of(history).mean()?, of(history).range()?);
        let count = of(history).count() as f64;
        Some((mean * count, count, least))
    });
    let (sum, count, least) = known.reduce(|a, b| (a.0 + b.0, a.1 + b.1, a.2.min(b.2)))?;
    Some((sum / count, least))
}

fn tile_of_means(f: &mut Formatter<'_>, name: &str, mean: f64, least: f32) -> fmt::Result {
    writeln!(
        f,
        "<div class=\"tile\"><dt>{name}</dt><dd>{mean:.2}<small>on average; least {least:.2}</small></dd></div>"
    )
}

fn tile(f: &mut Formatter<'_>, class: &str, name: &str, count: usize, share: &str) -> fmt::Result {
    let none = if count == 0 { " none" } else { "" };
    writeln!(
        f,
        "<div class=\"tile {class}{none}\"><dt>{name}</dt><dd>{}<small>{share}</small></dd></div>",
        grouped(count)
    )
}

/// Writes the sentences below the headline.
fn status(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let (run, totals) = (&report.run, &report.totals);
    if report.is_complete() {
        let exit = if totals.unprompted.is_empty() { 0 } else { 3 };
        writeln!(f, "<li>The run is complete: every frame is there (exit code {exit}).</li>")?;
    } else {
        writeln!(
            f,
            "<li><strong>The run is not complete</strong>: {} of {} are there. What is missing is blank below.</li>",
            grouped(totals.frames),
            counted(run.frames.len(), "frame", "frames")
        )?;
    }
    let ranges = totals.unprompted.ranges();
    if !ranges.is_empty() {
        writeln!(
            f,
            "<li><strong>{} had no usable prompt and no masks</strong>: {}.</li>",
            counted(totals.unprompted.count(), "frame", "frames"),
            spans(ranges, MOST_RANGES)
        )?;
    }
    let ranges = totals.nothing_found.ranges();
    if !ranges.is_empty() {
        writeln!(
            f,
            "<li><strong>In {} no object was found</strong>, although objects were prompted: {}.</li>",
            counted(totals.nothing_found.count(), "frame", "frames"),
            spans(ranges, MOST_RANGES)
        )?;
    }
    unknown(f, report)?;
    if !totals.left_out.is_empty() {
        writeln!(
            f,
            "<li>{} are neither plotted nor drawn, as there are so many; their masks are counted.</li>",
            counted(totals.left_out.len(), "object", "objects")
        )?;
    }
    report.notes.iter().try_for_each(|note| writeln!(f, "<li>{}</li>", Text(note)))
}

/// Writes the sentences about what was not looked for.
fn unknown(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let totals = &report.totals;
    match totals.masks - totals.known {
        0 => {}
        _ if totals.known == 0 => f.write_str(
            "<li><strong>Nothing was looked for</strong>: only the masks are known, without scores and flags.</li>\n",
        )?,
        unknown => writeln!(
            f,
            "<li><strong>In {} nothing was looked for</strong>: they have no scores and flags.</li>",
            counted(unknown, "mask", "masks")
        )?,
    }
    if totals.known == 0 || report.object_count() < 2 {
        return Ok(());
    }
    let tracked = totals.tracked_masks();
    match (totals.compared, tracked) {
        (_, 0) => Ok(()),
        (0, _) => f.write_str(
            "<li><strong>Identity was not checked from two sides</strong>: a swap of two look-alikes is noticed only where their \
             masks overlap or contradict a pose track; <code>--passes agreed</code> tracks the frames between two prompts of an \
             object from both, and compares the masks.</li>\n",
        ),
        (compared, _) => writeln!(
            f,
            "<li>Identity was checked from two sides in {} of {} that were not prompted ({}).</li>",
            grouped(compared),
            counted(tracked, "mask", "masks"),
            percent(compared, tracked)
        ),
    }
}

/// Returns whether it was checked who is who: there is one object, or most masks of several were
/// tracked from two sides.
fn identity_is_checked(report: &Report) -> bool {
    let totals = &report.totals;
    report.object_count() < 2 || 2 * totals.compared >= totals.tracked_masks()
}

struct Verdict {
    class: &'static str,
    mark: &'static str,
    headline: String,
}

impl Verdict {
    fn of(report: &Report) -> Self {
        let totals = &report.totals;
        let flagged = totals.flagged_masks;
        let something = flagged > 0 || totals.empty_frames() > 0 || totals.masks == 0;
        let all_known = totals.known == totals.masks;
        let (class, mark) = if !report.is_complete() {
            ("bad", "\u{2715}")
        } else if something {
            ("look", "!")
        } else if !all_known || !identity_is_checked(report) {
            // Nothing was found, but not everything was looked for: this is not a tick.
            ("unsure", "?")
        } else {
            ("good", "\u{2713}")
        };
        let masks = |number| counted(number, "mask", "masks");
        let judged = if totals.known == 0 {
            format!("nothing was looked for in {}", masks(totals.masks))
        } else if flagged > 0 {
            let share = percent(flagged, totals.masks);
            format!("{} of {} should be looked at ({share})", grouped(flagged), masks(totals.masks))
        } else if !all_known {
            let unknown = totals.masks - totals.known;
            format!(
                "nothing is flagged in {}, and nothing was looked for in {}",
                masks(totals.known),
                grouped(unknown)
            )
        } else if !identity_is_checked(report) {
            format!("nothing is flagged in {}, but who is who was not checked", masks(totals.masks))
        } else {
            format!("nothing is flagged in {}", masks(totals.masks))
        };
        let headline = match totals.empty_frames() {
            _ if totals.masks == 0 => "There are no masks".to_owned(),
            0 => capitalised(&judged),
            // Empty frames come first, because no picture can show a missing mask.
            empty => {
                let are = if empty == 1 { "is" } else { "are" };
                let frames = counted(totals.frames, "frame", "frames");
                format!("{} of {frames} {are} empty; {judged}", grouped(empty))
            }
        };
        let unfinished = if report.is_complete() { "" } else { "; the run is not complete" };
        Self { class, mark, headline: headline + unfinished }
    }
}

/// Returns the sentence with its first letter capitalised.
fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
