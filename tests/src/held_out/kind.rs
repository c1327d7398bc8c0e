//! The kinds of clips.

use super::animal::Species;

/// The event in a clip. Clips that are longer than [`Kind::frames`] repeat it, each time a little
/// differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A mouse alone.
    SingleMouse,
    /// A worm alone.
    SingleWorm,
    /// Two mice that look alike walk past each other; one passes over the other.
    MiceCross,
    /// Two worms that look alike crawl over each other.
    WormsCross,
    /// A mouse stops on top of a look-alike, stays there and walks on.
    StopsOnTop,
    /// A mouse leaves the picture and returns elsewhere, while a look-alike stays.
    LeavesAndReturns,
    /// Five mice that look alike roam and touch.
    FiveMice,
    /// A mouse turns round on the spot and rears, so that it looks shorter.
    MouseTurns,
    /// A worm curls up and stretches.
    WormCurls,
    /// Two mice that look alike, many minutes long, with a crossing about every 200 frames.
    Long,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::SingleMouse,
        Self::SingleWorm,
        Self::MiceCross,
        Self::WormsCross,
        Self::StopsOnTop,
        Self::LeavesAndReturns,
        Self::FiveMice,
        Self::MouseTurns,
        Self::WormCurls,
        Self::Long,
    ];

    /// Returns the name used in tables, file names and command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleMouse => "single-mouse",
            Self::SingleWorm => "single-worm",
            Self::MiceCross => "mice-cross",
            Self::WormsCross => "worms-cross",
            Self::StopsOnTop => "stops-on-top",
            Self::LeavesAndReturns => "leaves-and-returns",
            Self::FiveMice => "five-mice",
            Self::MouseTurns => "mouse-turns",
            Self::WormCurls => "worm-curls",
            Self::Long => "long",
        }
    }

    /// Returns the kind with this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        let names = || Self::ALL.map(Self::name).join(", ");
        found.unwrap_or_else(|| panic!("{name} is not a kind; use {}", names()))
    }

    /// Returns the usual length in frames.
    pub fn frames(self) -> usize {
        match self {
            Self::SingleMouse | Self::SingleWorm => 60,
            Self::MiceCross | Self::MouseTurns | Self::WormCurls => 90,
            Self::WormsCross | Self::StopsOnTop | Self::FiveMice => 120,
            Self::LeavesAndReturns => 150,
            Self::Long => 2000,
        }
    }

    /// Returns the species of all animals of the clip.
    pub(super) fn species(self) -> Species {
        match self {
            Self::SingleWorm | Self::WormsCross | Self::WormCurls => Species::Worm,
            _ => Species::Mouse,
        }
    }
}
