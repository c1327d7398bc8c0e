//! Weights: archives and safetensors files whose headers claim more than the file holds.

use super::watched::{Chance, bounded, crc32, mutants, refused};
use crate::support::{ON_THE_MOUSE, Workshop, asset};

/// Tries a file with every command that takes weights.
fn refused_everywhere(workshop: &Workshop, name: &str, told: &[&str]) {
    refused(workshop, name, &["inspect", name], told);
    refused(workshop, name, &["convert", name, "out.safetensors"], told);
    let segment = ["segment", "mouse.mkv", "-o", "m.btf", "--point", ON_THE_MOUSE, "--model", name];
    refused(workshop, name, &segment, told);
}

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(2, "mouse.mkv");
    workshop
}

/// An entry of a ZIP archive: its stored bytes, the method (8 = deflated), and the size that it
/// claims.
struct Entry<'a> {
    name: &'a str,
    stored: &'a [u8],
    method: u16,
    claimed: u32,
}

impl<'a> Entry<'a> {
    fn stored(name: &'a str, bytes: &'a [u8]) -> Self {
        Self { name, stored: bytes, method: 0, claimed: bytes.len() as u32 }
    }
}

fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for Entry { name, stored, method, claimed } in entries {
        let offset = bytes.len() as u32;
        let mut common: Vec<u8> =
            [20, 0, *method, 0, 0x21].iter().flat_map(|value: &u16| value.to_le_bytes()).collect();
        let crc = if *method == 0 { crc32(stored) } else { 0 };
        for value in [crc, stored.len() as u32, *claimed] {
            common.extend_from_slice(&value.to_le_bytes());
        }
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend_from_slice(&common);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(stored);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let start = bytes.len() as u32;
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        bytes.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    }
    bytes.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// Returns Deflate's shortest encoding of `count` times 258 equal bytes: fixed codes, a literal and
/// copies of it.
fn deflated(byte: u8, count: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false];
    let mut code = |value: u16, length: u32| {
        (0..length).rev().for_each(|bit| bits.push(value >> bit & 1 == 1));
    };
    match byte {
        0..144 => code(0x30 + u16::from(byte), 8),
        _ => code(0x190 + u16::from(byte) - 144, 9),
    }
    for _ in 0..count {
        // Length 258, distance one byte.
        code(0b1100_0101, 8);
        code(0, 5);
    }
    code(0, 7);
    let byte = |bits: &[bool]| {
        bits.iter()
            .enumerate()
            .map(|(at, &bit)| u8::from(bit) << at)
            .fold(0, |byte, bit| byte | bit)
    };
    bits.chunks(8).map(byte).collect()
}

#[test]
fn archives_that_claim_more_than_they_hold() {
    let workshop = workshop();
    for (name, why) in [("expand.pt", "claim"), ("share.pt", "compressed")] {
        let bytes = std::fs::read(asset("../tests/cases/faults").join(name)).unwrap();
        workshop.write(name, bytes);
        refused_everywhere(&workshop, name, &[name, why, "torch.save"]);
    }
    // 60 MB of opening marks, each of which takes a hundred bytes in memory.
    let marks = deflated(b'(', 230_000);
    let claimed = 1 + 258 * 230_000;
    let entry = Entry { name: "a/data.pkl", stored: &marks, method: 8, claimed };
    workshop.write("inflates.pt", zip(&[entry]));
    refused_everywhere(&workshop, "inflates.pt", &["inflates.pt", "compressed", "torch.save"]);
    let entry = Entry { name: "a/data/0", stored: &marks, method: 8, claimed: u32::MAX - 1 };
    let pickle = Entry::stored("a/data.pkl", b"\x80\x02}.");
    workshop.write("storage.pt", zip(&[pickle, entry]));
    refused_everywhere(&workshop, "storage.pt", &["storage.pt", "compressed"]);
    for (name, opcode) in [("marks.pt", b'('), ("dicts.pt", b'}'), ("tuples.pt", b')')] {
        let pickle = vec![opcode; 4_900_000];
        workshop.write(name, zip(&[Entry::stored("a/data.pkl", &pickle)]));
        refused_everywhere(&workshop, name, &[name, "pickle has 4900000 bytes"]);
        let pickle = vec![opcode; 2 << 20];
        workshop.write(name, zip(&[Entry::stored("a/data.pkl", &pickle)]));
        refused_everywhere(&workshop, name, &[name]);
    }
    // The same bytes under forty thousand names.
    let names: Vec<String> = (0..40_000).map(|number| format!("a/data/{number}")).collect();
    let entries: Vec<Entry<'_>> = names.iter().map(|name| Entry::stored(name, b"")).collect();
    workshop.write("names.pt", zip(&entries));
    refused_everywhere(&workshop, "names.pt", &["names.pt"]);
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn safetensors_whose_headers_are_large_or_lie() {
    let workshop = workshop();
    let tensor = |number: usize, shape: &str, start: usize, end: usize| {
        format!(
            "\"t{number}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{start},{end}]}}"
        )
    };
    let many: Vec<String> = (0..70_000).map(|number| tensor(number, "[0]", 0, 0)).collect();
    let sides = format!("[{}0]", "1,".repeat(2_000_000));
    let overlapping = [tensor(0, "[4]", 0, 16), tensor(1, "[4]", 8, 24)].join(",");
    let cases = [
        ("many.safetensors", many.join(","), 0),
        ("sides.safetensors", tensor(0, &sides, 0, 0), 0),
        ("overlapping.safetensors", overlapping, 24),
        ("huge.safetensors", tensor(0, "[4611686018427387904,4]", 0, 16), 16),
        ("offsets.safetensors", tensor(0, "[4]", 0, usize::MAX), 16),
        ("empty.safetensors", tensor(0, "[0,9223372036854775807]", 0, 0), 0),
        ("name.safetensors", format!("\"{}\":{{}}", "n".repeat(4_000_000)), 0),
        ("deep.safetensors", format!("\"a\":{}", "[".repeat(4_000_000)), 0),
        (
            "note.safetensors",
            format!("\"__metadata__\":{{\"a\":\"{}\"}}", "x".repeat(4_000_000)),
            0,
        ),
    ];
    for (name, header, data) in cases {
        workshop.write(name, safetensors(&format!("{{{header}}}"), data));
        refused_everywhere(&workshop, name, &[name]);
    }
    for (name, length) in [("claims.safetensors", 99_000_000_u64), ("more.safetensors", u64::MAX)] {
        workshop.write(name, [&length.to_le_bytes()[..], &[b'{'; 1000]].concat());
        refused_everywhere(&workshop, name, &[name]);
    }
}

#[test]
fn mutants_of_weights() {
    let workshop = workshop();
    for (file, head) in
        [("sam2.1_hiera_micro.pt", 60_000), ("sam2.1_hiera_micro.safetensors", 40_000)]
    {
        let bytes = std::fs::read(asset("micro").join(file)).unwrap();
        for seed in 0..mutants() {
            let about = format!("mutant {seed} of {file}");
            workshop.write(file, Chance::new(seed).mutate(&bytes, head));
            bounded(&workshop, &about, &["inspect", file]);
            let convert = ["convert", file, "out.safetensors", "--overwrite"];
            bounded(&workshop, &about, &convert);
        }
    }
}
