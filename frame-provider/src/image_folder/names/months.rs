//! Names of months, which are not in alphabetical order.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::weekdays::PLACEHOLDER;
use super::{Kind, Names, Number};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Replaces the names of months by numbers, if names that are otherwise alike contain several
/// months: `may_01` alone may be an animal.
pub(super) fn take(names: &mut Names, stems: &[String]) {
    let mut alike: HashMap<Vec<String>, Vec<(usize, Found)>> = HashMap::new();
    for (index, stem) in stems.iter().enumerate() {
        let Some((at, found)) = find(names, index, stem) else { continue };
        let mut shape = names.names[index].texts.clone();
        shape[at] = found.around(stem).join("\0").to_lowercase();
        shape.iter_mut().for_each(|text| text.retain(|letter| letter != PLACEHOLDER));
        alike.entry(shape).or_default().push((index, Found { at, ..found }));
    }
    let mut without_year = None;
    for members in alike.into_values() {
        let months: HashSet<i128> = members.iter().map(|(_, found)| found.month).collect();
        if months.len() < 2 || !names.is_many(members.len()) {
            continue;
        }
        names.by_value = true;
        for (index, found) in members {
            let (name, stem) = (&mut names.names[index], &stems[index]);
            let is_folded = name.texts[found.at] != stem[found.text.clone()];
            let texts = found.around(stem);
            let texts =
                texts.map(|text| if is_folded { text.to_lowercase() } else { text.to_owned() });
            name.texts.splice(found.at..=found.at, texts);
            name.numbers.insert(found.at, Number::new(found.month, found.word, Kind::Month));
            let is_year =
                |number: Option<&Number>| number.is_some_and(|n| (1900..=2099).contains(&n.value));
            // The year may also come after the day and the time of day.
            let near = [found.at.checked_sub(1)]
                .into_iter()
                .chain([1, 2, 5].map(|further| Some(found.at + further)));
            let mut near = near.flatten();
            if !near.any(|near| is_year(name.numbers.get(near))) {
                without_year.get_or_insert(index);
            }
        }
    }
    if let Some(index) = without_year {
        names.guesses.push(format!(
            "the months in names such as {} were taken as those of one year, from January on; write the year first to say another \
             order (2023-01)",
            stems[index]
        ));
    }
}

/// The name of a month within a stem.
struct Found {
    /// Index of the text that contains it.
    at: usize,
    text: Range<usize>,
    word: Range<usize>,
    month: i128,
}

impl Found {
    /// Returns the text before the month and the text after it.
    fn around<'a>(&self, stem: &'a str) -> [&'a str; 2] {
        [&stem[self.text.start..self.word.start], &stem[self.word.end..self.text.end]]
    }
}

/// Returns the first name of a month, in full or as its first three letters.
fn find(names: &Names, index: usize, stem: &str) -> Option<(usize, Found)> {
    let name = &names.names[index];
    for at in 0..name.texts.len() {
        let start = at.checked_sub(1).map_or(0, |before| name.numbers[before].place.end);
        let end = name.numbers.get(at).map_or(stem.len(), |number| number.place.start);
        let text = stem.get(start..end)?;
        let mut from = 0;
        while let Some(first) = text[from..].find(char::is_alphabetic).map(|first| from + first) {
            let length =
                text[first..].find(|c: char| !c.is_alphabetic()).unwrap_or(text.len() - first);
            from = first + length;
            if let Some(month) = month_of(&text[first..from]) {
                let word = start + first..start + from;
                return Some((at, Found { at, text: start..end, word, month }));
            }
        }
    }
    None
}

fn month_of(word: &str) -> Option<i128> {
    const SHORT: usize = 3;
    let word = word.to_lowercase();
    let is_it = |month: &str| {
        month == word || month[..SHORT] == word || word == "sept" && month.starts_with("sept")
    };
    let at = MONTHS.iter().position(|month| is_it(month))?;
    Some(at as i128 + 1)
}
