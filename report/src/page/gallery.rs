//! Frames with their masks drawn in.

use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

use super::colours;
use super::flags;
use super::numbers::{counted, grouped, rounded};
use crate::candidates::Reason;
use crate::describe::PromptMark;
use crate::escape::Text;
use crate::report::Report;
use crate::shot::{Shot, ShotObject};

/// All pictures, once each, for the figures to refer to.
pub(super) fn pictures(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.pictures.is_empty() {
        return Ok(());
    }
    let (width, height) = (2 * report.picture.0, 2 * report.picture.1);
    f.write_str("<svg class=\"store\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\n")?;
    for (frame, url) in &report.pictures {
        writeln!(
            f,
            "<image id=\"picture-{frame}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" href=\"{url}\"/>"
        )?;
    }
    f.write_str("</defs></svg>\n")
}

/// Frames to look at.
pub(super) fn worst(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.totals.masks == 0 {
        return Ok(());
    }
    f.write_str("<section id=\"look\">\n<h2>Frames to look at</h2>\n")?;
    if report.worst.is_empty() {
        return f.write_str(
            "<p class=\"intro\">None stands out: no mask is flagged, and the model is sure of all of them.</p>\n</section>\n",
        );
    }
    let intro = if report.totals.flagged_masks == 0 {
        "Nothing is flagged. These are the frames of which the model is least sure, or in which the area changes most."
    } else {
        "The worst first, from all over the recording rather than neighbours of each other. The numbers are those in the timeline above."
    };
    writeln!(f, "<p class=\"intro\">{intro}</p>\n<div class=\"gallery\">")?;
    for (number, (shot, reason, object)) in report.worst.iter().enumerate() {
        figure(f, report, shot, Some((number + 1, *reason, *object)))?;
    }
    f.write_str("</div>\n</section>\n")
}

/// Frames on which somebody said where the objects are.
pub(super) fn prompted(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.prompted.is_empty() {
        return Ok(());
    }
    let (all, shown) = (report.totals.prompted.count(), report.prompted.len());
    let intro = if all == shown {
        "The masks with what they were prompted with: + on the object, \u{2212} beside it. If one is wrong here, it is wrong in \
         the frames around it.".to_owned()
    } else {
        format!(
            "{shown} of {}, with the prompts: + on the object, \u{2212} beside it.",
            counted(all, "frame", "frames")
        )
    };
    strip(f, report, "prompts", "Prompted frames", &intro, &report.prompted)
}

/// Frames from all over the recording.
pub(super) fn even(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.even.is_empty() {
        return Ok(());
    }
    strip(
        f,
        report,
        "even",
        "Through the recording",
        "Evenly spaced, whatever they show.",
        &report.even,
    )
}

fn strip(
    f: &mut Formatter<'_>,
    report: &Report,
    id: &str,
    title: &str,
    intro: &str,
    shots: &[Shot],
) -> fmt::Result {
    writeln!(
        f,
        "<section id=\"{id}\">\n<h2>{title}</h2>\n<p class=\"intro\">{intro}</p>\n<div class=\"gallery small\">"
    )?;
    shots.iter().try_for_each(|shot| figure(f, report, shot, None))?;
    f.write_str("</div>\n</section>\n")
}

fn figure(
    f: &mut Formatter<'_>,
    report: &Report,
    shot: &Shot,
    numbered: Option<(usize, Reason, u32)>,
) -> fmt::Result {
    let frame = shot.frame;
    let id = numbered.map(|(number, ..)| format!(" id=\"look-{number}\"")).unwrap_or_default();
    let remarks = remarks(report, shot, numbered);
    write!(f, "<figure class=\"shot\" data-frame=\"{frame}\"{id}>")?;
    drawing(f, report, shot, &alternative(shot, &remarks))?;
    f.write_str("<figcaption>")?;
    if let Some((number, ..)) = numbered {
        write!(f, "<span class=\"number\">{number}</span> ")?;
    }
    write!(f, "<b>Frame {}</b>", grouped(frame))?;
    if let Some(time) = report.run.time_of(frame) {
        write!(f, " <span class=\"when\">{time}</span>")?;
    }
    for (class, text) in remarks {
        write!(f, " <span class=\"chip {class}\">{}</span>", Text(text))?;
    }
    f.write_str("</figcaption></figure>\n")
}

