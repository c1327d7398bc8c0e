//! Digests for comparing jobs, prompts and recordings.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Returns the SHA-256 of a text, in hexadecimal.
pub(super) fn sha256(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

/// Returns bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Shortens a digest to a length that can be compared by eye.
pub(super) fn short(hex: &str) -> String {
    hex.chars().take(16).collect()
}
