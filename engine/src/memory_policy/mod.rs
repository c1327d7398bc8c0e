//! Memory policies: what a frame reads, and what is kept for later frames.
//!
//! The official predictor reads the last six frames whatever they show. When the object is hidden
//! or a look-alike passes, it remembers the obstacle or the other animal and continues with that. A
//! [`MemoryPolicy`] makes this choice instead: [`OfficialPolicy`] matches the official code bit for
//! bit; [`GuardedPolicy`] reads only trusted frames; [`Dam4samPolicy`], [`Sam3Policy`] and
//! [`Sam2longPolicy`] follow published rules, the last one with several hypotheses ([`Pathways`]).
//!
//! All objects share the policy, which holds no state. What is known of an object is in its
//! [`MemoryBank`], as plain tensors and numbers. The policy sees the bank through a [`MemoryView`],
//! which shows only what the policy declares to read ([`MemoryPolicy::retains`]). Pruning can
//! therefore never change a result, whatever the policy does.
//!
//! [`MemoryBank`]: crate::MemoryBank

mod candidates;
mod dam4sam;
mod guarded;
mod official;
mod pathways;
mod sam2long;
mod sam3;
#[cfg(test)]
pub(crate) mod testing;
mod view;

use std::fmt;
use std::sync::Arc;

use sam2_model::MemorySelection;
use serde::{Deserialize, Serialize};

pub use candidates::{Candidate, Candidates};
pub use dam4sam::{Dam4samOptions, Dam4samPolicy};
pub use guarded::{GuardedOptions, GuardedPolicy};
pub use official::OfficialPolicy;
pub use pathways::Pathways;
pub(crate) use pathways::{Branch, Followed};
pub use sam2long::{Sam2longOptions, Sam2longPolicy};
pub use sam3::{Sam3Options, Sam3Policy};
pub use view::{Earlier, MemoryQuery, MemoryView};

use crate::frame_record::FrameRecord;
use crate::memory_bank::MemoryReach;

/// Decides which memories a frame reads and which are kept.
///
/// The same question must always get the same answer. Otherwise a session would differ from an
/// unpruned one and from one that was saved and restored. Only [`Self::name`], [`Self::retains`]
/// and [`Self::select`] must be implemented; the defaults of the others are the official behaviour.
///
/// ```
/// use sam2_engine::model::MemorySelection;
/// use sam2_engine::{MemoryPolicy, MemoryReach, MemoryView, OfficialPolicy, Retained};
///
/// /// The official memories, without pointers.
/// #[derive(Debug)]
/// struct NoPointers;
///
/// impl MemoryPolicy for NoPointers {
///     fn name(&self) -> &str {
///         "no pointers"
///     }
///
///     fn retains(&self, reach: &MemoryReach) -> Retained {
///         OfficialPolicy.retains(reach)
///     }
///
///     fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
///         MemorySelection { pointers: Vec::new(), ..OfficialPolicy.select(view) }
///     }
/// }
/// ```
pub trait MemoryPolicy: Send + Sync + fmt::Debug {
    /// Returns a short name, for messages and saved sessions.
    fn name(&self) -> &str;

    /// Returns how far back the policy reads. Frames further back are released, and the policy
    /// cannot see them.
    fn retains(&self, reach: &MemoryReach) -> Retained;

