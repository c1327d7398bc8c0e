//! What a pose track says about masks.

use std::cmp::Reverse;
use std::ops::Range;

use sam2_engine::{ObjectId, ObjectMask};
use sam2_mask_writer::Mask;
use sha2::{Digest, Sha256};

use sam2_model::hexadecimal;

use crate::hash::short;
use crate::job_prompt::JobPrompt;
use crate::keypoint_prompts::KeypointPrompts;
use crate::keypoints::{Keypoint, LocatedTrack};

/// A box around body parts is grown by this share of its longer side: an animal is larger than the
/// box around its joints. Figure from SLEAP's prompts for SAM (sleap-nn, pull request 643).
const GROWN_BY: f32 = 0.6;
/// But at least by this many pixels. Same source.
const GROWN_BY_PIXELS: f32 = 15.0;
/// A mask that is larger than the grown box by more than this factor is doubtful. Same source.
const MOST_OF_BOX: f64 = 1.5;

/// A body part counts as inside a mask also this far outside of it, as a share of the square root of
/// the mask's area: a snout or the base of a tail is marked at the edge of an animal, and neither tracks
/// nor masks are exact to the pixel.
const NEAR: f32 = 0.1;

/// An animal's body parts are compared with those on frames up to this far away: if all of them have
/// jumped by more than the animal's length, the track may have taken another animal.
const STEADY_FRAMES: usize = 3;

/// A pose track as a witness: where body parts are known for sure, masks can be compared with it.
///
/// The track knows which animal is which better than the network does, but it is not always right:
/// individuals are swapped for a few frames at a time, and body parts jump. So it decides over spans
/// of frames, and otherwise raises a flag.
#[derive(Clone, Debug)]
pub struct TrackEvidence {
    track: LocatedTrack,
    sure: f32,
    prompts: KeypointPrompts,
}

/// What a track says about one mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Witnessed {
    /// Share of the object's own sure body parts that lie in the mask, 0..1; `None` if none is sure.
    pub(crate) own: Option<f32>,
    /// Share of another animal's sure body parts that lie in it, of the animal with most of them.
    pub(crate) others: f32,
}

impl Witnessed {
    /// Returns how well the mask fits the track, -1..1.
    pub(crate) fn fit(self) -> f32 {
        self.own.unwrap_or(0.0) - self.others
    }

    /// Returns true if the mask is where the track is: it has at least half of the object's sure body
    /// parts, if any are, and not more than half of another animal's.
    pub(crate) fn is_on_track(self) -> bool {
        self.own.is_none_or(|own| own >= 0.5) && self.others <= 0.5
    }
}

impl TrackEvidence {
    /// Makes a witness of a track. Body parts of at least the likelihood `sure` (0 to 1) count.
    pub fn new(track: LocatedTrack, sure: f32) -> Self {
        Self::prompting(track, KeypointPrompts::default(), sure)
    }

    /// Makes a witness that also prompts, as the options say, but with body parts that it is sure of.
    pub(crate) fn prompting(track: LocatedTrack, prompts: KeypointPrompts, sure: f32) -> Self {
        let prompts = KeypointPrompts { min_likelihood: Some(sure), ..prompts };
        Self { track, sure, prompts }
    }

    /// Returns what the track says about the mask of an object on a frame; `None` if it does not know
    /// the object.
    pub(crate) fn of(&self, frame: usize, object: ObjectId, mask: &Mask) -> Option<Witnessed> {
        let individual = self.individual(object)?;
        let near = NEAR * (mask.area() as f32).sqrt();
        let own = self.share(frame, individual, mask, near);
        let others = (0..self.track.individuals().len())
            .filter(|&other| other != individual && self.track.is_animal(other))
            .filter_map(|other| self.share(frame, other, mask, 0.0))
            .fold(0.0, f32::max);
        Some(Witnessed { own, others })
    }

    /// Returns true if the mask of a prompted frame is much larger than the object's body parts can
    /// explain.
    pub(crate) fn is_too_large(&self, frame: usize, object: ObjectId, mask: &Mask) -> bool {
        let Some(individual) = self.individual(object) else { return false };
        // One or two joints say little about an animal's size.
        if self.sure_parts(frame, individual).count() < 3 {
            return false;
        }
        let Some(Extent { width, height, .. }) = self.extent(frame, individual) else {
            return false;
        };
        let grow = 2.0 * (width.max(height) * GROWN_BY).max(GROWN_BY_PIXELS);
        mask.area() as f64 > MOST_OF_BOX * f64::from((width + grow) * (height + grow))
    }

    /// Returns true if the track is sure of a body part of the object on the frame.
    pub(crate) fn sees(&self, frame: usize, object: ObjectId) -> bool {
        let individual = self.individual(object);
        individual.is_some_and(|individual| self.sure_parts(frame, individual).next().is_some())
    }

