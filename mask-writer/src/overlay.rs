//! Masks drawn over the frame they belong to.

use std::collections::BTreeMap;

use crate::mask::Mask;
use crate::quality_flags::QualityFlags;
use crate::sink::LabelledMask;
use crate::text::{Area, Canvas, Lettering, shortened};

/// Colours of objects 1, 2, ...; after the last one they repeat. Most colour-blind viewers can tell
/// them apart, too (Okabe and Ito 2008).
pub const OBJECT_COLOURS: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
];

/// Colour of masks that a person should check. No object has this colour.
pub(crate) const FLAGGED: [u8; 3] = [215, 0, 25];
/// Length of a dash per pixel of outline width. The white gaps have the same length.
const DASH: usize = 4;
/// Number of letters of a name that are shown.
const LETTERS: usize = 20;

/// Tints the mask in an RGB8 image of the mask's size and draws its outline in the full colour.
pub fn blend(image: &mut [u8], mask: &Mask, object: u32) {
    if image.len() == 3 * mask.width() as usize * mask.height() as usize {
        paint(image, &[LabelledMask::new(object, mask.clone())], 1);
    }
}

/// Settings for drawing masks on frames of one size, and the names of the objects.
pub(crate) struct Overlay {
    width: usize,
    lettering: Option<Lettering>,
    /// Width of outlines in pixels.
    outline: usize,
    names: BTreeMap<u32, String>,
}

impl Overlay {
    pub(crate) fn new((width, height): (usize, usize), names: &BTreeMap<u32, String>) -> Self {
        let side = width.min(height);
        let lettering = Lettering::for_side(side);
        Self { width, lettering, outline: 1 + side / 720, names: names.clone() }
    }

    /// Draws masks, their labels, and the text `corner` in the top left corner, into an RGB8 image
    /// of the masks' size.
    ///
    /// Each pixel has the colour of one object, the one with the smallest number where masks
    /// overlap. All outlines are drawn. The outline of a flagged mask is dashed in red and white,
    /// and its label is red and names the flag. If a mask is empty, its label is drawn below the
    /// corner text.
    pub(crate) fn draw(&self, image: &mut [u8], objects: &[LabelledMask], corner: &str) {
        let tinted = paint(image, objects, self.outline);
        let Some(lettering) = self.lettering else { return };
        let mut canvas = Canvas::new(image, self.width);
        let (width, height) = canvas.size();
        let fitting = |text: &str| shortened(text, lettering.letters(width));
        let mut taken = vec![lettering.write(&mut canvas, &fitting(corner), (0, 0), [0; 3])];
        for labelled in by_number(objects) {
            let flags = labelled.facts.map(|facts| facts.flags).unwrap_or_default();
            let text = fitting(&self.label(labelled.object, flags));
            let size = lettering.size(&text);
            let paper = if flags.is_empty() { colour_of(labelled.object) } else { FLAGGED };
            let place = match labelled.mask.bounds() {
                Some(bounds) => place_near(bounds, size, (width, height), &taken, &tinted),
                None if flags.is_empty() => continue,
                None => (0, free_below(0, 0, size, &taken)),
            };
            taken.push(lettering.write(&mut canvas, &text, place, paper));
        }
    }

    fn label(&self, object: u32, flags: QualityFlags) -> String {
        let mut label = object.to_string();
        if let Some(name) = self.names.get(&object) {
            label = format!("{label} {}", shortened(name, LETTERS));
        }
        flags.iter().for_each(|flag| label = format!("{label} {}", flag.name()));
        label
    }
}

pub(crate) fn colour_of(object: u32) -> [u8; 3] {
    OBJECT_COLOURS[(object.max(1) as usize - 1) % OBJECT_COLOURS.len()]
}

fn by_number(objects: &[LabelledMask]) -> Vec<&LabelledMask> {
    let mut sorted: Vec<&LabelledMask> = objects.iter().collect();
    sorted.sort_by_key(|labelled| labelled.object);
    sorted
}

