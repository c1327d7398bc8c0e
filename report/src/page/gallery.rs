//! Frames with their masks drawn in.

use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

use sam2_mask_writer::{QualityFlag, RunPoint, RunPrompt};

use super::colours;
use super::flags;
use super::numbers::{counted, grouped, rounded};
use crate::candidates::Reason;
use crate::escape::Text;
use crate::object::agreement;
use crate::outline::Outline;
use crate::report::Report;
use crate::shot::{Shot, ShotObject};

/// Writes every picture once, for the figures to refer to.
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

/// Writes the frames to look at first.
pub(super) fn worst(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.totals.masks == 0 {
        return Ok(());
    }
    f.write_str("<section id=\"look\">\n<h2>Frames to look at</h2>\n")?;
    let only_masks = report.totals.known == 0;
    if report.worst.is_empty() {
        let none = if only_masks {
            "None stands out: no area changes suddenly. Scores and flags, which would say more, are not known."
        } else {
            "None stands out: no mask is flagged, and the model is sure of all of them."
        };
        return writeln!(f, "<p class=\"intro\">{none}</p>\n</section>");
    }
    let intro = if only_masks {
        "Scores and flags are not known. These are the frames in which the area changes most."
    } else if report.totals.flagged_masks == 0 {
        "Nothing is flagged. These are the frames of which the model is least sure, or in which the area changes most."
    } else {
        "The worst first, from all over the recording rather than neighbours of each other. The numbers are those in the timeline above."
    };
    writeln!(f, "<p class=\"intro\">{intro}</p>\n<div class=\"gallery\">")?;
    for (number, (shot, reason, object)) in report.worst.iter().enumerate() {
        figure(f, report, shot, "look", Some((number + 1, *reason, *object)))?;
    }
    f.write_str("</div>\n</section>\n")
}

/// Writes the prompted frames.
pub(super) fn prompted(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.prompted.is_empty() {
        return Ok(());
    }
    let (all, shown) = (report.totals.prompted.count(), report.prompted.len());
    // Without prompts in the report, masks may still be marked as prompted.
    let intro = if all == shown && report.run.prompts.is_empty() {
        "If a mask is wrong here, it is wrong in the frames around it.".to_owned()
    } else if report.run.prompts.is_empty() {
        format!("{shown} of {}.", counted(all, "frame", "frames"))
    } else if all == shown {
        "The masks with what they were prompted with: green + on the object, red \u{2212} not on it (a red ring around a green + is not on \
         one object but on another). If one is wrong here, it is wrong in \
         the frames around it.".to_owned()
    } else {
        format!(
            "{shown} of {}, with the prompts: green + on the object, red \u{2212} not on it (a red ring around a green + is not on one object but \
             on another).",
            counted(all, "frame", "frames")
        )
    };
    strip(f, report, "prompts", "Prompted frames", &intro, &report.prompted)
}

/// Writes frames from all over the recording.
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
        "<section id=\"{id}\">\n<h2>{title}</h2>\n<p class=\"intro\">{intro}</p>\n<div class=\"gallery {id}\">"
    )?;
    shots.iter().try_for_each(|shot| figure(f, report, shot, id, None))?;
    f.write_str("</div>\n</section>\n")
}

fn figure(
    f: &mut Formatter<'_>,
    report: &Report,
    shot: &Shot,
    gallery: &str,
    numbered: Option<(usize, Reason, u32)>,
) -> fmt::Result {
    let frame = shot.frame;
    let place = numbered.map(|(number, ..)| format!(" id=\"look-{number}\"")).unwrap_or_default();
    let remarks = remarks(report, shot, numbered);
    write!(f, "<figure class=\"shot\" data-frame=\"{frame}\"{place}>")?;
    drawing(f, report, shot, &format!("{gallery}-frame-{frame}"), &alternative(shot, &remarks))?;
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

/// Returns the remarks below a picture as pairs of CSS class and text.
fn remarks(
    report: &Report,
    shot: &Shot,
    numbered: Option<(usize, Reason, u32)>,
) -> Vec<(&'static str, String)> {
    /// Largest number of remarks below one picture: every flag, two numbers and a prompt.
    const MOST: usize = QualityFlag::ALL.len() + 3;
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
        let iou = shown.facts.map(|facts| format!("IoU {:.2}", facts.predicted_iou));
        let told = match reason {
            Reason::Change => Some(format!("Area changes to {}", rounded(shown.area as f64))),
            // For a missing mask, the IoU means nothing.
            Reason::Flag(QualityFlag::Lost) => None,
            Reason::Doubtful | Reason::Flag(_) => iou,
        };
        let agreement =
            agreement(shown.facts.as_ref()).map(|agreement| format!("Agreement {agreement:.2}"));
        remarks
            .extend(told.into_iter().chain(agreement).map(|told| ("plain", whose(object, &told))));
    }
    if shot.objects.iter().any(|shown| shown.facts.is_some_and(|facts| facts.prompted)) {
        remarks.push(("prompted", "Prompted".to_owned()));
    }
    remarks.truncate(MOST);
    remarks
}

