//! Chooses the frames of a track that are prompted, and their prompts.

use std::ops::Range;

use super::job_prompt::JobPrompt;
use super::prompt_choices::{BoxMargin, MOST_FRAMES_ABOVE, PromptFrames};
use super::spread::spread;
use crate::keypoints::{Keypoint, LocatedTrack};
use sam2_engine::{BoxPrompt, ObjectId, Point};

/// Largest number of negative points that a prompt gets from other individuals. The network was
/// trained on prompts of up to eight clicks.
pub const MOST_NEGATIVES: usize = 8;
/// Smallest side of a box in pixels. A smaller box says nothing and is left out.
const SMALLEST_BOX: f32 = 1.0;

/// Options for turning a track into prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeypointPrompts {
    /// Frames per batch. 0 = the whole recording in one batch.
    pub batch_size: usize,
    /// Body parts below this likelihood are not used. `None` =
    /// [`LocatedTrack::default_min_likelihood`]. In a batch in which no body part reaches that
    /// default, the best ones are used: each object is prompted on the frame of its most likely
    /// body part, with all of its body parts there that are at least half as likely.
    pub min_likelihood: Option<f32>,
    /// Frames that are prompted.
    pub frames: PromptFrames,
    /// Gives each object body parts of the other individuals as negative points.
    ///
    /// Where animals touch, another individual's body part may lie on the object itself. A body
    /// part that is closer to one of the object's own than to any other of its own individual is
    /// therefore left out: a missing negative point costs little, while one on the object cuts a
    /// piece out of it. Of the rest, the [`MOST_NEGATIVES`] closest are taken, since a mask spills
    /// over to what is near.
    pub negatives: bool,
    /// Gives each object also the box around its body parts, grown by this margin and clipped to
    /// the frame.
    pub box_margin: Option<BoxMargin>,
}

/// The prompts of one batch.
pub(super) struct BatchPrompts {
    /// Prompts, ordered by object.
    pub(super) prompts: Vec<JobPrompt>,
    /// The highest likelihood, if no body part was likely enough.
    pub(super) best_likelihood: Option<f32>,
}

impl KeypointPrompts {
    /// Returns the likelihood below which the body parts of a track are not used.
    pub(super) fn limit_for(&self, track: &LocatedTrack) -> f32 {
        self.min_likelihood.unwrap_or_else(|| track.default_min_likelihood())
    }

    /// Chooses the prompts of one batch.
    pub(super) fn of_batch(&self, track: &LocatedTrack, frames: &Range<usize>) -> BatchPrompts {
        let strict = Self { min_likelihood: Some(self.limit_for(track)), ..*self };
        let prompts = strict.above_limit(track, frames);
        if prompts.is_empty() && self.min_likelihood.is_none() {
            return self.best_there_is(track, frames);
        }
        BatchPrompts { prompts, best_likelihood: None }
    }

    /// Chooses prompts for a batch in which no body part reaches the default limit.
    fn best_there_is(&self, track: &LocatedTrack, frames: &Range<usize>) -> BatchPrompts {
        let mut found = BatchPrompts { prompts: Vec::new(), best_likelihood: None };
        for (object, individual) in track.numbered() {
            let mut best: Option<(usize, f32)> = None;
            for &frame in track.frames_of(individual, frames.clone()) {
                for (_, Keypoint { likelihood, .. }) in track.usable(frame, individual, 0.0) {
                    // Trackers write 0, often with coordinates of 0, for body parts that they did
                    // not see.
                    if likelihood > 0.0 && best.is_none_or(|(_, known)| likelihood > known) {
                        best = Some((frame, likelihood));
                    }
                }
            }
            let Some((frame, likelihood)) = best else { continue };
            // A limit that the user gives is kept.
            if matches!(self.frames, PromptFrames::Above(limit) if likelihood <= limit) {
                continue;
            }
            let lenient = Self { min_likelihood: Some(likelihood / 2.0), ..*self };
            found.prompts.push(lenient.prompt(track, frame, object, individual));
            let highest = found.best_likelihood.map_or(likelihood, |known| known.max(likelihood));
            found.best_likelihood = Some(highest);
        }
        found
    }

    /// Returns the limit after `min_likelihood` has been set.
    fn limit(&self) -> f32 {
        self.min_likelihood.unwrap_or(0.0)
    }

