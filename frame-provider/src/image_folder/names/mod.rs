//! Splits file names into texts and numbers, and distinguishes minus signs, decimals, powers of
//! ten, dates and times from separators and counters.

mod clocks;
mod decimals;
mod exponents;
mod months;
mod stamps;
mod weekdays;

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Longer runs of digits are hashes or identifiers, not numbers that count.
const MOST_DIGITS: usize = 30;

/// Characters after which a hyphen is a sign: two separators in a row would be unusual.
const SEPARATORS: &str = "_=-([{,;:+~. ";

/// The typographic minus sign, which is never a separator.
const MINUS: char = '\u{2212}';

/// The name of an image without its ending. For example, `cam1_007` consists of the texts `cam`,
/// `_` and an empty text, with the numbers 1 and 7 between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The texts; one more than there are numbers.
    pub(crate) texts: Vec<String>,
    pub(crate) numbers: Vec<Number>,
}

/// A number within a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    /// The value with its sign, and without its decimal point.
    pub(crate) value: i128,
    /// Number of digits of the value after the decimal point.
    pub(crate) decimals: u32,
    /// Byte range of the number in the name, including its sign.
    pub(crate) place: Range<usize>,
    pub(crate) kind: Kind,
    is_negative: bool,
}

/// The meaning of a number in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A count or a measured value.
    Count,
    /// The name of a month.
    Month,
    /// A day or a month; its steps do not count frames.
    Date,
    /// A time of day, perhaps with the date; its steps do not count frames.
    Time,
    /// A number with a power of ten, stored as its rank among all of them; its steps do not count
    /// frames either.
    Measure,
}

impl Number {
    fn new(value: i128, place: Range<usize>, kind: Kind) -> Self {
        Self { value, decimals: 0, place, kind, is_negative: false }
    }

    /// Returns true if its steps do not count frames: it is a date, a time of day or a number with
    /// a power of ten.
    pub(crate) fn is_stamp(&self) -> bool {
        self.kind != Kind::Count
    }
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
                    name.numbers.push(Number::new(value, start..end, Kind::Count));
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

    /// Returns the sign right before number `at`, unless another number ends there.
    fn sign(&self, at: usize) -> Option<char> {
        let text = &self.texts[at];
        let is_separator = at > 0 && text.chars().count() == 1;
        let is_count = matches!(self.numbers[at].kind, Kind::Count | Kind::Measure);
        let sign = text.chars().next_back();
        sign.filter(|&c| (c == '+' || is_minus(c)) && !is_separator && is_count)
    }

    /// Returns true if the character before number `at` can only be a minus sign: a hyphen that
    /// begins the name or follows a separator, or [`MINUS`].
    fn has_evident_minus(&self, at: usize) -> bool {
        let mut before = self.texts[at].chars().rev().skip(1);
        match self.sign(at) {
            Some('-') => before.next().is_none_or(|c| SEPARATORS.contains(c)),
            sign => sign == Some(MINUS),
        }
    }

    /// Returns the texts without the signs before numbers.
    fn unsigned_texts(&self) -> Vec<String> {
        let mut texts = self.texts.clone();
        for (at, text) in texts.iter_mut().enumerate().take(self.numbers.len()) {
            if self.sign(at).is_some() {
                text.pop();
            }
        }
        texts
    }

    /// Makes the sign before number `at` part of the number.
    fn take_sign(&mut self, at: usize) {
        if let Some(sign) = self.sign(at) {
            self.texts[at].pop();
            let number = &mut self.numbers[at];
            number.place.start -= sign.len_utf8();
            if is_minus(sign) {
                number.value = -number.value;
                number.is_negative = true;
            }
        }
    }

    /// Replaces `length` numbers from `at` onwards, and the texts between them, by one number.
    fn fuse(&mut self, at: usize, length: usize, value: i128, decimals: u32, kind: Kind) {
        let parts: Vec<Number> = self.numbers.drain(at..at + length).collect();
        self.texts.drain(at + 1..at + length);
        let place = parts[0].place.start..parts[length - 1].place.end;
        let is_negative = parts[0].is_negative;
        self.numbers.insert(at, Number { value, decimals, place, kind, is_negative });
    }

    /// Returns the digits of number `at`, without its sign, if the number is a count.
    fn digits<'a>(&self, stem: &'a str, at: usize) -> Option<&'a str> {
        let number = self.numbers.get(at).filter(|number| number.kind == Kind::Count)?;
        Some(stem[number.place.clone()].trim_start_matches(['-', '+', MINUS]))
    }

    /// Compares texts by character and numbers by value, with their signs.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
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

