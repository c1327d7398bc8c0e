//! Formats numbers for people.

use std::ops::Range;

/// Groups digits: `1,234,567`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Groups digits from a thousand on; smaller numbers get at most three significant digits.
pub(crate) fn rounded(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        "unknown".to_owned()
    } else if size >= 99.95 {
        let sign = if number < 0.0 { "\u{2212}" } else { "" };
        format!("{sign}{}", grouped(size.round() as usize))
    } else {
        let digits = if size >= 9.995 { 1 } else { 2 };
        let text = format!("{number:.digits$}").replace('-', "\u{2212}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if text.is_empty() || text == "\u{2212}0" { "0".to_owned() } else { text.to_owned() }
    }
}

/// Formats a fraction as a percentage. It is 0 % only for none, and 100 % only for all.
pub(crate) fn percent(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "0 %".to_owned();
    }
    let share = 100.0 * part as f64 / whole as f64;
    match share {
        _ if part == 0 => "0 %".to_owned(),
        _ if part == whole => "100 %".to_owned(),
        _ if share < 0.01 => "under 0.01 %".to_owned(),
        _ if share < 1.0 => format!("{share:.2} %"),
        _ if share > 99.9 => "over 99.9 %".to_owned(),
        _ => format!("{share:.1} %"),
    }
}

/// Formats a count with its noun: `1 frame`, `2 frames`.
pub(crate) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Formats a range: `3`, or `3–7` for several frames.
pub(crate) fn span(range: &Range<usize>) -> String {
    if range.len() <= 1 {
        grouped(range.start)
    } else {
        format!("{}\u{2013}{}", grouped(range.start), grouped(range.end - 1))
    }
}

/// Formats the first ranges and the number of those left out.
pub(crate) fn spans(ranges: &[Range<usize>], most: usize) -> String {
    let mut list: Vec<String> = ranges.iter().take(most).map(span).collect();
    if ranges.len() > most {
        list.push(format!("and {} more", counted(ranges.len() - most, "span", "spans")));
    }
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!((grouped(0), grouped(999)), ("0".into(), "999".into()));
        let texts = [0.0, -0.001, 0.5, -3.25, 12.34, 99.96, 1234.4, -1234.4, f64::NAN].map(rounded);
        let expected =
            ["0", "0", "0.5", "\u{2212}3.25", "12.3", "100", "1,234", "\u{2212}1,234", "unknown"];
        assert_eq!(texts, expected);
        assert_eq!(percent(1, 1_000_000), "under 0.01 %");
        assert_eq!(percent(999_999, 1_000_000), "over 99.9 %");
        assert_eq!(
            (percent(0, 0), percent(5, 5), percent(1, 3)),
            ("0 %".into(), "100 %".into(), "33.3 %".into())
        );
        assert_eq!(spans(&[3..4, 6..8, 10..11], 2), "3, 6\u{2013}7, and 1 span more");
        assert_eq!(counted(1, "frame", "frames"), "1 frame");
    }
}
