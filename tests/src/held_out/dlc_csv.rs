//! Tracks as the CSV files that DeepLabCut writes, with a likelihood of each body part. A body part
//! that was not seen has empty cells.

use std::fmt::Write as _;

use super::track::PoseTrack;

/// Returns a track as DeepLabCut would write it: with `individuals` if there are several.
pub fn csv_of(track: &PoseTrack) -> String {
    match track.individuals.len() {
        1 => single_animal_csv(track, 0),
        _ => multi_animal_csv(track),
    }
}

/// The name of the network in the first row.
const SCORER: &str = "DLC_held_out";

/// Returns the CSV of a project of several animals, with a row `individuals`.
pub fn multi_animal_csv(track: &PoseTrack) -> String {
    let animals: Vec<usize> = (0..track.individuals.len()).collect();
    csv(track, &animals, true)
}

/// Returns the CSV of one animal as a project of one animal has it.
///
/// # Panics
/// If there is no such animal.
pub fn single_animal_csv(track: &PoseTrack, animal: usize) -> String {
    csv(track, &[animal], false)
}

fn csv(track: &PoseTrack, animals: &[usize], is_multi: bool) -> String {
    let mut text = String::new();
    let mut header = |label: &str, cell: &dyn Fn(usize, usize, usize) -> String| {
        text.push_str(label);
        for &animal in animals {
            for column in 0..3 * track.parts() {
                let _ = write!(text, ",{}", cell(animal, column / 3, column % 3));
            }
        }
        text.push('\n');
    };
    header("scorer", &|_, _, _| SCORER.into());
    if is_multi {
        let name = |animal: usize| track.individuals[animal].name.clone().unwrap_or_default();
        header("individuals", &|animal, _, _| name(animal));
    }
    header("bodyparts", &|animal, part, _| track.individuals[animal].bodyparts[part].clone());
    header("coords", &|_, _, coord| ["x", "y", "likelihood"][coord].into());
    for frame in 0..track.frames() {
        let _ = write!(text, "{frame}");
        for point in animals.iter().flat_map(|&animal| track.row(frame, animal)) {
            match point {
                Some(point) => {
                    let _ = write!(text, ",{},{},{}", point.x, point.y, point.likelihood);
                }
                None => text.push_str(",,,"),
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sam2_jobs::keypoints::Keypoint;
    use sam2_jobs::{
        JobPlan, KeypointPrompts, KeypointSelection, KeypointTrack, TrackKind, TrackedRecording,
    };

    use super::*;
    use crate::held_out::{FaultOptions, HeldOut, Kind, SIZE};

    type Row = (usize, u32, Vec<(String, f32, f32)>);

    /// Reads a CSV with the reader of jobs, and returns the points of at least this likelihood as
    /// the prompts that a job makes of them: by frame and object.
    fn read(csv: String, clip: &HeldOut, min_likelihood: f32) -> (KeypointTrack, Vec<Row>) {
        let selection = KeypointSelection::default();
        let track = KeypointTrack::parse(Path::new("track.csv"), csv.into_bytes(), &selection);
        let track = track.unwrap();
        assert_eq!(track.kind(), TrackKind::DlcCsv);
        let located = track.clone().locate(&TrackedRecording::of(clip)).unwrap();
        located.check_rows().unwrap();
        assert_eq!(located.default_min_likelihood(), 0.6);
        let how = KeypointPrompts {
            batch_size: 1,
            min_likelihood: Some(min_likelihood),
            ..KeypointPrompts::default()
        };
        let (plan, _) = JobPlan::from_keypoints(&located, &how).unwrap();
        let rows = plan.batches.iter().flat_map(|batch| &batch.prompts).map(|prompt| {
            let points = prompt.points.iter().map(|(name, at)| (name.clone(), at.x, at.y));
            (prompt.frame, prompt.object.0, points.collect())
        });
        (track, rows.collect())
    }

    /// Returns the same of a track in memory.
    fn expected(track: &PoseTrack, animals: &[usize], min_likelihood: f32) -> Vec<Row> {
        let is_inside = |point: &Keypoint| {
            (0.0..=SIZE.width as f32).contains(&point.x)
                && (0.0..=SIZE.height as f32).contains(&point.y)
        };
        let mut rows = Vec::new();
        for frame in 0..track.frames() {
            for (object, &animal) in (1..).zip(animals) {
                let names = &track.individuals[animal].bodyparts;
                let points: Vec<_> = track
                    .row(frame, animal)
                    .iter()
                    .zip(names)
                    .filter_map(|(point, name)| {
                        let point = point.filter(is_inside)?;
                        let is_usable = point.likelihood >= min_likelihood;
                        is_usable.then(|| (name.clone(), point.x, point.y))
                    })
                    .collect();
                if !points.is_empty() {
                    rows.push((frame, object, points));
                }
            }
        }
        rows
    }

    #[test]
    fn jobs_read_the_same_points() {
        for (kind, animals) in [(Kind::LeavesAndReturns, 2), (Kind::FiveMice, 5)] {
            let clip = HeldOut::with_frames(kind, 3, 120);
            let faults = FaultOptions { outliers: 0.01, ..FaultOptions::default() };
            let track = clip.faulty_track(&faults, 1).track;
            let all: Vec<usize> = (0..animals).collect();
            for min_likelihood in [0.0, 0.25, 0.6, 0.95] {
                let (read, rows) = read(multi_animal_csv(&track), &clip, min_likelihood);
                assert_eq!(read.individuals(), track.individuals);
                assert_eq!(rows, expected(&track, &all, min_likelihood), "{kind:?}");
                assert!(rows.len() > 60);
            }
        }
        let clip = HeldOut::new(Kind::SingleWorm, 3);
        let track = clip.faulty_track(&FaultOptions::default(), 1).track;
        let (read, rows) = read(single_animal_csv(&track, 0), &clip, 0.6);
        assert_eq!(read.individuals()[0].name, None);
        assert_eq!(read.individuals()[0].bodyparts, ["head", "mid", "tail"]);
        assert_eq!(rows, expected(&track, &[0], 0.6));
    }

    #[test]
    fn the_header_is_that_of_a_project_of_several_animals() {
        let clip = HeldOut::with_frames(Kind::MiceCross, 0, 2);
        let text = multi_animal_csv(&clip.track());
        let starts: Vec<&str> = text.lines().map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(starts, ["scorer", "individuals", "bodyparts", "coords", "0", "1"]);
        assert!(text.lines().all(|line| line.split(',').count() == 1 + 2 * 3 * 3));
    }
}
