//! Prompts, mask images, job files and statistics.

use super::watched::{Chance, bounded, crc32, mutants, refused};
use crate::support::{ON_THE_MOUSE, Workshop, asset};

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    workshop
}

const SEGMENT: [&str; 5] = ["segment", "mouse.mkv", "-o", "m.btf", "--overwrite"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&SEGMENT[..], more].concat()
}

/// A valid prompt file with every kind of prompt.
const DOCUMENT: &str = r#"{
  "version": 1,
  "objects": [{"id": 1, "name": "resident"}, {"id": 2, "name": "intruder"}],
  "prompts": [
    {"frame": 0, "object": "resident", "points": [{"x": 122, "y": 40}, {"x": 10, "y": 10, "label": 0}]},
    {"frame": 1, "object": 2, "box": [100, 20, 140, 60]},
    {"frame": 0, "object": 2, "mask": "mask.png"}
  ]
}"#;

#[test]
fn prompt_files() {
    let workshop = workshop();
    let deep = "[".repeat(4_900_000);
    let document =
        |prompts: &str| format!("{{\"version\": 1, \"prompts\": [{prompts}]}}").into_bytes();
    let points = vec!["{\"x\":1,\"y\":1}"; 300_000].join(",");
    let on_frame = |frame: &str| {
        format!("{{\"frame\":{frame},\"object\":1,\"points\":[{{\"x\":1,\"y\":1}}]}}")
    };
    let far: Vec<String> = (2..80_000).map(|frame| on_frame(&frame.to_string())).collect();
    let rows = |row: &str, count: usize| {
        format!("frame,object,x,y\n{}", format!("{row}\n").repeat(count)).into_bytes()
    };
    let tags = format!("<annotations>{}", "<a>".repeat(1_600_000)).into_bytes();
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("deep.json", document(&deep), "deep.json"),
        (
            "points.json",
            document(&format!("{{\"frame\":0,\"points\":[{points}]}}")),
            "300000 points",
        ),
        ("far.json", document(&far.join(",")), "frame 2 does not exist"),
        ("frame.json", document(&on_frame("9999999999999999999")), "does not exist"),
        ("digits.json", document(&on_frame(&"9".repeat(4_900_000))), "digits.json"),
        ("field.json", document(&format!("{{\"{}\":1}}", "f".repeat(4_900_000))), "field.json"),
        ("braces.json", "{\"a\":".repeat(900_000).into_bytes(), "braces.json"),
        ("rows.csv", rows("0,1,5,5", 600_000), "600000 points"),
        ("names.csv", rows("0,,5,5", 1), "m.btf"),
        ("columns.csv", ",".repeat(4_900_000).into_bytes(), "columns.csv"),
        ("cell.csv", rows(&format!("0,{},5,5", "n".repeat(4_900_000)), 1), "cell.csv"),
        ("quoted.csv", rows(&format!("0,1,5,\"{}", "5".repeat(4_900_000)), 1), "quoted.csv"),
        ("tags.xml", tags, "tags.xml"),
        ("odd.csv", [b"\xff\xfe".as_slice(), &[b'f'; 4_900_001]].concat(), "odd.csv"),
    ];
    for (name, bytes, told) in cases {
        assert!(bytes.len() < 5 << 20, "{name}");
        workshop.write(name, bytes);
        let outcome = bounded(&workshop, name, &with(&["--prompts", name]));
        assert!(
            outcome.stderr.contains(told) || outcome.code == Some(0),
            "{name}: {}",
            outcome.stderr
        );
    }
    workshop.write("mask.png", png(192, 144, 8, 0, &[255; 144 * 193]));
    for seed in 0..mutants() {
        let bytes = Chance::new(seed).mutate(DOCUMENT.as_bytes(), DOCUMENT.len());
        workshop.write("mutant.json", bytes);
        let prompts = with(&["--prompts", "mutant.json"]);
        bounded(&workshop, &format!("mutant {seed} of a prompt file"), &prompts);
    }
}

/// Returns a PNG file of these bytes, which are rows with their filter type; a few kilobytes can
/// represent huge images.
fn png(width: u32, height: u32, depth: u8, colour: u8, rows: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], content: &[u8]| {
        bytes.extend_from_slice(&(content.len() as u32).to_be_bytes());
        let part = [&kind[..], content].concat();
        bytes.extend_from_slice(&part);
        bytes.extend_from_slice(&crc32(&part).to_be_bytes());
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(b"IHDR", &[&size[..], &[depth, colour, 0, 0, 0]].concat());
    chunk(b"IDAT", &zlib_stored(rows));
    chunk(b"IEND", b"");
    bytes
}

