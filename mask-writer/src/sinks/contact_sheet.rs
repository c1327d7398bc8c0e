//! A contact sheet: one picture with overlays of frames from the whole recording, to judge the
//! result at a glance.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::WriteError;
use crate::mask::Mask;
use crate::output_file::{CompleteOutput, OutputFile};
use crate::overlay::Overlay;
use crate::recording_info::RecordingInfo;
use crate::sink::{LabelledMask, MaskFrame, MaskSink};
use crate::text::{Area, Canvas};

/// Tiles per row.
const COLUMNS: usize = 4;
/// Number of rows of tiles.
const ROWS: usize = 4;
/// Largest width of a tile in pixels.
const TILE_WIDTH: usize = 320;
/// Space around tiles in pixels.
const GAP: usize = 6;
/// Grey level of the background.
const BACKGROUND: u8 = 32;

/// Width in pixels of the border around prompted frames.
const BORDER: usize = 3;

/// Draws masks into evenly spaced frames and writes these frames as one PNG. Frame numbers are in
/// the corners, object numbers and names at the masks, and prompted frames have a white border.
pub struct ContactSheetSink {
    output: OutputFile,
    width: usize,
    height: usize,
    selected: BTreeSet<usize>,
    highlights: BTreeSet<usize>,
    tile_width: usize,
    tile_height: usize,
    overlay: Overlay,
    images: Vec<String>,
    tiles: Vec<Tile>,
}

struct Tile {
    rgb: Vec<u8>,
    is_prompted: bool,
}

impl ContactSheetSink {
    /// Creates a sheet for a recording. Frames in `highlights` (the prompted frames) take
    /// precedence if there is not room for all.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        recording: &RecordingInfo,
        highlights: &[usize],
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
        let ((width, height), frames) = (recording.size, recording.frames);
        let room = COLUMNS * ROWS;
        let mut selected: BTreeSet<usize> =
            highlights.iter().copied().filter(|&f| f < frames).take(room / 2).collect();
        let rest = room - selected.len();
        let last = frames.saturating_sub(1);
        let even = (0..rest).map(|i| if rest > 1 { i * last / (rest - 1) } else { 0 });
        selected.extend(even.filter(|&frame| frame < frames));
        let (width, height) = (width as usize, height as usize);
        let tile_width = width.clamp(1, TILE_WIDTH);
        let tile_height = (height * tile_width / width.max(1)).max(1);
        Ok(Self {
            output,
            width,
            height,
            selected,
            highlights: highlights.iter().copied().collect(),
            tile_width,
            tile_height,
            overlay: Overlay::new((tile_width, tile_height), &recording.object_names),
            images: recording.image_names.clone(),
            tiles: Vec::new(),
        })
    }

    /// Shrinks a frame to tile size by averaging its pixels.
    fn shrink(&self, image: &[u8]) -> Vec<u8> {
        let mut tile = Vec::with_capacity(3 * self.tile_width * self.tile_height);
        for y in 0..self.tile_height {
            for x in 0..self.tile_width {
                let mut sum = [0_u32; 3];
                let mut count = 0;
                for source_y in span(y, self.height, self.tile_height) {
                    for source_x in span(x, self.width, self.tile_width) {
                        let at = 3 * (source_y * self.width + source_x);
                        for (total, &value) in sum.iter_mut().zip(&image[at..at + 3]) {
                            *total += u32::from(value);
                        }
                        count += 1;
                    }
                }
                tile.extend(sum.map(|total| (total / count) as u8));
            }
        }
        tile
    }

    /// Shrinks a mask to tile size: tile pixels of which at least half is mask, or, if there are
    /// none, those that contain any mask pixel.
    fn shrink_mask(&self, mask: &Mask) -> Mask {
        let inside = mask.to_bytes(1);
        let (width, height) = (self.tile_width, self.tile_height);
        let mut least_and_half = [vec![false; width * height], vec![false; width * height]];
        for y in 0..height {
            for x in 0..width {
                let (columns, rows) = (span(x, self.width, width), span(y, self.height, height));
                let all = columns.len() * rows.len();
                let covered: usize = rows
                    .map(|row| {
                        let row = &inside[row * self.width..(row + 1) * self.width];
                        row[columns.clone()].iter().filter(|&&value| value == 1).count()
                    })
                    .sum();
                let at = y * width + x;
                least_and_half[0][at] = covered > 0;
                least_and_half[1][at] = 2 * covered >= all;
            }
        }
        let [least, half] = least_and_half;
        let shown = if half.contains(&true) { half } else { least };
        Mask::encode(width as u32, height as u32, shown.into_iter())
    }
}

