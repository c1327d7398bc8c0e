//! OME-XML, which says where each image is stored.

use std::collections::HashMap;

use roxmltree::{Document, Node};

/// Largest number of planes of a recording; XML of a few bytes can claim any number.
const MOST_PLANES: u64 = 1 << 22;

/// Information from OME-XML about the images of one or more files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The file that contains the XML.
    pub(super) own: FileRef,
    /// The file that holds the XML instead, next to the TIFF files.
    pub(super) companion: Option<String>,
    /// The files of the images, each once.
    pub(super) files: Vec<FileRef>,
    /// Runs of consecutive planes in a file.
    pub(super) blocks: Vec<Block>,
    /// Number of images (positions, fields of view).
    pub(super) images: usize,
}

/// A file as the XML names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct FileRef {
    pub(super) name: Option<String>,
    pub(super) uuid: Option<String>,
}

/// Planes of one image, starting at one directory of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) image: usize,
    /// Index of the file in [`Metadata::files`].
    pub(super) file: usize,
    /// The first directory, counted from 0.
    pub(super) directory: u64,
    /// Number of planes; if absent, as many as the file has.
    pub(super) count: Option<u64>,
    /// The position of the first plane in `sizes`, counted in planes.
    first: u64,
    sizes: Sizes,
}

/// The axes of an image, the fastest-changing one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes([(&'static str, u64); 3]);

impl Block {
    /// Returns the largest number of planes that the block can have.
    pub(super) fn room(&self) -> u64 {
        self.sizes
            .0
            .iter()
            .fold(1u64, |all, (_, size)| all.saturating_mul(*size))
            .saturating_sub(self.first)
    }