/// What is said below a picture: classes and texts.
fn remarks(
    report: &Report,
    shot: &Shot,
    numbered: Option<(usize, Reason, u32)>,
) -> Vec<(&'static str, String)> {
    /// Remarks below one picture.
    const MOST: usize = 6;
    let several = report.objects.len() > 1;
    let whose = |object: u32, text: &str| {
        if several { format!("{object}: {text}") } else { text.to_owned() }
    };
    let mut remarks = Vec::new();
    // Objects with the same flags share a remark.
    let mut flagged: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for shown in &shot.objects {
        for flag in shown.facts.iter().flat_map(|facts| facts.flags.iter()) {
            flagged.entry(flag).or_default().push(shown.object.to_string());
        }
    }
    for (flag, objects) in flagged {
        let label = flags::label(flag);
        let text =
            if several { format!("{}: {label}", objects.join(", ")) } else { label.to_owned() };
        remarks.push((flag.name(), text));
    }
    if shot.objects.is_empty() {
        remarks.push(("unprompted", "No prompt".to_owned()));
    }
    if let Some((_, reason, object)) = numbered
        && let Some(shown) = shot.objects.iter().find(|shown| shown.object == object)
    {
        match reason {
            Reason::Change => remarks
                .push(("plain", whose(object, &format!("area {}", rounded(shown.area as f64))))),
            Reason::Doubtful | Reason::Flag(_) => {
                let iou = shown.facts.map(|facts| format!("IoU {:.2}", facts.predicted_iou));
                remarks.extend(iou.map(|iou| ("plain", whose(object, &iou))));
            }
        }
    }
    if shot.objects.iter().any(|shown| shown.facts.is_some_and(|facts| facts.prompted)) {
        remarks.push(("prompted", "Prompted".to_owned()));
    }
    remarks.truncate(MOST);
    remarks
}

/// The picture in words.
fn alternative(shot: &Shot, remarks: &[(&'static str, String)]) -> String {
    let visible = shot.objects.iter().filter(|shown| shown.area > 0).count();
    let mut text =
        format!("Frame {} with {}", grouped(shot.frame), counted(visible, "mask", "masks"));
    for (_, remark) in remarks {
        text.push_str("; ");
        text.push_str(remark);
    }
    text
}

fn drawing(f: &mut Formatter<'_>, report: &Report, shot: &Shot, alternative: &str) -> fmt::Result {
    let (width, height) = (2 * report.picture.0, 2 * report.picture.1);
    let has_picture = report.pictures.contains_key(&shot.frame);
    let bare = if has_picture { "" } else { " bare" };
    write!(
        f,
        "<svg class=\"drawing{bare}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        Text(alternative)
    )?;
    if has_picture {
        write!(f, "<use href=\"#picture-{}\"/>", shot.frame)?;
    } else {
        write!(f, "<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>")?;
    }
    f.write_str("<g class=\"masks\">")?;
    for shown in &shot.objects {
        mask(f, report, shown)?;
    }
    f.write_str("</g>")?;
    // A recording has few prompted frames, so looking through all of them for each picture costs nothing.
    for mark in report.run.prompts.iter().filter(|mark| mark.frame == shot.frame) {
        prompt(f, report, mark)?;
    }
    f.write_str("</svg>")
}

fn mask(f: &mut Formatter<'_>, report: &Report, shown: &ShotObject) -> fmt::Result {
    let Some(outline) = &shown.outline else { return Ok(()) };
    let (object, colour) = (shown.object, colours::number(shown.object));
    write!(
        f,
        "<g class=\"mask o{object}\" style=\"--c:var(--m{colour})\"><path d=\"{}\"/>",
        outline.path
    )?;
    if report.objects.len() > 1 {
        let size = (report.picture.0.max(report.picture.1) / 14).max(8);
        let (x, y) = outline.label;
        write!(f, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\">{object}</text>")?;
    }
    f.write_str("</g>")
}

fn prompt(f: &mut Formatter<'_>, report: &Report, mark: &PromptMark) -> fmt::Result {
    let (width, height) = report.run.size;
    let scale = |value: f32, to: u32, from: u32| 2.0 * value * to as f32 / from.max(1) as f32;
    let place =
        |x: f32, y: f32| (scale(x, report.picture.0, width), scale(y, report.picture.1, height));
    let arm = (report.picture.0.max(report.picture.1) as f32 / 40.0).max(3.0);
    let colour = colours::number(mark.object);
    write!(f, "<g class=\"prompt o{}\" style=\"--c:var(--m{colour})\">", mark.object)?;
    // Numbers that are none would stop a browser in the middle of the path.
    if let Some([left, top, right, bottom]) =
        mark.bounds.filter(|edges| edges.iter().all(|edge| edge.is_finite()))
    {
        let ((x, y), (x1, y1)) = (place(left, top), place(right, bottom));
        write!(
            f,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>Box of object {}</title></rect>",
            (x1 - x).max(0.0),
            (y1 - y).max(0.0),
            mark.object
        )?;
    }
    let sound = |(_, x, y, _): &&(String, f32, f32, bool)| x.is_finite() && y.is_finite();
    for (name, x, y, positive) in mark.points.iter().filter(sound) {
        let (x, y) = place(*x, *y);
        let upright = if *positive {
            format!("M{x:.1} {:.1}v{:.1}", y - arm, 2.0 * arm)
        } else {
            String::new()
        };
        let sign = if *positive { "+" } else { "\u{2212}" };
        let path = format!("M{:.1} {y:.1}h{:.1}{upright}", x - arm, 2.0 * arm);
        write!(
            f,
            "<g><title>{}{}object {}</title><path class=\"halo\" d=\"{path}\"/><path d=\"{path}\"/></g>",
            Text(if name.is_empty() { sign } else { name }),
            if name.is_empty() { " " } else { ", " },
            mark.object
        )?;
    }
    f.write_str("</g>")
}
