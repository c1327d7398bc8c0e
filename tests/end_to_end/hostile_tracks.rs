//! Tracks designed to exhaust memory or time: a file below 5 MB is read or refused within half a
//! gigabyte and two seconds.

use crate::real_tracks::case;
use crate::support::Workshop;

/// Limit on the memory for a process's data.
const MEGABYTES: usize = 512;
/// Limit on processor time in seconds. Where these tests were written, at most half of it is
/// needed; the rest is for slower machines.
const SECONDS: usize = 4;
/// Limit on the length of a file.
const LONGEST: usize = 5_000_000;

/// A recording and its track. A nonexistent model stops the program after it has read the track.
struct Trial(Workshop);

impl Trial {
    fn new() -> Self {
        let workshop = Workshop::new();
        workshop.mouse(2, "mouse.mkv");
        Self(workshop)
    }

    /// Returns the error for a track with these contents.
    fn error(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let contents = contents.as_ref();
        assert!(contents.len() <= LONGEST, "{name} has {} bytes", contents.len());
        self.0.write(name, contents);
        let all = ["segment", "mouse.mkv", "-o", "m.btf", "--keypoints", name, "--model", "no.pt"];
        let outcome = self.0.sam2_within(MEGABYTES, SECONDS, &all);
        assert_eq!(outcome.code, Some(1), "{name}: {}", outcome.stderr);
        outcome.did_not_panic();
        let error = outcome.error().to_owned();
        assert!(error.len() < 1000, "{name}: {error}");
        error
    }

    /// Checks that the track is refused with these words.
    fn refuses(&self, name: &str, contents: impl AsRef<[u8]>, words: &str) {
        let error = self.error(name, contents);
        assert!(error.contains(name) && error.contains(words), "{name}: {error}");
    }

    /// Checks that the track is read, so that the missing model is the error.
    fn reads(&self, name: &str, contents: impl AsRef<[u8]>) {
        let error = self.error(name, contents);
        assert!(error.contains("no.pt"), "{name}: {error}");
    }
}

/// Returns `head` and then the text of each number, up to the limit on the length.
fn many(head: &str, each: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for number in 0.. {
        let next = each(number);
        if text.len() + next.len() > LONGEST - 100 {
            break;
        }
        text.push_str(&next);
    }
    text
}

#[test]
fn tables_of_many_columns_and_rows() {
    let trial = Trial::new();
    let wide = "100000 columns";
    trial.refuses("commas.csv", ",".repeat(LONGEST), wide);
    trial.refuses("semicolons.csv", ";".repeat(LONGEST), wide);
    trial.refuses("header.csv", format!("scorer,n,n\n{}", ",".repeat(LONGEST - 20)), wide);
    trial.refuses("quotes.csv", "\"".repeat(LONGEST), "");
    let parts: String = (0..90_000).map(|at| format!(",{:x}", at / 2)).collect();
    let scorer = ",n".repeat(90_000);
    let header = format!("scorer{scorer}\nbodyparts{parts}\ncoords{}\n", ",x,y".repeat(45_000));
    trial.reads("columns.csv", format!("{header}0{}\n", ",1".repeat(90_000)));
    trial.refuses("short.csv", many(&header, |row| format!("{row}\n")), "rows are shorter");
    let nodes: String = (0..45_000).map(|node| format!(",{node:x}.x,{node:x}.y")).collect();
    let header = format!("frame_idx,track{nodes}\n");
    trial.refuses("nodes.csv", many(&header, |row| format!("{row},t\n")), "rows are shorter");
    let nodes: String = (0..1000).map(|node| format!(",{node:x}.x,{node:x}.y")).collect();
    let header = format!("frame_idx,track{nodes}\n");
    trial.refuses("tracks.csv", many(&header, |row| format!("{row},{row:x}\n")), "shorter");
    let prefixes: String = (0..40_000).map(|track| format!(",{track:x}.track")).collect();
    trial.error("prefixes.csv", format!("frame_idx{prefixes},0.a.x,0.a.y\n0\n"));
    let animals: String = (1..40_000).map(|animal| format!(",x{animal},y{animal}")).collect();
    let header = format!("time{animals}\n");
    trial.refuses("animals.csv", many(&header, |row| format!("{row}\n")), "rows are shorter");
}

#[test]
fn tables_of_points() {
    let trial = Trial::new();
    trial.reads("rows.csv", many("frame,x,y\n", |row| format!("{row},1,1\n")));
    let objects = many("frame,object,x,y\n", |row| format!("0,{row},1,1\n"));
    trial.refuses("objects.csv", objects, "at most 255");
    let head = "frame,object,bodypart,x,y\n";
    let both = many(head, |row| format!("0,{row:x},{row:x},1,1\n"));
    trial.refuses("parts.csv", both, "few of them at a time");
    trial.reads("images.csv", many("image,x,y\n", |row| format!("a/{row:x}.png,1,1\n")));
    trial.reads("folders.csv", many("image,x,y\n", |row| format!("{row:x}/base/1.png,1,1\n")));
    trial.reads("names.csv", many("image,x,y\n", |row| format!("{row:x}_1.png,1,1\n")));
    // Frames far beyond the end are reported only after the recording is known.
    for (name, table) in [
        ("far.csv", "frame,object,x,y\n4000000000,1,2,3\n999999999999999,1,2,3\n"),
        ("far-dlc.csv", "scorer,n,n\nbodyparts,p,p\ncoords,x,y\n4000000000,1,2\n"),
        ("far-sleap.csv", "track,frame_idx,n.x,n.y\na,4000000000,1,2\n"),
    ] {
        trial.0.write(name, table);
        let all = ["segment", "mouse.mkv", "-o", "m.btf", "--keypoints", name];
        let outcome = trial.0.sam2_within(2 * MEGABYTES, SECONDS, &all).failed(1);
        let error = outcome.error();
        assert!(error.contains("the recording has 2 frames"), "{error}");
        assert!(error.contains("4000000000") || error.contains("999999999999999"), "{error}");
    }
}

