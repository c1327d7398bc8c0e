//! Escapes external text for the page: file names, body parts, parameters. Whatever they contain is
//! shown, never interpreted.

use std::fmt::{self, Display, Write};

/// Displays a text as HTML, for element contents and for attributes in double quotes.
pub(crate) struct Text<T>(pub T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                '\n' | '\t' => self.0.write_char(character)?,
                // Invisible characters, and those that change the text direction, are shown by
                // their code instead.
                c if c.is_control() || is_invisible(c) => write!(self.0, "\\u{{{:x}}}", c as u32)?,
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Returns a text whose every character is visible, for text that the script writes.
pub(crate) fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut visible, c| {
        if c.is_control() || is_invisible(c) {
            visible.push_str(&format!("\\u{{{:x}}}", c as u32));
        } else {
            visible.push(c);
        }
        visible
    })
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns JSON for a `<script>` element: the same value, without anything that HTML would
/// interpret.
pub(crate) fn json_in_html(value: &serde_json::Value) -> String {
    // In JSON, `<` can only occur inside strings, where the escape is equivalent.
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_becomes_text() {
        let hostile = "\"><script>alert('x')</script>&amp;\u{202e}\0";
        assert_eq!(
            Text(hostile).to_string(),
            "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;\\u{202e}\\u{0}"
        );
        let json = json_in_html(&serde_json::json!({"a</script>": "<!--"}));
        assert!(!json.contains('<'), "{json}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["a</script>"], "<!--");
    }

    proptest! {
        #[test]
        fn nothing_that_html_reacts_to_is_left(text in any::<String>()) {
            let escaped = Text(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'', '\0']));
        }
    }
}
