//! Run files, journals and checkpoints: damaged ones, and ones with valid checksums but impossible
//! claims.

#[cfg(feature = "faults")]
use super::watched::refused;
use super::watched::{Chance, bounded, crc32, mutants};
use crate::support::{ON_THE_MOUSE, Workshop};

/// Number of bytes before the first record.
const MAGIC: usize = 8;
/// Number of bytes of a record before its contents.
const HEAD: usize = 13;

/// Returns the records of a run file: kind and contents.
fn records(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut found, mut at) = (Vec::new(), MAGIC);
    while at + HEAD <= bytes.len() {
        let length = u64::from_le_bytes(bytes[at + 1..at + 9].try_into().unwrap()) as usize;
        found.push((bytes[at], bytes[at + HEAD..at + HEAD + length].to_vec()));
        at += HEAD + length;
    }
    found
}

/// Returns a run file of these records, with valid checksums.
fn run_file(records: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"SAM2RUN\n".to_vec();
    for (kind, contents) in records {
        let length = (contents.len() as u64).to_le_bytes();
        let checksum = crc32(&[&[*kind][..], &length, contents].concat());
        bytes.push(*kind);
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(contents);
    }
    bytes
}

/// Makes a workshop with a finished run, `run.sam2run`.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.mouse(3, "mouse.mkv");
    let all = ["segment", "mouse.mkv", "-o", "run.sam2run", "--point", ON_THE_MOUSE];
    workshop.sam2(&all).succeeded();
    workshop
}

fn merge_and_report(workshop: &Workshop, about: &str, name: &str) {
    let merge = ["merge", name, "-o", "m.btf", "-o", "m.csv", "--overwrite"];
    bounded(workshop, about, &merge);
    bounded(workshop, about, &["report", name, "-o", "page.html", "--overwrite"]);
}

#[test]
fn run_files() {
    let workshop = workshop();
    let whole = workshop.read("run.sam2run");
    assert!(run_file(&records(&whole)) == whole);
    let (head, rest) = (records(&whole)[0].1.clone(), records(&whole)[1..].to_vec());
    let head = String::from_utf8(head).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(head.contains(from), "{from} in {head}");
        let head = (0, head.replace(from, to).into_bytes());
        run_file(&[&[head][..], &rest].concat())
    };
    let frames = "\"frames\":{\"start\":0,\"end\":3}";
    let names = format!("\"recording\":\"{}\",\"width\"", "n".repeat(4_900_000));
    let cases = [
        ("count", replaced("\"frame_count\":3", "\"frame_count\":999999999999999999")),
        ("frames", {
            let all = "\"frames\":{\"start\":0,\"end\":999999999999999999}";
            let head = head.replace("\"frame_count\":3", "\"frame_count\":999999999999999999");
            run_file(&[&[(0, head.replace(frames, all).into_bytes())][..], &rest].concat())
        }),
        ("size", replaced("\"width\":192,\"height\":144", "\"width\":16384,\"height\":16384")),
        ("most", replaced("\"width\":192,\"height\":144", "\"width\":4294967295,\"height\":1")),
        ("name", {
            let at = head.find("\"recording\":\"mouse.mkv\"").unwrap();
            let end = head.find("\"width\"").unwrap();
            let text = format!("{}{names}{}", &head[..at], &head[end + 7..]);
            run_file(&[&[(0, text.into_bytes())][..], &rest].concat())
        }),
        ("deep", run_file(&[(0, "{\"a\":".repeat(900_000).into_bytes())])),
        (
            "empty frames",
            run_file(
                &[&[(0, head.clone().into_bytes())][..], &vec![(1, vec![]); 300_000]].concat(),
            ),
        ),
        ("objects", {
            // A frame that claims the largest possible number of objects.
            let frame = [&[0, 0][..], &[0xff; 9], &[1]].concat();
            run_file(&[(0, head.clone().into_bytes()), (1, frame)])
        }),
        ("runs", {
            let frame = [&[0, 0, 1, 1, 0][..], &[0xff; 9], &[1]].concat();
            run_file(&[(0, head.clone().into_bytes()), (1, frame)])
        }),
    ];
    for (name, bytes) in cases {
        assert!(bytes.len() < 5 << 20, "{name}");
        workshop.write("claims.sam2run", bytes);
        merge_and_report(&workshop, name, "claims.sam2run");
    }
    for seed in 0..mutants() {
        let mut chance = Chance::new(seed);
        let mut changed = records(&whole);
        let which = chance.below(changed.len());
        let length = changed[which].1.len();
        changed[which].1 = chance.mutate(&changed[which].1, length);
        workshop.write("mutant.sam2run", run_file(&changed));
        merge_and_report(&workshop, &format!("mutant {seed} of a run file"), "mutant.sam2run");
        workshop.write("mutant.sam2run", chance.mutate(&whole, whole.len()));
        merge_and_report(&workshop, &format!("damaged run file {seed}"), "mutant.sam2run");
    }
}

