//! Small files that claim to be large: they are read or refused with little time and memory.

use std::time::Instant;

use crate::support::{Outcome, Workshop};

/// Kilobytes of memory that a process may use for its data.
const ROOM: usize = 500_000;

/// Runs `sam2` with that memory. If it is ended by a signal, as after a failed allocation, there is
/// no exit code or one above 127.
fn run(workshop: &Workshop, arguments: &str) -> Outcome {
    let started = Instant::now();
    let outcome = workshop
        .shell(&format!("ulimit -d {ROOM}; export RAYON_NUM_THREADS=2; exec SAM2 {arguments}"));
    outcome.did_not_panic();
    let code = outcome.code.unwrap_or(255);
    assert!([0, 1, 3].contains(&code), "{arguments}: {code}, {}", outcome.stderr);
    let took = started.elapsed().as_secs_f64();
    // Two seconds on an otherwise idle machine.
    assert!(took < 6.0, "{arguments} took {took:.1} s");
    outcome
}

/// Returns a little-endian TIFF with one page of one strip and this description.
fn tiff(description: &str, (width, height): (u32, u32), pixels: &[u8]) -> Vec<u8> {
    let text = 8 + pixels.len() as u32;
    let directory = text + description.len() as u32 + 1;
    let directory = directory + directory % 2;
    let entries: [(u16, u16, u32, u32); 9] = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (270, 2, description.len() as u32 + 1, text),
        (273, 4, 1, 8),
        (278, 4, 1, height),
        (279, 4, 1, width * height),
    ];
    let mut bytes = b"II*\0".to_vec();
    bytes.extend(directory.to_le_bytes());
    bytes.extend(pixels);
    bytes.extend(description.as_bytes());
    bytes.resize(directory as usize, 0);
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

/// Returns OME-XML of one image with these sizes and these `TiffData`.
fn ome(times: u64, data: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\" UUID=\"urn:uuid:a\"><Image \
         ID=\"Image:0\"><Pixels ID=\"Pixels:0\" DimensionOrder=\"XYCZT\" Type=\"uint8\" SizeX=\"8\" SizeY=\"8\" SizeC=\"1\" SizeZ=\"1\" \
         SizeT=\"{times}\"><Channel ID=\"c\"/>{data}</Pixels></Image></OME>"
    )
}

fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\0"[..], &length, header.as_bytes(), data].concat()
}

