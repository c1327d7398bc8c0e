//! Outlines as a ZIP file of ImageJ's regions of interest.
//!
//! The format of a region is that of `ij/io/RoiEncoder.java` and `RoiDecoder.java` in ImageJ's
//! source code: a header of 64 bytes, coordinates, a second header of 64 bytes, the name. All
//! numbers are big-endian.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::corner_outline::{Corner, rings};
use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::mask::Mask;
use crate::output_file::{CompleteOutput, OutputFile};
use crate::overlay::colour_of;
use crate::recording_info::RecordingInfo;
use crate::sink::{LabelledMask, MaskFrame, MaskSink};

/// Writes a ZIP file that the ROI Manager of ImageJ and Fiji opens, with a region for each object
/// on each frame where it is visible. A region is named `00012-001` or, if the object has a name,
/// `00012-001-mouse`, and has the position of its frame in a stack.
///
/// A mask in one piece without holes is a traced region, as made by the wand tool; any other mask
/// is a composite region. Outlines follow pixel edges, so that ImageJ reproduces the mask pixel for
/// pixel. Regions have the colours of the objects. Memory use grows by about 200 bytes per region,
/// because a ZIP file ends with a list of its entries.
pub struct ImageJRoisSink {
    output: OutputFile,
    order: FrameOrder,
    names: BTreeMap<u32, String>,
    zip: ZipWriter<File>,
}

impl ImageJRoisSink {
    /// Creates the file.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let zip = ZipWriter::new(output.try_clone()?);
        let order = FrameOrder::new(path, recording.size, recording.frames);
        Ok(Self { output, order, names: recording.object_names.clone(), zip })
    }

    fn add(&mut self, frame: usize, labelled: &LabelledMask) -> Result<(), WriteError> {
        let object = labelled.object;
        let mut name = format!("{frame:05}-{object:03}");
        if let Some(own) = self.names.get(&object) {
            // The name becomes a file name inside the ZIP file.
            let is_kept = |letter: char| !letter.is_control() && !"/\\:*?\"<>|".contains(letter);
            name.push('-');
            name.extend(own.chars().take(60).map(|c| if is_kept(c) { c } else { '_' }));
        }
        let Some(region) = encode(&labelled.mask, frame, object, &name) else { return Ok(()) };
        // Without a time stamp.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::DEFAULT);
        self.zip
            .start_file(format!("{name}.roi"), options)
            .map_err(|error| zip_error(&self.output, error))?;
        self.zip.write_all(&region).map_err(|source| self.output.io_error(source))
    }
}

impl MaskSink for ImageJRoisSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        frame.objects.iter().try_for_each(|labelled| self.add(frame.index, labelled))
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        let Self { output, zip, .. } = *self;
        zip.finish().map_err(|error| zip_error(&output, error))?;
        output.complete()
    }
}

fn zip_error(output: &OutputFile, error: zip::result::ZipError) -> WriteError {
    match error {
        zip::result::ZipError::Io(source) => output.io_error(source),
        other => WriteError::Encode { path: output.path().to_owned(), message: other.to_string() },
    }
}

const HEADER: usize = 64;
/// Format version, that of ImageJ 1.52 and later.
const VERSION: i16 = 228;
const RECTANGLE: u8 = 1;
const TRACED: u8 = 8;
/// In a traced region, coordinates and their number have 16 bits.
const LARGEST: u32 = 32_000;

