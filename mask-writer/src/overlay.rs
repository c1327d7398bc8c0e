//! Masks drawn over the picture they belong to.

use crate::mask::Mask;

/// Colours of objects 1, 2, ...; repeated after the last. Distinct also for most colour-blind viewers (Okabe and
/// Ito 2008).
pub const OBJECT_COLOURS: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
];

/// Tints the mask in an RGB8 image of the mask's size and draws its outline in the full colour.
pub fn blend(image: &mut [u8], mask: &Mask, object: u32) {
    let colour = OBJECT_COLOURS[(object.max(1) as usize - 1) % OBJECT_COLOURS.len()];
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let inside = mask.to_bytes(1);
    let covered = |x: usize, y: usize| inside[y * width + x] == 1;
    for run in mask.foreground() {
        for position in run {
            let (x, y) = (position % width, position / width);
            let interior = x > 0
                && y > 0
                && x + 1 < width
                && y + 1 < height
                && covered(x - 1, y)
                && covered(x + 1, y)
                && covered(x, y - 1)
                && covered(x, y + 1);
            let Some(pixel) = image.get_mut(3 * position..3 * position + 3) else { return };
            for (value, tint) in pixel.iter_mut().zip(colour) {
                // Two thirds of the picture stay visible inside; the outline is solid.
                let mixed = (u16::from(*value) * 2 + u16::from(tint)) / 3;
                *value = if interior { mixed as u8 } else { tint };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outline_is_solid_inside_is_tinted_outside_is_untouched() {
        let pixels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0];
        let mask = Mask::from_pixels(5, 5, pixels.iter().map(|&p| p == 1)).unwrap();
        let mut image = vec![90; 75];
        blend(&mut image, &mask, 1);
        let at = |x: usize, y: usize| &image[3 * (5 * y + x)..3 * (5 * y + x) + 3];
        assert_eq!(at(0, 0), [90, 90, 90]);
        assert_eq!(at(1, 1), OBJECT_COLOURS[0]);
        assert_eq!(at(2, 2), [136, 113, 60]);
    }
}
