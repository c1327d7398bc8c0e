//! Missing numbers among the names of a clip.

use std::collections::HashMap;

/// Largest number of missing numbers that a message lists.
const SHOWN: usize = 8;

/// The numbers in the names of a clip, ascending.
pub(super) struct Numbers<'a> {
    pub(super) values: &'a [i128],
    /// Number of digits of the values after the decimal point.
    pub(super) decimals: u32,
    /// Positions at which a number does not continue the previous one, ascending.
    pub(super) breaks: &'a [usize],
}

impl Numbers<'_> {
    /// Writes a number in the format of the names.
    fn text(&self, value: i128) -> String {
        let unit = 10u128.saturating_pow(self.decimals);
        let (size, sign) = (value.unsigned_abs(), if value < 0 { "-" } else { "" });
        match self.decimals {
            0 => value.to_string(),
            decimals => {
                let width = decimals as usize;
                let fraction = format!("{:0width$}", size % unit);
                let fraction = fraction.trim_end_matches('0');
                let point = if fraction.is_empty() { "" } else { "." };
                format!("{sign}{}{point}{fraction}", size / unit)
            }
        }
    }
}

/// Returns a warning that lists the numbers missing between the first and the last, if the numbers
/// count frames at all.
///
/// They count frames if most steps are equal and the other steps are multiples of that step. The
/// usual step is 1, or the stride of a recording of which every n-th frame was kept. Steps of a
/// clock do not satisfy this.
pub(super) fn warning(numbers: &Numbers<'_>) -> Option<String> {
    let Numbers { values, breaks, .. } = numbers;
    let steps: Vec<(usize, i128)> = (1..values.len())
        .filter(|at| breaks.binary_search(at).is_err())
        .map(|at| (at, values[at].saturating_sub(values[at - 1])))
        .collect();
    let mut counts: HashMap<i128, usize> = HashMap::new();
    steps.iter().for_each(|&(_, step)| *counts.entry(step).or_default() += 1);
    // Of equally frequent steps, the smallest.
    let (&stride, &usual) = counts.iter().max_by_key(|(step, count)| (**count, -**step))?;
    if stride <= 0 {
        return None;
    }
    let counts_frames =
        usual * 2 >= steps.len() && steps.iter().all(|(_, step)| step % stride == 0);
    if !counts_frames {
        tracing::info!(
            "the numbers in the names are not consecutive ({} to {}); frames are counted without gaps",
            numbers.text(values[0]),
            numbers.text(values[values.len() - 1])
        );
        return None;
    }
    let mut missing: i128 = 0;
    let mut shown = Vec::new();
    let mut first = None;
    for &(at, step) in &steps {
        let gap = step / stride - 1;
        if gap == 0 {
            continue;
        }
        missing = missing.saturating_add(gap);
        first = first.or(Some(at));
        if shown.len() < SHOWN {
            let value = values[at - 1];
            let from = numbers.text(value.saturating_add(stride));
            let to = numbers.text(value.saturating_add(gap.saturating_mul(stride)));
            shown.push(if gap == 1 { from } else { format!("{from} to {to}") });
        } else if shown.len() == SHOWN {
            shown.push("...".into());
        }
    }
    let first = first?;
    let step = numbers.text(stride);
    let kind = if step == "1" { String::new() } else { format!(" in steps of {step}") };
    let noun = if missing == 1 { "number is" } else { "numbers are" };
    Some(format!(
        "{missing} {noun} missing in the file names{kind} ({}); frames are counted without gaps, so from frame {first} on \
         frame numbers and the numbers in the names differ",
        shown.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counters_have_gaps() {
        let warning = |values: &[i128]| warning(&Numbers { values, decimals: 0, breaks: &[] });
        let numbers: Vec<i128> = (0..24).filter(|n| ![5, 6, 13].contains(n)).collect();
        let text = warning(&numbers).unwrap();
        assert!(
            text.starts_with("3 numbers are missing in the file names (5 to 6, 13);"),
            "{text}"
        );
        assert!(text.contains("from frame 5 on"), "{text}");
        let text = warning(&[0, 5, 10, 20, 25]).unwrap();
        assert!(
            text.starts_with("1 number is missing in the file names in steps of 5 (15);"),
            "{text}"
        );
        let text = warning(&[-3, -2, 0, 1]).unwrap();
        assert!(text.contains("(-1)"), "{text}");
        for sound in [
            &[][..],
            &[7],
            &[3, 7],
            &[0, 1, 2, 3],
            &[5, 6, 7],
            &[0, 10, 20, 30],
            // Milliseconds at 30 frames a second.
            &[0, 33, 66, 100, 133],
            // Frames chosen for labelling.
            &[12, 457, 998, 1003],
        ] {
            assert_eq!(warning(sound), None, "{sound:?}");
        }
        let many: Vec<i128> = (0..100).filter(|n| n % 5 != 3).collect();
        let text = warning(&many).unwrap();
        assert!(text.starts_with("20 numbers") && text.contains("38, ..."), "{text}");
        assert!(warning(&[0, 1, 2, i128::MAX]).is_some());
    }

    #[test]
    fn decimals_are_written_with_their_point_and_breaks_are_no_gaps() {
        let values = [-50, 0, 50, 150, 200];
        let text = warning(&Numbers { values: &values, decimals: 2, breaks: &[] }).unwrap();
        assert!(
            text.starts_with("1 number is missing in the file names in steps of 0.5 (1);"),
            "{text}"
        );
        let values = [10_998, 10_999, 20_001, 20_002, 20_004];
        let text = warning(&Numbers { values: &values, decimals: 0, breaks: &[2] }).unwrap();
        assert!(text.starts_with("1 number is missing in the file names (20003);"), "{text}");
        assert!(text.contains("from frame 4 on"), "{text}");
    }
}