    /// Returns the memories and pointers that the frame reads, in the order of [`MemorySelection`].
    fn select(&self, view: &MemoryView<'_>) -> MemorySelection;

    /// Returns the frames before `query.frame` that may be read, in addition to the pointers and
    /// records of the last fifteen.
    ///
    /// A bounded session refuses to start where one of these frames was released, so the list must
    /// be complete. It must also contain what later frames in the same direction read. The default
    /// is everything within [`Self::retains`].
    fn reads(&self, query: &MemoryQuery) -> Vec<MemoryRead> {
        let retained = self.retains(&query.reach);
        (1..=retained.frames.max(retained.memories))
            .map_while(|steps| {
                let frame = query.direction.back(query.frame, steps)?;
                let memory = steps <= retained.memories;
                (frame < query.frame_count).then_some(MemoryRead { frame, memory })
            })
            .collect()
    }

    /// Returns whether to call [`Self::sees_distractor`]. Reading the three candidates back from
    /// the device takes time.
    fn reads_candidates(&self) -> bool {
        false
    }

    /// Returns whether the candidates of a tracked frame show another object that the prompt could
    /// have meant. The answer is stored in [`FrameRecord::distractor`].
    fn sees_distractor(&self, _candidates: &Candidates) -> bool {
        false
    }

    /// Returns whether to keep a tracked frame in reserve, whatever its age
    /// ([`MemoryView::kept_apart`]). `view` and `record` are of that frame. Beyond
    /// [`Retained::apart`] frames, the most distant one is evicted.
    fn keeps_apart(&self, _view: &MemoryView<'_>, _record: &FrameRecord) -> bool {
        false
    }

    /// Returns how many hypotheses about an object are followed at the same time, and how they are
    /// chosen. The default is a single one. Each has a [`MemoryBank`](crate::MemoryBank) of its own,
    /// and the policy is asked about each of them separately; the mask of [`Self::sees_distractor`]
    /// need not be the most confident candidate then.
    fn pathways(&self) -> Pathways {
        Pathways::default()
    }

    /// Returns whether the copy of a frame in reserve gets a memory of its own, encoded from the
    /// hard mask as that of a prompted frame. The default is to copy the tracked frame's memory.
    fn encodes_apart_as_prompted(&self) -> bool {
        false
    }
}

/// How much of one object's past a policy reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Spatial memories of ordinary frames are read up to this many frames back.
    pub memories: usize,
    /// Pointers and [`FrameRecord`]s of ordinary frames are read up to this many frames back. A
    /// session always keeps those of the last fifteen.
    pub frames: usize,
    /// Maximum number of frames in reserve.
    pub apart: usize,
}

impl Retained {
    /// Returns what a session keeps for a policy: what the policy reads, and what quality flags are
    /// computed from.
    pub(crate) fn of(policy: &dyn MemoryPolicy, reach: &MemoryReach) -> Self {
        let asked = policy.retains(reach);
        Self { frames: asked.frames.max(asked.memories).max(reach.pointers()), ..asked }
    }
}

/// A frame that may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRead {
    /// Index of the frame, which need not exist.
    pub frame: usize,
    /// Whether the memory is read in addition to the pointer and the record.
    pub memory: bool,
}

/// Returns a limit that is a number; one that is none counts as off.
fn finite(limit: Option<f32>) -> Option<f32> {
    limit.filter(|limit| limit.is_finite())
}

/// Returns every earlier frame that tracking a frame may read.
pub(crate) fn reads(policy: &dyn MemoryPolicy, query: &MemoryQuery) -> Vec<MemoryRead> {
    let mut reads = policy.reads(query);
    let pointers =
        (1..=query.reach.pointers()).filter_map(|steps| query.direction.back(query.frame, steps));
    reads.extend(pointers.map(|frame| MemoryRead { frame, memory: false }));
    reads
}

/// The built-in policy of a session. To use one of your own, pass it to
/// [`crate::VideoSessionBuilder::memory_policy`] or [`crate::StreamSessionBuilder::memory_policy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryPolicyChoice {
    /// [`OfficialPolicy`].
    #[default]
    Official,
    /// [`GuardedPolicy`].
    Guarded(GuardedOptions),
    /// [`Dam4samPolicy`].
    Dam4sam(Dam4samOptions),
    /// [`Sam3Policy`].
    Sam3(Sam3Options),
    /// [`Sam2longPolicy`].
    Sam2long(Sam2longOptions),
}

