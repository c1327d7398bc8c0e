//! Filling small holes in masks and removing small islands (`fill_holes_in_mask_scores`, and the
//! same for the foreground).

/// New logit of a filled pixel: just inside.
const FILLED_LOGIT: f32 = 0.1;
/// New logit of a removed pixel: just outside.
const REMOVED_LOGIT: f32 = -0.1;

/// Fills background regions (logit <= 0, connected across edges and corners) of at most `max_area`
/// pixels in a mask of `width` columns, in place. Returns the number of pixels filled.
///
/// The official code does this with a CUDA kernel on low-resolution logits; this gives the same
/// result on any device.
pub fn fill_holes(logits: &mut [f32], width: usize, max_area: u32) -> usize {
    replace_small_regions(logits, width, max_area, |logit| logit <= 0.0, FILLED_LOGIT)
}

/// Removes foreground regions (logit > 0, connected across edges and corners) of at most `max_area`
/// pixels from a mask of `width` columns, in place. Returns the number of pixels removed. If the
/// whole mask is that small, it is removed too.
pub fn remove_islands(logits: &mut [f32], width: usize, max_area: u32) -> usize {
    replace_small_regions(logits, width, max_area, |logit| logit > 0.0, REMOVED_LOGIT)
}

/// Sets all pixels of every region of at most `max_area` pixels to `value`. A region is a set of
/// pixels for which `belongs` is true and which are connected across edges and corners. Returns the
/// number of pixels set.
pub(crate) fn replace_small_regions(
    logits: &mut [f32],
    width: usize,
    max_area: u32,
    belongs: impl Fn(f32) -> bool,
    value: f32,
) -> usize {
    if width == 0 || max_area == 0 {
        return 0;
    }
    let mut replaced = 0;
    let belongs = logits.iter().map(|&logit| belongs(logit)).collect();
    for_each_region(belongs, width, |region| {
        if region.len() <= max_area as usize {
            replaced += region.len();
            region.iter().for_each(|&position| logits[position] = value);
        }
    });
    replaced
}

/// Calls `visit` with the pixels of every region of a mask of `width` columns, in the order of
/// their first pixels. A region is a set of pixels that belong to the mask and are connected across
/// edges and corners.
pub(crate) fn for_each_region(
    mut unvisited: Vec<bool>,
    width: usize,
    mut visit: impl FnMut(&[usize]),
) {
    if width == 0 {
        return;
    }
    let height = unvisited.len() / width;
    let mut region = Vec::new();
    for start in 0..height * width {
        if !std::mem::take(&mut unvisited[start]) {
            continue;
        }
        region.clear();
        region.push(start);
        let mut next = 0;
        while let Some(&position) = region.get(next) {
            next += 1;
            let (x, y) = (position % width, position / width);
            for neighbour_y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for neighbour_x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let neighbour = neighbour_y * width + neighbour_x;
                    if std::mem::take(&mut unvisited[neighbour]) {
                        region.push(neighbour);
                    }
                }
            }
        }
        visit(&region);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Step = fn(&mut [f32], usize, u32) -> usize;

    fn apply(step: Step, rows: &[&str], max_area: u32) -> (Vec<String>, usize) {
        let width = rows[0].len();
        let mut logits: Vec<f32> =
            rows.concat().chars().map(|c| if c == '#' { 1.0 } else { -1.0 }).collect();
        let changed = step(&mut logits, width, max_area);
        let rows = logits
            .chunks(width)
            .map(|row| row.iter().map(|&l| if l > 0.0 { '#' } else { '.' }).collect())
            .collect();
        (rows, changed)
    }

    fn fill(rows: &[&str], max_area: u32) -> (Vec<String>, usize) {
        apply(fill_holes, rows, max_area)
    }

    #[test]
    fn small_holes_go_large_ones_and_the_outside_stay() {
        let (rows, filled) = fill(&["######", "#.##.#", "####.#", "####.#", "######"], 2);
        assert_eq!(rows, ["######", "####.#", "####.#", "####.#", "######"]);
        assert_eq!(filled, 1);
    }

    #[test]
    fn corners_connect() {
        // Two pixels touching at a corner are one hole of two pixels.
        let (_, filled) = fill(&["####", "#.##", "##.#", "####"], 1);
        assert_eq!(filled, 0);
        let (_, filled) = fill(&["####", "#.##", "##.#", "####"], 2);
        assert_eq!(filled, 2);
    }

    #[test]
    fn small_islands_go_large_ones_stay() {
        let (rows, removed) =
            apply(remove_islands, &["#....#", "...##.", "...##.", "......", "#....."], 2);
        assert_eq!(rows, [".....#", "...##.", "...##.", "......", "......"]);
        assert_eq!(removed, 2);
        assert_eq!(apply(remove_islands, &["##", ".."], 2).1, 2);
        // A logit of 0, on the threshold, counts as outside, as everywhere.
        let mut logits = [0.0, 5.0, 0.0];
        assert_eq!(remove_islands(&mut logits, 3, 1), 1);
        assert_eq!(logits, [0.0, -0.1, 0.0]);
    }

    #[test]
    fn off_and_empty_are_no_ops() {
        for step in [fill_holes as Step, remove_islands] {
            assert_eq!(apply(step, &["#.#"], 0).1, 0);
            assert_eq!(step(&mut [], 0, 8), 0);
        }
    }
}
