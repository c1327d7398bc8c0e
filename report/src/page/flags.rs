//! Labels and explanations of flags on the page.

use sam2_mask_writer::QualityFlag;

/// Returns a flag's label, one or two words.
pub(super) fn label(flag: QualityFlag) -> &'static str {
    match flag {
        QualityFlag::Lost => "Lost",
        QualityFlag::AreaJump => "Area jump",
        QualityFlag::NearlyFull => "Nearly full",
        QualityFlag::Inverted => "Inverted",
        other => other.name(),
    }
}

/// Explains what a flag means and what to look for.
pub(super) fn meaning(flag: QualityFlag) -> &'static str {
    match flag {
        QualityFlag::Lost => {
            "The mask is empty: the object score is not above 0, so that the model does not see the object, or it sees it and no pixel \
             is left. Right if the animal is hidden or has left the picture; else prompt it once more there."
        }
        QualityFlag::AreaJump => {
            "The mask is suddenly much larger or smaller than in the frames before: it may have spread to the background or to \
             another animal, or lost a part."
        }
        QualityFlag::NearlyFull => "The mask covers nearly the whole picture.",
        QualityFlag::Inverted => {
            "The mask covers a large part of the picture although the object was small where it was prompted: likely the \
             background instead of the object."
        }
        _ => "A person should look at these masks.",
    }
}
