//! Removal of small holes and islands from finished masks, in the image's pixels.

use std::cmp::Reverse;

use sam2_mask_writer::{CocoRleError, Mask};

use super::nms::non_maximum_suppression;
use super::records::{MaskRecord, Segmentation, xywh};

/// Fills holes and removes islands of less than `min_area` pixels in each mask, then removes masks
/// whose boxes have become duplicates: IoU above `nms_thresh`. Unchanged masks take precedence and
/// come first (`postprocess_small_regions`).
///
/// The official generator also has this function but never calls it.
///
/// # Errors
/// If compressed text in a record does not describe a mask.
pub fn postprocess_small_regions(
    records: Vec<MaskRecord>,
    min_area: u32,
    nms_thresh: f64,
) -> Result<Vec<MaskRecord>, CocoRleError> {
    let mut boxes = Vec::with_capacity(records.len());
    let mut scores = Vec::with_capacity(records.len());
    let mut cleaned = Vec::with_capacity(records.len());
    for mut record in records {
        let mask = record.segmentation.to_mask()?;
        let clean = remove_small_regions(&mask, min_area);
        let bounds = clean.as_ref().unwrap_or(&mask).bounds().unwrap_or_default();
        scores.push(if clean.is_some() { 0.0 } else { 1.0 });
        boxes.push(bounds.map(|edge| edge as f32));
        if let Some(mask) = clean {
            record.area = mask.area();
            record.bbox = xywh(bounds);
            record.segmentation = Segmentation::new(mask, record.segmentation.output());
        }
        cleaned.push(Some(record));
    }
    let kept = non_maximum_suppression(&boxes, &scores, nms_thresh);
    Ok(kept.into_iter().filter_map(|index| cleaned[index].take()).collect())
}

/// Returns the mask without holes and islands of less than `min_area` pixels, or `None` if it has
/// neither (`remove_small_regions`, for holes and then for islands).
///
/// Regions are connected across edges and corners. A small background region at the edge of the
/// image counts as a hole. If every island is small, the largest stays.
pub fn remove_small_regions(mask: &Mask, min_area: u32) -> Option<Mask> {
    let (width, small) =
        (mask.width() as usize, |region: &Region| region.len() < min_area as usize);
    let mut pixels: Vec<bool> = mask.to_bytes(1).into_iter().map(|byte| byte == 1).collect();
    let mut changed = false;
    for hole in regions(&pixels, width, false).into_iter().filter(small) {
        hole.into_iter().for_each(|position| pixels[position] = true);
        changed = true;
    }
    let mut islands = regions(&pixels, width, true);
    if islands.iter().any(small) {
        if islands.iter().all(small) {
            // Of equally large islands, keep the one that OpenCV numbers first: it labels blocks of
            // 2 x 2 pixels.
            let block = |position: &usize| (position / width / 2, position % width / 2);
            islands.sort_by_key(|island| (Reverse(island.len()), island.iter().map(block).min()));
            islands.remove(0);
        }
        for island in islands.into_iter().filter(small) {
            island.into_iter().for_each(|position| pixels[position] = false);
        }
        changed = true;
    }
    // This cannot fail: there are exactly as many pixels as the mask has.
    changed
        .then(|| Mask::from_pixels(mask.width(), mask.height(), pixels.into_iter()).ok())
        .flatten()
}

/// Positions of a region's pixels.
type Region = Vec<usize>;

/// Returns the regions of pixels equal to `value`, connected across edges and corners.
fn regions(pixels: &[bool], width: usize, value: bool) -> Vec<Region> {
    let height = pixels.len() / width.max(1);
    let mut seen = vec![false; pixels.len()];
    let mut found = Vec::new();
    for start in 0..pixels.len() {
        if seen[start] || pixels[start] != value {
            continue;
        }
        seen[start] = true;
        let mut region = vec![start];
        let mut next = 0;
        while let Some(&position) = region.get(next) {
            next += 1;
            let (x, y) = (position % width, position / width);
            for near_y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for near_x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let near = near_y * width + near_x;
                    if !seen[near] && pixels[near] == value {
                        seen[near] = true;
                        region.push(near);
                    }
                }
            }
        }
        found.push(region);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::automatic_masks::MaskOutput;

    fn mask(rows: &[&str]) -> Mask {
        let pixels: Vec<bool> = rows.concat().chars().map(|c| c == '#').collect();
        Mask::from_pixels(rows[0].len() as u32, rows.len() as u32, pixels.into_iter()).unwrap()
    }

    fn clean(rows: &[&str], min_area: u32) -> Option<Mask> {
        remove_small_regions(&mask(rows), min_area)
    }

    // Every expectation here was checked with `sam2.utils.amg.remove_small_regions`.
    #[test]
    fn less_than_the_area_goes_as_much_stays() {
        let rows = ["#####....", "#.###...#", "#####...#", "##..#....", "#####...."];
        assert_eq!(clean(&rows, 1), None);
        let filled = ["#####....", "#####...#", "#####...#", "##..#....", "#####...."];
        assert_eq!(clean(&rows, 2), Some(mask(&filled)));
        let both = ["#####....", "#####....", "#####....", "#####....", "#####...."];
        assert_eq!(clean(&rows, 3), Some(mask(&both)));
    }

    #[test]
    fn a_small_outside_is_filled_too() {
        assert_eq!(clean(&["###.", "####"], 2), Some(mask(&["####", "####"])));
    }

    #[test]
    fn the_largest_island_stays() {
        let rows = ["#....", "#...#", "....#", "....#", "#...."];
        assert_eq!(clean(&rows, 9), Some(mask(&[".....", "....#", "....#", "....#", "....."])));
        // A single island of less than the area is the largest.
        assert_eq!(clean(&["....", ".#..", "...."], 9), Some(mask(&["....", ".#..", "...."])));
    }

    #[test]
    fn of_equal_islands_the_first_block_stays() {
        // The pixel on the right comes first in reading order, but its block does not.
        assert_eq!(clean(&["....#.", "#....."], 2), Some(mask(&["......", "#....."])));
        assert_eq!(clean(&["......", "......"], 9), None);
    }

    #[test]
    fn masks_that_become_the_same_are_one() {
        let record = |rows: &[&str], output| {
            let mask = mask(rows);
            MaskRecord {
                area: mask.area(),
                bbox: xywh(mask.bounds().unwrap()),
                segmentation: Segmentation::new(mask, output),
                predicted_iou: 0.5,
                point_coords: [1.0, 1.0],
                stability_score: 0.75,
                crop_box: [0, 0, 6, 4],
            }
        };
        let dotted = record(&["###..#", "###...", "###...", "......"], MaskOutput::CocoRle);
        let whole = record(&["###...", "###...", "###...", "......"], MaskOutput::CocoRle);
        let both = vec![dotted.clone(), whole.clone()];
        let whole = std::slice::from_ref(&whole);
        assert_eq!(postprocess_small_regions(both, 2, 0.7).unwrap(), whole);
        assert_eq!(postprocess_small_regions(vec![dotted], 2, 0.7).unwrap(), whole);
        assert_eq!(postprocess_small_regions(vec![], 2, 0.7).unwrap(), []);
    }
}
