//! Tests of every kind of track, as its program writes it and with faults.

use std::path::Path;

use proptest::prelude::*;

use sam2_frame_provider::FrameSize;

use super::{
    KeypointError, KeypointSelection, KeypointTrack, LocatedTrack, TrackKind, TrackedRecording,
};

const TRACK: &str = "\
scorer,net,net,net,net,net,net
bodyparts,snout,snout,snout,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,1.0,2.0,0.5,3.0,4.0,0.7
1,1.5,2.5,0.9,3.5,4.5,0.9
2,1.5,2.5,0.9,3.5,4.5,0.9
3,,,,5.0,6.0,1.0
4,NaN,2.0,0.99,5.0,6.0,1.0
";

const PAIR: &str = "\
scorer,n,n,n,n,n,n,n,n
individuals,ann,ann,ann,bob,bob,bob,single,single
bodyparts,s,s,s,s,s,s,corner,corner
coords,x,y,likelihood,x,y,likelihood,x,y
0,1,2,1,3,4,1,9,9
";

const SLEAP: &str = "\
track,frame_idx,instance.score,head.x,head.y,head.score,abd.omen.x,abd.omen.y,abd.omen.score
f1,4,0.9,1,2,0.5,3,4,0.6
f2,4,0.9,5,6,0.5,,,
f1,9,0.9,7,8,,9,10,
";

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tracks");
    std::fs::read(folder.join(name)).unwrap()
}

fn with_parts(bodyparts: &[&str]) -> KeypointSelection {
    KeypointSelection {
        bodyparts: bodyparts.iter().map(|s| s.to_string()).collect(),
        ..Default::default()
    }
}

fn parse(
    text: impl AsRef<[u8]>,
    selection: &KeypointSelection,
) -> Result<KeypointTrack, KeypointError> {
    KeypointTrack::parse(Path::new("track"), text.as_ref().to_vec(), selection)
}

fn all(text: impl AsRef<[u8]>) -> KeypointTrack {
    parse(text, &KeypointSelection::default()).unwrap()
}

/// Returns a video with this many frames.
fn video(name: &str, frame_count: usize) -> TrackedRecording {
    let size = FrameSize { width: 1000, height: 1000 };
    let name = name.to_owned();
    TrackedRecording {
        name,
        frame_count,
        size,
        region: None,
        images: Vec::new(),
        times: Vec::new(),
    }
}

/// Returns a track on a video with this many frames.
fn on(track: KeypointTrack, frame_count: usize) -> LocatedTrack {
    track.locate(&video("two.mp4", frame_count)).unwrap()
}

/// Returns why rows do not fit a video with this many frames.
fn misfit(track: &KeypointTrack, frame_count: usize) -> Option<String> {
    on(track.clone(), frame_count).check_rows().err().map(|error| error.to_string())
}

/// Returns a fixture's track. `None` for HDF5 in a build that cannot read it, which must say so.
fn readable(name: &str) -> Option<KeypointTrack> {
    if name.ends_with(".h5") && !cfg!(feature = "hdf5") {
        let message = parse(fixture(name), &KeypointSelection::default()).unwrap_err().to_string();
        assert!(message.contains("feature hdf5"), "{message}");
        return None;
    }
    Some(all(fixture(name)))
}

/// Returns the usable points of an individual in a frame.
fn seen(track: &LocatedTrack, frame: usize, individual: usize) -> Vec<(String, f32, f32, f32)> {
    let usable = track.usable(frame, individual, 0.0);
    usable.map(|(name, k)| (name.to_owned(), k.x, k.y, k.likelihood)).collect()
}

/// Returns everything in a track except its origin. Leaves out likelihoods if not every file has
/// them.
fn contents(track: &KeypointTrack, likelihoods: bool) -> Vec<String> {
    let track = &on(track.clone(), 100);
    let individuals = track.individuals().iter().enumerate();
    individuals
        .flat_map(|(index, individual)| {
            let frames = track.frames_of(index, 0..usize::MAX).iter();
            frames.map(move |&frame| {
                let mut parts = seen(track, frame, index);
                if !likelihoods {
                    parts.iter_mut().for_each(|part| part.3 = 1.0);
                }
                format!("{:?} {frame} {parts:?}", individual.name)
            })
        })
        .collect()
}