/// Describes the picture in words, as alternative text.
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

/// Draws a picture with its masks. Small animals are shown again, enlarged, in the corner that is
/// farthest from them.
fn drawing(
    f: &mut Formatter<'_>,
    report: &Report,
    shot: &Shot,
    id: &str,
    alternative: &str,
) -> fmt::Result {
    let (width, height) = (2 * report.picture.0, 2 * report.picture.1);
    let has_picture = report.pictures.contains_key(&shot.frame);
    let bare = if has_picture { "" } else { " bare" };
    write!(
        f,
        "<svg class=\"drawing{bare}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\"><g id=\"{id}\">",
        Text(alternative)
    )?;
    if has_picture {
        write!(f, "<use href=\"#picture-{}\"/>", shot.frame)?;
    } else {
        write!(f, "<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>")?;
    }
    f.write_str("<g class=\"masks\">")?;
    // Small masks are drawn over large ones, and numbers over everything.
    let mut masks: Vec<(&ShotObject, &Outline)> =
        shot.objects.iter().filter_map(|shown| Some((shown, shown.outline.as_ref()?))).collect();
    masks.sort_by_key(|(shown, _)| std::cmp::Reverse(shown.area));
    for (shown, outline) in &masks {
        let (object, colour) = (shown.object, colours::number(shown.object));
        write!(
            f,
            "<path class=\"mask o{object}\" style=\"--c:var(--m{colour})\" d=\"{}\"/>",
            outline.path
        )?;
    }
    if report.objects.len() > 1 {
        let size = (report.picture.0.max(report.picture.1) / 14).max(8);
        let mut written: Vec<(u32, u32)> = Vec::new();
        for (shown, Outline { label: (x, y), .. }) in &masks {
            let (object, mut x) = (shown.object, *x);
            // The numbers of overlapping masks are placed side by side.
            let near = |x: u32, (a, b): &(u32, u32)| a.abs_diff(x) < size && b.abs_diff(*y) < size;
            while written.iter().any(|other| near(x, other)) && x < width {
                x += size;
            }
            written.push((x, *y));
            write!(
                f,
                "<text class=\"o{object}\" x=\"{x}\" y=\"{y}\" font-size=\"{size}\">{object}</text>"
            )?;
        }
    }
    f.write_str("</g>")?;
    prompts(f, report, shot.frame)?;
    f.write_str("</g>")?;
    inset(f, (width, height), &masks, id)?;
    f.write_str("</svg>")
}

/// Largest side, in percent of the picture's, of a region that is enlarged.
const SMALL_PERCENT: u32 = 14;
/// Side of the enlargement, in percent of the picture's.
const INSET_PERCENT: u32 = 42;

