//! Numbers with a decimal point, distinguished from two counters with a point between them.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Kind, Name, Names};

/// Largest number of digits whose value fits.
const MOST_DIGITS: usize = 37;

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Written<'a> {
    is_negative: bool,
    whole: &'a str,
    /// Digits after the point; empty without a point.
    fraction: &'a str,
}

/// Numbers interpreted as decimals.
struct Decimals {
    /// Number of digits after the point, the same for all.
    width: u32,
    /// True if they cannot be two counters each.
    is_sure: bool,
    /// The values without the point.
    values: Vec<i128>,
    /// True if reading each as two numbers would give another order.
    is_reordered: bool,
}

/// Turns each decimal into one number, one group of names with the same texts at a time.
pub(super) fn take(names: &mut Names, stems: &[String]) {
    let groups = names.groups();
    let texts_of = |group: &Vec<usize>| names.names[group[0]].texts.clone();
    let by_texts: HashMap<Vec<String>, usize> =
        groups.iter().enumerate().map(|(number, group)| (texts_of(group), number)).collect();
    let mut is_taken = vec![false; groups.len()];
    let mut widest = 0;
    for (number, group) in groups.iter().enumerate() {
        let mut at = 0;
        while at + 1 < names.names[group[0]].numbers.len() {
            let texts = &names.names[group[0]].texts;
            // `t=1s` next to `t=0.5s`.
            let mut without = texts.clone();
            without.remove(at + 1);
            let whole =
                by_texts.get(&without).filter(|&&whole| !is_taken[whole] && whole != number);
            let members = whole.map_or(&[][..], |&whole| &groups[whole]);
            if let Some((width, with_whole)) = take_at(names, stems, group, members, at) {
                widest = widest.max(width);
                is_taken[number] = true;
                if let Some(&whole) = whole.filter(|_| with_whole) {
                    is_taken[whole] = true;
                }
            }
            at += 1;
        }
    }
    // Uses the same number of digits for all, so that values can be compared across groups too.
    let numbers = names.names.iter_mut().flat_map(|name| &mut name.numbers);
    for number in numbers.filter(|number| number.decimals > 0) {
        let scale = 10i128.checked_pow(widest - number.decimals);
        if let Some(value) = scale.and_then(|scale| number.value.checked_mul(scale)) {
            number.value = value;
            number.decimals = widest;
        }
    }
}

/// Reads numbers `at` and `at + 1` of a group of names as one decimal, if they are one. Number `at`
/// of the names in `whole` is read as a decimal too, if it matches. Returns the number of digits
/// after the point, and whether `whole` matched.
fn take_at(
    names: &mut Names,
    stems: &[String],
    group: &[usize],
    whole: &[usize],
    at: usize,
) -> Option<(u32, bool)> {
    let texts = &names.names[group[0]].texts;
    let is_point = |at: usize| matches!(texts[at].as_str(), "." | ",");
    let is_between = |at: usize| at > 0 && at + 1 < texts.len() && is_point(at);
    // Three numbers with points are a version.
    if !is_point(at + 1) || is_between(at) || is_between(at + 2) {
        return None;
    }
    let in_group = group.iter().map(|&index| written(&names.names[index], &stems[index], at, true));
    let in_group: Vec<Written<'_>> = in_group.collect::<Option<_>>()?;
    let is_plain = |number: &Written<'_>| number.whole.len() == 1 || !number.whole.starts_with('0');
    let in_whole =
        whole.iter().map(|&index| written(&names.names[index], &stems[index], at, false));
    let in_whole = in_whole.collect::<Option<Vec<Written<'_>>>>();
    // If there are more whole numbers than decimals, `frame12.1` is a copy of `frame12`, not a step
    // of a tenth; `t12.5` is a step of a half.
    let in_whole = in_whole.filter(|all| {
        (all.len() <= group.len() || !are_copies(&in_group)) && all.iter().all(is_plain)
    });
    let joined: Vec<Written<'_>> =
        in_group.iter().chain(in_whole.iter().flatten()).copied().collect();
    let has_whole = joined.len() > in_group.len();
    let with_whole = if has_whole { reading(&joined) } else { None };
    let goes_with = with_whole.is_some();
    let Decimals { width, is_sure, values, is_reordered } =
        with_whole.or_else(|| reading(&in_group))?;
    let count = group.len() + if goes_with { whole.len() } else { 0 };
    if is_reordered && !names.is_many(count) {
        return None;
    }
    if !is_sure && is_reordered {
        names.guesses.push(guess(&stems[group[0]]));
    }
    names.by_value |= is_reordered;
    // Steps of a clock do not count frames.
    let kind = if joined.iter().all(is_epoch) { Kind::Time } else { Kind::Count };
    let whole = if goes_with { whole } else { &[] };
    let lengths = group.iter().map(|index| (index, 2)).chain(whole.iter().map(|index| (index, 1)));
    for ((&index, length), value) in lengths.zip(values) {
        names.names[index].fuse(at, length, value, width, kind);
    }
    Some((width, goes_with))
}

/// Returns true if a number is a time in seconds since 1970, between 2001 and 2100, with its
/// fraction.
fn is_epoch(number: &Written<'_>) -> bool {
    const SECONDS: std::ops::RangeInclusive<u64> = 1_000_000_000..=4_102_444_800;
    !number.is_negative && number.whole.parse().is_ok_and(|seconds| SECONDS.contains(&seconds))
}

