//! The table of masks as CSV.

use std::fs::File;
use std::path::Path;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::mask_table::{COLUMNS, Row, Rows};
use crate::output_file::{CompleteOutput, OutputFile};
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};

/// Writes a header and a row for each object on each frame: `frame`, `time` (seconds), `object`,
/// `area` (pixels), `centroid_x`, `centroid_y` (pixels; 0 is the centre of the first pixel),
/// `box_x`, `box_y`, `box_width`, `box_height`, `object_score`, `predicted_iou`, `prompted`,
/// `flags` (separated by `|`), `name` (of the object), `image` (file name of the image that the
/// frame was read from).
///
/// Unknown values are empty cells: the centroid and box of an empty mask, and the model's scores on
/// a frame that it did not process. Numbers have the fewest digits that represent them exactly. The
/// rows of an object begin with the first frame if the object was announced, else with the frame on
/// which it appears.
pub struct CsvTableSink {
    output: OutputFile,
    table: csv::Writer<File>,
    order: FrameOrder,
    rows: Rows,
}

impl CsvTableSink {
    /// Creates the table and writes its header.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let mut table = csv::Writer::from_writer(output.try_clone()?);
        table.write_record(COLUMNS).map_err(|error| csv_error(&output, error))?;
        Ok(Self {
            output,
            table,
            order: FrameOrder::new(path, recording.size, recording.frames),
            rows: Rows::new(recording),
        })
    }
}

impl MaskSink for CsvTableSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        for row in self.rows.of(frame) {
            self.table.write_record(cells(&row)).map_err(|error| csv_error(&self.output, error))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.table.flush().map_err(|source| self.output.io_error(source))?;
        drop(self.table);
        self.output.complete()
    }
}

fn cells(row: &Row) -> [String; COLUMNS.len()] {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let [left, top, width, height] = match row.bounds {
        Some(bounds) => bounds.map(Some),
        None => [None; 4],
    };
    [
        row.frame.to_string(),
        text(row.time),
        row.object.to_string(),
        row.area.to_string(),
        text(row.centroid.map(|(x, _)| x)),
        text(row.centroid.map(|(_, y)| y)),
        text(left),
        text(top),
        text(width),
        text(height),
        text(row.facts.map(|facts| facts.object_score)),
        text(row.facts.map(|facts| facts.predicted_iou)),
        text(row.facts.map(|facts| facts.prompted)),
        row.flags(),
        text(row.name.as_ref()),
        text(row.image.as_ref()),
        text(row.facts.and_then(|facts| facts.agreement)),
    ]
}

fn csv_error(output: &OutputFile, error: csv::Error) -> WriteError {
    let message = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => output.io_error(source),
        _ => WriteError::Encode { path: output.path().to_owned(), message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{masks, run};

    #[test]
    fn each_object_has_a_row_on_each_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.csv");
        let recording = RecordingInfo { objects: vec![1], ..RecordingInfo::new((4, 3), 3) };
        let sink = CsvTableSink::create(&path, &recording, false).unwrap();
        let frames = [
            masks(&[(1, "0110 0110 0010")]),
            masks(&[]),
            masks(&[(2, "1000 0000 0000"), (1, "0000 0000 0000")]),
        ];
        run(sink, &frames);
        let expected = "\
            frame,time,object,area,centroid_x,centroid_y,box_x,box_y,box_width,box_height,\
            object_score,predicted_iou,prompted,flags,name,image,agreement\n\
            0,0,1,5,1.6,0.8,1,0,2,3,1.25,0.5,true,lost|area-jump,,,\n\
            1,0.1,1,0,,,,,,,,,,,,,\n\
            2,0.2,1,0,,,,,,,1.25,0.5,true,lost|area-jump,,,\n\
            2,0.2,2,1,0,0,0,0,1,1,2.25,0.5,false,,,,0.25\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn objects_and_images_have_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.csv");
        let recording = RecordingInfo {
            objects: vec![1, 2],
            object_names: [(2, "Tom, the \"cat\"".to_owned())].into(),
            image_names: vec!["00001.jpg".into(), "00002.jpg".into()],
            ..RecordingInfo::new((4, 3), 2)
        };
        run(CsvTableSink::create(&path, &recording, false).unwrap(), &[vec![], vec![]]);
        let table = std::fs::read_to_string(&path).unwrap();
        let rows: Vec<&str> = table.lines().skip(1).collect();
        assert_eq!(rows[0], "0,0,1,0,,,,,,,,,,,,00001.jpg,");
        assert_eq!(rows[3], "1,0.1,2,0,,,,,,,,,,,\"Tom, the \"\"cat\"\"\",00002.jpg,");
    }
}