/// Why hyphens were interpreted as minus signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Minus {
    /// The same name also occurs without one.
    Compared,
    /// They begin the name or follow a separator.
    Evident,
}

/// The names of all images of a folder. They must be read together to decide whether a hyphen is a
/// minus sign, and what the numbers of a date mean.
pub(crate) struct Names {
    pub(crate) names: Vec<Name>,
    /// Why minus signs were recognised, if they were.
    pub(crate) minus: Option<Minus>,
    /// True if hyphens before numbers without leading zeros were interpreted as separators.
    pub(crate) hyphens: bool,
    /// True if names differ in letter case, which is ignored.
    pub(crate) is_folded: bool,
    /// True if [`Name::compare`] gives the order, not the natural order of the names as written.
    pub(crate) by_value: bool,
    /// Interpretations of the names that are guesses, in words for the user.
    pub(crate) guesses: Vec<String>,
    /// Why the dates in the names do not give the order, in words for the user.
    pub(crate) doubt: Option<String>,
}

impl Names {
    /// Reads names without their endings.
    pub(crate) fn parse(stems: &[String]) -> Self {
        // A day of the week adds nothing to the date that follows it.
        let is_date = |number: &Number| number.is_stamp() && number.kind != Kind::Measure;
        let has_date = |name: &Name| name.numbers.iter().any(is_date);
        let Some(written) = weekdays::left_out(stems) else {
            return Self::parse_with(stems, None);
        };
        let mut all = Self::parse_with(stems, Some(&written));
        if !all.names.iter().all(has_date) {
            return Self::parse_with(stems, None);
        }
        // Messages show the original names.
        for text in all.guesses.iter_mut().chain(&mut all.doubt) {
            for (written, stem) in written.iter().zip(stems) {
                *text = text.replace(written.as_str(), stem);
            }
        }
        all
    }

    /// Reads names, or `written` in their place, which has as many bytes but placeholders for the
    /// days of the week.
    fn parse_with(stems: &[String], written: Option<&[String]>) -> Self {
        let by_value = written.is_some();
        let stems = written.unwrap_or(stems);
        let mut names: Vec<Name> = stems.iter().map(|stem| Name::parse(stem)).collect();
        let is_folded = fold_case(&mut names, stems);
        let mut all = Self {
            names,
            minus: None,
            hyphens: false,
            is_folded,
            by_value: by_value || is_folded,
            guesses: Vec::new(),
            doubt: None,
        };
        months::take(&mut all, stems);
        clocks::take(&mut all, stems);
        let texts = all.names.iter_mut().flat_map(|name| &mut name.texts);
        texts.for_each(|text| text.retain(|letter| letter != weekdays::PLACEHOLDER));
        exponents::take(&mut all, stems);
        all.take_signs(stems);
        stamps::take(&mut all, stems);
        decimals::take(&mut all, stems);
        stamps::take_clocks(&mut all, stems);
        all
    }

