//! Choice of one mask per object.

use cubecl::ir::{ElemType, UIntKind};
use cubecl::prelude::*;

use super::buffer::{Buffer, Given, optional};
use super::grid::{UNITS, cube_in_grid, grid, unit_in_grid};

/// Number of cubes that share an object's plane when its pixels are counted. Every unit that
/// chooses reads as many pairs of counts.
const PIECES: usize = 16;
/// One hundred percent.
const WHOLE: usize = 100;

/// The condition for taking the first mask without comparing the others.
#[derive(Clone, Copy, Debug)]
pub struct StableFirst {
    /// Logits within this distance of zero count as undecided.
    pub delta: f32,
    /// The first mask is stable if at least this percentage of the pixels above `-delta` are also
    /// above `delta`.
    pub percent: u32,
}

/// Several masks per object, of which one is chosen.
#[derive(Debug)]
pub struct ChoiceArgs<'a> {
    /// `[objects, masks, pixels]`, f32.
    pub logits: &'a Buffer,
    /// `[objects, masks]`, f32: the mask with the highest value is the best. The first mask is not
    /// compared.
    pub ious: &'a Buffer,
    /// A vector for each mask, f32, with the distances from one object to the next and from one
    /// mask to the next.
    pub tokens: (&'a Buffer, [usize; 2]),
    /// Scores `[objects]`, f32, and the logit that fills the mask of an object whose score is not
    /// above 0.
    pub scores: Option<(&'a Buffer, f32)>,
    /// Takes the first mask if it is stable. Every object then gets the first mask's token.
    pub first: Option<StableFirst>,
    /// `[objects, pixels]`, f32.
    pub out_logits: &'a Buffer,
    /// `[objects]`, f32.
    pub out_iou: &'a Buffer,
    /// `[objects, width]`, f32.
    pub out_token: &'a Buffer,
    /// Number of objects, masks per object, pixels per mask, values per token.
    pub size: [usize; 4],
}

impl ChoiceArgs<'_> {
    fn fit(&self) -> bool {
        let [objects, masks, places, width] = self.size;
        let (tokens, [by_object, by_mask]) = self.tokens;
        let last = |count: usize, by: usize| count.saturating_sub(1) * by;
        masks >= 2
            && self.logits.holds(objects * masks * places)
            && self.ious.holds(objects * masks)
            && tokens.holds(last(objects, by_object) + last(masks, by_mask) + width)
            && self.scores.is_none_or(|(scores, _)| scores.holds(objects))
            && self.out_logits.holds(objects * places)
            && self.out_iou.holds(objects)
            && self.out_token.holds(objects * width)
            // Counts are multiplied by 100 for the comparison.
            && u32::try_from(places * WHOLE).is_ok()
            && self.first.is_none_or(|first| first.percent as usize <= WHOLE)
    }
}

/// Chooses the masks. Returns `false`, without doing anything, if buffers and sizes do not match.
pub fn choose_mask(client: &Client, args: &ChoiceArgs<'_>) -> bool {
    if !args.fit() {
        return false;
    }
    let [objects, masks, places, width] = args.size;
    let of_object = places.max(width).max(1);
    if objects == 0 {
        return true;
    }
    let counts = args.first.map(|first| counts(client, args, first));
    let (tokens, [by_object, by_mask]) = args.tokens;
    // SAFETY: a unit compares its object and its pixel with their numbers, and masks are below
    // `masks`. Sizes are compared with the buffers above.
    unsafe {
        choose::launch_unchecked(
            client,
            grid((objects * of_object).div_ceil(UNITS)),
            CubeDim::new_1d(UNITS as u32),
            args.logits.argument(1),
            args.ious.argument(1),
            tokens.argument(1),
            optional(args.scores.map(|(scores, _)| scores)),
            optional(counts.as_ref()),
            args.out_logits.argument(1),
            args.out_iou.argument(1),
            args.out_token.argument(1),
            (objects * of_object) as u32,
            places as u32,
            width as u32,
            by_object as u32,
            by_mask as u32,
            args.first.map_or(0, |first| first.percent),
            args.scores.map_or(0.0, |(_, absent)| absent),
            masks,
            [args.scores.is_some(), counts.is_some()],
        );
    }
    true
}

