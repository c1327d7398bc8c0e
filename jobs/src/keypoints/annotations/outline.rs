//! Fills outlines.

use sam2_mask_writer::Mask;

/// Largest number of crossings of outlines and pixel rows. It suffices for any drawing and bounds
/// malicious files.
const MOST_CROSSINGS: usize = 1 << 25;
/// The error for more crossings or pixels.
const TOO_MUCH: &str = "its outlines have more corners or cover more than a person can have drawn";

/// Returns the pixels whose centres are within any of the outlines. Coordinates count from the
/// corner of the first pixel. Where an outline crosses itself, every other part is outside.
/// `budget` is the number of pixels that may still be visited for the whole file.
///
/// # Errors
/// The outlines have more detail than a person could draw.
pub(super) fn fill(
    outlines: &[Vec<[f32; 2]>],
    [width, height]: [u32; 2],
    budget: &mut u64,
) -> Result<Mask, String> {
    // Only the part of the picture that holds the outlines.
    let corners = || outlines.iter().flatten().filter(|[x, y]| x.is_finite() && y.is_finite());
    let low = |axis: usize, side: u32| {
        let low = corners().map(|corner| corner[axis]).fold(f32::INFINITY, f32::min);
        low.floor().clamp(0.0, side as f32) as u32
    };
    let high = |axis: usize, side: u32| {
        let high = corners().map(|corner| corner[axis]).fold(0.0, f32::max);
        high.ceil().clamp(0.0, side as f32) as u32
    };
    let (left, top) = (low(0, width), low(1, height));
    let columns = high(0, width).saturating_sub(left);
    let rows = high(1, height).saturating_sub(top);
    let area = u64::from(columns) * u64::from(rows);
    *budget = budget.checked_sub(area).ok_or(TOO_MUCH)?;
    let mut pixels = vec![false; area as usize];
    let mut crossings_left = MOST_CROSSINGS;
    // Row and column of each crossing.
    let mut crossings: Vec<(usize, f32)> = Vec::new();
    for outline in outlines {
        crossings.clear();
        for (at, &start) in outline.iter().enumerate() {
            let end = outline[(at + 1) % outline.len()];
            let ([x0, y0], [x1, y1]) = (start, end);
            if ![x0, y0, x1, y1].iter().all(|value| value.is_finite()) || y0 == y1 {
                continue;
            }
            // Rows whose centre is at or below the upper end and above the lower one.
            let row = |y: f32| (y - top as f32 - 0.5).ceil().clamp(0.0, rows as f32) as usize;
            let crossed = row(y0.min(y1))..row(y0.max(y1));
            crossings_left = crossings_left.checked_sub(crossed.len()).ok_or(TOO_MUCH)?;
            crossings.extend(crossed.map(|row| {
                let along = (row as f32 + 0.5 + top as f32 - y0) / (y1 - y0);
                (row, x0 + along * (x1 - x0) - left as f32)
            }));
        }
        crossings.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for of_row in crossings.chunk_by(|a, b| a.0 == b.0) {
            for pair in of_row.chunks_exact(2) {
                let column = |x: f32| (x - 0.5).ceil().clamp(0.0, columns as f32) as usize;
                let (from, to) = (column(pair[0].1), column(pair[1].1));
                let start = pair[0].0 * columns as usize;
                if from < to {
                    pixels[start + from..start + to].fill(true);
                }
            }
        }
    }
    let part = Mask::from_pixels(columns, rows, pixels.into_iter());
    Ok(part.map_err(|error| error.to_string())?.placed(left, top, width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_inside_by_their_centres() {
        let square = vec![[1.0, 1.0], [3.0, 1.0], [3.0, 2.5], [1.0, 2.5]];
        let mask = fill(&[square], [5, 4], &mut 1000).unwrap();
        assert_eq!(mask.bounds(), Some([1, 1, 2, 1]));
        assert_eq!(mask.area(), 2);
        assert!(fill(&[vec![[0.0, 0.0], [5.0, 4.0], [0.0, 4.0]]], [5, 4], &mut 19).is_err());
        let square = vec![[-9.0, -9.0], [99.0, -9.0], [99.0, 99.0], [-9.0, 99.0]];
        assert_eq!(fill(&[square], [5, 4], &mut 1000).unwrap().area(), 20);
        assert_eq!(
            fill(&[vec![[f32::NAN, 0.0], [1.0, f32::INFINITY]], vec![]], [5, 4], &mut 1000)
                .unwrap()
                .area(),
            0
        );
    }
}