/// Returns which of `from` pixels contribute to pixel `i` of `to`.
fn span(i: usize, from: usize, to: usize) -> std::ops::Range<usize> {
    let start = i * from / to;
    start..((i + 1) * from / to).max(start + 1)
}

/// Returns the text in the corner of a frame: its number, the name of its image, and whether it was
/// prompted.
pub(crate) fn corner_text(frame: &MaskFrame<'_>, image: Option<&String>) -> String {
    let mut text = frame.index.to_string();
    if let Some(image) = image {
        text = format!("{text} {image}");
    }
    if is_prompted(frame) { format!("{text} prompted") } else { text }
}

fn is_prompted(frame: &MaskFrame<'_>) -> bool {
    frame.objects.iter().any(|labelled| labelled.facts.is_some_and(|facts| facts.prompted))
}

impl MaskSink for ContactSheetSink {
    fn wants_image(&self, index: usize) -> bool {
        self.selected.contains(&index)
    }

    fn write(&mut self, frame: &MaskFrame<'_>) -> Result<(), WriteError> {
        let Some(image) = frame.image.filter(|_| self.selected.contains(&frame.index)) else {
            return Ok(());
        };
        if image.len() != 3 * self.width * self.height {
            return Err(WriteError::Size {
                path: self.output.path().to_owned(),
                frame: frame.index,
                expected: format!("{} bytes", 3 * self.width * self.height),
                found: format!("{} bytes", image.len()),
            });
        }
        let size = (self.width as u32, self.height as u32);
        let of_other_size = |m: &&LabelledMask| (m.mask.width(), m.mask.height()) != size;
        if let Some(LabelledMask { mask, .. }) = frame.objects.iter().find(of_other_size) {
            return Err(WriteError::Size {
                path: self.output.path().to_owned(),
                frame: frame.index,
                expected: format!("{} x {}", size.0, size.1),
                found: format!("{} x {}", mask.width(), mask.height()),
            });
        }
        let mut rgb = self.shrink(image);
        // Masks are drawn at tile size: shrinking a finished overlay would lose thin outlines and
        // mix colours.
        let shrunk = |labelled: &LabelledMask| LabelledMask {
            facts: labelled.facts,
            ..LabelledMask::new(labelled.object, self.shrink_mask(&labelled.mask))
        };
        let objects: Vec<LabelledMask> = frame.objects.iter().map(shrunk).collect();
        self.overlay.draw(&mut rgb, &objects, &corner_text(frame, self.images.get(frame.index)));
        let is_prompted = is_prompted(frame) || self.highlights.contains(&frame.index);
        self.tiles.push(Tile { rgb, is_prompted });
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CompleteOutput, WriteError> {
        let rows = self.tiles.len().div_ceil(COLUMNS).max(1);
        let columns = self.tiles.len().clamp(1, COLUMNS);
        let sheet_width = GAP + columns * (self.tile_width + GAP);
        let sheet_height = GAP + rows * (self.tile_height + GAP);
        let mut sheet = vec![BACKGROUND; 3 * sheet_width * sheet_height];
        for (position, tile) in self.tiles.iter().enumerate() {
            let left = GAP + (position % COLUMNS) * (self.tile_width + GAP);
            let top = GAP + (position / COLUMNS) * (self.tile_height + GAP);
            if tile.is_prompted {
                let border = Area {
                    left: left - BORDER,
                    top: top - BORDER,
                    width: self.tile_width + 2 * BORDER,
                    height: self.tile_height + 2 * BORDER,
                };
                Canvas::new(&mut sheet, sheet_width).fill(border, [255; 3]);
            }
            for (y, row) in tile.rgb.chunks_exact(3 * self.tile_width).enumerate() {
                let at = 3 * ((top + y) * sheet_width + left);
                sheet[at..at + row.len()].copy_from_slice(row);
            }
        }
        self.write_png(&sheet, sheet_width, sheet_height)?;
        self.output.complete()
    }
}

impl ContactSheetSink {
    fn write_png(&self, rgb: &[u8], width: usize, height: usize) -> Result<(), WriteError> {
        let failed = |error: png::EncodingError| match error {
            png::EncodingError::IoError(source) => self.output.io_error(source),
            other => WriteError::Encode {
                path: self.output.path().to_owned(),
                message: other.to_string(),
            },
        };
        let mut file = BufWriter::new(self.output.file());
        let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(rgb).map_err(failed)?;
        writer.finish().map_err(failed)?;
        file.flush().map_err(|source| self.output.io_error(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_selected_frames_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let frames = 100;
        let mut sink = Box::new(
            ContactSheetSink::create(&path, &RecordingInfo::new((64, 48), frames), &[37], false)
                .unwrap(),
        );
        let image = vec![100_u8; 64 * 48 * 3];
        let object = LabelledMask::new(1, Mask::empty(64, 48));
        let mut shown = Vec::new();
        for index in 0..frames {
            let wanted = sink.wants_image(index);
            if wanted {
                shown.push(index);
            }
            let frame = MaskFrame::new(index, std::slice::from_ref(&object))
                .with_image(wanted.then_some(&image[..]));
            sink.write(&frame).unwrap();
        }
        assert!(shown.contains(&0) && shown.contains(&37) && shown.contains(&99), "{shown:?}");
        assert!(shown.len() <= COLUMNS * ROWS);
        sink.finish().unwrap().publish().unwrap();
        let decoder =
            png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap()));
        let reader = decoder.read_info().unwrap();
        assert_eq!(reader.info().width as usize, GAP + COLUMNS * (64 + GAP));
    }