    /// Returns the prompts of body parts that reach the limit, ordered by object.
    fn above_limit(&self, track: &LocatedTrack, frames: &Range<usize>) -> Vec<JobPrompt> {
        let together = match self.frames {
            PromptFrames::Best => self.best_together(track, frames.clone()),
            _ => None,
        };
        let mut prompts = Vec::new();
        for (object, individual) in track.numbered() {
            let candidates = || {
                let seen = track.frames_of(individual, frames.clone()).iter().copied();
                seen.filter_map(|frame| Some((frame, self.rank(track, frame, individual)?)))
            };
            let chosen: Vec<usize> = match self.frames {
                PromptFrames::Best => {
                    let usable = |&frame: &usize| self.rank(track, frame, individual).is_some();
                    let alone = || best(candidates()).map(|(frame, _)| frame);
                    together.filter(usable).or_else(alone).into_iter().collect()
                }
                PromptFrames::First => candidates().map(|(frame, _)| frame).take(1).collect(),
                PromptFrames::Every(length) => {
                    let mut last = None;
                    let stretch = |frame: usize| (frame - frames.start) / length;
                    candidates()
                        .map(|(frame, _)| frame)
                        .filter(|&frame| last.replace(stretch(frame)) != Some(stretch(frame)))
                        .collect()
                }
                PromptFrames::Above(limit) => {
                    let above = candidates().filter(|(_, rank)| rank.likelihood > limit);
                    let above: Vec<usize> = above.map(|(frame, _)| frame).collect();
                    spread_frames(&above, MOST_FRAMES_ABOVE)
                }
            };
            for frame in chosen {
                prompts.push(self.prompt(track, frame, object, individual));
            }
        }
        prompts
    }

    /// Returns the frame that is best for all objects together.
    fn best_together(&self, track: &LocatedTrack, range: Range<usize>) -> Option<usize> {
        let mut frames: Vec<usize> = track
            .numbered()
            .flat_map(|(_, individual)| track.frames_of(individual, range.clone()))
            .copied()
            .collect();
        frames.sort_unstable();
        frames.dedup();
        let ranked = frames.into_iter().filter_map(|frame| {
            let ranks = track.numbered().filter_map(|(_, i)| self.rank(track, frame, i));
            Some((frame, ranks.reduce(Rank::and)?))
        });
        best(ranked).map(|(frame, _)| frame)
    }

    /// Ranks a frame for an individual. Returns `None` if it has no usable body part there.
    fn rank(&self, track: &LocatedTrack, frame: usize, individual: usize) -> Option<Rank> {
        let (mut parts, mut sum) = (0, 0.0);
        for (_, keypoint) in track.usable(frame, individual, self.limit()) {
            parts += 1;
            sum += keypoint.likelihood;
        }
        let likelihood = sum / parts as f32;
        (parts > 0).then_some(Rank { individuals: 1, parts, likelihood, sum })
    }

    /// Returns the prompt of an object on a frame.
    pub(super) fn prompt(
        &self,
        track: &LocatedTrack,
        frame: usize,
        object: ObjectId,
        individual: usize,
    ) -> JobPrompt {
        let own: Vec<(&str, Keypoint)> = track.usable(frame, individual, self.limit()).collect();
        let named = |(name, k): &(&str, Keypoint)| ((*name).to_owned(), Point::positive(k.x, k.y));
        let mut points: Vec<(String, Point)> = own.iter().map(named).collect();
        if self.negatives {
            points.extend(self.negatives(track, frame, individual, &own));
        }
        let bounds = self.box_margin.and_then(|margin| box_around(&own, margin, track.bounds()));
        JobPrompt { points, bounds, ..JobPrompt::empty(frame, object) }
    }

