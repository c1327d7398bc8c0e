use super::*;
use crate::held_out::{HeldOut, Kind, SIZE};

/// A clip with many cells: its track has 5 x 3 x 2,000.
fn long() -> HeldOut {
    HeldOut::with_frames(Kind::FiveMice, 6, 2000)
}

fn share(track: &FaultyTrack, is: impl Fn(usize) -> bool) -> f32 {
    let cells = track.track.points().len();
    (0..cells).filter(|&cell| is(cell)).count() as f32 / cells as f32
}

#[test]
fn without_faults_the_track_is_exact_and_no_row_is_wrong() {
    let clip = HeldOut::new(Kind::MiceCross, 4);
    let faulty = clip.faulty_track(&FaultOptions::NONE, 1);
    assert_eq!(faulty.track, clip.track());
    assert_eq!(faulty.wrong_rows(0.0), []);
    assert!(faulty.cells.iter().all(Option::is_none));
}

#[test]
fn each_fault_is_as_frequent_as_asked_for() {
    let clip = long();
    let exact = clip.track();
    let visible = exact.points().iter().flatten().count() as f32 / exact.points().len() as f32;
    let is_near = |found: f32, wanted: f32| (found - wanted).abs() < 0.2 * wanted;
    let only = |options: FaultOptions| clip.faulty_track(&options, 2);
    let of = |track: &FaultyTrack, fault| share(track, |cell| track.cells[cell] == Some(fault));

    let dropouts = only(FaultOptions { dropouts: 0.06, ..FaultOptions::NONE });
    assert!(is_near(of(&dropouts, CellFault::Dropout), 0.06 * visible));
    let is_dropped = |cell: usize| dropouts.cells[cell].is_some();
    let blank =
        share(&dropouts, |cell| is_dropped(cell) && dropouts.track.points()[cell].is_none());
    assert!(is_near(blank, 0.03 * visible), "{blank} are blank");
    assert_eq!(dropouts.wrong_rows(0.1), []);

    let guesses = only(FaultOptions { guesses: 0.05, ..FaultOptions::NONE });
    assert!(is_near(of(&guesses, CellFault::Guess), 0.05));
    assert_eq!(guesses.wrong_rows(0.4), []);
    assert!(guesses.wrong_rows(0.1).len() > 200);

    let outliers = only(FaultOptions { outliers: 0.01, ..FaultOptions::NONE });
    assert!(is_near(of(&outliers, CellFault::Outlier), 0.01));
    assert!(outliers.wrong_rows(0.6).len() > 50);

    let swaps = only(FaultOptions { swaps: 0.05, ..FaultOptions::NONE });
    let swapped = |frame| (0..5).any(|animal| swaps.source(frame, animal) != animal);
    let frames = (0..2000).filter(|&frame| swapped(frame)).count() as f32;
    assert!(is_near(frames / 2000.0, 0.05), "{frames} frames");
}

#[test]
fn guesses_and_outliers_are_off_their_animal_and_some_outliers_off_the_picture() {
    let clip = long();
    let options = FaultOptions { guesses: 0.02, outliers: 0.01, ..FaultOptions::NONE };
    let faulty = clip.faulty_track(&options, 3);
    let mut outside = 0;
    for frame in 0..400 {
        for animal in 0..5 {
            for (part, point) in faulty.track.row(frame, animal).iter().enumerate() {
                let Some(fault) = faulty.fault(frame, animal, part) else { continue };
                let point = point.unwrap();
                let is_high = fault == CellFault::Outlier;
                let expected = if is_high { 0.7..=1.0 } else { 0.1..=0.4 };
                assert!(expected.contains(&point.likelihood));
                let (x, y) = (point.x.floor(), point.y.floor());
                if x < 0.0 || y < 0.0 || x >= SIZE.width as f32 || y >= SIZE.height as f32 {
                    assert!(is_high);
                    outside += 1;
                    continue;
                }
                let pixel = y as usize * SIZE.width as usize + x as usize;
                let whole = clip.whole(frame, animal).to_bytes(1);
                assert!(whole[pixel] == 0, "frame {frame}, animal {animal}: {point:?}");
            }
        }
    }
    assert!(outside > 5, "{outside} points are outside");
}

#[test]
fn exchanged_rows_hold_the_points_of_the_other_animal() {
    let clip = HeldOut::with_frames(Kind::MiceCross, 1, 1000);
    let exact = clip.track();
    let swaps = FaultOptions { swaps: 0.01, ..FaultOptions::NONE };
    let faulty = clip.faulty_track(&swaps, 4);
    let mut runs = 0;
    for frame in 0..1000 {
        for animal in 0..2 {
            let source = faulty.source(frame, animal);
            assert_eq!(faulty.track.row(frame, animal), exact.row(frame, source));
            let is_seen = exact.row(frame, source).iter().any(Option::is_some);
            assert_eq!(faulty.is_wrong(frame, animal, 0.6), source != animal && is_seen);
        }
        runs += usize::from(
            faulty.source(frame, 0) == 1 && (frame == 0 || faulty.source(frame - 1, 0) == 0),
        );
    }
    assert!((1..10).contains(&runs), "{runs} runs");
}

#[test]
fn jitter_moves_every_point_by_one_to_two_pixels() {
    let clip = HeldOut::new(Kind::WormCurls, 4);
    let options = FaultOptions { jitter: Some(1.0..=2.0), ..FaultOptions::NONE };
    let (exact, faulty) = (clip.track(), clip.faulty_track(&options, 5));
    assert_eq!(faulty.wrong_rows(0.0), []);
    for (a, b) in exact.points().iter().zip(faulty.track.points()) {
        let (Some(a), Some(b)) = (a, b) else {
            assert_eq!(a, b);
            continue;
        };
        assert!((0.99..=2.01).contains(&(a.x - b.x).hypot(a.y - b.y)) && b.likelihood >= 0.9);
    }
}

#[test]
fn a_fault_that_is_switched_off_leaves_the_others_as_they_are() {
    let clip = HeldOut::with_frames(Kind::FiveMice, 2, 300);
    let all = FaultOptions { outliers: 0.02, ..FaultOptions::default() };
    let (with, again) = (clip.faulty_track(&all, 7), clip.faulty_track(&all, 7));
    assert_eq!(with.track, again.track);
    assert!(with.track != clip.faulty_track(&all, 8).track);
    let without = clip.faulty_track(&FaultOptions { guesses: 0.0, ..all }, 7);
    assert_eq!(with.sources, without.sources);
    for (cell, fault) in with.cells.iter().enumerate() {
        if *fault != Some(CellFault::Guess) {
            assert_eq!(with.track.points()[cell], without.track.points()[cell]);
            assert_eq!(*fault, without.cells[cell]);
        }
    }
}