/// Tints masks and draws their outlines, `outline` pixels wide, into an RGB8 image of the masks'
/// size. Returns, for each pixel, whether it belongs to a mask.
fn paint(image: &mut [u8], objects: &[LabelledMask], outline: usize) -> Vec<bool> {
    let objects = by_number(objects);
    // The tint of every pixel is computed from the original image, never from another tint.
    let mut is_tinted = vec![false; image.len() / 3];
    for LabelledMask { object, mask, .. } in &objects {
        let tint = colour_of(*object);
        for position in mask.foreground().flatten() {
            if std::mem::replace(&mut is_tinted[position], true) {
                continue;
            }
            for (value, tint) in image[3 * position..3 * position + 3].iter_mut().zip(tint) {
                // Inside a mask, two thirds of the original colour remain.
                *value = ((u16::from(*value) * 2 + u16::from(tint)) / 3) as u8;
            }
        }
    }
    for LabelledMask { object, mask, facts, .. } in objects.iter().rev() {
        let is_flagged = facts.is_some_and(|facts| !facts.flags.is_empty());
        let outline = outline + usize::from(is_flagged);
        for (x, y) in border(mask, outline) {
            let colour = match is_flagged {
                false => colour_of(*object),
                true if ((x + y) / (DASH * outline)).is_multiple_of(2) => FLAGGED,
                true => [255; 3],
            };
            let at = 3 * (y * mask.width() as usize + x);
            image[at..at + 3].copy_from_slice(&colour);
        }
    }
    is_tinted
}

/// Returns the pixels of a mask that are at most `depth` pixels away from its outside, horizontally
/// or vertically. Everything beyond the edge of the image is outside.
fn border(mask: &Mask, depth: usize) -> Vec<(usize, usize)> {
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let inside = mask.to_bytes(1);
    let is_interior = |x: usize, y: usize| {
        x >= depth
            && y >= depth
            && x + depth < width
            && y + depth < height
            && (1..=depth).all(|step| {
                let at = y * width + x;
                [at - step, at + step, at - step * width, at + step * width]
                    .into_iter()
                    .all(|neighbour| inside[neighbour] == 1)
            })
    };
    let pixels = mask.foreground().flatten().map(|at| (at % width, at / width));
    pixels.filter(|&(x, y)| !is_interior(x, y)).collect()
}

/// Places a label directly above or below the bounding box of a mask, whichever hides fewer mask
/// pixels. If neither is free, the label goes further down.
fn place_near(
    [x0, y0, x1, y1]: [u32; 4],
    (width, height): (usize, usize),
    picture: (usize, usize),
    taken: &[Area],
    tinted: &[bool],
) -> (usize, usize) {
    let middle = (x0 as usize + x1 as usize) / 2;
    let left = middle.saturating_sub(width / 2).min(picture.0.saturating_sub(width));
    let is_free = |top: usize| {
        let area = Area { left, top, width, height };
        top + height <= picture.1 && !taken.iter().any(|other| area.meets(other))
    };
    let hidden = |top: usize| -> usize {
        let row = |y: usize| y * picture.0 + left;
        let rows = (top..top + height).filter_map(|y| tinted.get(row(y)..row(y) + width));
        rows.map(|row| row.iter().filter(|&&is_tinted| is_tinted).count()).sum()
    };
    let places = [(y0 as usize).checked_sub(height + 1), Some(y1 as usize + 2)];
    let free = places.into_iter().flatten().filter(|&top| is_free(top));
    let top = free.min_by_key(|&top| hidden(top)).unwrap_or_else(|| {
        // The mask reaches from top to bottom, so the label goes inside it.
        free_below(
            left,
            (y0 as usize).min(picture.1.saturating_sub(height)),
            (width, height),
            taken,
        )
    });
    (left, top)
}