    /// Returns the negative points of an object, see the option [`Self::negatives`].
    fn negatives(
        &self,
        track: &LocatedTrack,
        frame: usize,
        individual: usize,
        own: &[(&str, Keypoint)],
    ) -> Vec<(String, Point)> {
        let mut found: Vec<(f32, String, Point)> = Vec::new();
        for (other, about) in track.individuals().iter().enumerate() {
            if other == individual || !track.is_animal(other) {
                continue;
            }
            let theirs: Vec<(&str, Keypoint)> = track.usable(frame, other, self.limit()).collect();
            for (at, (part, keypoint)) in theirs.iter().enumerate() {
                let to_own = nearest(keypoint, own.iter().map(|(_, k)| k));
                let rest = theirs.iter().enumerate().filter(|(i, _)| *i != at);
                let to_theirs = nearest(keypoint, rest.map(|(_, (_, k))| k));
                // A body part that is the only one of its individual counts as that individual's
                // own.
                let is_theirs = to_theirs.is_infinite() || to_theirs < to_own;
                let pixel = |k: &Keypoint| (k.x as u32, k.y as u32);
                let is_on_own = own.iter().any(|(_, k)| pixel(k) == pixel(keypoint));
                if is_theirs && !is_on_own {
                    let who = about.name.as_deref().unwrap_or_default();
                    let point = Point::negative(keypoint.x, keypoint.y);
                    found.push((to_own, format!("{part} of {who}"), point));
                }
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found.truncate(MOST_NEGATIVES);
        found.into_iter().map(|(_, name, point)| (name, point)).collect()
    }
}

/// How well a frame is suited for a prompt.
#[derive(Clone, Copy, Debug)]
struct Rank {
    individuals: usize,
    parts: usize,
    /// Mean likelihood of the usable body parts.
    likelihood: f32,
    sum: f32,
}

impl Rank {
    fn and(self, other: Self) -> Self {
        let (parts, sum) = (self.parts + other.parts, self.sum + other.sum);
        let individuals = self.individuals + other.individuals;
        Self { individuals, parts, likelihood: sum / parts as f32, sum }
    }

    fn is_better_than(&self, other: &Self) -> bool {
        (self.individuals, self.parts, self.likelihood)
            > (other.individuals, other.parts, other.likelihood)
    }
}

/// Returns the best frame. The earliest wins a tie.
fn best(ranked: impl Iterator<Item = (usize, Rank)>) -> Option<(usize, Rank)> {
    ranked.reduce(|best, next| if next.1.is_better_than(&best.1) { next } else { best })
}

/// Returns at most `most` of the frames, evenly spread, including the first and the last.
fn spread_frames(frames: &[usize], most: usize) -> Vec<usize> {
    spread(frames.len(), most).into_iter().map(|at| frames[at]).collect()
}

/// Returns the distance to the nearest of some points, or infinity if there are none.
fn nearest<'a>(from: &Keypoint, to: impl Iterator<Item = &'a Keypoint>) -> f32 {
    to.map(|k| (k.x - from.x).hypot(k.y - from.y)).fold(f32::INFINITY, f32::min)
}

/// Returns the box around body parts. `bounds` are the left, top, right and bottom limits of a box.
fn box_around(
    parts: &[(&str, Keypoint)],
    margin: BoxMargin,
    bounds: [f32; 4],
) -> Option<BoxPrompt> {
    let extent = |value: fn(&Keypoint) -> f32| {
        let values = || parts.iter().map(|(_, keypoint)| value(keypoint));
        (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max))
    };
    let ((left, right), (top, bottom)) = (extent(|k| k.x), extent(|k| k.y));
    let grow = match margin {
        BoxMargin::Pixels(pixels) => pixels,
        BoxMargin::Percent(percent) => (right - left).max(bottom - top) * percent / 100.0,
    };
    let [least_x, least_y, most_x, most_y] = bounds;
    let (x0, x1) = ((left - grow).max(least_x), (right + grow).min(most_x));
    let (y0, y1) = ((top - grow).max(least_y), (bottom + grow).min(most_y));
    let is_one = x1 - x0 >= SMALLEST_BOX && y1 - y0 >= SMALLEST_BOX;
    is_one.then_some(BoxPrompt { x0, y0, x1, y1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keypoints::{KeypointSelection, KeypointTrack, TrackedRecording};
    use sam2_engine::Region;
    use sam2_frame_provider::FrameSize;
    use std::num::NonZeroUsize;
    use std::path::Path;

    const SIZE: FrameSize = FrameSize { width: 100, height: 100 };

    /// Builds a track of two individuals with body parts p and q. `rows` are x,y of both, with
    /// likelihood 0.9.
    fn track(rows: &[&str]) -> LocatedTrack {
        let mut text = "scorer,n,n,n,n,n,n,n,n\nindividuals,a,a,a,a,b,b,b,b\n\
                        bodyparts,p,p,q,q,p,p,q,q\ncoords,x,y,x,y,x,y,x,y\n"
            .to_owned();
        for (frame, row) in rows.iter().enumerate() {
            text.push_str(&format!("{frame},{row}\n"));
        }
        locate(&text, rows.len(), None)
    }

    fn locate(text: &str, frame_count: usize, region: Option<Region>) -> LocatedTrack {
        let selection = KeypointSelection::default();
        let track = KeypointTrack::parse(Path::new("t"), text.into(), &selection).unwrap();
        let recording = TrackedRecording {
            name: "r.mp4".into(),
            frame_count,
            size: SIZE,
            region,
            images: Vec::new(),
            times: Vec::new(),
        };
        track.locate(&recording).unwrap()
    }

    fn prompts(rows: &[&str], options: KeypointPrompts) -> Vec<JobPrompt> {
        options.of_batch(&track(rows), &(0..rows.len())).prompts
    }

    /// Builds a track of one animal with body parts p and q. Rows are x,y,likelihood of both.
    fn likely(rows: &[&str], region: Option<Region>) -> LocatedTrack {
        let mut text = "scorer,n,n,n,n,n,n\nbodyparts,p,p,p,q,q,q\n\
                        coords,x,y,likelihood,x,y,likelihood\n"
            .to_owned();
        for (frame, row) in rows.iter().enumerate() {
            text.push_str(&format!("{frame},{row}\n"));
        }
        locate(&text, rows.len(), region)
    }

    /// Returns each prompted frame and the names of its points.
    fn told<'a>(found: &'a BatchPrompts) -> Vec<(usize, Vec<&'a str>)> {
        let told = |prompt: &'a JobPrompt| {
            let names = prompt.points.iter().map(|(name, _)| name.as_str());
            (prompt.frame, names.collect())
        };
        found.prompts.iter().map(told).collect()
    }

