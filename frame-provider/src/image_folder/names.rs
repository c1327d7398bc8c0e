//! File names as texts and numbers: minus signs and time stamps told from separators and counters.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

/// Longer runs of digits are hashes or identifiers, not numbers that count anything.
const MOST_DIGITS: usize = 30;

/// The name of an image without its ending: `cam1_007` is the texts `cam`, `_` and nothing, with the numbers 1 and 7 between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// One more than there are numbers.
    pub(super) texts: Vec<String>,
    pub(super) numbers: Vec<Number>,
}

/// A number within a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: i128,
    /// Where it stands in the name, with its sign.
    pub(super) place: Range<usize>,
    /// Whether it is a date or a time of day, whose steps count no frames.
    pub(super) is_stamp: bool,
}

impl Name {
    fn parse(stem: &str) -> Self {
        let mut name = Self { texts: vec![String::new()], numbers: Vec::new() };
        let mut start = 0;
        while start < stem.len() {
            let rest = &stem[start..];
            let is_digit = rest.starts_with(|c: char| c.is_ascii_digit());
            let end = rest
                .find(|c: char| c.is_ascii_digit() != is_digit)
                .map_or(stem.len(), |length| start + length);
            let run = &stem[start..end];
            match run.parse() {
                Ok(value) if is_digit && run.len() <= MOST_DIGITS => {
                    name.numbers.push(Number { value, place: start..end, is_stamp: false });
                    name.texts.push(String::new());
                }
                _ => {
                    if let Some(text) = name.texts.last_mut() {
                        text.push_str(run);
                    }
                }
            }
            start = end;
        }
        name
    }

    /// The sign right before number `at`, unless another number ends there.
    fn sign(&self, at: usize) -> Option<char> {
        let text = &self.texts[at];
        let is_separator = at > 0 && text.chars().count() == 1;
        text.chars().next_back().filter(|c| matches!(c, '-' | '+') && !is_separator)
    }

    /// The texts without the signs before numbers.
    fn unsigned_texts(&self) -> Vec<String> {
        let mut texts = self.texts.clone();
        for (at, text) in texts.iter_mut().enumerate().take(self.numbers.len()) {
            if self.sign(at).is_some() {
                text.pop();
            }
        }
        texts
    }

    /// Takes the sign before number `at` as its sign.
    fn take_sign(&mut self, at: usize) {
        if let Some(sign) = self.sign(at) {
            self.texts[at].pop();
            let number = &mut self.numbers[at];
            number.place.start -= 1;
            if sign == '-' {
                number.value = -number.value;
            }
        }
    }

    /// Compares texts by character and numbers by value, with their signs.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        for at in 0..self.texts.len().min(other.texts.len()) {
            let texts = self.texts[at].cmp(&other.texts[at]);
            let numbers = || match (self.numbers.get(at), other.numbers.get(at)) {
                (Some(a), Some(b)) => a.value.cmp(&b.value),
                (a, b) => a.is_some().cmp(&b.is_some()),
            };
            match texts.then_with(numbers) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        Ordering::Equal
    }
}

/// The names of all images of a folder, read together: only then does it show whether a hyphen is a minus sign.
pub(super) struct Names {
    pub(super) names: Vec<Name>,
    /// Whether minus signs count.
    pub(super) signed: bool,
    /// Whether hyphens before numbers without leading zeros were taken as separators.
    pub(super) hyphens: bool,
}

impl Names {
    pub(super) fn parse(stems: &[String]) -> Self {
        let mut names: Vec<Name> = stems.iter().map(|stem| Name::parse(stem)).collect();
        // A hyphen is a minus sign where the same number also comes without a sign, or with a plus.
        let mut evidence: HashMap<(Vec<String>, usize), [bool; 3]> = HashMap::new();
        for name in &names {
            let texts = name.unsigned_texts();
            for at in 0..name.numbers.len() {
                let found = evidence.entry((texts.clone(), at)).or_default();
                match name.sign(at) {
                    Some('-') => found[0] = true,
                    Some(_) => found[1] = true,
                    None => found[2] = true,
                }
            }
        }
        let (mut signed, mut hyphens) = (false, false);
        for (name, stem) in names.iter_mut().zip(stems) {
            let texts = name.unsigned_texts();
            for at in 0..name.numbers.len() {
                match evidence.get(&(texts.clone(), at)) {
                    Some([true, plus, none]) if *plus || *none => {
                        name.take_sign(at);
                        signed = true;
                    }
                    Some([true, ..]) => {
                        let digits = &stem[name.numbers[at].place.clone()];
                        hyphens |= !digits.starts_with('0');
                    }
                    _ => {}
                }
            }
        }
        fuse_stamps(&mut names, stems);
        Self { names, signed, hyphens }
    }
}

