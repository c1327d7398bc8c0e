//! How well flags find wrong masks.

use super::scores::Scores;

/// Counts of masks by whether they are wrong and whether they carry a flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagScore {
    /// Wrong masks with a flag.
    pub wrong_flagged: usize,
    /// Wrong masks without a flag.
    pub wrong_unflagged: usize,
    /// Right masks with a flag.
    pub right_flagged: usize,
    /// Right masks without a flag.
    pub right_unflagged: usize,
}

impl FlagScore {
    /// Compares flags with the verdicts. `is_flagged` gets the frame and the index of the object.
    pub fn of(scores: &Scores, is_flagged: impl Fn(usize, usize) -> bool) -> Self {
        let mut counts = Self::default();
        for verdict in scores.verdicts() {
            let count = match (verdict.is_wrong(), is_flagged(verdict.frame, verdict.object)) {
                (true, true) => &mut counts.wrong_flagged,
                (true, false) => &mut counts.wrong_unflagged,
                (false, true) => &mut counts.right_flagged,
                (false, false) => &mut counts.right_unflagged,
            };
            *count += 1;
        }
        counts
    }

    /// Returns the share of the flags that are on wrong masks, 0 to 1; `None` without flags.
    pub fn precision(&self) -> Option<f64> {
        share(self.wrong_flagged, self.right_flagged)
    }

    /// Returns the share of the right masks that carry a flag, 0 to 1; `None` if no mask is right.
    pub fn false_alarms(&self) -> Option<f64> {
        share(self.right_flagged, self.right_unflagged)
    }

    /// Returns the share of the wrong masks that carry a flag, 0 to 1; `None` if no mask is wrong.
    pub fn recall(&self) -> Option<f64> {
        share(self.wrong_flagged, self.wrong_unflagged)
    }
}

impl std::iter::Sum for FlagScore {
    fn sum<I: Iterator<Item = Self>>(scores: I) -> Self {
        scores.fold(Self::default(), |a, b| Self {
            wrong_flagged: a.wrong_flagged + b.wrong_flagged,
            wrong_unflagged: a.wrong_unflagged + b.wrong_unflagged,
            right_flagged: a.right_flagged + b.right_flagged,
            right_unflagged: a.right_unflagged + b.right_unflagged,
        })
    }
}

fn share(part: usize, rest: usize) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_engine::Mask;

    #[test]
    fn flags_are_counted_on_wrong_and_on_right_masks() {
        let (full, none) =
            (Mask::from_pixels(2, 1, [true; 2].into_iter()).unwrap(), Mask::empty(2, 1));
        let mut scores = Scores::default();
        // Wrong are (1, 0), (1, 1) and (2, 1).
        scores.add(0, &[full.clone(), none.clone()], &[full.clone(), none.clone()]);
        scores.add(1, &[full.clone(), none.clone()], &[none.clone(), full.clone()]);
        scores.add(2, &[full.clone(), full.clone()], &[full.clone(), none]);
        let flagged = [(0, 0), (1, 0), (1, 1)];
        let score = FlagScore::of(&scores, |frame, object| flagged.contains(&(frame, object)));
        let expected = FlagScore {
            wrong_flagged: 2,
            wrong_unflagged: 1,
            right_flagged: 1,
            right_unflagged: 2,
        };
        assert_eq!(score, expected);
        assert_eq!((score.precision(), score.recall()), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
        assert_eq!(score.false_alarms(), Some(1.0 / 3.0));
        let twice: FlagScore = [score, score].into_iter().sum();
        assert_eq!((twice.wrong_flagged, twice.right_unflagged), (4, 4));
        let no_flags = FlagScore::of(&scores, |_, _| false);
        assert_eq!((no_flags.precision(), no_flags.recall()), (None, Some(0.0)));
        assert_eq!(FlagScore::of(&Scores::default(), |_, _| true).recall(), None);
    }
}