    /// Returns the last frame on which the track is sure of the object.
    pub(crate) fn last_seen(&self, object: ObjectId) -> Option<usize> {
        let individual = self.individual(object)?;
        let frames = self.track.frames_of(individual, 0..usize::MAX).iter().rev().copied();
        frames.into_iter().find(|&frame| self.sees(frame, object))
    }

    /// Returns the frame of a range, among those that `may_be` allows, on which a prompt tells most: far
    /// from other animals, with many body parts, close to the middle. `None` if the track is not sure of
    /// the object, or jumps.
    pub(crate) fn best_frame(
        &self,
        object: ObjectId,
        frames: Range<usize>,
        may_be: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let individual = self.individual(object)?;
        let rank = |frame: usize| {
            let extent = self.extent(frame, individual)?;
            let grown = extent.grown((extent.length() * GROWN_BY).max(GROWN_BY_PIXELS));
            let mut others = (0..self.track.individuals().len())
                .filter(|&other| other != individual && self.track.is_animal(other));
            let alone = others
                .all(|other| self.sure_parts(frame, other).all(|part| !grown.contains(&part)));
            let parts = self.sure_parts(frame, individual).count();
            let from_middle = (2 * frame).abs_diff(frames.start + frames.end - 1);
            Some((alone, parts, Reverse(from_middle), Reverse(frame)))
        };
        self.track
            .frames_of(individual, frames.clone())
            .iter()
            .filter(|&&frame| may_be(frame) && self.is_steady(frame, individual))
            .filter_map(|&frame| Some((rank(frame)?, frame)))
            .max()
            .map(|(_, frame)| frame)
    }

    /// Returns the body parts of every object on a frame, with their names, also those that the track is not
    /// sure of.
    pub fn parts(&self, frame: usize) -> impl Iterator<Item = (ObjectId, &str, Keypoint)> {
        self.track.numbered().flat_map(move |(object, individual)| {
            let seen = self.track.usable(frame, individual, f32::MIN_POSITIVE);
            seen.map(move |(name, keypoint)| (object, name, keypoint))
        })
    }

    /// Returns the prompt that the track gives the object on a frame: the body parts that it is sure of.
    /// `None` if there are none, or if the track does not know the object.
    pub fn prompt(&self, frame: usize, object: ObjectId) -> Option<JobPrompt> {
        let individual = self.individual(object)?;
        let prompt = self.prompts.prompt(&self.track, frame, object, individual);
        (!prompt.points.is_empty()).then_some(prompt)
    }

    /// Returns true if a mask has all of the object's sure body parts, none of another animal's, and is
    /// not too large.
    pub(crate) fn fits(&self, frame: usize, object: ObjectId, mask: &Mask) -> bool {
        let witnessed = self.of(frame, object, mask);
        witnessed.is_some_and(|seen| seen.own == Some(1.0) && seen.others == 0.0)
            && !self.is_too_large(frame, object, mask)
    }