    fn take_signs(&mut self, stems: &[String]) {
        let has_minus =
            |name: &Name| (0..name.numbers.len()).any(|at| name.sign(at).is_some_and(is_minus));
        if !self.names.iter().any(has_minus) {
            return;
        }
        // A hyphen is a minus sign if the same number also occurs without a sign, or with a plus.
        let mut alike: HashMap<Vec<String>, usize> = HashMap::new();
        let mut evidence: Vec<Vec<[bool; 3]>> = Vec::new();
        let mut kinds = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let kind = *alike.entry(name.unsigned_texts()).or_insert_with(|| {
                evidence.push(vec![[false; 3]; name.numbers.len()]);
                evidence.len() - 1
            });
            kinds.push(kind);
            for (at, found) in evidence[kind].iter_mut().enumerate() {
                match name.sign(at) {
                    Some(sign) if is_minus(sign) => found[0] = true,
                    Some(_) => found[1] = true,
                    None => found[2] = true,
                }
            }
        }
        // `z-0.5` next to `z-1` and `z0`: whole numbers are evidence for decimals too.
        let whole_of = |texts: &Vec<String>, at: usize| {
            let is_point = matches!(texts[at + 1].as_str(), "." | ",") && at + 2 < texts.len();
            let mut whole = texts.clone();
            is_point.then(|| whole.remove(at + 1))?;
            alike.get(&whole).copied()
        };
        for (texts, &kind) in &alike {
            for at in 0..evidence[kind].len() {
                let Some(whole) = whole_of(texts, at) else { continue };
                let [_, plus, none] = evidence[whole][at];
                evidence[kind][at][1] |= plus;
                evidence[kind][at][2] |= none;
            }
        }
        for ((name, stem), kind) in self.names.iter_mut().zip(stems).zip(kinds) {
            for (at, found) in evidence[kind].iter().enumerate() {
                match found {
                    [true, plus, none] if *plus || *none => {
                        name.take_sign(at);
                        self.minus = Some(Minus::Compared);
                    }
                    [true, ..] if name.has_evident_minus(at) => {
                        name.take_sign(at);
                        self.minus.get_or_insert(Minus::Evident);
                    }
                    [true, ..] => {
                        let digits = &stem[name.numbers[at].place.clone()];
                        self.hyphens |= !digits.starts_with('0');
                    }
                    _ => {}
                }
            }
        }
        self.by_value |= self.minus.is_some();
    }

    /// Returns true if this many names are enough evidence of how to read names of their kind:
    /// among thousands of hashes, a few look like anything.
    fn is_many(&self, names: usize) -> bool {
        const SHARE: usize = 8;
        names * SHARE >= self.names.len()
    }

    /// Returns the positions of the names, grouped by equal texts.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut numbers: HashMap<&[String], usize> = HashMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            let group = *numbers.entry(&name.texts).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(index);
        }
        groups
    }
}

fn is_minus(letter: char) -> bool {
    matches!(letter, '-' | MINUS)
}

