//! Numbers that are missing among the names of a clip.

use std::collections::HashMap;

/// Missing numbers that a message lists.
const SHOWN: usize = 8;

/// Says which numbers are missing between the first and the last, if the numbers count frames at all.
///
/// Numbers count if most steps are the same one, of which the others are multiples: 1, or the stride of a recording of
/// which every n-th frame was kept. Steps of a clock are neither.
pub(super) fn gap_warning(values: &[i128]) -> Option<String> {
    let steps: Vec<i128> = values.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    let mut counts: HashMap<i128, usize> = HashMap::new();
    steps.iter().for_each(|&step| *counts.entry(step).or_default() += 1);
    // Of equally frequent steps the smallest.
    let (&stride, &usual) = counts.iter().max_by_key(|(step, count)| (**count, -**step))?;
    if stride <= 0 {
        return None;
    }
    let counts_frames = usual * 2 >= steps.len() && steps.iter().all(|step| step % stride == 0);
    if !counts_frames {
        tracing::info!(
            "the numbers in the names are not consecutive ({} to {}); frames are counted without gaps",
            values[0],
            values[values.len() - 1]
        );
        return None;
    }
    let mut missing: i128 = 0;
    let mut shown = Vec::new();
    let mut first = None;
    for (at, (&value, &step)) in values.iter().zip(&steps).enumerate() {
        let gap = step / stride - 1;
        if gap == 0 {
            continue;
        }
        missing = missing.saturating_add(gap);
        first = first.or(Some(at + 1));
        if shown.len() < SHOWN {
            let (from, to) = (value.saturating_add(stride), value.saturating_add(gap * stride));
            shown.push(if gap == 1 { from.to_string() } else { format!("{from} to {to}") });
        } else if shown.len() == SHOWN {
            shown.push("...".into());
        }
    }
    let first = first?;
    let kind = if stride == 1 { String::new() } else { format!(" in steps of {stride}") };
    let noun = if missing == 1 { "number is" } else { "numbers are" };
    Some(format!(
        "{missing} {noun} missing in the file names{kind} ({}); frames are counted without gaps, so from frame {first} on \
         frame numbers and the numbers in the names go apart",
        shown.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counters_have_gaps() {
        let warning = |values: &[i128]| gap_warning(values);
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
}
