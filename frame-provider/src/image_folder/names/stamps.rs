//! Dates and times of day in names: each becomes one number, whatever the order of day, month and
//! year.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use super::{Kind, Name, Names, clocks, decimals};

/// Largest number of different years. A counter near 12102000, read as a date, would have another
/// year each time.
const MOST_YEARS: usize = 5;

/// How a date is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    YearMonthDay,
    DayMonthYear,
    MonthDayYear,
    YearMonth,
    MonthYear,
    /// With the time of day before the year, as the C library writes it: `Jan 31 23_59_59 2024`.
    MonthDayTimeYear,
    /// Day and month, or month and day: the names leave it open.
    Doubtful,
}

/// The part of a name that is a date, a time of day, or both.
struct Stamp {
    /// The order of the date, and how many numbers it consists of.
    date: Option<(Order, usize)>,
    /// How many numbers the time of day consists of; 0 if it is in the last number of the date.
    clock: usize,
    has_clock: bool,
    has_fraction: bool,
}

impl Stamp {
    fn length(&self) -> usize {
        self.date.map_or(0, |(_, length)| length) + self.clock + usize::from(self.has_fraction)
    }
}

/// How fractions of a second are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fraction {
    /// With the same number of digits, without fractions, or as a counter.
    Even,
    /// As decimals of different lengths.
    Uneven,
    /// Probably as decimals of different lengths.
    PerhapsUneven,
}

/// A group of names with the same texts.
struct Group<'a> {
    names: &'a [Name],
    stems: &'a [String],
    members: &'a [usize],
}

/// Turns the parts of each date and time into one number, one group of names with the same texts at
/// a time.
pub(super) fn take(names: &mut Names, stems: &[String]) {
    for members in names.groups() {
        let mut at = 0;
        let is_many = names.is_many(members.len());
        while at < names.names[members[0]].numbers.len() {
            let group = Group { names: &names.names, stems, members: &members };
            let stamp = group.stamp(at);
            let has_date = stamp.as_ref().is_some_and(|stamp| stamp.date.is_some());
            if !has_date && is_many && group.may_be_short_date(at) {
                names.guesses.push(format!(
                    "the numbers in names such as {} were taken as they stand, so that the first one counts most; if they are dates, \
                     rename the files with the year first (2023-01-31)",
                    stems[members[0]]
                ));
            }
            let is_iso =
                |stamp: &Stamp| stamp.date.is_none_or(|(order, _)| order == Order::YearMonthDay);
            if let Some(stamp) = stamp.filter(|stamp| is_many || is_iso(stamp)) {
                let with_clock =
                    !stamp.has_clock && group.has_clock_of_12_hours(at + stamp.length());
                let doubtful = stamp.date.is_some_and(|(order, _)| order == Order::Doubtful);
                let fraction = group.fraction(&stamp, at);
                let values = group.values(&stamp, at, fraction);
                let is_natural = match stamp.date {
                    Some((Order::YearMonthDay | Order::Doubtful, _)) | None => {
                        fraction == Fraction::Even
                    }
                    _ => false,
                };
                let kind = if stamp.has_clock || with_clock { Kind::Time } else { Kind::Date };
                let length = stamp.length();
                for (&member, value) in members.iter().zip(values) {
                    let name = &mut names.names[member];
                    if with_clock {
                        let clock = name.numbers[at + length].value;
                        let value = value.saturating_mul(clocks::UNIT).saturating_add(clock);
                        name.fuse(at, length + 1, value, 0, kind);
                    } else {
                        name.fuse(at, length, value, 0, kind);
                    }
                }
                names.by_value |= !is_natural;
                if fraction == Fraction::PerhapsUneven && is_many {
                    names.guesses.push(decimals::guess(&stems[members[0]]));
                }
                if doubtful {
                    names.doubt.get_or_insert_with(|| doubt(&stems[members[0]]));
                }
            }
            at += 1;
        }
    }
}

