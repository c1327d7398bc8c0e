//! Numbers with a power of ten (`1.5e-3`), distinguished from two counters with a letter between
//! them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Name, Names, is_minus};

/// Largest number of digits of an exponent.
const MOST_DIGITS: usize = 3;

/// Largest range of exponents of measured values. With a larger range, as in `mouse1e-1` to
/// `mouse1e-120`, the numbers are counters.
const MOST_POWERS: i32 = 30;

/// The texts before and after a number, the former without the number's sign.
type Shape = (Vec<String>, Vec<String>);

/// A number that may have a power of ten.
struct Written {
    /// Index of the name.
    name: usize,
    /// Position of its first number in the name; `length` is how many numbers it consists of.
    at: usize,
    length: usize,
    /// The mantissa, without sign and power of ten.
    mantissa: String,
    exponent: i32,
    /// The sign between the letter and the exponent.
    sign: Option<char>,
}

/// Turns each mantissa and exponent into one number, one shape at a time. Most programs write only
/// large and small numbers with a power of ten, so numbers without one are included.
pub(super) fn take(names: &mut Names, stems: &[String]) {
    let mut shapes: BTreeMap<Shape, Vec<Written>> = BTreeMap::new();
    for (index, name) in names.names.iter().enumerate() {
        let Some(written) = with_exponent(name, index, &stems[index]) else { continue };
        let shape = shape(name, written.at, written.length);
        shapes.entry(shape).or_default().push(written);
    }
    let mut taken = Vec::new();
    for (shape, mut members) in shapes {
        if members.len() < 2 || !names.is_many(members.len()) {
            continue;
        }
        let example = &stems[members[0].name];
        if !members.iter().any(|number| number.sign.is_some() || number.is_decimal()) {
            if depends_on_reading(&names.names, &members) {
                names.guesses.push(format!(
                    "the e between the numbers in names such as {example} was taken as a letter; if it stands before a power of ten, \
                     write that with a sign (2e+01)"
                ));
            }
            continue;
        }
        // With a single mantissa and only hyphens, these may also be two counters: `mouse1e-1`.
        let is_sure = members.iter().any(|number| number.sign != Some('-') || number.is_decimal())
            || members.iter().any(|number| number.mantissa != members[0].mantissa);
        let powers = members.iter().map(|number| number.exponent);
        let range = powers.clone().max().unwrap_or(0) - powers.min().unwrap_or(0);
        if range > MOST_POWERS {
            continue;
        }
        let guess = format!(
            "numbers such as that in {example} were taken with their power of ten, so that 1e-3 comes before 1e-2; if the hyphen \
             separates, rename the files with another separator (1e_2, 1e_3)"
        );
        let plain = names.names.iter().enumerate();
        let plain = plain.filter_map(|(index, name)| plain_number(name, index, stems, &shape));
        members.extend(plain);
        let values: BTreeSet<u64> = members.iter().map(|number| number.value().to_bits()).collect();
        if values.len() < 2 {
            continue;
        }
        if !is_sure {
            names.guesses.push(guess);
        }
        taken.extend(members);
    }
    // The bit patterns of non-negative floating-point numbers rise with their values. Signs are
    // taken later.
    let mut ranks: BTreeMap<u64, i128> = BTreeMap::from([(0, 0)]);
    ranks.extend(taken.iter().map(|number| (number.value().to_bits(), 0)));
    ranks.values_mut().zip(0..).for_each(|(rank, place)| *rank = place);
    names.by_value |= !taken.is_empty();
    for number in taken {
        let rank = ranks[&number.value().to_bits()];
        names.names[number.name].fuse(number.at, number.length, rank, 0, Kind::Measure);
    }
}

impl Written {
    fn value(&self) -> f64 {
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(f64::INFINITY)
    }

    fn is_decimal(&self) -> bool {
        self.mantissa.contains('.')
    }
}

/// Finds the first number of a name with a power of ten.
fn with_exponent(name: &Name, index: usize, stem: &str) -> Option<Written> {
    (1..name.numbers.len()).find_map(|exponent_at| {
        let mut letters = name.texts[exponent_at].chars();
        letters.next().filter(|letter| letter.eq_ignore_ascii_case(&'e'))?;
        let sign = letters.next();
        let is_sign = sign.is_none_or(|sign| sign == '+' || is_minus(sign));
        let digits = name.digits(stem, exponent_at)?;
        if !is_sign || letters.next().is_some() || digits.len() > MOST_DIGITS {
            return None;
        }
        let has_fraction = exponent_at > 1 && is_point(name, exponent_at - 1);
        let at = exponent_at - 1 - usize::from(has_fraction);
        // Three numbers with points are a version, and exponents are whole numbers.
        let is_version = at > 0 && is_point(name, at);
        let has_more = exponent_at + 1 < name.numbers.len() && is_point(name, exponent_at + 1);
        if is_version || has_more {
            return None;
        }
        let exponent: i32 = digits.parse().ok()?;
        let exponent = if sign.is_some_and(is_minus) { -exponent } else { exponent };
        let mantissa = mantissa(name, stem, at, has_fraction)?;
        Some(Written { name: index, at, length: exponent_at - at + 1, mantissa, exponent, sign })
    })
}

/// Returns the number of a name without a power of ten, at the position where others of the same
/// shape have one.
fn plain_number(name: &Name, index: usize, stems: &[String], shape: &Shape) -> Option<Written> {
    let at = shape.0.len().checked_sub(1)?;
    [1, 2].into_iter().find_map(|length| {
        let has_fraction = length == 2;
        if name.numbers.len() < at + length || has_fraction && !is_point(name, at + 1) {
            return None;
        }
        if self::shape(name, at, length) != *shape {
            return None;
        }
        let mantissa = mantissa(name, &stems[index], at, has_fraction)?;
        Some(Written { name: index, at, length, mantissa, exponent: 0, sign: None })
    })
}

fn mantissa(name: &Name, stem: &str, at: usize, has_fraction: bool) -> Option<String> {
    let whole = name.digits(stem, at)?;
    Some(match has_fraction {
        true => format!("{whole}.{}", name.digits(stem, at + 1)?),
        false => whole.to_owned(),
    })
}

fn shape(name: &Name, at: usize, length: usize) -> Shape {
    let mut before = name.texts[..=at].to_vec();
    if name.sign(at).is_some()
        && let Some(text) = before.last_mut()
    {
        text.pop();
    }
    (before, name.texts[at + length..].to_vec())
}

fn is_point(name: &Name, at: usize) -> bool {
    matches!(name.texts[at].as_str(), "." | ",")
}

/// Returns true if reading each as two counters gives another order than reading a power of ten.
fn depends_on_reading(names: &[Name], members: &[Written]) -> bool {
    let mut order: Vec<&Written> = members.iter().collect();
    order.sort_by(|a, b| names[a.name].compare(&names[b.name]));
    order.windows(2).any(|pair| pair[0].value() > pair[1].value())
}
