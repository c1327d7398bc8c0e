//! Tests of files from annotation tools as prompts.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sam2_frame_provider::FrameSize;

use super::super::TrackedRecording;
use super::{Annotations, read, read_folder};
use crate::{KnownObjects, PromptSet};

const SIZE: FrameSize = FrameSize { width: 256, height: 192 };

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tracks").join(name)
}

fn images() -> TrackedRecording {
    TrackedRecording {
        name: "frames".into(),
        frame_count: 24,
        size: SIZE,
        region: None,
        images: (1..=24).map(|number| format!("img{number:04}.png")).collect(),
        times: Vec::new(),
    }
}

fn video() -> TrackedRecording {
    TrackedRecording { name: "base.mp4".into(), images: Vec::new(), ..images() }
}

fn fixture(name: &str) -> Annotations {
    read(&std::fs::read_to_string(path(name)).unwrap()).unwrap().unwrap()
}

fn prompts(name: &str, recording: &TrackedRecording) -> PromptSet {
    fixture(name).into_prompts(&path(name), recording, &KnownObjects::default()).unwrap().0
}

/// Frame, object, box, first and last column and row of the mask, number of clicks.
type Summary = (usize, u32, Option<[f32; 4]>, Option<[u32; 4]>, usize);

fn summary(set: &PromptSet) -> Vec<Summary> {
    let of = |prompt: &crate::JobPrompt| {
        let bounds = prompt.bounds.map(|b| [b.x0, b.y0, b.x1, b.y1]);
        let mask = prompt.mask.as_ref().and_then(|mask| mask.bounds());
        (prompt.frame, prompt.object.0, bounds, mask, prompt.points.len())
    };
    let mut found: Vec<_> = set.prompts().iter().map(of).collect();
    found.sort_by_key(|prompt| (prompt.1, prompt.0));
    found
}

fn named(set: &PromptSet) -> Vec<&str> {
    set.names().values().map(String::as_str).collect()
}

