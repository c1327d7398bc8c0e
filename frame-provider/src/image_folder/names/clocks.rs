//! Times of day with AM or PM. Their hours as written do not rise from morning to evening.

use super::{Kind, Names};

/// Factor of a date before its time of day is added; larger than the number of seconds of a day.
pub(super) const UNIT: i128 = 100_000;

/// Turns each time of day followed by AM or PM into one number, in seconds: `9.59.58 AM`, `12_00
/// pm`.
pub(super) fn take(names: &mut Names, stems: &[String]) {
    for (name, stem) in names.names.iter_mut().zip(stems) {
        let found = (1..name.texts.len()).find_map(|at| {
            let start = name.numbers[at - 1].place.end;
            let end = name.numbers.get(at).map_or(stem.len(), |number| number.place.start);
            let (is_afternoon, length) = half_of_day(stem.get(start..end)?)?;
            let parts = parts_before(&name.texts, at)?;
            let digits: Vec<&str> =
                (at - parts..at).map(|part| name.digits(stem, part)).collect::<Option<_>>()?;
            Some((at, parts, seconds(&digits, is_afternoon)?, start, start + length, end))
        });
        let Some((at, parts, value, start, after, end)) = found else { continue };
        // The text may have been converted to lower case.
        let is_folded = name.texts[at] != stem[start..end];
        let rest = &stem[after..end];
        name.texts[at] = if is_folded { rest.to_lowercase() } else { rest.to_owned() };
        name.fuse(at - parts, parts, value, 0, Kind::Time);
        name.numbers[at - parts].place.end = after;
        names.by_value = true;
    }
}

/// Returns whether a text begins with PM or with AM, and the length up to the end of that word.
/// macOS writes a narrow space before it.
fn half_of_day(text: &str) -> Option<(bool, usize)> {
    let word = text.trim_start_matches([' ', '\u{a0}', '\u{202f}', '_', '-', '.']);
    let before = text.len() - word.len();
    let (is_afternoon, length) = [("am", false), ("pm", true), ("a.m.", false), ("p.m.", true)]
        .into_iter()
        .find(|(name, _)| word.get(..name.len()).is_some_and(|w| w.eq_ignore_ascii_case(name)))
        .map(|(name, is_afternoon)| (is_afternoon, name.len()))?;
    let after = word[length..].chars().next();
    (!after.is_some_and(char::is_alphanumeric)).then_some((is_afternoon, before + length))
}

/// Returns the number of numbers that the time of day before text `at` consists of; `None` if that
/// is not clear.
fn parts_before(texts: &[String], at: usize) -> Option<usize> {
    let joint = texts.get(at.checked_sub(1)?)?.as_str();
    if joint == "h" {
        return Some(2);
    }
    if joint == "m" && texts.get(at.checked_sub(2)?)? == "h" {
        return Some(3);
    }
    if !matches!(joint, "-" | "." | ":" | "_") {
        return None;
    }
    let joints = texts[1..at].iter().rev().take_while(|text| *text == joint).count();
    // If there are more, a date precedes the time, and its parts are joined in the same way.
    match joints {
        1 | 3 | 4 => Some(2),
        2 | 5 => Some(3),
        _ => None,
    }
}

/// Returns the seconds since midnight; `None` if the digits are not a time of day of a 12-hour
/// clock.
fn seconds(digits: &[&str], is_afternoon: bool) -> Option<i128> {
    let number = |at: usize| digits.get(at).map_or(Some(0), |part| part.parse::<i128>().ok());
    let (hour, minute, second) = (number(0)?, number(1)?, number(2)?);
    let is_padded = digits.get(1..)?.iter().all(|part| part.len() == 2);
    let is_time = (1..=12).contains(&hour) && minute < 60 && second < 60 && digits[0].len() <= 2;
    let hour = hour % 12 + if is_afternoon { 12 } else { 0 };
    (is_padded && is_time).then_some((hour * 60 + minute) * 60 + second)
}
