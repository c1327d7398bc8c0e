//! Tables of flagged spans, the user's options, statistics and parameters.

use std::fmt::{self, Formatter};

use sam2_mask_writer::QualityFlag;
use serde_json::Value;

use super::flags;
use super::numbers::{grouped, percent, spans};
use crate::escape::Text;
use crate::report::Report;
use crate::spans::Spans;

/// Limit on the spans listed individually, per flag and object.
const MOST_SPANS: usize = 100;
/// Limit on the values shown of an external table.
const MOST_VALUES: usize = 1000;
/// Limit on the characters shown of an external value.
const MOST_LETTERS: usize = 2000;

pub(super) fn write(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    flagged(f, report)?;
    told(f, report)?;
    if let Some(statistics) = report.statistics.as_ref().map(Rows::of).filter(Rows::has_any) {
        f.write_str("<section id=\"statistics\">\n<h2>Statistics of the run</h2>\n")?;
        foreign(f, &statistics)?;
        f.write_str("</section>\n")?;
    }
    Ok(())
}

/// Writes the command line, the user's options, and, collapsed, the program's own parameters.
fn told(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let (run, parameters) = (&report.run, Rows::of(&report.run.parameters));
    if run.command.is_empty() && run.options.is_empty() && !parameters.has_any() {
        return Ok(());
    }
    f.write_str("<section id=\"told\">\n<h2>How it was made</h2>\n")?;
    if !run.command.is_empty() {
        writeln!(
            f,
            "<p class=\"intro\">The command, without folders and outputs. Options that are not in it had their defaults.</p>\n\
             <pre class=\"command\"><code id=\"command\">{}</code></pre>",
            Text(shortened(&run.command))
        )?;
    }
    if !run.options.is_empty() {
        f.write_str("<table class=\"pairs told\"><tbody>\n")?;
        for (name, value) in &run.options {
            let value = shortened(value);
            writeln!(f, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", Text(name), Text(value))?;
        }
        f.write_str("</tbody></table>\n")?;
    }
    if parameters.has_any() {
        f.write_str(
            "<details id=\"parameters\"><summary>The program's own values, by which runs are compared</summary>\n",
        )?;
        foreign(f, &parameters)?;
        f.write_str("</details>\n")?;
    }
    f.write_str("</section>\n")
}

fn flagged(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let unprompted = &report.totals.unprompted;
    if report.totals.flagged_masks == 0 && unprompted.is_empty() {
        return Ok(());
    }
    f.write_str(
        "<section id=\"flagged\">\n<h2>Flagged frames</h2>\n<p class=\"scripted\" id=\"download\"></p>\n<div class=\"scroll\"><table>\n\
         <thead><tr><th scope=\"col\">Object</th><th scope=\"col\">Flag</th><th scope=\"col\" class=\"right\">Frames</th>\
         <th scope=\"col\" class=\"right\">Share</th><th scope=\"col\">Which</th></tr></thead>\n<tbody>\n",
    )?;
    if !unprompted.is_empty() {
        let chip = ("unprompted", "No prompt");
        row(f, "", "All", chip, unprompted, report.totals.frames)?;
    }
    for history in &report.objects {
        for flag in QualityFlag::ALL {
            let frames = history.flagged(flag);
            if !frames.is_empty() {
                let class = format!("o{}", history.object);
                let name = report.run.name_of(history.object);
                let chip = (flag.name(), flags::label(flag));
                row(f, &class, &name, chip, frames, history.tracked)?;
            }
        }
    }
    f.write_str("</tbody>\n</table></div>\n</section>\n")
}

/// Writes a row of the table of flagged frames.
fn row(
    f: &mut Formatter<'_>,
    class: &str,
    name: &str,
    (flag, label): (&str, &str),
    frames: &Spans,
    whole: usize,
) -> fmt::Result {
    writeln!(
        f,
        "<tr class=\"{class}\"><td>{}</td><td><span class=\"chip {flag}\">{label}</span></td><td class=\"right\">{}</td>\
         <td class=\"right\">{}</td><td class=\"spans\">{}</td></tr>",
        Text(name),
        grouped(frames.count()),
        percent(frames.count(), whole),
        spans(frames.ranges(), MOST_SPANS)
    )
}

/// Writes any JSON as a table: a column of names and a column of values. Nested objects get their
/// own headings.
fn foreign(f: &mut Formatter<'_>, rows: &Rows) -> fmt::Result {
    f.write_str("<div class=\"scroll columns\">\n")?;
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
    Ok(())
}

/// Heading, name and value of each row.
#[derive(Default)]
struct Rows {
    rows: Vec<(String, String, String)>,
    left_out: usize,
}

impl Rows {
    /// Returns the rows of a JSON value.
    fn of(value: &Value) -> Self {
        let mut rows = Self::default();
        rows.collect(&mut Vec::new(), value);
        rows
    }

    fn has_any(&self) -> bool {
        !self.rows.is_empty()
    }

    fn collect(&mut self, path: &mut Vec<String>, value: &Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                // Plain values first, so that no heading separates them.
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

/// Turns a name such as `frames_per_second` into words.
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
            // f32 values arrive as f64 with a tail of meaningless digits.
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
