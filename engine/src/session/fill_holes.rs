//! Filling small holes in masks (`fill_holes_in_mask_scores`).

/// What a filled pixel's logit becomes: just inside.
const FILLED_LOGIT: f32 = 0.1;

/// Fills background regions (logit <= 0, connected over edges and corners) of at most `max_area` pixels in a mask of
/// `width` columns, in place. Returns the number of pixels filled.
///
/// The official code does this with a CUDA kernel on low-resolution logits; this gives the same result on any device.
pub fn fill_holes(logits: &mut [f32], width: usize, max_area: u32) -> usize {
    if width == 0 || max_area == 0 {
        return 0;
    }
    let height = logits.len() / width;
    let mut seen = vec![false; logits.len()];
    let mut region = Vec::new();
    let mut filled = 0;
    for start in 0..height * width {
        if seen[start] || logits[start] > 0.0 {
            continue;
        }
        region.clear();
        region.push(start);
        seen[start] = true;
        let mut next = 0;
        while let Some(&position) = region.get(next) {
            next += 1;
            let (x, y) = (position % width, position / width);
            for neighbour_y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for neighbour_x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let neighbour = neighbour_y * width + neighbour_x;
                    if !seen[neighbour] && logits[neighbour] <= 0.0 {
                        seen[neighbour] = true;
                        region.push(neighbour);
                    }
                }
            }
        }
        if region.len() <= max_area as usize {
            filled += region.len();
            region.iter().for_each(|&position| logits[position] = FILLED_LOGIT);
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(rows: &[&str], max_area: u32) -> (Vec<String>, usize) {
        let width = rows[0].len();
        let mut logits: Vec<f32> =
            rows.concat().chars().map(|c| if c == '#' { 1.0 } else { -1.0 }).collect();
        let filled = fill_holes(&mut logits, width, max_area);
        let rows = logits
            .chunks(width)
            .map(|row| row.iter().map(|&l| if l > 0.0 { '#' } else { '.' }).collect())
            .collect();
        (rows, filled)
    }

    #[test]
    fn small_holes_go_large_ones_and_the_outside_stay() {
        let (rows, filled) = fill(&["######", "#.##.#", "####.#", "####.#", "######"], 2);
        assert_eq!(rows, ["######", "####.#", "####.#", "####.#", "######"]);
        assert_eq!(filled, 1);
    }

    #[test]
    fn corners_connect() {
        // Two pixels touching at a corner are one hole of two.
        let (_, filled) = fill(&["####", "#.##", "##.#", "####"], 1);
        assert_eq!(filled, 0);
        let (_, filled) = fill(&["####", "#.##", "##.#", "####"], 2);
        assert_eq!(filled, 2);
    }

    #[test]
    fn off_and_empty_are_no_ops() {
        assert_eq!(fill(&["#.#"], 0).1, 0);
        assert_eq!(fill_holes(&mut [], 0, 8), 0);
    }
}