/// Returns true if the parts after the points count copies: 1, 2 and so on after each whole number.
fn are_copies(written: &[Written<'_>]) -> bool {
    let mut counted: HashMap<(bool, &str), BTreeSet<u64>> = HashMap::new();
    for number in written {
        let Ok(copy) = number.fraction.parse() else { return false };
        counted.entry((number.is_negative, number.whole)).or_default().insert(copy);
    }
    counted.values().all(|copies| copies.iter().copied().eq(1..=copies.len() as u64))
}

fn written<'a>(name: &Name, stem: &'a str, at: usize, has_fraction: bool) -> Option<Written<'a>> {
    Some(Written {
        is_negative: name.numbers.get(at)?.is_negative,
        whole: name.digits(stem, at)?,
        fraction: if has_fraction { name.digits(stem, at + 1)? } else { "" },
    })
}

/// Reads numbers as decimals; `None` if each is two numbers.
fn reading(written: &[Written<'_>]) -> Option<Decimals> {
    let width = written.iter().map(|number| number.fraction.len()).max()?;
    let value = |number: &Written<'_>| {
        let text = format!("{}{:0<width$}", number.whole, number.fraction);
        let value = text.parse::<i128>().ok().filter(|_| text.len() <= MOST_DIGITS)?;
        Some(if number.is_negative { -value } else { value })
    };
    let values: Vec<i128> = written.iter().map(value).collect::<Option<_>>()?;
    let distinct: BTreeSet<i128> = values.iter().copied().collect();
    let spellings: HashSet<&Written<'_>> = written.iter().collect();
    if distinct.len() < spellings.len() || distinct.len() < 2 {
        return None;
    }
    let is_even = written.iter().all(|number| number.fraction.len() == width);
    let has_minus = written.iter().any(|number| number.is_negative);
    let is_sure = match (is_even, has_minus) {
        (true, true) => true,
        (true, false) if written.iter().all(is_epoch) => true,
        (true, false) => {
            are_steps_even(&distinct, 10i128.checked_pow(width as u32)?).then_some(true)?
        }
        (false, _) => {
            let fractions: Vec<&str> = written.iter().map(|number| number.fraction).collect();
            is_sure_when_uneven(&fractions)?
        }
    };
    // Natural order is wrong for uneven widths and for minus signs.
    Some(Decimals { width: width as u32, is_sure, values, is_reordered: !is_even || has_minus })
}

/// Returns true if values are evenly spaced like decimals. Fractions of the same number of digits
/// have the same order either way, but decimals form one series: `cam1.001`, after `cam1.000` and
/// before `cam2.000`, is a number in a series.
fn are_steps_even(values: &BTreeSet<i128>, unit: i128) -> bool {
    const ENOUGH: usize = 3;
    let values: Vec<i128> = values.iter().copied().collect();
    let step = |pair: &[i128]| pair[1].saturating_sub(pair[0]);
    let is_within = |pair: &&[i128]| pair[0] / unit == pair[1] / unit;
    let within: Vec<i128> = values.windows(2).filter(is_within).map(step).collect();
    let mut across: Vec<i128> =
        values.windows(2).filter(|pair| !is_within(pair)).map(step).collect();
    across.sort_unstable();
    if values.len() < ENOUGH || across.is_empty() {
        return false;
    }
    let largest = within.iter().max();
    let is_smooth = match largest {
        Some(largest) => across[across.len() / 2] <= largest.saturating_mul(2),
        None => across.iter().all(|step| *step == across[0]),
    };
    let mut alike: HashMap<i128, usize> = HashMap::new();
    within.iter().for_each(|step| *alike.entry(*step).or_default() += 1);
    let counts = alike.values().max().is_none_or(|alike| alike * 2 >= within.len());
    is_smooth || !counts
}

/// Interprets fractions with different numbers of digits. A counter goes from 1.9 to 1.10, as do
/// microseconds without leading zeros; decimals in shortest form never end with 0. Returns true if
/// they are certainly decimals, false if they may be, and `None` if they are not.
pub(super) fn is_sure_when_uneven(fractions: &[&str]) -> Option<bool> {
    let fractions = || fractions.iter().filter(|digits| !digits.is_empty());
    let shortest = fractions().map(|digits| digits.len()).min()?;
    let has_leading_zero = |digits: &&str| digits.len() > shortest && digits.starts_with('0');
    let is_counter =
        |digits: &&str| digits.len() > 1 && digits.ends_with('0') && !digits.starts_with('0');
    match (fractions().any(has_leading_zero), fractions().any(is_counter)) {
        (true, false) => Some(true),
        (false, true) => None,
        // `t=1s` next to `t=0.5s`: the fractions themselves are even.
        (false, false) if fractions().all(|digits| digits.len() == shortest) => Some(true),
        _ => Some(false),
    }
}

/// Returns the warning that decimals are a guess.
pub(super) fn guess(stem: &str) -> String {
    format!(
        "numbers such as that in {stem} were taken as decimals, so that 1.25 comes before 1.5; if the part after the point counts, \
         write it with leading zeros (1.09, 1.10)"
    )
}
