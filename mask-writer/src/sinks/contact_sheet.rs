//! One picture that shows whether it worked: overlays of frames from the whole recording.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::WriteError;
use crate::output_file::{CompleteOutput, OutputFile};
use crate::overlay::blend;
use crate::sink::{MaskFrame, MaskSink};

/// Tiles in a row.
const COLUMNS: usize = 4;
/// Rows of tiles.
const ROWS: usize = 4;
/// Largest width of a tile in pixels.
const TILE_WIDTH: usize = 320;
/// Space around tiles.
const GAP: usize = 6;
/// Grey of the background.
const BACKGROUND: u8 = 32;

/// Collects evenly spaced frames with their masks drawn in, and writes them as one PNG, frame numbers in the corners.
pub struct ContactSheetSink {
    output: OutputFile,
    width: usize,
    height: usize,
    selected: BTreeSet<usize>,
    tile_width: usize,
    tile_height: usize,
    tiles: Vec<Vec<u8>>,
}

impl ContactSheetSink {
    /// A sheet for a recording of `frames` frames of `width` x `height`; `highlights` (prompt frames) are shown before
    /// others when there is not room for all.
    ///
    /// # Errors
    /// [`WriteError`] if the output exists or cannot be created.
    pub fn create(
        path: &Path,
        (width, height): (u32, u32),
        frames: usize,
        highlights: &[usize],
        overwrite: bool,
    ) -> Result<Self, WriteError> {
        let output = OutputFile::create(path, overwrite)?;
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
        Ok(Self { output, width, height, selected, tile_width, tile_height, tiles: Vec::new() })
    }

    /// Averages source pixels into tile pixels.
    fn shrink(&self, image: &[u8]) -> Vec<u8> {
        let mut tile = Vec::with_capacity(3 * self.tile_width * self.tile_height);
        let span = |i: usize, from: usize, to: usize| {
            let start = i * from / to;
            start..((i + 1) * from / to).max(start + 1)
        };
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
        let mut overlay = image.to_vec();
        for labelled in frame.objects {
            blend(&mut overlay, &labelled.mask, labelled.object);
        }
        let mut tile = self.shrink(&overlay);
        draw_number(&mut tile, self.tile_width, frame.index);
        self.tiles.push(tile);
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
            for (y, row) in tile.chunks_exact(3 * self.tile_width).enumerate() {
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

/// Digits 0 to 9 as five rows of three bits.
const DIGITS: [[u8; 5]; 10] = [
    [0b111, 0b101, 0b101, 0b101, 0b111],
    [0b010, 0b110, 0b010, 0b010, 0b111],
    [0b111, 0b001, 0b111, 0b100, 0b111],
    [0b111, 0b001, 0b111, 0b001, 0b111],
    [0b101, 0b101, 0b111, 0b001, 0b001],
    [0b111, 0b100, 0b111, 0b001, 0b111],
    [0b111, 0b100, 0b111, 0b101, 0b111],
    [0b111, 0b001, 0b010, 0b010, 0b010],
    [0b111, 0b101, 0b111, 0b101, 0b111],
    [0b111, 0b101, 0b111, 0b001, 0b111],
];
/// Pixels per dot of a digit.
const DOT: usize = 2;

/// Draws a number, white on black, into the top-left corner of an RGB8 tile.
fn draw_number(tile: &mut [u8], width: usize, number: usize) {
    let text = number.to_string();
    let box_width = (4 * text.len() + 1) * DOT;
    let box_height = 7 * DOT;
    let mut set = |x: usize, y: usize, value: u8| {
        if x < width
            && let Some(pixel) = tile.get_mut(3 * (y * width + x)..3 * (y * width + x) + 3)
        {
            pixel.fill(value);
        }
    };
    for y in 0..box_height {
        for x in 0..box_width {
            let (column, row) = (x / DOT, y / DOT);
            let digit =
                text.as_bytes().get(column.wrapping_sub(1) / 4).map(|b| usize::from(b - b'0'));
            let lit = match (column % 4, row, digit) {
                (dot @ 1..=3, 1..=5, Some(digit)) => DIGITS[digit][row - 1] >> (3 - dot) & 1 == 1,
                _ => false,
            };
            set(x, y, if lit { 255 } else { 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LabelledMask, Mask};

    #[test]
    fn shows_the_selected_frames_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let frames = 100;
        let mut sink =
            Box::new(ContactSheetSink::create(&path, (64, 48), frames, &[37], false).unwrap());
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
    fn one_frame_makes_one_tile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let mut sink = Box::new(ContactSheetSink::create(&path, (3, 3), 1, &[], false).unwrap());
        let image = [0_u8; 27];
        sink.write(&MaskFrame::new(0, &[]).with_image(Some(&image))).unwrap();
        sink.finish().unwrap().publish().unwrap();
        assert!(path.exists());
    }
}