    #[test]
    fn what_deeplabcut_takes_for_not_seen_is_no_click() {
        let track = likely(&["1,1,0.99,50,50,0.02", "2,2,0.9,60,60,0.02"], None);
        assert_eq!(track.default_min_likelihood(), 0.6);
        let found = KeypointPrompts::default().of_batch(&track, &(0..2));
        assert_eq!((told(&found), found.best_likelihood), (vec![(0, vec!["p"])], None));
        let all = KeypointPrompts { min_likelihood: Some(0.0), ..Default::default() };
        assert_eq!(told(&all.of_batch(&track, &(0..2))), [(0, vec!["p", "q"])]);
    }

    #[test]
    fn a_batch_without_a_likely_body_part_takes_the_best_there_is() {
        let track = likely(&["1,1,0.4,5,5,0.02", "2,2,0.5,6,6,0.3", "3,3,0.1,7,7,0.1"], None);
        let found = KeypointPrompts::default().of_batch(&track, &(0..3));
        assert_eq!((told(&found), found.best_likelihood), (vec![(1, vec!["p", "q"])], Some(0.5)));
        let first = KeypointPrompts::default().of_batch(&track, &(0..1));
        assert_eq!((told(&first), first.best_likelihood), (vec![(0, vec!["p"])], Some(0.4)));
        // A limit that the user gives is kept.
        let strict = KeypointPrompts { min_likelihood: Some(0.6), ..Default::default() };
        assert!(told(&strict.of_batch(&track, &(0..3))).is_empty());
        let above =
            KeypointPrompts { frames: PromptFrames::Above(0.5), ..KeypointPrompts::default() };
        assert!(told(&above.of_batch(&track, &(0..3))).is_empty());
    }

