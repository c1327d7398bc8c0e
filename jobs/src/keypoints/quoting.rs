//! Quotes names from files for messages.

/// Returns a cell in a form for a one-line message: escaped and short.
pub(super) fn quote(cell: &str) -> String {
    const LONGEST: usize = 24;
    quote_start(cell, LONGEST)
}

/// Returns a path or file name in a form for a message.
pub(super) fn quote_path(path: &str) -> String {
    const LONGEST: usize = 80;
    quote_start(path, LONGEST)
}

fn quote_start(text: &str, longest: usize) -> String {
    let letters = text.chars().take(longest);
    let mut shown: String = letters.flat_map(char::escape_debug).filter(|c| *c != '\0').collect();
    if text.chars().nth(longest).is_some() {
        shown.push_str("...");
    }
    format!("'{shown}'")
}