    #[test]
    fn prompted_frames_have_a_border_and_small_masks_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let recording = RecordingInfo::new((1280, 960), 2);
        let mut sink = Box::new(ContactSheetSink::create(&path, &recording, &[1], false).unwrap());
        // One pixel of the frame, a sixteenth of a tile pixel.
        let dot = (0..1280 * 960).map(|at| at == 700 * 1280 + 640);
        let objects = [LabelledMask::new(1, Mask::from_pixels(1280, 960, dot).unwrap())];
        let image = vec![100_u8; 1280 * 960 * 3];
        for index in 0..2 {
            sink.write(&MaskFrame::new(index, &objects).with_image(Some(&image))).unwrap();
        }
        sink.finish().unwrap().publish().unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let width = reader.next_frame(&mut rgb).unwrap().width as usize;
        let at = |x: usize, y: usize| &rgb[3 * (y * width + x)..3 * (y * width + x) + 3];
        for (tile, border) in [(0, [BACKGROUND; 3]), (1, [255; 3])] {
            let left = GAP + tile * (TILE_WIDTH + GAP);
            assert_eq!(at(left - 1, GAP + 100), border);
            assert_eq!(at(left - BORDER - 1, GAP + 100), [BACKGROUND; 3]);
            assert_eq!(at(left + 160, GAP + 175), crate::OBJECT_COLOURS[0]);
            assert_eq!(at(left + 160, GAP + 178), [100; 3]);
        }
    }

    #[test]
    fn one_frame_makes_one_tile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let mut sink = Box::new(
            ContactSheetSink::create(&path, &RecordingInfo::new((3, 3), 1), &[], false).unwrap(),
        );
        let image = [0_u8; 27];
        sink.write(&MaskFrame::new(0, &[]).with_image(Some(&image))).unwrap();
        sink.finish().unwrap().publish().unwrap();
        assert!(path.exists());
    }
}