    /// Chooses among the decoder's candidate masks of a prompt one that fits; of several, the one with
    /// the highest predicted IoU. `None` if there is none.
    pub(crate) fn choose(
        &self,
        frame: usize,
        object: ObjectId,
        candidates: &[ObjectMask],
    ) -> Option<usize> {
        let fitting = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| self.fits(frame, object, &candidate.mask));
        // The first of equals.
        let best = fitting.rev().max_by(|a, b| a.1.predicted_iou.total_cmp(&b.1.predicted_iou));
        best.map(|(index, _)| index)
    }

    /// Returns false if an animal's body parts have jumped, away from where they are on the frames
    /// nearby, before or after.
    fn is_steady(&self, frame: usize, individual: usize) -> bool {
        let Some(here) = self.extent(frame, individual) else { return false };
        let far = here.length().max(GROWN_BY_PIXELS);
        let near = frame.saturating_sub(STEADY_FRAMES)..frame + STEADY_FRAMES + 1;
        let nearby = self.track.frames_of(individual, near);
        let mut neighbours = [
            nearby.iter().rev().find(|&&other| other < frame),
            nearby.iter().find(|&&other| other > frame),
        ]
        .into_iter()
        .flatten()
        .filter_map(|&other| self.extent(other, individual));
        neighbours.all(|there| (here.x - there.x).hypot(here.y - there.y) <= far)
    }

    /// Returns the upright box of an animal's sure body parts; `None` without any.
    fn extent(&self, frame: usize, individual: usize) -> Option<Extent> {
        let parts: Vec<Keypoint> = self.sure_parts(frame, individual).collect();
        if parts.is_empty() {
            return None;
        }
        let range = |value: fn(&Keypoint) -> f32| {
            let values = || parts.iter().map(value);
            let least = values().fold(f32::INFINITY, f32::min);
            (least, values().fold(f32::NEG_INFINITY, f32::max) - least)
        };
        let ((left, width), (top, height)) = (range(|part| part.x), range(|part| part.y));
        Some(Extent { x: left + width / 2.0, y: top + height / 2.0, width, height })
    }

    /// Returns a digest of everything that counts, for comparing jobs.
    pub fn digest(&self) -> String {
        // A long recording has millions of body parts, so that their numbers are taken as they are.
        let mut digest = Sha256::new();
        for (object, individual) in self.track.numbered() {
            digest.update([u64::from(object.0), individual as u64].map(u64::to_le_bytes).concat());
        }
        for individual in 0..self.track.individuals().len() {
            for &frame in self.track.frames_of(individual, 0..usize::MAX) {
                let parts: Vec<Keypoint> = self.sure_parts(frame, individual).collect();
                let place = [individual as u64, frame as u64, parts.len() as u64];
                digest.update(place.map(u64::to_le_bytes).concat());
                for Keypoint { x, y, .. } in parts {
                    digest.update([x, y].map(f32::to_le_bytes).concat());
                }
            }
        }
        short(&hexadecimal(&digest.finalize()))
    }

    fn individual(&self, object: ObjectId) -> Option<usize> {
        self.track.numbered().find(|(numbered, _)| *numbered == object).map(|(_, index)| index)
    }

    fn sure_parts(&self, frame: usize, individual: usize) -> impl Iterator<Item = Keypoint> {
        self.track.usable(frame, individual, self.sure).map(|(_, keypoint)| keypoint)
    }

    /// Returns the share of an animal's sure body parts that lie in a mask, or at most `near` pixels
    /// outside of it; `None` without any.
    fn share(&self, frame: usize, individual: usize, mask: &Mask, near: f32) -> Option<f32> {
        let (mut inside, mut all) = (0, 0);
        let covers = |x: f32, y: f32| x >= 0.0 && y >= 0.0 && mask.contains(x as u32, y as u32);
        for Keypoint { x, y, .. } in self.sure_parts(frame, individual) {
            all += 1;
            let around = |angle: u8| {
                let (sine, cosine) = (f32::from(angle) * std::f32::consts::FRAC_PI_4).sin_cos();
                covers(x + near * cosine, y + near * sine)
            };
            inside += i32::from(covers(x, y) || (near > 0.0 && (0..8).any(around)));
        }
        (all > 0).then(|| inside as f32 / all as f32)
    }

    /// Returns whether a mask lies off the track, also on another animal while the object's own body
    /// parts are not seen. An empty mask does not: it is flagged as lost.
    pub(crate) fn is_off_track(&self, frame: usize, object: ObjectId, mask: &Mask) -> bool {
        let witnessed = || self.of(frame, object, mask);
        mask.area() > 0 && witnessed().is_some_and(|witnessed| !witnessed.is_on_track())
    }
}

impl KeypointPrompts {
    /// Makes a witness of the track that prompts. It is sure of body parts that may be prompts, and at
    /// least as likely as the track's own default. With likelihood 0, trackers write body parts that
    /// they did not see.
    pub fn evidence(&self, track: LocatedTrack) -> TrackEvidence {
        let default = track.default_min_likelihood();
        let sure = self.limit_for(&track).max(default).max(f32::MIN_POSITIVE);
        TrackEvidence::prompting(track, *self, sure)
    }
}

/// An upright box, given by its centre and its sides, in pixels.
#[derive(Clone, Copy, Debug)]
struct Extent {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
}

impl Extent {
    fn length(&self) -> f32 {
        self.width.max(self.height)
    }

    /// Returns the box with each side moved out by `by` pixels.
    fn grown(&self, by: f32) -> Self {
        Self { width: self.width + 2.0 * by, height: self.height + 2.0 * by, ..*self }
    }

