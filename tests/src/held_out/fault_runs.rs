//! Runs of frames in which a fault holds: trackers do not fail in single frames.

use std::ops::Range;

use crate::noise::Random;

/// Draws runs of 1 to `longest` frames that cover about this share of the frames, in ascending
/// order. Neighbouring runs may touch.
pub(super) fn runs(
    random: &mut Random,
    frames: usize,
    share: f32,
    longest: usize,
) -> Vec<Range<usize>> {
    let mean = (1 + longest) as f32 / 2.0;
    // With this chance of a start on each free frame, runs and gaps have the wanted lengths.
    let start = share / (share + mean * (1.0 - share));
    let (mut found, mut frame) = (Vec::new(), 0);
    while frame < frames {
        if share > 0.0 && random.chance(start) {
            let end = frame + 1 + random.below(longest);
            found.push(frame..end.min(frames));
            frame = end;
        } else {
            frame += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_the_share_that_was_asked_for() {
        for (share, longest) in [(0.0, 5), (0.01, 5), (0.2, 8), (0.5, 3), (1.0, 4)] {
            let frames = 200_000;
            let runs = runs(&mut Random::new(8), frames, share, longest);
            let covered = runs.iter().map(Range::len).sum::<usize>() as f32 / frames as f32;
            assert!((covered - share).abs() <= 0.1 * share, "{covered} for {share}");
            assert!(runs.iter().all(|run| (1..=longest).contains(&run.len())));
            assert!(runs.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
