//! What a person should look at: marks that go with a mask into tables and reports.

use std::fmt;

/// Something about a mask that a person should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum QualityFlag {
    /// The mask is empty: the object score is at or below 0 (the model does not see the object), or the score is above 0 and no pixel
    /// is left of the mask.
    Lost,
    /// The area differs from that of the frames before, in the order of travel, by more than a factor, or the mask is empty
    /// and the one before was not.
    AreaJump,
    /// The mask covers nearly the whole picture.
    NearlyFull,
    /// The mask covers a large part of the picture although the closest prompted frame's covers a small one: likely the
    /// background instead of the object.
    Inverted,
}

impl QualityFlag {
    /// Every flag.
    pub const ALL: [Self; 4] = [Self::Lost, Self::AreaJump, Self::NearlyFull, Self::Inverted];

    /// The flag's name in files: one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::AreaJump => "area-jump",
            Self::NearlyFull => "nearly-full",
            Self::Inverted => "inverted",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What is to be seen, in words.
impl fmt::Display for QualityFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "the object was not found",
            Self::AreaJump => "the area changes suddenly",
            Self::NearlyFull => "nearly the whole picture is covered",
            Self::Inverted => "the mask may be inverted (background instead of object)",
        })
    }
}

/// A set of flags.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct QualityFlags(u8);

impl QualityFlags {
    /// Nothing to remark.
    pub const NONE: Self = Self(0);

    /// Whether there is nothing to remark.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `flag` is set.
    pub fn contains(self, flag: QualityFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Sets `flag`.
    pub fn insert(&mut self, flag: QualityFlag) {
        self.0 |= flag.bit();
    }

    /// The flags that are set.
    pub fn iter(self) -> impl Iterator<Item = QualityFlag> {
        QualityFlag::ALL.into_iter().filter(move |&flag| self.contains(flag))
    }
}

impl QualityFlags {
    /// As one byte, for files: bit `n` is the `n`-th of [`QualityFlag::ALL`].
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From [`Self::bits`]; `None` if a bit has no meaning.
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
        assert_eq!(QualityFlags::from_bits(0x10), None);
        assert!(!set.is_empty() && QualityFlags::NONE.is_empty());
    }
}
