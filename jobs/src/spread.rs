//! Selects evenly spread items.

/// Returns at most `most` (2 or more) of the numbers below `count`, evenly spread, including the
/// first and the last.
pub(super) fn spread(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|at| at * (count - 1) / (most - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_with_both_ends() {
        assert_eq!(spread(3, 64), [0, 1, 2]);
        let many = spread(1000, 64);
        assert_eq!((many.len(), many[0], many[63]), (64, 0, 999));
    }
}