/// Encodes zlib data without compression.
fn zlib_stored(bytes: &[u8]) -> Vec<u8> {
    let mut stored = vec![0x78, 1];
    let pieces = bytes.chunks(0xffff).count();
    for (number, piece) in bytes.chunks(0xffff).enumerate() {
        let length = piece.len() as u16;
        stored.push(u8::from(number + 1 == pieces));
        stored.extend_from_slice(&length.to_le_bytes());
        stored.extend_from_slice(&(!length).to_le_bytes());
        stored.extend_from_slice(piece);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    stored.extend_from_slice(&(b << 16 | a).to_be_bytes());
    stored
}

/// Writes an image of zeros, compressed as the `png` crate does it.
fn zeros(workshop: &Workshop, name: &str, side: u32, colour: png::ColorType, depth: png::BitDepth) {
    let file = std::fs::File::create(workshop.path(name)).unwrap();
    let mut encoder = png::Encoder::new(file, side, side);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder.set_compression(png::Compression::Fastest);
    let mut writer = encoder.write_header().unwrap();
    let line = vec![0; side as usize * colour.samples() * (depth as usize).div_ceil(8)];
    let mut stream = writer.stream_writer().unwrap();
    for _ in 0..side {
        std::io::Write::write_all(&mut stream, &line).unwrap();
    }
    stream.finish().unwrap();
    drop(writer);
    assert!(std::fs::metadata(workshop.path(name)).unwrap().len() < 5 << 20, "{name}");
}

/// Returns a TIFF file of one strip that claims this size.
fn tiff(width: u32, height: u32, bits: u16, samples: u16, compression: u16) -> Vec<u8> {
    let entries: [(u16, u16, u32); 9] = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, u32::from(bits)),
        (259, 3, u32::from(compression)),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, u32::from(samples)),
        (278, 4, height),
        (279, 4, u32::MAX),
    ];
    let mut bytes = b"II\x2a\0\x08\0\0\0".to_vec();
    bytes.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

#[test]
fn mask_images() {
    let workshop = workshop();
    let hostile = std::fs::read(asset("../tests/cases/faults/hostile-m1.png")).unwrap();
    workshop.write("hostile.png", hostile);
    zeros(&workshop, "grey.png", 8192, png::ColorType::Grayscale, png::BitDepth::Eight);
    zeros(&workshop, "colour.png", 8192, png::ColorType::Rgba, png::BitDepth::Eight);
    workshop.write("claims.png", png(60_000, 60_000, 8, 0, &[0; 100]));
    workshop.write("wide.png", png(u32::MAX >> 1, 1, 1, 0, &[0; 100]));
    for (name, compression) in
        [("none.tif", 1), ("lzw.tif", 5), ("deflate.tif", 8), ("bits.tif", 32773)]
    {
        workshop.write(name, tiff(8192, 8192, 16, 4, compression));
        let mask = format!("0:{name}");
        refused(&workshop, name, &[&SEGMENT[..], &["--mask", &mask]].concat(), &[name]);
    }
    workshop.write("tall.tif", tiff(1, u32::MAX, 8, 1, 1));
    for name in ["hostile.png", "grey.png", "colour.png", "claims.png", "wide.png", "tall.tif"] {
        let mask = format!("0:{name}");
        refused(&workshop, name, &[&SEGMENT[..], &["--mask", &mask]].concat(), &["mask"]);
    }
    let mut rows = vec![0; 144 * 193];
    rows[50 * 193 + 60..50 * 193 + 90].fill(255);
    let image = png(192, 144, 8, 0, &rows);
    workshop.sam2(&with(&["--point", ON_THE_MOUSE])).succeeded();
    let stack = workshop.read("m.btf");
    for seed in 0..mutants() {
        workshop.write("mutant.png", Chance::new(seed).mutate(&image, 100));
        workshop.write("mutant.tif", Chance::new(seed).mutate(&stack, stack.len()));
        for name in ["0:mutant.png", "0:mutant.tif"] {
            let about = format!("mutant {seed}: {name}");
            bounded(&workshop, &about, &[&SEGMENT[..], &["--mask", name]].concat());
        }
    }
}

#[test]
fn job_files_settings_and_statistics() {
    let workshop = workshop();
    let deep = format!("a = {}", "[".repeat(4_900_000));
    let recordings = "[[recording]]\npath = \"no.mkv\"\n".repeat(100_000);
    let cases = [
        ("deep.toml", deep.clone()),
        ("tables.toml", "[a.a]\n".repeat(500_000)),
        ("dots.toml", format!("{}a = 1", "a.".repeat(2_400_000))),
        ("text.toml", format!("path = \"{}\"", "p".repeat(4_900_000))),
        ("many.toml", recordings),
    ];
    for (name, text) in cases {
        workshop.write(name, text);
        refused(&workshop, name, &["segment", "--job", name, "-o", "{stem}.btf"], &["error"]);
    }
    workshop.folder("tmp/sam2");
    for text in [&deep, &"[a]\n".repeat(1_000_000)] {
        workshop.write("tmp/sam2/config.toml", text);
        bounded(&workshop, "settings", &["config"]);
    }
    std::fs::remove_file(workshop.path("tmp/sam2/config.toml")).unwrap();
    workshop.sam2(&with(&["-o", "m.sam2run", "--point", ON_THE_MOUSE])).succeeded();
    for (name, text) in
        [("deep.json", "[".repeat(4_900_000)), ("braces.json", "{\"a\":".repeat(900_000))]
    {
        workshop.write(name, text);
        refused(
            &workshop,
            name,
            &["report", "m.sam2run", "--stats", name, "-o", "p.html"],
            &[name],
        );
    }
    // The record next to the outputs.
    for text in [deep, format!("{{\"format_version\":1,\"run\":{}", "{\"a\":".repeat(900_000))] {
        workshop.write(".m.btf.sam2job", text);
        let all = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE, "--resume"];
        refused(&workshop, "a record", &all, &["m.btf"]);
    }
}