/// Encodes a mask as a region; `None` if it is empty.
fn encode(mask: &Mask, frame: usize, object: u32, name: &str) -> Option<Vec<u8>> {
    let [left, top, last_x, last_y] = mask.bounds()?;
    let (right, bottom) = (last_x + 1, last_y + 1);
    let rings = rings(mask);
    let traced = rings
        .first()
        .filter(|ring| rings.len() == 1 && ring.len() < 32_000 && right.max(bottom) < LARGEST);
    let coordinates = match traced {
        Some(ring) => {
            let x = ring.iter().map(|&(x, _)| (x - left) as u16);
            let y = ring.iter().map(|&(_, y)| (y - top) as u16);
            x.chain(y).flat_map(u16::to_be_bytes).collect()
        }
        None => path(&rings),
    };
    let second = HEADER + coordinates.len();
    let name: Vec<u16> = name.encode_utf16().collect();
    let mut region = vec![0; HEADER];
    region.extend(&coordinates);
    region.resize(second + HEADER, 0);
    region.extend(name.iter().flat_map(|unit| unit.to_be_bytes()));

    let mut put = |at: usize, bytes: &[u8]| region[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"Iout");
    put(4, &VERSION.to_be_bytes());
    for (at, side) in [(8, top), (10, left), (12, bottom), (14, right)] {
        put(at, &(side as u16).to_be_bytes());
    }
    match traced {
        Some(ring) => {
            put(6, &[TRACED]);
            put(16, &(ring.len() as u16).to_be_bytes());
        }
        None => {
            put(6, &[RECTANGLE]);
            // Counted in units of four bytes.
            put(36, &(coordinates.len() as u32 / 4).to_be_bytes());
        }
    }
    let [red, green, blue] = colour_of(object);
    put(40, &[255, red, green, blue]);
    // Slices count from 1.
    put(56, &u32::try_from(frame + 1).unwrap_or(0).to_be_bytes());
    put(60, &(second as u32).to_be_bytes());
    put(second + 16, &((second + HEADER) as u32).to_be_bytes());
    put(second + 20, &(name.len() as u32).to_be_bytes());
    Some(region)
}

/// Encodes rings for a composite region: move to, line to, ..., close, each number as a float.
fn path(rings: &[Vec<Corner>]) -> Vec<u8> {
    const MOVE: f32 = 0.0;
    const LINE: f32 = 1.0;
    const CLOSE: f32 = 4.0;
    let mut numbers = Vec::new();
    for ring in rings {
        for (index, &(x, y)) in ring.iter().enumerate() {
            numbers.extend([if index == 0 { MOVE } else { LINE }, x as f32, y as f32]);
        }
        numbers.push(CLOSE);
    }
    numbers.into_iter().flat_map(f32::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{mask, masks, run};
    use std::io::Read;

    fn number(bytes: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn a_square_is_traced_and_a_ring_is_composite() {
        let square = encode(&mask("0000 0110 0110"), 4, 2, "a").unwrap();
        assert_eq!(square[..10], *b"Iout\x00\xe4\x08\0\0\x01");
        assert_eq!(square[8..18], [0, 1, 0, 1, 0, 3, 0, 3, 0, 4]);
        // First x relative to the left edge, then y relative to the top edge.
        assert_eq!(square[64..80], [0, 0, 0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2]);
        assert_eq!((number(&square, 56), number(&square, 60)), (5, 80));
        assert_eq!(square[40..44], [255, 86, 180, 233]);
        // Without a group, because ImageJ would give the region the group's colour.
        assert_eq!((square[80 + 30], &square[144..]), (0, &[0, b'a'][..]));
        let ring = encode(&mask("111 101 111"), 0, 300, "b").unwrap();
        assert_eq!((ring[6], number(&ring, 36)), (RECTANGLE, 2 * 13));
        assert_eq!(f32::from_bits(number(&ring, 64 + 12)), 1.0);
        assert!(encode(&Mask::empty(3, 2), 0, 1, "c").is_none());
    }

    #[test]
    fn regions_are_called_after_frames_and_objects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rois.zip");
        let recording = RecordingInfo {
            object_names: [(2, "a/b: c".to_owned())].into(),
            ..RecordingInfo::new((4, 2), 2)
        };
        let sink = ImageJRoisSink::create(&path, &recording, false).unwrap();
        let frames = [masks(&[(1, "0110 0110"), (2, "1001 0000")]), masks(&[(1, "0000 0000")])];
        run(sink, &frames);
        let mut archive = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        let names: Vec<String> =
            archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["00000-001.roi", "00000-002-a_b_ c.roi"]);
        let mut bytes = Vec::new();
        archive.by_index(1).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, encode(&mask("1001 0000"), 0, 2, "00000-002-a_b_ c").unwrap());
    }
}
