//! Pictures of a clip for people: the outlines of the ground truth and the points of a track.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use sam2_engine::{FrameSource, Mask, RgbFrame};
use sam2_mask_writer::OBJECT_COLOURS;

use super::clip::HeldOut;
use super::faults::FaultyTrack;

/// Pixels of the picture for each pixel of the clip, in each direction.
const ZOOM: usize = 3;
/// Body parts that the tracker found, and those that are wrong.
const POINT_COLOURS: [[u8; 3]; 2] = [[0, 255, 0], [255, 0, 0]];
/// Points below this likelihood are not shown.
const MIN_LIKELIHOOD: f32 = 0.1;

/// Draws a frame at three times its size, with the outline of each animal. Points of a track are
/// green, and red in rows that are wrong.
///
/// # Panics
/// If there is no such frame.
pub fn preview(clip: &HeldOut, frame: usize, track: Option<&FaultyTrack>) -> RgbFrame {
    let small = clip.frame(frame).unwrap();
    let (width, height) = (small.width() as usize * ZOOM, small.height() as usize * ZOOM);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for place in 0..width * height {
        let (x, y) = (place % width / ZOOM, place / width / ZOOM);
        let at = 3 * (y * small.width() as usize + x);
        pixels.extend_from_slice(&small.data()[at..at + 3]);
    }
    let mut dot = |x: usize, y: usize, colour: [u8; 3]| {
        if x < width && y < height {
            pixels[3 * (y * width + x)..][..3].copy_from_slice(&colour);
        }
    };
    for (truth, &colour) in clip.truth(frame).iter().zip(OBJECT_COLOURS.iter().cycle()) {
        outline(truth, |x, y| dot(x, y, colour));
    }
    let rows = track.map_or(0, |track| track.track.individuals.len());
    for (animal, track) in track.iter().flat_map(|track| (0..rows).map(move |a| (a, track))) {
        for point in track.track.row(frame, animal).iter().flatten() {
            if point.likelihood < MIN_LIKELIHOOD || point.x < 0.0 || point.y < 0.0 {
                continue;
            }
            let colour = POINT_COLOURS[usize::from(track.is_wrong(frame, animal, MIN_LIKELIHOOD))];
            let at = [point.x, point.y].map(|value| (value * ZOOM as f32) as usize);
            for step in 0..25 {
                dot(
                    (at[0] + step % 5).saturating_sub(2),
                    (at[1] + step / 5).saturating_sub(2),
                    colour,
                );
            }
        }
    }
    RgbFrame::new(width as u32, height as u32, pixels).unwrap()
}

/// Calls `dot` for the edges of a mask's pixels that have no neighbour of the mask, enlarged.
fn outline(mask: &Mask, mut dot: impl FnMut(usize, usize)) {
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let inside = mask.to_bytes(1);
    let is_inside = |x: usize, y: usize| {
        (1..=width).contains(&x)
            && (1..=height).contains(&y)
            && inside[(y - 1) * width + x - 1] == 1
    };
    for pixel in mask.foreground().flatten() {
        // Counted from 1, so that the neighbours of the first are numbers too.
        let (x, y) = (pixel % width + 1, pixel / width + 1);
        let sides = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)];
        let is_edge = sides.map(|(x, y)| !is_inside(x, y));
        for step in 0..ZOOM * ZOOM {
            let (dx, dy) = (step % ZOOM, step / ZOOM);
            let on_side = [dx == 0, dx == ZOOM - 1, dy == 0, dy == ZOOM - 1];
            if is_edge.iter().zip(on_side).any(|(&edge, side)| edge && side) {
                dot((x - 1) * ZOOM + dx, (y - 1) * ZOOM + dy);
            }
        }
    }
}

/// Writes a frame as a PNG file.
///
/// # Panics
/// If the file cannot be written.
pub fn write_png(frame: &RgbFrame, path: &Path) {
    let file = BufWriter::new(File::create(path).unwrap());
    let mut encoder = png::Encoder::new(file, frame.width(), frame.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(frame.data()).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_out::Kind;

    #[test]
    fn outlines_are_on_the_animal_and_the_rest_is_the_frame() {
        let clip = HeldOut::with_frames(Kind::SingleMouse, 0, 1);
        let (small, large) = (clip.frame(0).unwrap(), preview(&clip, 0, None));
        let inside = clip.truth(0)[0].to_bytes(1);
        let (mut drawn, width) = (0, small.width() as usize);
        for (place, pixel) in large.data().chunks(3).enumerate() {
            let (x, y) = (place % (ZOOM * width) / ZOOM, place / (ZOOM * width) / ZOOM);
            let at = y * width + x;
            if *pixel != small.data()[3 * at..][..3] {
                assert!(inside[at] == 1 && pixel == OBJECT_COLOURS[0]);
                drawn += 1;
            }
        }
        assert!(drawn > 300, "{drawn} pixels of outline");
    }
}
