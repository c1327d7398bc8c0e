//! Tracks and annotations of other programs (`tests/fixtures/tracks`, made by `make_formats.py`).
//! Each one prompts the two discs of `base.mp4`, or is refused with the name of its program.

use crate::real_tracks::{animal, case, decoy, is_at, run, with};
use crate::support::Workshop;

/// Makes a workshop with the clip as a video and as images `frames/img0001.png` to
/// `frames/img0024.png`, and with these fixtures.
fn workshop(fixtures: &[&str]) -> Workshop {
    let workshop = with("sleap-h5-other-video", &["base.mp4"]);
    workshop.folder("frames");
    for number in 1..=24 {
        let image = format!("frames/img{number:04}.png");
        let from = case("track-by-image-name-folder-from-1").join(&image);
        std::fs::copy(from, workshop.path(&image)).unwrap();
    }
    for fixture in fixtures {
        let from = case("../fixtures/tracks").join(fixture);
        if from.is_dir() {
            workshop.folder(fixture);
            for file in std::fs::read_dir(from).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), workshop.path(fixture).join(file.file_name())).unwrap();
            }
        } else {
            std::fs::copy(from, workshop.path(fixture)).unwrap();
        }
    }
    workshop
}

#[test]
fn tracks_of_other_programs_prompt_the_animals_that_they_are_about() {
    // Recording, track, and one frame that the track prompts.
    let tracks = [
        ("base.mp4", "sleap.slp", 5),
        ("base.mp4", "sleap.pkg.slp", 5),
        ("base.mp4", "nwb-stamps.nwb", 5),
        ("base.mp4", "nwb-sleap.nwb", 0),
        ("base.mp4", "cvat-points.xml", 4),
        ("base.mp4", "cvat-skeletons.xml", 4),
        ("base.mp4", "idtracker.csv", 0),
        ("frames", "coco-keypoints.json", 4),
        ("frames", "labelme", 4),
        ("frames", "label-studio.json", 4),
    ];
    let workshop = workshop(&tracks.map(|(_, track, _)| track));
    for (recording, track, first) in tracks {
        let outcome = run(&workshop, recording, track, &["--ids"]);
        assert_eq!(outcome.prompted(), [first], "{track}: {}", outcome.stderr);
        for frame in [first, 15] {
            is_at(&workshop, frame, 1, animal(frame));
            is_at(&workshop, frame, 2, decoy(frame));
        }
    }
}

#[test]
fn tables_of_other_countries_and_of_napari_prompt_the_animal() {
    let tracks = ["dlc-semicolons.csv", "dlc-unicode-text.txt", "napari-points.csv"];
    let workshop = workshop(&tracks);
    for track in tracks {
        run(&workshop, "base.mp4", track, &[]);
        is_at(&workshop, 12, 255, animal(12));
    }
}

#[test]
fn what_was_drawn_with_other_programs_prompts_its_objects() {
    let drawings = [
        ("base.mp4", "cvat-boxes.xml"),
        ("base.mp4", "label-studio-video.json"),
        ("frames", "labelme-shapes.json"),
        ("frames", "cvat-images.xml"),
        ("frames", "label-studio.json"),
    ];
    let workshop = workshop(&drawings.map(|(_, file)| file));
    for (recording, file) in drawings {
        let outcome = workshop.segment(recording, &["--prompts", file, "--ids", "--overwrite"]);
        assert!(outcome.stderr.contains("1 = a, 2 = b"), "{file}: {}", outcome.stderr);
        is_at(&workshop, 4, 1, animal(4));
        is_at(&workshop, 12, 1, animal(12));
        is_at(&workshop, 4, 2, decoy(4));
    }
}

#[test]
fn other_files_are_refused_by_name_and_nothing_is_written() {
    let workshop = workshop(&["cvat-boxes.xml", "sleap-untracked.slp", "nwb-rate.nwb"]);
    workshop.write("trx.mat", "MATLAB 5.0 MAT-file, Platform: GLNXA64");
    workshop.write("table.csv", "nose_x,nose_y,nose_z,fnum\n1,2,3,0\n");
    for (track, told) in [
        ("cvat-boxes.xml", ["CVAT", "--prompts"]),
        ("sleap-untracked.slp", ["without a track", "SLEAP"]),
        ("trx.mat", ["MATLAB", "frame,object,x,y"]),
        ("table.csv", ["Anipose", "pose-2d"]),
    ] {
        workshop.refuses("base.mp4", &["--keypoints", track], &told);
    }
    // Images have no times.
    let told = ["nwb-rate.nwb", "--keypoints-first-frame"];
    std::fs::remove_file(workshop.path("frames/img0024.png")).unwrap();
    workshop.refuses("frames", &["--keypoints", "nwb-rate.nwb"], &told);
}