/// Counts for each object, in [`PIECES`] pairs, the first mask's pixels above `delta` and above
/// `-delta`.
fn counts(client: &Client, args: &ChoiceArgs<'_>, first: StableFirst) -> Buffer {
    let [objects, masks, places, _] = args.size;
    let cubes = objects * PIECES;
    let length = cubes * 2;
    let element = ElemType::UInt(UIntKind::U32);
    let counts = Buffer { handle: client.empty(length * size_of::<u32>()), length, element };
    // SAFETY: a cube compares its index with the number of cubes and its pixels with those of a
    // mask. The caller compared sizes with the buffers, and `counts` has a pair for each cube.
    unsafe {
        count::launch_unchecked(
            client,
            grid(cubes),
            CubeDim::new_1d(UNITS as u32),
            args.logits.argument(1),
            counts.argument(1),
            cubes as u32,
            (masks * places) as u32,
            places as u32,
            first.delta,
        );
    }
    counts
}

#[cube(launch_unchecked)]
fn count(logits: &[f32], counts: &mut [u32], cubes: u32, by_object: u32, places: u32, delta: f32) {
    let cube = cube_in_grid();
    let unit = UNIT_POS as usize;
    let mut inner = Shared::<[u32]>::new_slice(UNITS);
    let mut outer = Shared::<[u32]>::new_slice(UNITS);
    // Barriers require every unit of a cube, so the whole cube continues or stops.
    if cube < cubes as usize {
        let start = cube / PIECES * by_object as usize;
        let mut above = 0u32;
        let mut not_below = 0u32;
        let mut place = cube % PIECES * UNITS + unit;
        while place < places as usize {
            let logit = logits[start + place];
            if logit > delta {
                above += 1;
            }
            if logit > -delta {
                not_below += 1;
            }
            place += comptime!(PIECES * UNITS);
        }
        inner[unit] = above;
        outer[unit] = not_below;
        sync_cube();
        #[unroll]
        for step in 0..comptime!(UNITS.ilog2() as usize) {
            let half = comptime!(UNITS >> (step + 1));
            if unit < half {
                inner[unit] += inner[unit + half];
                outer[unit] += outer[unit + half];
            }
            sync_cube();
        }
        if unit == 0 {
            counts[cube * 2] = inner[0];
            counts[cube * 2 + 1] = outer[0];
        }
    }
}

#[cube(launch_unchecked)]
// One `if` decides what is compiled, the other is evaluated by each unit.
#[allow(clippy::too_many_arguments, clippy::collapsible_if)]
fn choose(
    logits: &[f32],
    ious: &[f32],
    tokens: &[f32],
    scores: ComptimeOption<&[f32]>,
    counts: ComptimeOption<&[u32]>,
    out_logits: &mut [f32],
    out_iou: &mut [f32],
    out_token: &mut [f32],
    units: u32,
    places: u32,
    width: u32,
    by_object: u32,
    by_mask: u32,
    percent: u32,
    absent: f32,
    #[comptime] masks: usize,
    #[comptime] _given: Given<2>,
) {
    let at = unit_in_grid();
    if at < units as usize {
        let (places, width) = (places as usize, width as usize);
        let of_object = max(max(places, width), 1usize);
        let object = at / of_object;
        let place = at % of_object;
        let mut mask = 1usize;
        let mut highest = ious[object * masks + 1];
        #[unroll]
        for other in 2..masks {
            let iou = ious[object * masks + other];
            // Of equal values, the first one wins.
            if iou > highest {
                highest = iou;
                mask = other;
            }
        }
        let mut token = mask;
        #[comptime]
        if let ComptimeOption::Some(counts) = &counts {
            token = 0usize;
            let mut inner = 0u32;
            let mut outer = 0u32;
            for piece in 0..PIECES {
                let pair = (object * PIECES + piece) * 2;
                inner += counts[pair];
                outer += counts[pair + 1];
            }
            // An empty mask counts as stable.
            if inner * comptime!(WHOLE as u32) >= outer * percent {
                mask = 0usize;
            }
        }
        if place < places {
            let mut logit = logits[(object * masks + mask) * places + place];
            #[comptime]
            if let ComptimeOption::Some(scores) = &scores {
                if scores[object] <= 0.0f32 {
                    logit = absent;
                }
            }
            out_logits[object * places + place] = logit;
        }
        if place < width {
            let from = object * by_object as usize + token * by_mask as usize + place;
            out_token[object * width + place] = tokens[from];
        }
        if place == 0 {
            out_iou[object] = ious[object * masks + mask];
        }
    }
}
