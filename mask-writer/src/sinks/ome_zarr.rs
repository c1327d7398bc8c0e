//! Object numbers as an OME-Zarr label image.
//!
//! The metadata follow OME-NGFF 0.4 (ngff.openmicroscopy.org/0.4) and the arrays Zarr 2, the
//! versions that napari, Fiji, QuPath and ome-zarr-py all read. Both consist of a few JSON files
//! and a compressed file per frame, so no library is needed to write them.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::json;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::known_objects::KnownObjects;
use crate::output_file::CompleteOutput;
use crate::output_folder::OutputFolder;
use crate::overlay::colour_of;
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};

/// Creator named in the metadata, by which a folder to be replaced is recognised.
const CREATOR: &str = "sam2-mask-writer";
/// Compression level of zlib: masks are small at any level.
const LEVEL: u32 = 1;

/// Writes a folder with one `uint16` array named `0`, axes `t`, `y`, `x`, one chunk per frame. Each
/// pixel is the number of its object, the smallest where objects overlap, or 0 for background.
///
/// It is a label image (`image-label`) with the colours and names of objects. It is complete on its
/// own, and can also be placed under `labels` of the recording's OME-Zarr image. A step of `t` is
/// the time between two frames, if the recording has a frame rate.
pub struct OmeZarrSink {
    output: OutputFolder,
    order: FrameOrder,
    recording: RecordingInfo,
    objects: KnownObjects,
    page: Vec<u16>,
}

impl OmeZarrSink {
    /// Returns whether a folder entry can have been written by this sink; see
    /// [`OutputFolder::create`]. Recordings can be folders of the same layout.
    pub fn is_own(path: &Path) -> bool {
        let is_ours = |folder: &Path| -> Option<bool> {
            let attributes = std::fs::read(folder.join(".zattrs")).ok()?;
            let attributes: serde_json::Value = serde_json::from_slice(&attributes).ok()?;
            Some(attributes["_creator"]["name"] == CREATOR)
        };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        matches!(name, ".zgroup" | ".zattrs" | "0")
            && path.parent().is_some_and(|folder| is_ours(folder).unwrap_or(false))
    }

    /// Creates the folder.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFolder::create(path, overwrite, Self::is_own)?;
        let (width, height) = recording.size;
        let write = |name: &str, value: serde_json::Value| {
            output.write(name, format!("{value:#}\n").as_bytes())
        };
        write(".zgroup", json!({"zarr_format": 2}))?;
        output.make_folder("0")?;
        write(
            "0/.zarray",
            json!({
                "zarr_format": 2,
                "shape": [recording.frames, height, width],
                "chunks": [1, height, width],
                "dtype": "<u2",
                "compressor": {"id": "zlib", "level": LEVEL},
                "fill_value": 0,
                "order": "C",
                "filters": null,
                "dimension_separator": "/",
            }),
        )?;
        Ok(Self {
            order: FrameOrder::new(path, recording.size, recording.frames),
            objects: KnownObjects::new(&recording.objects),
            page: vec![0; recording.pixels()],
            recording: recording.clone(),
            output,
        })
    }

    /// Returns the metadata of the whole image, once all objects are known.
    fn attributes(&self) -> serde_json::Value {
        let rate = self.recording.frames_per_second;
        let mut time = json!({"name": "t", "type": "time"});
        if rate.is_some() {
            time["unit"] = "second".into();
        }
        let space = |name: &str| json!({"name": name, "type": "space"});
        let step = rate.map_or(1.0, |rate| 1.0 / rate);
        let objects = self.objects.numbers();
        let colours = objects.iter().map(|&object| {
            let [red, green, blue] = colour_of(object);
            json!({"label-value": object, "rgba": [red, green, blue, 255]})
        });
        let names = &self.recording.object_names;
        let properties = objects.iter().map(|&object| {
            let name = names.get(&object).cloned().unwrap_or_else(|| format!("object {object}"));
            json!({"label-value": object, "name": name})
        });
        json!({
            "_creator": {"name": CREATOR},
            "multiscales": [{
                "version": "0.4",
                "name": self.recording.name,
                "axes": [time, space("y"), space("x")],
                "datasets": [{
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": [step, 1.0, 1.0]}],
                }],
            }],
            "image-label": {
                "version": "0.4",
                "colors": colours.collect::<Vec<_>>(),
                "properties": properties.collect::<Vec<_>>(),
            },
        })
    }
}

impl MaskSink for OmeZarrSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        self.objects.admit(frame.objects);
        self.page.fill(0);
        let mut sorted: Vec<_> = frame.objects.iter().collect();
        // Largest number first, so that the smallest is painted last and wins.
        sorted.sort_by_key(|labelled| std::cmp::Reverse(labelled.object));
        for labelled in sorted {
            let number = u16::try_from(labelled.object).map_err(|_| WriteError::ObjectNumber {
                path: self.output.path().to_owned(),
                object: labelled.object,
                largest: u16::MAX.into(),
            })?;
            for run in labelled.mask.foreground() {
                self.page[run].fill(number);
            }
        }
        let bytes: Vec<u8> = self.page.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
        let chunk = encoder.write_all(&bytes).and_then(|()| encoder.finish());
        let chunk = chunk.map_err(|source| self.output.io_error(source))?;
        let index = frame.index;
        self.output.make_folder(format!("0/{index}"))?;
        self.output.make_folder(format!("0/{index}/0"))?;
        self.output.write(format!("0/{index}/0/0"), &chunk)
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.output.write(".zattrs", format!("{:#}\n", self.attributes()).as_bytes())?;
        self.output.complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{masks, run};
    use std::io::Read;

    fn json_of(path: &Path) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn chunks_hold_numbers_and_metadata_say_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.zarr");
        let recording = RecordingInfo {
            frames_per_second: Some(4.0),
            object_names: [(2, "mouse".to_owned())].into(),
            objects: vec![2],
            ..RecordingInfo::new((4, 2), 2)
        };
        let create = || OmeZarrSink::create(&path, &recording, true);
        run(create().unwrap(), &[masks(&[(300, "1110 0000"), (2, "0011 0000")]), masks(&[])]);
        let chunk = std::fs::read(path.join("0/0/0/0")).unwrap();
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(&chunk[..]).read_to_end(&mut bytes).unwrap();
        assert_eq!(
            bytes,
            [[44, 1], [44, 1], [2, 0], [2, 0], [0; 2], [0; 2], [0; 2], [0; 2]].concat()
        );
        assert_eq!(json_of(&path.join("0/.zarray"))["shape"], json!([2, 2, 4]));
        let attributes = json_of(&path.join(".zattrs"));
        let scale = &attributes["multiscales"][0]["datasets"][0]["coordinateTransformations"];
        assert_eq!(scale[0]["scale"], json!([0.25, 1.0, 1.0]));
        let properties = json!([{"label-value": 2, "name": "mouse"}, {"label-value": 300, "name": "object 300"}]);
        assert_eq!(attributes["image-label"]["properties"], properties);

        drop(create().unwrap());
        // A recording in the same layout.
        std::fs::write(path.join(".zattrs"), r#"{"multiscales": []}"#).unwrap();
        assert!(matches!(create(), Err(WriteError::ForeignFiles { .. })));
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.zarr");
        let mut sink = OmeZarrSink::create(&path, &RecordingInfo::new((2, 1), 1), false).unwrap();
        let refused = sink.write(&MaskFrame::new(0, &masks(&[(70_000, "11")]))).unwrap_err();
        assert!(matches!(refused, WriteError::ObjectNumber { largest: 65_535, .. }));
    }
}