/// Makes one number of the parts of each date and time, group by group of names with the same texts.
fn fuse_stamps(names: &mut [Name], stems: &[String]) {
    let mut groups: HashMap<Vec<String>, Vec<usize>> = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        groups.entry(name.texts.clone()).or_default().push(index);
    }
    for members in groups.into_values() {
        let mut at = 0;
        while at < names[members[0]].numbers.len() {
            let length = stamp_length(names, stems, &members, at);
            if length > 0 {
                members.iter().for_each(|&member| fuse(&mut names[member], at, length));
            }
            at += 1;
        }
    }
}

fn fuse(name: &mut Name, at: usize, length: usize) {
    let parts: Vec<Number> = name.numbers.drain(at..at + length).collect();
    name.texts.drain(at + 1..at + length);
    let place = parts[0].place.start..parts[length - 1].place.end;
    let value = parts.iter().fold(0i128, |sum, part| {
        let digits = part.place.len().max(2) as u32;
        let shift = 10i128.checked_pow(digits).unwrap_or(1);
        sum.saturating_mul(shift).saturating_add(part.value)
    });
    name.numbers.insert(at, Number { value, place, is_stamp: true });
}

/// How many numbers from `at` on make a date, a time or both, in all members of a group; 0 if they do not.
fn stamp_length(names: &[Name], stems: &[String], members: &[usize], at: usize) -> usize {
    let all = |test: &dyn Fn(&Name, &str) -> bool| {
        members.iter().all(|&member| test(&names[member], &stems[member]))
    };
    if all(&|name, stem| digits(name, stem, at).is_some_and(is_date_and_clock)) {
        return 1;
    }
    let date = if all(&|name, stem| digits(name, stem, at).is_some_and(is_date)) {
        1
    } else if all(&|name, stem| has_date_parts(name, stem, at)) {
        3
    } else {
        0
    };
    let clock_at = at + date;
    let clock = if date > 0 && all(&|name, stem| digits(name, stem, clock_at).is_some_and(is_clock))
    {
        1
    } else if all(&|name, stem| has_clock_parts(name, stem, clock_at, date > 0)) {
        3
    } else {
        0
    };
    if date + clock == 0 {
        if is_decimal(names, stems, members, at) {
            return 2;
        }
        return usize::from(is_clock_alone(names, stems, members, at));
    }
    let next = clock_at + clock;
    let has_fraction = clock > 0
        && all(&|name, _| {
            next < name.numbers.len() && matches!(name.texts[next].as_str(), "." | ",")
        });
    date + clock + usize::from(has_fraction)
}

fn digits<'a>(name: &Name, stem: &'a str, at: usize) -> Option<&'a str> {
    name.numbers.get(at).filter(|number| !number.is_stamp).map(|number| &stem[number.place.clone()])
}

/// `digits[range]` as a number between the bounds.
fn part(digits: &str, range: Range<usize>, bounds: std::ops::RangeInclusive<u32>) -> bool {
    digits.get(range).and_then(|part| part.parse().ok()).is_some_and(|part| bounds.contains(&part))
}

/// `20260131`.
fn is_date(digits: &str) -> bool {
    digits.len() == 8
        && part(digits, 0..4, 1900..=2099)
        && part(digits, 4..6, 1..=12)
        && part(digits, 6..8, 1..=31)
}

/// `235959`, also with fractions of a second.
fn is_clock(digits: &str) -> bool {
    matches!(digits.len(), 6..=12)
        && part(digits, 0..2, 0..=23)
        && part(digits, 2..4, 0..=59)
        && part(digits, 4..6, 0..=59)
}

/// `20260131235959`, also with fractions of a second.
fn is_date_and_clock(digits: &str) -> bool {
    digits.len() >= 14
        && digits.get(..8).is_some_and(is_date)
        && digits.get(8..14).is_some_and(is_clock)
}

/// `2026-01-31`.
fn has_date_parts(name: &Name, stem: &str, at: usize) -> bool {
    let found = [0, 1, 2].map(|i| digits(name, stem, at + i));
    let [Some(year), Some(month), Some(day)] = found else { return false };
    let joined = [1, 2].iter().all(|i| matches!(name.texts[at + i].as_str(), "-" | "_" | "."));
    joined
        && year.len() == 4
        && part(year, 0..4, 1900..=2099)
        && month.len() <= 2
        && part(month, 0..month.len(), 1..=12)
        && day.len() <= 2
        && part(day, 0..day.len(), 1..=31)
}

/// `23-59-59`, or with underscores after a date.
fn has_clock_parts(name: &Name, stem: &str, at: usize, after_date: bool) -> bool {
    let found = [0, 1, 2].map(|i| digits(name, stem, at + i));
    let [Some(hour), Some(minute), Some(second)] = found else { return false };
    let joined = [1, 2].iter().all(|i| match name.texts[at + i].as_str() {
        "-" | "." | "h" | "m" => true,
        "_" => after_date,
        _ => false,
    });
    joined
        && [hour, minute, second].iter().all(|digits| digits.len() <= 2)
        && part(hour, 0..hour.len(), 0..=23)
        && part(minute, 0..minute.len(), 0..=59)
        && part(second, 0..second.len(), 0..=59)
}

