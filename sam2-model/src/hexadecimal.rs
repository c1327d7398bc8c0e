//! Digests as text.

use std::fmt::Write as _;

/// Returns the bytes in lower-case hexadecimal, two digits a byte.
///
/// Every digest that this project writes or compares, in files and in messages, has this form.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(hexadecimal(&[]), "");
        assert_eq!(hexadecimal(&[0, 10, 0x7f, 255]), "000a7fff");
    }
}
