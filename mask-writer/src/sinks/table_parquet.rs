//! The table of masks as Parquet.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::error::WriteError;
use crate::frame_order::FrameOrder;
use crate::mask_table::{Row, Rows};
use crate::output_file::{CompleteOutput, OutputFile};
use crate::recording_info::RecordingInfo;
use crate::sink::{MaskFrame, MaskSink};

/// The columns of [`crate::mask_table::COLUMNS`] with their types.
const SCHEMA: &str = "message masks {
    required int64 frame;
    optional double time;
    required int64 object;
    required int64 area;
    optional double centroid_x;
    optional double centroid_y;
    optional int64 box_x;
    optional int64 box_y;
    optional int64 box_width;
    optional int64 box_height;
    optional float object_score;
    optional float predicted_iou;
    optional boolean prompted;
    required binary flags (UTF8);
    optional binary name (UTF8);
    optional binary image (UTF8);
    optional float agreement;
}";

/// Number of rows that are written together, and so held in memory.
const ROWS_AT_ONCE: usize = 1 << 15;

/// Writes the table of [`crate::CsvTableSink`] with the same columns; unknown values are null.
///
/// Memory use is a few megabytes for the rows that are written together. The list of these groups
/// at the end of the file takes a kilobyte per 32,768 rows.
pub struct ParquetTableSink {
    output: OutputFile,
    table: SerializedFileWriter<File>,
    order: FrameOrder,
    make: Rows,
    rows: Vec<Row>,
}

impl ParquetTableSink {
    /// Creates the table.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let failed = |error| table_error(&output, error);
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(failed)?);
        let properties = WriterProperties::builder()
            .set_created_by(concat!("sam2-mask-writer ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let table = SerializedFileWriter::new(output.try_clone()?, schema, Arc::new(properties))
            .map_err(failed)?;
        Ok(Self {
            order: FrameOrder::new(path, recording.size, recording.frames),
            make: Rows::new(recording),
            rows: Vec::new(),
            table,
            output,
        })
    }

    fn write_rows(&mut self) -> Result<(), ParquetError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let mut group = Group(self.table.next_row_group()?);
        group.required::<Int64Type>(rows.iter().map(|row| row.frame as i64))?;
        group.optional::<DoubleType>(rows.iter().map(|row| row.time))?;
        group.required::<Int64Type>(rows.iter().map(|row| i64::from(row.object)))?;
        group.required::<Int64Type>(rows.iter().map(|row| row.area as i64))?;
        group.optional::<DoubleType>(rows.iter().map(|row| row.centroid.map(|(x, _)| x)))?;
        group.optional::<DoubleType>(rows.iter().map(|row| row.centroid.map(|(_, y)| y)))?;
        for side in 0..4 {
            let sides = rows.iter().map(|row| row.bounds.map(|bounds| i64::from(bounds[side])));
            group.optional::<Int64Type>(sides)?;
        }
        let facts = || rows.iter().map(|row| row.facts);
        group.optional::<FloatType>(facts().map(|facts| facts.map(|f| f.object_score)))?;
        group.optional::<FloatType>(facts().map(|facts| facts.map(|f| f.predicted_iou)))?;
        group.optional::<BoolType>(facts().map(|facts| facts.map(|f| f.prompted)))?;
        group.required::<ByteArrayType>(
            rows.iter().map(|row| ByteArray::from(row.flags().as_bytes())),
        )?;
        let text =
            |text: &Option<String>| text.as_ref().map(|text| ByteArray::from(text.as_bytes()));
        group.optional::<ByteArrayType>(rows.iter().map(|row| text(&row.name)))?;
        group.optional::<ByteArrayType>(rows.iter().map(|row| text(&row.image)))?;
        group.optional::<FloatType>(facts().map(|facts| facts.and_then(|f| f.agreement)))?;
        group.0.close()?;
        Ok(())
    }
}

