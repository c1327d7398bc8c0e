//! Information about a whole stack that programs write into the first page: in the description, or
//! in their own tags.

use miniserde::json::{Number, Object, Value};

use super::directory::{Directory, Order, Tiff, tag};
use super::error::TiffError;
use super::scan_image::ScanImage;
use crate::axes::{Coordinate, Table};

/// Number of bytes of a description to read. The XML of large OME files has megabytes, but its
/// start suffices.
pub(super) const DESCRIPTION_BYTES: u64 = 1 << 20;

/// No recording has more pages. A file with one-pixel pages can claim more than a table should
/// hold.
pub(super) const MAX_TABLE: usize = 1 << 23;

/// Claims of a description about a stack.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Claims {
    /// The program that writes such descriptions.
    pub(super) program: &'static str,
    /// Number of pages, including those that follow the first without their own directory.
    pub(super) pages: u64,
    /// Axes and their sizes, the last one changing fastest; empty if unknown.
    pub(super) axes: Vec<(&'static str, u64)>,
    /// Axes that do not form a full grid.
    pub(super) order: Option<PageOrder>,
}

/// The positions of the pages, if they do not form a full grid.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageOrder {
    ScanImage(ScanImage),
    /// The wavelength of each plane of MetaMorph, as a fraction.
    Wavelengths(Vec<(u64, u64)>),
    /// The sizes of a tifffile array, the last one changing fastest, and the letters of its axes if
    /// given. The first sizes are those of the pages.
    Shape(Vec<u64>, Option<String>),
}

impl PageOrder {
    fn table(&self, pages: usize) -> Option<Table> {
        match self {
            Self::ScanImage(scan_image) => scan_image.table(pages),
            Self::Wavelengths(planes) => wavelengths(planes.get(..pages)?),
            Self::Shape(sizes, letters) => shape(sizes, letters.as_deref(), pages),
        }
    }
}

impl Claims {
    /// Returns what the first page says about the file.
    pub(super) fn find(tiff: &Tiff, directory: &Directory<'_>) -> Result<Option<Self>, TiffError> {
        if directory.count(tag::UIC2) > 0 {
            return meta_morph(directory).map(Some);
        }
        if directory.count(tag::LSM) > 0
            && let Some(claims) = zeiss(tiff.order, &directory.bytes(tag::LSM, 28)?)
        {
            return Ok(Some(claims));
        }
        let text = directory.text(tag::DESCRIPTION, DESCRIPTION_BYTES);
        let claims = Self::parse(&text);
        if claims.as_ref().is_some_and(|claims| !claims.counts_samples()) {
            return Ok(claims);
        }
        let software = directory.text(tag::SOFTWARE, DESCRIPTION_BYTES);
        let ahead = ahead_of_directories(tiff).unwrap_or_default();
        let scan_image = [ahead, software, text].iter().find_map(|text| ScanImage::parse(text));
        Ok(scan_image.map(Self::scan_image).or(claims))
    }

    fn scan_image(scan_image: ScanImage) -> Self {
        let order = Some(PageOrder::ScanImage(scan_image));
        Self { program: "ScanImage", order, ..Self::default() }
    }

    /// Returns the content of the description, or `None` if its kind is unknown.
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

    /// Returns, for a warning, what is not a frame of the recording.
    pub(super) fn left_out(&self) -> Option<String> {
        match &self.order {
            Some(PageOrder::ScanImage(scan_image)) => scan_image.left_out(),
            _ => None,
        }
    }

    /// Returns the positions of `pages` pages, if the claims fit that number.
    pub(super) fn table(&self, pages: usize) -> Option<Table> {
        if let Some(order) = &self.order {
            return order.table(Some(pages).filter(|&pages| pages <= MAX_TABLE)?);
        }
        let product = self.axes.iter().try_fold(1u64, |all, (_, size)| all.checked_mul(*size))?;
        let long = self.axes.iter().filter(|(_, size)| *size > 1).count();
        if product != pages as u64 || long < 2 || pages > MAX_TABLE {
            return None;
        }
        let sizes: Vec<_> = self.axes.iter().map(|&(name, size)| (name, size as usize)).collect();
        Some(Table::grid(&sizes))
    }
}

/// MetaMorph: the planes of a stack follow a single directory.
const META_MORPH: &str = "MetaMorph";

/// Reads MetaMorph's tags: UIC2 has one entry for each plane, and UIC3 the wavelength of each.
fn meta_morph(directory: &Directory<'_>) -> Result<Claims, TiffError> {
    let pages = directory.count(tag::UIC2);
    let wavelengths = directory.fractions(tag::UIC3, pages.min(MAX_TABLE as u64))?;
    let changes = wavelengths.windows(2).any(|pair| pair[0] != pair[1]);
    let order = changes.then_some(PageOrder::Wavelengths(wavelengths));
    Ok(Claims { program: META_MORPH, pages, axes: Vec::new(), order })
}

