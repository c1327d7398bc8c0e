//! Converts text files of all countries and programs to UTF-8 with commas.
//!
//! Excel on a German or French Windows separates columns by semicolons and writes decimal commas.
//! LabVIEW, MATLAB and many microscopes separate by tabs. Excel's "Unicode text" and EthoVision's
//! exports are UTF-16. The file itself shows which it is, by a byte order mark and by its first
//! line.

use std::borrow::Cow;

/// Column separators. Of equally frequent ones the first wins, the comma before all others.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// Number of bytes that are searched for zeros if there is no byte order mark.
const SAMPLE: usize = 64;

/// Decodes a file, without its byte order mark, as UTF-8, as UTF-16, or else as Latin-1, in which
/// every byte is a letter.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Some(text) = bytes.strip_prefix(b"\xff\xfe") {
        return utf16(text, u16::from_le_bytes).into();
    }
    if let Some(text) = bytes.strip_prefix(b"\xfe\xff") {
        return utf16(text, u16::from_be_bytes).into();
    }
    // Without a mark, plain letters in UTF-16 still have a zero in every other byte.
    let sample = &bytes[..bytes.len().min(SAMPLE) & !1];
    let zeros = |at: usize| sample.iter().skip(at).step_by(2).all(|&byte| byte == 0);
    let letters = |at: usize| sample.iter().skip(at).step_by(2).all(|&byte| byte != 0);
    if sample.len() >= 4 && zeros(1) && letters(0) {
        return utf16(bytes, u16::from_le_bytes).into();
    }
    if sample.len() >= 4 && zeros(0) && letters(1) {
        return utf16(bytes, u16::from_be_bytes).into();
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        // The fallback is not lossy: two names with different letters must stay different.
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Converts a table to commas between columns and points in numbers. Every cell stays on its line.
/// Text that already has commas between its columns is unchanged.
pub(crate) fn with_commas(text: Cow<'_, str>) -> Cow<'_, str> {
    // Excel names the separator in a first line, `sep=;`.
    let (named, rest) = match text.strip_prefix("sep=") {
        Some(rest) => {
            let (name, rest) = rest.split_once('\n').unwrap_or((rest, ""));
            (name.trim_end_matches('\r').as_bytes().first().copied(), Some(rest))
        }
        None => (None, None),
    };
    let body = rest.unwrap_or(&text);
    let separator = named.filter(u8::is_ascii).unwrap_or_else(|| separator(body));
    if separator == b',' {
        // Every reader skips an empty line, and counts it.
        return match rest {
            Some(rest) => format!("\n{rest}").into(),
            None => text,
        };
    }
    let skipped = u64::from(rest.is_some());
    rewrite(body, separator, skipped).map_or(text.clone(), Cow::Owned)
}

/// Returns the separator of columns in the first line that is not empty.
fn separator(text: &str) -> u8 {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let mut counts = [0_usize; SEPARATORS.len()];
    let mut quoted = false;
    for byte in line.bytes() {
        quoted ^= byte == b'"';
        if let Some(at) = SEPARATORS.iter().position(|&known| known == byte && !quoted) {
            counts[at] += 1;
        }
    }
    let mut best = 0;
    for at in 1..counts.len() {
        if counts[at] > counts[best] {
            best = at;
        }
    }
    SEPARATORS[best]
}

/// Rewrites a table with commas. Returns `None` if the text is not a table.
fn rewrite(text: &str, separator: u8, skipped: u64) -> Option<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(text.as_bytes());
    let mut out = Vec::with_capacity(text.len());
    let (mut record, mut line) = (csv::StringRecord::new(), 1);
    let (mut target, mut counted) = (1 + skipped, 0);
    while reader.read_record(&mut record).ok()? {
        // The reader's own line number is unusable: it is that of the empty lines before a record.
        let start = record.position().map_or(counted, |position| position.byte() as usize);
        let before = text.get(counted..start).unwrap_or_default();
        let empty = text.get(start..).unwrap_or_default().bytes();
        let empty = empty.take_while(|byte| b"\r\n".contains(byte));
        let ends = before.bytes().chain(empty.clone()).filter(|&byte| byte == b'\n').count();
        target += ends as u64;
        counted = start + empty.count();
        // Writes the empty lines that the reader skips, so that messages give the right line
        // numbers.
        while line < target {
            out.push(b'\n');
            line += 1;
        }
        for (at, cell) in record.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let cell = with_point(cell);
            line += cell.bytes().filter(|&byte| byte == b'\n').count() as u64;
            // A row of one empty cell would be an empty line, which readers skip.
            if record.len() == 1 || cell.contains([',', '"', '\n', '\r']) {
                out.push(b'"');
                out.extend(cell.replace('"', "\"\"").bytes());
                out.push(b'"');
            } else {
                out.extend(cell.bytes());
            }
        }
        out.push(b'\n');
        line += 1;
    }
    String::from_utf8(out).ok()
}

/// Rewrites a number with a decimal comma. Returns anything else unchanged.
fn with_point(cell: &str) -> Cow<'_, str> {
    let text = cell.trim();
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = number.matches(',').count() == 1
        && number.bytes().any(|byte| byte.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit() || b",eE+-".contains(&byte));
    let with_point = || text.replacen(',', ".", 1);
    match is_number.then(with_point).filter(|text| text.parse::<f64>().is_ok()) {
        Some(number) => number.into(),
        None => cell.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn text_is_text_however_it_is_stored() {
        let text = "scorer,Mäuse\n1,2\n";
        let mut latin: Vec<u8> = text.bytes().collect();
        let at = text.find('ä').unwrap();
        latin.splice(at..at + 2, [0xe4]);
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            units(&format!("\u{feff}{text}"), u16::to_le_bytes),
            units(&format!("\u{feff}{text}"), u16::to_be_bytes),
            units(text, u16::to_le_bytes),
            units(text, u16::to_be_bytes),
            latin,
        ] {
            assert_eq!(decode(&bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn semicolons_tabs_and_decimal_commas_become_commas_and_points() {
        let read = |text: &str| with_commas(text.to_owned().into()).into_owned();
        assert_eq!(read("a,b\n1,2\n"), "a,b\n1,2\n");
        assert_eq!(read("a;b\n-1,5;\"x,y\"\n"), "a,b\n-1.5,\"x,y\"\n");
        assert_eq!(read("a\tb\r\n\r\n1,5e-3\t2.5\r\n"), "a,b\n\n1.5e-3,2.5\n");
        assert_eq!(read("sep=;\nframe;x\n3;1,5\n"), "\nframe,x\n3,1.5\n");
        // Names are not numbers, nor are groups of digits.
        assert_eq!(read("a;b\nc,d;1,2,3\n"), "a,b\n\"c,d\",\"1,2,3\"\n");
        // Separators in quotes do not count.
        assert_eq!(read("\"a;b;c\",d\n1,2\n"), "\"a;b;c\",d\n1,2\n");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = with_commas(decode(&bytes));
        }

        #[test]
        fn cells_stay_in_their_lines(rows in prop::collection::vec("[a-z]{0,3}(;[a-z\"\n]{0,3}){1,3}", 1..6)) {
            let text = rows.join("\n");
            let _ = with_commas(text.as_str().into());
        }
    }
}
