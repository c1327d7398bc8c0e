//! Writes stacks of masks, one stack per object, in every format:
//! `every_format FOLDER object1.tif [object2.tif ...]`.
//!
//! Shows how to drive sinks: create all of them, write every frame to each, finish all, publish
//! all.

use std::path::Path;

use sam2_mask_writer::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((folder, stacks)) = arguments.split_first() else {
        return Err("usage: every_format FOLDER object1.tif [object2.tif ...]".into());
    };
    let readers = || stacks.iter().map(|stack| MaskStackReader::open(Path::new(stack)));
    let Some(first) = readers().next() else { return Err("no stacks".into()) };
    let (mut size, mut count) = ((0, 0), 0);
    for mask in first? {
        let mask = mask?;
        (size, count) = ((mask.width(), mask.height()), count + 1);
    }
    let recording = RecordingInfo {
        frames_per_second: Some(25.0),
        name: "example".into(),
        objects: (1..=stacks.len() as u32).collect(),
        ..RecordingInfo::new(size, count)
    };

    let to = |name: &str| Path::new(folder).join(name);
    let (compression, ids) = (StackCompression::Deflate, PixelValues::ObjectIds);
    let r = &recording;
    let mut sinks: Vec<Box<dyn MaskSink>> = vec![
        Box::new(BigTiffSink::create(&to("masks.btf"), size, count, PixelValues::Binary, true)?),
        Box::new(BigTiffSink::create_compressed(
            &to("ids.btf"),
            size,
            count,
            ids,
            compression,
            true,
        )?),
        Box::new(ObjectStacksSink::create(&to("objects"), r, compression, true)?),
        Box::new(DavisPngsSink::create(&to("davis"), r, true)?),
        Box::new(ObjectPngsSink::create(&to("object-pngs"), r, true)?),
        Box::new(CocoJsonSink::create(&to("coco.json"), r, true)?),
        Box::new(SavJsonSink::create(&to("sav.json"), r, true)?),
        Box::new(CocoJsonSink::create_with(
            &to("coco-polygons.json"),
            r,
            CocoOutlines::Polygons,
            true,
        )?),
        Box::new(LabelmeJsonSink::create(&to("labelme"), r, true)?),
        Box::new(ImageJRoisSink::create(&to("rois.zip"), r, true)?),
        Box::new(OmeZarrSink::create(&to("masks.zarr"), r, true)?),
        Box::new(YoloLabelsSink::create(&to("yolo"), r, true)?),
        Box::new(CsvTableSink::create(&to("table.csv"), r, true)?),
        Box::new(ParquetTableSink::create(&to("table.parquet"), r, true)?),
        Box::new(OverlayVideoSink::create(&to("overlay.mp4"), r, true)?),
        Box::new(ContactSheetSink::create(&to("sheet.png"), r, &[0], true)?),
        Box::new(LogitsNpySink::create(&to("logits.npy"), r, true)?),
    ];
    // The frame that the masks belong to; a plain grey image stands in for it here.
    let picture = vec![128; 3 * size.0 as usize * size.1 as usize];
    let mut readers = readers().collect::<Result<Vec<_>, _>>()?;
    for index in 0..count {
        let mut objects = Vec::new();
        for (reader, number) in readers.iter_mut().zip(1..) {
            let mask = reader.next().ok_or("stacks of different lengths")??;
            objects.push(with_logits(number, mask));
        }
        let frame = MaskFrame::new(index, &objects)
            .with_image(Some(&picture))
            .with_seconds(Some(index as f64 / 25.0));
        for sink in &mut sinks {
            sink.write(&frame)?;
        }
    }
    // Finish all outputs before publishing the first one under its final name.
    let outputs = sinks.into_iter().map(MaskSink::finish).collect::<Result<Vec<_>, _>>()?;
    for output in outputs {
        output.publish()?;
    }
    Ok(())
}

/// Returns a mask with the logits of a fully confident model.
fn with_logits(object: u32, mask: Mask) -> LabelledMask {
    let logits = mask.to_bytes(1).into_iter().map(|inside| 20.0 * f32::from(inside) - 10.0);
    LabelledMask {
        logits: Some(std::sync::Arc::new(logits.collect())),
        ..LabelledMask::new(object, mask)
    }
}
