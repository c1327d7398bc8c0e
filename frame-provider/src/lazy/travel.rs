//! Guessing which frames come next from those that were asked for.

/// The largest stride that counts as travel. Beyond it, guessing costs more decoding than it can save.
const MAX_STRIDE: isize = 64;

/// The direction of travel, learned from the order of requests.
///
/// Steps by one are believed at once, since that is what propagation does. Longer strides are believed when they come
/// twice in a row; until then, as after a jump, nothing is prefetched.
#[derive(Debug, Default)]
pub(super) struct Travel {
    last: Option<usize>,
    last_step: isize,
    stride: Option<isize>,
}

impl Travel {
    /// Notes a request for frame `index`.
    pub(super) fn note(&mut self, index: usize) {
        let Some(last) = self.last.replace(index) else {
            // Nothing is known yet; most clips are read forward from wherever reading starts.
            self.stride = Some(1);
            return;
        };
        let step = index as isize - last as isize;
        if step == 0 {
            return; // The same frame again, say for the overlay, says nothing about the direction.
        }
        let believed = step.abs() == 1 || (step == self.last_step && step.abs() <= MAX_STRIDE);
        self.stride = believed.then_some(step);
        self.last_step = step;
    }

    /// The next frames on the way, nearest first: at most `ahead`, all below `count`.
    pub(super) fn upcoming(
        &self,
        ahead: usize,
        count: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let way = self.last.zip(self.stride);
        (1..=ahead).map_while(move |steps| {
            let (last, stride) = way?;
            let index =
                last.checked_add_signed(stride.checked_mul(isize::try_from(steps).ok()?)?)?;
            (index < count).then_some(index)
        })
    }

    /// Forgets everything, and guesses nothing until the next request.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(requests: &[usize]) -> Vec<usize> {
        let mut travel = Travel::default();
        for &index in requests {
            travel.note(index);
        }
        travel.upcoming(3, 100).collect()
    }

    #[test]
    fn follows_forward_reverse_and_strides() {
        assert_eq!(after(&[]), []);
        assert_eq!(after(&[5]), [6, 7, 8]);
        assert_eq!(after(&[5, 6]), [7, 8, 9]);
        assert_eq!(after(&[5, 6, 6]), [7, 8, 9]);
        assert_eq!(after(&[5, 4]), [3, 2, 1]);
        assert_eq!(after(&[10, 20, 30]), [40, 50, 60]);
        assert_eq!(after(&[30, 20, 10]), [0]);
        assert_eq!(after(&[10, 11, 10]), [9, 8, 7]);
    }

    #[test]
    fn stops_at_jumps_and_at_the_ends() {
        assert_eq!(after(&[10, 20]), []);
        assert_eq!(after(&[5, 6, 90, 3]), []);
        assert_eq!(after(&[0, 70, 140]), []);
        assert_eq!(after(&[98]), [99]);
        assert_eq!(after(&[2, 1]), [0]);
    }
}
