//! Flagged spans, statistics and parameters as tables.

use std::fmt::{self, Formatter};

use sam2_mask_writer::QualityFlag;
use serde_json::Value;

use super::flags;
use super::numbers::{grouped, percent, spans};
use crate::escape::Text;
use crate::report::Report;

/// Spans that are listed one by one, of one flag and object.
const MOST_SPANS: usize = 100;
/// Values of a foreign table that are shown.
const MOST_VALUES: usize = 1000;
/// Letters of a foreign value that are shown.
const MOST_LETTERS: usize = 2000;

pub(super) fn write(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    flagged(f, report)?;
    if let Some(statistics) = &report.statistics {
        foreign(f, "statistics", "Statistics of the run", statistics)?;
    }
    foreign(f, "parameters", "Parameters", &report.run.parameters)
}

fn flagged(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.totals.flagged_masks == 0 {
        return Ok(());
    }
    f.write_str(
        "<section id=\"flagged\">\n<h2>Flagged spans</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>Object</th><th>Flag</th>\
         <th class=\"right\">Frames</th><th class=\"right\">Share</th><th>Which</th></tr></thead>\n<tbody>\n",
    )?;
    for history in &report.objects {
        for flag in QualityFlag::ALL {
            let frames = history.flagged(flag);
            if frames.is_empty() {
                continue;
            }
            writeln!(
                f,
                "<tr class=\"o{}\"><td>{}</td><td><span class=\"chip {}\">{}</span></td><td class=\"right\">{}</td>\
                 <td class=\"right\">{}</td><td class=\"spans\">{}</td></tr>",
                history.object,
                Text(report.run.name_of(history.object)),
                flag.name(),
                flags::label(flag),
                grouped(frames.count()),
                percent(frames.count(), history.tracked),
                spans(frames.ranges(), MOST_SPANS)
            )?;
        }
    }
    f.write_str("</tbody>\n</table></div>\n</section>\n")
}

/// A table of whatever JSON there is: a column of names, a column of values; what is nested gets headings of its own.
fn foreign(f: &mut Formatter<'_>, id: &str, title: &str, value: &Value) -> fmt::Result {
    let mut rows = Rows::default();
    rows.collect(&mut Vec::new(), value);
    if rows.rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "<section id=\"{id}\">\n<h2>{title}</h2>\n<div class=\"scroll columns\">")?;
    for part in rows.rows.chunk_by(|a, b| a.0 == b.0) {
        f.write_str("<table class=\"pairs\">\n")?;
        if let Some((heading, ..)) = part.first().filter(|row| !row.0.is_empty()) {
            writeln!(f, "<caption>{}</caption>", Text(heading))?;
        }
        f.write_str("<tbody>\n")?;
        for (_, name, value) in part {
            writeln!(f, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", Text(name), Text(value))?;
        }
        f.write_str("</tbody>\n</table>\n")?;
    }
    f.write_str("</div>\n")?;
    if rows.left_out > 0 {
        writeln!(
            f,
            "<p class=\"intro\">{} more values are not shown.</p>",
            grouped(rows.left_out)
        )?;
    }
    f.write_str("</section>\n")
}

/// Heading, name and value of each row.
#[derive(Default)]
struct Rows {
    rows: Vec<(String, String, String)>,
    left_out: usize,
}

impl Rows {
    fn collect(&mut self, path: &mut Vec<String>, value: &Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                // Plain values first, so that headings do not stand between them.
                let nested = |value: &Value| match value {
                    Value::Object(fields) => !fields.is_empty(),
                    Value::Array(values) => values.iter().any(Value::is_object),
                    _ => false,
                };
                for wanted in [false, true] {
                    for (name, value) in fields.iter().filter(|(_, value)| nested(value) == wanted)
                    {
                        path.push(words(name));
                        self.collect(path, value);
                        path.pop();
                    }
                }
            }
            Value::Array(values) if values.iter().any(Value::is_object) => {
                for (number, value) in values.iter().enumerate() {
                    path.push((number + 1).to_string());
                    self.collect(path, value);
                    path.pop();
                }
            }
            Value::Null if path.is_empty() => {}
            _ if self.rows.len() >= MOST_VALUES => self.left_out += 1,
            _ => {
                let heading = path[..path.len().saturating_sub(1)].join(" \u{203a} ");
                let name = path.last().cloned().unwrap_or_default();
                self.rows.push((heading, name, shortened(&plain(value))));
            }
        }
    }
}

/// `frames_per_second` as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "\u{2013}".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => usize::try_from(whole).map_or_else(|_| whole.to_string(), grouped),
            // f32 values come as f64 with a tail of digits that mean nothing.
            (None, Some(real)) if real.fract() != 0.0 => format!("{}", (real * 1e6).round() / 1e6),
            _ => number.to_string(),
        },
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(_) => "none".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_values_get_headings() {
        let mut rows = Rows::default();
        let value = json!({
            "model": {"name": "micro", "hash": null},
            "batch_size": 400, "min_likelihood": 0.6000000238418579, "letterbox": false,
            "files": [{"path": "a"}, {"path": "b"}], "bodyparts": ["snout", "tail"], "none": [],
        });
        rows.collect(&mut Vec::new(), &value);
        let texts: Vec<String> = rows.rows.iter().map(|(h, n, v)| format!("{h}|{n}|{v}")).collect();
        let expected = [
            "|batch size|400",
            "|bodyparts|snout, tail",
            "|letterbox|no",
            "|min likelihood|0.6",
            "|none|none",
            "files \u{203a} 1|path|a",
            "files \u{203a} 2|path|b",
            "model|hash|\u{2013}",
            "model|name|micro",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn endless_values_are_cut() {
        let mut rows = Rows::default();
        let many: serde_json::Map<String, Value> =
            (0..5000).map(|i| (i.to_string(), json!(1))).collect();
        rows.collect(&mut Vec::new(), &Value::Object(many));
        assert_eq!((rows.rows.len(), rows.left_out), (MOST_VALUES, 5000 - MOST_VALUES));
        assert!(shortened(&"\u{e4}".repeat(9000)).chars().count() == MOST_LETTERS + 1);
        let mut nothing = Rows::default();
        nothing.collect(&mut Vec::new(), &Value::Null);
        assert!(nothing.rows.is_empty());
    }
}
