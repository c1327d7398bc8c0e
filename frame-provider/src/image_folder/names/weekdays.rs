//! Days of the week before dates, which are not in alphabetical order.

use std::collections::HashSet;

const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Stands for a letter of a day of the week. No file name contains it.
pub(super) const PLACEHOLDER: char = '\u{1}';

/// Returns the names with [`PLACEHOLDER`]s for the letters of their days of the week; `None` unless
/// each name has a day of the week and they differ.
pub(super) fn left_out(stems: &[String]) -> Option<Vec<String>> {
    let found: Vec<(usize, usize)> = stems.iter().map(|stem| find(stem)).collect::<Option<_>>()?;
    let day = |(stem, (start, end)): (&String, &(usize, usize))| stem[*start..*end].to_lowercase();
    let days: HashSet<String> = stems.iter().zip(&found).map(day).collect();
    (days.len() > 1).then_some(())?;
    let without = |(stem, (start, end)): (&String, &(usize, usize))| {
        format!(
            "{}{}{}",
            &stem[..*start],
            PLACEHOLDER.to_string().repeat(end - start),
            &stem[*end..]
        )
    };
    Some(stems.iter().zip(&found).map(without).collect())
}

/// Returns the position of the first day of the week, in full or as its first three letters.
fn find(stem: &str) -> Option<(usize, usize)> {
    const SHORT: usize = 3;
    let mut from = 0;
    while let Some(start) = stem[from..].find(char::is_alphabetic).map(|start| from + start) {
        let length = stem[start..].find(|c: char| !c.is_alphabetic()).unwrap_or(stem.len() - start);
        from = start + length;
        let word = stem[start..from].to_lowercase();
        if DAYS.iter().any(|day| *day == word || day[..SHORT] == word) {
            return Some((start, from));
        }
    }
    None
}