/// A group of rows that is being written, column by column.
struct Group<'a>(SerializedRowGroupWriter<'a, File>);

impl Group<'_> {
    fn required<T: DataType>(
        &mut self,
        values: impl Iterator<Item = T::T>,
    ) -> Result<(), ParquetError> {
        self.column::<T>(&values.collect::<Vec<_>>(), None)
    }

    fn optional<T: DataType>(
        &mut self,
        values: impl Iterator<Item = Option<T::T>>,
    ) -> Result<(), ParquetError> {
        let mut there = Vec::new();
        let values: Vec<T::T> =
            values.inspect(|value| there.push(i16::from(value.is_some()))).flatten().collect();
        self.column::<T>(&values, Some(&there))
    }

    /// Writes the next column.
    fn column<T: DataType>(
        &mut self,
        values: &[T::T],
        there: Option<&[i16]>,
    ) -> Result<(), ParquetError> {
        let missing = || ParquetError::General("more columns than the schema has".into());
        let mut column = self.0.next_column()?.ok_or_else(missing)?;
        column.typed::<T>().write_batch(values, there, None)?;
        column.close()
    }
}

impl MaskSink for ParquetTableSink {
    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        self.order.accept(frame)?;
        self.rows.extend(self.make.of(frame));
        if self.rows.len() >= ROWS_AT_ONCE {
            self.write_rows().map_err(|error| table_error(&self.output, error))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        self.order.complete()?;
        self.write_rows().map_err(|error| table_error(&self.output, error))?;
        let Self { table, output, .. } = *self;
        table.close().map_err(|error| table_error(&output, error))?;
        output.complete()
    }
}

fn table_error(output: &OutputFile, error: ParquetError) -> WriteError {
    let encode = |message| WriteError::Encode { path: output.path().to_owned(), message };
    match error {
        // Report a full disk as such.
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => output.io_error(*source),
            Err(other) => encode(other.to_string()),
        },
        other => encode(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask_table::COLUMNS;
    use crate::test_support::{masks, run};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    fn read(path: &Path) -> Vec<Vec<String>> {
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let rows = reader.get_row_iter(None).unwrap().map(|row| {
            let row = row.unwrap();
            let cells = row.get_column_iter().zip(COLUMNS).map(|((name, field), expected)| {
                assert_eq!(name, expected);
                field.to_string()
            });
            cells.collect()
        });
        rows.collect()
    }

    #[test]
    fn each_object_has_a_row_on_each_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.parquet");
        let recording = RecordingInfo {
            objects: vec![1],
            object_names: [(1, "Jerry".to_owned())].into(),
            image_names: vec!["7.png".into(), "8.png".into()],
            ..RecordingInfo::new((4, 3), 2)
        };
        let sink = ParquetTableSink::create(&path, &recording, false).unwrap();
        run(sink, &[masks(&[(1, "0110 0110 0010")]), masks(&[])]);
        let known =
            "0 0E0 1 5 1.6 0.8 1 0 2 3 1.25 0.5 true \"lost|area-jump\" \"Jerry\" \"7.png\" null";
        let unknown =
            "1 0.1 1 0 null null null null null null null null null \"\" \"Jerry\" \"8.png\" null";
        let rows: Vec<String> = read(&path).iter().map(|row| row.join(" ")).collect();
        assert_eq!(rows[0], known);
        assert_eq!(rows[1], unknown);
    }

    #[test]
    fn groups_of_rows_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.parquet");
        let recording =
            RecordingInfo { objects: (1..=40).collect(), ..RecordingInfo::new((1, 1), 1000) };
        let sink = ParquetTableSink::create(&path, &recording, false).unwrap();
        run(sink, &vec![vec![]; 1000]);
        let rows = read(&path);
        assert_eq!(rows.len(), 40_000);
        assert_eq!((&rows[39_999][0][..], &rows[39_999][2][..]), ("999", "40"));
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
    }
}
