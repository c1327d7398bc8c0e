//! Tests of the document in `docs/prompts.md`, of its schema, and of damaged files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::parse_prompts;
use crate::{KnownObjects, PromptSet};
use sam2_engine::ObjectId;

fn docs(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn parse(text: &str) -> Result<PromptSet, String> {
    parse_prompts(Path::new("p"), text.as_bytes()).map_err(|error| error.to_string())
}

/// Returns the text between two lines of a page.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

#[test]
fn the_documented_examples_are_read() {
    let page = docs("prompts.md");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("masks")).unwrap();
    let file = std::fs::File::create(folder.path().join("masks/resident-0400.png")).unwrap();
    let mut encoder = png::Encoder::new(file, 4, 2);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[0, 255, 255, 0, 0, 0, 0, 0]).unwrap();
    let document: PathBuf = folder.path().join("prompts.json");
    let set = parse_prompts(&document, between(&page, "```json\n", "```").as_bytes()).unwrap();
    assert_eq!((set.prompts().len(), set.names().len()), (3, 2));
    assert_eq!(set.prompts()[2].mask.as_ref().unwrap().area(), 2);

    let table = between(&page, "## A table of clicks: CSV\n\n", "\n\n").replace("    ", "");
    let set = parse(&table).unwrap();
    assert_eq!(set.prompts().len(), 2);
    assert_eq!(set.prompts()[0].points.len(), 2);
}

/// Returns the names that the parser offers when a name is wrong.
fn offered(document: &str) -> BTreeSet<String> {
    let message = parse(document).unwrap_err();
    let names = message.split('`').skip(3).step_by(2);
    names.map(str::to_owned).collect()
}