    /// Returns the position of plane `at` of the block on each axis.
    pub(super) fn places(&self, at: u64) -> [(&'static str, u64); 3] {
        let mut rest = self.first.saturating_add(at);
        self.sizes.0.map(|(axis, size)| {
            let place = rest % size;
            rest /= size;
            (axis, place)
        })
    }
}

/// Reads OME-XML; `None` if the text is damaged or not OME-XML.
pub(super) fn parse(text: &str) -> Option<Metadata> {
    let document = Document::parse(text.trim_start_matches('\u{feff}').trim()).ok()?;
    let root = document.root_element();
    if root.tag_name().name() != "OME" {
        return None;
    }
    let uuid = |node: Node<'_, '_>| node.attribute("UUID").map(str::to_owned);
    let mut metadata = Metadata {
        own: FileRef { name: None, uuid: uuid(root) },
        companion: child(root, "BinaryOnly")
            .and_then(|node| node.attribute("MetadataFile"))
            .map(str::to_owned),
        ..Metadata::default()
    };
    let mut planes = 0u64;
    let mut known = HashMap::new();
    for pixels in children(root, "Image").filter_map(|image| child(image, "Pixels")) {
        let sizes = sizes(pixels)?;
        for data in children(pixels, "TiffData") {
            let block = block(data, metadata.images, sizes, &mut known)?;
            planes = planes.saturating_add(block.count.unwrap_or(1).min(block.room()));
            metadata.blocks.push(block);
        }
        metadata.images += 1;
    }
    metadata.files.resize(known.len(), FileRef::default());
    known.into_iter().for_each(|(file, number)| metadata.files[number] = file);
    (planes <= MOST_PLANES).then_some(metadata)
}

fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

fn sizes(pixels: Node<'_, '_>) -> Option<Sizes> {
    let size = |name: &str| {
        let size = pixels.attribute(name).and_then(|value| value.parse().ok()).unwrap_or(1u64);
        size.max(1)
    };
    // Colours are samples of one plane.
    let samples = child(pixels, "Channel")
        .and_then(|channel| channel.attribute("SamplesPerPixel"))
        .and_then(|value| value.parse().ok())
        .unwrap_or(1u64)
        .max(1);
    let mut axes = Vec::new();
    for letter in pixels.attribute("DimensionOrder").unwrap_or("XYCZT").chars() {
        match letter {
            'C' => axes.push(("channel", (size("SizeC") / samples).max(1))),
            'Z' => axes.push(("z", size("SizeZ"))),
            'T' => axes.push(("time", size("SizeT"))),
            _ => {}
        }
    }
    axes.try_into().ok().map(Sizes)
}

fn block(
    data: Node<'_, '_>,
    image: usize,
    sizes: Sizes,
    files: &mut HashMap<FileRef, usize>,
) -> Option<Block> {
    let number = |name: &str| data.attribute(name).and_then(|value| value.parse::<u64>().ok());
    let file = child(data, "UUID").map_or_else(FileRef::default, |uuid| FileRef {
        name: uuid.attribute("FileName").map(str::to_owned),
        uuid: uuid.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
    });
    let next = files.len();
    let file = *files.entry(file).or_insert(next);
    let mut first = 0u64;
    let mut stride = 1u64;
    for (axis, size) in sizes.0 {
        let name = match axis {
            "channel" => "FirstC",
            "z" => "FirstZ",
            _ => "FirstT",
        };
        let at = number(name).unwrap_or(0);
        if at >= size {
            return None;
        }
        first = first.checked_add(at.checked_mul(stride)?)?;
        stride = stride.checked_mul(size)?;
    }
    let directory = number("IFD");
    Some(Block {
        image,
        file,
        directory: directory.unwrap_or(0),
        // By the specification, one plane if a directory is named, otherwise the whole file.
        count: number("PlaneCount").or(directory.map(|_| 1)),
        first,
        sizes,
    })
}

/// Returns the UUID of the file that starts with this text, without reading further.
pub(super) fn uuid_of(head: &str) -> Option<&str> {
    let start = head.find("<OME")?;
    let element = &head[start..start + head[start..].find('>')?];
    element.split("UUID=\"").nth(1)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:a"><Image ID="Image:0">
        <Pixels DimensionOrder="XYCZT" SizeX="4" SizeY="3" SizeC="2" SizeZ="1" SizeT="3"><Channel ID="c"/>
        <TiffData IFD="0" PlaneCount="4"><UUID FileName="a.tif">urn:uuid:a</UUID></TiffData>
        <TiffData FirstT="2" IFD="1"><UUID FileName="b.tif">urn:uuid:b</UUID></TiffData>
        <TiffData FirstC="1" FirstT="2" IFD="0"><UUID FileName="b.tif">urn:uuid:b</UUID></TiffData>
        </Pixels></Image></OME>"#;

    #[test]
    fn planes_are_counted_in_the_order_of_the_axes() {
        let metadata = parse(TWO).unwrap();
        assert_eq!((metadata.images, metadata.files.len(), metadata.blocks.len()), (1, 2, 3));
        assert_eq!(metadata.files[1].name.as_deref(), Some("b.tif"));
        let [a, b, c] = &metadata.blocks[..] else { panic!() };
        assert_eq!((a.count, a.places(3)), (Some(4), [("channel", 1), ("z", 0), ("time", 1)]));
        assert_eq!(
            (b.count, b.file, b.places(0)),
            (Some(1), 1, [("channel", 0), ("z", 0), ("time", 2)])
        );
        assert_eq!((c.directory, c.places(0)), (0, [("channel", 1), ("z", 0), ("time", 2)]));
        assert_eq!((a.room(), c.room()), (6, 1));
        assert_eq!(uuid_of(TWO), Some("urn:uuid:a"));
        let binary = r#"<OME UUID="urn:uuid:c"><BinaryOnly MetadataFile="m.companion.ome" UUID="urn:uuid:m"/></OME>"#;
        assert_eq!(parse(binary).unwrap().companion.as_deref(), Some("m.companion.ome"));
    }

    #[test]
    fn damaged_and_absurd_xml_is_nothing() {
        assert_eq!(parse(&TWO[..TWO.len() - 9]), None);
        assert_eq!(parse("<html/>"), None);
        assert_eq!(parse(&TWO.replace("FirstT=\"2\"", "FirstT=\"9\"")), None);
        assert_eq!(
            parse(&TWO.replace("PlaneCount=\"4\"", "PlaneCount=\"99999999999\"")).unwrap().blocks
                [0]
            .room(),
            6
        );
        let huge = TWO
            .replace("SizeT=\"3\"", "SizeT=\"999999999\"")
            .replace("=\"4\"><UUID", "=\"999999999\"><UUID");
        assert_eq!(parse(&huge), None);
    }
}