/// Returns the first row, from `top` on, at which an area overlaps no other.
fn free_below(
    left: usize,
    mut top: usize,
    (width, height): (usize, usize),
    taken: &[Area],
) -> usize {
    while let Some(other) =
        taken.iter().find(|other| Area { left, top, width, height }.meets(other))
    {
        top = other.top + other.height;
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality_flags::QualityFlag;
    use crate::sink::MaskFacts;
    use crate::test_support::mask;

    fn at(image: &[u8], width: usize, x: usize, y: usize) -> [u8; 3] {
        let at = 3 * (width * y + x);
        [image[at], image[at + 1], image[at + 2]]
    }

    fn square(
        object: u32,
        size: (usize, usize),
        from: (usize, usize),
        side: usize,
    ) -> LabelledMask {
        let inside = |at: usize| {
            let (x, y) = (at % size.0, at / size.0);
            (from.0..from.0 + side).contains(&x) && (from.1..from.1 + side).contains(&y)
        };
        let pixels = (0..size.0 * size.1).map(inside);
        LabelledMask::new(object, Mask::from_pixels(size.0 as u32, size.1 as u32, pixels).unwrap())
    }

    fn flagged(object: LabelledMask, flag: QualityFlag) -> LabelledMask {
        let flags = [flag].into_iter().collect();
        let facts = MaskFacts {
            object_score: 1.0,
            predicted_iou: 1.0,
            prompted: false,
            flags,
            agreement: None,
        };
        LabelledMask { facts: Some(facts), ..object }
    }

    #[test]
    fn outline_is_solid_inside_is_tinted_outside_is_untouched() {
        let mask = mask("00000 01110 01110 01110 00000");
        let mut image = vec![90; 75];
        blend(&mut image, &mask, 1);
        assert_eq!(at(&image, 5, 0, 0), [90, 90, 90]);
        assert_eq!(at(&image, 5, 1, 1), OBJECT_COLOURS[0]);
        assert_eq!(at(&image, 5, 2, 2), [136, 113, 60]);
        blend(&mut image[..10], &mask, 1);
    }

    #[test]
    fn where_masks_overlap_a_pixel_has_one_colour() {
        let size = (20, 20);
        let objects = [square(2, size, (2, 2), 12), square(1, size, (6, 6), 12)];
        let mut image = vec![90; 3 * 20 * 20];
        paint(&mut image, &objects, 1);
        let tinted =
            |object: u32| colour_of(object).map(|tint| ((180 + u16::from(tint)) / 3) as u8);
        assert_eq!(at(&image, 20, 4, 4), tinted(2));
        assert_eq!(at(&image, 20, 10, 10), tinted(1), "the smallest number");
        assert_eq!(at(&image, 20, 16, 16), tinted(1));
        // Both outlines are visible.
        assert_eq!(at(&image, 20, 13, 10), colour_of(2));
        assert_eq!(at(&image, 20, 6, 10), colour_of(1));
        assert_eq!(at(&image, 20, 13, 6), colour_of(1));
        let allowed: Vec<[u8; 3]> = vec![[90; 3], tinted(1), tinted(2), colour_of(1), colour_of(2)];
        assert!(image.chunks_exact(3).all(|pixel| allowed.iter().any(|colour| colour == pixel)));
    }

    #[test]
    fn flags_are_red_and_every_object_has_a_label_of_its_own() {
        let size = (320, 240);
        let overlay = Overlay::new(size, &[(2, "Tom".to_owned())].into());
        let draw = |objects: &[LabelledMask]| {
            let mut image = vec![90; 3 * size.0 * size.1];
            overlay.draw(&mut image, objects, "12");
            image
        };
        let count = |image: &[u8], colour: [u8; 3]| {
            image.chunks_exact(3).filter(|pixel| *pixel == colour).count()
        };
        let (one, two) = (square(1, size, (100, 100), 40), square(2, size, (110, 110), 40));
        let plain = draw(&[one.clone(), two.clone()]);
        assert_eq!(count(&plain, FLAGGED), 0);
        let red = draw(&[one.clone(), flagged(two.clone(), QualityFlag::AreaJump)]);
        // Half of an outline two pixels wide, plus the label.
        assert!(count(&red, FLAGGED) > 140 + 600, "{}", count(&red, FLAGGED));
        let lost = LabelledMask::new(2, Mask::empty(320, 240));
        assert_eq!(draw(std::slice::from_ref(&lost)), draw(&[]));
        let lost = draw(&[one, flagged(lost, QualityFlag::Lost)]);
        assert!((0..40).any(|y| at(&lost, 320, 1, y) == FLAGGED));
        // Many masks at one place on the image's edges: nothing panics, and every mask is visible.
        let corner = |object| square(object, size, (300, 220), 20);
        let many = draw(&[corner(1), corner(2), corner(3), square(4, size, (0, 0), 240)]);
        assert!((1..=4).all(|object| count(&many, colour_of(object)) > 0));
    }
}
