//! Quality flags: marks on masks that a person should check, for tables and reports.

use std::fmt;

/// A reason to check a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum QualityFlag {
    /// The mask is empty: either the object score is at or below 0 (the model does not see the
    /// object), or the score is above 0 but the mask has no pixels.
    Lost,
    /// The area differs by more than a given factor from that of the preceding frames in tracking
    /// order, or the mask is empty and the preceding one is not.
    AreaJump,
    /// The mask covers nearly the whole frame.
    NearlyFull,
    /// The mask covers a large part of the frame, although the mask on the closest prompted frame
    /// covers a small part: it is likely the background instead of the object.
    Inverted,
    /// The frame was tracked from the prompts on both sides of it, and the two masks show different
    /// things: one of them is wrong.
    Disagree,
    /// The mask covers the same pixels as that of another object: one of the two objects has taken
    /// the other.
    Overlap,
    /// Body parts that the pose track is sure of lie outside the mask, or inside that of another
    /// object.
    OffTrack,
    /// The frame was prompted, and the resulting mask is doubtful: the model predicts a low IoU for
    /// it, or it is much larger than the box around the body parts that were given. What is tracked
    /// from it is doubtful too.
    DoubtfulPrompt,
}

impl QualityFlag {
    /// Every flag.
    pub const ALL: [Self; 8] = [
        Self::Lost,
        Self::AreaJump,
        Self::NearlyFull,
        Self::Inverted,
        Self::Disagree,
        Self::Overlap,
        Self::OffTrack,
        Self::DoubtfulPrompt,
    ];

    /// Returns the flag's name in files, a single word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::AreaJump => "area-jump",
            Self::NearlyFull => "nearly-full",
            Self::Inverted => "inverted",
            Self::Disagree => "disagree",
            Self::Overlap => "overlap",
            Self::OffTrack => "off-track",
            Self::DoubtfulPrompt => "doubtful-prompt",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Describes the flag in words.
impl fmt::Display for QualityFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "the object was not found",
            Self::AreaJump => "the area changes suddenly",
            Self::NearlyFull => "nearly the whole picture is covered",
            Self::Inverted => "the mask may be inverted (background instead of object)",
            Self::Disagree => "tracked from either side, the masks differ",
            Self::Overlap => "two objects have the same pixels",
            Self::OffTrack => "the mask is not where the pose track is",
            Self::DoubtfulPrompt => "the prompt gave a doubtful mask",
        })
    }
}

/// A set of flags.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct QualityFlags(u8);

impl QualityFlags {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Returns whether no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether `flag` is set.
    pub fn contains(self, flag: QualityFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Sets `flag`.
    pub fn insert(&mut self, flag: QualityFlag) {
        self.0 |= flag.bit();
    }

    /// Clears `flag`.
    pub fn remove(&mut self, flag: QualityFlag) {
        self.0 &= !flag.bit();
    }

    /// Iterates over the flags that are set.
    pub fn iter(self) -> impl Iterator<Item = QualityFlag> {
        QualityFlag::ALL.into_iter().filter(move |&flag| self.contains(flag))
    }
}

impl QualityFlags {
    /// Returns the flags as one byte for files: bit `n` is the `n`-th flag of [`QualityFlag::ALL`].
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Reads the flags from [`Self::bits`]; `None` if an undefined bit is set.
    pub fn from_bits(bits: u8) -> Option<Self> {
        let set: Self =
            QualityFlag::ALL.into_iter().filter(|flag| bits & flag.bit() != 0).collect();
        (set.0 == bits).then_some(set)
    }
}

impl FromIterator<QualityFlag> for QualityFlags {
    fn from_iter<T: IntoIterator<Item = QualityFlag>>(flags: T) -> Self {
        let mut set = Self::NONE;
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    }
}

impl fmt::Debug for QualityFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_flags_are_sets() {
        let set: QualityFlags = [QualityFlag::Inverted, QualityFlag::Lost].into_iter().collect();
        assert_eq!(format!("{set:?}"), "{Lost, Inverted}");
        assert!(!set.contains(QualityFlag::AreaJump) && set.contains(QualityFlag::Lost));
        assert_eq!(QualityFlags::from_bits(set.bits()), Some(set));
        for bits in 0..=u8::MAX {
            assert_eq!(QualityFlags::from_bits(bits).map(QualityFlags::bits), Some(bits));
        }
        assert!(!set.is_empty() && QualityFlags::NONE.is_empty());
        let mut fewer = set;
        fewer.remove(QualityFlag::Lost);
        fewer.remove(QualityFlag::Disagree);
        assert_eq!(format!("{fewer:?}"), "{Inverted}");
    }
}