/// A job that stopped at its second checkpoint, and how it is resumed.
#[cfg(feature = "faults")]
mod interrupted {
    use super::*;

    const JOB: [&str; 8] = [
        "segment",
        "mouse.mkv",
        "-o",
        "m.btf",
        "--point",
        ON_THE_MOUSE,
        "--checkpoint-frames",
        "2",
    ];
    const JOURNAL: &str = "m.btf.sam2run.part";
    const SESSION: &str = "m.btf.sam2run.part.session";

    fn workshop() -> Workshop {
        let workshop = Workshop::new();
        workshop.mouse(6, "mouse.mkv");
        let killed = workshop.sam2_where(&[("SAM2_FAULT", "checkpoint saved:2")], &JOB);
        assert_eq!(killed.code, None, "{}", killed.stderr);
        workshop
    }

    fn resume(workshop: &Workshop, about: &str) {
        for name in ["m.btf", ".m.btf.sam2job"] {
            let _ = std::fs::remove_file(workshop.path(name));
        }
        bounded(workshop, about, &[&JOB[..], &["--resume"]].concat());
    }

    #[test]
    fn journals_and_checkpoints() {
        let workshop = workshop();
        let (journal, session) = (workshop.read(JOURNAL), workshop.read(SESSION));
        resume(&workshop, "as it was");
        let expected = workshop.read("m.btf");
        let length = u64::from_le_bytes(session[..8].try_into().unwrap()) as usize;
        for seed in 0..mutants() {
            let mut chance = Chance::new(seed);
            let mut changed = records(&journal);
            let which = chance.below(changed.len());
            let end = changed[which].1.len();
            changed[which].1 = chance.mutate(&changed[which].1, end);
            workshop.write(JOURNAL, run_file(&changed));
            workshop.write(SESSION, &session);
            resume(&workshop, &format!("mutant {seed} of a journal"));

            workshop.write(JOURNAL, &journal);
            workshop.write(SESSION, chance.mutate(&session, length + 8));
            resume(&workshop, &format!("mutant {seed} of a checkpoint"));
            // A checkpoint that is rejected costs time but changes nothing.
            assert!(workshop.read("m.btf") == expected, "checkpoint {seed}: other masks");
        }
        let claims =
            [&(4_900_000_u64).to_le_bytes()[..], "{\"a\":".repeat(980_000).as_bytes()].concat();
        for (about, bytes) in [
            ("a checkpoint of brackets", claims),
            ("a checkpoint of nothing", vec![0xff; 4_900_000]),
        ] {
            workshop.write(JOURNAL, &journal);
            workshop.write(SESSION, bytes);
            resume(&workshop, about);
            assert!(workshop.read("m.btf") == expected, "{about}: other masks");
        }
        let deep = run_file(&[(0, "[".repeat(4_900_000).into_bytes())]);
        for name in ["m.btf", ".m.btf.sam2job"] {
            let _ = std::fs::remove_file(workshop.path(name));
        }
        workshop.write(JOURNAL, deep);
        refused(
            &workshop,
            "a journal of brackets",
            &[&JOB[..], &["--resume"]].concat(),
            &[JOURNAL],
        );
    }
}