#[test]
fn every_kind_of_file_holds_the_same() {
    let reference = all(fixture("two-dlc.csv"));
    assert_eq!(reference.kind(), TrackKind::DlcCsv);
    assert_eq!(reference.len(), 12);
    let expected = contents(&reference, true);
    assert_eq!(expected.len(), 23, "bob is missing in one frame");
    for (name, kind) in [
        ("two-dlc.h5", TrackKind::DlcHdf5),
        ("two-dlc-fixed.h5", TrackKind::DlcHdf5),
        ("two-sleap.csv", TrackKind::SleapCsv),
        ("two-sleap.h5", TrackKind::SleapHdf5),
        ("two-sleap-standard.h5", TrackKind::SleapHdf5),
    ] {
        let Some(track) = readable(name) else { continue };
        assert_eq!((track.kind(), contents(&track, true)), (kind, expected.clone()), "{name}");
    }
}

#[test]
fn labelled_data_are_addressed_by_the_number_in_the_images_name() {
    let whole = contents(&all(fixture("two-dlc.csv")), false);
    let expected: Vec<String> =
        whole.into_iter().filter(|line| line.contains(" 3 ") || line.contains(" 7 ")).collect();
    for name in ["labelled.csv", "labelled.h5", "labelled-paths.csv", "labelled-paths.h5"] {
        let Some(track) = readable(&format!("two-{name}")) else { continue };
        assert_eq!(contents(&track, true), expected, "{name}");
        assert!(!on(track.clone(), 12).has_every_frame(), "{name}");
        assert_eq!(misfit(&track, 12), None, "{name}");
        assert!(misfit(&track, 7).is_some(), "{name}");
    }
}

#[test]
fn coordinates_scale_and_holes_stay_holes() {
    let track = parse(TRACK, &KeypointSelection { scale: 2.0, ..with_parts(&["snout"]) }).unwrap();
    let track = on(track, 5);
    assert_eq!(seen(&track, 0, 0), [("snout".to_owned(), 2.0, 4.0, 0.5)]);
    assert!(seen(&track, 3, 0).is_empty() && seen(&track, 4, 0).is_empty());
    assert_eq!(track.frames_of(0, 1..5), [1, 2]);
}