impl MemoryPolicyChoice {
    /// Returns the policy itself.
    pub fn policy(&self) -> Arc<dyn MemoryPolicy> {
        match *self {
            Self::Official => Arc::new(OfficialPolicy),
            Self::Guarded(options) => Arc::new(GuardedPolicy::new(options)),
            Self::Dam4sam(options) => Arc::new(Dam4samPolicy::new(options)),
            Self::Sam3(options) => Arc::new(Sam3Policy::new(options)),
            Self::Sam2long(options) => Arc::new(Sam2longPolicy::new(options)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::testing::{distances, outcome, reach, record, times, values, view};
    use super::*;
    use crate::memory_bank::MemoryBank;
    use crate::session::Direction;

    /// Reads everything it is shown, at any distance.
    #[derive(Debug)]
    struct Greedy;

    impl MemoryPolicy for Greedy {
        fn name(&self) -> &str {
            "greedy"
        }

        fn retains(&self, _reach: &MemoryReach) -> Retained {
            Retained { memories: 3, frames: 20, apart: 2 }
        }

        fn select(&self, view: &MemoryView<'_>) -> MemorySelection {
            let seen: Vec<_> = (1..200).filter_map(|steps| view.back(steps)).collect();
            MemorySelection {
                spatial: seen.iter().filter_map(|e| Some((1, e.memory?.clone()))).collect(),
                pointers: seen.iter().map(Earlier::pointer).collect(),
                pointer_time_scale: 15,
            }
        }
    }

    /// Returns every built-in policy with its default options.
    fn built_in() -> [MemoryPolicyChoice; 5] {
        [
            MemoryPolicyChoice::Official,
            MemoryPolicyChoice::Guarded(GuardedOptions::default()),
            MemoryPolicyChoice::Dam4sam(Dam4samOptions::default()),
            MemoryPolicyChoice::Sam3(Sam3Options::default()),
            MemoryPolicyChoice::Sam2long(Sam2longOptions::default()),
        ]
    }

    #[test]
    fn pruning_changes_no_selection_that_can_still_be_made() {
        let mut policies: Vec<_> = built_in().iter().map(MemoryPolicyChoice::policy).collect();
        policies.push(Arc::new(Greedy));
        for (policy, stride) in policies.iter().flat_map(|p| [(p, 1), (p, 3)]) {
            let (policy, reach) = (policy.as_ref(), MemoryReach { stride, ..reach() });
            let retained = Retained::of(policy, &reach);
            let mut kept = MemoryBank::default();
            kept.insert_conditioning(40, outcome(40.0));
            let mut pruned = kept.clone();
            let anchors = BTreeSet::from([40]);
            for frame in 41..140 {
                for bank in [&mut kept, &mut pruned] {
                    bank.insert_tracked(frame, outcome(frame as f32));
                    let predicted_iou = if frame % 4 == 0 { 0.0 } else { 0.9 };
                    let distractor = frame % 7 == 0;
                    let object_score = if frame % 9 == 0 { -1.0 } else { 9.0 };
                    let area = if frame % 5 == 0 { 0 } else { 50 };
                    let found =
                        FrameRecord { object_score, predicted_iou, distractor, ..record(area) };
                    bank.insert_record(frame, found);
                    let seen = view(bank, policy, frame, Direction::Forward, reach);
                    if policy.keeps_apart(&seen, &found) {
                        bank.keep_apart(frame, retained.apart);
                    }
                }
                pruned.prune(&anchors, frame, retained, 0, |_| {});
                for (at, direction) in [(frame + 1, Direction::Forward), (39, Direction::Reverse)] {
                    let select = |bank| policy.select(&view(bank, policy, at, direction, reach));
                    let (a, b) = (select(&kept), select(&pruned));
                    let all = |s: &MemorySelection| (times(s), values(s), distances(s));
                    assert_eq!(all(&a), all(&b), "{} at {at}", policy.name());
                }
            }
            let most = 2 * (retained.frames.max(retained.memories) + 1);
            assert!(pruned.tracked_len() <= most, "{}", pruned.tracked_len());
        }
    }

    #[test]
    fn a_policy_sees_no_more_than_it_declares() {
        let mut bank = MemoryBank::default();
        for frame in 0..60 {
            bank.insert_tracked(frame, outcome(frame as f32));
        }
        let seen = view(&bank, &Greedy, 50, Direction::Forward, reach());
        assert_eq!(values(&Greedy.select(&seen)), [49.0, 48.0, 47.0]);
        assert_eq!(distances(&Greedy.select(&seen)), (1..=20).collect::<Vec<i64>>());
        assert!(seen.at(50).is_none() && seen.at(51).is_none() && seen.at(29).is_none());
        assert!(seen.at(30).is_some_and(|earlier| earlier.steps == 20 && earlier.memory.is_none()));
        let read = reads(&Greedy, seen.query());
        assert_eq!(read.iter().filter(|read| read.memory).count(), 3);
        assert!((30..50).all(|frame| read.iter().any(|read| read.frame == frame)));
    }

    #[test]
    fn what_a_frame_further_on_reads_is_read_before_or_new() {
        for policy in built_in() {
            let policy = policy.policy();
            for stride in 1..5 {
                let query = |frame, direction| {
                    let reach = MemoryReach { stride, ..reach() };
                    let query = MemoryQuery { frame, direction, frame_count: 500, reach };
                    reads(policy.as_ref(), &query)
                };
                for (frame, next, direction) in
                    [(200, 201, Direction::Forward), (200, 199, Direction::Reverse)]
                {
                    let before = query(frame, direction);
                    let mut later: Vec<MemoryRead> = query(next, direction);
                    later.retain(|read| read.frame != frame && !before.contains(read));
                    assert_eq!(later, [], "{} with stride {stride}", policy.name());
                }
            }
        }
    }

    #[test]
    fn looking_back_without_an_end_ends_with_the_recording() {
        let endless = GuardedOptions { look_back: usize::MAX, ..GuardedOptions::default() };
        let policy = GuardedPolicy::new(endless);
        let mut bank = MemoryBank::default();
        bank.insert_conditioning(100, outcome(0.0));
        for frame in (0..200).filter(|&frame| frame != 100) {
            bank.insert_tracked(frame, outcome(frame as f32));
            let predicted_iou = if frame.abs_diff(100) < 50 { 0.9 } else { 0.0 };
            bank.insert_record(frame, FrameRecord { predicted_iou, ..record(50) });
        }
        for (frame, direction) in [(199, Direction::Forward), (0, Direction::Reverse)] {
            let seen = view(&bank, &policy, frame, direction, reach());
            assert_eq!(times(&policy.select(&seen)), [0, 1, 2, 3, 4, 5, 6]);
            assert_eq!(reads(&policy, seen.query()).iter().filter(|read| read.memory).count(), 199);
        }
    }

    #[test]
    fn choices_are_saved_whatever_their_numbers() {
        let odd = GuardedOptions {
            min_object_score: Some(f32::NEG_INFINITY),
            min_predicted_iou: Some(f32::NAN),
            ..GuardedOptions::default()
        };
        let json = serde_json::to_string(&MemoryPolicyChoice::Guarded(odd)).unwrap();
        let off = GuardedOptions { min_object_score: None, min_predicted_iou: None, ..odd };
        let read: MemoryPolicyChoice = serde_json::from_str(&json).unwrap();
        assert_eq!(read, MemoryPolicyChoice::Guarded(off));
        assert_eq!(MemoryPolicyChoice::default().policy().name(), "official");
        assert_eq!(read.policy().name(), "guarded");
    }

    #[test]
    fn names_in_files_are_those_of_the_command_line() {
        for (choice, text) in built_in().into_iter().zip([
            r#""official""#,
            r#"{"guarded":{}}"#,
            r#"{"dam4sam":{}}"#,
            r#"{"sam3":{}}"#,
            r#"{"sam2long":{}}"#,
        ]) {
            assert_eq!(serde_json::from_str::<MemoryPolicyChoice>(text).unwrap(), choice);
            let name = choice.policy();
            assert!(serde_json::to_string(&choice).unwrap().contains(name.name()));
        }
        let odd = Dam4samOptions { area_change: Some(f32::NAN), ..Dam4samOptions::default() };
        let json = serde_json::to_string(&MemoryPolicyChoice::Dam4sam(odd)).unwrap();
        let off = Dam4samOptions { area_change: None, ..odd };
        let read: MemoryPolicyChoice = serde_json::from_str(&json).unwrap();
        assert_eq!(read, MemoryPolicyChoice::Dam4sam(off));
        let json = json.replace("area_change", "area_chance");
        assert!(serde_json::from_str::<MemoryPolicyChoice>(&json).is_err());
    }
}