fn ndtiff_entry(axes: &str) -> Vec<u8> {
    let mut bytes = (axes.len() as u32).to_le_bytes().to_vec();
    bytes.extend(axes.as_bytes());
    bytes.extend(11u32.to_le_bytes());
    bytes.extend(b"NDTiffStack");
    for number in [8u32, 8, 8, 0, 0, 8, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

#[test]
fn pages_that_are_not_there_take_no_memory() {
    let workshop = Workshop::new();
    let pixels = [7; 64];
    let image_j = "ImageJ=1.53k\nimages=4000000000\nframes=4000000000\n";
    workshop.write("ome.tif", tiff(&ome(4_000_000_000, "<TiffData/>"), (8, 8), &pixels));
    let file = |name: &str, uuid: &str, attributes: &str| {
        format!(
            "<TiffData {attributes}><UUID FileName=\"{name}\">urn:uuid:{uuid}</UUID></TiffData>"
        )
    };
    let rest = "FirstT=\"1\" IFD=\"0\" PlaneCount=\"3999999\"";
    let other = file("ome_other.tif", "a", "IFD=\"0\"") + &file("OTHER.tif", "c", rest);
    workshop.write("ome_other.tif", tiff(&ome(4_000_000, &other), (8, 8), &pixels));
    let own = file("ome_own2.tif", "b", "IFD=\"0\"") + &file("ome_own.tif", "a", rest);
    workshop.write("ome_own.tif", tiff(&ome(4_000_000, &own), (8, 8), &pixels));
    workshop.write(
        "ome_own2.tif",
        tiff(
            &ome(4_000_000, &own).replace("UUID=\"urn:uuid:a\"", "UUID=\"urn:uuid:b\""),
            (8, 8),
            &pixels,
        ),
    );
    let one =
        |n: usize| file(&format!("{n}.tif"), &n.to_string(), &format!("FirstT=\"{n}\" IFD=\"0\""));
    let many: String = (0..40_000).map(one).collect();
    workshop.write("ome_many.tif", tiff(&ome(40_000, &many), (8, 8), &pixels));
    workshop.write("image_j.tif", tiff(image_j, (8, 8), &pixels));
    workshop.write("numpy.npy", npy("4000000000, 8, 8", &pixels));
    workshop.write("numpy_large.npy", npy("1, 4000000000, 4000000000", &pixels));
    workshop.write("numpy_huge.npy", npy("18446744073709551615, 18446744073709551615, 3", &pixels));
    for name in [
        "ome.tif",
        "ome_other.tif",
        "ome_own.tif",
        "ome_many.tif",
        "image_j.tif",
        "numpy.npy",
        "numpy_large.npy",
        "numpy_huge.npy",
    ] {
        for command in
            ["probe NAME", "probe NAME --verify", "segment NAME -o m.btf --point 0:2,2 --overwrite"]
        {
            run(&workshop, &command.replace("NAME", name));
        }
    }
    let outcome = run(&workshop, "probe image_j.tif --verify").ended(3);
    assert!(outcome.stdout.contains("claims 4000000000 pages"), "{}", outcome.stdout);
    let outcome = run(&workshop, "probe ome_other.tif").failed(1);
    assert!(outcome.error().contains("OTHER.tif"), "{}", outcome.stderr);
}

/// Files with holes can have any length without occupying disk space.
#[test]
fn files_with_holes_are_refused() {
    let workshop = Workshop::new();
    let grow = |name: &str, bytes: Vec<u8>, length: u64| {
        let path = workshop.write(name, bytes);
        std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    };
    let text = "ImageJ=1.53k\nimages=4000000000\nframes=2000000000\nchannels=2\n";
    // The pixels are at the end of the file.
    let mut bytes = tiff(text, (1, 1), &[7]);
    let end = bytes.len() as u32;
    let offset = bytes.len() - 4 - 3 * 12 + 8;
    bytes[offset..offset + 4].copy_from_slice(&end.to_le_bytes());
    grow("holes.tif", bytes, 4_100_000_000);
    grow("holes.npy", npy("4000000000, 1, 1", &[7]), 4_100_000_000);
    for name in ["holes.tif", "holes.npy"] {
        for command in ["probe NAME", "segment NAME -o m.btf --point 0:0,0"] {
            let outcome = run(&workshop, &command.replace("NAME", name)).failed(1);
            assert!(outcome.error().contains("save it in parts"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn pictures_and_indices_that_promise_much_are_refused() {
    let workshop = Workshop::new();
    workshop.folder("frames");
    // A header for 60000 x 60000 pixels with its checksum, and no pixels.
    let png = [
        &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0"[..],
        b"\x0f\xb0\xe2\x15",
        b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82",
    ]
    .concat();
    workshop.write("frames/0.png", &png);
    for command in ["probe frames", "probe frames/0.png", "segment frames -o m.btf --point 0:0,0"] {
        let outcome = run(&workshop, command).failed(1);
        assert!(outcome.error().contains("8192"), "{}", outcome.stderr);
    }
    let wide: String = (0..4000).map(|n| format!("\"a{n}\":{n},")).collect();
    let wide = ndtiff_entry(&format!("{{{}}}", wide.trim_end_matches(',')));
    let own = (0..40_000).flat_map(|n| ndtiff_entry(&format!("{{\"axis{n}\":{n}}}")));
    for (name, index) in [("wide", wide.repeat(80)), ("own", own.collect::<Vec<u8>>())] {
        workshop.folder(name);
        workshop.write(&format!("{name}/NDTiff.index"), index);
        workshop.write(&format!("{name}/NDTiffStack"), tiff("", (8, 8), &[7; 64]));
        run(&workshop, &format!("probe {name}"));
        run(&workshop, &format!("segment {name} -o m.btf --point 0:2,2 --overwrite"));
    }
}