/// Converts the texts to lower case unless two names would then be equal: `Frame1` and `frame2`
/// belong to one series. Returns true if that affects the order.
fn fold_case(names: &mut [Name], stems: &[String]) -> bool {
    let folded: HashSet<String> = stems.iter().map(|stem| stem.to_lowercase()).collect();
    if folded.len() < stems.len() {
        return false;
    }
    let shapes =
        |names: &[Name]| names.iter().map(|name| name.texts.clone()).collect::<HashSet<_>>().len();
    let before = shapes(names);
    let lower = |text: &mut String| *text = text.to_lowercase();
    names.iter_mut().for_each(|name| name.texts.iter_mut().for_each(lower));
    shapes(names) < before
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
        assert_eq!(names.minus, Some(Minus::Compared));
        assert_eq!(values(&names), [[-12], [-1], [0], [11]]);
        let names = parse(&["t-5", "t+0", "t+5"]);
        assert_eq!(values(&names), [[-5], [0], [5]]);
        assert_eq!(values(&parse(&["-1", "0", "1"])), [[-1], [0], [1]]);
        let names = parse(&["frame-1", "frame-24"]);
        assert!(names.minus.is_none() && names.hyphens);
        assert_eq!(values(&names), [[1], [24]]);
        assert!(!parse(&["img-001", "img-002"]).hyphens);
        // Between two numbers, a hyphen is a separator.
        let names = parse(&["m1-1", "m1-2", "m12"]);
        assert!(names.minus.is_none());
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
            assert!(numbers[0].is_stamp(), "{stem}");
        }
        for stem in ["p01_02_03", "cam1_000", "frame_000059", "20261301", "m12-60-10"] {
            let names = parse(&[stem, stem]);
            assert!(names.names[0].numbers.iter().all(|number| !number.is_stamp()), "{stem}");
        }
        let seconds = parse(&["t=0.0s", "t=0.5s", "t=1.0s", "t=1.5s"]);
        assert_eq!(values(&seconds).len(), 4);
        assert!(seconds.names.iter().all(|name| name.numbers.len() == 1));
        let cameras = parse(&["cam1.000", "cam1.001", "cam2.000", "cam2.001"]);
        assert!(cameras.names.iter().all(|name| name.numbers.len() == 2));
        let clock = ["115958", "115959", "120000", "120001", "120002"];
        assert!(parse(&clock).names[0].numbers[0].is_stamp());
        let counter = ["000098", "000099", "000100", "000101", "000102"];
        assert!(!parse(&counter).names[0].numbers[0].is_stamp());
    }

    /// Returns these names in the order given by their numbers.
    fn ordered<'a>(stems: &[&'a str]) -> Vec<&'a str> {
        let names = parse(stems);
        let mut order: Vec<usize> = (0..stems.len()).collect();
        order.sort_by(|&a, &b| names.names[a].compare(&names.names[b]));
        order.into_iter().map(|at| stems[at]).collect()
    }

    #[test]
    fn a_hyphen_after_a_separator_or_at_the_start_is_a_minus_sign() {
        for stems in [
            &["-20", "-12", "-5"][..],
            &["img_-20", "img_-12", "img_-5"],
            &["t=-20", "t=-12", "t=-5"],
            &["img (-20)", "img (-12)"],
            &["z_-1.5", "z_-1.25", "z_-0.5", "z_-0.25"],
        ] {
            assert_eq!(ordered(stems), stems);
            assert_eq!(parse(stems).minus, Some(Minus::Evident), "{stems:?}");
        }
        for stems in
            [&["img-20", "img-5"][..], &["a - 1", "a - 2"], &["2-1", "2-2"], &["p1_2-3", "p1_2-4"]]
        {
            assert_eq!(parse(stems).minus, None, "{stems:?}");
        }
    }

    #[test]
    fn the_minus_sign_of_typesetting_is_always_one() {
        for stems in [
            &["−20", "−5", "0"][..],
            &["t−20", "t−12", "t−5"],
            &["t−1.5s", "t−1.25s", "t−0.5s", "t0.5s"],
            &["t=−2", "t=-1", "t=0", "t=+1"],
        ] {
            assert_eq!(ordered(stems), stems);
            assert!(parse(stems).minus.is_some(), "{stems:?}");
        }
        assert_eq!(values(&parse(&["t−5_001", "t−5_002"])), [[-5, 1], [-5, 2]]);
        // Between two numbers it is a separator, like a hyphen.
        assert_eq!(parse(&["2−1", "2−2"]).minus, None);
    }

    #[test]
    fn numbers_with_powers_of_ten_are_ordered_by_value() {
        for stems in [
            &["t5e-4", "t1e-3", "t2e-3", "t1e-2"][..],
            &["t1.0e-05s", "t5.0e-05s", "t1.0e-04s", "t1.0e+00s"],
            &["x1E-5", "x2.5E-5", "x1E0", "x1E+2"],
            &["x1e−5", "x1e−4", "x2e−4"],
            &["x1,5e-5", "x1,5e-4"],
            // As written by C's %g.
            &["0", "1e-05", "2.5e-05", "0.0001", "0.00025", "1", "15", "1e+06"],
            &["t-2e-2", "t-1e-3", "t0", "t1e-3", "t2e-2"],
            &["t−2e-2", "t−1e-3", "t1e-3", "t2e-2"],
            &["run2_2e-3_001", "run2_2e-3_002", "run2_1e-2_001"],
        ] {
            let names = parse(stems);
            assert_eq!(ordered(stems), stems);
            assert_eq!(names.guesses, [""; 0], "{stems:?}");
            let is_measure = |number: &Number| number.kind == Kind::Measure;
            assert!(
                names.names.iter().all(|name| name.numbers.iter().any(is_measure)),
                "{stems:?}"
            );
        }
        let names = parse(&["t1e-3", "t1e-2", "t1e-1"]);
        assert_eq!(values(&names), [[1], [2], [3]]);
        assert!(names.guesses[0].contains("1e-3 comes before 1e-2"), "{:?}", names.guesses);
        assert!(parse(&["t1e3", "t2e2"]).guesses[0].contains("taken as a letter"));
    }

    #[test]
    fn a_letter_e_between_counters_is_no_power_of_ten() {
        let many: Vec<String> = (1..120).map(|n| format!("mouse1e-{n}")).collect();
        let names = Names::parse(&many);
        assert!(names.names.iter().all(|name| name.numbers.len() == 2) && names.guesses.is_empty());
        for stems in [
            &["s1e1", "s1e2", "s1e3"][..],
            &["plate1e01", "plate1e02", "plate2e03"],
            &["v1.2.3e-1", "v1.2.3e-2"],
            &["m1e-1.1", "m1e-1.2"],
            &["take1e-20260101", "take1e-20260102"],
            &["exp1e-3_001", "exp1e-3_002"],
            &["3e-a1", "3e-a2"],
        ] {
            let names = parse(stems);
            assert_eq!(ordered(stems), stems);
            assert_eq!(names.guesses, [""; 0], "{stems:?}");
            let is_measure = |number: &Number| number.kind == Kind::Measure;
            assert!(
                !names.names.iter().any(|name| name.numbers.iter().any(is_measure)),
                "{stems:?}"
            );
        }
    }

    #[test]
    fn decimals_are_ordered_by_value_and_counters_are_not() {
        for stems in [
            &["t0.25", "t0.5", "t0.75", "t1.0", "t1.25", "t1.5"][..],
            &["1700000000.041667", "1700000000.25", "1700000000.3", "1700000001.125"],
            &["t=0.1s", "t=0.4s", "t=0.9s", "t=1s", "t=1.6s"],
            &["x0,5", "x0,75", "x1,0"],
        ] {
            let names = parse(stems);
            assert!(names.names.iter().all(|name| name.numbers.len() == 1), "{stems:?}");
            assert_eq!(ordered(stems), stems);
        }
        let all: Vec<String> = (1..17).map(|n| format!("t={}.{}s", n / 10, n % 10)).collect();
        assert!(Names::parse(&all).names.iter().all(|name| name.numbers.len() == 1));
        let spaced = parse(&["t0.5", "t0.9", "t2.3", "t2.6", "t5.1", "t5.2"]);
        assert!(spaced.names.iter().all(|name| name.numbers.len() == 1));
        for stems in [
            &["v1.8", "v1.9", "v1.10", "v1.11"][..],
            &["cam1.010", "cam1.020", "cam1.030", "cam2.010", "cam2.020"],
            &["1.2.77", "1.2.100"],
            &["frame12", "frame12.1", "frame13", "frame14"],
        ] {
            assert_eq!(ordered(stems), stems);
            assert!(parse(stems).names.iter().any(|name| name.numbers.len() > 1), "{stems:?}");
        }
        assert!(parse(&["t1.25", "t1.5"]).guesses[0].contains("1.25 comes before 1.5"));
        assert!(parse(&["t1.05", "t1.5"]).guesses.is_empty());
    }

    #[test]
    fn dates_are_ordered_by_year_month_and_day() {
        for stems in [
            &["m_13-01-2023", "m_02-02-2023", "m_01-03-2023"][..],
            &["01-25-2023_1", "02-02-2023_1", "03-01-2023_1"],
            &["31122022", "01012023", "15012023"],
            &["img 31.12.2022 10-00-00", "img 01.01.2023 09-00-00"],
            &["2023-Jan-30", "2023-Feb-01", "2023-Dec-05"],
            &["Dec-2022", "Jan-2023", "Apr-2023"],
            &["5Mar2023", "12Mar2023", "1Apr2023"],
            &["March 5, 2023", "April 1, 2023"],
            &["Jan", "Feb", "Mar", "Apr"],
            &["20260101-12-00-00.125", "20260101-12-00-00.5"],
            // Microseconds without leading zeros.
            &["20260101-12-00-00.5", "20260101-12-00-00.20", "20260101-12-00-00.125"],
            &["20260101120000025", "2026010112000005", "202601011200003"],
        ] {
            let names = parse(stems);
            assert_eq!(names.doubt, None, "{stems:?}");
            assert!(names.names.iter().all(|name| name.numbers[0].is_stamp()), "{stems:?}");
            assert_eq!(ordered(stems), stems);
        }
        for stems in [&["01-05-2023", "02-03-2023"][..], &["m 03042023", "m 04032023"]] {
            assert!(parse(stems).doubt.is_some(), "{stems:?}");
        }
        for stems in [
            // Days of one month, or one day of several: the order is the same.
            &["01-02-2023", "02-02-2023", "03-02-2023"][..],
            &["12101999", "12102000", "12102001", "12102002", "12102003", "12102004"],
            &["may_01", "may_02"],
            &["p01_02_03", "p02_01_03"],
        ] {
            assert_eq!(ordered(stems), stems);
            assert_eq!(parse(stems).doubt, None, "{stems:?}");
        }
        assert!(parse(&["Dec", "Jan"]).guesses[0].contains("from January on"));
    }

    #[test]
    fn capital_letters_do_not_matter_unless_they_tell_names_apart() {
        assert_eq!(ordered(&["IMG_2", "img_1", "Img_3"]), ["img_1", "IMG_2", "Img_3"]);
        assert!(!parse(&["A_1", "a_1", "a_2"]).is_folded);
    }

    proptest! {
        #[test]
        fn any_names_are_taken_apart(stems in prop::collection::vec("([a-ce_.,+é−0-9 -]|Jan|mar|İ|20|1e-){0,12}", 1..6)) {
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
