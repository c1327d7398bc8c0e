//! The objects of a recording, including those that were not announced beforehand.

use crate::mask::Mask;
use crate::sink::LabelledMask;

/// Objects in the order in which they became known: first the announced ones by number, then the
/// others as they appear.
#[derive(Debug)]
pub(crate) struct KnownObjects(Vec<u32>);

impl KnownObjects {
    pub(crate) fn new(announced: &[u32]) -> Self {
        let mut numbers = announced.to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers)
    }

    /// Adds objects that are not yet known and returns these, sorted by number.
    pub(crate) fn admit(&mut self, objects: &[LabelledMask]) -> Vec<u32> {
        let numbers = objects.iter().map(|labelled| labelled.object);
        let mut new: Vec<u32> = numbers.filter(|number| !self.0.contains(number)).collect();
        new.sort_unstable();
        new.dedup();
        self.0.extend(&new);
        new
    }

    pub(crate) fn numbers(&self) -> &[u32] {
        &self.0
    }
}

/// Returns the entry of one object among those of a frame.
pub(crate) fn entry(objects: &[LabelledMask], number: u32) -> Option<&LabelledMask> {
    objects.iter().find(|labelled| labelled.object == number)
}

/// Paints all objects on one page: `value(object)` inside each mask, the object with the smallest
/// number where masks overlap, else 0.
pub(crate) fn paint_all(page: &mut [u8], objects: &[LabelledMask], value: impl Fn(u32) -> u8) {
    page.fill(0);
    // Largest number first, so that the smallest is painted last and wins.
    let mut masks: Vec<(u32, &Mask)> = objects.iter().map(|l| (l.object, &l.mask)).collect();
    masks.sort_by_key(|&(object, _)| std::cmp::Reverse(object));
    for (object, mask) in masks {
        mask.paint(page, value(object));
    }
}