#[test]
fn the_schema_has_the_fields_that_are_read() {
    let schema: Value = serde_json::from_str(&docs("prompts.schema.json")).unwrap();
    let fields = |at: &Value| -> BTreeSet<String> {
        assert_eq!(at["additionalProperties"], false);
        at["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let (top, prompt) = (&schema["properties"], &schema["properties"]["prompts"]["items"]);
    assert_eq!(fields(&schema), offered(r#"{"version": 1, "x": 1}"#));
    assert_eq!(
        fields(&top["objects"]["items"]),
        offered(r#"{"version": 1, "objects": [{"z": 1}]}"#)
    );
    assert_eq!(fields(prompt), offered(r#"{"version": 1, "prompts": [{"z": 1}]}"#));
    let point = &prompt["properties"]["points"]["items"];
    assert_eq!(fields(point), offered(r#"{"version": 1, "prompts": [{"points": [{"z": 1}]}]}"#));
    assert_eq!(top["version"]["const"], super::PROMPT_FILE_VERSION);
}

#[test]
fn names_in_a_table_are_numbered_as_they_appear() {
    let set = parse("object,frame,y,x\nbob,0,1,2\nann,0,3,4\nbob,9,5,6\n").unwrap();
    let objects: Vec<ObjectId> = set.prompts().iter().map(|prompt| prompt.object).collect();
    assert_eq!(objects, [ObjectId(1), ObjectId(2), ObjectId(1)]);
    assert_eq!(set.names()[&ObjectId(2)], "ann");
}

#[test]
fn tables_of_other_countries_and_of_napari() {
    let plain = parse("frame,object,x,y,label\n0,1,210.5,350,1\n3,2,9.25,8,0\n").unwrap();
    let german = "frame;object;x;y;label\r\n0;1;210,5;350;1\r\n3;2;9,25;8;0\r\n";
    assert_eq!(parse(german).unwrap(), plain);
    assert_eq!(parse(&format!("\u{feff}{german}")).unwrap(), plain);
    assert_eq!(parse(&german.replace(';', "\t")).unwrap(), plain);
    let utf16: Vec<u8> =
        format!("\u{feff}{german}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse_prompts(Path::new("p"), &utf16).unwrap(), plain);

    let napari =
        parse("index,axis-0,axis-1,axis-2\n0.0,5.0,135.0,70.0\n1.0,5.0,50.0,195.5\n").unwrap();
    assert_eq!(napari, parse("frame,x,y\n5,70,135\n5,195.5,50\n").unwrap());
    assert!(parse("index,axis-0,axis-1\n0,1,2\n").unwrap_err().contains("napari"));
}

#[test]
fn tracks_and_archives_are_refused_as_such() {
    let refused = |bytes: &[u8]| parse_prompts(Path::new("p"), bytes).unwrap_err().to_string();
    assert!(refused(b"\x89HDF\r\n\x1a\n").contains("--keypoints"));
    assert!(refused(b"PK\x03\x04annotations.xml").contains("unpack"));
    assert!(refused(b"scorer,n,n\nbodyparts,p,p\n").contains("--keypoints"));
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), is_json: bool) {
        let mut bytes = bytes;
        if is_json {
            bytes.splice(0..0, *b"{\"version\": 1, \"prompts\": [");
        }
        let _ = parse_prompts(Path::new("p"), &bytes);
    }

    #[test]
    fn damaged_documents_never_panic(at in 0_usize..700, value in "[ -~]", table: bool) {
        let page = docs("prompts.md");
        let text = match table {
            true => "frame,object,x,y,label\n0,1,210,350,1\n0,ann,190,300,0\n",
            false => between(&page, "```json\n", "```"),
        };
        let at = at % text.len();
        let damaged = format!("{}{value}{}", &text[..at], &text[at + 1..]);
        let _ = parse(&damaged);
    }
}

/// Returns the object numbers in a file that is read together with ann (1) and bob (2).
fn beside_a_track(text: &str) -> Result<Vec<u32>, String> {
    let names = [(1, "ann"), (2, "bob")].map(|(id, name)| (ObjectId(id), name.to_owned()));
    let known = KnownObjects::new(names.into());
    let set = super::parse(Path::new("p"), text.as_bytes(), &known);
    let set = set.map_err(|error| error.to_string())?;
    Ok(set.prompts().iter().map(|prompt| prompt.object.0).collect())
}

#[test]
fn names_are_those_of_a_track() {
    assert_eq!(beside_a_track("frame,object,x,y\n0,bob,1,2\n0,carl,1,2\n"), Ok(vec![2, 3]));
    assert_eq!(beside_a_track("frame,object,x,y\n0,2,1,2\n0,1,1,2\n"), Ok(vec![2, 1]));
    let json = |objects: &str, object: &str| {
        beside_a_track(&format!(
            r#"{{"version":1,{objects}"prompts":[{{"frame":0,"object":{object},"box":[0,0,2,2]}}]}}"#
        ))
    };
    assert_eq!(json("", r#""bob""#), Ok(vec![2]));
    assert_eq!(json(r#""objects":[{"id":3,"name":"carl"}],"#, r#""carl""#), Ok(vec![3]));
    let told = json(r#""objects":[{"id":1,"name":"bob"}],"#, r#""bob""#).unwrap_err();
    assert!(told.contains("'ann' and 'bob'"), "{told}");
    let told = json(r#""objects":[{"id":3,"name":"bob"}],"#, r#""bob""#).unwrap_err();
    assert!(told.contains("both object 2 and object 3"), "{told}");
    assert!(json("", r#""eve""#).unwrap_err().contains("'eve'"));
}

#[test]
fn numbers_stay_numbers_beside_names() {
    let set = parse("frame,object,x,y\n0,bob,1,2\n0,1,3,4\n0,7,5,6\n").unwrap();
    let objects: Vec<u32> = set.prompts().iter().map(|prompt| prompt.object.0).collect();
    assert_eq!(objects, [2, 1, 7]);
    assert_eq!(set.names().len(), 1);
    assert!(parse("frame,x,y,x,y\n0,1,2,3,4\n").unwrap_err().contains("'x' twice"));
}
