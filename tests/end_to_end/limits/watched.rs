//! Runs the program under limits, measures its memory use, and mutates files.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Outcome, Workshop};

/// Seconds of processor time after which the system kills the program. The bar is two seconds on a
/// reference machine; machines differ by a factor of three, and by more if other tests share their
/// cores.
const SECONDS: u32 = 8;
/// Limit on resident memory in bytes.
const MEMORY: u64 = 500 << 20;
/// Limit on the address space in kilobytes, enforced by the system. Libraries and thread stacks use
/// part of it.
const ADDRESS_SPACE: u64 = 2 << 20;

/// Runs `sam2` under the limits. It must exit by itself with one of its exit codes, and refuse in
/// one line of readable length.
pub fn bounded(workshop: &Workshop, about: &str, arguments: &[&str]) -> Outcome {
    let script =
        format!("ulimit -v {ADDRESS_SPACE}; ulimit -t {SECONDS}; ulimit -c 0; exec \"$0\" \"$@\"");
    let mut shell = Command::new("bash");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_sam2")]).args(arguments);
    let shell = workshop.prepare(&mut shell).env("RAYON_NUM_THREADS", "1");
    // Output goes to files, because a full pipe would block the program.
    let (out, told) = (workshop.path("tmp/stdout"), workshop.path("tmp/stderr"));
    shell.stdout(File::create(&out).unwrap()).stderr(File::create(&told).unwrap());
    let mut child = shell.env("MALLOC_ARENA_MAX", "1").spawn().unwrap();
    let (status, started) = (format!("/proc/{}/status", child.id()), Instant::now());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(resident_peak(&status));
        assert!(started.elapsed() < Duration::from_secs(60), "{about}: it hangs");
        std::thread::sleep(Duration::from_millis(2));
    }
    let text = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let code = child.wait().unwrap().code();
    let outcome = Outcome { code, stdout: text(out), stderr: text(told) };
    outcome.did_not_panic();
    let told = outcome.stderr.trim();
    // `None` means that the system killed the program, for exceeding the time or for lack of
    // memory.
    assert!(matches!(code, Some(0..=4)), "{about}: {code:?} {}", told.get(..2000).unwrap_or(told));
    assert!(peak < MEMORY, "{about}: {} MB", peak >> 20);
    let longest = told.lines().map(str::len).max().unwrap_or(0);
    assert!(longest < 10_000, "{about}: a line of {longest} bytes");
    outcome
}

/// Does the same for a file that must be refused, with a message that contains these words.
pub fn refused(workshop: &Workshop, about: &str, arguments: &[&str], told: &[&str]) {
    let outcome = bounded(workshop, about, arguments);
    assert_ne!(outcome.code, Some(0), "{about}: it is taken");
    for words in told {
        assert!(outcome.stderr.contains(words), "{about}: '{words}' is not in {}", outcome.stderr);
    }
}

/// Returns the peak resident memory of a process in bytes, as Linux measures it; 0 if the process
/// no longer exists.
fn resident_peak(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

/// Returns the number of mutants per file; `SAM2_MUTANTS` sets a larger one.
pub fn mutants() -> u64 {
    std::env::var("SAM2_MUTANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// A small random number generator, so that a mutant can be reproduced from its number.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    /// Returns a copy with a few changes, most of them in the first `head` bytes, which hold counts
    /// and sizes.
    pub fn mutate(&mut self, bytes: &[u8], head: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let reach = if self.below(4) > 0 { head.min(bytes.len()) } else { bytes.len() };
            let at = self.below(reach);
            let span = (1 + self.below(8)).min(bytes.len() - at);
            match self.below(6) {
                0 => bytes[at..at + span].fill(0),
                1 => bytes[at..at + span].fill(0xff),
                2 => drop(bytes.drain(at..at + span)),
                3 => {
                    let copy = bytes[at..at + span].to_vec();
                    bytes.splice(at..at, copy);
                }
                4 => bytes[at] = b"0123456789eE-[]{}\",:."[self.below(21)],
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
        bytes
    }
}

/// Computes the CRC-32 used by ZIP and run files.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