    #[test]
    fn points_outside_are_left_out_and_boxes_end_at_the_region() {
        let region = Region { x: 20, y: 20, width: 50, height: 50 };
        let rows = ["30,30,0.9,40,40,0.9", "10,10,0.9,40,40,0.9", "30,30,0.9,40,40,0.9"];
        let track = likely(&rows, Some(region));
        let options = KeypointPrompts {
            box_margin: Some(BoxMargin::Pixels(15.0)),
            frames: PromptFrames::Every(NonZeroUsize::MIN),
            ..Default::default()
        };
        let found = options.of_batch(&track, &(0..3));
        let expected = [(0, vec!["p", "q"]), (1, vec!["q"]), (2, vec!["p", "q"])];
        assert_eq!(told(&found), expected);
        let bounds = found.prompts[0].bounds.unwrap();
        assert_eq!([bounds.x0, bounds.y0, bounds.x1, bounds.y1], [20.0, 20.0, 55.0, 55.0]);
        let message = track.check_points(0.6).unwrap().unwrap();
        for part in ["1 of 6 points", "region 20,20,50,50", "p (10, 10) on frame 1"] {
            assert!(message.contains(part), "{message}");
        }
        let track =
            likely(&["300,30,0.9,400,40,0.9", "10,10,0.9,40,40,0.9", "300,3,0.9,4,4,0"], None);
        let message = track.check_points(0.6).unwrap_err().to_string();
        for part in ["3 of 5", "100x100", "--downsample-factor", "--keypoints-offset"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(track.check_points(0.0).is_ok(), "3 of 6 are not most");
    }

    /// Returns the names of an object's negative points.
    fn negatives(rows: &[&str]) -> Vec<String> {
        let options = KeypointPrompts { negatives: true, ..Default::default() };
        let first = prompts(rows, options).swap_remove(0);
        first.points[2..].iter().map(|(name, _)| name.clone()).collect()
    }

    #[test]
    fn the_best_frame_is_shared_unless_an_individual_is_missing_there() {
        let frames = |rows: &[&str]| -> Vec<(usize, u32)> {
            let found = prompts(rows, KeypointPrompts::default());
            found.iter().map(|prompt| (prompt.frame, prompt.object.0)).collect()
        };
        assert_eq!(frames(&["1,1,2,2,,,,", "1,1,2,2,5,5,,", "1,1,2,2,5,5,6,6"]), [(2, 1), (2, 2)]);
        assert_eq!(frames(&["1,1,2,2,,,,", "1,1,,,,,,", ",,,,5,5,,"]), [(0, 1), (2, 2)]);
        assert_eq!(frames(&["1,1,2,2,,,,"]), [(0, 1)]);
    }

    #[test]
    fn negatives_leave_out_what_may_lie_on_the_object() {
        // Far apart: both are used, the closest first.
        assert_eq!(negatives(&["10,10,20,10,60,10,50,10"]), ["q of b", "p of b"]);
        // b's q touches a's q; b's p is clearly b's own.
        assert_eq!(negatives(&["10,10,20,10,34,10,22,10"]), ["p of b"]);
        // On the same pixel, it would contradict the object's own point.
        assert_eq!(negatives(&["10.2,10.2,20,10,10.8,10.8,,"]), [""; 0]);
        // One is outside the picture, the other on the very same place.
        assert_eq!(negatives(&["10,10,20,10,150,10,,"]), [""; 0]);
        assert_eq!(negatives(&["10,10,20,10,20,10,,"]), [""; 0]);
    }

    #[test]
    fn boxes_are_grown_and_clipped_and_left_out_where_they_are_none() {
        let bounds = |row, margin| {
            let options = KeypointPrompts { box_margin: Some(margin), ..Default::default() };
            prompts(&[row], options)[0].bounds.map(|b| [b.x0, b.y0, b.x1, b.y1])
        };
        let (pixels, percent) = (BoxMargin::Pixels, BoxMargin::Percent);
        assert_eq!(bounds("10,20,50,40,,,,", pixels(5.0)), Some([5.0, 15.0, 55.0, 45.0]));
        assert_eq!(bounds("10,20,50,40,,,,", percent(50.0)), Some([0.0, 0.0, 70.0, 60.0]));
        assert_eq!(bounds("10,20,50,20,,,,", pixels(0.0)), None);
        assert_eq!(bounds("10,20,,,,,,", pixels(3.0)), Some([7.0, 17.0, 13.0, 23.0]));
    }

    #[test]
    fn many_frames_are_spread_evenly() {
        assert_eq!(spread_frames(&(0..100).collect::<Vec<_>>(), 3), [0, 49, 99]);
        assert_eq!(spread_frames(&[4, 9], 8), [4, 9]);
    }
}
