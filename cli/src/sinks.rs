//! Creates the sinks of a recording, one for each output.

use sam2_engine::{MaskSink, WriteError};
use sam2_jobs::JobError;
use sam2_mask_writer::{
    BigTiffSink, CocoJsonSink, ContactSheetSink, CsvTableSink, DavisPngsSink, ImageJRoisSink,
    LabelmeJsonSink, LogitsNpySink, ObjectPngsSink, ObjectStacksSink, OmeZarrSink,
    OverlayVideoSink, ParquetTableSink, RecordingInfo, RunFileSink, SavJsonSink, YoloLabelsSink,
};

use crate::outputs::{Output, OutputFormat, OutputRecording, OutputSettings};
use crate::report::ReportSink;

/// Creates the sink of every output of a recording.
pub fn create(
    outputs: &[Output],
    settings: OutputSettings,
    recording: &OutputRecording,
) -> Result<Vec<Box<dyn MaskSink>>, JobError> {
    outputs.iter().map(|output| Ok(create_one(output, settings, recording)?)).collect()
}

fn create_one(
    Output { format, path }: &Output,
    OutputSettings { overwrite, values, compression, outlines }: OutputSettings,
    recording: &OutputRecording,
) -> Result<Box<dyn MaskSink>, WriteError> {
    let OutputRecording { size, frames, prompt_frames, .. } = recording;
    let info = &RecordingInfo {
        frames_per_second: recording.rate,
        name: recording.name.clone(),
        objects: recording.objects.clone(),
        object_names: recording.run.object_names.clone(),
        image_names: recording.image_names.clone(),
        ..RecordingInfo::new(*size, *frames)
    };
    let largest = u32::from(u8::MAX);
    if format.has_numbers_for_pixels(values)
        && let Some(&object) = recording.objects.iter().find(|&&object| object > largest)
    {
        return Err(WriteError::ObjectNumber { path: path.clone(), object, largest });
    }
    Ok(match format {
        OutputFormat::Tiff => Box::new(BigTiffSink::create_compressed(
            path,
            *size,
            *frames,
            values,
            compression,
            overwrite,
        )?),
        OutputFormat::ObjectTiffs => {
            Box::new(ObjectStacksSink::create(path, info, compression, overwrite)?)
        }
        OutputFormat::Davis => Box::new(DavisPngsSink::create(path, info, overwrite)?),
        OutputFormat::ObjectPngs => Box::new(ObjectPngsSink::create(path, info, overwrite)?),
        OutputFormat::Coco => Box::new(CocoJsonSink::create_with(path, info, outlines, overwrite)?),
        OutputFormat::Sav => Box::new(SavJsonSink::create(path, info, overwrite)?),
        OutputFormat::Yolo => Box::new(YoloLabelsSink::create(path, info, overwrite)?),
        OutputFormat::Labelme => Box::new(LabelmeJsonSink::create(path, info, overwrite)?),
        OutputFormat::ImageJRois => Box::new(ImageJRoisSink::create(path, info, overwrite)?),
        OutputFormat::OmeZarr => Box::new(OmeZarrSink::create(path, info, overwrite)?),
        OutputFormat::Csv => Box::new(CsvTableSink::create(path, info, overwrite)?),
        OutputFormat::Parquet => Box::new(ParquetTableSink::create(path, info, overwrite)?),
        OutputFormat::Overlay => Box::new(OverlayVideoSink::create(path, info, overwrite)?),
        OutputFormat::ContactSheet => {
            Box::new(ContactSheetSink::create(path, info, prompt_frames, overwrite)?)
        }
        OutputFormat::Logits => Box::new(LogitsNpySink::create(path, info, overwrite)?),
        OutputFormat::Run => Box::new(RunFileSink::create(path, &recording.run, overwrite)?),
        OutputFormat::Report => Box::new(ReportSink::create(path, recording, overwrite)?),
    })
}