#[test]
fn boxes_of_cvat_and_label_studio_where_a_person_drew_them() {
    let set = prompts("cvat-boxes.xml", &video());
    assert_eq!(named(&set), ["a", "b"]);
    // Interpolated shapes are left out, as is the last one, which is outside.
    let a = (4, 1, Some([60.0, 130.0, 72.0, 142.0]), None, 0);
    assert_eq!(summary(&set), [a, (4, 2, Some([190.0, 43.0, 202.0, 55.0]), None, 0)]);

    let set = prompts("label-studio-video.json", &video());
    assert_eq!(named(&set), ["a", "b"]);
    let found = summary(&set);
    assert_eq!(
        found.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(),
        [(4, 1), (8, 1), (4, 2), (8, 2)]
    );
    for (found, expected) in found[1].2.unwrap().iter().zip([76.0, 126.0, 88.0, 138.0]) {
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
}

#[test]
fn shapes_of_images() {
    let set = prompts("cvat-images.xml", &images());
    assert_eq!(named(&set), ["a", "b"]);
    let found = summary(&set);
    assert_eq!(found[0], (4, 1, Some([60.0, 130.0, 72.0, 142.0]), None, 0));
    // Runs of 2 and 142 in rows of 12: the first two pixels of the first row are not in the mask.
    assert_eq!((found[1].0, found[1].3), (4, Some([190, 43, 201, 54])));
    let mask = set.prompts()[1].mask.as_ref().unwrap();
    let row: Vec<u8> = mask.to_bytes(1)[43 * 256 + 190..][..4].to_vec();
    assert_eq!((mask.area(), row), (142, vec![0, 0, 1, 1]));

    // Three annotations of one class on the only image are three objects.
    let set = prompts("coco-shapes.json", &images());
    assert_eq!(named(&set), ["mouse 1", "mouse 2", "mouse 3"]);
    let found = summary(&set);
    assert_eq!((found[0].3, found[0].2), (Some([60, 130, 71, 141]), None));
    assert_eq!(found[1].2, Some([190.0, 43.0, 202.0, 55.0]));
    assert_eq!(found[2].3, Some([0, 0, 0, 2]));

    let set = prompts("labelme-shapes.json", &images());
    assert_eq!(named(&set), ["a", "b"]);
    let found = summary(&set);
    assert_eq!(found[0], (4, 1, Some([60.0, 130.0, 72.0, 142.0]), None, 0));
    assert_eq!((found[1].3, found[1].4), (Some([190, 43, 201, 54]), 1));

    let (set, _) = read_folder(&path("labelme"))
        .unwrap()
        .into_prompts(&path("labelme"), &images(), &KnownObjects::default())
        .unwrap();
    assert_eq!(
        summary(&set).iter().map(|p| (p.0, p.1, p.4)).collect::<Vec<_>>(),
        [(4, 1, 2), (9, 1, 2), (4, 2, 2), (9, 2, 2)]
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let message = |name: &str, recording: &TrackedRecording| {
        fixture(name).into_prompts(&path(name), recording, &KnownObjects::default()).unwrap_err()
    };
    let larger = TrackedRecording { size: FrameSize { width: 512, height: 384 }, ..images() };
    assert!(message("coco-shapes.json", &larger).contains("512 x 384"));
    let others = TrackedRecording { images: vec!["x.png".into()], ..images() };
    assert!(message("labelme-shapes.json", &others).contains("img0005.png"));
    // Two shapes of a label on each of two images.
    let twice = std::fs::read_to_string(path("coco-shapes.json")).unwrap();
    let twice = twice
        .replace("\"images\": [", "\"images\": [{\"id\": 8, \"file_name\": \"img0006.png\"}, ")
        .replace(
            "\"annotations\": [",
            "\"annotations\": [{\"image_id\": 8, \"category_id\": 1, \"bbox\": [1, 1, 5, 5]}, ",
        );
    let found = read(&twice)
        .unwrap()
        .unwrap()
        .into_prompts(&path("x"), &images(), &KnownObjects::default())
        .unwrap_err();
    assert!(found.contains("'mouse'") && found.contains("img0005.png"), "{found}");
}

const ALL: [&str; 9] = [
    "cvat-boxes.xml",
    "cvat-images.xml",
    "cvat-skeletons.xml",
    "coco-shapes.json",
    "coco-keypoints.json",
    "labelme-shapes.json",
    "label-studio.json",
    "label-studio-min.json",
    "label-studio-video.json",
];

proptest! {
    #[test]
    fn damaged_files_never_panic(
        file in 0..ALL.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[ -~]"), 1..6),
    ) {
        let mut text = std::fs::read_to_string(path(ALL[file])).unwrap();
        for (at, letter) in changes {
            let at = at.index(text.len());
            text.replace_range(at..=at, &letter);
        }
        if let Some(Ok(annotations)) = read(&text) {
            let _ = annotations.into_prompts(Path::new("x"), &images(), &KnownObjects::default());
        }
    }
}

#[test]
fn what_is_wrong_in_coco_is_refused() {
    let of = |annotation: &str| {
        let text = format!(
            r#"{{"images":[{{"id":1,"file_name":"img0003.png"}}],"categories":[{{"id":1,"name":"bob"}}],
            "annotations":[{{"id":1,"image_id":1,{annotation}}}]}}"#
        );
        let names = [(1, "ann"), (2, "bob")];
        let names = names.map(|(id, name)| (sam2_engine::ObjectId(id), name.to_owned()));
        let known = KnownObjects::new(names.into());
        let set = read(&text).unwrap()?.into_prompts(Path::new("c"), &images(), &known)?.0;
        Ok::<_, String>(set.prompts()[0].object.0)
    };
    let outline = |corners: &str| of(&format!(r#""category_id":1,"segmentation":[[{corners}]]"#));
    // The category is an object of the track. Corners may lie on the edge.
    assert_eq!(outline("10,10,256.5,10,30,30"), Ok(2));
    assert!(outline("10,10,20").unwrap_err().contains("3 numbers"));
    assert!(outline("10,10,20,10,30,30,5").unwrap_err().contains("annotations[0]"));
    assert!(outline("10,10,400,10,30,30").unwrap_err().contains("beyond the picture"));
    let other = of(r#""category_id":5,"bbox":[1,1,9,9]"#).unwrap_err();
    assert!(other.contains("the category 5"), "{other}");
}

#[test]
fn a_number_of_the_file_is_not_given_to_another_object() {
    let text = r#"{"images":[{"id":1,"file_name":"img0003.png"}],"categories":[{"id":1,"name":"mouse"}],
        "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[1,1,9,9]},
        {"id":2,"image_id":1,"category_id":1,"bbox":[50,1,9,9],"track_id":1}]}"#;
    let annotations = read(text).unwrap().unwrap();
    let known = KnownObjects::default();
    let set = annotations.into_prompts(Path::new("c"), &images(), &known).unwrap().0;
    assert_eq!(named(&set), ["mouse 2", "mouse 1"]);
}