fn inset(
    f: &mut Formatter<'_>,
    (width, height): (u32, u32),
    masks: &[(&ShotObject, &Outline)],
    id: &str,
) -> fmt::Result {
    let bounds = masks.iter().map(|(_, outline)| outline.bounds);
    let Some([left, top, right, bottom]) =
        bounds.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
    else {
        return Ok(());
    };
    // In percent of the picture, because the region cut out has the picture's proportions.
    let share = (100 * (right - left) / width).max(100 * (bottom - top) / height);
    if share > SMALL_PERCENT {
        return Ok(());
    }
    let share = (2 * share).clamp(12, 100);
    let (wide, high) = (width * share / 100, height * share / 100);
    let start = |from: u32, to: u32, length: u32, whole: u32| {
        ((from + to) / 2).saturating_sub(length / 2).min(whole - length)
    };
    let (x, y) = (start(left, right, wide, width), start(top, bottom, high, height));
    let (inset_width, inset_height) = (width * INSET_PERCENT / 100, height * INSET_PERCENT / 100);
    let far = |from: u32, to: u32, length: u32, whole: u32| {
        if from + to > whole { 0 } else { whole - length }
    };
    let inset_x = far(left, right, inset_width, width);
    let inset_y = far(top, bottom, inset_height, height);
    write!(
        f,
        "<g class=\"inset\"><rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\"/>\
         <svg x=\"{inset_x}\" y=\"{inset_y}\" width=\"{inset_width}\" height=\"{inset_height}\" \
         viewBox=\"{x} {y} {wide} {high}\"><use href=\"#{id}\"/></svg>\
         <rect x=\"{inset_x}\" y=\"{inset_y}\" width=\"{inset_width}\" height=\"{inset_height}\"/></g>"
    )
}

/// Draws the prompts of a frame: boxes, then negative points, then positive points. A negative
/// point of one object often lies exactly on a positive point of another, which must stay visible.
/// The lower point is larger, so that both are visible.
fn prompts(f: &mut Formatter<'_>, report: &Report, frame: usize) -> fmt::Result {
    // A recording has few prompted frames, so searching all of them for each picture costs nothing.
    let marks: Vec<&RunPrompt> =
        report.run.prompts.iter().filter(|mark| mark.frame == frame).collect();
    for layer in [Layer::Box, Layer::Beside, Layer::On] {
        marks.iter().try_for_each(|mark| prompt(f, report, mark, layer))?;
    }
    Ok(())
}

/// A layer, drawn for all objects before the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Box,
    Beside,
    On,
}

/// Draws one layer of an object's prompt.
fn prompt(f: &mut Formatter<'_>, report: &Report, mark: &RunPrompt, layer: Layer) -> fmt::Result {
    let (width, height) = report.run.size;
    let scale = |value: f32, to: u32, from: u32| 2.0 * value * to as f32 / from.max(1) as f32;
    let place =
        |x: f32, y: f32| (scale(x, report.picture.0, width), scale(y, report.picture.1, height));
    let (object, colour) = (mark.object, colours::number(mark.object));
    // NaN or infinity would make the browser stop in the middle of the path.
    let bounds = mark.bounds.filter(|edges| edges.iter().all(|edge| edge.is_finite()));
    let bounds = bounds.filter(|_| layer == Layer::Box);
    let drawn = |point: &&RunPoint| {
        let of_layer = if point.positive { Layer::On } else { Layer::Beside };
        of_layer == layer && point.x.is_finite() && point.y.is_finite()
    };
    let points: Vec<&RunPoint> = mark.points.iter().filter(drawn).collect();
    if bounds.is_none() && points.is_empty() {
        return Ok(());
    }
    write!(f, "<g class=\"prompt o{object}\" style=\"--c:var(--m{colour})\">")?;
    let whose = match report.run.object_names.contains_key(&object) {
        true => Text(report.run.name_of(object)),
        false => Text(format!("object {object}")),
    };
    if let Some([left, top, right, bottom]) = bounds {
        let ((x, y), (x1, y1)) = (place(left, top), place(right, bottom));
        write!(
            f,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>Box of {whose}</title></rect>",
            (x1 - x).max(0.0),
            (y1 - y).max(0.0),
        )?;
    }
    let radius = (report.picture.0.max(report.picture.1) as f32 / 30.0).max(2.0);
    for RunPoint { name, x, y, positive } in points {
        let (x, y) = place(*x, *y);
        let arm = 0.55 * radius;
        let (sign, radius, upright) = if *positive {
            ("on", radius, format!("M{x:.1} {:.1}v{:.1}", y - arm, 2.0 * arm))
        } else {
            ("beside", 1.35 * radius, String::new())
        };
        write!(
            f,
            "<g class=\"{sign}\"><title>{}{}{sign} {whose}</title><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>\
             <path d=\"M{:.1} {y:.1}h{:.1}{upright}\"/></g>",
            Text(name),
            if name.is_empty() { "" } else { ", " },
            x - arm,
            2.0 * arm,
        )?;
    }
    f.write_str("</g>")
}