/// Interprets six digits as a time of day if many names show that they are one.
pub(super) fn take_clocks(names: &mut Names, stems: &[String]) {
    for members in names.groups() {
        for at in 0..names.names[members[0]].numbers.len() {
            let group = Group { names: &names.names, stems, members: &members };
            if group.is_clock_alone(at) {
                members
                    .iter()
                    .for_each(|&member| names.names[member].numbers[at].kind = Kind::Time);
            }
        }
    }
}

fn doubt(stem: &str) -> String {
    format!(
        "the names hold dates such as that in {stem}, of which it cannot be known whether the day or the month comes first, and the \
         order of the frames depends on it"
    )
}

impl Group<'_> {
    fn all(&self, test: impl Fn(&Name, &str) -> bool) -> bool {
        self.members.iter().all(|&member| test(&self.names[member], &self.stems[member]))
    }

    /// Returns true if number `at` is a time of day that was written with AM or PM, right after
    /// another number.
    fn has_clock_of_12_hours(&self, at: usize) -> bool {
        self.all(|name, _| name.numbers.get(at).is_some_and(|number| number.kind == Kind::Time))
    }

    /// Returns the date or time that begins with number `at` in all names.
    fn stamp(&self, at: usize) -> Option<Stamp> {
        let one = |order, has_clock| Stamp {
            date: Some((order, 1)),
            clock: 0,
            has_clock,
            has_fraction: false,
        };
        if self.all(|name, stem| name.digits(stem, at).is_some_and(is_date_and_clock)) {
            return Some(one(Order::YearMonthDay, true));
        }
        if let Some(order) = self.order_of_run(at, |digits| {
            digits.len() >= 14 && digits.get(8..14).is_some_and(is_clock)
        }) {
            return Some(one(order, true));
        }
        if self.is_time_before_year(at) {
            return Some(Stamp {
                date: Some((Order::MonthDayTimeYear, 6)),
                clock: 0,
                has_clock: true,
                has_fraction: false,
            });
        }
        let date = if self.all(|name, stem| name.digits(stem, at).is_some_and(is_date)) {
            Some((Order::YearMonthDay, 1))
        } else if let Some(order) = self.order_of_run(at, |digits| digits.len() == 8) {
            Some((order, 1))
        } else if self.all(|name, stem| has_date_parts(name, stem, at)) {
            Some((Order::YearMonthDay, 3))
        } else {
            self.order_of_parts(at).or_else(|| self.order_with_month(at))
        };
        let clock_at = at + date.map_or(0, |(_, length)| length);
        let clock = if date.is_some()
            && self.all(|name, stem| name.digits(stem, clock_at).is_some_and(is_clock))
        {
            1
        } else if self.all(|name, stem| has_clock_parts(name, stem, clock_at, date.is_some())) {
            3
        } else {
            0
        };
        if date.is_none() && clock == 0 {
            return None;
        }
        let next = clock_at + clock;
        let has_fraction = clock > 0
            && self.all(|name, stem| {
                name.digits(stem, next).is_some() && matches!(name.texts[next].as_str(), "." | ",")
            });
        Some(Stamp { date, clock, has_clock: clock > 0, has_fraction })
    }

    /// Returns the order of `31012026`, perhaps with a time of day; `None` if it is not a date.
    fn order_of_run(&self, at: usize, is_it: impl Fn(&str) -> bool) -> Option<Order> {
        let parts = self.members.iter().map(|&member| {
            let digits = self.names[member]
                .digits(&self.stems[member], at)
                .filter(|digits| is_it(digits))?;
            let number = |range: Range<usize>| digits.get(range)?.parse::<u32>().ok();
            Some([number(0..2)?, number(2..4)?, number(4..8)?])
        });
        self.order_of(&parts.collect::<Option<Vec<_>>>()?)
    }

    /// Returns the order of `31-01-2026`.
    fn order_of_parts(&self, at: usize) -> Option<(Order, usize)> {
        let parts = self.members.iter().map(|&member| {
            let (name, stem) = (&self.names[member], &self.stems[member]);
            let [first, second, year] = [0, 1, 2].map(|i| name.digits(stem, at + i));
            let (first, second, year) = (first?, second?, year?);
            let joined = is_joint(&name.texts[at + 1]) && name.texts[at + 1] == name.texts[at + 2];
            let is_it = joined && first.len() <= 2 && second.len() <= 2 && year.len() == 4;
            is_it.then_some(())?;
            Some([first.parse().ok()?, second.parse().ok()?, year.parse().ok()?])
        });
        Some((self.order_of(&parts.collect::<Option<Vec<_>>>()?)?, 3))
    }

    /// Returns true if the names have what may be dates with a two-digit year at the end
    /// (`31-01-23`), whose days and months both vary.
    fn may_be_short_date(&self, at: usize) -> bool {
        const YEARS: std::ops::RangeInclusive<u32> = 10..=49;
        let parts = self.members.iter().map(|&member| {
            let (name, stem) = (&self.names[member], &self.stems[member]);
            let [first, second, year] = [0, 1, 2].map(|i| name.digits(stem, at + i));
            let digits = [first?, second?, year?];
            let joint = name.texts[at + 1].as_str();
            let is_it = matches!(joint, "-" | ".")
                && name.texts[at + 2] == joint
                && digits.iter().all(|digits| digits.len() == 2);
            is_it.then_some(())?;
            let [first, second, year] = digits.map(|digits| digits.parse::<u32>().ok());
            let year = year.filter(|year| YEARS.contains(year))?;
            Some([first?, second?, 2000 + year])
        });
        let Some(dates) = parts.collect::<Option<Vec<_>>>() else { return false };
        let varies = |place: usize| dates.iter().any(|date| date[place] != dates[0][place]);
        let is_year_first =
            dates.iter().all(|[year, month, _]| YEARS.contains(year) && (1..=12).contains(month));
        varies(0) && varies(1) && !is_year_first && self.order_of(&dates).is_some()
    }

    /// Returns the order of two numbers and a year in all names.
    fn order_of(&self, dates: &[[u32; 3]]) -> Option<Order> {
        let years: HashSet<u32> = dates.iter().map(|date| date[2]).collect();
        if !dates.iter().all(|date| (1950..=2099).contains(&date[2])) || years.len() > MOST_YEARS {
            return None;
        }
        let fits = |day: usize, month: usize| {
            dates
                .iter()
                .all(|date| (1..=31).contains(&date[day]) && (1..=12).contains(&date[month]))
        };
        match (fits(0, 1), fits(1, 0)) {
            (true, false) => Some(Order::DayMonthYear),
            (false, true) => Some(Order::MonthDayYear),
            (false, false) => None,
            (true, true) => {
                // Both readings may give the same order: days of one month, or one day of several
                // months.
                let distinct: BTreeSet<[u32; 3]> =
                    dates.iter().map(|&[d, m, y]| [y, m, d]).collect();
                let other: Vec<[u32; 3]> = distinct.iter().map(|&[y, m, d]| [y, d, m]).collect();
                let agree = other.is_sorted();
                Some(if agree { Order::DayMonthYear } else { Order::Doubtful })
            }
        }
    }

    /// Returns the order of `31 Jan 2026`, `Jan-2026` and so on.
    fn order_with_month(&self, at: usize) -> Option<(Order, usize)> {
        #[derive(PartialEq)]
        enum Part {
            Day,
            Month,
            Year,
        }
        use Part::{Day, Month, Year};
        let is = |place: usize, part: &Part| {
            self.all(|name, stem| {
                let before = name.texts.get(place).map_or("?", String::as_str);
                let joined = place == at || matches!(before, "" | "-" | "_" | "." | " " | ", ");
                let is_part = match (part, name.digits(stem, place)) {
                    (Month, _) => {
                        name.numbers.get(place).is_some_and(|number| number.kind == Kind::Month)
                    }
                    (Day, Some(digits)) => {
                        digits.len() <= 2 && self::part(digits, 0..digits.len(), 1..=31)
                    }
                    (Year, Some(digits)) => {
                        digits.len() == 4 && self::part(digits, 0..4, 1900..=2099)
                    }
                    _ => false,
                };
                place < name.numbers.len() && joined && is_part
            })
        };
        let orders = [
            (Order::YearMonthDay, &[Year, Month, Day][..]),
            (Order::DayMonthYear, &[Day, Month, Year]),
            (Order::MonthDayYear, &[Month, Day, Year]),
            (Order::YearMonth, &[Year, Month]),
            (Order::MonthYear, &[Month, Year]),
        ];
        let found = orders
            .iter()
            .find(|(_, parts)| parts.iter().enumerate().all(|(i, part)| is(at + i, part)));
        found.map(|(order, parts)| (*order, parts.len()))
    }

    /// Returns true if the names hold a month's name, the day, the time of day and the year, in
    /// this order.
    fn is_time_before_year(&self, at: usize) -> bool {
        self.all(|name, stem| {
            let is_month = name.numbers.get(at).is_some_and(|number| number.kind == Kind::Month);
            let day = name.digits(stem, at + 1).unwrap_or_default();
            let year = name.digits(stem, at + 5).unwrap_or_default();
            is_month
                && day.len() <= 2
                && part(day, 0..day.len(), 1..=31)
                && has_clock_parts(name, stem, at + 2, true)
                && year.len() == 4
                && part(year, 0..4, 1900..=2099)
        })
    }

    /// Returns the digits of the numbers of a stamp, one list for each name. Months written as
    /// words are replaced by their number.
    fn parts(&self, stamp: &Stamp, at: usize) -> Vec<Vec<String>> {
        let parts = |&member: &usize| {
            let (name, stem) = (&self.names[member], &self.stems[member]);
            let part = |i: usize| match name.digits(stem, i) {
                Some(digits) => digits.to_owned(),
                None => {
                    name.numbers.get(i).map(|number| number.value.to_string()).unwrap_or_default()
                }
            };
            (at..at + stamp.length()).map(part).collect()
        };
        self.members.iter().map(parts).collect()
    }

    /// Returns how the fractions of a second at the end are written.
    fn fraction(&self, stamp: &Stamp, at: usize) -> Fraction {
        let parts = self.parts(stamp, at);
        let seconds_end = match (stamp.has_fraction, stamp.has_clock, stamp.clock) {
            (true, ..) => 0,
            (false, true, 0) => 14,
            (false, true, 1) => 6,
            _ => return Fraction::Even,
        };
        let last = |parts: &'_ Vec<String>| parts.last().cloned().unwrap_or_default();
        let all: Vec<String> = parts.iter().map(last).collect();
        let fractions: Vec<&str> =
            all.iter().map(|digits| digits.get(seconds_end..).unwrap_or_default()).collect();
        if fractions.windows(2).all(|pair| pair[0].len() == pair[1].len()) {
            return Fraction::Even;
        }
        match decimals::is_sure_when_uneven(&fractions) {
            Some(true) => Fraction::Uneven,
            Some(false) => Fraction::PerhapsUneven,
            // These are counters, so their order is that of natural order if they are numbers of
            // their own.
            None => Fraction::Even,
        }
    }

    /// Returns a number for each name that rises with time.
    fn values(&self, stamp: &Stamp, at: usize, fraction: Fraction) -> Vec<i128> {
        let parts = self.parts(stamp, at);
        let columns = stamp.length();
        let width =
            |column: usize| parts.iter().map(|parts| parts[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(|column| width(column).max(2)).collect();
        // A fraction of a second is padded with zeros at its end, everything else at the front.
        let has_open_end = fraction != Fraction::Even;
        let fill = |parts: &Vec<String>| -> Vec<String> {
            let fill = |(column, digits): (usize, &String)| {
                let width = widths[column];
                if has_open_end && column + 1 == columns {
                    format!("{digits:0<width$}")
                } else {
                    format!("{digits:0>width$}")
                }
            };
            parts.iter().enumerate().map(fill).collect()
        };
        let in_order = |filled: Vec<String>| -> String {
            let swap = |places: &[usize]| {
                let rest = filled[places.len()..].iter();
                places
                    .iter()
                    .map(|&place| filled[place].as_str())
                    .chain(rest.map(String::as_str))
                    .collect::<String>()
            };
            match stamp.date {
                Some((Order::DayMonthYear, 3)) => swap(&[2, 1, 0]),
                Some((Order::MonthDayYear, 3)) => swap(&[2, 0, 1]),
                Some((Order::MonthYear, 2)) => swap(&[1, 0]),
                Some((Order::MonthDayTimeYear, 6)) => swap(&[5, 0, 1, 2, 3, 4]),
                Some((order @ (Order::DayMonthYear | Order::MonthDayYear), 1)) => {
                    let (run, rest) = (&filled[0], filled[1..].concat());
                    let part = |range: Range<usize>| run.get(range).unwrap_or_default();
                    let (day, month) =
                        if order == Order::DayMonthYear { (0..2, 2..4) } else { (2..4, 0..2) };
                    [part(4..8), part(month), part(day), part(8..run.len()), &rest].concat()
                }
                _ => filled.concat(),
            }
        };
        // If longer than any date and time, the leading digits are the most significant.
        let value = |text: String| {
            text.get(..text.len().min(38)).and_then(|text| text.parse().ok()).unwrap_or(i128::MAX)
        };
        parts.iter().map(|parts| value(in_order(fill(parts)))).collect()
    }

    /// Returns true if six digits without a date are a time of day: in a large enough group, no
    /// name has a 60th second or minute, and the names span more than a minute.
    fn is_clock_alone(&self, at: usize) -> bool {
        const ENOUGH: usize = 5;
        let found = || {
            self.members.iter().map(|&member| self.names[member].digits(&self.stems[member], at))
        };
        if self.members.len() < ENOUGH
            || !found()
                .all(|digits| digits.is_some_and(|digits| digits.len() == 6 && is_clock(digits)))
        {
            return false;
        }
        let minutes: HashSet<_> = found().flatten().map(|digits| digits[..4].to_owned()).collect();
        minutes.len() > 1
    }
}

fn is_joint(text: &str) -> bool {
    matches!(text, "-" | "_" | "." | " ")
}

/// Returns true if `digits[range]` is a number within the bounds.
fn part(digits: &str, range: Range<usize>, bounds: std::ops::RangeInclusive<u32>) -> bool {
    digits.get(range).and_then(|part| part.parse().ok()).is_some_and(|part| bounds.contains(&part))
}

/// Returns true for a date such as `20260131`.
fn is_date(digits: &str) -> bool {
    digits.len() == 8
        && part(digits, 0..4, 1900..=2099)
        && part(digits, 4..6, 1..=12)
        && part(digits, 6..8, 1..=31)
}

/// Returns true for a time such as `235959`, also with fractions of a second.
fn is_clock(digits: &str) -> bool {
    matches!(digits.len(), 6..=12)
        && part(digits, 0..2, 0..=23)
        && part(digits, 2..4, 0..=59)
        && part(digits, 4..6, 0..=59)
}

/// Returns true for a date and time such as `20260131235959`, also with fractions of a second.
fn is_date_and_clock(digits: &str) -> bool {
    digits.len() >= 14
        && digits.get(..8).is_some_and(is_date)
        && digits.get(8..14).is_some_and(is_clock)
}

/// Returns true for a date such as `2026-01-31`.
fn has_date_parts(name: &Name, stem: &str, at: usize) -> bool {
    let found = [0, 1, 2].map(|i| name.digits(stem, at + i));
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

/// Returns true for a time such as `23-59-59`, or one with underscores after a date.
fn has_clock_parts(name: &Name, stem: &str, at: usize, after_date: bool) -> bool {
    let found = [0, 1, 2].map(|i| name.digits(stem, at + i));
    let [Some(hour), Some(minute), Some(second)] = found else { return false };
    let joined = [1, 2].iter().all(|i| match name.texts[at + i].as_str() {
        "-" | "." | ":" | "h" | "m" => true,
        "_" => after_date,
        _ => false,
    });
    joined
        && [hour, minute, second].iter().all(|digits| digits.len() <= 2)
        && part(hour, 0..hour.len(), 0..=23)
        && part(minute, 0..minute.len(), 0..=59)
        && part(second, 0..second.len(), 0..=59)
}
