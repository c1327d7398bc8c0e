//! What programs write about a whole stack into the description of its first page.

use miniserde::json::{Number, Object, Value};

use crate::axes::Table;

/// What is looked at of a description; the XML of large OME files goes on for megabytes, its head does not.
pub(super) const DESCRIPTION_BYTES: u64 = 1 << 20;

/// No recording has more pages; a file with one-pixel pages can claim more than a table should hold.
const MAX_TABLE: usize = 1 << 24;

/// What a description says about a stack.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Claims {
    /// The program that writes such descriptions.
    pub(super) program: &'static str,
    /// Pages; also those that follow the first without a directory of their own.
    pub(super) pages: u64,
    /// Axes and their sizes, the last one changing fastest; empty if unknown.
    pub(super) axes: Vec<(&'static str, u64)>,
}

impl Claims {
    /// What the description says, or `None` if it is of no known kind.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start();
        if text.starts_with("ImageJ=") {
            image_j(text)
        } else if text.starts_with('{') {
            shaped(text)
        } else if text.contains("<OME") {
            ome(text)
        } else {
            None
        }
    }

    /// The places of `pages` pages, if the claims fit that number.
    pub(super) fn table(&self, pages: usize) -> Option<Table> {
        let product = self.axes.iter().try_fold(1u64, |all, (_, size)| all.checked_mul(*size))?;
        let long = self.axes.iter().filter(|(_, size)| *size > 1).count();
        if product != pages as u64 || long < 2 || pages > MAX_TABLE {
            return None;
        }
        let sizes: Vec<_> = self.axes.iter().map(|&(name, size)| (name, size as usize)).collect();
        Some(Table::grid(&sizes))
    }
}

/// ImageJ: lines of `key=value`. Hyperstacks have the channel change fastest, then the slice, then the frame.
fn image_j(text: &str) -> Option<Claims> {
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .into_iter()
            .find(|(found, _)| *found == key)
            .and_then(|(_, value)| value.trim().parse().ok())
    };
    let size = |key| value(key).unwrap_or(1).max(1);
    Some(Claims {
        program: "ImageJ",
        pages: value("images").unwrap_or(1),
        axes: vec![("time", size("frames")), ("z", size("slices")), ("channel", size("channels"))],
    })
}

/// tifffile: `{"shape": [pages, ..., height, width(, samples)], ...}`.
fn shaped(text: &str) -> Option<Claims> {
    let json: Object = miniserde::json::from_str(text).ok()?;
    let Some(Value::Array(shape)) = json.get("shape") else { return None };
    let elements = shape.iter().try_fold(1u64, |all, size| match size {
        Value::Number(Number::U64(size)) => all.checked_mul(*size),
        _ => None,
    })?;
    // In samples, for now: how many of them make a page is known to the caller.
    Some(Claims { program: "tifffile", pages: elements, axes: Vec::new() })
}

/// OME-XML: sizes and their order are attributes of the first `Pixels` element.
fn ome(text: &str) -> Option<Claims> {
    let start = text.find("<Pixels ")?;
    let element = &text[start..start + text[start..].find('>')?];
    let attribute = |name: &str| {
        let value = element.split(&format!(" {name}=\"")).nth(1)?;
        value.split('"').next()
    };
    let size = |name| attribute(name).and_then(|value| value.parse().ok()).unwrap_or(1u64).max(1);
    let order = attribute("DimensionOrder").unwrap_or("XYCZT");
    // The order names the fastest axis first.
    let axes: Vec<_> = order
        .chars()
        .rev()
        .filter_map(|letter| match letter {
            'C' => Some(("channel", size("SizeC"))),
            'Z' => Some(("z", size("SizeZ"))),
            'T' => Some(("time", size("SizeT"))),
            _ => None,
        })
        .collect();
    let pages = axes.iter().try_fold(1u64, |all, (_, size)| all.checked_mul(*size))?;
    Some(Claims { program: "OME", pages, axes })
}

impl Claims {
    /// Whether the program writes pages without directories of their own.
    pub(super) fn can_lack_directories(&self) -> bool {
        matches!(self.program, "ImageJ" | "tifffile")
    }

    /// Whether [`Claims::pages`] counts samples rather than pages.
    pub(super) fn counts_samples(&self) -> bool {
        self.program == "tifffile"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_descriptions_are_understood() {
        let claims =
            Claims::parse("ImageJ=1.53k\nimages=12\nchannels=2\nslices=3\nframes=2\nunit=um\n")
                .unwrap();
        assert_eq!(
            (claims.pages, claims.axes.as_slice()),
            (12, [("time", 2), ("z", 3), ("channel", 2)].as_slice())
        );
        assert!(claims.table(12).is_some());
        assert!(claims.table(11).is_none());
        let claims = Claims::parse("{\"shape\": [5, 3, 4], \"truncated\": true}").unwrap();
        assert_eq!((claims.pages, claims.counts_samples()), (60, true));
        let xml = "<?xml version=\"1.0\"?><OME xmlns=\"x\"><Image ID=\"Image:0\"><Pixels ID=\"Pixels:0\" \
                   DimensionOrder=\"XYZCT\" Type=\"uint16\" SizeX=\"4\" SizeY=\"3\" SizeC=\"2\" SizeZ=\"5\" SizeT=\"7\">";
        let claims = Claims::parse(xml).unwrap();
        assert_eq!(
            (claims.pages, claims.axes.as_slice()),
            (70, [("time", 7), ("channel", 2), ("z", 5)].as_slice())
        );
    }

    #[test]
    fn other_descriptions_claim_nothing() {
        for text in [
            "",
            "a mouse",
            "{",
            "{\"shape\": 5}",
            "{\"shape\": [-1, 2]}",
            "{\"shape\": [18446744073709551615, 2]}",
            "<OME><Pixels",
            "<OME><Pixels SizeC=\"18446744073709551615\" SizeZ=\"2\" >",
        ] {
            assert_eq!(Claims::parse(text), None, "{text}");
        }
        assert_eq!(Claims::parse("ImageJ=\nimages=x").unwrap().pages, 1);
    }
}
