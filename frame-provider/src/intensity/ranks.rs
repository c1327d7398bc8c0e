//! Exact percentiles of values of any type, in little memory.

/// Number of key bits that one pass distinguishes.
const WIDTH: u32 = 16;

/// The lowest bit that each pass examines. Two passes distinguish values of 16 bits, three passes
/// float32, int32 and uint32.
const PASSES: [u32; 4] = [48, 32, 16, 0];

/// Returns the rank, counted from 0, of a percentile among `total` values: NumPy's `inverted_cdf`,
/// with its order of operations.
pub(super) fn rank(total: u64, percent: f64) -> u64 {
    let position = total as f64 * (percent / 100.0) - 1.0;
    // The cast takes negative positions to 0, as NumPy's clipping does.
    (position.ceil() as u64).min(total.saturating_sub(1))
}

/// Returns two percentiles of the finite values that `visit_all` passes, the same ones on every
/// call; `None` without any.
///
/// The values are counted by the upper bits of their keys. Then the values that share the upper
/// bits of a wanted one are counted by the next bits. So only histograms of 65,536 numbers are
/// held, not the values of a recording.
pub(super) fn percentiles(
    percents: [f64; 2],
    mut visit_all: impl FnMut(&mut dyn FnMut(f64)),
) -> Option<[f64; 2]> {
    let (mut total, mut fine) = (0u64, 0u64);
    let mut searches = Vec::new();
    for shift in PASSES {
        let mask = (1u64 << WIDTH) - 1;
        let mut histograms = vec![vec![0u64; 1 << WIDTH]; searches.len().max(1)];
        visit_all(&mut |value| {
            if !value.is_finite() {
                return;
            }
            let key = key(value);
            let bucket = (key >> shift & mask) as usize;
            if searches.is_empty() {
                total += 1;
                fine |= value.to_bits();
                histograms[0][bucket] += 1;
            }
            for (search, histogram) in searches.iter().zip(&mut histograms) {
                let Search { prefix, .. } = search;
                if key.checked_shr(shift + WIDTH).unwrap_or(0) == *prefix {
                    histogram[bucket] += 1;
                }
            }
        });
        if total == 0 {
            return None;
        }
        if searches.is_empty() {
            searches =
                percents.map(|percent| Search { prefix: 0, rank: rank(total, percent) }).into();
            histograms.push(histograms[0].clone());
        }
        for (search, histogram) in searches.iter_mut().zip(&histograms) {
            search.narrow(histogram);
        }
        // The remaining bits are 0 in all values; in keys of negative values they are 1.
        let rest = (1u64 << shift) - 1;
        if fine & rest == 0 {
            for search in &mut searches {
                let is_negative = search.prefix >> (63 - shift) == 0;
                search.prefix = search.prefix << shift | if is_negative { rest } else { 0 };
            }
            break;
        }
    }
    match searches.as_slice() {
        [low, high] => Some([value(low.prefix), value(high.prefix)]),
        _ => None,
    }
}

/// Location of the value with a certain rank.
struct Search {
    /// The upper bits of its key.
    prefix: u64,
    /// Its rank among the values that share these bits.
    rank: u64,
}

impl Search {
    fn narrow(&mut self, histogram: &[u64]) {
        let mut before = 0;
        for (bucket, count) in (0u64..).zip(histogram) {
            if before + count > self.rank {
                self.prefix = self.prefix << WIDTH | bucket;
                self.rank -= before;
                return;
            }
            before += count;
        }
    }
}

/// Returns a number with the same order as the value.
fn key(value: f64) -> u64 {
    // Adding 0 makes -0 the same as 0.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn value(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_values(
            values in prop::collection::vec(prop_oneof![
                prop::num::f64::NORMAL,
                (-300i32..300).prop_map(f64::from),
                prop::num::f32::NORMAL.prop_map(f64::from),
                Just(-0.0),
            ], 1..40),
            low in 0u32..=100, high in 0u32..=100, coarse: bool,
        ) {
            let values: Vec<f64> = match coarse {
                true => values.iter().map(|&value| f64::from(value as f32)).collect(),
                false => values,
            };
            let percents = [f64::from(low), f64::from(high)];
            let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
            let found = percentiles(percents, |visit| values.iter().for_each(|&value| visit(value)));
            sorted.sort_by(f64::total_cmp);
            if sorted.is_empty() {
                prop_assert_eq!(found, None);
            } else {
                let at = |percent| sorted[rank(sorted.len() as u64, percent) as usize];
                prop_assert_eq!(found, Some(percents.map(at)));
            }
        }
    }

    #[test]
    fn values_that_are_not_finite_do_not_count() {
        let values = [f64::NAN, f64::INFINITY, 3.0, f64::NEG_INFINITY, -1.0];
        let visit_all = |visit: &mut dyn FnMut(f64)| values.iter().for_each(|&value| visit(value));
        assert_eq!(percentiles([0.0, 100.0], visit_all), Some([-1.0, 3.0]));
        assert_eq!(percentiles([0.0, 100.0], |visit| visit(f64::NAN)), None);
    }
}
