//! Digests for comparing jobs, prompts and recordings.

use sam2_model::hexadecimal;
use sha2::{Digest, Sha256};

/// Returns the SHA-256 of a text, in hexadecimal.
pub(super) fn sha256(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

/// Shortens a digest to a length that can be compared by eye.
pub(super) fn short(hex: &str) -> String {
    hex.chars().take(16).collect()
}
