//! Labels and explanations of flags on the page.

use sam2_mask_writer::QualityFlag;

use crate::report::Report;

/// Returns a flag's label, one or two words.
pub(super) fn label(flag: QualityFlag) -> &'static str {
    match flag {
        QualityFlag::Lost => "Lost",
        QualityFlag::AreaJump => "Area jump",
        QualityFlag::NearlyFull => "Nearly full",
        QualityFlag::Inverted => "Inverted",
        QualityFlag::Disagree => "Disagreement",
        QualityFlag::Overlap => "Overlap",
        QualityFlag::OffTrack => "Off track",
        QualityFlag::DoubtfulPrompt => "Doubtful prompt",
        other => other.name(),
    }
}

/// Explains what a flag means and what to do about it.
pub(super) fn meaning(flag: QualityFlag) -> &'static str {
    match flag {
        QualityFlag::Lost => {
            "The mask is empty: the object score is not above 0, so that the model does not see the object, or it sees it and no pixel \
             is left. Right if the animal is hidden or has left the picture; otherwise prompt it once more there."
        }
        QualityFlag::AreaJump => {
            "The mask is suddenly much larger or smaller than in the frames before: it may have spread to the background or to \
             another animal, or lost a part. Look at it, and prompt it again if it is wrong."
        }
        QualityFlag::NearlyFull => {
            "The mask covers nearly the whole picture. Prompt it again, with a click on the background next to the animal."
        }
        QualityFlag::Inverted => {
            "The mask covers a large part of the picture although the object was small where it was prompted: likely the \
             background instead of the object. Prompt it again, with a click on the background next to the animal."
        }
        QualityFlag::Disagree => {
            "The frame was tracked from the prompts before and after it, and the two masks differ, so one of them is wrong. The one \
             that is shown is the more likely one, but the other one may be right. Look which animal it is, and prompt it once \
             more there."
        }
        QualityFlag::Overlap => {
            "The mask covers the same pixels as that of another object: one of the two animals has taken the pixels of the other. \
             Look who is who, also in the frames that follow, and prompt both once more there."
        }
        QualityFlag::OffTrack => {
            "Body parts of which the pose track is sure lie outside of the mask, or inside that of another object. Either the mask \
             is on the wrong animal or the track is: look who is who, and prompt it once more there."
        }
        QualityFlag::DoubtfulPrompt => {
            "The frame was prompted, and its mask is doubtful: the model itself predicts a low IoU, or the mask is much larger than \
             the body parts that were given. Everything that is tracked from it is doubtful too, so look at it first. Prompt more \
             points on the animal, or a box around it, or another frame."
        }
        _ => "A person should look at these masks.",
    }
}

/// Returns the flags that at least one mask of the run has.
pub(super) fn present(report: &Report) -> Vec<QualityFlag> {
    let counted = QualityFlag::ALL.into_iter().zip(report.totals.by_flag);
    counted.filter(|(_, count)| *count > 0).map(|(flag, _)| flag).collect()
}

/// Returns the flags that no mask has although the run could have had them. A flag is left out
/// where its absence says nothing: disagreement where nothing was tracked from two sides, overlap
/// of a single object, doubtful prompts where no mask is marked as prompted, and a pose track,
/// since the page does not know whether the run had one.
pub(super) fn absent(report: &Report) -> Vec<QualityFlag> {
    let totals = &report.totals;
    let counted = QualityFlag::ALL.into_iter().zip(totals.by_flag);
    let absent = counted.filter(|(flag, count)| {
        *count == 0
            && totals.known > 0
            && match flag {
                QualityFlag::Disagree => totals.compared > 0,
                QualityFlag::Overlap => report.object_count() > 1,
                QualityFlag::OffTrack => false,
                QualityFlag::DoubtfulPrompt => !totals.prompted.is_empty(),
                _ => true,
            }
    });
    absent.map(|(flag, _)| flag).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_flag_has_its_own_words() {
        let labels: BTreeSet<_> = QualityFlag::ALL.map(label).into();
        let meanings: BTreeSet<_> = QualityFlag::ALL.map(meaning).into();
        assert_eq!((labels.len(), meanings.len()), (8, 8));
        for flag in QualityFlag::ALL {
            assert!(label(flag).starts_with(char::is_uppercase), "{flag:?} has a label");
            assert!(meaning(flag).matches(". ").count() >= 1, "{flag:?}: what to do");
        }
    }
}