/// Returns the positions of planes of several wavelengths: the n-th plane of a wavelength is its
/// n-th time point.
fn wavelengths(planes: &[(u64, u64)]) -> Option<Table> {
    let mut table = Table::default();
    let mut known: Vec<((u64, u64), i64)> = Vec::new();
    for &wavelength in planes {
        let at = known.iter().position(|(other, _)| *other == wavelength).unwrap_or_else(|| {
            known.push((wavelength, 0));
            known.len() - 1
        });
        let time = known[at].1;
        known[at].1 += 1;
        table
            .push([("time", Coordinate::Number(time)), ("channel", Coordinate::Number(at as i64))]);
    }
    // If all wavelengths differ, they are those of a spectrum or meaningless, not channels.
    (known.len() * 2 <= planes.len()).then_some(table)
}

/// Reads the sizes of a Zeiss LSM from its structure, after a magic number and a length: width,
/// height, slices, channels, times. Channels are the samples of a page.
fn zeiss(order: Order, info: &[u8]) -> Option<Claims> {
    const MAGIC: [u64; 2] = [0x0300_494c, 0x0400_494c];
    let number = |at: usize| info.get(at..at + 4).map(|bytes| order.number(bytes));
    MAGIC.contains(&number(0)?).then_some(())?;
    let size = |at: usize| number(at).map(|size| size.max(1));
    let (slices, times) = (size(16)?, size(24)?);
    let pages = slices.checked_mul(times)?;
    let axes = vec![("time", times), ("z", slices)];
    Some(Claims { program: "Zeiss LSM", pages, axes, order: None })
}

/// Returns ScanImage's settings, which precede the first directory of a BigTIFF: a magic number, a
/// version, two lengths, the text.
fn ahead_of_directories(tiff: &Tiff) -> Option<String> {
    const MAGIC: u64 = 117_637_889;
    let head = tiff.bytes.read_up_to(16, 16).ok()?;
    let number = |at: usize| head.get(at..at + 4).map(|bytes| tiff.order.number(bytes));
    (number(0)? == MAGIC).then_some(())?;
    let text = tiff.bytes.read_up_to(32, number(8)?.min(DESCRIPTION_BYTES)).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Reads ImageJ's lines of `key=value`. In hyperstacks, the channel changes fastest, then the
/// slice, then the frame.
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
        order: None,
    })
}

/// Reads the description of tifffile: `{"shape": [pages, ..., height, width(, samples)], ...}`.
fn shaped(text: &str) -> Option<Claims> {
    let json: Object = miniserde::json::from_str(text).ok()?;
    let Some(Value::Array(shape)) = json.get("shape") else { return None };
    let elements = shape.iter().try_fold(1u64, |all, size| match size {
        Value::Number(Number::U64(size)) => all.checked_mul(*size),
        _ => None,
    })?;
    let sizes = shape.iter().filter_map(|size| match size {
        Value::Number(Number::U64(size)) => Some(*size),
        _ => None,
    });
    let letters = match json.get("axes") {
        Some(Value::String(letters)) if letters.chars().count() == shape.len() => {
            Some(letters.clone())
        }
        _ => None,
    };
    let order = Some(PageOrder::Shape(sizes.collect(), letters));
    // Counted in samples for now: the caller knows how many of them make a page.
    Some(Claims { program: "tifffile", pages: elements, order, ..Claims::default() })
}

/// Returns the axes of the pages of an array: as many of the first sizes as make up the pages. Axes
/// without letters are numbered, and the first of them counts as time.
fn shape(sizes: &[u64], letters: Option<&str>, pages: usize) -> Option<Table> {
    let mut product = 1u64;
    let mut count = 0;
    while product < pages as u64 {
        product = product.checked_mul(*sizes.get(count)?)?;
        count += 1;
    }
    let sizes = &sizes[..count];
    if product != pages as u64 || sizes.iter().filter(|&&size| size > 1).count() < 2 {
        return None;
    }
    let name = |at: usize| match letters.and_then(|letters| letters.chars().nth(at)) {
        Some('T') => "time".to_owned(),
        Some('Z') => "z".to_owned(),
        Some('C') => "channel".to_owned(),
        // tifffile uses the letter Q for unspecified axes.
        Some(letter) if letter.is_ascii_uppercase() && letter != 'Q' => letter.to_string(),
        _ if at == 0 => "time".to_owned(),
        _ => format!("axis{at}"),
    };
    let names: Vec<String> = (0..count).map(name).collect();
    let grid: Vec<_> =
        names.iter().map(String::as_str).zip(sizes.iter().map(|&s| s as usize)).collect();
    Some(Table::grid(&grid))
}

/// Reads OME-XML: sizes and their order are attributes of the first `Pixels` element.
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
    Some(Claims { program: "OME", pages, axes, order: None })
}

impl Claims {
    /// Returns true if the program writes pages without directories of their own.
    pub(super) fn can_lack_directories(&self) -> bool {
        matches!(self.program, "ImageJ" | "tifffile" | META_MORPH)
    }

    /// Returns true if the program always writes several pages after one directory.
    pub(super) fn never_has_directories(&self) -> bool {
        self.program == META_MORPH
    }

    /// Returns true if [`Claims::pages`] counts samples rather than pages.
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
        assert!(claims.table(5).is_none(), "one axis");
        let claims = Claims::parse("{\"shape\": [5, 2, 3, 4], \"axes\": \"TCYX\"}").unwrap();
        assert!(claims.table(10).is_some() && claims.table(7).is_none());
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