/// `0.5`, where all steps from one name to the next are the same: `cam1.001` after `cam1.000` and before `cam2.000` is a number
/// of a series.
fn is_decimal(names: &[Name], stems: &[String], members: &[usize], at: usize) -> bool {
    const ENOUGH: usize = 3;
    let value = |member: usize| {
        let (name, stem) = (&names[member], &stems[member]);
        let (whole, fraction) = (digits(name, stem, at)?, digits(name, stem, at + 1)?);
        let value = format!("{whole}{fraction}").parse::<i128>().ok()?;
        (name.texts[at + 1] == ".").then_some((fraction.len(), value))
    };
    let Some(mut values) = members.iter().map(|&member| value(member)).collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    values.sort_unstable();
    let steps = |pair: &[(usize, i128)]| pair[1].1.saturating_sub(pair[0].1);
    let same_width = values.windows(2).all(|pair| pair[0].0 == pair[1].0);
    let mut all_steps = values.windows(2).map(steps);
    let first = all_steps.next();
    values.len() >= ENOUGH
        && same_width
        && first > Some(0)
        && all_steps.all(|step| Some(step) == first)
}

/// Six digits without a date are a time of day if none of many names has a 60th second or minute, over more than a minute.
fn is_clock_alone(names: &[Name], stems: &[String], members: &[usize], at: usize) -> bool {
    const ENOUGH: usize = 5;
    let found = || members.iter().map(|&member| digits(&names[member], &stems[member], at));
    if members.len() < ENOUGH
        || !found().all(|digits| digits.is_some_and(|digits| digits.len() == 6 && is_clock(digits)))
    {
        return false;
    }
    let minutes: std::collections::HashSet<_> =
        found().flatten().map(|digits| digits[..4].to_owned()).collect();
    minutes.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(stems: &[&str]) -> Names {
        Names::parse(&stems.iter().map(|&stem| stem.to_owned()).collect::<Vec<_>>())
    }

    fn values(names: &Names) -> Vec<Vec<i128>> {
        let of = |name: &Name| name.numbers.iter().map(|number| number.value).collect();
        names.names.iter().map(of).collect()
    }

    #[test]
    fn a_hyphen_is_a_minus_sign_only_where_there_is_evidence() {
        let names = parse(&["frame-12", "frame-1", "frame0", "frame11"]);
        assert!(names.signed);
        assert_eq!(values(&names), [[-12], [-1], [0], [11]]);
        let names = parse(&["t-5", "t+0", "t+5"]);
        assert_eq!(values(&names), [[-5], [0], [5]]);
        assert_eq!(values(&parse(&["-1", "0", "1"])), [[-1], [0], [1]]);
        let names = parse(&["frame-1", "frame-24"]);
        assert!(!names.signed && names.hyphens);
        assert_eq!(values(&names), [[1], [24]]);
        assert!(!parse(&["img-001", "img-002"]).hyphens);
        // Between two numbers a hyphen separates.
        let names = parse(&["m1-1", "m1-2", "m12"]);
        assert!(!names.signed);
    }

    #[test]
    fn dates_and_times_are_one_number_that_counts_nothing() {
        for stem in [
            "img_20260101_120000",
            "img_2026-01-31_12-00-59",
            "20260101120000123",
            "20260101-12-00-00.125",
            "cam 12h03m22s",
            "2026-1-31",
        ] {
            let names = parse(&[stem, stem]);
            let numbers = &names.names[0].numbers;
            assert_eq!(numbers.len(), 1, "{stem}: {numbers:?}");
            assert!(numbers[0].is_stamp, "{stem}");
        }
        for stem in ["p01_02_03", "cam1_000", "frame_000059", "20261301", "m12-60-10"] {
            let names = parse(&[stem, stem]);
            assert!(names.names[0].numbers.iter().all(|number| !number.is_stamp), "{stem}");
        }
        let seconds = parse(&["t=0.0s", "t=0.5s", "t=1.0s", "t=1.5s"]);
        assert_eq!(values(&seconds).len(), 4);
        assert!(seconds.names.iter().all(|name| name.numbers.len() == 1));
        let cameras = parse(&["cam1.000", "cam1.001", "cam2.000", "cam2.001"]);
        assert!(cameras.names.iter().all(|name| name.numbers.len() == 2));
        let clock = ["115958", "115959", "120000", "120001", "120002"];
        assert!(parse(&clock).names[0].numbers[0].is_stamp);
        let counter = ["000098", "000099", "000100", "000101", "000102"];
        assert!(!parse(&counter).names[0].numbers[0].is_stamp);
    }

    proptest! {
        #[test]
        fn any_names_are_taken_apart(stems in prop::collection::vec("[a-c_.+é0-9-]{0,24}", 1..6)) {
            let names = Names::parse(&stems);
            for (name, stem) in names.names.iter().zip(&stems) {
                prop_assert_eq!(name.texts.len(), name.numbers.len() + 1);
                for number in &name.numbers {
                    prop_assert!(stem.get(number.place.clone()).is_some());
                }
            }
        }
    }
}
