//! Image names that determine the order of the frames: numbers with signs and decimal points,
//! dates.

use crate::support::Workshop;

/// Makes a workshop with a folder `frames` of images with these names.
fn images(names: &[&str]) -> Workshop {
    let workshop = Workshop::new();
    workshop.folder("frames");
    workshop.cut("mouse-arena", 1, "-vf scale=64:48", "one.png");
    let image = workshop.read("one.png");
    for name in names {
        workshop.write(&format!("frames/{name}.png"), &image);
    }
    workshop
}

/// Returns the images in the order of the frames, from the table of the masks.
fn order(workshop: &Workshop, recording: &str) -> Vec<String> {
    let arguments = ["segment", recording, "--point", "0:20,20", "-o", "masks.csv", "--overwrite"];
    workshop.sam2(&arguments).succeeded();
    let table = String::from_utf8(workshop.read("masks.csv")).unwrap();
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let column = header.iter().position(|title| *title == "image").unwrap();
    rows.map(|row| row[column].trim_end_matches(".png").to_owned()).collect()
}

#[test]
fn frames_follow_the_values_in_their_names() {
    for names in [
        &["1700000000.041667", "1700000000.25", "1700000000.3"][..],
        &["t=-12", "t=-5", "t=-4"],
        &["31-12-2022", "15-01-2023", "02-02-2023"],
        &["Dec-2022", "Jan-2023", "Apr-2023"],
    ] {
        assert_eq!(order(&images(names), "frames"), names);
    }
}

#[test]
fn dates_that_do_not_tell_the_order_are_refused_with_the_way_out() {
    let workshop = images(&["01-05-2023", "02-03-2023"]);
    let told = ["the day or the month comes first", "year first", "'frames/*'"];
    workshop.refuses("frames", &["--point", "0:20,20"], &told);
    assert_eq!(order(&workshop, "frames/*"), ["01-05-2023", "02-03-2023"]);
}
