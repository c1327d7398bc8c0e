//! Text from outside, such as file names and metadata, made safe to print.
//!
//! A file name may hold escape sequences that recolour or rewrite a terminal, or line breaks that forge log lines.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns the text with escapes in place of every character that would move the cursor, end the
/// line or change the direction of text.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => spelled.push_str("\\n"),
            '\r' => spelled.push_str("\\r"),
            '\t' => spelled.push_str("\\t"),
            active if is_active(active) => {
                // Writing to a string cannot fail.
                let _ = write!(spelled, "\\u{{{:x}}}", active as u32);
            }
            other => spelled.push(other),
        }
    }
    Cow::Owned(spelled)
}

/// Maximum number of characters shown of an error.
pub const ERROR_LENGTH: usize = 1500;
/// Maximum number of characters shown of a log line. Lists of prompted frames can be long.
pub const LOG_LENGTH: usize = 8000;

/// Returns [`plain`] text of about `most` characters at most. The middle of a longer text is
/// replaced by a note that says how much is left out: a file can hold names of megabytes.
pub fn plain_line(text: &str, most: usize) -> Cow<'_, str> {
    let count = if text.len() <= most { 0 } else { text.chars().count() };
    if count <= most {
        return plain(text);
    }
    let (first, last) = (most * 3 / 4, most / 4);
    let start: String = text.chars().take(first).collect();
    let end: String = text.chars().skip(count - last).collect();
    let left_out = count - first - last;
    Cow::Owned(format!("{} ... ({left_out} characters) ... {}", plain(&start), plain(&end)))
}

/// Control characters, line and paragraph separators, and marks that reverse the direction of text.
fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_characters_are_spelled_out_and_nothing_else_changes() {
        assert!(matches!(plain("mouse_größe 鼠.avi"), Cow::Borrowed(_)));
        assert_eq!(plain("a\x1b[31mb\nINFO: forged\r"), "a\\u{1b}[31mb\\nINFO: forged\\r");
        assert_eq!(plain("gpj\u{202e}.exe\u{9b}"), "gpj\\u{202e}.exe\\u{9b}");
    }

    #[test]
    fn of_long_text_the_ends_are_shown() {
        assert!(matches!(plain_line("mouse.avi", 9), Cow::Borrowed("mouse.avi")));
        assert_eq!(plain_line("größe", 5), "größe");
        assert_eq!(plain_line("abcdefghijkl\n", 8), "abcdef ... (5 characters) ... l\\n");
    }
}