#[test]
fn individuals_are_objects_in_the_order_of_the_file_but_for_single() {
    let names = |individuals: &[&str]| {
        let individuals = individuals.iter().map(|s| s.to_string()).collect();
        let track = parse(PAIR, &KeypointSelection { individuals, ..Default::default() }).unwrap();
        on(track, 1)
            .objects()
            .map(|(id, i)| format!("{id}{}", i.name.as_ref().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["1ann", "2bob"]);
    assert_eq!(names(&["bob"]), ["1bob"]);
    assert_eq!(names(&["single", "ann"]), ["1ann", "2single"]);
    let individuals = vec!["eve".to_owned()];
    let error = parse(PAIR, &KeypointSelection { individuals, ..Default::default() }).unwrap_err();
    assert!(error.to_string().contains("'eve'; it has ann, bob, single"), "{error}");
}

#[test]
fn a_sleap_table_is_addressed_by_frame_idx() {
    let track = all(SLEAP);
    assert_eq!((track.kind(), track.len()), (TrackKind::SleapCsv, 2));
    assert!(misfit(&track, 9).is_some() && misfit(&track, 50).is_none());
    let track = on(track, 50);
    assert_eq!(seen(&track, 4, 1), [("head".to_owned(), 5.0, 6.0, 0.5)]);
    assert_eq!(seen(&track, 9, 0)[1], ("abd.omen".to_owned(), 9.0, 10.0, 1.0));
    let twice = format!("{SLEAP}f1,4,1,1,1,1,1,1,1\n");
    let message = parse(twice, &with_parts(&[])).unwrap_err().to_string();
    assert!(message.contains("line 5") && message.contains("'f1'"), "{message}");
    let untracked = SLEAP.replace("f1", "").replace("f2", "");
    let message = parse(untracked, &with_parts(&[])).unwrap_err().to_string();
    assert!(message.contains("without a track"), "{message}");
}

#[test]
fn traces_of_pandas_are_undone() {
    let expected = contents(&all(TRACK), true);
    let lines: Vec<&str> = TRACK.lines().collect();
    let numbered = |line: &str| {
        let mut count = std::collections::BTreeMap::new();
        let cells = line.split(',').map(|cell| {
            let seen = count.entry(cell).and_modify(|n| *n += 1).or_insert(0);
            if *seen == 0 { cell.to_owned() } else { format!("{cell}.{seen}") }
        });
        cells.collect::<Vec<_>>().join(",")
    };
    // read_csv(header=0), read_csv(header=1), with a second index column, with nameless header
    // cells, with a decimal index.
    let from_scorer = [&[numbered(lines[0]).as_str()], &lines[1..]].concat().join("\n");
    let from_bodyparts = [&[numbered(lines[1]).as_str()], &lines[2..]].concat().join("\n");
    let indexed: Vec<String> =
        lines.iter().zip(0..).map(|(line, row)| format!("{row},{line}")).collect();
    let unnamed =
        format!("{}\n{}", lines[0].replace("net", "Unnamed: 3_level_0"), lines[1..].join("\n"));
    let mut decimal = lines[..3].join("\n");
    for line in &lines[3..] {
        let (row, rest) = line.split_once(',').unwrap();
        decimal.push_str(&format!("\n{row}.0,{rest}"));
    }
    let windows = format!("\u{feff}{}", TRACK.replace('\n', "\r\n"));
    for text in [from_scorer, from_bodyparts, indexed.join("\n"), unnamed, decimal, windows] {
        assert_eq!(contents(&all(&text), true), expected, "{text}");
    }
}

#[test]
fn names_that_end_in_numbers_are_left_alone_in_files_that_pandas_has_not_touched() {
    let text = TRACK.replace("tail,tail,tail", "snout.1,snout.1,snout.1");
    assert_eq!(all(text).individuals()[0].bodyparts, ["snout", "snout.1"]);
}

#[test]
fn errors_name_the_cause_and_the_kinds() {
    let message =
        |text: &str, parts: &[&str]| parse(text, &with_parts(parts)).unwrap_err().to_string();
    assert!(message("", &[]).contains("header"));
    let unknown = message("a,b,c\n", &[]);
    assert!(unknown.contains("line 1") && unknown.contains("SLEAP analysis"), "{unknown}");
    assert!(message(TRACK, &["nose"]).contains("it has snout, tail"));
    assert!(message(&TRACK.replace("1.5", "oops"), &["snout"]).contains("'oops'"));
    assert!(message(&TRACK.replace("\n3,", "\nthree,"), &[]).contains("line 7: 'three'"));
    assert!(message(&format!("{TRACK}4,1,1,1,1,1,1\n"), &[]).contains("twice"));
    let header_only: String = TRACK.lines().take(3).map(|l| format!("{l}\n")).collect();
    assert!(message(&header_only, &[]).contains("no rows"));
    assert!(message("\u{89}HDF", &[]).contains("line 1"));
}

#[test]
fn row_counts_are_compared() {
    let track = all(TRACK);
    assert_eq!(misfit(&track, 5), None);
    let message = misfit(&track, 7).unwrap();
    assert!(message.contains("5 rows") && message.contains("7 frames"), "{message}");
    let gap = all(TRACK.replace("\n2,1.5,2.5,0.9,3.5,4.5,0.9", ""));
    let message = misfit(&gap, 5).unwrap();
    assert!(message.contains("frame 2"), "{message}");
    // Rows keep their numbers.
    assert_eq!(seen(&on(gap, 5), 3, 0).len(), 1);
}

/// Reads and uses a track, whether or not that succeeds.
fn use_all(bytes: Vec<u8>) {
    if let Ok(track) = KeypointTrack::parse(Path::new("x"), bytes, &KeypointSelection::default()) {
        for images in [Vec::new(), vec!["img0003.png".to_owned(), "7".to_owned()]] {
            let recording = TrackedRecording { images, ..video("two.mp4", 3) };
            let Ok(located) = track.clone().locate(&recording) else { continue };
            let _ = (located.check_rows(), located.check_points(0.5));
            for individual in 0..located.individuals().len() {
                for &frame in located.frames_of(individual, 0..usize::MAX) {
                    seen(&located, frame, individual);
                }
            }
        }
    }
}

const FIXTURES: [&str; 6] = [
    "two-dlc.csv",
    "two-labelled.csv",
    "two-sleap.csv",
    "two-dlc.h5",
    "two-dlc-fixed.h5",
    "two-sleap.h5",
];

proptest! {
    #[test]
    fn never_panics(mut text in prop::collection::vec(any::<u8>(), 0..400), is_hdf5: bool) {
        if is_hdf5 {
            text.splice(0..0, *b"\x89HDF\r\n\x1a\n");
        }
        use_all(text);
    }

    #[test]
    fn never_panics_behind_a_header(text in "[0-9,.a\n\"-]{0,200}", sleap: bool) {
        let header: String = TRACK.lines().take(3).map(|l| format!("{l}\n")).collect();
        let header = if sleap { SLEAP.lines().next().unwrap().to_owned() + "\n" } else { header };
        use_all(format!("{header}{text}").into_bytes());
    }

    #[test]
    fn damaged_files_never_panic(
        file in 0..FIXTURES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixture(FIXTURES[file]);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        use_all(bytes);
    }
}
