//! The plotted values and the flagged frames as data for the script. Without the script the page
//! shows the same information, but not at the pointer and not as a file.

use std::fmt::{self, Formatter};

use sam2_mask_writer::QualityFlag;
use serde_json::{Value, json};

use super::plot::buckets_per_object;
use crate::escape::{json_in_html, visible};
use crate::report::Report;
use crate::series::{Bucket, Series};
use crate::spans::Spans;

/// Limit on the spans of flagged frames in the data, so that the page stays small.
const MOST_SPANS: usize = 50_000;

pub(super) fn write(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let most = buckets_per_object(report);
    let object = |history: &crate::object::ObjectHistory| {
        json!({
            "object": history.object,
            "name": visible(&report.run.name_of(history.object)),
            "own": report.run.object_names.get(&history.object).map(|name| visible(name)),
            "area": series(&history.area.reduced(most), 0),
            "score": series(&history.score.reduced(most), 2),
            "iou": series(&history.iou.reduced(most), 3),
            "agreement": series(&history.agreement.reduced(most), 3),
        })
    };
    let mut left = MOST_SPANS;
    let mut flagged = vec![json!({
        "flag": "no-prompt", "spans": first_spans(&report.totals.unprompted, &mut left),
    })];
    for history in &report.objects {
        for flag in QualityFlag::ALL {
            let spans = first_spans(history.flagged(flag), &mut left);
            flagged.push(json!({ "object": history.object, "flag": flag.name(), "spans": spans }));
        }
    }
    flagged.retain(|one| one["spans"].as_array().is_some_and(|spans| !spans.is_empty()));
    let data = json!({
        "recording": visible(&report.run.recording),
        "size": [report.run.size.0, report.run.size.1],
        "flagged": flagged,
        "flagged_is_cut": left == 0,
        "run": report.run.run_file.as_deref().map(visible),
        "first": report.run.frames.start,
        "frames": report.run.frames.len(),
        "rate": report.run.rate(),
        "objects": report.objects.iter().map(object).collect::<Vec<_>>(),
    });
    writeln!(f, "<script type=\"application/json\" id=\"data\">{}</script>", json_in_html(&data))
}

/// Returns the first spans, `[first frame, last frame]` each, as many as `left` permits.
fn first_spans(spans: &Spans, left: &mut usize) -> Vec<[usize; 2]> {
    let some: Vec<_> =
        spans.ranges().iter().take(*left).map(|range| [range.start, range.end - 1]).collect();
    *left -= some.len();
    some
}

/// Returns frames per bucket and means, and, if buckets hold several frames, minima and maxima.
fn series(series: &Series, digits: i32) -> Value {
    if series.range().is_none() {
        return Value::Null;
    }
    let numbers = |of: &dyn Fn(&Bucket) -> f64| -> Vec<Value> {
        let number =
            |bucket: &Bucket| bucket.mean().map_or(Value::Null, |_| rounded(of(bucket), digits));
        series.buckets().iter().map(number).collect()
    };
    let mut value = json!({
        "per": series.frames_per_bucket(),
        "mean": numbers(&|bucket| bucket.mean().unwrap_or_default()),
    });
    if series.frames_per_bucket() > 1 {
        value["min"] = numbers(&|bucket| bucket.min.into()).into();
        value["max"] = numbers(&|bucket| bucket.max.into()).into();
    }
    value
}

/// Rounds a value to this many decimals and omits meaningless ones.
fn rounded(value: f64, digits: i32) -> Value {
    let factor = 10_f64.powi(digits);
    let rounded = (value * factor).round() / factor;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        json!(rounded as i64)
    } else {
        json!(rounded)
    }
}