#[test]
fn text_in_two_bytes() {
    let trial = Trial::new();
    let track = "scorer,n,n\nbodyparts,p,p\ncoords,x,y\n0,1,2\n";
    let mut odd: Vec<u8> = track.encode_utf16().flat_map(u16::to_le_bytes).collect();
    odd.push(b'x');
    trial.reads("odd.csv", &odd);
    trial.error("zeros.csv", [&b"\xff\xfe"[..], &vec![0; LONGEST - 3]].concat());
    trial.error("halves.csv", [&b"\xfe\xff"[..], &vec![0xd8; LONGEST - 3]].concat());
    trial.error("latin.csv", vec![0xff; LONGEST]);
}

#[test]
fn documents() {
    let trial = Trial::new();
    trial.error("deep.json", "[".repeat(LONGEST));
    trial.error("deeper.json", "{\"a\":".repeat(LONGEST / 5));
    let coco = r#"{"images":[{"id":1,"file_name":"a1.png"}],"categories":[],"annotations":["#;
    trial.error("deep-coco.json", format!("{coco}{}", "[".repeat(LONGEST - coco.len())));
    let closed =
        |head: &str, each: &str, tail: &str| format!("{}{tail}", many(head, |_| each.to_owned()));
    let label_studio = r#"[{"annotations":[]}"#;
    trial.error("objects.json", closed(label_studio, r#",{"a":0}"#, "]"));
    let meta = r#"[{"annotations":[],"meta":["#;
    trial.error("meta.json", closed(meta, r#"{"a":0},"#, "0]}]"));
    let attributes = format!(r#"{coco}{{"image_id":1,"attributes":{{"x":["#);
    trial.error("attributes.json", closed(&attributes, r#"{"a":0},"#, "0]}}]}"));
    let outlines = format!(r#"{coco}{{"image_id":1,"segmentation":["#);
    trial.error("outlines.json", closed(&outlines, "[0],", "[0]]}]}"));
    let keypoints = format!(r#"{coco}{{"image_id":1,"keypoints":["#);
    trial.refuses("keypoints.json", closed(&keypoints, "1,1,2,", "1,1,2]}]}"), "split the file");
    let long = coco.replace("a1", &"a".repeat(1_000_000));
    let each = r#"{"image_id":1,"keypoints":[1,1,2]},"#;
    let last = r#"{"image_id":1,"keypoints":[1,1,2]}]}"#;
    trial.refuses("name.json", closed(&long, each, last), "shorten them");
    let label = "x".repeat(2_000_000);
    let shape = format!(
        r#"{{"imagePath":"a1.png","shapes":[{{"label":"{label}","shape_type":"points","points":["#
    );
    trial.refuses("label.json", closed(&shape, "[1,1],", "[1,1]]}]}"), "shorten them");
}

#[test]
fn xml() {
    let trial = Trial::new();
    let points = many(r#"<annotations><track id="0" label="a"><points frame="1" points=""#, |_| {
        "1,1;".into()
    });
    let points = format!("{points}\"/></track></annotations>");
    trial.refuses("points.xml", points, "split the file");
    let attributes = many("<annotations", |number| format!(" a{number:x}=\"\""));
    trial.refuses("attributes.xml", format!("{attributes}/>"), "1000 attributes");
    let nested = "<task>".repeat(300_000) + &"</task>".repeat(300_000);
    trial.error("nested.xml", format!("<annotations><meta>{nested}</meta></annotations>"));
    let tasks: String = (0..60_000).map(|task| format!("<task><id>{task}</id></task>")).collect();
    let tracks: String = (0..60_000).map(|task| format!(r#"<track task_id="{task}"/>"#)).collect();
    trial.error("tasks.xml", format!("<annotations><meta>{tasks}</meta>{tracks}</annotations>"));
    trial.error("brackets.xml", "<".repeat(LONGEST));
}

#[test]
fn hdf5() {
    let trial = Trial::new();
    for name in [
        "billion-frames.h5",
        "million-frames.h5",
        "fill-values.h5",
        "one-long-name.h5",
        "links.nwb",
        "points.slp",
        "frames.slp",
    ] {
        let contents = std::fs::read(case("hostile-tracks").join(name)).unwrap();
        trial.refuses(name, contents, "claims more than a file of its size can hold");
    }
}

#[test]
fn notes_of_deeplabcut() {
    let trial = Trial::new();
    let track = "scorer,n,n\nbodyparts,p,p\ncoords,x,y\n0,60,60\n1,60,60\n";
    let text = [&b"X\x00\x00\x08\x00"[..], &vec![b'x'; 0x8_0000]].concat();
    let encode = b"\x80\x04c_codecs\nencode\n\x94";
    let notes: [Vec<u8>; 5] = [
        [&b"\x80\x04]\x94"[..], &b"h\x00\x94".repeat(340_000), b"."].concat(),
        [&b"\x80\x04]\x94"[..], &b"(h\x00h\x00h\x00h\x00e\x85\x94".repeat(80_000), b"."].concat(),
        [&b"\x80\x04"[..], &b"]".repeat(1_000_000), b"."].concat(),
        [&encode[..], &text, b"\x94", &b"h\x00h\x01\x85R".repeat(70_000), b"."].concat(),
        vec![b'('; 2_000_000],
    ];
    for note in notes {
        trial.0.write("t_meta.pickle", note);
        trial.reads("t.csv", track);
    }
}
