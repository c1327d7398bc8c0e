//! The plotted numbers for the script. Without it the page says the same, only not at the pointer.

use std::fmt::{self, Formatter};

use serde_json::{Value, json};

use super::plots::buckets_per_object;
use crate::escape::{json_in_html, visible};
use crate::report::Report;
use crate::series::{Bucket, Series};

pub(super) fn write(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let most = buckets_per_object(report);
    let object = |history: &crate::object::ObjectHistory| {
        json!({
            "object": history.object,
            "name": visible(&report.run.name_of(history.object)),
            "area": series(&history.area.reduced(most), 0),
            "score": series(&history.score.reduced(most), 2),
            "iou": series(&history.iou.reduced(most), 3),
        })
    };
    let data = json!({
        "first": report.run.frames.start,
        "frames": report.run.frames.len(),
        "rate": report.run.rate(),
        "objects": report.objects.iter().map(object).collect::<Vec<_>>(),
    });
    writeln!(f, "<script type=\"application/json\" id=\"data\">{}</script>", json_in_html(&data))
}

/// Frames per bucket; means, and least and greatest values where a bucket has several frames.
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

/// With this many digits behind the point, and none that mean nothing.
fn rounded(value: f64, digits: i32) -> Value {
    let factor = 10_f64.powi(digits);
    let rounded = (value * factor).round() / factor;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        json!(rounded as i64)
    } else {
        json!(rounded)
    }
}
