//! Compares names in the order that people expect: `frame2` before `frame10`.

use std::cmp::Ordering;

/// Compares two names: runs of ASCII digits by their value, everything else by character. Names
/// that are equal in this sense (`a1`, `a01`) are compared character by character, so that the
/// order is total.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        let (digits_a, digits_b) = (leading_digits(rest_a), leading_digits(rest_b));
        if !digits_a.is_empty() && !digits_b.is_empty() {
            match compare_numbers(digits_a, digits_b) {
                Ordering::Equal => {
                    rest_a = &rest_a[digits_a.len()..];
                    rest_b = &rest_b[digits_b.len()..];
                }
                unequal => return unequal,
            }
            continue;
        }
        let (mut chars_a, mut chars_b) = (rest_a.chars(), rest_b.chars());
        match (chars_a.next(), chars_b.next()) {
            (None, None) => return a.cmp(b),
            (x, y) if x == y => {
                rest_a = chars_a.as_str();
                rest_b = chars_b.as_str();
            }
            (x, y) => return x.cmp(&y),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

/// Compares by value, without parsing: time stamps in nanoseconds and hashes do not fit in any
/// integer type.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_count_by_value() {
        let mut names = vec![
            "f10.png", "f9.png", "f1.png", "f01.png", "g0.png", "f.png", "10.png", "2.png",
            "f1b.png",
        ];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(
            names,
            [
                "2.png", "10.png", "f.png", "f01.png", "f1.png", "f1b.png", "f9.png", "f10.png",
                "g0.png"
            ]
        );
    }

    proptest! {
        #[test]
        fn numbered_frames_sort_like_their_numbers(a: u64, b: u64, prefix in "[a-z_]{0,3}") {
            let (x, y) = (format!("{prefix}{a}.jpg"), format!("{prefix}{b}.jpg"));
            prop_assert_eq!(compare(&x, &y), a.cmp(&b));
        }

        #[test]
        fn the_order_is_total(a in "[a0-2é]{0,4}", b in "[a0-2é]{0,4}", c in "[a0-2é]{0,4}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
