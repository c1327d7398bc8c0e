//! Insufficient memory is reported before the work begins, with the option to lower.

use crate::support::{ON_THE_MOUSE, Workshop};

/// Writes a NumPy array of 5000 grey frames of 8192 x 8192 pixels that takes no disk space, because
/// all of it is a hole.
fn endless(workshop: &Workshop) {
    let mut header =
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5000, 8192, 8192), }".to_owned();
    while !(header.len() + 11).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    let file = std::fs::File::create(workshop.write("endless.npy", &bytes)).unwrap();
    file.set_len(bytes.len() as u64 + 5000 * 8192 * 8192).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
}

#[test]
fn a_cache_or_a_batch_that_cannot_fit_is_refused_before_anything_is_computed() {
    let workshop = Workshop::new();
    endless(&workshop);
    let all = ["segment", "endless.npy", "-o", "masks.btf", "--point", "0:100,100"];
    // A terabyte of RGB. Frames are kept at full size unless they are squashed.
    for (how, told) in [
        (&["--cache-frames", "5000"][..], "1006.6 GB for the cache of 5000 frames"),
        (
            &["--frames-mode", "memory", "--letterbox", "--cache-frames", "1"],
            "1006.6 GB for the 5000 frames of a batch",
        ),
    ] {
        let outcome = workshop.sam2(&[&all[..], how].concat()).failed(1);
        for part in ["this job needs at least", "the machine has", told, "; use "] {
            assert!(outcome.error().contains(part), "'{part}' is missing in {}", outcome.stderr);
        }
        assert!(!workshop.path("masks.btf.sam2run.part").exists());
    }
}

#[test]
fn what_cannot_fit_is_told_of_all_recordings_before_the_first_is_begun() {
    let workshop = Workshop::new();
    endless(&workshop);
    workshop.mouse(2, "a.mkv");
    let all = ["segment", "a.mkv", "endless.npy", "-o", "{stem}.btf", "--point", ON_THE_MOUSE];
    let outcome = workshop.sam2(&[&all[..], &["--cache-frames", "5000"]].concat()).failed(4);
    for part in ["endless.npy: this job needs at least", "cache of 5000 frames"] {
        assert!(outcome.error().contains(part), "{}", outcome.stderr);
    }
    let place = |text: &str| outcome.stderr.find(text).unwrap_or(usize::MAX);
    assert!(place("error:") < place("recording 1 of 2"), "{}", outcome.stderr);
    assert!(workshop.path("a.btf").exists());
}
