//! Where a pose track prompts again.

use std::fmt;

use sam2_mask_writer::{QualityFlag, QualityFlags};

/// Where masks are flagged and the pose track is sure, the track prompts the object once more, and
/// what that can change is tracked again. A prompt is kept if fewer frames are flagged with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reprompt {
    when: QualityFlags,
    rounds: usize,
}

impl Reprompt {
    /// The flags that can ask for a prompt.
    pub const FLAGS: [QualityFlag; 3] =
        [QualityFlag::Lost, QualityFlag::OffTrack, QualityFlag::Disagree];
    /// How often the frames between two prompts are tracked again by default, at most.
    pub const ROUNDS: usize = 3;

    /// Prompts again where one of these flags is set, those of [`Self::FLAGS`]. Others do not count.
    pub fn when(flags: impl IntoIterator<Item = QualityFlag>) -> Self {
        let when = flags.into_iter().filter(|flag| Self::FLAGS.contains(flag)).collect();
        Self { when, rounds: Self::ROUNDS }
    }

    /// Sets how often the frames between two prompts are tracked again, at most. Each round takes at
    /// most one more pass over the frames of an object between two prompts.
    pub fn rounds(self, rounds: usize) -> Self {
        Self { rounds, ..self }
    }

    /// Returns the largest number of rounds.
    pub fn most_rounds(&self) -> usize {
        self.rounds
    }

    /// Returns true if one of the flags asks for a prompt.
    pub(super) fn is_asked_for(&self, flags: QualityFlags) -> bool {
        self.when.iter().any(|flag| flags.contains(flag))
    }
}

impl fmt::Display for Reprompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: Vec<&str> = self.when.iter().map(QualityFlag::name).collect();
        write!(f, "{}; up to {} rounds", flags.join(", "), self.rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_flags_ask_for_a_prompt() {
        let set = |flag| QualityFlags::from_iter([flag]);
        let all = Reprompt::when(QualityFlag::ALL);
        for flag in QualityFlag::ALL {
            assert_eq!(all.is_asked_for(set(flag)), Reprompt::FLAGS.contains(&flag), "{flag:?}");
        }
        let lost = Reprompt::when([QualityFlag::Lost, QualityFlag::Overlap]).rounds(1);
        assert!(lost.is_asked_for(set(QualityFlag::Lost)));
        assert!(!lost.is_asked_for(set(QualityFlag::Disagree)));
        assert!(!lost.is_asked_for(QualityFlags::NONE));
        assert_eq!(lost.to_string(), "lost; up to 1 rounds");
    }
}