    fn contains(&self, part: &Keypoint) -> bool {
        2.0 * (part.x - self.x).abs() <= self.width && 2.0 * (part.y - self.y).abs() <= self.height
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sam2_frame_provider::FrameSize;

    use super::*;
    use crate::keypoints::{KeypointSelection, KeypointTrack, TrackedRecording};

    const ANN: ObjectId = ObjectId(1);

    /// Makes a witness of two animals, ann and bob, with three body parts each. A row has x, y and
    /// likelihood of each.
    fn evidence(rows: &[&str]) -> TrackEvidence {
        let mut text = "scorer,n,n,n,n,n,n,n,n,n,n,n,n,n,n,n,n,n,n\n\
            individuals,ann,ann,ann,ann,ann,ann,ann,ann,ann,bob,bob,bob,bob,bob,bob,bob,bob,bob\n\
            bodyparts,p,p,p,q,q,q,r,r,r,p,p,p,q,q,q,r,r,r\n\
            coords,x,y,likelihood,x,y,likelihood,x,y,likelihood,x,y,likelihood,x,y,likelihood,x,y,likelihood\n"
            .to_owned();
        for (frame, row) in rows.iter().enumerate() {
            text.push_str(&format!("{frame},{row}\n"));
        }
        let selection = KeypointSelection::default();
        let track = KeypointTrack::parse(Path::new("t"), text.into(), &selection).unwrap();
        let recording = TrackedRecording {
            name: "r.mp4".into(),
            frame_count: rows.len(),
            size: FrameSize { width: 100, height: 100 },
            region: None,
            images: Vec::new(),
            times: Vec::new(),
        };
        TrackEvidence::new(track.locate(&recording).unwrap(), 0.6)
    }

    /// Makes a mask of the pixels from (x0, y0) to (x1, y1), the last ones not included.
    fn mask([x0, y0, x1, y1]: [usize; 4]) -> Mask {
        let inside = |i: usize| (x0..x1).contains(&(i % 100)) && (y0..y1).contains(&(i / 100));
        Mask::from_pixels(100, 100, (0..10_000).map(inside)).unwrap()
    }

    fn off(track: &TrackEvidence, frame: usize, pixels: [usize; 4]) -> bool {
        track.is_off_track(frame, ANN, &mask(pixels))
    }

    const APART: &str = "10,10,1,20,10,1,30,10,1,70,70,1,80,70,1,90,70,1";

    #[test]
    fn a_mask_is_on_the_track_with_half_of_its_own_body_parts_and_not_more_of_anothers() {
        let track = evidence(&[APART]);
        let of = |pixels| track.of(0, ANN, &mask(pixels)).unwrap();
        let whole = of([5, 5, 35, 15]);
        assert_eq!((whole.own, whole.others), (Some(1.0), 0.0));
        // Far from two of three.
        assert!(!of([25, 5, 35, 15]).is_on_track());
        // The other animal.
        let swapped = of([65, 65, 95, 75]);
        assert_eq!((swapped.own, swapped.others, swapped.fit()), (Some(0.0), 1.0, -1.0));
        // Both animals.
        assert!(!of([0, 0, 100, 100]).is_on_track());
        assert!(off(&track, 0, [65, 65, 95, 75]) && !off(&track, 0, [5, 5, 35, 15]));
        // An empty mask is lost, and an unknown object is none of the track's business.
        assert!(!off(&track, 0, [0, 0, 0, 0]));
        assert_eq!(track.of(0, ObjectId(7), &mask([0, 0, 100, 100])), None);
    }

    #[test]
    fn a_body_part_at_the_edge_counts() {
        let track = evidence(&[APART]);
        // 24 x 10 pixels: 1.5 pixels outside are near enough, as far as 0.1 times the square root of
        // the area.
        let of = |pixels| track.of(0, ANN, &mask(pixels)).unwrap().own;
        assert_eq!(of([11, 5, 35, 15]), Some(1.0));
        assert_eq!(of([13, 5, 37, 15]), Some(2.0 / 3.0));
    }

    #[test]
    fn where_nothing_is_sure_only_another_animal_speaks() {
        let unsure = "10,10,0.5,20,10,0.2,,,,70,70,1,80,70,1,90,70,1";
        let track = evidence(&[unsure]);
        assert_eq!(track.of(0, ANN, &mask([5, 5, 35, 15])).unwrap().own, None);
        assert!(!off(&track, 0, [5, 5, 35, 15]));
        assert!(off(&track, 0, [65, 65, 95, 75]));
    }

    #[test]
    fn a_mask_much_larger_than_its_body_parts_explain_is_too_large() {
        let track = evidence(&[APART, "10,10,1,20,10,1,,,,70,70,1,80,70,1,90,70,1"]);
        // The box is 20 x 0, grown by 15 pixels on each side: 50 x 30, and half as much again.
        assert!(!track.is_too_large(0, ANN, &mask([0, 0, 50, 45])));
        assert!(track.is_too_large(0, ANN, &mask([0, 0, 50, 46])));
        // Two body parts do not say how large an animal is.
        assert!(!track.is_too_large(1, ANN, &mask([0, 0, 100, 100])));
    }

    #[test]
    fn the_digest_depends_on_what_is_sure() {
        let one = evidence(&[APART]).digest();
        assert_eq!(evidence(&[APART]).digest(), one);
        let moved = APART.replace("30,10,1", "30,11,1");
        assert_ne!(evidence(&[&moved]).digest(), one);
        let unsure = |x: u32| APART.replace("30,10,1", &format!("{x},10,0.1"));
        assert_eq!(evidence(&[&unsure(30)]).digest(), evidence(&[&unsure(40)]).digest());
    }
}
